//! A read's result, and whether it is fresh enough.

use std::time::Duration;

use crate::answer::{Answer, Bypass, Freshness, Missed, Provenance, Tier};
use crate::entity::lookup::Found;
use crate::insight::statistics::Outcome;
use crate::local::Entry;
use crate::runtime::clock::{self, Moment};
use crate::tiers::kind::{Cached, FlightResult};

/// What one reader gets.
pub(crate) struct ReadResult<E> {
    pub(crate) found: Found<E>,
    pub(crate) provenance: Provenance,
    /// How far behind the value may be, if it is served because the database failed.
    pub(crate) stale: Option<Duration>,
}

/// Returns true if a value that was loaded at `loaded_at` is fresh enough.
pub(crate) fn is_young(loaded_at: i64, freshness: Freshness) -> bool {
    match freshness {
        Freshness::AtMost(limit) => age_of(loaded_at) <= limit,
        Freshness::Any | Freshness::Shared | Freshness::Source => true,
    }
}

/// Returns true if a flight brought a value too old for this reader.
pub(crate) fn is_too_old<E, X>(flight: &FlightResult<E, X>, freshness: Freshness) -> bool {
    flight.result.is_ok() && !is_young(flight.provenance.loaded_at, freshness)
}

fn age_of(loaded_at: i64) -> Duration {
    let age = clock::wall().as_millisecond().saturating_sub(loaded_at);
    Duration::from_millis(u64::try_from(age).unwrap_or(0))
}

impl<E> ReadResult<E> {
    pub(crate) fn local(entry: Entry<E>) -> Self {
        Self {
            found: entry.found,
            provenance: Provenance {
                tier: Tier::Local,
                bypass: None,
                loaded_at: entry.loaded_at,
                ttl: Some(entry.deadline.since(Moment::now())),
                fill: Some(entry.fill),
                missed: Missed::Cold,
            },
            stale: None,
        }
    }

    pub(crate) fn cached(cached: Cached<E>) -> Self {
        Self {
            provenance: cached.provenance(),
            found: cached.found,
            stale: None,
        }
    }

    /// Loaded from the database just now.
    pub(crate) fn loaded(found: Found<E>, bypass: Option<Bypass>) -> Self {
        let loaded_at = clock::wall().as_millisecond();
        Self {
            found,
            provenance: Provenance::source(loaded_at, bypass),
            stale: None,
        }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        if self.stale.is_some() {
            return Outcome::StaleHit;
        }
        let Provenance { tier, bypass, .. } = self.provenance;
        Outcome::of(tier, bypass, self.found.is_absence())
    }

    pub(crate) fn into_answer(self) -> Answer<Found<E>> {
        Answer {
            tier: self.provenance.tier,
            bypass: self.provenance.bypass,
            age: Some(age_of(self.provenance.loaded_at)),
            ttl: self.provenance.ttl,
            stale: self.stale,
            value: self.found,
        }
    }
}
