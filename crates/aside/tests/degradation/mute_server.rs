//! A server that begins like a Redis, and then falls silent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;

/// How often each command was the first without a reply.
#[derive(Default)]
struct Unanswered {
    info: AtomicUsize,
    scripts: AtomicUsize,
}

/// Replies to the greeting and to subscriptions, and to nothing after that.
async fn greet(mut client: TcpStream, unanswered: Arc<Unanswered>) -> std::io::Result<()> {
    let (mut buffer, mut said) = ([0; 65536], String::new());
    loop {
        let length = client.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        said += &String::from_utf8_lossy(&buffer[..length]);
        let mut answer = String::new();
        // A service waits for the replies to one batch before the next.
        for word in ["HELLO", "CLIENT", "SUBSCRIBE", "INFO", "SCRIPT"] {
            for _ in said.matches(&format!("\r\n{word}\r\n")) {
                match word {
                    "HELLO" => answer += "%1\r\n$5\r\nproto\r\n:3\r\n",
                    "CLIENT" => answer += "+OK\r\n",
                    "SUBSCRIBE" => {
                        answer += ">3\r\n$9\r\nsubscribe\r\n$16\r\naside:invalidate\r\n:1\r\n";
                    }
                    "INFO" => _ = unanswered.info.fetch_add(1, Ordering::SeqCst),
                    _ => _ = unanswered.scripts.fetch_add(1, Ordering::SeqCst),
                }
            }
        }
        said.clear();
        client.write_all(answer.as_bytes()).await?;
    }
}

#[tokio::test]
async fn a_server_silent_after_its_greeting_is_tried_repeatedly() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let unanswered = Arc::new(Unanswered::default());
    let mut server = JoinSet::new();
    let counts = Arc::clone(&unanswered);
    server.spawn(async move {
        let mut clients = JoinSet::new();
        while let Ok((client, _)) = listener.accept().await {
            clients.spawn(greet(client, Arc::clone(&counts)));
        }
    });
    let library = Library::of(1);
    let config = CacheConfig {
        redis_socket_timeout: Duration::from_millis(200),
        redis_max_connections: 2,
        ..at(&format!("redis://{address}/0"))
    };
    let instance = Instance::start(config, &library).await;
    let asked = |count: &AtomicUsize| count.load(Ordering::SeqCst);
    eventually(EVENTUALLY, "further attempts to subscribe", async || {
        asked(&unanswered.info) >= 2
    })
    .await;
    // Six scripts in each attempt.
    eventually(EVENTUALLY, "further attempts to load scripts", async || {
        asked(&unanswered.scripts) >= 12
    })
    .await;
    assert_eq!(instance.tier(1).await, Tier::Source);
}
