//! The memory that bodies take.

use std::fs;

use aside_testkit::RedisServer;
use tempfile::TempDir;

use super::serve::SERVE;
use super::{Service, tales};

/// The maximum resident memory after 30 stories of a megabyte: 64 MiB in the
/// local tier, the program, and the memory of a request. Trees of values took
/// ten times as much.
const RESIDENT_KB: u64 = 300_000;

fn resident(service: &Service) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", service.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.unwrap().split_whitespace().nth(1);
    number.unwrap().parse().unwrap()
}

fn story(objects: usize) -> String {
    let many = "{\"\":0},".repeat(objects);
    let content = "a".repeat(1_000_000 - many.len().min(999_999));
    format!(
        "{{\"title\":\"t\",\"content\":\"{content}\",\"moral\":\"m\",\"language\":\"en\",\
         \"generation_info\":[{many}null]}}"
    )
}

#[test]
fn a_megabyte_of_small_values_stays_about_a_megabyte() {
    let (directory, redis) = (TempDir::new().unwrap(), RedisServer::start().unwrap());
    let mut command = tales(directory.path(), SERVE);
    let service = Service::start(command.env("REDIS_URL", redis.url()));
    for (objects, status) in [(33_000, "HTTP/1.1 201"), (149_000, "HTTP/1.1 400")] {
        let body = story(objects);
        for _ in 0..30 {
            let answer = service.ask("POST /stories HTTP/1.1", &body);
            let first = answer.lines().next().unwrap_or_default();
            assert!(first.starts_with(status), "{first}");
        }
        let resident = resident(&service);
        assert!(resident < RESIDENT_KB, "{resident} kB");
    }
    assert!(service.get("/stories").starts_with("HTTP/1.1 200"));
    let after = resident(&service);
    assert!(after < 2 * RESIDENT_KB, "{after} kB");
}
