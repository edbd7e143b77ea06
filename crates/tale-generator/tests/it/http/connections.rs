//! Slow, numerous and endless clients, on real sockets with short limits.

use std::future::pending;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aside_admin::Access;
use axum::Router;
use axum::routing::get;
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tale_generator::http::{Limits, router, serve};
use tale_generator::sql::DatabaseOptions;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::api::{Api, hero, story};
use crate::databases::cache_in_memory;

const SHORT: Limits = Limits {
    header_within: Duration::from_millis(600),
    read_within: Duration::from_millis(600),
    connections: 8,
};

/// Longer than any limit, and shorter than a test.
const PATIENCE: Duration = Duration::from_secs(8);

/// A service on a separate port, until it is dropped.
struct Served {
    api: Api,
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Served {
    async fn start(limits: Limits) -> Self {
        Self::start_also(limits, Router::new()).await
    }

    /// The same, with more routes.
    async fn start_also(limits: Limits, more: Router) -> Self {
        Self::start_over(Api::in_memory().await, limits, more).await
    }

    async fn start_over(api: Api, limits: Limits, more: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = router(&api.tales, Access::closed("Set a token.")).merge(more);
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(serve(listener, router, limits, async move {
            let _ = stopped.await;
        }));
        Self {
            api,
            address,
            _stop: stop,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends this on a connection that takes little of the response.
    async fn send_slowly(&self, sent: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(self.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        stream
    }

    /// Sends this and returns everything received until the connection ends.
    async fn ask(&self, sent: &str) -> String {
        let mut stream = self.connect().await;
        let _ = stream.write_all(sent.as_bytes()).await;
        rest_of(&mut stream).await
    }

    async fn get(&self, path: &str) -> String {
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        self.ask(&head).await
    }
}

/// Reads until the connection ends, and asserts that it does.
async fn rest_of(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let ended = timeout(PATIENCE, async {
        let mut buffer = [0; 65536];
        // A reset also ends it.
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..count]);
        }
    });
    assert!(ended.await.is_ok(), "the connection stays open");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_header_that_takes_too_long_ends_the_connection() {
    let served = Served::start(SHORT).await;
    assert_eq!(served.ask("").await, "");
    assert_eq!(served.ask("GET / HTTP/1.1\r\nHost: a\r\nX: ").await, "");
    let mut trickling = served.connect().await;
    let begun = Instant::now();
    while trickling.write_all(b"G").await.is_ok() {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_connection_that_pauses_too_long_is_ended() {
    let served = Served::start(SHORT).await;
    for keep in [
        "HTTP/1.1\r\nHost: a",
        "HTTP/1.0\r\nHost: a\r\nConnection: keep-alive",
    ] {
        let answer = served
            .ask(&format!("GET /health/live {keep}\r\n\r\n"))
            .await;
        assert!(answer.contains(" 200 "), "{answer}");
    }
}

#[tokio::test]
async fn pipelined_requests_get_responses_in_order() {
    let served = Served::start(SHORT).await;
    let one = "GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n";
    let last = "GET /no/such HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answers = served.ask(&format!("{one}{one}{last}")).await;
    let statuses: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).collect();
    assert_eq!(statuses.len(), 3, "{answers}");
    assert!(statuses[0].starts_with("200") && statuses[1].starts_with("200"));
    assert!(statuses[2].starts_with("404"), "{answers}");
}

#[tokio::test]
async fn a_response_that_is_not_read_is_abandoned() {
    let served = Served::start(SHORT).await;
    let mut large = story("A story");
    large["content"] = "x".repeat(900_000).into();
    for _ in 0..8 {
        served.api.added("/stories", &large).await;
    }
    let one = "GET /stories HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut stream = served.send_slowly(one).await;
    // The kernel buffers some megabytes. A server that closes while
    // requests are unread resets the connection, and the next write fails.
    aside_testkit::eventually(PATIENCE * 3, "a reset of the connection", async || {
        stream.write_all(one.as_bytes()).await.is_err()
    })
    .await;
}

#[tokio::test]
async fn a_new_connection_is_refused_at_once_if_all_are_busy() {
    let (begun, mut begins) = mpsc::unbounded_channel();
    let slow = get(async move || {
        let _ = begun.send(());
        pending::<()>().await;
    });
    let routes = Router::new().route("/slow", slow);
    let served = Served::start_also(SHORT, routes).await;
    let mut busy = Vec::new();
    for _ in 0..SHORT.connections {
        let mut stream = served.connect().await;
        let asked = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
        stream.write_all(asked).await.unwrap();
        begins.recv().await.unwrap();
        busy.push(stream);
    }
    let begun = Instant::now();
    let refused = served.get("/health/live").await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(begun.elapsed() < Duration::from_secs(2));
    drop(busy);
    aside_testkit::eventually(PATIENCE, "an answer", async || {
        served.get("/health/live").await.starts_with("HTTP/1.1 200")
    })
    .await;
}

#[tokio::test]
async fn bodies_that_do_not_arrive_exclude_no_new_connection() {
    let served = Served::start(SHORT).await;
    let mut slow = Vec::new();
    for _ in 0..2 * SHORT.connections {
        let mut stream = served.connect().await;
        let begun = "POST /heroes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
            Expect: 100-continue\r\nContent-Length: 100\r\n\r\n";
        stream.write_all(begun.as_bytes()).await.unwrap();
        // Its handler waits for the body.
        let mut go_on = [0; 25];
        stream.read_exact(&mut go_on).await.unwrap();
        slow.push(stream);
    }
    let answer = served.get("/health/live").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(rest_of(&mut slow[0]).await, "");
}

#[tokio::test]
async fn responses_that_are_not_read_exclude_no_new_connection() {
    let served = Served::start(Limits {
        read_within: PATIENCE * 4,
        ..SHORT
    })
    .await;
    let mut large = story("A story");
    large["content"] = "x".repeat(900_000).into();
    served.api.added("/stories", &large).await;
    let many = "GET /stories HTTP/1.1\r\nHost: a\r\n\r\n".repeat(16);
    let mut slow = Vec::new();
    for _ in 0..SHORT.connections {
        let mut stream = served.send_slowly(&many).await;
        let mut first = [0; 15];
        stream.read_exact(&mut first).await.unwrap();
        slow.push(stream);
    }
    // Until each has filled what the kernel takes by itself, it is busy.
    aside_testkit::eventually(PATIENCE, "an answer", async || {
        served.get("/health/live").await.starts_with("HTTP/1.1 200")
    })
    .await;
}

/// Makes each read of stories take some hundred milliseconds.
const SLOW_STORIES: &str = "ALTER TABLE stories RENAME TO told;
    CREATE VIEW stories AS SELECT * FROM told WHERE 0 < (
        WITH RECURSIVE counted (n) AS (
            SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 1000000)
        SELECT count(*) FROM counted)";

#[tokio::test]
async fn slow_readers_of_a_large_list_leave_connections_to_others() {
    let directory = TempDir::new().unwrap();
    let url = format!("sqlite:{}", directory.path().join("tales.db").display());
    let options = DatabaseOptions::default();
    let api = Api::over(&url, options, cache_in_memory().await).await;
    let mut large = story("A story");
    large["content"] = "x".repeat(1_000_000).into();
    for _ in 0..6 {
        api.added("/stories", &large).await;
    }
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    other.execute(sqlx::raw_sql(SLOW_STORIES)).await.unwrap();
    let limits = Limits::default();
    let served = Served::start_over(api, limits, Router::new()).await;
    let mut slow = Vec::new();
    for _ in 0..150 {
        let asked = "GET /stories HTTP/1.1\r\nHost: a\r\n\r\n";
        slow.push(served.send_slowly(asked).await);
    }
    for name in 0..10 {
        let path = format!("/heroes?name={name}");
        let answer = served.get(&path).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_new_connection_replaces_the_longest_idle_one() {
    let served = Served::start(Limits {
        header_within: PATIENCE * 4,
        ..SHORT
    })
    .await;
    let mut idle = Vec::new();
    for _ in 0..SHORT.connections {
        let mut stream = served.connect().await;
        let asked = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n";
        stream.write_all(asked).await.unwrap();
        let mut first = [0; 15];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK");
        idle.push(stream);
    }
    let answer = served.get("/health/live").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    rest_of(&mut idle[0]).await;
    // The others are still open.
    let last = idle.last_mut().unwrap();
    let asked = b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    last.write_all(asked).await.unwrap();
    let answer = rest_of(last).await;
    assert!(answer.contains("HTTP/1.1 200 OK"), "{answer}");
}

#[tokio::test]
async fn headers_that_are_too_large_or_too_many_are_refused() {
    let served = Served::start(SHORT).await;
    let large = format!("X: {}\r\n", "x".repeat(100_000));
    let many: String = (0..500).map(|at| format!("X-{at}: 1\r\n")).collect();
    for headers in [large, many] {
        let answer = served
            .ask(&format!("GET /heroes HTTP/1.1\r\nHost: a\r\n{headers}\r\n"))
            .await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
            "{answer}"
        );
    }
    let long = format!("/heroes?name={}", "x".repeat(100_000));
    let answer = served.get(&long).await;
    let refused = answer.starts_with("HTTP/1.1 431") || answer.starts_with("HTTP/1.1 414");
    assert!(answer.is_empty() || refused, "{answer}");
}

/// Sends an endless body. Returns how much was taken, and the response.
async fn endless(served: &Served, head: &str) -> (usize, String) {
    let mut stream = served.connect().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let mut answer = Vec::new();
    let mut sent = 0;
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(65536));
    let sending = async {
        while sent < 200_000_000 && writing.write_all(chunk.as_bytes()).await.is_ok() {
            sent += 65536;
        }
    };
    let hearing = async {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = reading.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..count]);
        }
    };
    let both = timeout(PATIENCE, async { tokio::join!(sending, hearing) });
    assert!(both.await.is_ok(), "it goes on and on");
    (sent, String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn a_refused_body_is_not_read_completely() {
    let served = Served::start(SHORT).await;
    let json = "Content-Type: application/json\r\n";
    for (head, kind, status) in [
        ("POST /heroes", json, " 413 "),
        ("POST /heroes?x=1", json, " 400 "),
        ("POST /heroes", "Content-Type: text/plain\r\n", " 415 "),
        ("POST /no/such/route", json, " 404 "),
        ("PATCH /heroes", json, " 405 "),
        ("GET /heroes", json, " 200 "),
    ] {
        let head =
            format!("{head} HTTP/1.1\r\nHost: a\r\n{kind}Transfer-Encoding: chunked\r\n\r\n");
        let (sent, answer) = endless(&served, &head).await;
        assert!(answer.contains(status), "{head}: {answer}");
        // Four megabytes, plus the kernel's buffers on both sides.
        assert!(sent < 24_000_000, "{head}: {sent}");
    }
}

#[tokio::test]
async fn head_and_range_requests_return_no_partial_content() {
    let served = Served::start(SHORT).await;
    served.api.added("/heroes", &hero("Ada")).await;
    let range = "Host: a\r\nRange: bytes=0-3\r\nConnection: close\r\n\r\n";
    let head = served
        .ask(&format!("HEAD /heroes HTTP/1.1\r\n{range}"))
        .await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    let get = served
        .ask(&format!("GET /heroes HTTP/1.1\r\n{range}"))
        .await;
    assert!(
        get.starts_with("HTTP/1.1 200") && get.ends_with(']'),
        "{get}"
    );
}
