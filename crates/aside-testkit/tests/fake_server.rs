//! The behaviours of an fake_server.

use std::time::{Duration, Instant};

use aside_testkit::{Behavior, FakeServer, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_silent_fake_accepts_and_never_replies() {
    let fake_server = FakeServer::silent().await.unwrap();
    let mut client = TcpStream::connect(fake_server.address()).await.unwrap();
    client.write_all(b"PING\r\n").await.unwrap();
    let read = timeout(Duration::from_millis(200), client.read(&mut [0])).await;
    assert!(read.is_err(), "{read:?}");
    assert_eq!(fake_server.connections(), 1);
}

#[tokio::test]
async fn garbage_is_the_reply_to_every_command() {
    let garbage = b"\xff\x00nonsense".to_vec();
    let fake_server = FakeServer::start(Behavior::Garbage(garbage.clone()))
        .await
        .unwrap();
    let mut client = TcpStream::connect(fake_server.address()).await.unwrap();
    let mut answer = vec![0; garbage.len()];
    for _ in 0..2 {
        timeout(SOON, client.read_exact(&mut answer))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(answer, garbage);
        client.write_all(b"PING\r\n").await.unwrap();
    }
}

#[tokio::test]
async fn a_slow_banner_comes_byte_by_byte() {
    let pause = Duration::from_millis(20);
    let behavior = Behavior::SlowBanner {
        banner: b"+PONG\r\n".to_vec(),
        pause,
    };
    let fake_server = FakeServer::start(behavior).await.unwrap();
    let start = Instant::now();
    let mut client = TcpStream::connect(fake_server.address()).await.unwrap();
    let mut answer = [0; 7];
    timeout(SOON, client.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
    assert!(7 * pause <= start.elapsed());
}

#[tokio::test]
async fn dropping_a_fake_closes_its_connections() {
    let fake_server = FakeServer::silent().await.unwrap();
    let address = fake_server.address();
    let mut client = TcpStream::connect(address).await.unwrap();
    eventually(SOON, "the connection", async || {
        fake_server.connections() == 1
    })
    .await;
    drop(fake_server);
    assert!(matches!(
        timeout(SOON, client.read(&mut [0])).await.unwrap(),
        Ok(0) | Err(_)
    ));
    assert!(TcpStream::connect(address).await.is_err());
}
