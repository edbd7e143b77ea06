//! The metrics of lists by index.

use std::fmt;

use super::Kinds;
use crate::insight::statistics::Outcome;
use crate::service::page::Page;

/// Encodes the reads below this process and the invalidations of each index.
pub(super) fn counts(page: &mut Page<'_>, kinds: &Kinds) -> fmt::Result {
    let (mut reads, mut invalidations) = (Vec::new(), Vec::new());
    for (entity, kind) in kinds {
        let indexes = &kind.statistics().indexes;
        for index in indexes.names() {
            let of_index = vec![("entity", *entity), ("index", index)];
            for outcome in Outcome::ALL {
                let labels = [&of_index[..], &[("outcome", outcome.as_str())]].concat();
                reads.push((labels, indexes.reads(index, outcome)));
            }
            invalidations.push((of_index, indexes.invalidations(index)));
        }
    }
    let help = "Reads of lists below this process, by index";
    page.counters("aside_index_reads", help, reads)?;
    let help = "Lists that writes of this process invalidated, by index";
    page.counters("aside_index_invalidations", help, invalidations)
}
