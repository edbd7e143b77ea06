//! The sampling of reads, apart from the hit, whose code it would enlarge.

use crate::answer::{Provenance, Tier};
use crate::entity::Entity;
use crate::entity::lookup::LookupRef;
use crate::insight::samples::{Sample, SampledName, Served};
use crate::insight::statistics::Operation;
use crate::local::LocalTier;
use crate::read::ReadPath;
use crate::repository::Source;
use crate::runtime::clock::Moment;

/// Returns the copy that a local hit returned, by the time of its load.
#[inline]
pub(super) fn served_here(loaded_at: i64) -> Served {
    Served {
        tier: Tier::Local,
        loaded_at,
    }
}

/// Returns the copy that a read returned.
pub(super) fn served(provenance: &Provenance) -> Served {
    let Provenance {
        tier, loaded_at, ..
    } = *provenance;
    Served { tier, loaded_at }
}

impl<R: Source> ReadPath<R> {
    /// Adds a drawn read to the samples. A local hit calls it under the lock of its
    /// shard: it waits for no other lock, and takes no memory.
    #[cold]
    #[inline(never)]
    pub(super) fn record(
        &self,
        asked: LookupRef<'_, R::Entity>,
        operation: Operation,
        served: Served,
    ) {
        let Some(samples) = &self.tiers().samples else {
            return;
        };
        // No caller waits for the reads of a warm-up.
        if operation == Operation::WarmUp {
            return;
        }
        samples.push(|| Sample {
            kind: R::Entity::KIND,
            name: match served.tier {
                Tier::Local => SampledName::Local(LocalTier::hash_of(asked)),
                Tier::Shared | Tier::Source => SampledName::Text(asked.text()),
            },
            served,
            at: Moment::now(),
        });
    }
}
