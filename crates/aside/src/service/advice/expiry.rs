//! The ends of TTLs, and the readers that wait there.

use std::time::Duration;

use super::figures::{interval, number, percent, share, time, times};
use super::observed::Observed;
use super::{Advice, Confidence};
use crate::config::setting::kind_ttl_name;

/// The part of a TTL that is advised for early refresh, and the mean moment in it.
const EARLY: f64 = 0.1;
const MEAN_MOMENT: f64 = 0.75;

/// Fewer expiries are no evidence.
const MIN_EXPIRED: u64 = 100;

/// A second with so many expiries, and so many times the mean, is a herd.
const HERD: u64 = 10;
const TIMES_THE_MEAN: f64 = 20.0;

/// How much longer a TTL is advised, which `Ends::saved_by_four` is for.
const LONGER: u32 = 4;

/// A longer TTL is advised if certainly fewer values than this part had changed.
const MAX_CHANGED: f64 = 0.1;

/// A kind of which Redis evicts more than this part of the misses needs memory instead.
const MAX_EVICTED: f64 = 0.01;

/// Fewer reads between two expiries would seldom come in time to refresh a value.
const MIN_READS_PER_EXPIRY: f64 = 20.0;

/// Advises early refresh, where readers would have spared others the load.
#[allow(clippy::cast_precision_loss)]
pub(super) fn early_refresh(kind: &Observed) -> Option<Advice> {
    let policy = kind.policy?;
    let per_expiry = kind.reads as f64 / kind.expired.max(1) as f64;
    if policy.early_refresh.is_some()
        || kind.expired < MIN_EXPIRED
        || per_expiry < MIN_READS_PER_EXPIRY
    {
        return None;
    }
    // A value is refreshed if at least one read comes in the last part of its TTL.
    let in_time = 1.0 - (-per_expiry * EARLY * MEAN_MOMENT).exp();
    let stalls = kind.per_hour(kind.expired) * in_time;
    Some(Advice {
        rule: "early-refresh",
        kind: Some(kind.kind),
        set: format!("fn early_refresh(&self) -> Option<f64> {{ Some({EARLY}) }}"),
        gain: format!(
            "{} fewer reads an hour wait {} for a load",
            number(stalls),
            time(kind.load)
        ),
        evidence: format!(
            "{} of the misses are expired values, with {} reads between two of them",
            percent(share(kind.expired, kind.misses)),
            number(per_expiry)
        ),
        confidence: Confidence::Fair,
        against: format!(
            "about {} more loads an hour",
            number(EARLY * kind.per_hour(kind.expired))
        ),
        wrong_if: "`expired` of `aside_misses_total` falls by less than half of that: then most \
                   keys are read seldom"
            .to_owned(),
        saves_per_hour: times(kind.load, stalls),
    })
}

/// Advises jitter, where values that were filled together end together.
pub(super) fn jitter(kind: &Observed) -> Option<Advice> {
    let is_off = kind.policy?.jitter <= 0.0;
    let per_second = kind.per_hour(kind.expired) / 3600.0;
    #[allow(clippy::cast_precision_loss)]
    let most = kind.most_expired as f64;
    if !is_off || kind.most_expired < HERD || most < TIMES_THE_MEAN * per_second {
        return None;
    }
    Some(Advice {
        rule: "jitter",
        kind: Some(kind.kind),
        set: "fn jitter(&self) -> f64 { 0.1 }".to_owned(),
        gain: format!(
            "at most {} loads of expired values in one second, instead of {}",
            number((most / (EARLY * kind.ttl.as_secs_f64()).max(1.0)).max(1.0)),
            number(most)
        ),
        evidence: format!(
            "in the fullest second {} values had expired, of {} a second in the mean",
            number(most),
            number(per_second)
        ),
        confidence: Confidence::Good,
        against: "a TTL is up to 10 % shorter".to_owned(),
        wrong_if: "peaks of `aside_misses_total` with `expired` stay: then they come from readers"
            .to_owned(),
        // As many readers wait as before, but not at once.
        saves_per_hour: Duration::ZERO,
    })
}

/// Advises a longer TTL, where values are loaded again although they have not changed.
///
/// Reads of a key are Poisson with rate r, and unreported changes with rate c, both
/// independent. A TTL of T has 1 / (1 + r T) of the reads load after an end, and about
/// c T / 2 of them return a row with an unreported change. With p values in a hundred
/// changed at their end, c T is p / 100.
pub(super) fn longer_ttl(kind: &Observed) -> Option<Advice> {
    let [same, changed] = kind.compared;
    let all = same + changed;
    let (_, most) = interval(changed, all);
    if MAX_CHANGED <= most || MAX_EVICTED < share(kind.evicted, kind.misses) {
        return None;
    }
    let longer = kind.ttl * LONGER;
    let saved = kind.per_hour(kind.expired) * kind.ends.saved_by_four;
    let outdated = share(changed, all) / 2.0;
    let against = match kind.ends.is_journalled {
        true => "more memory of Redis. The journal reports changes by other programs, so the kind \
                 needs no TTL for freshness"
            .to_owned(),
        false => format!(
            "reads with a change that no writer reported: {} -> {}; writes through the cache are \
             seen at once, and those of other programs too with triggers",
            percent(outdated),
            percent(outdated * f64::from(LONGER))
        ),
    };
    Some(Advice {
        rule: "longer-ttl",
        kind: Some(kind.kind),
        set: format!("{}={}", kind_ttl_name(kind.kind), longer.as_secs()),
        gain: format!("about {} fewer loads an hour", number(saved)),
        evidence: format!(
            "{same} of {all} loads after the end of a TTL of {} s brought the same row; at most \
             {} of the rows change in that time",
            kind.ttl.as_secs(),
            percent(most)
        ),
        confidence: Confidence::Good,
        against,
        wrong_if: format!(
            "`changed` of `aside_expired_total` becomes more than {} of both",
            percent(most * f64::from(LONGER))
        ),
        saves_per_hour: times(kind.load, saved),
    })
}
