//! A TCP proxy that imitates network faults.
//!
//! It sits between a client and a real server and forwards everything until a
//! fault is set. Each direction has a separate [`Mode`], because the
//! interesting faults are one-sided. A request that was executed and whose
//! reply was lost looks to the client like a request that never arrived.

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

/// One of the two directions through a [`Proxy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From clients to the server: requests.
    ToServer,
    /// From the server to clients: replies and messages.
    ToClient,
}

/// The treatment of bytes in one direction, on connections old and new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Mode {
    /// They are delivered.
    #[default]
    Pass,
    /// They are delivered after this time, in order and at full bandwidth.
    Delay(Duration),
    /// They are delivered in order, at this many bytes per second on each
    /// connection: a narrow network, whose buffers take megabytes at once.
    Throttle(NonZeroU32),
    /// They are swallowed, and so is the end of the stream. The connection
    /// stays open without an error: a network that drops packets.
    Blackhole,
    /// They are not read, so the sender's buffers fill up: a peer that hangs.
    /// They are delivered when the mode changes.
    Stall,
    /// The stream ends for its receiver, and later bytes are swallowed. A
    /// connection that was half-closed remains so when the mode changes.
    HalfClose,
    /// The next bytes are lost and reset the connection (RST) on both sides.
    /// Towards the client: the request was executed, its reply is lost.
    Reset,
}

/// The counters of a [`Proxy`] since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyCounts {
    /// Connections accepted from clients.
    pub connections: u64,
    /// Of these, the connections that are open now.
    pub open_connections: u64,
    /// Bytes delivered to the server.
    pub bytes_to_server: u64,
    /// Bytes delivered to clients.
    pub bytes_to_client: u64,
    /// Bytes that were read and lost, in either direction.
    pub bytes_lost: u64,
}

/// A TCP proxy in front of a server, with faults on request.
///
/// It runs on the runtime that started it, and ends, with its connections, when
/// it is dropped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
/// use aside_testkit::{Direction, FakeServer, Mode, Proxy};
///
/// let server = FakeServer::silent().await?;
/// let proxy = Proxy::start(server.address()).await?;
/// let url = format!("redis://{}", proxy.address());
///
/// proxy.set(Direction::ToClient, Mode::Blackhole); // replies get lost
/// proxy.refuse().await; // and no client can reconnect
/// proxy.heal().await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    server: watch::Sender<SocketAddr>,
    to_server: watch::Sender<Mode>,
    to_client: watch::Sender<Mode>,
    /// The last order to end connections, which applies to all open ones.
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
    /// interface. The server may start later.
    ///
    /// # Errors
    ///
    /// If there is no port to listen on.
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

    /// Returns the address for clients to connect to. It never changes.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the port for clients to connect to. It never changes.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connects new clients to another server, like a failover behind one name.
    /// Existing connections stay with the old server.
    pub fn lead_to(&self, server: SocketAddr) {
        self.server.send_replace(server);
    }

    /// Sets the treatment of bytes that arrive from now on, in one direction.
    pub fn set(&self, direction: Direction, mode: Mode) {
        match direction {
            Direction::ToServer => self.to_server.send_replace(mode),
            Direction::ToClient => self.to_client.send_replace(mode),
        };
    }

    /// Sets the treatment of bytes that arrive from now on, in both directions.
    pub fn set_both(&self, mode: Mode) {
        self.set(Direction::ToServer, mode);
        self.set(Direction::ToClient, mode);
    }

    /// Closes all open connections (FIN, both sides). Returns how many there
    /// were.
    pub fn sever(&self) -> u64 {
        self.end(End::Close)
    }

    /// Resets all open connections (RST, both sides). Returns how many there
    /// were.
    pub fn reset(&self) -> u64 {
        self.end(End::Reset)
    }

    /// Refuses new connections from now on, like a host without the server.
    /// Existing connections are not affected.
    pub async fn refuse(&self) {
        if let Some(task) = self.accepting.lock().await.take() {
            task.abort();
            // The port is closed only when the task has ended.
            let _ = task.await;
        }
    }

    /// Accepts connections again.
    ///
    /// # Panics
    ///
    /// If another process has taken the port in the meantime.
    pub async fn accept(&self) {
        let mut accepting = self.accepting.lock().await;
        if accepting.is_none() {
            let listener = TcpListener::bind(self.address)
                .await
                .expect("the port is still free");
            *accepting = Some(tokio::spawn(accept(listener, self.wires.clone())));
        }
    }

    /// Forwards everything in both directions and accepts connections again.
    ///
    /// # Panics
    ///
    /// If another process has taken the port in the meantime.
    pub async fn heal(&self) {
        self.set_both(Mode::Pass);
        self.accept().await;
    }

    /// Returns the counters.
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
        // Dropping the senders of the modes ends the connections.
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
                // Orders from before this connection existed do not apply to
                // it.
                wires.end_signal.mark_unchanged();
                tokio::spawn(serve(client, wires));
            }
            // The client disconnected again, or no file descriptor is left.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}
