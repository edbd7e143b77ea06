//! Indexes and lists that cost more than they save.

use std::time::Duration;

use super::figures::{interval, number, percent, share, times};
use super::observed::{Lists, MIN_READS, Observed};
use super::reads::break_even;
use super::{Advice, Confidence};

/// The time of the scripts of QUARANTINE and RELEASE for one key, at the server.
const SCRIPTS: Duration = Duration::from_micros(40);

/// Fewer invalidations of a list are no evidence.
const MIN_INVALIDATIONS: u64 = 100;

/// Advises on the lists of a kind.
pub(super) fn advise(kind: &Observed) -> Vec<Advice> {
    let lists = kind.lists.iter();
    let advice = lists.filter_map(|lists| {
        if lists.is_all() {
            list_of_all(kind, lists)
        } else {
            unread(kind, lists).or_else(|| uncached(kind, lists))
        }
    });
    advice.collect()
}

/// Advises to remove an index that is never read.
fn unread(kind: &Observed, lists: &Lists) -> Option<Advice> {
    if !lists.is_unread {
        return None;
    }
    let per_hour = kind.per_hour(lists.invalidations);
    Some(Advice {
        rule: "unread-index",
        kind: Some(kind.kind),
        set: format!("{} from {}", removal(lists), kind.type_name),
        gain: format!(
            "{} fewer invalidations an hour, {} of the keys of its writes",
            number(per_hour),
            percent(share(lists.invalidations, kind.invalidations))
        ),
        evidence: format!(
            "no read by `{}` in {} h, {} reads of the kind",
            lists.name,
            number(kind.age.as_secs_f64() / 3600.0),
            number(kind.per_hour(kind.reads)) + " an hour"
        ),
        // Another instance may read by it.
        confidence: Confidence::Fair,
        against: "ask the other instances too: `aside advise` without --at".to_owned(),
        wrong_if: "the code no longer compiles, because something reads by it".to_owned(),
        saves_per_hour: times(SCRIPTS, per_hour),
    })
}

fn removal(lists: &Lists) -> String {
    match lists.fields {
        [field] => format!("remove #[entity(index)] of `{field}`"),
        fields => format!("remove the index of `{}`", fields.join(", ")),
    }
}

/// Advises not to cache the lists of an index that are seldom hit.
#[allow(clippy::cast_precision_loss)]
fn uncached(kind: &Observed, lists: &Lists) -> Option<Advice> {
    // Local hits are not known by index, so each may have all of them.
    let hits = lists.hits + kind.local_list_hits;
    let reads = lists.reads + kind.local_list_hits;
    let (least, (_, most)) = (break_even(kind), interval(hits, reads));
    if lists.reads < MIN_READS || least <= most {
        return None;
    }
    let lost = times(kind.load + kind.trip, least - share(hits, reads));
    Some(Advice {
        rule: "uncached-index",
        kind: Some(kind.kind),
        set: format!(
            "read {} by `{}` from its repository; then {}",
            kind.type_name,
            lists.name,
            removal(lists)
        ),
        gain: format!(
            "{} fewer commands of Redis an hour, and faster reads",
            number(3.0 * kind.per_hour(lists.reads - lists.hits))
        ),
        evidence: format!(
            "{} of its {} reads are hits; below {} the trips of misses cost more than hits save",
            percent(share(hits, reads)),
            number(reads as f64),
            percent(least)
        ),
        confidence: Confidence::Fair,
        against: "concurrent readers of one list no longer share its load".to_owned(),
        wrong_if: "the database has more queries of this list".to_owned(),
        saves_per_hour: times(lost, kind.per_hour(reads)),
    })
}

/// Advises not to cache a list of all rows that is invalidated more often than read.
#[allow(clippy::cast_precision_loss)]
fn list_of_all(kind: &Observed, lists: &Lists) -> Option<Advice> {
    let (reads, invalidations) = (kind.reads_of_all, lists.invalidations);
    if lists.is_warmed || invalidations < MIN_INVALIDATIONS || invalidations <= reads {
        return None;
    }
    let per_minute = |count: u64| number(kind.per_hour(count) / 60.0);
    Some(Advice {
        rule: "list-of-all",
        kind: Some(kind.kind),
        set: format!("#[entity(list_all = false)] on {}", kind.type_name),
        gain: format!("{} fewer invalidations a minute", per_minute(invalidations)),
        evidence: format!(
            "{}:all is read {} times a minute and invalidated {} times",
            kind.kind,
            per_minute(reads),
            per_minute(invalidations)
        ),
        confidence: Confidence::Good,
        against: "each read of all rows is then a query, as most are now".to_owned(),
        wrong_if: "the database has more than that many queries of all rows".to_owned(),
        saves_per_hour: times(SCRIPTS, kind.per_hour(invalidations)),
    })
}
