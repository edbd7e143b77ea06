//! A read's answer, and how fresh it is.

use std::time::Duration;

use crate::answer::{Answer, Bypass, Freshness, Tier};
use crate::entity::lookup::Found;
use crate::insight::statistics::Outcome;
use crate::local::Entry;
use crate::runtime::clock::{self, Moment};
use crate::tiers::kind::{Landed, Stored};

/// A read's answer, before anybody has asked for its age.
pub(super) struct Served<E> {
    pub(super) found: Found<E>,
    pub(super) tier: Tier,
    pub(super) bypass: Option<Bypass>,
    pub(super) loaded_at: Option<i64>,
    pub(super) ttl: Option<Duration>,
    /// The fill it came from, where it came from Redis.
    pub(super) fill: Option<u64>,
    /// How far behind it may be, where it is served for want of another.
    pub(super) stale: Option<Duration>,
}

/// Whether something loaded at `loaded_at` is fresh enough.
pub(super) fn is_young(loaded_at: i64, freshness: Freshness) -> bool {
    match freshness {
        Freshness::AtMost(limit) => age_of(loaded_at) <= limit,
        Freshness::Any | Freshness::Shared | Freshness::Source => true,
    }
}

/// Whether a flight brought what this reader, who looked for itself, refused.
pub(super) fn is_too_old<E, X>(landed: &Landed<E, X>, freshness: Freshness) -> bool {
    landed.result.is_ok() && !is_young(landed.loaded_at, freshness)
}

fn age_of(loaded_at: i64) -> Duration {
    let age = clock::wall().as_millisecond().saturating_sub(loaded_at);
    Duration::from_millis(u64::try_from(age).unwrap_or(0))
}

impl<E> Served<E> {
    pub(super) fn in_process(entry: Entry<E>) -> Self {
        Self {
            found: entry.found,
            tier: Tier::Process,
            bypass: None,
            loaded_at: Some(entry.loaded_at),
            ttl: Some(entry.deadline.since(Moment::now())),
            fill: Some(entry.fill),
            stale: None,
        }
    }

    pub(super) fn stored(stored: Stored<E>) -> Self {
        Self {
            found: stored.found,
            tier: Tier::Shared,
            bypass: None,
            loaded_at: Some(stored.loaded_at),
            ttl: Some(stored.ttl),
            fill: Some(stored.fill),
            stale: None,
        }
    }

    /// Just loaded from the database.
    pub(super) fn loaded(found: Found<E>, bypass: Option<Bypass>, ttl: Option<Duration>) -> Self {
        let loaded_at = Some(clock::wall().as_millisecond());
        Self {
            found,
            tier: Tier::Source,
            bypass,
            loaded_at,
            ttl,
            fill: None,
            stale: None,
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        if self.stale.is_some() {
            return Outcome::StaleHit;
        }
        Outcome::of(self.tier, self.bypass, self.found.is_absence())
    }

    pub(super) fn into_answer(self) -> Answer<Found<E>> {
        Answer {
            tier: self.tier,
            bypass: self.bypass,
            age: self.loaded_at.map(age_of),
            ttl: self.ttl,
            stale: self.stale,
            value: self.found,
        }
    }
}
