//! Something that listens where a server should be, and is none.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::port::free_port;

/// What an [`Impostor`] does with a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conduct {
    /// It accepts, reads everything and never says a word.
    Silent,
    /// It says this when the connection opens and whenever it is told
    /// something, whatever that was.
    Garbage(Vec<u8>),
    /// It says this one byte at a time, with a pause before each, and then
    /// nothing.
    SlowBanner {
        /// What it says.
        banner: Vec<u8>,
        /// How long it waits before each byte.
        pause: Duration,
    },
}

/// A listener on a free port of the loopback interface that is not the server
/// it is taken for.
///
/// It works on the runtime that it was started on, and ends, with its
/// connections, when it is dropped.
#[derive(Debug)]
pub struct Impostor {
    address: SocketAddr,
    connections: Arc<AtomicU64>,
    listening: JoinHandle<()>,
}

impl Impostor {
    /// Starts an impostor that behaves like that on every connection.
    ///
    /// # Errors
    ///
    /// When there is no port to listen on.
    pub async fn start(conduct: Conduct) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port()?)).await?;
        let address = listener.local_addr()?;
        let connections = Arc::new(AtomicU64::new(0));
        let listening = tokio::spawn(listen(listener, conduct, Arc::clone(&connections)));
        Ok(Self {
            address,
            connections,
            listening,
        })
    }

    /// Starts an impostor that never says a word.
    ///
    /// # Errors
    ///
    /// When there is no port to listen on.
    pub async fn silent() -> io::Result<Self> {
        Self::start(Conduct::Silent).await
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, conduct: Conduct, connections: Arc<AtomicU64>) {
    // Owned by this task, so that connections end with it.
    let mut open = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                connections.fetch_add(1, Ordering::Relaxed);
                open.spawn(receive(client, conduct.clone()));
            }
            // The client went away again, or we are short of descriptors.
            Err(_) => tokio::task::yield_now().await,
        }
        while open.try_join_next().is_some() {}
    }
}

/// Behaves until the client goes, which is the only end there is.
async fn receive(mut client: TcpStream, conduct: Conduct) -> io::Result<()> {
    let mut buffer = [0; 4096];
    match conduct {
        Conduct::Silent => while client.read(&mut buffer).await? > 0 {},
        Conduct::Garbage(garbage) => {
            client.write_all(&garbage).await?;
            while client.read(&mut buffer).await? > 0 {
                client.write_all(&garbage).await?;
            }
        }
        Conduct::SlowBanner { banner, pause } => {
            for byte in banner {
                sleep(pause).await;
                client.write_all(&[byte]).await?;
            }
            while client.read(&mut buffer).await? > 0 {}
        }
    }
    Ok(())
}
