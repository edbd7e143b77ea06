//! `tales serve`

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::time::Duration;

use aside_testkit::{PostgresServer, RedisServer, eventually_blocking};
use rustix::process::Signal;
use tempfile::TempDir;

use super::{Service, run, signal, tales};
use crate::databases::postgres_database;
use crate::http::hero;

pub(super) const SERVE: &[&str] = &["serve", "--listen", "127.0.0.1:0"];

#[test]
fn seeded_rows_are_served_with_their_source() {
    let directory = TempDir::new().unwrap();
    let redis = RedisServer::start().unwrap();
    let url = redis.url();
    let seed = ["seed", "--heroes", "3", "--children", "2", "--stories", "4"];
    let (code, ..) = run(tales(directory.path(), &seed).env("REDIS_URL", &url));
    assert_eq!(code, 0);
    let service = Service::start(tales(directory.path(), SERVE).env("REDIS_URL", &url));
    eventually_blocking(Duration::from_secs(10), "the end of the warm-up", || {
        service.get("/health/ready").starts_with("HTTP/1.1 200")
    });
    let first = service.get("/heroes");
    assert!(first.contains("cache-status: aside; fwd=miss"), "{first}");
    assert!(service.get("/health").contains("\"status\":\"ok\""));
    eventually_blocking(Duration::from_secs(10), "the list in Redis", || {
        redis.command(&["EXISTS", "hero:all"]).integer() == Some(1)
    });
}

#[test]
fn a_stop_signal_lets_the_current_request_finish() {
    for how in [Signal::TERM, Signal::INT] {
        let directory = TempDir::new().unwrap();
        let mut command = tales(directory.path(), SERVE);
        let mut service = Service::start(command.env("REDIS_URL", "memory://"));
        let body = hero("Ada").to_string();
        let (first, rest) = body.split_at(body.len() / 2);
        let mut stream = service.connect();
        // A request is in progress once its handler waits for the body.
        write!(
            stream,
            "POST /heroes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .unwrap();
        let mut go_on = [0; 25];
        stream.read_exact(&mut go_on).unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(first.as_bytes()).unwrap();

        signal(&service.child, how);
        let closed = || std::net::TcpStream::connect(&service.address).is_err();
        aside_testkit::eventually_blocking(
            std::time::Duration::from_secs(10),
            "no new connections",
            closed,
        );
        stream.write_all(rest.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 201 Created"), "{answer}");
        assert_eq!(service.child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_configured_token_is_required() {
    let directory = TempDir::new().unwrap();
    let mut command = tales(directory.path(), SERVE);
    command.env("REDIS_URL", "memory://");
    command.env("ADMIN_TOKEN", "0123456789abcdef");
    let service = Service::start(&mut command);
    assert!(service.get("/cache/stats").starts_with("HTTP/1.1 401"));
    let head = "GET /cache/stats HTTP/1.1\r\nAuthorization: Bearer 0123456789abcdef";
    assert!(service.ask(head, "").starts_with("HTTP/1.1 200"));
    assert!(service.get("/health").starts_with("HTTP/1.1 200"));
}

#[test]
fn the_token_for_reading_may_get_only() {
    let directory = TempDir::new().unwrap();
    let mut command = tales(directory.path(), SERVE);
    command.env("REDIS_URL", "memory://");
    command.env("ADMIN_READ_TOKEN", "fedcba9876543210");
    let service = Service::start(&mut command);
    let with = |method: &str, path: &str| {
        let head = format!("{method} {path} HTTP/1.1\r\nAuthorization: Bearer fedcba9876543210");
        service.ask(&head, "")
    };
    assert!(with("GET", "/cache/stats").starts_with("HTTP/1.1 200"));
    assert!(with("DELETE", "/cache/hero").starts_with("HTTP/1.1 403"));
    assert!(service.get("/cache/stats").starts_with("HTTP/1.1 401"));
}

#[test]
fn it_starts_without_redis_and_is_ready() {
    let directory = TempDir::new().unwrap();
    let mut command = tales(directory.path(), SERVE);
    let service = Service::start(command.env("REDIS_URL", "redis://127.0.0.1:1/0"));
    assert!(service.get("/health/ready").starts_with("HTTP/1.1 200"));
    let heroes = service.get("/heroes");
    let away = "cache-status: aside; fwd=bypass; detail=redis-unavailable";
    assert!(heroes.contains(away), "{heroes}");
}

#[test]
fn it_serves_from_postgresql() {
    let Some(database) = postgres_database() else {
        return;
    };
    let directory = TempDir::new().unwrap();
    let mut command = tales(directory.path(), SERVE);
    command
        .args(["--database", &database])
        .env("REDIS_URL", "memory://");
    let service = Service::start(&mut command);
    let created = service.ask("POST /heroes HTTP/1.1", &hero("Ада").to_string());
    assert!(created.starts_with("HTTP/1.1 201"), "{created}");
    assert!(service.get("/heroes?language=en").contains("Ада"));
    assert!(service.get("/health").contains("\"kind\":\"postgresql\""));
}

#[test]
fn a_taken_address_is_reported_in_one_line() {
    let directory = TempDir::new().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = tales(directory.path(), &["serve", "--listen", &address]);
    let (code, out, err) = run(command.env("REDIS_URL", "memory://"));
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.contains(&address), "{err}");
}

#[test]
fn a_database_outage_is_logged_at_its_start_and_end() {
    let Ok(server) = PostgresServer::start() else {
        return;
    };
    let directory = TempDir::new().unwrap();
    let log = directory.path().join("log");
    let mut command = tales(directory.path(), SERVE);
    let command = command.env("REDIS_URL", "memory://");
    let command = command.env("DATABASE_URL", server.url());
    let mut service = Service::start_with_log(command, File::create(&log).unwrap());
    server.kill();
    for _ in 0..3 {
        let refused = service.get("/heroes");
        assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    }
    server.restart();
    eventually_blocking(Duration::from_secs(20), "an answer", || {
        service.get("/heroes").starts_with("HTTP/1.1 200")
    });
    // Log lines are written a moment later, and all of them before the end.
    signal(&service.child, Signal::TERM);
    assert_eq!(service.child.wait().unwrap().code(), Some(0));
    let log = fs::read_to_string(&log).unwrap();
    for said in ["the database does not answer", "the database answers again"] {
        let times = log.lines().filter(|line| line.contains(said)).count();
        assert_eq!(times, 1, "{said} in {log}");
    }
    assert!(!log.contains("panicked"), "{log}");
}
