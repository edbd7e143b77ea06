//! Judgement: the results of a run, checked against the promises under its
//! faults.

use std::fmt;
use std::time::Duration;

use aside_testkit::history::{Bounds, Fate, History, Read, ReadKind, Report, Time, Write};

use super::database::{Commit, Database};
use super::instance::Instance;
use super::plan::Scenario;
use super::{JOURNAL_POLL, MAX_STALENESS, OPERATION_TIMEOUT, Records};

/// The tick of the coarse clock and of the timers.
const TICK: Duration = Duration::from_millis(10);

/// Longer than any run: a bound that nothing exceeds.
const NO_BOUND: Duration = Duration::from_secs(3600);

/// The maximum staleness of a row whose write Redis did not acknowledge: P + H,
/// and an operation timeout to detect that Redis is still unavailable.
const JOURNALLED: Duration = JOURNAL_POLL
    .saturating_add(OPERATION_TIMEOUT)
    .saturating_add(MAX_STALENESS)
    .saturating_add(TICK);

/// How long a COMMIT may still be executed after its writer has died.
const STRAY: Duration = Duration::from_millis(50);

/// The reports on one run.
pub(super) struct Judgement {
    /// All reads, under the promises for writes that Redis did not acknowledge.
    /// The writing instance sees them at once, the others through the journal
    /// after P and H. A row that never existed is never read, and in the end
    /// nothing is stale.
    pub(super) always: Report,
    /// Strict and lenient reads at their bounds, except in the windows of such
    /// writes.
    pub(super) strict: Report,
    pub(super) lenient: Report,
}

/// A time in which other instances need not know of a write of these keys.
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
        // For a write, an outage ends when its instance has notified Redis.
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
            // An instance that has not received an epoch serves values older
            // than it.
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
    /// Returns the promises outside of windows.
    fn bounds(self, commits: &[Commit]) -> Bounds {
        let h = MAX_STALENESS + TICK;
        let promised = Bounds {
            // Windows are also excluded for the writer's own reads; `always`
            // checks those.
            own_writes: false,
            ..Bounds::new(h)
        };
        // After a lost quarantine, only the newest *returned* write is
        // promised: between its commit and its return some reads see it and
        // others do not. A write of a whole kind has no quarantine at all.
        let unquarantined = self.loses_data() || commits.iter().any(|commit| commit.whole);
        if !unquarantined {
            return promised;
        }
        let between = longest_write(commits) + h;
        Bounds {
            strict: match self {
                Self::Histories | Self::Failovers | Self::Elections | Self::Upheavals => h,
                _ => Duration::ZERO,
            },
            strict_backwards: between,
            lenient_backwards: between + h,
            ..promised
        }
    }
}

/// Returns until when other instances need not know of a write that Redis did
/// not acknowledge.
fn window(commit: &Commit, scenario: Scenario, outages: &[(Time, Time)]) -> Option<Time> {
    let met = outage_met(commit, outages).map(|until| until + MAX_STALENESS + TICK);
    // The row of a whole kind is in the journal even if Redis acknowledged.
    let reachable = matches!(
        scenario,
        Scenario::Deaths | Scenario::Refreshes | Scenario::Evictions
    );
    let journalled = (commit.journalled || commit.whole && !reachable).then(|| {
        let ended = commit.returned.unwrap_or(commit.began + STRAY);
        ended + JOURNALLED
    });
    met.max(journalled)
}

/// Returns the end of the outage that a write ran into.
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
