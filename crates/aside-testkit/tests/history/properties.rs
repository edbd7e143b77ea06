//! A correct history is never accused, and an injected error always is.

use std::time::Duration;

use aside_testkit::history::{Bounds, Check, Fate, History, Read, ReadKind, State, Time, Write};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::scenario::{H, KEY, bounds};
use crate::simulation::simulations;

proptest! {
    #![proptest_config(ProptestConfig {
        // Many histories are too short for the error to be injected.
        max_global_rejects: 1_000_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_correct_register_is_never_accused(simulation in simulations(true)) {
        let report = simulation.run().check(&bounds());
        prop_assert!(report.is_clean(), "{report}");
        prop_assert!(report.lenient_staleness <= bounds().lenient);
        prop_assert_eq!(report.strict_staleness, Duration::ZERO);
    }

    #[test]
    fn lines_preserve_every_history(simulation in simulations(true)) {
        let history = simulation.run();
        prop_assert_eq!(History::from_lines(&history.to_lines()), Ok(history));
    }

    #[test]
    fn a_read_lowered_below_its_floor_is_caught(
        simulation in simulations(true), which: Index, lower: Index,
    ) {
        let mut history = simulation.run();
        let floors: Vec<u64> = history.reads.iter().map(|it| floor(&history, it)).collect();
        let low: Vec<usize> = (0..floors.len()).filter(|&it| 0 < floors[it]).collect();
        prop_assume!(!low.is_empty());
        let read = low[which.index(low.len())];
        let version = lower.index(floors[read] as usize) as u64;
        history.reads[read].state = State::Row(version);
        prop_assert!(0 < history.check(&bounds()).violations());
    }

    #[test]
    fn a_read_of_a_write_before_its_start_is_caught(
        simulation in simulations(false), which: Index, higher in 0..3_u64,
    ) {
        let mut history = simulation.run();
        prop_assume!(!history.reads.is_empty());
        let read = which.index(history.reads.len());
        let begun = (history.writes.iter())
            .filter(|it| it.start <= history.reads[read].end)
            .filter_map(|it| it.state.as_ref()?.version())
            .max();
        history.reads[read].state = State::Row(begun.unwrap_or(0) + 1 + higher);
        let report = history.check(&bounds());
        prop_assert_eq!(report.violations_of(Check::NeverWritten), 1, "{}", report);
    }

    #[test]
    fn a_strict_read_older_than_an_earlier_read_is_caught(
        simulation in simulations(true), which: Index, lower: Index,
    ) {
        let mut history = simulation.run();
        let strict = |read: &Read| read.kind == ReadKind::Strict;
        let reads = &history.reads;
        let pairs: Vec<(usize, u64)> = (reads.iter().enumerate())
            .filter(|(_, read)| strict(read))
            .filter_map(|(index, read)| {
                let before = reads.iter().filter(|it| strict(it) && it.end < read.start);
                let version = before.filter_map(|it| it.state.version()).max()?;
                (0 < version).then_some((index, version))
            })
            .collect();
        prop_assume!(!pairs.is_empty());
        let (read, version) = pairs[which.index(pairs.len())];
        history.reads[read].state = State::Row(lower.index(version as usize) as u64);
        prop_assert!(0 < history.check(&bounds()).violations());
    }

    #[test]
    fn an_additional_member_is_caught(simulation in simulations(false), which: Index) {
        let mut history = simulation.of_lists().run();
        prop_assume!(!history.reads.is_empty());
        let read = which.index(history.reads.len());
        let State::List(version, members) = &history.reads[read].state else {
            unreachable!("a read of a list");
        };
        let more = members.iter().map(|it| &**it).chain(["more"]);
        history.reads[read].state = State::list(*version, more);
        let report = history.check(&bounds());
        prop_assert_eq!(report.violations_of(Check::Content), 1, "{}", report);
    }

    #[test]
    fn sweeps_find_the_same_as_comparing_all_pairs(
        history in histories(), slack in 0..10_u64, bound in 0..20_u64,
    ) {
        let bounds = Bounds {
            strict: Duration::from_nanos(bound / 2),
            strict_backwards: Duration::from_nanos(slack),
            lenient_backwards: Duration::from_nanos(slack / 2),
            ..Bounds::new(Duration::from_nanos(bound))
        };
        let report = history.check(&bounds);
        let found = [Check::NeverWritten, Check::Stale, Check::OwnWrite, Check::Backwards]
            .map(|check| report.violations_of(check));
        prop_assert_eq!(found, by_definition(&history, &bounds), "{}", report);
    }
}

/// Returns the newest version that returned more than the bound before the
/// read.
fn floor(history: &History, read: &Read) -> u64 {
    let bound = match read.kind {
        ReadKind::Strict => 0,
        ReadKind::Lenient => H,
    };
    (history.writes.iter())
        .filter(|it| returned(it).is_some_and(|end| end.as_nanos() + bound < read.start.as_nanos()))
        .filter_map(|it| it.state.as_ref()?.version())
        .max()
        .unwrap_or(0)
}

fn returned(write: &Write) -> Option<Time> {
    match write.fate {
        Fate::Returned(end) => Some(end),
        _ => None,
    }
}

/// Arbitrary histories of rows with few versions in a short time.
fn histories() -> impl Strategy<Value = History> {
    let instance = || prop_oneof![Just("a"), Just("b")];
    let time = || (1..60_u64, 0..20_u64);
    let kind = prop_oneof![Just(ReadKind::Strict), Just(ReadKind::Lenient)];
    let read =
        (instance(), time(), kind, 0..6_u64).prop_map(|(who, (start, took), kind, version)| Read {
            instance: who.into(),
            key: KEY.into(),
            kind,
            start: Time::from_nanos(start),
            end: Time::from_nanos(start + took),
            state: State::Row(version),
        });
    let write =
        (instance(), time(), 0..6_u8, 1..6_u64).prop_map(|(who, (start, took), fate, version)| {
            let end = Time::from_nanos(start + took);
            Write {
                instance: who.into(),
                key: KEY.into(),
                start: Time::from_nanos(start),
                fate: match fate {
                    0 => Fate::Failed(end),
                    1 => Fate::Unknown,
                    _ => Fate::Returned(end),
                },
                state: Some(State::Row(version)),
            }
        });
    (vec(read, 0..12), vec(write, 0..8)).prop_map(|(reads, writes)| History {
        reads,
        writes,
        ..History::default()
    })
}

/// Counts violations of C2, C1, C1 for own writes, and C3, by their
/// definitions.
fn by_definition(history: &History, bounds: &Bounds) -> [u64; 4] {
    let version = |read: &Read| read.state.version().unwrap();
    let made = |write: &Write| write.state.as_ref().unwrap().version().unwrap();
    let returned_as = |version| {
        let mut writes = history.writes.iter();
        writes.any(|write| returned(write).is_some() && made(write) == version)
    };
    let explained: Vec<&Read> = (history.reads.iter())
        .filter(|read| {
            let mut writes = history.writes.iter();
            version(read) == 0
                || writes.any(|write| {
                    let may_have_happened = match write.fate {
                        Fate::Returned(_) => true,
                        Fate::Unknown => !returned_as(made(write)),
                        _ => false,
                    };
                    may_have_happened && made(write) == version(read) && write.start <= read.end
                })
        })
        .collect();
    let misses = |read: &Read, bound: Duration, own: bool| {
        history.writes.iter().any(|write| {
            version(read) < made(write)
                && (!own || write.instance == read.instance)
                && returned(write).is_some_and(|end| end + bound < read.start)
        })
    };
    let is_stale = |read: &Read| match read.kind {
        ReadKind::Strict => misses(read, bounds.strict, false),
        ReadKind::Lenient => misses(read, bounds.lenient, false),
    };
    let is_backwards = |read: &Read| {
        explained.iter().any(|before| {
            let (comparable, slack) = match read.kind {
                ReadKind::Strict => (true, bounds.strict_backwards),
                ReadKind::Lenient => (before.instance == read.instance, bounds.lenient_backwards),
            };
            comparable
                && before.kind == read.kind
                && before.end + slack < read.start
                && version(read) < version(before)
        })
    };
    let count = |broken: &dyn Fn(&Read) -> bool| {
        explained.iter().filter(|read| broken(read)).count() as u64
    };
    [
        (history.reads.len() - explained.len()) as u64,
        count(&is_stale),
        count(&|read| !is_stale(read) && misses(read, Duration::ZERO, true)),
        count(&is_backwards),
    ]
}
