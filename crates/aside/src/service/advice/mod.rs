//! Changes that would pay, from the counts of this service.
//!
//! Each rule compares counters with the figure at which a change begins to pay, and
//! says nothing without enough of them. Intervals are Wilson's (J. Am. Stat. Assoc. 22,
//! 1927), so few counts give no advice.

mod figures;
mod observed;
mod memory;
mod reads;
mod lists;
mod expiry;
mod writes;
mod server;

use std::time::Duration;

use crate::service::CacheService;
use crate::service::advice::observed::{MIN_AGE, MIN_READS, Observed};

/// The most that is advised at once.
const MAX_ADVICE: usize = 10;

/// A change that pays, with its evidence.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Advice {
    /// The rule: `memory`, `uncached-kind`, `absences`, `redis-memory`,
    /// `early-refresh`, `jitter`, `longer-ttl`, `cache-on-write`, `unread-index`, `uncached-index`, `list-of-all`.
    pub rule: &'static str,
    /// The kind; `None` for the whole service.
    pub kind: Option<&'static str>,
    /// The remedy: a line of the settings or of the code.
    pub set: String,
    /// The change, in units.
    pub gain: String,
    /// The counts behind it.
    pub evidence: String,
    /// How sure it is.
    pub confidence: Confidence,
    /// The cost; empty if there is none.
    pub against: String,
    /// The sign that it was wrong.
    pub wrong_if: String,
    /// The time of callers, the database and Redis that it saves in an hour, estimated.
    /// The list is in this order.
    pub saves_per_hour: Duration,
}

/// How surely something is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Confidence {
    /// Counted, or estimated within a known error.
    Good,
    /// Estimated under assumptions that may not hold.
    Fair,
}

impl Confidence {
    /// Returns its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Fair => "fair",
        }
    }
}

impl CacheService {
    /// Returns at most ten changes that would pay, the most urgent first.
    ///
    /// The counts are those of this process, since it began. A kind with less than
    /// 1,000 reads gets no advice, and a service that is younger than an hour none at
    /// all.
    #[must_use]
    pub fn advice(&self) -> Vec<Advice> {
        let age = self.age();
        if age < MIN_AGE {
            return Vec::new();
        }
        let tiers = self.tiers();
        let kinds = tiers.kinds();
        let all = kinds
            .iter()
            .map(|(kind, known)| Observed::of(tiers, kind, &**known, age));
        let all: Vec<Observed> = all.collect();
        let mut advice = Vec::new();
        advice.extend(memory::advise(&self.curves(), self.config(), &all));
        advice.extend(server::advise(&tiers.server_info(), &all));
        for kind in all.iter().filter(|kind| MIN_READS <= kind.reads) {
            // The rest would only serve a cache that does not pay.
            match reads::uncached_kind(kind) {
                Some(uncached) => advice.push(uncached),
                None => of_kind(kind, &mut advice),
            }
        }
        advice.sort_by_key(|advice| std::cmp::Reverse(advice.saves_per_hour));
        advice.truncate(MAX_ADVICE);
        advice
    }
}

/// Adds the advice of all rules for a kind.
fn of_kind(kind: &Observed, advice: &mut Vec<Advice>) {
    advice.extend(reads::absences(kind));
    advice.extend(expiry::early_refresh(kind));
    advice.extend(expiry::jitter(kind));
    advice.extend(expiry::longer_ttl(kind));
    advice.extend(writes::cache_on_write(kind));
    advice.extend(lists::advise(kind));
}

#[cfg(test)]
mod tests;
