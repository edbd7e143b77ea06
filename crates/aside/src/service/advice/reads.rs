//! Kinds whose reads the cache does not pay for.

use super::figures::{interval, number, percent, share, time, times};
use super::observed::Observed;
use super::{Advice, Confidence};

/// More loads than this part find nothing.
const MANY_EMPTY: f64 = 0.3;

/// How much longer absences are to be kept.
const LONGER: u32 = 5;

/// Returns the hit ratio below which the trips of misses cost more than hits save.
///
/// A read that is no local hit costs a GET, and a miss an ACQUIRE and the load. Without a
/// cache each read costs a load. With a share l of local hits, the cache pays above a
/// hit ratio of (2 - l) trip / (load + trip).
pub(super) fn break_even(kind: &Observed) -> f64 {
    let (trip, load) = (kind.trip.as_secs_f64(), kind.load.as_secs_f64());
    if trip + load == 0.0 {
        return 0.0;
    }
    (2.0 - share(kind.local_hits, kind.reads)) * trip / (load + trip)
}

/// Advises not to cache a kind.
pub(super) fn uncached_kind(kind: &Observed) -> Option<Advice> {
    let (least, (_, most)) = (break_even(kind), interval(kind.hits, kind.reads));
    if least <= most {
        return None;
    }
    let both = kind.load + kind.trip;
    let lost = times(both, least - share(kind.hits, kind.reads));
    Some(Advice {
        rule: "uncached-kind",
        kind: Some(kind.kind),
        set: format!(
            "read {} from its repository, without CachedRepository",
            kind.type_name
        ),
        gain: format!(
            "each read is {} faster, and Redis has {} fewer commands an hour",
            time(lost),
            number(3.0 * kind.per_hour(kind.misses))
        ),
        evidence: format!(
            "{} of {} reads are hits; below {} the trips of misses cost more than hits save \
             (a load takes {}, a trip {})",
            percent(share(kind.hits, kind.reads)),
            number(kind.per_hour(kind.reads)) + " an hour",
            percent(least),
            time(kind.load),
            time(kind.trip)
        ),
        confidence: Confidence::Good,
        against: "the database no longer shares loads among readers of one row".to_owned(),
        wrong_if: format!(
            "the 95th percentile of reads of `{}` rises, or the database has more queries",
            kind.kind
        ),
        saves_per_hour: times(lost, kind.per_hour(kind.reads)),
    })
}

/// Advises to keep absences longer.
pub(super) fn absences(kind: &Observed) -> Option<Advice> {
    let (least, _) = interval(kind.empty_loads, kind.loads);
    let negative_ttl = kind.policy?.negative_ttl;
    if kind.loads < 100 || least <= MANY_EMPTY {
        return None;
    }
    let longer = (negative_ttl * LONGER).min(kind.ttl);
    let empty = kind.per_hour(kind.empty_loads);
    // A key that is asked for again and again is loaded once in a TTL.
    let part = 1.0 - negative_ttl.as_secs_f64() / longer.as_secs_f64().max(1.0);
    Some(Advice {
        rule: "absences",
        kind: Some(kind.kind),
        set: format!(
            "fn negative_ttl(&self) -> Duration {{ Duration::from_secs({}) }}",
            longer.as_secs()
        ),
        gain: format!("at most {} fewer loads an hour", number(empty * part)),
        evidence: format!(
            "{} of the loads find nothing, {} an hour; {} reads an hour hit a cached absence",
            percent(share(kind.empty_loads, kind.loads)),
            number(empty),
            number(kind.per_hour(kind.absence_hits))
        ),
        confidence: Confidence::Fair,
        against: format!(
            "a row that another program inserts is unseen for up to {} s; look first which \
             caller asks for rows that do not exist",
            longer.as_secs()
        ),
        wrong_if: "the loads do not fall: then most absent keys are asked for once, or ids have \
                   several spellings (`ids_are_exact`)"
            .to_owned(),
        saves_per_hour: times(kind.load, empty * part),
    })
}
