//! `tales demo` removes everything, however it ends.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use aside_testkit::eventually_blocking;
use rustix::process::Signal;
use tempfile::TempDir;

use super::{run, signal, tales};

/// Returns a directory whose path is short enough for a socket.
fn directory() -> TempDir {
    TempDir::new().unwrap()
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

/// Returns the round trips in a row of the act about prefetching.
fn trips(out: &str, row: &str) -> u32 {
    let line = out.lines().find_map(|line| line.trim().strip_prefix(row));
    let trips = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    trips.unwrap_or_else(|| panic!("{row}: {out}"))
}

#[test]
fn the_demo_keeps_its_promises_with_a_private_redis() {
    let directory = directory();
    let (code, out, err) = run(&mut tales(directory.path(), &["demo"]));
    assert_eq!(code, 0, "{out}{err}");
    for act in 1..=6 {
        assert!(out.contains(&format!("\nAct {act}: ")), "{out}");
    }
    assert!(out.contains("caching resumes after"), "{out}");
    let [off, on] = ["prefetch off", "prefetch on"].map(|row| trips(&out, row));
    assert!(0 < on && on < off, "{out}");
    assert!(out.contains("promises held"), "{out}");
    assert!(!out.contains(" 0 us") && !out.contains(" 0 ns"), "{out}");
    assert!(
        !out.contains('\x1b') && out.lines().all(|line| line.chars().count() <= 80),
        "{out}"
    );
    assert!(is_empty(directory.path()));
}

#[test]
fn the_demo_of_a_cluster_keeps_its_promises() {
    let directory = directory();
    let (code, out, err) = run(&mut tales(directory.path(), &["demo", "--cluster"]));
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("\nAct 7: "), "{out}");
    assert!(out.contains("its successor is used"), "{out}");
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    assert!(is_empty(directory.path()));
}

#[test]
fn the_demo_names_its_substitute_without_redis() {
    let directory = directory();
    let mut command = tales(directory.path(), &["demo"]);
    let (code, out, err) = run(command.env("PATH", directory.path()));
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("memory:// stands in"), "{out}");
    assert!(out.contains("Skipped"), "{out}");
    assert!(is_empty(directory.path()));
}

/// Starts the demo and waits until its Redis replies.
fn begun(directory: &Path) -> (std::process::Child, PathBuf) {
    let mut command: Command = tales(directory, &["demo"]);
    let child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let socket = eventually_blocking(Duration::from_secs(20), "a Redis", || {
        let entries = fs::read_dir(directory).unwrap();
        entries
            .filter_map(|entry| Some(entry.ok()?.path().join("redis.sock")))
            .find(|socket| UnixStream::connect(socket).is_ok())
    });
    (child, socket)
}

#[test]
fn an_interrupted_demo_removes_its_redis_and_files() {
    let directory = directory();
    let (mut child, socket) = begun(directory.path());
    signal(&child, Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(UnixStream::connect(&socket).is_err());
    assert!(is_empty(directory.path()));
}

#[test]
fn a_killed_demo_ends_its_redis() {
    let directory = directory();
    let (mut child, socket) = begun(directory.path());
    child.kill().unwrap();
    child.wait().unwrap();
    eventually_blocking(Duration::from_secs(10), "the end of its Redis", || {
        UnixStream::connect(&socket).is_err()
    });
}
