//! The network between instances and servers.
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
    Address, Limits,
    resp::{Incoming, Sent},
};
use bytes::Bytes;
use fastrand::Rng;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::host::{Host, Push};
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
    /// Returns delays that change no order of a directed plan.
    pub(super) fn short(rng: &mut Rng) -> Self {
        Self {
            mostly: rng.u64(0..3),
            sometimes: rng.u64(3..8),
            how_often: rng.u32(0..30),
        }
    }

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

/// The path between an instance and a host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) to_server: Passage,
    pub(super) to_client: Passage,
    pub(super) pace: Pace,
    /// The same for messages.
    pub(super) messages: Pace,
}

/// A host, and the name that it is reached by.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) host: Arc<dyn Host>,
}

/// Both ends of a path: the places of an instance and of a host.
#[derive(Clone, Copy)]
struct Ends {
    instance: usize,
    host: usize,
}

pub(super) struct Network {
    hosts: Vec<Named>,
    /// For each instance, to every host.
    ways: Vec<Vec<watch::Sender<Way>>>,
    rng: Mutex<Rng>,
    connections: Mutex<BTreeMap<u64, Open>>,
    trace: Trace,
}

/// One connection, from the network's side.
struct Open {
    ends: Ends,
    listens: bool,
    carriers: [AbortHandle; 2],
    hang_up: Arc<Notify>,
}

/// Bytes in transit to a client.
#[derive(Clone)]
struct Outbound(mpsc::UnboundedSender<(Instant, Vec<u8>)>);

impl Network {
    pub(super) fn new(
        hosts: Vec<Named>,
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
        let ways = || hosts.iter().map(|_| watch::Sender::new(way)).collect();
        Arc::new(Self {
            ways: (0..INSTANCES).map(|_| ways()).collect(),
            hosts,
            rng: Mutex::new(rng),
            connections: Mutex::default(),
            trace,
        })
    }

    /// Changes the paths of one instance.
    pub(super) fn change(&self, place: usize, mut change: impl FnMut(&mut Way)) {
        for way in &self.ways[place] {
            way.send_modify(&mut change);
        }
    }

    /// Changes the path between one instance and one host.
    pub(super) fn change_to(&self, place: usize, host: usize, change: impl FnOnce(&mut Way)) {
        self.ways[place][host].send_modify(change);
    }

    fn way(&self, ends: Ends) -> &watch::Sender<Way> {
        &self.ways[ends.instance][ends.host]
    }

    /// Connects a process to an address.
    pub(super) fn connect(
        self: &Arc<Self>,
        process: &Arc<Process>,
        address: &Address,
    ) -> Connecting {
        let (this, instance) = (Arc::clone(self), process.number % INSTANCES);
        let host = match address {
            Address::Tcp { host, .. } => self.hosts.iter().position(|known| known.name == *host),
            _ => None,
        };
        Box::pin(async move {
            let host = host.ok_or(io::ErrorKind::NotFound)?;
            let ends = Ends { instance, host };
            let pace = this.way(ends).borrow().pace;
            this.delay(pace).await;
            let mut way = this.way(ends).subscribe();
            let open = |way: &Way| [way.to_server, way.to_client] == [Passage::Open; 2];
            let _ = way.wait_for(open).await;
            if !this.hosts[host].host.machine().is_up() {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            Ok(this.open(ends))
        })
    }

    fn open(self: &Arc<Self>, ends: Ends) -> DuplexStream {
        let (client, server) = tokio::io::duplex(BUFFER);
        let (from_client, to_client) = tokio::io::split(server);
        let (sender, outgoing) = mpsc::unbounded_channel();
        let number = self.rng.lock().u64(..);
        let hang_up = Arc::new(Notify::new());
        let inbound = Arc::clone(self).carry_in(number, ends, from_client, Outbound(sender));
        let outgoing = Arc::clone(self).carry_out(ends, to_client, outgoing, hang_up.clone());
        let carriers = [
            tokio::spawn(inbound).abort_handle(),
            tokio::spawn(outgoing).abort_handle(),
        ];
        let open = Open {
            ends,
            listens: false,
            carriers,
            hang_up,
        };
        self.connections.lock().insert(number, open);
        self.trace.note(|text| {
            let (place, name) = (ends.instance, &self.hosts[ends.host].name);
            let _ = write!(text, "connection {number} of {place} to {name}");
        });
        client
    }

    /// Cuts connections of one instance: all, or only the one that receives
    /// messages. If `late`, bytes that have left it still arrive.
    pub(super) fn cut(&self, place: usize, only_listening: bool, late: bool) {
        let mut connections = self.connections.lock();
        connections.retain(|number, open| {
            let meant = open.ends.instance == place && (open.listens || !only_listening);
            if meant {
                self.hosts[open.ends.host].host.unsubscribe(*number);
                if late {
                    open.hang_up.notify_one();
                } else {
                    open.carriers.iter().for_each(AbortHandle::abort);
                }
            }
            !meant
        });
    }

    /// Ends the process of a host, with all connections and bytes in transit.
    pub(super) fn kill(&self, host: usize) {
        self.hosts[host].host.machine().set_up(false);
        for open in self.take_connections(host) {
            for carrier in &open.carriers {
                carrier.abort();
            }
        }
    }

    /// Starts the process of a host again.
    pub(super) fn start(&self, host: usize) {
        self.hosts[host].host.machine().set_up(true);
    }

    /// Closes all connections of a host, which lives on. Commands and replies
    /// in transit are lost.
    pub(super) fn close_all(&self, host: usize) {
        for open in self.take_connections(host) {
            open.carriers[0].abort();
            open.hang_up.notify_one();
        }
    }

    fn take_connections(&self, host: usize) -> Vec<Open> {
        let mut connections = self.connections.lock();
        let theirs = connections.extract_if(.., |_, open| open.ends.host == host);
        let theirs: Vec<(u64, Open)> = theirs.collect();
        for (number, _) in &theirs {
            self.hosts[host].host.unsubscribe(*number);
        }
        theirs.into_iter().map(|(_, open)| open).collect()
    }

    async fn delay(&self, pace: Pace) {
        let delay = pace.draw(&mut self.rng.lock());
        if !delay.is_zero() {
            sleep(delay).await;
        }
    }

    /// Waits until bytes sent now arrive. Returns false if they are lost.
    async fn passes(&self, ends: Ends, direction: impl Fn(&Way) -> Passage) -> bool {
        let mut way = self.way(ends).subscribe();
        let moved = way.wait_for(|way| direction(way) != Passage::Stalled).await;
        moved.is_ok_and(|way| direction(&way) == Passage::Open)
    }

    async fn carry_in(
        self: Arc<Self>,
        number: u64,
        ends: Ends,
        mut client: ReadHalf<DuplexStream>,
        outbound: Outbound,
    ) {
        let host = Arc::clone(&self.hosts[ends.host].host);
        let (mut incoming, mut bytes) = (Incoming::new(LIMITS), [0; 4096]);
        let mut lost = false;
        while let Ok(read @ 1..) = client.read(&mut bytes).await {
            let pace = self.way(ends).borrow().pace;
            lost = lost || self.way(ends).borrow().to_server == Passage::Loses;
            if lost {
                continue;
            }
            self.delay(pace).await;
            lost = !self.passes(ends, |way| way.to_server).await;
            if lost {
                continue;
            }
            incoming.room().extend_from_slice(&bytes[..read]);
            let mut interrupted = false;
            while let Some(call) = incoming.next_sent().expect("the client sends RESP") {
                let words = call.into_words().expect("a call is an array of strings");
                host.machine().running().await;
                self.execute(number, ends, &words, &outbound);
                // Other clients' commands may run in between. Not often within one
                // pipeline, which would always be late.
                if !interrupted && self.rng.lock().u8(..) < 32 {
                    interrupted = true;
                    self.delay(pace).await;
                }
            }
        }
        host.unsubscribe(number);
        self.connections.lock().remove(&number);
    }

    fn execute(self: &Arc<Self>, number: u64, ends: Ends, words: &[Bytes], out: &Outbound) {
        let host = &self.hosts[ends.host].host;
        let push = || -> Push {
            let (this, out) = (Arc::clone(self), out.clone());
            Box::new(move |push| this.send(this.way(ends).borrow().messages, &out, push))
        };
        let reply = host.execute(number, words, &push);
        if words[0] == b"SUBSCRIBE"[..]
            && let Some(open) = self.connections.lock().get_mut(&number)
        {
            open.listens = true;
        }
        if host.tells_ahead() {
            host.publish();
        }
        self.send(self.way(ends).borrow().pace, out, &reply);
        // Sends messages that were not sent ahead of the reply.
        host.publish();
    }

    fn send(&self, pace: Pace, outbound: &Outbound, sent: &Sent) {
        let mut bytes = Vec::new();
        sent.write(&mut bytes);
        let arrives = Instant::now() + pace.draw(&mut self.rng.lock());
        let _ = outbound.0.send((arrives, bytes));
    }

    async fn carry_out(
        self: Arc<Self>,
        ends: Ends,
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
                lost = lost || !self.passes(ends, |way| way.to_client).await;
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
