//! One pass over the reads of a key, in the order of time.
//!
//! A read is compared with all reads that ended before it began. This set only
//! grows from one read to the next, so it is enough to remember its newest
//! result.

use std::time::Duration;

use super::bounds::Bounds;
use super::event::Read;
use super::explain::Answer;
use super::versions::Versions;

/// Calls `backwards` with every result that is older than another one that
/// ended more than `slack` before it began.
///
/// The results must be in the order of their start.
pub(super) fn sweep(
    answers: &mut [Answer<'_>],
    versions: &Versions<'_>,
    bounds: &Bounds,
    slack: Duration,
    mut backwards: impl FnMut(&Read, &Read),
) {
    answers.sort_unstable_by_key(|answer| answer.read.start);
    let mut by_end: Vec<usize> = (0..answers.len()).collect();
    by_end.sort_unstable_by_key(|&index| answers[index].read.end);
    let mut ended = by_end.into_iter().peekable();
    let mut newest: Option<usize> = None;

    for index in 0..answers.len() {
        let read = answers[index].read;
        let horizon = read.start.back(slack);
        // A read that ended before this one began also began before it. Its
        // oldest possible version has therefore already been decided.
        while let Some(before) = ended.next_if(|&it| answers[it].read.end < horizon) {
            if newest.is_none_or(|newest| answers[newest].oldest < answers[before].oldest) {
                newest = Some(before);
            }
        }
        let Some(newest) = newest else { continue };
        let least = answers[newest].oldest;
        let answer = &answers[index];
        if answer.newest < least {
            backwards(answers[newest].read, read);
        } else if answer.oldest < answer.newest {
            // The absence cannot come from a deletion that was overwritten by
            // then.
            let bound = bounds.staleness(read.kind);
            let oldest = versions.oldest_absence(read.start, bound, least);
            let answer = &mut answers[index];
            answer.oldest = oldest.unwrap_or(answer.newest).min(answer.newest);
        }
    }
}
