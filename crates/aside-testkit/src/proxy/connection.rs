//! One connection through the proxy.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::{Counters, Direction, Mode};

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Close,
    Reset,
}

/// The parts of the proxy that every connection uses.
#[derive(Clone, Debug)]
pub(super) struct Wires {
    pub(super) server: watch::Receiver<SocketAddr>,
    pub(super) to_server_mode: watch::Receiver<Mode>,
    pub(super) to_client_mode: watch::Receiver<Mode>,
    pub(super) end_signal: watch::Receiver<End>,
    pub(super) counters: Arc<Counters>,
}

/// How many bytes are read at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// How many chunks may be in transit in one direction.
const CHUNKS_UNDER_WAY: usize = 256;

/// Data in transit in one direction: bytes, or `None` for the end of the
/// stream, and the time of delivery.
type Parcel = (Instant, Option<Vec<u8>>);

/// Connects `client` to the server until either side or the proxy ends it.
pub(super) async fn serve(mut client: TcpStream, wires: Wires) {
    let counters = Arc::clone(&wires.counters);
    // If the server is unreachable, the client is closed, as at any other end.
    let _ = connect(&mut client, wires).await;
    counters.open_connections.fetch_sub(1, Ordering::Relaxed);
}

async fn connect(client: &mut TcpStream, mut wires: Wires) -> io::Result<()> {
    let address = *wires.server.borrow();
    let mut server = TcpStream::connect(address).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;

    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let requests = carry(
            from_client,
            to_server,
            wires.to_server_mode,
            Direction::ToServer,
            &wires.counters,
        );
        let replies = carry(
            from_server,
            to_client,
            wires.to_client_mode,
            Direction::ToClient,
            &wires.counters,
        );
        tokio::select! {
            // Both ended by themselves, or one of them by an error.
            carried = async { tokio::try_join!(requests, replies) } => match carried {
                Ok(_) => End::Close,
                Err(_) => End::Reset,
            },
            // An error means that the proxy was dropped.
            told = wires.end_signal.changed() => match told {
                Ok(()) => *wires.end_signal.borrow(),
                Err(_) => End::Close,
            },
        }
    };
    if end == End::Reset {
        client.set_zero_linger()?;
        server.set_zero_linger()?;
    }
    Ok(())
}

/// Forwards bytes in one direction until their stream ends, in the current
/// mode.
async fn carry(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    mode: watch::Receiver<Mode>,
    direction: Direction,
    counters: &Counters,
) -> io::Result<()> {
    let delivered = match direction {
        Direction::ToServer => &counters.bytes_to_server,
        Direction::ToClient => &counters.bytes_to_client,
    };
    // Reading and writing are separate, so that delayed bytes do not delay
    // later ones.
    let (parcels, due) = mpsc::channel(CHUNKS_UNDER_WAY);
    let collect = collect(from, parcels, mode, &counters.bytes_lost);
    tokio::try_join!(collect, deliver(to, due, delivered))?;
    Ok(())
}

async fn collect(
    from: ReadHalf<'_>,
    parcels: mpsc::Sender<Parcel>,
    mut mode: watch::Receiver<Mode>,
    lost: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut half_closed = false;
    // The time when a narrow network will have transmitted all accepted bytes.
    let mut carried = Instant::now();
    loop {
        let now = *mode.borrow_and_update();
        if now == Mode::HalfClose && !half_closed {
            half_closed = true;
            let _ = parcels.send((Instant::now(), None)).await;
        }
        if now == Mode::Stall {
            changed(&mut mode).await?;
            continue;
        }
        // Wait without reading, because a change of the mode must take effect
        // first.
        tokio::select! {
            biased;
            change = changed(&mut mode) => { change?; continue }
            readable = from.readable() => readable?,
        }
        let length = match from.try_read(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        let due = match now {
            _ if half_closed => None,
            Mode::Pass => Some(Instant::now()),
            Mode::Delay(delay) => Some(Instant::now() + delay),
            Mode::Throttle(per_second) => {
                let takes = length as f64 / f64::from(per_second.get());
                carried = carried.max(Instant::now()) + Duration::from_secs_f64(takes);
                Some(carried)
            }
            Mode::Reset if length > 0 => {
                lost.fetch_add(length as u64, Ordering::Relaxed);
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            Mode::Reset | Mode::Blackhole | Mode::HalfClose | Mode::Stall => None,
        };
        match (due, length) {
            (Some(due), 0) => {
                let _ = parcels.send((due, None)).await;
                return Ok(());
            }
            (Some(due), _) => {
                // An error means that the receiver has failed, which ends this
                // task.
                let _ = parcels.send((due, Some(buffer[..length].to_vec()))).await;
            }
            (None, 0) if half_closed => return Ok(()),
            // The end of the stream is lost as well, until the mode changes.
            (None, 0) => changed(&mut mode).await?,
            (None, _) => {
                lost.fetch_add(length as u64, Ordering::Relaxed);
            }
        }
    }
}

async fn deliver(
    mut to: WriteHalf<'_>,
    mut parcels: mpsc::Receiver<Parcel>,
    delivered: &AtomicU64,
) -> io::Result<()> {
    while let Some((due, bytes)) = parcels.recv().await {
        sleep_until(due).await;
        match bytes {
            Some(bytes) => {
                to.write_all(&bytes).await?;
                delivered.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
            None => {
                to.shutdown().await?;
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Waits for another mode; an error means that the proxy was dropped.
async fn changed(mode: &mut watch::Receiver<Mode>) -> io::Result<()> {
    mode.changed().await.map_err(io::Error::other)
}
