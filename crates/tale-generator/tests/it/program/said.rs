//! The output of the program, including closed and full outputs.

use std::fs::{self, File};

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aside_testkit::{RedisServer, eventually_blocking};
use rustix::process::Signal;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, SqliteConnection};
use tempfile::TempDir;

use super::jobs::SEED;
use super::serve::SERVE;
use super::{Service, signal, tales};
use crate::http::hero;

/// Returns the end of a pipe whose reader has closed it.
fn closed() -> Stdio {
    let (ours, _) = UnixStream::pair().unwrap();
    OwnedFd::from(ours).into()
}

fn full() -> Stdio {
    File::options()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

/// Runs the command with this standard output. Returns its exit code and error
/// output.
fn with_output(command: &mut Command, output: Stdio) -> (i32, String) {
    let child = command.stdout(output).stderr(Stdio::piped()).spawn();
    let ended = child.unwrap().wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(!said.contains("panicked"), "{said}");
    (ended.status.code().unwrap_or(-1), said)
}

fn every_job(directory: &Path, redis: &str, output: fn() -> Stdio) -> Vec<(i32, String)> {
    let export = directory.join("rows.jsonl");
    let export = export.to_str().unwrap();
    let jobs: [&[&str]; 7] = [
        SEED,
        &["export", export],
        &["warm"],
        &["import", export],
        &["import", "--check", export],
        &["triggers", "install"],
        &["export"],
    ];
    let job = |arguments: &[&str]| {
        let mut command = tales(directory, arguments);
        with_output(command.env("REDIS_URL", redis), output())
    };
    jobs.into_iter().map(job).collect()
}

#[test]
fn a_closed_output_pipe_fails_no_job() {
    let (directory, redis) = (TempDir::new().unwrap(), RedisServer::start().unwrap());
    for (code, said) in every_job(directory.path(), &redis.url(), closed) {
        assert_eq!(code, 0, "{said}");
    }
}

#[test]
fn a_full_disk_for_the_result_gives_one_line_after_the_job() {
    let (directory, redis) = (TempDir::new().unwrap(), RedisServer::start().unwrap());
    let ended = every_job(directory.path(), &redis.url(), full);
    for (job, (code, said)) in ended.into_iter().enumerate() {
        // An export to a file prints nothing on standard output.
        let expected = i32::from(job != 1);
        assert_eq!(code, expected, "{job}: {said}");
        assert_eq!(said.contains("No space left"), expected == 1, "{said}");
    }
    let rows = fs::read_to_string(directory.path().join("rows.jsonl")).unwrap();
    assert_eq!(rows.lines().count(), 12);
    assert_eq!(redis.command(&["EXISTS", "story:all"]).integer(), Some(1));
}

#[test]
fn the_service_runs_without_a_writable_standard_output() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let directory = TempDir::new().unwrap();
    let mut command = tales(directory.path(), &["serve", "--listen", &address]);
    command.env("REDIS_URL", "memory://").stdout(full());
    let mut child = command.stderr(full()).spawn().unwrap();
    eventually_blocking(Duration::from_secs(20), "a connection", || {
        std::net::TcpStream::connect(&address).is_ok()
    });
    signal(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Asserts that the service works without its log. It handles writes, uses
/// Redis again after an outage, and stops in order. `spoil` breaks the log once
/// it serves.
fn goes_on_without_its_log(log: Stdio, spoil: impl FnOnce()) {
    let (directory, redis) = (TempDir::new().unwrap(), RedisServer::start().unwrap());
    let mut command = tales(directory.path(), SERVE);
    command
        .env("REDIS_URL", redis.url())
        .env("LOG_LEVEL", "debug");
    let mut service = Service::start_with_log(&mut command, log);
    spoil();
    let created = service.ask("POST /heroes HTTP/1.1", &hero("Ada").to_string());
    assert!(created.starts_with("HTTP/1.1 201"), "{created}");
    let (_, body) = created.split_once("\r\n\r\n").unwrap();
    let ada: serde_json::Value = serde_json::from_str(body).unwrap();
    let put = format!("PUT /heroes/{} HTTP/1.1", ada["id"].as_str().unwrap());
    let changed = service.ask(&put, &hero("Eve").to_string());
    assert!(changed.starts_with("HTTP/1.1 200"), "{changed}");
    redis.kill();
    eventually_blocking(Duration::from_secs(20), "the outage", || {
        service.get("/heroes").contains("redis-unavailable")
    });
    redis.restart();
    eventually_blocking(Duration::from_secs(30), "Redis in use again", || {
        service.get("/heroes").contains("aside; hit")
    });
    signal(&service.child, Signal::TERM);
    assert_eq!(service.child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_ended_log_collector_costs_only_log_lines() {
    let (log, collector) = UnixStream::pair().unwrap();
    goes_on_without_its_log(OwnedFd::from(log).into(), || drop(collector));
}

#[test]
fn a_full_disk_costs_only_log_lines() {
    goes_on_without_its_log(full(), || ());
}

#[test]
fn a_stalled_log_collector_costs_only_log_lines() {
    let (log, _collector) = UnixStream::pair().unwrap();
    let filled = log.try_clone().unwrap();
    let fill = || {
        filled.set_nonblocking(true).unwrap();
        while std::io::Write::write(&mut &filled, &[b'\n'; 4096]).is_ok() {}
        // The service shares the descriptor's flags, so they are restored.
        filled.set_nonblocking(false).unwrap();
    };
    let begun = Instant::now();
    goes_on_without_its_log(OwnedFd::from(log).into(), fill);
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn foreign_text_is_printed_without_control_characters() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("foreign.jsonl");
    let child = "\"kind\":\"child\",\"id\":\"67e55044-10b1-426f-9247-bb680e5fe0c8\",
        \"name\":\"a\",\"age\":7,\"gender\":\"male\",\"interests\":[],
        \"created_at\":\"2026-01-01T00:00:00Z\",\"updated_at\":\"2026-01-01T00:00:00Z\",
        \"version\":1";
    let child = child.replace('\n', " ");
    for foreign in [
        "{\"kind\":\"\\u001b]0;pwned\\u0007\\u001b[31mRED\\r\"}".to_owned(),
        format!("{{{child},\"\\u0007\\u009b31m\":1}}"),
        format!("{{{child},\"\\u202etxt.exe\\u2066\":1}}"),
        "{\"kind\":\"\u{202e}\u{7f}\"}".to_owned(),
    ] {
        fs::write(&file, foreign).unwrap();
        for arguments in [
            &["import", "foreign.jsonl"][..],
            &["import", "--check", "foreign.jsonl"],
            &["import", "\u{1b}[31m\u{202e}"],
            &["export", "nowhere/\u{1b}[31m\u{202e}"],
        ] {
            let mut command = tales(directory.path(), arguments);
            let command = command.env("REDIS_URL", "memory://");
            let (code, said) = with_output(command, Stdio::null());
            assert_eq!(code, 1, "{said}");
            assert!(!said.contains(obeyed), "{said:?}");
            assert!(said.contains("\\u{"), "{said}");
        }
    }
}

#[tokio::test]
async fn database_errors_are_logged_without_control_characters() {
    let directory = TempDir::new().unwrap();
    let log = directory.path().join("log");
    let mut command = tales(directory.path(), SERVE);
    command.env("REDIS_URL", "memory://");
    let mut service = Service::start_with_log(&mut command, File::create(&log).unwrap());
    let file = directory.path().join("tales.db");
    let url = format!("sqlite:{}", file.display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    let words = "\u{1b}]0;pwned\u{7}\u{1b}[31m\u{202e}\u{9b}red\r2026 ERROR\nforged";
    let refuse = format!(
        "CREATE TRIGGER refuse BEFORE INSERT ON heroes BEGIN SELECT RAISE(ABORT, '{words}'); END"
    );
    other.execute(AssertSqlSafe(refuse)).await.unwrap();
    let failed = service.ask("POST /heroes HTTP/1.1", &hero("Ada").to_string());
    assert!(failed.starts_with("HTTP/1.1 500"), "{failed}");
    signal(&service.child, Signal::TERM);
    assert_eq!(service.child.wait().unwrap().code(), Some(0));
    let log = fs::read_to_string(&log).unwrap();
    let line = log.lines().find(|line| line.contains("pwned"));
    assert!(line.unwrap().contains("forged"), "{log}");
    assert!(!log.contains(obeyed), "{log:?}");
}

fn obeyed(character: char) -> bool {
    character != '\n' && (character.is_control() || "\u{202e}\u{2066}".contains(character))
}
