//! The task that takes the samples of reads and counts the hot keys.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Tiers;
use crate::entity::key;
use crate::insight::heat::{Heard, Hot};
use crate::insight::samples::{Sample, SampledName, Samples};
use crate::runtime::clock::{self, Moment};
use crate::tiers::kind::AnyKind;

/// The pause between two visits.
const INTERVAL: Duration = Duration::from_millis(100);

/// Takes the samples of a service until it ends.
pub(crate) async fn run(tiers: Weak<Tiers>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        match tiers.upgrade() {
            Some(tiers) => tiers.take_samples(),
            None => return,
        }
    }
}

impl Tiers {
    /// Learns from the samples that reads have left until now.
    pub(crate) fn take_samples(&self) {
        let Some(samples) = &self.samples else {
            return;
        };
        let kinds = self.kinds();
        let mut heat = self.heat.lock();
        heat.fade(Moment::now(), || counted(&kinds));
        samples.take(|sample| {
            let Some(kind) = kinds.get(sample.kind) else {
                return;
            };
            kind.statistics()
                .served_at(sample.served.tier, age(&sample));
            match self.heard(&**kind, sample) {
                Some(heard) => heat.hear(heard),
                None => heat.hear_unnamed(),
            }
        });
    }

    /// Returns a sample with the name of its key; `None` if its entry has left.
    fn heard(&self, kind: &dyn AnyKind, sample: Sample) -> Option<Heard> {
        let (text, local) = match sample.name {
            SampledName::Text(text) => (text, None),
            SampledName::Local(hash) => {
                // The type of an id writes its own text, and may panic.
                let name = || self.name_of(sample.kind, kind, hash);
                let name = catch_unwind(AssertUnwindSafe(name)).ok()??;
                (name, Some(hash))
            }
        };
        let key = self.prefix(sample.kind) + text.trim_start_matches(':');
        Some(Heard {
            kind: sample.kind,
            hash: key::hash(&key),
            key,
            local,
            loaded_at: sample.served.loaded_at,
        })
    }

    /// Returns how many samples were taken, and how many dropped.
    pub(crate) fn sample_counts(&self) -> (u64, u64) {
        self.samples.as_ref().map_or((0, 0), Samples::counts)
    }

    /// Returns at most `limit` hot keys, the hottest first; of one kind, if it is given.
    pub(crate) fn hottest(&self, kind: Option<&str>, limit: usize) -> Vec<Hot> {
        self.take_samples();
        let until = (Moment::now(), counted(&self.kinds()));
        let is_wanted = |hot: &Hot| kind.is_none_or(|kind| kind == hot.kind);
        self.heat.lock().hottest(limit, until, is_wanted)
    }
}

/// Returns the number of reads that callers have made.
fn counted(kinds: &BTreeMap<&'static str, Arc<dyn AnyKind>>) -> u64 {
    kinds.values().map(|kind| kind.statistics().all()).sum()
}

/// Returns how old the value was when it was read.
fn age(sample: &Sample) -> Duration {
    let age = clock::wall().as_millisecond() - sample.served.loaded_at;
    let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
    age.saturating_sub(Moment::now().since(sample.at))
}
