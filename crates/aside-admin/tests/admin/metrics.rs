//! The metrics have the names that dashboards and alerts rely on.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use aside::{CachedQuery, Deps, Repository, Source, report::WarmUpOptions};
use aside_testkit::{RedisOptions, RedisServer};
use prometheus_client::registry::Registry;

use crate::SOON;
use crate::heroes::{Hero, HeroIndex, Heroes, Instance, hero};

/// Every series of a scrape: its name, and the values that each label takes.
pub(crate) type Series = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// Returns the metrics of a service after some traffic, including an error.
pub(crate) async fn after_some_traffic() -> String {
    let source = Heroes::with([hero("1", "Ada", "en"), hero("2", "Маша", "ru")]);
    let instance = Instance::start("memory://", &source).await;
    let mut registry = Registry::default();
    instance.cache.register_metrics(&mut registry);
    let heroes = &instance.heroes;
    let Ok(_) = heroes.warm_up(WarmUpOptions::default(), |_| ()).await;
    instance.cache_row("1", "hero:1").await;
    instance.name_of("1").await;
    instance.name_of("nobody").await;
    let Ok(_) = heroes.find_by(&HeroIndex::Name("Ada".into())).await;
    let speakers = CachedQuery::<(), usize>::new("speakers", &instance.cache);
    let speak = async || {
        let english = HeroIndex::Language("en".into());
        let load = || async { Ok::<_, Infallible>(1) };
        let deps = Deps::new().list::<Hero>(&english);
        speakers.get(&(), deps, load).await.unwrap();
    };
    speak().await;
    instance.wait_for("speakers:^null").await;
    let Ok(_) = heroes.update(hero("1", "Grace", "en")).await;
    speak().await;
    instance.cache.set("hero:1", "refused", None).await;
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    text
}

/// Reads the text of a scrape.
pub(crate) fn series(text: &str) -> Series {
    let mut all = Series::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) = match line.split_once('{') {
            Some((name, rest)) => (name, rest.split_once('}').unwrap().0),
            None => (line.split_once(' ').unwrap().0, ""),
        };
        let known = all.entry(name.to_owned()).or_default();
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (label, value) = label.split_once('=').unwrap();
            let values = known.entry(label.to_owned()).or_default();
            values.insert(value.trim_matches('"').to_owned());
        }
    }
    all
}

/// The names and labels of the contract.
const PROMISED: [(&str, &[&str]); 71] = [
    ("aside_reads_total", &["entity", "operation", "outcome"]),
    ("aside_read_seconds_bucket", &["entity", "le", "outcome"]),
    ("aside_read_seconds_sum", &["entity", "outcome"]),
    ("aside_read_seconds_count", &["entity", "outcome"]),
    (
        "aside_source_seconds_bucket",
        &["entity", "le", "operation"],
    ),
    ("aside_source_seconds_sum", &["entity", "operation"]),
    ("aside_source_seconds_count", &["entity", "operation"]),
    (
        "aside_age_at_serve_seconds_bucket",
        &["entity", "le", "tier"],
    ),
    ("aside_age_at_serve_seconds_sum", &["entity", "tier"]),
    ("aside_age_at_serve_seconds_count", &["entity", "tier"]),
    ("aside_samples_total", &["outcome"]),
    ("aside_invalidations_total", &["entity", "reason"]),
    ("aside_index_reads_total", &["entity", "index", "outcome"]),
    ("aside_index_invalidations_total", &["entity", "index"]),
    ("aside_expired_total", &["entity", "outcome"]),
    ("aside_written_unread_total", &["entity"]),
    ("aside_time_saved_seconds_total", &["entity"]),
    ("aside_invalidation_lag_seconds_bucket", &["le"]),
    ("aside_invalidation_lag_seconds_sum", &[]),
    ("aside_invalidation_lag_seconds_count", &[]),
    ("aside_misses_total", &["entity", "reason"]),
    ("aside_bypasses_total", &["entity", "reason"]),
    ("aside_coalesced_reads_total", &["entity"]),
    ("aside_refreshes_total", &["entity", "outcome"]),
    ("aside_prefetch_rows_total", &["entity", "outcome"]),
    ("aside_prefetch_batches_total", &[]),
    ("aside_prefetch_share_required", &[]),
    ("aside_suspicions_total", &["reason"]),
    ("aside_proof_age_seconds", &[]),
    ("aside_barrier_seconds_bucket", &["le"]),
    ("aside_barrier_seconds_sum", &[]),
    ("aside_barrier_seconds_count", &[]),
    ("aside_write_seconds_bucket", &["le", "phase"]),
    ("aside_write_seconds_sum", &["phase"]),
    ("aside_write_seconds_count", &["phase"]),
    ("aside_redis_seconds_bucket", &["le", "operation"]),
    ("aside_redis_seconds_sum", &["operation"]),
    ("aside_redis_seconds_count", &["operation"]),
    ("aside_journal_oldest_seconds", &[]),
    ("aside_journal_worked_off_total", &[]),
    ("aside_staleness_bound_seconds", &[]),
    ("aside_held_keys", &[]),
    ("aside_pending", &[]),
    ("aside_enabled", &[]),
    ("aside_build_info", &["version"]),
    ("aside_redis_maxmemory_bytes", &[]),
    ("aside_fill_rejected_total", &[]),
    ("aside_lease_waits_total", &[]),
    ("aside_quarantine_bypass_total", &[]),
    ("aside_release_lost_total", &[]),
    ("aside_journal_rows", &[]),
    ("aside_unsynced_seconds_total", &[]),
    ("aside_l1_entries", &["entity"]),
    ("aside_l1_bytes", &["entity"]),
    ("aside_l1_evictions_total", &["entity"]),
    ("aside_warm_up_keys", &["entity", "state"]),
    ("aside_l1_hit_ratio_at", &["pool", "size"]),
    ("aside_ghost_error_points", &["pool"]),
    ("aside_audit_checks_total", &["entity"]),
    ("aside_audit_dropped_total", &["entity"]),
    ("aside_audit_mismatches_total", &["delay", "entity"]),
    ("aside_redis_up", &[]),
    ("aside_query_spoilt_total", &["dependency", "query"]),
    ("aside_shards", &["state"]),
    ("aside_shard_up", &[]),
    ("aside_breaker_state", &[]),
    ("aside_redis_connections", &[]),
    ("aside_redis_connections_max", &[]),
    ("aside_redis_used_memory_bytes", &[]),
    ("aside_redis_evicted_keys_total", &[]),
    ("aside_errors_total", &["kind"]),
];

/// The metrics that have a series for each primary of a cluster, and the labels there.
pub(crate) const OF_EACH_SHARD: [&str; 7] = [
    "aside_shard_up",
    "aside_breaker_state",
    "aside_redis_connections",
    "aside_redis_connections_max",
    "aside_redis_used_memory_bytes",
    "aside_redis_maxmemory_bytes",
    "aside_redis_evicted_keys_total",
];
pub(crate) const LABELS_OF_A_SHARD: [&str; 2] = ["node", "shard"];

#[tokio::test]
async fn every_metric_has_its_promised_name_and_labels() {
    let live = series(&after_some_traffic().await);
    for (name, labels) in PROMISED {
        let found = live.get(name).unwrap_or_else(|| panic!("no {name}"));
        let found: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(found, labels, "{name}");
    }
    let promised: BTreeSet<&str> = PROMISED.iter().map(|(name, _)| *name).collect();
    let unknown = live.keys().find(|name| !promised.contains(name.as_str()));
    assert_eq!(unknown, None, "a metric outside the contract");
}

#[tokio::test]
async fn labels_take_the_promised_values_and_no_others() {
    let live = series(&after_some_traffic().await);
    let values =
        |name: &str, label: &str| -> Vec<String> { live[name][label].iter().cloned().collect() };
    assert_eq!(
        values("aside_reads_total", "entity"),
        ["hero", "speakers"],
        "the kind, and the query by its name"
    );
    assert_eq!(values("aside_query_spoilt_total", "query"), ["speakers"]);
    assert_eq!(
        values("aside_query_spoilt_total", "dependency"),
        ["hero:lang"]
    );
    assert_eq!(
        values("aside_reads_total", "outcome"),
        [
            "bypass",
            "l1_hit",
            "l2_hit",
            "miss",
            "negative_hit",
            "stale_hit"
        ]
    );
    assert_eq!(
        values("aside_reads_total", "operation"),
        [
            "find_by",
            "find_by_id",
            "find_many",
            "list_all",
            "query",
            "warm_up"
        ]
    );
    assert_eq!(
        values("aside_misses_total", "reason"),
        [
            "cold",
            "evicted",
            "expired",
            "forgotten",
            "invalidated",
            "malformed",
            "misplaced",
            "other_history",
            "other_shape",
            "too_large",
            "too_old",
            "undecodable"
        ]
    );
    assert_eq!(
        values("aside_bypasses_total", "reason"),
        [
            "away",
            "breaker",
            "disabled",
            "epoch-unknown",
            "held",
            "lease-wait",
            "not-cacheable",
            "other-shape",
            "requested",
            "strategy",
            "suspect",
            "too-large",
            "unanswered",
            "unproved",
            "write-in-flight"
        ]
    );
    assert_eq!(
        values("aside_suspicions_total", "reason"),
        [
            "breaker_open",
            "disconnected",
            "late_pong",
            "not_primary",
            "other_history",
            "primary_moved",
            "refused",
            "runtime_ended",
            "task_panicked",
            "timed_out",
            "unconfirmed"
        ]
    );
    assert_eq!(
        values("aside_prefetch_rows_total", "outcome"),
        ["late", "refused", "unused", "used", "void"]
    );
    assert_eq!(
        values("aside_invalidations_total", "reason"),
        ["audit", "request", "write"]
    );
    assert_eq!(
        values("aside_audit_mismatches_total", "delay"),
        ["100ms", "10s", "1s"]
    );
    assert_eq!(
        values("aside_errors_total", "kind"),
        ["set_on_registered_kind"]
    );
}

/// Returns the value of one series.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    let line = line.unwrap_or_else(|| panic!("no {series}"));
    line.trim().parse().unwrap()
}

#[tokio::test]
async fn reads_and_writes_on_a_server_are_timed_by_step() {
    let redis = RedisServer::start_with(RedisOptions {
        maxmemory_bytes: Some(64 << 20),
        ..RedisOptions::default()
    });
    let redis = redis.unwrap();
    let source = Heroes::with([hero("1", "Ada", "en")]);
    let instance = Instance::start(&redis.url(), &source).await;
    let mut registry = Registry::default();
    instance.cache.register_metrics(&mut registry);
    instance.cache_row("1", "hero:1").await;
    let Ok(_) = instance.heroes.update(hero("1", "Grace", "en")).await;
    aside_testkit::eventually(SOON, "a timed PING", async || {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        value(&text, "aside_barrier_seconds_count") > 0.0
    })
    .await;
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for phase in ["quarantine", "transaction", "release"] {
        let count = format!("aside_write_seconds_count{{phase=\"{phase}\"}}");
        assert_eq!(value(&text, &count), 1.0, "{phase}");
    }
    for operation in ["read", "acquire", "fill", "quarantine", "release"] {
        let count = format!("aside_redis_seconds_count{{operation=\"{operation}\"}}");
        assert!(value(&text, &count) > 0.0, "{operation}");
    }
    assert!(value(&text, "aside_proof_age_seconds") < 1.0);
    assert_eq!(value(&text, "aside_staleness_bound_seconds"), 0.5);
    assert_eq!(value(&text, "aside_enabled"), 1.0);
    let limit = f64::from(64 << 20);
    assert_eq!(value(&text, "aside_redis_maxmemory_bytes"), limit);
}
