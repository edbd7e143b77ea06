//! The sampling of a query's reads, apart from the hit.

use crate::answer::{Provenance, Tier};
use crate::entity::lookup::LookupRef;
use crate::insight::samples::{Sample, SampledName, Served};
use crate::local::LocalTier;
use crate::query::asked::Asked;
use crate::query::kept::Kept;
use crate::query::params::Params;
use crate::query::path::QueryPath;
use crate::runtime::clock::Moment;

impl<T: Send + Sync + 'static> QueryPath<T> {
    /// Adds a drawn local hit to the samples. Takes no memory.
    #[cold]
    #[inline(never)]
    pub(super) fn record_hit(&self, params: &Params, loaded_at: i64) {
        let asked = LookupRef::<Kept<T>>::Id(params);
        let tier = Tier::Local;
        let name = || SampledName::Local(LocalTier::hash_of(asked));
        self.push(name, Served { tier, loaded_at });
    }

    /// Adds a drawn read below this process to the samples.
    pub(super) fn record(&self, asked: &Asked, provenance: &Provenance) {
        let name = || {
            let prefix = self.tiers().prefix(self.kind.name);
            let key = asked.key.as_str();
            SampledName::Text(key.strip_prefix(&*prefix).unwrap_or(key).to_owned())
        };
        let served = Served {
            tier: provenance.tier,
            loaded_at: provenance.loaded_at,
        };
        self.push(name, served);
    }

    fn push(&self, name: impl FnOnce() -> SampledName, served: Served) {
        if let Some(samples) = &self.tiers().samples {
            samples.push(|| Sample {
                kind: self.kind.name,
                name: name(),
                served,
                at: Moment::now(),
            });
        }
    }
}
