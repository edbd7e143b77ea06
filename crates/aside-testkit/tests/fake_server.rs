//! The behaviours of an fake_server.

use std::time::{Duration, Instant};

use aside_testkit::{Behavior, FakeServer, Feature, eventually};
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

/// Returns all that a server without a feature sends, until it sent `last`.
async fn ask(server: &FakeServer, requests: &[&str], last: &str) -> String {
    let mut client = TcpStream::connect(server.address()).await.unwrap();
    let mut replies = Vec::new();
    for request in requests {
        let words: Vec<&str> = request.split(' ').collect();
        let parts = words
            .iter()
            .map(|word| format!("${}\r\n{word}\r\n", word.len()));
        let text = format!("*{}\r\n{}", words.len(), parts.collect::<String>());
        client.write_all(text.as_bytes()).await.unwrap();
    }
    let all = async {
        loop {
            let text = String::from_utf8_lossy(&replies);
            if text.ends_with(last) {
                return text.into_owned();
            }
            let read = client.read_buf(&mut replies).await.unwrap();
            assert!(read > 0, "{:?}", String::from_utf8_lossy(&replies));
        }
    };
    timeout(SOON, all).await.unwrap()
}

#[tokio::test]
async fn a_redis_without_a_replication_id_has_only_a_role() {
    let without = Behavior::RedisWithout(Feature::ReplicationId);
    let server = FakeServer::start(without).await.unwrap();
    let requests = ["HELLO 3", "INFO replication", "PING"];
    let replies = ask(&server, &requests, "+PONG\r\n").await;
    assert!(replies.starts_with("%5\r\n"), "{replies}");
    assert!(replies.contains("role:master"), "{replies}");
    assert!(!replies.contains("master_replid"), "{replies}");
}

#[tokio::test]
async fn a_redis_without_resp3_refuses_hello_and_serves_resp2() {
    let without = Behavior::RedisWithout(Feature::Resp3);
    let server = FakeServer::start(without).await.unwrap();
    let replies = ask(&server, &["HELLO 3", "GET k", "PING"], "+PONG\r\n").await;
    assert_eq!(replies, "-ERR unknown command 'HELLO'\r\n$-1\r\n+PONG\r\n");
}

#[tokio::test]
async fn a_redis_without_scripts_refuses_them_by_permission() {
    let without = Behavior::RedisWithout(Feature::Scripts);
    let server = FakeServer::start(without).await.unwrap();
    let requests = ["HELLO 3", "EVALSHA 0 0", "INFO replication", "PING"];
    let replies = ask(&server, &requests, "+PONG\r\n").await;
    assert!(replies.contains("-NOPERM "), "{replies}");
    assert!(replies.contains("master_replid:"), "{replies}");
}

#[tokio::test]
async fn messages_precede_a_pong_unless_their_order_is_lacking() {
    for (without, ordered) in [(Feature::Scripts, true), (Feature::MessageOrder, false)] {
        let server = FakeServer::start(Behavior::RedisWithout(without)).await;
        let server = server.unwrap();
        let requests = ["HELLO 3", "SUBSCRIBE news", "PUBLISH news told", "PING"];
        let last = if ordered { "+PONG\r\n" } else { "told\r\n" };
        let replies = ask(&server, &requests, last).await;
        let message = ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$4\r\ntold\r\n";
        let expected = match ordered {
            true => format!("{message}+PONG\r\n"),
            false => format!("+PONG\r\n{message}"),
        };
        assert!(replies.ends_with(&expected), "{without:?}: {replies}");
    }
}
