//! The duration of a check. Run with
//! `--release -- --include-ignored --nocapture`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aside_testkit::history::{
    Bounds, Fate, History, Read, ReadKind, Recording, State, Time, Write,
};

/// A correct history: one operation after the other, every tenth a write.
fn history(operations: u64, keys: u64) -> History {
    let names: Vec<Arc<str>> = (0..keys).map(|it| format!("hero:{it}").into()).collect();
    let instances: Vec<Arc<str>> = (0..8).map(|it| format!("instance {it}").into()).collect();
    let mut versions = vec![0; names.len()];
    let mut history = History::default();
    for number in 0..operations {
        // Scattered, so that the operations of a key are far from each other.
        let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let index = (scattered % keys) as usize;
        let instance = Arc::clone(&instances[(scattered / keys % 8) as usize]);
        let key = Arc::clone(&names[index]);
        let start = Time::from_nanos(10 * number + 1);
        let end = Time::from_nanos(10 * number + 9);
        if number % 10 == 0 {
            versions[index] += 1;
            history.writes.push(Write {
                instance,
                key,
                start,
                fate: Fate::Returned(end),
                state: Some(State::Row(versions[index])),
            });
        } else {
            let kind = match scattered % 2 {
                0 => ReadKind::Strict,
                _ => ReadKind::Lenient,
            };
            let state = match versions[index] {
                0 => State::Absent(None),
                version => State::Row(version),
            };
            history.reads.push(Read {
                instance,
                key,
                kind,
                start,
                end,
                state,
            });
        }
    }
    history
}

#[test]
fn a_long_history_of_many_keys_or_one_key_is_checked() {
    let operations = if cfg!(debug_assertions) {
        50_000
    } else {
        1_000_000
    };
    for keys in [1, 1000] {
        let history = history(operations, keys);
        let began = Instant::now();
        let report = history.check(&Bounds::new(Duration::ZERO));
        println!(
            "{operations} operations, {keys} keys: {:?}",
            began.elapsed()
        );
        report.assert_clean();
        assert_eq!(report.reads + report.writes, operations);
    }
}

#[test]
#[ignore = "asserts on time: for a quiet machine and an optimised build"]
fn a_million_operations_are_checked_in_two_seconds() {
    for keys in [1, 1000] {
        let history = history(1_000_000, keys);
        let began = Instant::now();
        let report = history.check(&Bounds::new(Duration::ZERO));
        let took = began.elapsed();
        assert!(took < Duration::from_secs(2), "{keys} keys took {took:?}");
        report.assert_clean();
    }
}

#[test]
#[ignore = "asserts on time: for a quiet machine and an optimised build"]
fn recording_a_read_takes_less_than_a_microsecond() {
    let recorder = Recording::new().recorder("a");
    let began = Instant::now();
    for version in 0..1_000_000 {
        recorder.read("hero:1", ReadKind::Strict, Time::now(), version);
    }
    let took = began.elapsed();
    println!("{:?} for each", took / 1_000_000);
    assert!(took < Duration::from_secs(1), "{took:?}");
}
