//! The checks of Redis.

use serde_json::Value;

use super::checks::{Checks, Severity};
use crate::commands::times::span;

/// Above this part of its memory, a server is nearly full.
const NEARLY_FULL: f64 = 0.9;

const HIGH_MEMORY: &str = "docs/operations.md#high-memory";

pub(super) fn check(health: &Value, checks: &mut Checks) {
    reach(health, checks);
    // Otherwise the server's figures are of an earlier moment.
    if matches!(health["status"].as_str(), Some("healthy" | "full")) {
        memory(health, checks);
        eviction(health, checks);
    }
}

fn reach(health: &Value, checks: &mut Checks) {
    match health["status"].as_str() {
        Some("healthy" | "full") => {
            let version = health["server_version"].as_str().unwrap_or("?");
            let latency = span(health["latency_ms"].as_f64().unwrap_or(0.0));
            checks.passes("reach", Some(format!("Redis {version}, {latency}")));
        }
        Some("disabled") => checks.finds(
            "reach",
            Severity::Warning,
            "caching is off in this instance: REDIS_ENABLED=false",
            "docs/settings.md",
        ),
        status => {
            let reason = health["reason"].as_str().unwrap_or("no reason is known");
            checks.finds(
                "reach",
                Severity::Error,
                format!("Redis is {}: {reason}", status.unwrap_or("unknown")),
                "docs/operations.md#redis-is-up-and-is-not-used",
            );
        }
    }
}

/// Returns the servers: the primaries of a cluster, or the one server.
fn servers(health: &Value) -> Vec<(String, &Value)> {
    let shards = health["shards"].as_array().into_iter().flatten();
    let shards: Vec<(String, &Value)> = shards
        .map(|shard| (shard["server"].as_str().unwrap_or("?").to_owned(), shard))
        .collect();
    match shards.is_empty() {
        true => {
            let address = health["server"]["address"].as_str().unwrap_or("Redis");
            vec![(address.to_owned(), health)]
        }
        false => shards,
    }
}

fn memory(health: &Value, checks: &mut Checks) {
    if health["status"] == "full" {
        let reason = health["reason"].as_str().unwrap_or("Redis is full");
        checks.finds("memory", Severity::Error, reason, HIGH_MEMORY);
        return;
    }
    let nearly_full = servers(health).into_iter().filter_map(|(name, server)| {
        let used = server["used_memory_bytes"].as_f64()?;
        let limit = server["max_memory_bytes"].as_f64().filter(|it| 0.0 < *it)?;
        (NEARLY_FULL < used / limit).then(|| {
            let percent = 100.0 * used / limit;
            format!("{name} uses {percent:.0} % of its maxmemory")
        })
    });
    let nearly_full: Vec<String> = nearly_full.collect();
    let remedy = "CONFIG SET maxmemory, or a shorter TTL of the kind with most keys";
    let wrong = (!nearly_full.is_empty()).then(|| (nearly_full.join("; "), remedy));
    checks.judge("memory", Severity::Warning, wrong, HIGH_MEMORY);
}

fn eviction(health: &Value, checks: &mut Checks) {
    let volatile = servers(health).into_iter().filter_map(|(name, server)| {
        let policy = server["eviction_policy"].as_str()?;
        policy.starts_with("volatile-").then(|| {
            format!("{name} has maxmemory-policy {policy}, which may evict quarantines first")
        })
    });
    let volatile: Vec<String> = volatile.collect();
    let remedy = "CONFIG SET maxmemory-policy allkeys-lru";
    let wrong = (!volatile.is_empty()).then(|| (volatile.join("; "), remedy));
    checks.judge("eviction", Severity::Warning, wrong, HIGH_MEMORY);
}
