//! A listener at a server's address that is not that server.

mod redis;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

pub use self::redis::Feature;
use crate::port::free_port;

/// How many messages a subscriber may be behind.
const MAX_MESSAGES: usize = 1024;

/// How a [`FakeServer`] treats a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Behavior {
    /// It accepts, reads everything and never sends a byte.
    Silent,
    /// It sends these bytes when the connection opens and after everything it
    /// reads.
    Garbage(Vec<u8>),
    /// It sends these bytes one at a time, with a pause before each, and then
    /// nothing.
    SlowBanner {
        /// The bytes to send.
        banner: Vec<u8>,
        /// The pause before each byte.
        pause: Duration,
    },
    /// It speaks the Redis protocol, but lacks this feature.
    RedisWithout(Feature),
}

/// A listener on a free port of the loopback interface, in place of a real
/// server.
///
/// It runs on the runtime that started it, and ends, with its connections, when
/// it is dropped.
#[derive(Debug)]
pub struct FakeServer {
    address: SocketAddr,
    connections: Arc<AtomicU64>,
    listening: JoinHandle<()>,
}

impl FakeServer {
    /// Starts a server that treats every connection like that.
    ///
    /// # Errors
    ///
    /// If there is no port to listen on.
    pub async fn start(behavior: Behavior) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port()?)).await?;
        let address = listener.local_addr()?;
        let connections = Arc::new(AtomicU64::new(0));
        let listening = tokio::spawn(listen(listener, behavior, Arc::clone(&connections)));
        Ok(Self {
            address,
            connections,
            listening,
        })
    }

    /// Starts a server that never sends a byte.
    ///
    /// # Errors
    ///
    /// If there is no port to listen on.
    pub async fn silent() -> io::Result<Self> {
        Self::start(Behavior::Silent).await
    }

    /// Returns the address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns how many connections were made to it.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, behavior: Behavior, connections: Arc<AtomicU64>) {
    // Owned by this task, so that the connections end with it.
    let mut open = JoinSet::new();
    let (published, _) = broadcast::channel(MAX_MESSAGES);
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                connections.fetch_add(1, Ordering::Relaxed);
                open.spawn(receive(client, behavior.clone(), published.clone()));
            }
            // The client disconnected again, or no file descriptor is left.
            Err(_) => tokio::task::yield_now().await,
        }
        while open.try_join_next().is_some() {}
    }
}

/// Serves one connection until the client closes it.
async fn receive(
    mut client: TcpStream,
    behavior: Behavior,
    published: broadcast::Sender<redis::Message>,
) -> io::Result<()> {
    let mut buffer = [0; 4096];
    match behavior {
        Behavior::Silent => while client.read(&mut buffer).await? > 0 {},
        Behavior::Garbage(garbage) => {
            client.write_all(&garbage).await?;
            while client.read(&mut buffer).await? > 0 {
                client.write_all(&garbage).await?;
            }
        }
        Behavior::SlowBanner { banner, pause } => {
            for byte in banner {
                sleep(pause).await;
                client.write_all(&[byte]).await?;
            }
            while client.read(&mut buffer).await? > 0 {}
        }
        Behavior::RedisWithout(feature) => redis::serve(client, feature, published).await?,
    }
    Ok(())
}
