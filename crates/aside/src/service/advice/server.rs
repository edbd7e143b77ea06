//! The memory of Redis.

use super::figures::{bytes, number, percent, share, times};
use super::observed::{MIN_READS, Observed};
use super::{Advice, Confidence};
use crate::tiers::shard::ServerInfo;

/// Fewer misses than this part are not worth more memory.
const MIN_EVICTED: f64 = 0.01;

/// Advises more memory, where Redis evicts values that are read again.
#[allow(clippy::cast_precision_loss)]
pub(super) fn advise(info: &ServerInfo, kinds: &[Observed]) -> Option<Advice> {
    let sum = |count: fn(&Observed) -> u64| kinds.iter().map(count).sum::<u64>();
    let (evicted, misses) = (sum(|kind| kind.evicted), sum(|kind| kind.misses));
    let is_small = 0 < info.evicted_keys
        && 0 < info.max_memory_bytes
        && MIN_READS <= sum(|kind| kind.reads)
        && MIN_EVICTED < share(evicted, misses);
    if !is_small {
        return None;
    }
    let each = kinds.iter();
    let per_hour: f64 = each.clone().map(|kind| kind.per_hour(kind.evicted)).sum();
    let saved = each.map(|kind| times(kind.load, kind.per_hour(kind.evicted)));
    Some(Advice {
        rule: "redis-memory",
        kind: None,
        // Redis spells the same units in its own way.
        set: format!("maxmemory {}", bytes(2 * info.max_memory_bytes))
            .replace("iB", "b")
            .to_lowercase(),
        gain: format!("up to {} fewer loads an hour", number(per_hour)),
        evidence: format!(
            "Redis has evicted {} keys since it began, and {} of the misses are values that it \
             no longer had before their TTL ended",
            number(info.evicted_keys as f64),
            percent(share(evicted, misses))
        ),
        confidence: Confidence::Fair,
        against: "longer TTLs would not help: values do not live that long".to_owned(),
        wrong_if: "`evicted` of `aside_misses_total` stays while `aside_redis_evicted_keys_total` \
                   does not grow"
            .to_owned(),
        saves_per_hour: saved.sum(),
    })
}
