//! Opens a TCP connection to one of the addresses of a name.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;

/// How long one address of a name may keep the next one waiting.
const HEAD_START: Duration = Duration::from_millis(250);

/// Resolves the name at each attempt, because a failover may change it.
pub(super) async fn over_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses = tokio::net::lookup_host((host, port)).await?;
    let stream = first_of(alternating(addresses.collect())).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Returns IPv6 and IPv4 addresses by turns, the resolver's preferred kind first:
/// if one kind leads nowhere, the second attempt succeeds.
fn alternating(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let preferred = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (one, other): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == preferred);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut sorted = Vec::new();
    loop {
        let pair = [one.next(), other.next()];
        if pair == [None, None] {
            return sorted;
        }
        sorted.extend(pair.into_iter().flatten());
    }
}

/// Returns the first connection to any of these addresses (happy eyeballs, RFC
/// 8305). An address without a reply delays the next one by [`HEAD_START`], one that
/// refuses by nothing. The crates that do this bring an HTTP client with them.
async fn first_of(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut rest = addresses.into_iter();
    let mut trying = FuturesUnordered::new();
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        trying.extend(rest.next().map(TcpStream::connect));
        if trying.is_empty() {
            return Err(failed);
        }
        loop {
            let others = rest.len() > 0;
            tokio::select! {
                biased;
                connected = trying.next() => match connected {
                    Some(Ok(stream)) => return Ok(stream),
                    Some(Err(error)) => failed = error,
                    None => {}
                },
                () = tokio::time::sleep(HEAD_START), if others => {}
            }
            if others || trying.is_empty() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::{TcpListener, TcpSocket};
    use tokio::time::Instant;

    use super::*;

    const ANY: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

    /// Returns an address that replies to no SYN, like one behind a firewall: its
    /// queue is full. It lasts until the second value is dropped.
    async fn dead() -> (SocketAddr, impl Sized) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(ANY.into()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        let full = async {
            loop {
                queued.push(TcpStream::connect(address).await.unwrap());
            }
        };
        let _ = tokio::time::timeout(Duration::from_millis(100), full).await;
        (address, (listener, queued))
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_costs_its_head_start() {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let alive = listener.local_addr().unwrap();
        let (dead, _kept) = dead().await;
        let begun = Instant::now();
        let stream = first_of(vec![dead, alive]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), alive);
        assert!(HEAD_START <= begun.elapsed());
        assert!(begun.elapsed() < HEAD_START * 3, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn an_address_that_refuses_costs_nothing() {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let alive = listener.local_addr().unwrap();
        let refusing = TcpListener::bind(ANY).await.unwrap().local_addr().unwrap();
        let begun = Instant::now();
        let stream = first_of(vec![refusing, refusing, alive]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), alive);
        assert!(begun.elapsed() < HEAD_START, "{:?}", begun.elapsed());
        assert!(first_of(vec![refusing, refusing]).await.is_err());
        assert!(first_of(Vec::new()).await.is_err());
    }

    #[test]
    fn addresses_of_both_kinds_are_tried_by_turns() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let [a, b, c] = ["[::1]:1", "[::2]:1", "[::3]:1"].map(address);
        let [x, y] = ["1.1.1.1:1", "2.2.2.2:1"].map(address);
        assert_eq!(alternating(vec![a, b, c, x, y]), [a, x, b, y, c]);
        assert_eq!(alternating(vec![x, a, b]), [x, a, b]);
        assert_eq!(alternating(vec![]), []);
    }
}
