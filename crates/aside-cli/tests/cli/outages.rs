//! Redis is away, or full, or evicts too early; or the address is another program's.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use aside_testkit::eventually_blocking;

use crate::SOON;
use crate::answers::{good, one_instance};
use crate::program::aside;

#[test]
fn an_instance_without_redis_reports_itself_alone() {
    let (redis, instance) = one_instance();
    let url = redis.url();
    redis.kill();
    let ask = |arguments: &[&str]| aside(&url, &[arguments, &["--at", &instance.url]].concat());
    eventually_blocking(SOON, "the outage is noticed", || {
        let health = ask(&["health"]);
        health.code == Some(1) && health.out.contains("NOT WELL  Redis is unavailable: ")
    });
    let fleet = ask(&["fleet"]);
    assert_eq!((fleet.code, &*fleet.out), (Some(1), ""), "{fleet:?}");
    assert!(
        fleet.err.contains("the instances are not known"),
        "{fleet:?}"
    );
    let stats = good(ask(&["stats"]));
    assert!(
        stats.out.contains("1 instance, which knows no others now)"),
        "{stats:?}"
    );
    assert!(stats.out.contains("\nhero "), "{stats:?}");
    let doctor = ask(&["doctor"]);
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    assert!(
        doctor
            .out
            .starts_with("error    reach    Redis is unavailable: "),
        "{doctor:?}"
    );
    let pending = ask(&["invalidate", "hero", "--id", "1", "--json"]);
    assert_eq!(pending.code, Some(5), "{pending:?}");
    assert_eq!(
        pending.json()["problems"][0]["code"],
        "pending",
        "{pending:?}"
    );
}

#[test]
fn a_policy_that_evicts_quarantines_is_a_warning() {
    let (redis, instance) = one_instance();
    let policy = ["CONFIG", "SET", "maxmemory-policy", "volatile-lru"];
    redis.command(&policy);
    let found = good(aside(&redis.url(), &["doctor", "--only", "eviction"]));
    assert!(found.out.starts_with("warn  eviction  "), "{found:?}");
    assert!(
        found
            .out
            .contains("volatile-lru, which may evict quarantines"),
        "{found:?}"
    );
    assert!(
        found.out.ends_with("\n0 errors, 1 warning, 0 unknown\n"),
        "{found:?}"
    );
    let at = ["doctor", "--at", &instance.url, "--only", "reach,memory"];
    let rest = good(aside(&redis.url(), &at));
    assert!(
        rest.out.starts_with("ok  2 checks  reach (Redis "),
        "{rest:?}"
    );
    let unknown = aside(&redis.url(), &["doctor", "--only", "weather"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
}

#[test]
fn another_program_at_the_address_exits_with_3() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let page = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
        let page = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>";
        stream.write_all(page.as_bytes()).unwrap();
    });
    let other = aside("redis://127.0.0.1:1", &["health", "--at", &url]);
    assert_eq!(other.code, Some(3), "{other:?}");
    assert!(
        other.err.contains("serves no admin routes of aside (200)"),
        "{other:?}"
    );
    page.join().unwrap();
}

#[test]
fn a_cache_in_the_process_of_a_service_is_not_reachable() {
    let memory = aside("memory://", &["health"]);
    assert_eq!(memory.code, Some(2), "{memory:?}");
    assert!(memory.err.contains("try: --at"), "{memory:?}");
}
