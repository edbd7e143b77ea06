//! The verdict of a round. All reads are checked against the promises that
//! always hold. Reads outside the windows are also checked against the tighter
//! bounds.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use aside_testkit::history::{Bounds, Fate, History, Read, ReadKind, Report, Time};

use crate::heroes::number_of;
use crate::instance::{MAX_STALENESS, TICK};
use crate::plan::{Outage, Plan, Returns};
use crate::windows::Window;

/// Longer than any round, so no read can exceed this bound.
const NO_BOUND: Duration = Duration::from_secs(3600);

/// P + H: the maximum age of a row whose writer did not reach Redis. One more
/// second is for the database, which may answer a poll late. Four instances
/// load it, and half of their operations are writes.
const JOURNALLED: Duration = Duration::from_millis(500 + 500 + 10 + 1000);

/// How long an instance may take to use a primary that the Sentinels name, or a
/// node that was promoted. It is a second on a machine that is not busy.
const RETURNS_WITHIN: Duration = Duration::from_secs(5);

/// How long a cluster's election without a winner closes all shards. Nodes of a
/// busy machine are taken for failed more often.
const FAILED_ELECTION: Duration = Duration::from_secs(5);

/// The judgement of one round.
#[derive(Clone, Debug)]
pub(crate) struct Judgement {
    /// All reads: they show own writes, only values that existed, and nothing
    /// older than the journal allows. At the end no key is stale.
    pub(crate) always: Report,
    /// Reads outside all windows, at their bounds.
    pub(crate) bounded: Report,
    /// The number of reads that the windows excluded from `bounded`.
    pub(crate) excused: usize,
    pub(crate) faults: BTreeMap<String, u64>,
    /// How long instances took to use Redis again, by the fault.
    pub(crate) returns: Returns,
    pub(crate) plan: Plan,
}

impl Judgement {
    pub(crate) fn of(
        history: &History,
        mut windows: Vec<Window>,
        outages: &[Outage],
        plan: Plan,
    ) -> Self {
        windows.extend(windows_of(outages, history));
        let always = Bounds {
            strict: JOURNALLED,
            strict_backwards: NO_BOUND,
            lenient_backwards: NO_BOUND,
            ..Bounds::new(JOURNALLED)
        };
        let tight = Bounds::new(MAX_STALENESS + TICK);
        let bounds = match plan {
            Plan::Instances => tight,
            // After the loss of a quarantine, the promise is the newest write
            // that has *returned*. Between its commit and its return, some
            // readers may see it and others not.
            Plan::Redis | Plan::Sentinels | Plan::Cluster => Bounds {
                strict_backwards: longest_write(history),
                lenient_backwards: longest_write(history) + MAX_STALENESS + TICK,
                ..tight
            },
        };
        let mut outside = history.clone();
        outside.settled.clear();
        let excuses = Excuses::new(&windows);
        outside.reads.retain(|read| !excuses.excuse(read));
        let mut faults = BTreeMap::new();
        for fault in &history.faults {
            let kind = fault.what.split(':').next().unwrap_or_default();
            *faults.entry(kind.to_owned()).or_default() += 1;
        }
        Self {
            always: history.check(&always),
            bounded: outside.check(&bounds),
            excused: history.reads.len() - outside.reads.len(),
            faults,
            returns: Vec::new(),
            plan,
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.always.is_clean() && self.bounded.is_clean()
    }

    /// Returns the longest time until instances used Redis again.
    fn slowest_return(&self) -> Duration {
        let times = self.returns.iter().map(|&(_, time)| time);
        times.max().unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn assert_clean(&self, seed: u64) {
        assert!(
            self.is_clean(),
            "a promise was broken, with ASIDE_CHAOS_SEED={seed}"
        );
        let slowest = self.slowest_return();
        let within = match self.plan {
            Plan::Cluster => RETURNS_WITHIN + FAILED_ELECTION,
            Plan::Instances | Plan::Redis | Plan::Sentinels => RETURNS_WITHIN,
        };
        assert!(slowest < within, "Redis was unused for {slowest:?}");
        // A round without any judged read or write proves nothing.
        assert!(self.bounded.reads > 0 && self.bounded.writes > 0);
        assert!(self.always.settled_keys > 0);
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "faults: {:?}", self.faults)?;
        writeln!(f, "reads in an allowed window: {}", self.excused)?;
        for (fault, time) in &self.returns {
            writeln!(f, "used again after {fault}: {time:.1?}")?;
        }
        writeln!(f, "--- all reads\n{}", self.always)?;
        write!(
            f,
            "--- reads outside windows, at their bounds\n{}",
            self.bounded
        )
    }
}

/// A write during an outage may be unknown to others until all is settled.
fn windows_of(outages: &[Outage], history: &History) -> Vec<Window> {
    let mut windows = Vec::new();
    for outage in outages {
        for write in &history.writes {
            let ended = match write.fate {
                Fate::Returned(end) | Fate::Failed(end) => end,
                Fate::Unknown => Time::from_nanos(u64::MAX),
                Fate::Initial => continue,
            };
            if write.start <= outage.until && outage.from <= ended {
                windows.push(Window {
                    instance: write.instance.to_string(),
                    hero: number_of(&write.key),
                    from: write.start,
                    until: Some(outage.until),
                });
            }
        }
    }
    windows
}

/// Windows grouped by their hero.
struct Excuses<'a>(HashMap<usize, Vec<&'a Window>>);

impl<'a> Excuses<'a> {
    fn new(windows: &'a [Window]) -> Self {
        let mut by_hero: HashMap<usize, Vec<&Window>> = HashMap::new();
        for window in windows {
            by_hero.entry(window.hero).or_default().push(window);
        }
        Self(by_hero)
    }

    /// Returns true if the read may miss another instance's write that Redis
    /// did not know about.
    fn excuse(&self, read: &Read) -> bool {
        // A value read in the window may stay in the local tier for H after it.
        let later = match read.kind {
            ReadKind::Strict => Duration::ZERO,
            ReadKind::Lenient => MAX_STALENESS + TICK,
        };
        let windows = self.0.get(&number_of(&read.key)).into_iter().flatten();
        windows
            .filter(|window| window.instance != *read.instance)
            .any(|window| {
                let over = window.until.is_some_and(|until| until + later < read.start);
                window.from <= read.end && !over
            })
    }
}

fn longest_write(history: &History) -> Duration {
    let writes = history.writes.iter();
    let lengths = writes.filter_map(|write| match write.fate {
        Fate::Returned(end) => Some(end.since(write.start)),
        _ => None,
    });
    lengths.max().unwrap_or_default()
}
