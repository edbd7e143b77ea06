//! The network between processes and server.
//!
//! A connection is a stream like TCP: sent bytes arrive in order or not at all,
//! each part after a separate delay. Bytes that have left their sender may
//! arrive even after it has hung up or died. A stalled path delivers later. A
//! lossy path breaks every connection that sends meanwhile, because a stream
//! has no gaps.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use aside_redis::{
    Limits,
    resp::{Incoming, Sent},
};
use bytes::Bytes;
use fastrand::Rng;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::server::{Push, Server};
use super::{INSTANCES, Trace};
use crate::runtime::simulated::{Connecting, Process, watch};

/// More than the bytes in transit on any connection.
const BUFFER: usize = 1 << 20;

const LIMITS: Limits = Limits {
    max_string_bytes: BUFFER,
    cut_bytes: 0,
};

/// Durations in milliseconds: usual and occasional ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) mostly: u64,
    pub(super) sometimes: u64,
    /// How often the occasional one is drawn, in percent.
    pub(super) how_often: u32,
}

impl Pace {
    pub(super) fn draw(self, rng: &mut Rng) -> Duration {
        let most = if rng.u32(..100) < self.how_often {
            self.sometimes
        } else {
            self.mostly
        };
        Duration::from_millis(rng.u64(..=most))
    }
}

/// The state of one direction of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    Open,
    /// Nothing arrives until it is open again.
    Stalled,
    /// Sent bytes are lost.
    Loses,
}

/// The path of one instance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) to_server: Passage,
    pub(super) to_client: Passage,
    pub(super) pace: Pace,
    /// The same for messages.
    pub(super) messages: Pace,
}

pub(super) struct Network {
    server: Arc<Server>,
    ways: Vec<watch::Sender<Way>>,
    /// True if a server is up.
    up: Mutex<bool>,
    rng: Mutex<Rng>,
    connections: Mutex<BTreeMap<u64, Open>>,
    trace: Trace,
}

/// One connection, from the network's side.
struct Open {
    place: usize,
    listens: bool,
    carriers: [AbortHandle; 2],
    hang_up: Arc<Notify>,
}

/// Bytes in transit to a client.
#[derive(Clone)]
struct Outbound(mpsc::UnboundedSender<(Instant, Vec<u8>)>);

impl Network {
    pub(super) fn new(
        server: Arc<Server>,
        pace: Pace,
        messages: Pace,
        rng: Rng,
        trace: Trace,
    ) -> Arc<Self> {
        let way = Way {
            to_server: Passage::Open,
            to_client: Passage::Open,
            pace,
            messages,
        };
        Arc::new(Self {
            server,
            ways: (0..INSTANCES).map(|_| watch::Sender::new(way)).collect(),
            up: Mutex::new(true),
            rng: Mutex::new(rng),
            connections: Mutex::default(),
            trace,
        })
    }

    /// Changes the path of one instance.
    pub(super) fn change(&self, place: usize, change: impl FnOnce(&mut Way)) {
        self.ways[place].send_modify(change);
    }

    /// Connects a process.
    pub(super) fn connect(self: &Arc<Self>, process: &Arc<Process>) -> Connecting {
        let (this, place) = (Arc::clone(self), process.number % INSTANCES);
        Box::pin(async move {
            let pace = this.ways[place].borrow().pace;
            this.delay(pace).await;
            let mut way = this.ways[place].subscribe();
            let open = |way: &Way| [way.to_server, way.to_client] == [Passage::Open; 2];
            let _ = way.wait_for(open).await;
            if !*this.up.lock() {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            Ok(this.open(place))
        })
    }

    fn open(self: &Arc<Self>, place: usize) -> DuplexStream {
        let (client, server) = tokio::io::duplex(BUFFER);
        let (from_client, to_client) = tokio::io::split(server);
        let (sender, outgoing) = mpsc::unbounded_channel();
        let number = self.rng.lock().u64(..);
        let hang_up = Arc::new(Notify::new());
        let inbound = Arc::clone(self).carry_in(number, place, from_client, Outbound(sender));
        let outgoing = Arc::clone(self).carry_out(place, to_client, outgoing, hang_up.clone());
        let carriers = [
            tokio::spawn(inbound).abort_handle(),
            tokio::spawn(outgoing).abort_handle(),
        ];
        let open = Open {
            place,
            listens: false,
            carriers,
            hang_up,
        };
        self.connections.lock().insert(number, open);
        self.trace.note(|text| {
            let _ = write!(text, "connection {number} of {place}");
        });
        client
    }

    /// Cuts connections of one instance: all, or only the one that receives
    /// messages. If `late`, bytes that have left it still arrive.
    pub(super) fn cut(&self, place: usize, only_listening: bool, late: bool) {
        let mut connections = self.connections.lock();
        connections.retain(|number, open| {
            let meant = open.place == place && (open.listens || !only_listening);
            if meant {
                self.server.unsubscribe(*number);
                if late {
                    open.hang_up.notify_one();
                } else {
                    open.carriers.iter().for_each(AbortHandle::abort);
                }
            }
            !meant
        });
    }

    /// Drops all connections and bytes in transit, because the server died.
    pub(super) fn server_died(&self) {
        *self.up.lock() = false;
        for (_, open) in std::mem::take(&mut *self.connections.lock()) {
            for carrier in &open.carriers {
                carrier.abort();
            }
        }
    }

    pub(super) fn server_started(&self) {
        *self.up.lock() = true;
    }

    async fn delay(&self, pace: Pace) {
        let delay = pace.draw(&mut self.rng.lock());
        if !delay.is_zero() {
            sleep(delay).await;
        }
    }

    /// Waits until bytes sent now arrive. Returns false if they are lost.
    async fn passes(&self, place: usize, direction: impl Fn(&Way) -> Passage) -> bool {
        let mut way = self.ways[place].subscribe();
        let moved = way.wait_for(|way| direction(way) != Passage::Stalled).await;
        moved.is_ok_and(|way| direction(&way) == Passage::Open)
    }

    async fn carry_in(
        self: Arc<Self>,
        number: u64,
        place: usize,
        mut client: ReadHalf<DuplexStream>,
        outbound: Outbound,
    ) {
        let (mut incoming, mut bytes) = (Incoming::new(LIMITS), [0; 4096]);
        let mut lost = false;
        while let Ok(read @ 1..) = client.read(&mut bytes).await {
            let pace = self.ways[place].borrow().pace;
            lost = lost || self.ways[place].borrow().to_server == Passage::Loses;
            if lost {
                continue;
            }
            self.delay(pace).await;
            lost = !self.passes(place, |way| way.to_server).await;
            if lost {
                continue;
            }
            incoming.room().extend_from_slice(&bytes[..read]);
            while let Some(call) = incoming.next_sent().expect("the client sends RESP") {
                let words = call.into_words().expect("a call is an array of strings");
                self.server.running().await;
                self.execute(number, place, &words, &outbound);
                // Other clients' commands may run in between.
                if self.rng.lock().u8(..) < 32 {
                    self.delay(pace).await;
                }
            }
        }
        self.server.unsubscribe(number);
        self.connections.lock().remove(&number);
    }

    fn execute(self: &Arc<Self>, number: u64, place: usize, words: &[Bytes], out: &Outbound) {
        let push = || -> Push {
            let (this, out) = (Arc::clone(self), out.clone());
            Box::new(move |push| this.send(this.ways[place].borrow().messages, &out, push))
        };
        let reply = self.server.execute(number, words, push);
        if words[0] == b"SUBSCRIBE"[..]
            && let Some(open) = self.connections.lock().get_mut(&number)
        {
            open.listens = true;
        }
        if self.server.tells_ahead() {
            self.server.publish();
        }
        self.send(self.ways[place].borrow().pace, out, &reply);
        // Sends messages that were not sent ahead of the reply.
        self.server.publish();
    }

    fn send(&self, pace: Pace, outbound: &Outbound, sent: &Sent) {
        let mut bytes = Vec::new();
        sent.write(&mut bytes);
        let arrives = Instant::now() + pace.draw(&mut self.rng.lock());
        let _ = outbound.0.send((arrives, bytes));
    }

    async fn carry_out(
        self: Arc<Self>,
        place: usize,
        mut client: WriteHalf<DuplexStream>,
        mut outgoing: mpsc::UnboundedReceiver<(Instant, Vec<u8>)>,
        hang_up: Arc<Notify>,
    ) {
        let carry = async {
            let mut lost = false;
            while let Some((arrives, bytes)) = outgoing.recv().await {
                if Instant::now() < arrives {
                    sleep_until(arrives).await;
                }
                lost = lost || !self.passes(place, |way| way.to_client).await;
                if !lost && client.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            () = hang_up.notified() => {}
            () = carry => {}
        }
        let _ = client.shutdown().await;
    }
}
