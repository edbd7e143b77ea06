//! A long run of such rounds with fresh seeds: `make soak MINUTES=10`.

use std::collections::BTreeMap;
use std::env;
use std::time::{Duration, Instant};

use aside_testkit::history::Check;

use crate::heroes::Place;
use crate::instance;
use crate::judgement::Judgement;
use crate::plan::Plan;
use crate::round::{Round, seed_to_replay};

/// The variable with the duration in minutes. Default: one.
const MINUTES: &str = "ASIDE_CHAOS_MINUTES";

/// The variable with the only plan to follow, such as `Cluster`.
const ONLY: &str = "ASIDE_CHAOS_PLAN";

/// The duration of the faults in one round. Each round is judged separately, so
/// memory does not grow with the minutes.
const ROUND: Duration = Duration::from_secs(15);

/// How long an instance takes to use a primary that the Sentinels name, or a node
/// that was promoted, on a machine that is not busy.
const PROMISED: Duration = Duration::from_secs(1);

/// The plans by turns.
const KINDS: [(Place, Plan); 8] = [
    (Place::Postgres, Plan::Instances),
    (Place::Postgres, Plan::Redis),
    (Place::Postgres, Plan::Sentinels),
    (Place::Postgres, Plan::Cluster),
    (Place::Sqlite, Plan::Instances),
    (Place::Sqlite, Plan::Redis),
    (Place::Sqlite, Plan::Sentinels),
    (Place::Sqlite, Plan::Cluster),
];

/// The sums over all rounds of one topology.
#[derive(Debug, Default)]
struct Sums {
    rounds: u64,
    reads: u64,
    failed_reads: u64,
    excused: usize,
    unverified: u64,
    writes: u64,
    unknown_writes: u64,
    span: Duration,
    faults: BTreeMap<String, u64>,
    violations: BTreeMap<Check, u64>,
    strict: Duration,
    lenient: Duration,
    still_stale: usize,
    /// All returns to Redis, by the fault.
    returns: BTreeMap<&'static str, Vec<Duration>>,
}

#[test]
#[ignore = "runs for minutes: make soak"]
fn every_promise_holds_in_a_long_run() {
    if instance::is_one() {
        instance::run();
    }
    let minutes = env::var(MINUTES).ok().map(|it| it.parse::<f64>());
    let minutes = minutes.map_or(1.0, |it| it.expect("minutes are a number"));
    let end = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    let only = env::var(ONLY).ok();
    let mut kinds = KINDS.to_vec();
    kinds.retain(|(_, plan)| {
        only.as_ref()
            .is_none_or(|only| *only == format!("{plan:?}"))
    });
    assert!(!kinds.is_empty(), "{ONLY} is a plan: {KINDS:?}");
    let (mut sums, mut broken) = (BTreeMap::<_, Sums>::new(), Vec::new());
    for (place, plan) in kinds.into_iter().cycle() {
        if end <= Instant::now() {
            break;
        }
        let seed = seed_to_replay().unwrap_or_else(|| fastrand::u64(..1 << 32));
        let round = Round {
            test: "soak::every_promise_holds_in_a_long_run",
            place,
            plan,
            seed,
            lasting: ROUND,
        };
        let Some(judgement) = round.run() else {
            continue;
        };
        if !judgement.is_clean() {
            println!("{judgement}");
            broken.push((seed, place, plan));
        }
        sums.entry(plan.topology()).or_default().add(&judgement);
    }
    for (topology, sums) in &sums {
        println!("\n== {topology}");
        sums.print();
    }
    assert!(broken.is_empty(), "promises were broken in {broken:?}");
}

impl Sums {
    fn add(&mut self, judgement: &Judgement) {
        let Judgement {
            always, bounded, ..
        } = judgement;
        self.rounds += 1;
        self.reads += always.reads;
        self.failed_reads += always.failed_reads;
        self.excused += judgement.excused;
        self.unverified += always.unverified;
        self.writes += always.writes;
        self.unknown_writes += always.unknown_writes;
        self.span += always.span;
        for (fault, count) in &judgement.faults {
            *self.faults.entry(fault.clone()).or_default() += count;
        }
        for check in Check::ALL {
            // Both checks look for values that never existed, but only one of
            // them looks for the rest.
            let count = always
                .violations_of(check)
                .max(bounded.violations_of(check));
            *self.violations.entry(check).or_default() += count;
        }
        self.strict = self.strict.max(bounded.strict_staleness);
        self.lenient = self.lenient.max(bounded.lenient_staleness);
        self.still_stale += always.still_stale_keys();
        for &(fault, time) in &judgement.returns {
            self.returns.entry(fault).or_default().push(time);
        }
    }

    fn print(&self) {
        // A write is recorded as three: the row, and its place in two lists.
        let (writes, unknown) = (self.writes / 3, self.unknown_writes / 3);
        let seconds = self.span.as_secs_f64().max(1.0);
        println!("rounds: {} in {:.0?}", self.rounds, self.span);
        println!(
            "replies judged: {}, failed: {}",
            self.reads, self.failed_reads
        );
        println!("  in an allowed window: {}", self.excused);
        println!("  not verified in full: {}", self.unverified);
        println!("writes: {writes}, of unknown fate: {unknown}");
        println!(
            "per second: {:.0} replies, {:.0} writes",
            self.reads as f64 / seconds,
            writes as f64 / seconds
        );
        println!("faults: {}", self.faults.values().sum::<u64>());
        for (fault, count) in &self.faults {
            println!("  {fault}: {count}");
        }
        println!("violations: {}", self.violations.values().sum::<u64>());
        for (check, count) in &self.violations {
            println!("  {check:?}: {count}");
        }
        println!(
            "oldest reply from Redis, outside windows: {:.1?}",
            self.strict
        );
        println!(
            "oldest reply of any kind, outside windows: {:.1?}",
            self.lenient
        );
        println!("keys still stale in the end: {}", self.still_stale);
        for (fault, times) in &self.returns {
            let mut times = times.clone();
            times.sort_unstable();
            let (median, slowest) = (times[times.len() / 2], times[times.len() - 1]);
            let (all, late) = (
                times.len(),
                times.iter().filter(|it| PROMISED < **it).count(),
            );
            println!(
                "used again after {fault}: {all} times, median {median:.1?}, at most \
                 {slowest:.1?}, {late} times later than promised"
            );
        }
    }
}
