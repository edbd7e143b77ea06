//! Rows that writes leave in the cache.

use super::figures::{interval, number, percent, share, times};
use super::observed::Observed;
use super::{Advice, Confidence};

/// More rows than this part are not read after their write.
const MOSTLY_UNREAD: f64 = 0.8;

/// Fewer rows are no evidence.
const MIN_WRITTEN: u64 = 100;

/// Advises not to leave the rows of writes in the cache.
#[allow(clippy::cast_precision_loss)]
pub(super) fn cache_on_write(kind: &Observed) -> Option<Advice> {
    let (read, unread) = kind.written;
    let all = read + unread;
    let is_used = interval(unread, all).0 <= MOSTLY_UNREAD;
    if !kind.policy?.cache_on_write || all < MIN_WRITTEN || is_used {
        return None;
    }
    Some(Advice {
        rule: "cache-on-write",
        kind: Some(kind.kind),
        set: "fn cache_on_write(&self) -> bool { false }".to_owned(),
        gain: "writes encode and send no row, and memory stays for rows that are read".to_owned(),
        evidence: format!(
            "{} of {} sampled rows were not read here before the next write or the end of their \
             TTL",
            percent(share(unread, all)),
            number(all as f64)
        ),
        // Reads by other instances are not seen.
        confidence: Confidence::Fair,
        against: format!(
            "the first read after a write loads: {} of the rows",
            percent(share(read, all))
        ),
        wrong_if:
            "`invalidated` of `aside_misses_total` grows by more than that part of the writes"
                .to_owned(),
        saves_per_hour: times(kind.trip, kind.per_hour(unread)),
    })
}
