//! A person at a terminal, and what else a process is connected to.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Stdio};

use aside_testkit::RedisServer;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::answers::{good, one_instance};
use crate::program::{TOKEN, aside, program};

/// Returns both ends of a terminal: the person's, and that of the program.
fn terminal() -> (File, File) {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&person).expect("its rights");
    unlockpt(&person).expect("its other end");
    let name = ptsname(&person, Vec::new()).expect("its name");
    let name = name.into_string().expect("UTF-8");
    let end = OpenOptions::new().read(true).write(true).open(name);
    (File::from(person), end.expect("its other end"))
}

/// Begins to invalidate the kind at a terminal, and waits for the question.
fn asked(redis: &RedisServer) -> (Child, File) {
    let (person, end) = terminal();
    let mut command = program(&redis.url(), &["invalidate", "hero", "--all"]);
    command
        .stdin(Stdio::from(end))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program");
    // The command keeps the other end open; the child alone must.
    drop(command);
    let err = child.stderr.as_mut().expect("its errors");
    let question = BufReader::new(err)
        .lines()
        .map_while(Result::ok)
        .find(|line| line == "Type the kind to go on:");
    assert!(question.is_some());
    (child, person)
}

#[test]
fn a_whole_kind_is_invalidated_once_its_name_is_typed() {
    let (redis, _instance) = one_instance();
    for (typed, code) in [("story\n", 2), ("hero\n", 0)] {
        let (mut child, mut person) = asked(&redis);
        person.write_all(typed.as_bytes()).unwrap();
        let status = child.wait().unwrap();
        let mut out = String::new();
        child.stdout.unwrap().read_to_string(&mut out).unwrap();
        assert_eq!(status.code(), Some(code), "{typed} {out}");
        assert_eq!(out.starts_with("invalidated: "), code == 0, "{out}");
    }
}

#[test]
fn an_interrupt_ends_the_question_with_130() {
    let (redis, _instance) = one_instance();
    let (mut child, _person) = asked(&redis);
    let id = i32::try_from(child.id()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(redis.command(&["EXISTS", "hero:1"]).integer(), Some(1));
}

#[test]
fn an_answer_that_cannot_be_written_is_an_error() {
    let (redis, _instance) = one_instance();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = program(&redis.url(), &["fleet"]);
    command.stdout(full).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("cannot write the answer"), "{err}");
}

#[test]
fn no_secret_is_printed() {
    let secrets = ["hidden", TOKEN];
    let verbose = ["health", "--timeout", "300ms", "--verbose", "--json"];
    let user = ["--at", "http://me:hidden@127.0.0.1:1"];
    let at = ["--at", "http://127.0.0.1:1"];
    for arguments in [
        verbose.to_vec(),
        [&verbose[..], &user].concat(),
        [&verbose[..], &at].concat(),
    ] {
        let failed = aside("redis://me:hidden@127.0.0.1:1", &arguments);
        assert!(failed.code.is_some_and(|code| code != 0), "{failed:?}");
        for secret in secrets {
            let shown = format!("{}{}", failed.out, failed.err);
            assert!(!shown.contains(secret), "{arguments:?} {shown}");
        }
    }
    let (redis, _instance) = one_instance();
    let logged = good(aside(&redis.url(), &["health", "--verbose"]));
    assert!(logged.err.contains("INFO aside::"), "{logged:?}");
}
