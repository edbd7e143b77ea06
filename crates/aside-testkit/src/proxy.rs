//! A TCP proxy that does to connections what networks do.
//!
//! It stands between a client and a real server and is healthy until told
//! otherwise. Each direction has a [`Mode`] of its own, since the interesting
//! faults are one-sided: a request that was executed and whose reply was lost
//! looks to the client like one that never arrived.

mod connection;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use self::connection::{End, Wires, serve};
use crate::port::free_port;

/// One of the two ways through a [`Proxy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From clients to the server: requests.
    ToServer,
    /// From the server to clients: replies and messages.
    ToClient,
}

/// What becomes of the bytes that go one way, on connections old and new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Mode {
    /// They are delivered.
    #[default]
    Pass,
    /// They are delivered that much later, in order and at full bandwidth.
    Delay(Duration),
    /// They are delivered in order, so many of them per second on each connection:
    /// a narrow network, whose buffers take megabytes at once.
    Throttle(NonZeroU32),
    /// They are swallowed, and so is the end of the stream. The connection
    /// stays, and nobody is told: a network that drops packets.
    Blackhole,
    /// They are not even read, so the sender's buffers fill up: a peer that
    /// hangs. They are delivered when the mode changes.
    Stall,
    /// The stream ends for its receiver and what still comes is swallowed. A
    /// connection that was half-closed remains so when the mode changes.
    HalfClose,
    /// The next of them are lost and reset the connection (RST) on both sides.
    /// Towards the client: the request was executed, its reply is lost.
    Reset,
}

/// What a [`Proxy`] has counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyCounts {
    /// Connections accepted from clients.
    pub connections: u64,
    /// Those of them that are open now.
    pub open_connections: u64,
    /// Bytes delivered to the server.
    pub bytes_to_server: u64,
    /// Bytes delivered to clients.
    pub bytes_to_client: u64,
    /// Bytes that were read and lost, either way.
    pub bytes_lost: u64,
}

/// A TCP proxy in front of a server, to be told what to break.
///
/// It works on the runtime that it was started on, and ends, with its
/// connections, when it is dropped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
/// use aside_testkit::{Direction, Impostor, Mode, Proxy};
///
/// let server = Impostor::silent().await?;
/// let proxy = Proxy::start(server.address()).await?;
/// let url = format!("redis://{}", proxy.address());
///
/// proxy.set(Direction::ToClient, Mode::Blackhole); // replies get lost
/// proxy.refuse().await; // and nobody can reconnect
/// proxy.heal().await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    server: watch::Sender<SocketAddr>,
    to_server: watch::Sender<Mode>,
    to_client: watch::Sender<Mode>,
    /// How connections were last told to end, all those that exist then.
    end: watch::Sender<End>,
    wires: Wires,
    /// The task that owns the listening socket; `None` while refusing.
    accepting: Mutex<Option<JoinHandle<()>>>,
}

/// The counters behind [`ProxyCounts`].
#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    open_connections: AtomicU64,
    bytes_to_server: AtomicU64,
    bytes_to_client: AtomicU64,
    bytes_lost: AtomicU64,
}

impl Proxy {
    /// Starts a proxy in front of `server`, on a free port of the loopback
    /// interface. The server need not be there yet.
    ///
    /// # Errors
    ///
    /// When there is no port to listen on.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port()?)).await?;
        let address = listener.local_addr()?;
        let (server, to_which) = watch::channel(server);
        let (to_server, to_server_mode) = watch::channel(Mode::Pass);
        let (to_client, to_client_mode) = watch::channel(Mode::Pass);
        let (end, end_signal) = watch::channel(End::Close);
        let counters = Arc::new(Counters::default());
        let wires = Wires {
            server: to_which,
            to_server_mode,
            to_client_mode,
            end_signal,
            counters,
        };
        let accepting = Mutex::new(Some(tokio::spawn(accept(listener, wires.clone()))));
        Ok(Self {
            address,
            server,
            to_server,
            to_client,
            end,
            wires,
            accepting,
        })
    }

    /// The address for clients to connect to. It never changes.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port for clients to connect to. It never changes.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Leads new connections to another server, as a failover behind one name
    /// does. Connections that exist stay where they are.
    pub fn lead_to(&self, server: SocketAddr) {
        self.server.send_replace(server);
    }

    /// Changes what becomes of bytes that arrive from now on, one way.
    pub fn set(&self, direction: Direction, mode: Mode) {
        match direction {
            Direction::ToServer => self.to_server.send_replace(mode),
            Direction::ToClient => self.to_client.send_replace(mode),
        };
    }

    /// Changes what becomes of bytes that arrive from now on, both ways.
    pub fn set_both(&self, mode: Mode) {
        self.set(Direction::ToServer, mode);
        self.set(Direction::ToClient, mode);
    }

    /// Closes all connections there are (FIN, both sides); how many.
    pub fn sever(&self) -> u64 {
        self.end(End::Close)
    }

    /// Resets all connections there are (RST, both sides); how many.
    pub fn reset(&self) -> u64 {
        self.end(End::Reset)
    }

    /// Refuses new connections from now on, as a host without the server
    /// would. Connections that exist are not touched.
    pub async fn refuse(&self) {
        if let Some(task) = self.accepting.lock().await.take() {
            task.abort();
            // The port is closed once the task is gone, not before.
            let _ = task.await;
        }
    }

    /// Accepts connections again.
    ///
    /// # Panics
    ///
    /// When somebody else has taken the port meanwhile.
    pub async fn accept(&self) {
        let mut accepting = self.accepting.lock().await;
        if accepting.is_none() {
            let listener = TcpListener::bind(self.address)
                .await
                .expect("the port is still ours");
            *accepting = Some(tokio::spawn(accept(listener, self.wires.clone())));
        }
    }

    /// Passes everything both ways and accepts connections again.
    ///
    /// # Panics
    ///
    /// When somebody else has taken the port meanwhile.
    pub async fn heal(&self) {
        self.set_both(Mode::Pass);
        self.accept().await;
    }

    /// What was counted so far.
    pub fn counts(&self) -> ProxyCounts {
        let counters = &self.wires.counters;
        ProxyCounts {
            connections: counters.connections.load(Ordering::Relaxed),
            open_connections: counters.open_connections.load(Ordering::Relaxed),
            bytes_to_server: counters.bytes_to_server.load(Ordering::Relaxed),
            bytes_to_client: counters.bytes_to_client.load(Ordering::Relaxed),
            bytes_lost: counters.bytes_lost.load(Ordering::Relaxed),
        }
    }

    fn end(&self, end: End) -> u64 {
        let open = self.counts().open_connections;
        self.end.send_replace(end);
        open
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(task) = self.accepting.get_mut() {
            task.abort();
        }
        // Connections see their modes' senders go, and end.
    }
}

async fn accept(listener: TcpListener, wires: Wires) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                wires.counters.connections.fetch_add(1, Ordering::Relaxed);
                wires
                    .counters
                    .open_connections
                    .fetch_add(1, Ordering::Relaxed);
                let mut wires = wires.clone();
                // Orders given before this connection existed do not concern it.
                wires.end_signal.mark_unchanged();
                tokio::spawn(serve(client, wires));
            }
            // The client went away again, or we are short of descriptors.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}
