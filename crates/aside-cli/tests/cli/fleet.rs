//! A fleet of three processes, one of which is stopped.

use aside_testkit::{RedisServer, eventually_blocking};
use rustix::process::Signal;

use crate::SOON;
use crate::instance::Instance;
use crate::program::aside;

#[test]
fn a_stopped_instance_is_named_by_every_command() {
    let redis = RedisServer::start().unwrap();
    let url = redis.url();
    let names = ["api-1", "api-2", "api-3"];
    let instances = names.map(|name| Instance::start(&url, name));
    eventually_blocking(SOON, "three instances in step", || {
        let health = aside(&url, &["health"]);
        health.code == Some(0)
            && health
                .out
                .contains("; 3 of 3 instances in step, oldest proof")
    });
    let doctor = aside(&url, &["doctor"]);
    assert_eq!(doctor.code, Some(0), "{doctor:?}");
    assert!(
        doctor.out.contains("hearing (3 of 3 heard, slowest api-"),
        "{doctor:?}"
    );
    assert!(
        doctor.out.ends_with("0 errors, 0 warnings, 0 unknown\n"),
        "{doctor:?}"
    );
    let stats = aside(&url, &["stats"]);
    assert!(
        stats.out.contains("3 instances)\nKIND  READS/S"),
        "{stats:?}"
    );

    instances[1].signal(Signal::STOP);
    eventually_blocking(SOON, "the stopped instance is silent", || {
        let health = aside(&url, &["health"]);
        let silent = "NOT WELL  1 of 3 instances is not in step: api-2 silent for ";
        health.code == Some(1)
            && health.out.contains(silent)
            && health.out.ends_with("next: aside doctor\n")
    });
    let fleet = aside(&url, &["fleet"]);
    assert_eq!(fleet.code, Some(1), "{fleet:?}");
    let row = fleet
        .out
        .lines()
        .find(|line| line.starts_with("api-2"))
        .unwrap();
    assert!(row.contains("SILENT"), "{fleet:?}");
    let doctor = aside(&url, &["doctor"]);
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    for finding in [
        "error  fleet",
        "api-2 silent for",
        "api-2 did not hear the test invalidation; 2 of 3 heard, slowest api-",
        "look: docs/operations.md#the-fleet",
        "2 errors, 0 warnings, 0 unknown\n",
    ] {
        assert!(doctor.out.contains(finding), "{finding}: {doctor:?}");
    }
    let done = aside(&url, &["invalidate", "hero", "--id", "1"]);
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.out.contains("2 instances confirmed"), "{done:?}");
    assert!(done.err.contains("api-2 silent for"), "{done:?}");
    assert!(done.err.contains("did not confirm"), "{done:?}");
    let at = aside(&url, &["health", "--at", &instances[0].url]);
    assert_eq!(at.code, Some(1), "{at:?}");

    instances[1].signal(Signal::CONT);
    eventually_blocking(SOON, "three instances in step again", || {
        aside(&url, &["health"]).code == Some(0)
    });
}
