//! The counts of the last minute, from differences between looks.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::report::KindReport;
use crate::insight::indexes::LIST_OF_ALL;
use crate::insight::statistics::{KindStatistics, Outcome, Reason};
use crate::tiers::Tiers;
use crate::tiers::kind::AnyKind;

const MINUTE: Duration = Duration::from_secs(60);

/// The counters of one kind at one moment: reads, misses, bypasses.
#[derive(Clone, Debug, Default)]
struct Counts {
    reads: BTreeMap<&'static str, u64>,
    misses: BTreeMap<&'static str, u64>,
    bypasses: BTreeMap<&'static str, u64>,
    invalidations: u64,
}

type Look = BTreeMap<&'static str, Counts>;

/// The looks of the last minute, oldest first.
#[derive(Debug, Default)]
pub(super) struct Minute(VecDeque<(Instant, Look)>);

impl Counts {
    fn of(statistics: &KindStatistics) -> Self {
        let reads = |outcome: Outcome| (outcome.as_str(), statistics.reads_with(outcome));
        let invalidations = Reason::ALL.map(|reason| statistics.invalidations(reason));
        Self {
            reads: Outcome::ALL.map(reads).into(),
            misses: statistics.misses().collect(),
            bypasses: statistics.bypasses().collect(),
            invalidations: invalidations.iter().sum(),
        }
    }

    fn since(&self, before: &Self) -> KindReport {
        KindReport {
            reads: difference(&self.reads, &before.reads),
            misses: difference(&self.misses, &before.misses),
            bypasses: difference(&self.bypasses, &before.bypasses),
            invalidations: self.invalidations - before.invalidations,
            ..KindReport::default()
        }
    }
}

/// Returns by how much counts have grown, without those that have not.
fn difference(
    now: &BTreeMap<&'static str, u64>,
    before: &BTreeMap<&'static str, u64>,
) -> BTreeMap<String, u64> {
    let grown = now.iter().map(|(label, count)| {
        let before = before.get(label).copied().unwrap_or(0);
        ((*label).to_owned(), count.saturating_sub(before))
    });
    grown.filter(|(_, count)| 0 < *count).collect()
}

fn unread_indexes(known: &dyn AnyKind) -> Vec<String> {
    let indexes = &known.statistics().indexes;
    let names = indexes.names().filter(|name| *name != LIST_OF_ALL);
    let unread = names.filter(|name| indexes.is_unread(name));
    unread.map(str::to_owned).collect()
}

impl Minute {
    /// Looks at the counters. Returns the time since the oldest look, of up to a
    /// minute, and the counts of each kind in it.
    pub(super) fn look(&mut self, tiers: &Tiers) -> (Duration, BTreeMap<String, KindReport>) {
        let now = Instant::now();
        let kinds = tiers.kinds();
        let counts = kinds.iter();
        let look: Look = counts
            .map(|(kind, known)| (*kind, Counts::of(known.statistics())))
            .collect();
        while self.0.len() > 1 && self.0[1].0 + MINUTE <= now {
            self.0.pop_front();
        }
        let none = Counts::default();
        let (since, before) = match self.0.front() {
            Some((at, before)) => (now - *at, Some(before)),
            None => (Duration::ZERO, None),
        };
        let before = |kind| before.and_then(|before: &Look| before.get(kind));
        let reports = kinds.iter().map(|(kind, known)| {
            let (entries, bytes, _) = tiers.local_of(kind, &**known);
            let report = KindReport {
                epoch: tiers.epochs.known(kind).unwrap_or(0),
                entries,
                bytes,
                unread_indexes: unread_indexes(&**known),
                ..look[kind].since(before(kind).unwrap_or(&none))
            };
            ((*kind).to_owned(), report)
        });
        let reports = reports.collect();
        self.0.push_back((now, look));
        (since, reports)
    }
}
