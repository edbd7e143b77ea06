//! The doctor's findings about one server.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use aside_testkit::{RedisServer, Reply, eventually_blocking};

use crate::SOON;
use crate::answers::{good, one_instance};
use crate::program::{Run, aside};

/// Runs one check.
fn check(url: &str, check: &str) -> Run {
    aside(url, &["doctor", "--only", check])
}

#[test]
fn the_doctor_names_commands_that_the_user_may_not_run() {
    let (redis, _instance) = one_instance();
    let user = [
        "ACL", "SETUSER", "cli", "on", ">secret", "~*", "&*", "+@all",
    ];
    redis.command(&user);
    let url = redis.url().replace("redis://", "redis://cli:secret@");
    let allowed = good(check(&url, "rights"));
    assert!(
        allowed.out.starts_with("ok  1 check  rights"),
        "{allowed:?}"
    );

    redis.command(&["ACL", "SETUSER", "cli", "-hsetnx", "-setrange"]);
    let refused = check(&url, "rights");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let wanted = [
        "error  rights  the user of Redis at ",
        ": may not run setrange, hsetnx",
        "set:  ACL SETUSER cli +setrange +hsetnx,",
        "look: docs/operations.md#a-redis-user-for-aside",
    ];
    for part in wanted {
        assert!(refused.out.contains(part), "{part}: {refused:?}");
    }
    assert!(!format!("{refused:?}").contains("secret"), "{refused:?}");
    let left = redis.command(&["EXISTS", "aside:echo:doctor", "aside:echo:doctor:hash"]);
    assert_eq!(left.integer(), Some(0));
}

#[test]
fn a_refused_question_is_unknown_and_no_error() {
    let (redis, _instance) = one_instance();
    let user = [
        "ACL", "SETUSER", "cli", "on", ">secret", "~*", "&*", "+@all",
    ];
    redis.command(&user);
    redis.command(&["ACL", "SETUSER", "cli", "-config", "-latency", "-pubsub"]);
    let url = redis.url().replace("redis://", "redis://cli:secret@");
    let found = good(check(&url, "buffers,latency,listeners"));
    assert!(found.out.contains("unknown  latency    "), "{found:?}");
    assert!(found.out.contains("NOPERM"), "{found:?}");
    assert!(
        found.out.ends_with("0 errors, 0 warnings, 3 unknown\n"),
        "{found:?}"
    );
}

#[test]
fn a_key_without_a_ttl_is_a_warning() {
    let (redis, _instance) = one_instance();
    assert!(good(check(&redis.url(), "ttl")).out.starts_with("ok"));
    redis.command(&["SET", "hero:restored", "{}"]);
    // Keys of others have none either, and are no concern.
    redis.command(&["SET", "session:1", "{}"]);
    let found = good(check(&redis.url(), "ttl"));
    assert!(found.out.starts_with("warn  ttl  "), "{found:?}");
    assert!(found.out.contains(": 1 of "), "{found:?}");
}

#[test]
fn an_event_that_the_server_found_slow_is_a_warning() {
    let (redis, _instance) = one_instance();
    assert!(good(check(&redis.url(), "latency")).out.starts_with("ok"));
    redis.command(&["CONFIG", "SET", "latency-monitor-threshold", "50"]);
    eventually_blocking(SOON, "a slow command", || {
        let busy = "local i = 0 while i < 20000000 do i = i + 1 end return i";
        redis.command(&["EVAL", busy, "0"]);
        let found = good(check(&redis.url(), "latency"));
        found.out.starts_with("warn  latency  ") && found.out.contains(" took ")
    });
}

#[test]
fn a_listener_that_announces_nothing_is_a_warning() {
    let (redis, _instance) = one_instance();
    assert!(good(check(&redis.url(), "listeners")).out.starts_with("ok"));
    let mut stranger = TcpStream::connect(redis.address()).unwrap();
    stranger
        .write_all(b"SUBSCRIBE aside:invalidate\r\n")
        .unwrap();
    stranger.read_exact(&mut [0; 4]).unwrap();
    let found = good(check(&redis.url(), "listeners"));
    assert!(found.out.starts_with("warn  listeners  "), "{found:?}");
    assert!(
        found.out.contains(": 1 listener without a report"),
        "{found:?}"
    );
}

#[test]
fn a_server_that_cannot_save_is_an_error() {
    let (redis, _instance) = one_instance();
    assert!(
        good(check(&redis.url(), "persistence"))
            .out
            .starts_with("ok")
    );
    let Reply::Array(directory) = redis.command(&["CONFIG", "GET", "dir"]) else {
        panic!("CONFIG GET has another form");
    };
    // A file cannot replace a directory that is not empty.
    let dump = Path::new(directory[1].text().unwrap()).join("dump.rdb");
    let _ = fs::remove_file(&dump);
    fs::create_dir_all(dump.join("in the way")).unwrap();
    redis.command(&["BGSAVE"]);
    eventually_blocking(SOON, "the failed save", || {
        let found = check(&redis.url(), "persistence");
        found.code == Some(1) && found.out.contains(": its last save failed: it may refuse")
    });
}

#[test]
fn a_replica_that_is_far_behind_is_a_warning() {
    let (redis, _instance) = one_instance();
    let replica = RedisServer::start().unwrap();
    let port = redis.address().port().to_string();
    replica.command(&["REPLICAOF", "127.0.0.1", &port]);
    eventually_blocking(SOON, "the replica is connected", || {
        let info = redis.command(&["INFO", "replication"]);
        info.text()
            .is_some_and(|info| info.contains("state=online"))
    });
    assert!(good(check(&redis.url(), "replicas")).out.starts_with("ok"));
    replica.stop();
    eventually_blocking(SOON, "the replica is behind", || {
        let found = good(check(&redis.url(), "replicas"));
        found.out.starts_with("warn  replicas  ") && found.out.contains(" s behind")
    });
    replica.cont();
}
