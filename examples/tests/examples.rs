//! Each example as a program, on real servers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use aside_testkit::{PostgresServer, RedisServer, eventually_blocking};

const EVENTUALLY: Duration = Duration::from_secs(10);

const AXUM: &str = env!("CARGO_BIN_EXE_axum");
const DIESEL: &str = env!("CARGO_BIN_EXE_diesel");
const SEA_ORM: &str = env!("CARGO_BIN_EXE_sea_orm");
const WORKER: &str = env!("CARGO_BIN_EXE_worker");

/// A running `axum`, which ends with its test.
struct Shop {
    process: Child,
    address: String,
}

impl Shop {
    fn start(redis: &str, database: &Path) -> Self {
        let mut process = Command::new(AXUM)
            .env("REDIS_URL", redis)
            .env("DATABASE", database)
            .env("LISTEN", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example");
        let output = process.stdout.take().expect("its output");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on http://");
        let address = address
            .unwrap_or_else(|| panic!("no address: {line}"))
            .to_owned();
        Self { process, address }
    }

    /// Returns the whole reply.
    fn send(&self, method: &str, path: &str, json: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{json}",
            json.len()
        )
        .expect("a request");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("a reply");
        assert!(reply.starts_with("HTTP/1.1 200"), "{path}: {reply}");
        reply
    }

    fn get(&self, path: &str) -> String {
        self.send("GET", path, "")
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.process.kill().expect("a process");
        self.process.wait().expect("its end");
    }
}

fn redis() -> RedisServer {
    RedisServer::start().expect("redis-server or valkey-server")
}

/// Runs a program to its end, and returns its lines.
fn lines(command: &mut Command) -> Vec<String> {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the example");
    let (stdout, stderr) = [stdout, stderr]
        .map(|it| String::from_utf8(it).expect("text"))
        .into();
    assert!(status.success(), "{stdout}{stderr}");
    stdout.lines().map(str::to_owned).collect()
}

#[test]
fn a_service_shows_what_it_and_a_worker_wrote() {
    let (redis, directory) = (redis(), tempfile::tempdir().expect("a directory"));
    let database = directory.path().join("books.db");
    let shop = Shop::start(&redis.url(), &database);
    shop.send("POST", "/books", r#"{"author":"Tolstoy","title":"War"}"#);
    eventually_blocking(EVENTUALLY, "a row from memory", || {
        shop.get("/books/1").contains("x-tier: Local")
    });
    assert!(shop.get("/authors/Tolstoy").contains(r#""title":"War""#));

    shop.send("PUT", "/books/1", r#""War and Peace""#);
    assert!(shop.get("/books/1").contains("War and Peace"));
    assert!(shop.get("/count").ends_with('1'));

    let mut worker = Command::new(WORKER);
    worker.args(["Tolstoy", "Leo Tolstoy"]);
    worker
        .env("REDIS_URL", redis.url())
        .env("DATABASE", &database);
    assert_eq!(lines(&mut worker), ["books changed: 1"]);
    eventually_blocking(EVENTUALLY, "the worker's write", || {
        shop.get("/books/1").contains("Leo Tolstoy")
    });
    assert!(shop.get("/authors/Tolstoy").ends_with("[]"));
    assert!(shop.get("/authors/Leo%20Tolstoy").contains("War and Peace"));
}

#[test]
fn a_worker_without_redis_tells_the_service_by_the_journal() {
    let (redis, directory) = (redis(), tempfile::tempdir().expect("a directory"));
    let database = directory.path().join("books.db");
    let shop = Shop::start(&redis.url(), &database);
    shop.send("POST", "/books", r#"{"author":"Tolstoy","title":"War"}"#);
    eventually_blocking(EVENTUALLY, "a row from memory", || {
        shop.get("/books/1").contains("x-tier: Local")
    });
    let mut worker = Command::new(WORKER);
    worker
        .args(["Tolstoy", "Leo Tolstoy"])
        .env("DATABASE", &database);
    worker.env("REDIS_URL", "redis://127.0.0.1:1");
    assert_eq!(lines(&mut worker), ["books changed: 1"]);
    eventually_blocking(EVENTUALLY, "the worker's write", || {
        shop.get("/books/1").contains("Leo Tolstoy")
    });
}

/// The lines of `sea_orm` and `diesel`.
fn assert_reads_and_moves(lines: &[String]) {
    let [first, second, before, after] = lines else {
        panic!("{lines:?}");
    };
    assert!(first.starts_with(r#""Hello" from "#), "{first}");
    assert!(second.starts_with(r#""Hello" from "#), "{second}");
    assert_eq!(
        [before, after],
        ["articles of author 7: 0", "articles of author 8: 1"]
    );
}

#[test]
fn sea_orm_reads_a_row_and_moves_it_to_another_list() {
    let (redis, directory) = (redis(), tempfile::tempdir().expect("a directory"));
    let file = directory.path().join("articles.db");
    let mut example = Command::new(SEA_ORM);
    example.env("REDIS_URL", redis.url());
    example.env(
        "DATABASE_URL",
        format!("sqlite:{}?mode=rwc", file.display()),
    );
    assert_reads_and_moves(&lines(&mut example));
}

#[test]
fn diesel_reads_a_row_and_moves_it_to_another_list() {
    let (redis, server) = (
        redis(),
        PostgresServer::start().expect("postgres and initdb"),
    );
    let mut example = Command::new(DIESEL);
    example
        .env("REDIS_URL", redis.url())
        .env("DATABASE_URL", server.url());
    assert_reads_and_moves(&lines(&mut example));
}

#[test]
fn a_program_without_its_settings_says_which() {
    for (program, wanted) in [(DIESEL, "DATABASE_URL"), (WORKER, "worker FROM TO")] {
        let output = Command::new(program).env_remove("DATABASE_URL").output();
        let output = output.expect("the example");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && errors.contains(wanted),
            "{errors}"
        );
    }
}
