//! Commands that go on: invalidations as they arrive, and the screen of `top`.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};

use aside_testkit::RedisServer;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::answers::{good, one_instance};
use crate::program::{aside, program};

/// Starts a command, and returns its lines.
fn begin(redis: &RedisServer, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut command = program(&redis.url(), arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

#[test]
fn watch_prints_who_invalidated_which_key() {
    let (redis, instance) = one_instance();
    let url = redis.url();
    // The latest events of the instance are the first lines, so none is lost.
    good(aside(&url, &["invalidate", "hero", "--id", "1"]));
    let at = ["watch", "--why", "request", "--at", &instance.url];
    let (mut watch, mut lines) = begin(&redis, &at);
    let row = lines.next().unwrap().unwrap();
    assert!(row.contains("Z  hero:1  "), "{row}");
    assert!(row.contains("  request  "), "{row}");

    let all = [
        "invalidate",
        "hero",
        "--all",
        "--yes",
        "--at",
        &instance.url,
    ];
    good(aside(&url, &all));
    let kind = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("hero (all)")));
    let kind = kind.unwrap().unwrap();
    assert!(kind.ends_with("  request  api-1"), "{kind}");

    let id = i32::try_from(watch.id()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), Signal::INT).unwrap();
    assert_eq!(watch.wait().unwrap().code(), Some(130));
}

#[test]
fn watch_prints_lines_of_json_for_a_time() {
    let (redis, instance) = one_instance();
    let url = redis.url();
    let (mut watch, mut lines) = begin(&redis, &["watch", "--json", "--kind", "hero"]);
    // Repeated until the other program has subscribed.
    let row = ["invalidate", "hero", "--id", "1", "--at", &instance.url];
    let first = std::thread::spawn(move || lines.next().unwrap().unwrap());
    while !first.is_finished() {
        good(aside(&url, &row));
    }
    let event: Value = serde_json::from_str(&first.join().unwrap()).unwrap();
    assert_eq!(event["event"], "forgotten");
    assert_eq!(
        (&event["key"], &event["why"]),
        (&"hero:1".into(), &"request".into())
    );
    assert_eq!(event["name"], "api-1", "{event}");
    // Its reader has gone, so it ends without an error.
    good(aside(&url, &row));
    assert_eq!(watch.wait().unwrap().code(), Some(0));

    let quiet = good(aside(&url, &["watch", "--why", "audit", "--for", "200ms"]));
    assert_eq!(quiet.out, "");
    let wrong = aside(&url, &["watch", "--kind", "heroes"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.err.contains("possible: hero"), "{wrong:?}");
}

#[test]
fn a_watch_ends_with_its_instance() {
    let (redis, instance) = one_instance();
    let (mut watch, mut lines) = begin(&redis, &["watch", "--at", &instance.url]);
    good(aside(&redis.url(), &["invalidate", "hero", "--id", "1"]));
    lines.next().unwrap().unwrap();
    drop(instance);
    assert_eq!(watch.wait().unwrap().code(), Some(3));
}

#[test]
fn top_shows_all_again_and_again() {
    let (redis, instance) = one_instance();
    let url = redis.url();
    let twice = ["top", "-n", "2", "--every", "10ms"];
    let top = good(aside(&url, &twice));
    for line in ["ok  Redis ", "INSTANCE  VERSION", "KIND  READS/S"] {
        assert_eq!(top.out.matches(line).count(), 2, "{line}: {top:?}");
    }
    assert!(!top.out.contains('\x1b'), "{top:?}");
    let json = ["top", "-n", "1", "--json", "--at", &instance.url];
    let look = good(aside(&url, &json)).json();
    assert_eq!(look["health"]["instances"], 1, "{look}");
    let away = aside(
        "redis://127.0.0.1:1",
        &["top", "-n", "1", "--at", "http://127.0.0.1:1"],
    );
    assert_eq!(away.code, Some(3), "{away:?}");
}

#[test]
fn a_warm_up_needs_an_instance_that_can() {
    let (redis, instance) = one_instance();
    let by_redis = aside(&redis.url(), &["warm"]);
    assert_eq!(by_redis.code, Some(2), "{by_redis:?}");
    assert!(by_redis.err.contains("try: --at"), "{by_redis:?}");
    let warmed = good(aside(
        &redis.url(),
        &["warm", "hero", "--at", &instance.url],
    ));
    assert_eq!(warmed.out, "hero  7 of 7\n", "two rows, five lists");
}
