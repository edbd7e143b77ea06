//! `GET /cache/stats`: the counters, the sizes and the health of the cache.

use std::time::Duration;

use aside::{
    CacheService,
    report::{Durations, Health, KindStats, ServiceStats, ShardHealth},
};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use serde_json::{Map, Value, json};

use crate::admin::Admin;
use crate::history::sample::{COUNTERS, OfKind, Sample};
use crate::problem::Problem;
use crate::query;

pub(crate) async fn stats(
    State(admin): State<Admin>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Json<Value>, Problem> {
    query::none(&uri)?;
    admin.history().begin();
    let cache = admin.cache();
    let health = cache.health_check().await;
    let stats = cache.stats();
    let minute = admin.history().last_minute();
    let mut kinds = Map::new();
    for kind in &stats.kinds {
        let mut shown = of_kind(cache, kind).await;
        shown["last_minute"] = json!(minute.as_ref().map(|minute| last_minute(kind, minute)));
        kinds.insert(kind.kind.to_owned(), shown);
    }
    let access = match admin.access().may_change(&headers) {
        true => "all",
        false => "read",
    };
    Ok(Json(json!({
        "access": access,
        "health": of_health(cache, &health),
        "kinds": kinds,
        "service": of_service(cache, &stats),
        "warm_up": admin.warm_ups().progress(&cache.warm_ups()),
    })))
}

async fn of_kind(cache: &CacheService, kind: &KindStats) -> Value {
    let list_all_ttl = match kind.has_list_of_all {
        true => cache.ttl(&cache.list_all_key(kind.kind)).await.left(),
        false => None,
    };
    let indexes: Vec<Value> = kind
        .indexes
        .iter()
        .map(|index| {
            json!({
                "segment": index.segment,
                "fields": index.fields,
                "unique": index.unique,
            })
        })
        .collect();
    json!({
        "l1_hits": kind.l1_hits,
        "l2_hits": kind.l2_hits,
        "negative_hits": kind.negative_hits,
        "stale_hits": kind.stale_hits,
        "misses": kind.misses,
        "bypasses": kind.bypasses,
        "miss_reasons": kind.miss_reasons,
        "bypass_reasons": kind.bypass_reasons,
        "hit_rate": kind.hit_rate(),
        "invalidations": kind.invalidations,
        "l1_entries": kind.l1_entries,
        "l1_bytes": kind.l1_bytes,
        "l1_evictions": kind.l1_evictions,
        "source_mean_ms": kind.source_times.mean().map(millis),
        "ttl_seconds": kind.ttl.as_secs_f64(),
        "list_all_ttl_seconds": list_all_ttl.map(|ttl| ttl.as_secs_f64()),
        "indexes": indexes,
    })
}

/// Returns the work of a kind in the last minute, or since the start if that is less.
fn last_minute(kind: &KindStats, minute: &Sample) -> Value {
    let none = OfKind::default();
    let of_kind = minute.kinds.get(kind.kind).unwrap_or(&none);
    let counts = COUNTERS.into_iter().zip(of_kind.counts);
    let mut shown: Map<_, _> = counts
        .map(|(name, count)| (name.to_owned(), json!(count)))
        .collect();
    let seconds = f64::from(minute.millis) / 1e3;
    let reads: f64 = of_kind.counts[..6].iter().copied().map(f64::from).sum();
    shown.insert("seconds".to_owned(), json!(seconds));
    shown.insert(
        "reads_per_second".to_owned(),
        json!(reads / seconds.max(1.0)),
    );
    shown.insert("miss_reasons".to_owned(), json!(of_kind.misses));
    shown.insert("bypass_reasons".to_owned(), json!(of_kind.bypasses));
    shown.insert("saved_seconds".to_owned(), json!(saved(kind, of_kind)));
    Value::Object(shown)
}

/// Estimates the time that readers did not wait for the database: the hits at the mean
/// time of a load, less the time of those in Redis. `None` before the first load.
fn saved(kind: &KindStats, minute: &OfKind<u32>) -> Option<f64> {
    let load = kind.source_times.mean()?.as_secs_f64();
    let of_redis = kind.read_times.get("l2_hit").and_then(Durations::mean);
    let hits: f64 = minute.counts[..3].iter().copied().map(f64::from).sum();
    let from_redis = f64::from(minute.counts[1]);
    Some((hits * load - from_redis * of_redis.unwrap_or_default().as_secs_f64()).max(0.0))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn of_service(cache: &CacheService, stats: &ServiceStats) -> Value {
    json!({
        "instance": format!("{:016x}", cache.instance()),
        "fills_rejected": stats.fills_rejected,
        "lease_waits": stats.lease_waits,
        "quarantine_bypasses": stats.quarantine_bypasses,
        "releases_lost": stats.releases_lost,
        "version": env!("CARGO_PKG_VERSION"),
        "staleness_bound_ms": millis(cache.config().max_staleness),
        "unsynced_seconds": stats.unsynced.as_secs_f64(),
        "breaker": stats.breaker.as_str(),
        "suspicions": stats.suspicions,
        "errors": stats.errors,
    })
}

fn of_health(cache: &CacheService, health: &Health) -> Value {
    json!({
        "status": health.status.as_str(),
        "synced": cache.is_synced(),
        "latency_ms": health.latency.map(|latency| latency.as_secs_f64() * 1e3),
        "breaker": health.breaker.as_str(),
        "connections": health.connections,
        "held_keys": health.unreleased_keys,
        "server_version": health.server_version,
        "used_memory_bytes": health.used_memory_bytes,
        "evicted_keys": health.evicted_keys,
        "max_memory_bytes": health.max_memory_bytes,
        "eviction_policy": health.eviction_policy,
        "reason": health.reason,
        "unused_seconds": health.unused_for.map(|time| time.as_secs_f64()),
        "proof_age_seconds": health.proof_age.map(|age| age.as_secs_f64()),
        "server": health.server.as_ref().map(|server| json!({
            "address": server.address,
            "database": server.database,
            "tls": server.tls,
        })),
        "shards": health.shards.iter().map(of_shard).collect::<Vec<_>>(),
    })
}

fn of_shard(shard: &ShardHealth) -> Value {
    json!({
        "server": shard.server,
        "slots": shard.slots,
        "reason": shard.reason,
        "unused_seconds": shard.unused_for.map(|time| time.as_secs_f64()),
        "proof_age_seconds": shard.proof_age.map(|age| age.as_secs_f64()),
        "breaker": shard.breaker.as_str(),
        "connections": shard.connections,
        "server_version": shard.server_version,
        "used_memory_bytes": shard.used_memory_bytes,
        "evicted_keys": shard.evicted_keys,
        "max_memory_bytes": shard.max_memory_bytes,
        "eviction_policy": shard.eviction_policy,
    })
}
