//! What a world has shown, held to what is promised where such things happen.

use std::fmt;
use std::time::Duration;

use aside_testkit::history::{Bounds, Fate, History, Read, ReadKind, Report, Time, Write};

use super::database::{Commit, Database};
use super::instance::Instance;
use super::plan::Scenario;
use super::{JOURNAL_POLL, MAX_STALENESS, OPERATION_TIMEOUT, Records};

/// The tick of the coarse clock, and that of the timers.
const TICK: Duration = Duration::from_millis(10);

/// Longer than any world: a bound that nothing breaks.
const NO_BOUND: Duration = Duration::from_secs(3600);

/// How old a row may be that Redis could not be told of, P + H; and it takes
/// an operation's deadline to see that Redis still cannot be told.
const JOURNALLED: Duration = JOURNAL_POLL
    .saturating_add(OPERATION_TIMEOUT)
    .saturating_add(MAX_STALENESS)
    .saturating_add(TICK);

/// Until when a COMMIT whose writer has died may still happen.
const STRAY: Duration = Duration::from_millis(50);

/// The reports on one world.
pub(super) struct Judgement {
    /// Everything, with what holds for a write that Redis could not be told
    /// of: its instance sees it at once, the others by the journal after P and
    /// H, what never was is never seen, and in the end nothing is stale.
    pub(super) always: Report,
    /// At their bounds, strict reads and lenient ones, apart from those in the
    /// windows of such writes.
    pub(super) strict: Report,
    pub(super) lenient: Report,
}

/// A time in which others need not know of a write of these keys.
struct Window<'a> {
    commit: &'a Commit,
    until: Time,
}

impl Window<'_> {
    fn excuses(&self, read: &Read) -> bool {
        let mut keys = self.commit.states.iter();
        self.commit.began <= read.end
            && read.start <= self.until
            && keys.any(|(key, _)| **key == *read.key)
    }
}

impl Judgement {
    pub(super) fn of(records: Records, database: &Database, scenario: Scenario) -> Self {
        let commits = database.commits();
        let history = History {
            reads: records.reads,
            writes: Vec::new(),
            faults: records.faults,
            settled: records.settled,
            failed_reads: records.failed_reads,
        };
        let windows: Vec<Option<Time>> = commits
            .iter()
            .map(|commit| window(commit, scenario, &records.outages))
            .collect();

        let everywhere = Bounds {
            strict: JOURNALLED,
            strict_backwards: NO_BOUND,
            lenient_backwards: NO_BOUND,
            ..Bounds::new(JOURNALLED)
        };
        let mut always = history.clone();
        // An outage is over for a write when its instance has told Redis.
        always.writes = writes_of(&commits, |commit, _| {
            let returned = commit.returned?;
            let met = outage_met(commit, &records.outages);
            Some(met.map_or(returned, |until| returned.max(until)))
        });

        let mut outside = history;
        outside.settled.clear();
        let excused: Vec<Window<'_>> = commits
            .iter()
            .zip(&windows)
            .filter_map(|(commit, until)| {
                Some(Window {
                    commit,
                    until: (*until)?,
                })
            })
            .collect();
        outside
            .reads
            .retain(|read| !excused.iter().any(|window| window.excuses(read)));
        let mut lenient = outside.clone();
        lenient.reads.retain(|read| read.kind == ReadKind::Lenient);
        lenient.writes = writes_of(&commits, |commit, at| {
            Some(commit.returned?.max(windows[at].unwrap_or_default()))
        });
        let mut strict = outside;
        strict.reads.retain(|read| read.kind == ReadKind::Strict);
        strict.writes = writes_of(&commits, |commit, at| {
            let told = commit.returned?.max(windows[at].unwrap_or_default());
            // Who has not heard of an epoch serves what is older than it.
            Some(if commit.whole {
                told + MAX_STALENESS + TICK
            } else {
                told
            })
        });
        let bounds = scenario.bounds(&commits);
        Self {
            always: always.check(&everywhere),
            strict: strict.check(&bounds),
            lenient: lenient.check(&bounds),
        }
    }

    pub(super) fn is_clean(&self) -> bool {
        self.reports().iter().all(|(_, report)| report.is_clean())
    }

    pub(super) fn reports(&self) -> [(&'static str, &Report); 3] {
        [
            ("everything", &self.always),
            ("strict reads outside windows", &self.strict),
            ("lenient reads outside windows", &self.lenient),
        ]
    }
}

impl Scenario {
    /// What is promised outside of windows.
    fn bounds(self, commits: &[Commit]) -> Bounds {
        let h = MAX_STALENESS + TICK;
        let promised = Bounds {
            // Whose windows are cut out of one's own writes as well; `always`
            // sees to those.
            own_writes: false,
            ..Bounds::new(h)
        };
        // Once a quarantine is lost, what is promised is the newest write that
        // has *returned*: between its commit and its return some see it and
        // others do not. A write of a whole kind has no quarantine at all.
        let unquarantined = matches!(self, Self::Evictions | Self::Histories)
            || commits.iter().any(|commit| commit.whole);
        if !unquarantined {
            return promised;
        }
        let between = longest_write(commits) + h;
        Bounds {
            strict: match self {
                Self::Histories => h,
                _ => Duration::ZERO,
            },
            strict_backwards: between,
            lenient_backwards: between + h,
            ..promised
        }
    }
}

/// Until when others need not know of a write that Redis was not told of.
fn window(commit: &Commit, scenario: Scenario, outages: &[(Time, Time)]) -> Option<Time> {
    let met = outage_met(commit, outages).map(|until| until + MAX_STALENESS + TICK);
    // A kind's row stands in the journal whether Redis was told or not.
    let reachable = matches!(scenario, Scenario::Deaths | Scenario::Evictions);
    let journalled = (commit.journalled || commit.whole && !reachable).then(|| {
        let ended = commit.returned.unwrap_or(commit.began + STRAY);
        ended + JOURNALLED
    });
    met.max(journalled)
}

/// When the outage that a write ran into was over.
fn outage_met(commit: &Commit, outages: &[(Time, Time)]) -> Option<Time> {
    let ended = commit.returned.unwrap_or(commit.began + STRAY);
    let met = outages
        .iter()
        .filter(|(from, until)| commit.began <= *until && *from <= ended);
    met.map(|(_, until)| *until).max()
}

fn longest_write(commits: &[Commit]) -> Duration {
    let took = |commit: &Commit| Some(commit.returned?.since(commit.began));
    commits.iter().filter_map(took).max().unwrap_or_default()
}

fn writes_of(commits: &[Commit], returned: impl Fn(&Commit, usize) -> Option<Time>) -> Vec<Write> {
    let mut writes = Vec::new();
    for (at, commit) in commits.iter().enumerate() {
        let fate = returned(commit, at).map_or(Fate::Unknown, Fate::Returned);
        for (key, state) in &commit.states {
            writes.push(Write {
                instance: Instance::name(commit.process).into(),
                key: key.as_str().into(),
                start: commit.began,
                fate,
                state: Some(state.clone()),
            });
        }
    }
    writes
}

impl fmt::Display for Judgement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, report) in self.reports() {
            writeln!(formatter, "--- {what}\n{report}")?;
        }
        Ok(())
    }
}
