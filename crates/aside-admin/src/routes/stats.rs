//! `GET /cache/stats`: the counters, the sizes and the health of the cache.

use aside::{
    CacheService,
    report::{Health, KindStats, ServiceStats, ShardHealth},
};
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde_json::{Map, Value, json};

use crate::admin::Admin;
use crate::problem::Problem;
use crate::query;

pub(crate) async fn stats(State(admin): State<Admin>, uri: Uri) -> Result<Json<Value>, Problem> {
    query::none(&uri)?;
    let cache = admin.cache();
    let health = cache.health_check().await;
    let stats = cache.stats();
    let mut kinds = Map::new();
    for kind in &stats.kinds {
        kinds.insert(kind.kind.to_owned(), of_kind(cache, kind).await);
    }
    Ok(Json(json!({
        "health": of_health(cache, &health),
        "kinds": kinds,
        "service": of_service(cache, &stats),
        "warm_up": admin.warm_ups().progress(),
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
        "ttl_seconds": kind.ttl.as_secs_f64(),
        "list_all_ttl_seconds": list_all_ttl.map(|ttl| ttl.as_secs_f64()),
        "indexes": indexes,
    })
}

fn of_service(cache: &CacheService, stats: &ServiceStats) -> Value {
    json!({
        "instance": format!("{:016x}", cache.instance()),
        "fills_rejected": stats.fills_rejected,
        "lease_waits": stats.lease_waits,
        "quarantine_bypasses": stats.quarantine_bypasses,
        "releases_lost": stats.releases_lost,
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
    })
}
