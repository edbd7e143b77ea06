//! A cache with one rule left out at a time. The checker must find each defect,
//! and nothing in the same steps if every rule is kept.

use std::time::Duration;

use aside_testkit::history::{Bounds, Check, ReadKind, Recorder, Recording, Report, Time};

const KEY: &str = "hero:1";

/// The rules of the cache; a bad build lacks one.
#[derive(Clone, Copy)]
struct Rules {
    /// A fill is accepted only under the lease that its miss received.
    lease: bool,
    /// A write empties the shared tier and closes it before the commit, and not
    /// only after it.
    quarantine: bool,
    /// A value fetched before an invalidation is invalid in the local tier
    /// after it.
    generation: bool,
    /// Readers after an invalidation never join a load that began before it.
    join: bool,
}

const ALL: Rules = Rules {
    lease: true,
    quarantine: true,
    generation: true,
    join: true,
};

/// The contents of the shared tier.
#[derive(Clone, Copy, PartialEq)]
enum Shared {
    Nothing,
    Value(u64),
    Lease(u64),
    Quarantine,
}

/// A load in flight: the row that the database returned, and its reader.
#[derive(Clone, Copy)]
struct Load {
    version: u64,
    lease: Option<u64>,
    generation: u64,
}

/// One instance over a shared tier over a database. Steps that happen at the
/// same time elsewhere are separate calls.
struct Cache {
    rules: Rules,
    recording: Recording,
    recorder: Recorder,
    database: u64,
    shared: Shared,
    leases: u64,
    /// The local entry, and the generation it belongs to.
    process: Option<(u64, u64)>,
    generation: u64,
}

impl Cache {
    /// Starts with version 1 in the database and nothing cached.
    fn new(rules: Rules) -> Self {
        let recording = Recording::new();
        let recorder = recording.recorder("instance");
        recorder.initial(KEY, 1);
        Self {
            rules,
            recording,
            recorder,
            database: 1,
            shared: Shared::Nothing,
            leases: 0,
            process: None,
            generation: 0,
        }
    }

    /// A read through the shared tier that waits for no other step.
    fn read(&mut self) {
        let started = Time::now();
        let version = match self.shared {
            Shared::Value(version) => version,
            _ => {
                let load = self.load();
                self.fill(load);
                load.version
            }
        };
        self.recorder.read(KEY, ReadKind::Strict, started, version);
    }

    /// The first half of a miss: takes the lease, if there is one, and reads
    /// the database.
    fn load(&mut self) -> Load {
        let lease = (self.shared == Shared::Nothing).then(|| {
            self.leases += 1;
            self.shared = Shared::Lease(self.leases);
            self.leases
        });
        Load {
            version: self.database,
            lease,
            generation: self.generation,
        }
    }

    /// The second half.
    fn fill(&mut self, load: Load) {
        let holds = load
            .lease
            .is_some_and(|lease| self.shared == Shared::Lease(lease));
        if holds || !self.rules.lease {
            self.shared = Shared::Value(load.version);
        }
    }

    /// A write up to its commit; [`Cache::release`] is the rest.
    fn commit(&mut self) {
        if self.rules.quarantine {
            self.shared = Shared::Quarantine;
            self.generation += 1;
        }
        self.database += 1;
    }

    /// The steps after the commit.
    fn release(&mut self) {
        self.shared = Shared::Nothing;
        self.generation += 1;
    }

    fn write(&mut self) {
        let write = self.recorder.begin_write(KEY);
        self.commit();
        write.learned(self.database);
        self.release();
        write.returned();
    }

    /// A read that only the local tier may serve.
    fn read_in_process(&mut self) {
        let started = Time::now();
        let valid = self
            .process
            .filter(|(_, generation)| !self.rules.generation || *generation == self.generation);
        if let Some((version, _)) = valid {
            self.recorder.read(KEY, ReadKind::Lenient, started, version);
        }
    }

    fn judge(&self) -> Report {
        self.recording.history().check(&Bounds::new(Duration::ZERO))
    }
}

/// Expects the checker to find this once, and nothing if the rule is kept.
#[track_caller]
fn only_without_the_rule(scenario: impl Fn(Rules) -> Report, broken: Rules, check: Check) {
    let report = scenario(broken);
    let found = (report.violations_of(check), report.violations());
    assert_eq!(found, (1, 1), "{report}");
    let report = scenario(ALL);
    assert!(report.reads != 0, "nothing was read");
    report.assert_clean();
}

#[test]
fn a_fill_without_a_lease_is_caught() {
    let slow_loader = |rules| {
        let mut cache = Cache::new(rules);
        let started = Time::now();
        let load = cache.load();
        cache.write();
        cache.fill(load);
        let recorder = &cache.recorder;
        recorder.read(KEY, ReadKind::Strict, started, load.version);
        cache.read();
        cache.judge()
    };
    let broken = Rules {
        lease: false,
        ..ALL
    };
    only_without_the_rule(slow_loader, broken, Check::Stale);
}

#[test]
fn invalidating_only_after_commit_is_caught_if_a_writer_dies() {
    let crash = |rules| {
        let mut cache = Cache::new(rules);
        cache.read();
        let write = cache.recorder.begin_write(KEY);
        write.learned(cache.database + 1);
        cache.commit();
        drop(write);
        // Another program reads the database, for example for a report.
        let started = Time::now();
        let recorder = &cache.recorder;
        recorder.read(KEY, ReadKind::Strict, started, cache.database);
        cache.read();
        cache.judge()
    };
    let broken = Rules {
        quarantine: false,
        ..ALL
    };
    only_without_the_rule(crash, broken, Check::Backwards);
}

#[test]
fn a_local_entry_without_a_generation_is_caught() {
    let late_reply = |rules| {
        let mut cache = Cache::new(rules);
        cache.read();
        // The reply to a GET is in transit while the key is written; the
        // message of the write arrives first.
        let Shared::Value(version) = cache.shared else {
            panic!("the read has filled");
        };
        let generation = cache.generation;
        cache.write();
        cache.process = Some((version, generation));
        cache.read_in_process();
        cache.read();
        cache.judge()
    };
    let broken = Rules {
        generation: false,
        ..ALL
    };
    only_without_the_rule(late_reply, broken, Check::Stale);
}

#[test]
fn joining_any_flight_is_caught() {
    let second_reader = |rules: Rules| {
        let mut cache = Cache::new(rules);
        let first = Time::now();
        let flight = cache.load();
        cache.write();
        let second = Time::now();
        let joins = !rules.join || flight.generation == cache.generation;
        let answer = if joins { flight } else { cache.load() };
        cache.fill(flight);
        let recorder = &cache.recorder;
        recorder.read(KEY, ReadKind::Strict, first, flight.version);
        recorder.read(KEY, ReadKind::Strict, second, answer.version);
        cache.judge()
    };
    let broken = Rules { join: false, ..ALL };
    only_without_the_rule(second_reader, broken, Check::Stale);
}
