//! `tales serve` while its database is put back to a backup

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use aside_testkit::{PostgresServer, RedisServer, eventually_blocking};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::serve::SERVE;
use super::{Service, tales};
use crate::http::hero;

/// P + H, the wait of a pool between two attempts to connect, and what a busy machine
/// adds.
const NOTICED_WITHIN: Duration = Duration::from_millis(500 + 500 + 400 + 2000);

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}

/// Creates a hero and returns its path.
fn created(service: &Service, name: &str) -> (String, Value) {
    let answer = service.ask("POST /heroes HTTP/1.1", &hero(name).to_string());
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let row: Value = serde_json::from_str(body).unwrap();
    (format!("/heroes/{}", row["id"].as_str().unwrap()), row)
}

fn is_cached(service: &Service, path: &str, text: &str) {
    eventually_blocking(Duration::from_secs(10), "a hit", || {
        let answer = service.get(path);
        answer.contains("cache-status: aside; hit") && answer.contains(text)
    });
}

#[test]
fn a_restored_database_is_served_as_it_is() {
    let Ok(server) = PostgresServer::start() else {
        return;
    };
    let (directory, redis) = (TempDir::new().unwrap(), RedisServer::start().unwrap());
    let mut command = tales(directory.path(), SERVE);
    command.env("REDIS_URL", redis.url());
    command.env("DATABASE_URL", server.url());
    let service = Service::start(&mut command);
    let (changed, row) = created(&service, "Ada before");
    let data = server.directory().join("data");
    let backup = directory.path().join("backup");
    server.kill();
    copy(&data, &backup);
    server.restart();
    eventually_blocking(Duration::from_secs(20), "a database", || {
        service.get("/heroes").starts_with("HTTP/1.1 200")
    });
    let mut after = hero("Ada after");
    after["version"] = json!(row["version"]);
    let answer = service.ask(&format!("PUT {changed} HTTP/1.1"), &after.to_string());
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (added, _) = created(&service, "Grace");
    is_cached(&service, &changed, "Ada after");
    is_cached(&service, &added, "Grace");
    // What a poll has seen cannot go back unheard.
    let sql = "SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint::text";
    let position: i64 = server.query("postgres", sql)[0][0]
        .as_deref()
        .and_then(|text| text.parse().ok())
        .unwrap();
    eventually_blocking(Duration::from_secs(10), "a poll", || {
        let stored = redis.command(&["HGET", "aside:epochs", "aside:database"]);
        let stored = stored.text().and_then(|text| text.split(' ').nth(1));
        stored.is_some_and(|stored| position <= stored.parse().unwrap())
    });

    server.kill();
    copy(&backup, &data);
    server.restart();

    eventually_blocking(NOTICED_WITHIN, "an absence", || {
        service.get(&added).starts_with("HTTP/1.1 404")
    });
    let answer = service.get(&changed);
    assert!(answer.contains("Ada before"), "{answer}");
    is_cached(&service, &changed, "Ada before");
}
