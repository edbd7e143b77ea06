//! The faults that the proxy injects.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aside_testkit::{Direction, Mode, Proxy, RedisServer, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);
/// Long enough for any bytes that will arrive on this machine.
const AWHILE: Duration = Duration::from_millis(200);

/// A server that echoes everything, and closes after its client has.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = client.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    address
}

/// A proxy before an echo server, and a working connection through it.
async fn connected() -> (Proxy, TcpStream) {
    let proxy = Proxy::start(echo().await).await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    round_trip(&mut client).await;
    (proxy, client)
}

async fn round_trip(client: &mut TcpStream) {
    client.write_all(b"hello").await.unwrap();
    expect(client, b"hello").await;
}

async fn expect(client: &mut TcpStream, expected: &[u8]) {
    let mut answer = vec![0; expected.len()];
    timeout(SOON, client.read_exact(&mut answer))
        .await
        .expect("a reply")
        .unwrap();
    assert_eq!(answer, expected);
}

async fn expect_silence(client: &mut TcpStream) {
    let read = timeout(AWHILE, client.read(&mut [0])).await;
    assert!(read.is_err(), "{read:?}");
}

async fn expect_reset(client: &mut TcpStream) {
    let read = timeout(SOON, client.read(&mut [0])).await.unwrap();
    assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_healthy_proxy_forwards_and_counts_everything() {
    let (proxy, mut client) = connected().await;
    let megabyte = vec![7; 1 << 20];
    let (mut from, mut to) = client.split();
    let mut echoed = vec![0; megabyte.len()];
    let (written, read) = tokio::join!(to.write_all(&megabyte), from.read_exact(&mut echoed));
    written.unwrap();
    read.unwrap();
    assert_eq!(echoed, megabyte);

    client.shutdown().await.unwrap();
    assert_eq!(
        timeout(SOON, client.read(&mut [0])).await.unwrap().unwrap(),
        0
    );
    eventually(SOON, "the connection to be over", async || {
        proxy.counts().open_connections == 0
    })
    .await;
    let counts = proxy.counts();
    assert_eq!(counts.connections, 1);
    assert_eq!(counts.bytes_to_server, 5 + (1 << 20));
    assert_eq!(counts.bytes_to_client, 5 + (1 << 20));
    assert_eq!(counts.bytes_lost, 0);
}

#[tokio::test]
async fn delays_of_several_packets_overlap() {
    let (proxy, mut client) = connected().await;
    proxy.set(Direction::ToClient, Mode::Delay(Duration::from_millis(100)));
    let start = Instant::now();
    for _ in 0..20 {
        client.write_all(b"x").await.unwrap();
        // Sent with a pause, so that they are not combined.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    expect(&mut client, &[b'x'; 20]).await;
    assert!(Duration::from_millis(100) <= start.elapsed());
    assert!(start.elapsed() < 20 * Duration::from_millis(100));
}

#[tokio::test]
async fn a_blackhole_swallows_replies_and_the_connection_survives() {
    let (proxy, mut client) = connected().await;
    proxy.set(Direction::ToClient, Mode::Blackhole);
    client.write_all(b"lost").await.unwrap();
    expect_silence(&mut client).await;
    assert_eq!(proxy.counts().bytes_to_server, 9);
    assert_eq!(proxy.counts().bytes_lost, 4);
    proxy.set(Direction::ToClient, Mode::Pass);
    round_trip(&mut client).await;
}

#[tokio::test]
async fn a_blackhole_swallows_requests_and_the_end_of_the_stream() {
    let (proxy, mut client) = connected().await;
    proxy.set(Direction::ToServer, Mode::Blackhole);
    client.write_all(b"lost").await.unwrap();
    client.shutdown().await.unwrap();
    expect_silence(&mut client).await;
    assert_eq!(proxy.counts().bytes_to_server, 5);
    proxy.heal().await;
    assert_eq!(
        timeout(SOON, client.read(&mut [0])).await.unwrap().unwrap(),
        0
    );
}

#[tokio::test]
async fn stalled_bytes_arrive_when_the_stall_is_over() {
    let (proxy, mut client) = connected().await;
    proxy.set_both(Mode::Stall);
    client.write_all(b"patience").await.unwrap();
    expect_silence(&mut client).await;
    proxy.heal().await;
    expect(&mut client, b"patience").await;
}

#[tokio::test]
async fn a_stall_fills_the_buffers_of_the_sender() {
    let (proxy, mut client) = connected().await;
    proxy.set(Direction::ToServer, Mode::Stall);
    let endless = async {
        loop {
            client.write_all(&[0; 1 << 16]).await.unwrap();
        }
    };
    assert!(timeout(Duration::from_secs(1), endless).await.is_err());
    assert_eq!(proxy.counts().bytes_to_server, 5);
}

#[tokio::test]
async fn a_half_closed_direction_ends_while_the_other_works() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();

    proxy.set(Direction::ToServer, Mode::HalfClose);
    assert_eq!(
        timeout(SOON, server.read(&mut [0])).await.unwrap().unwrap(),
        0
    );
    client.write_all(b"lost").await.unwrap();
    server.write_all(b"still here").await.unwrap();
    expect(&mut client, b"still here").await;

    proxy.heal().await;
    client.write_all(b"lost as well").await.unwrap();
    eventually(SOON, "the rest to be swallowed", async || {
        proxy.counts().bytes_lost == 16
    })
    .await;
}

#[tokio::test]
async fn a_reset_towards_the_client_loses_an_executed_commands_reply() {
    let redis = RedisServer::start().unwrap();
    let proxy = Proxy::start(redis.address()).await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    client.write_all(b"PING\r\n").await.unwrap();
    expect(&mut client, b"+PONG\r\n").await;

    proxy.set(Direction::ToClient, Mode::Reset);
    client.write_all(b"SET k v\r\n").await.unwrap();
    expect_reset(&mut client).await;
    assert_eq!(redis.command(&["GET", "k"]).text(), Some("v"));
}

#[tokio::test]
async fn severed_connections_end_and_new_ones_work() {
    let (proxy, mut client) = connected().await;
    assert_eq!(proxy.sever(), 1);
    assert_eq!(
        timeout(SOON, client.read(&mut [0])).await.unwrap().unwrap(),
        0
    );
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    round_trip(&mut client).await;
    assert_eq!(proxy.counts().connections, 2);
}

#[tokio::test]
async fn reset_connections_see_an_error_and_new_ones_work() {
    let (proxy, mut client) = connected().await;
    assert_eq!(proxy.reset(), 1);
    expect_reset(&mut client).await;
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    round_trip(&mut client).await;
}

#[tokio::test]
async fn refusing_touches_new_connections_only() {
    let (proxy, mut client) = connected().await;
    proxy.refuse().await;
    let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    round_trip(&mut client).await;

    proxy.accept().await;
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    round_trip(&mut client).await;
}

#[tokio::test]
async fn a_client_is_closed_when_there_is_no_server() {
    let redis = RedisServer::start().unwrap();
    let proxy = Proxy::start(redis.address()).await.unwrap();
    redis.kill();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(
        timeout(SOON, client.read(&mut [0])).await.unwrap().unwrap(),
        0
    );
}

#[tokio::test]
async fn dropping_a_proxy_closes_its_connections() {
    let (proxy, mut client) = connected().await;
    let address = proxy.address();
    drop(proxy);
    assert!(matches!(
        timeout(SOON, client.read(&mut [0])).await.unwrap(),
        Ok(0) | Err(_)
    ));
    eventually(SOON, "the port to close", async || {
        TcpStream::connect(address).await.is_err()
    })
    .await;
}
