//! The copy of a key in this process, and the tier that the next read ends in.

use std::time::Duration;

use crate::entity::key::Key;
use crate::local::LocalCopy;
use crate::runtime::clock;
use crate::tiers::Tiers;

/// The copy of a key that this process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalState {
    /// `served`, or why it is not: `invalidated` and `forgotten` (its kind) by a
    /// message, `expired`, or `unproved`, if a message may have been missed.
    pub verdict: &'static str,
    /// The time since it was loaded from the database.
    pub age: Duration,
    /// The rest of its time to live here.
    pub ttl: Duration,
    /// The id of its fill.
    pub fill: u64,
    /// Its size in Redis.
    pub bytes: u64,
    /// True if it says that there is no such row.
    pub is_absence: bool,
    /// The age of the proof that every invalidation of it was received; `None` without
    /// one.
    pub proof_age: Option<Duration>,
}

impl LocalState {
    /// Returns the copy of a key of a kind that is cached here.
    pub(super) fn of(tiers: &Tiers, kind: &str, key: &Key) -> Option<Self> {
        tiers.copy_of(kind, key).as_ref().map(Self::shown)
    }

    fn shown(copy: &LocalCopy) -> Self {
        let age = clock::wall()
            .as_millisecond()
            .saturating_sub(copy.loaded_at);
        Self {
            verdict: copy.verdict,
            age: Duration::from_millis(u64::try_from(age).unwrap_or(0)),
            ttl: copy.ttl,
            fill: copy.fill,
            bytes: copy.bytes,
            is_absence: copy.is_absence,
            proof_age: copy.proof_age,
        }
    }
}

/// Returns the tier that a read ends in now, if that is known.
pub(super) fn next_read(
    local: Option<&LocalState>,
    is_prefetched: bool,
    verdict: Option<&'static str>,
    is_bypassed: bool,
) -> Option<&'static str> {
    if local.is_some_and(|local| local.verdict == "served") {
        return Some("local");
    }
    if is_prefetched {
        return Some("prefetched");
    }
    match verdict {
        None => is_bypassed.then_some("source"),
        Some("served") => Some("shared"),
        Some("loading") => Some("wait"),
        Some("bypassed" | "write_in_flight") => Some("source"),
        Some(_) => Some("load"),
    }
}
