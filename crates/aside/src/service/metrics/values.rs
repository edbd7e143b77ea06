//! The metrics of the ends of values, and of the time that they saved.

use std::fmt;

use super::Kinds;
use crate::service::page::Page;

/// Encodes whether values were still current at their end, and whether rows that writes
/// left were read.
pub(super) fn ends(page: &mut Page<'_>, kinds: &Kinds) -> fmt::Result {
    let (mut expired, mut unread, mut saved) = (Vec::new(), Vec::new(), Vec::new());
    for (entity, kind) in kinds {
        let [same, changed] = kind.statistics().expiries_compared();
        for (outcome, count) in [("same", same), ("changed", changed)] {
            let labels = vec![("entity", *entity), ("outcome", outcome)];
            expired.push((labels, count));
        }
        let of_kind = vec![("entity", *entity)];
        unread.push((of_kind.clone(), kind.written().1));
        saved.push((of_kind, kind.statistics().time_saved().as_secs_f64()));
    }
    let help = "Values of sampled keys that followed an expired one, by its difference from it";
    page.counters("aside_expired", help, expired)?;
    let help = "Sampled rows that a write left and that were not read before the next or their end";
    page.counters("aside_written_unread", help, unread)?;
    let help = "Time that reads did not wait for the database, estimated";
    page.seconds("aside_time_saved_seconds", help, saved)
}
