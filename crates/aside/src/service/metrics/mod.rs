//! Metrics: the names under which counters are published.
//!
//! Nothing is registered automatically: a service passes the collector to its
//! own registry. Counters on hot paths are read only at a scrape, so counting
//! stays cheap.

mod indexes;
mod local;
mod prefetch;
mod samples;
mod values;
mod warm_ups;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::insight::audit::Delay;
use crate::insight::statistics::{Outcome, Reason, ServiceStatistics, WritePhase};
use crate::protocol::OpGroup;
use crate::service::CacheService;
use crate::service::page::{Page, Series};
use crate::tiers::Tiers;
use crate::tiers::kind::AnyKind;
use crate::tiers::shard_states::ShardState;

/// Reads the counters of one service at each scrape.
#[derive(Debug)]
struct ServiceCollector {
    tiers: Weak<Tiers>,
}

impl CacheService {
    /// Adds the metrics of this service to a registry.
    ///
    /// They are named `aside_...`; `docs/operations.md` lists them with their
    /// labels. Local hits are counted but not timed: `aside_read_seconds` has
    /// no `l1_hit`.
    pub fn register_metrics(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(ServiceCollector {
            tiers: Arc::downgrade(self.tiers()),
        }));
    }
}

impl Collector for ServiceCollector {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let Some(tiers) = self.tiers.upgrade() else {
            return Ok(());
        };
        let mut page = Page { encoder };
        kinds(&mut page, &tiers)?;
        local::sizes(&mut page, &tiers)?;
        samples::counts(&mut page, &tiers)?;
        service(&mut page, &tiers)?;
        redis(&mut page, &tiers)
    }
}

/// Encodes the metrics per kind.
fn kinds(page: &mut Page<'_>, tiers: &Tiers) -> fmt::Result {
    let kinds = tiers.kinds();
    reads(page, &kinds)?;
    samples::ages(page, &kinds)?;
    reasons(page, &kinds)?;
    invalidations(page, &kinds)?;
    indexes::counts(page, &kinds)?;
    values::ends(page, &kinds)?;
    spoilt(page, &kinds)?;
    local::entries(page, tiers, &kinds)?;
    prefetch::rows(page, &kinds)?;
    warm_ups::progress(page, tiers, &kinds)?;
    audits(page, &kinds)
}

type Kinds = BTreeMap<&'static str, Arc<dyn AnyKind>>;

fn reads(page: &mut Page<'_>, kinds: &Kinds) -> fmt::Result {
    let mut reads = Vec::new();
    let (mut read_seconds, mut source_seconds) = (Vec::new(), Vec::new());
    for (entity, kind) in kinds {
        let statistics = kind.statistics();
        for (operation, label) in kind.operations() {
            for outcome in Outcome::ALL {
                let labels = vec![
                    ("entity", *entity),
                    ("operation", *label),
                    ("outcome", outcome.as_str()),
                ];
                reads.push((labels, statistics.reads(*operation, outcome)));
            }
            let labels = vec![("entity", *entity), ("operation", *label)];
            source_seconds.push((labels, &statistics.source_seconds[*operation as usize]));
        }
        for outcome in Outcome::ALL
            .into_iter()
            .filter(|outcome| *outcome != Outcome::L1Hit)
        {
            let labels = vec![("entity", *entity), ("outcome", outcome.as_str())];
            read_seconds.push((labels, &statistics.read_seconds[outcome as usize]));
        }
    }
    page.counters("aside_reads", "Reads by outcome", reads)?;
    page.histograms(
        "aside_read_seconds",
        "Time of reads below this process",
        read_seconds,
    )?;
    page.histograms(
        "aside_source_seconds",
        "Time of database reads",
        source_seconds,
    )
}

/// Encodes why reads were not served from the cache, and refreshes that spare them a load.
fn reasons(page: &mut Page<'_>, kinds: &Kinds) -> fmt::Result {
    let (mut misses, mut bypasses, mut coalesced) = (Vec::new(), Vec::new(), Vec::new());
    let mut refreshes = Vec::new();
    for (entity, kind) in kinds {
        let statistics = kind.statistics();
        let labelled = |(reason, count)| (vec![("entity", *entity), ("reason", reason)], count);
        misses.extend(statistics.misses().map(labelled));
        bypasses.extend(statistics.bypasses().map(labelled));
        let labelled = |(outcome, count)| (vec![("entity", *entity), ("outcome", outcome)], count);
        refreshes.extend(statistics.refreshes().map(labelled));
        let labels = vec![("entity", *entity)];
        coalesced.push((labels, statistics.coalesced.load(Relaxed)));
    }
    page.counters("aside_misses", "Misses by reason", misses)?;
    page.counters("aside_bypasses", "Bypasses by reason", bypasses)?;
    let help = "Refreshes of values before the end of their TTL, by outcome";
    page.counters("aside_refreshes", help, refreshes)?;
    page.counters(
        "aside_coalesced_reads",
        "Reads that shared the load or look of another reader",
        coalesced,
    )
}

fn invalidations(page: &mut Page<'_>, kinds: &Kinds) -> fmt::Result {
    let mut invalidations = Vec::new();
    for (entity, kind) in kinds {
        for reason in Reason::ALL {
            let labels = vec![("entity", *entity), ("reason", reason.as_str())];
            invalidations.push((labels, kind.statistics().invalidations(reason)));
        }
    }
    page.counters("aside_invalidations", "Keys invalidated", invalidations)
}

/// Encodes which dependencies of queries outdate their values.
fn spoilt(page: &mut Page<'_>, kinds: &Kinds) -> fmt::Result {
    let spoilt: Vec<_> = kinds
        .iter()
        .map(|(query, kind)| (*query, kind.spoilt()))
        .collect();
    let mut series = Vec::new();
    for (query, counts) in &spoilt {
        for (dependency, count) in counts {
            let labels = vec![("query", *query), ("dependency", dependency.as_str())];
            series.push((labels, *count));
        }
    }
    page.counters(
        "aside_query_spoilt",
        "Values of queries that a write of this dependency had outdated when they were read",
        series,
    )
}

fn audits(page: &mut Page<'_>, kinds: &Kinds) -> fmt::Result {
    let (mut checks, mut dropped, mut mismatches) = (Vec::new(), Vec::new(), Vec::new());
    for (entity, kind) in kinds {
        let statistics = kind.statistics();
        let labels = vec![("entity", *entity)];
        checks.push((labels.clone(), statistics.audit_checks.load(Relaxed)));
        dropped.push((labels, statistics.audit_dropped.total(0)));
        for delay in Delay::ALL {
            let labels = vec![("entity", *entity), ("delay", delay.as_str())];
            mismatches.push((labels, statistics.audit_mismatches(delay)));
        }
    }
    page.counters(
        "aside_audit_checks",
        "Hits compared with the database",
        checks,
    )?;
    page.counters(
        "aside_audit_dropped",
        "Hits drawn for the audit but not compared, because of its limits",
        dropped,
    )?;
    page.counters(
        "aside_audit_mismatches",
        "Old values still served that long after the database returned another one",
        mismatches,
    )
}

/// Encodes the metrics per service.
fn service(page: &mut Page<'_>, tiers: &Tiers) -> fmt::Result {
    let statistics = &tiers.statistics;
    let rejected = statistics.fill_rejected.load(Relaxed);
    let waits = statistics.lease_waits.load(Relaxed);
    let bypassed = statistics.quarantine_bypass.load(Relaxed);
    let lost = statistics.release_lost.load(Relaxed);
    page.gauge(
        "aside_journal_rows",
        "Rows in the journal at the last poll",
        statistics.journal_rows.load(Relaxed),
    )?;
    page.counter(
        "aside_fill_rejected",
        "Fills rejected because of a write",
        rejected,
    )?;
    page.counter(
        "aside_lease_waits",
        "Waits for the lease of another reader",
        waits,
    )?;
    page.counter(
        "aside_quarantine_bypass",
        "Reads during a write of their key",
        bypassed,
    )?;
    page.counter(
        "aside_release_lost",
        "Quarantines lost before their release",
        lost,
    )?;
    let unsynced = tiers.unsynced_total().as_secs_f64();
    let help = "Time without proof that every message was received";
    page.encode("aside_unsynced_seconds", help, &ConstCounter::new(unsynced))?;
    let lag = vec![(Vec::new(), &statistics.invalidation_lag)];
    page.histograms(
        "aside_invalidation_lag_seconds",
        "Time from sending a message to receiving it",
        lag,
    )?;
    prefetch::service(page, tiers)?;
    times(page, statistics)?;
    trust(page, tiers)?;
    let errors = statistics.errors();
    let errors = errors
        .iter()
        .map(|(kind, count)| (vec![("kind", *kind)], *count))
        .collect();
    page.counters(
        "aside_errors",
        "Errors that were not returned to callers",
        errors,
    )
}

/// Encodes the durations of the service's own steps.
fn times(page: &mut Page<'_>, statistics: &ServiceStatistics) -> fmt::Result {
    page.histograms(
        "aside_barrier_seconds",
        "Time from a PING to its PONG, which follows every message before it",
        vec![(Vec::new(), &statistics.barrier_seconds)],
    )?;
    let phases = WritePhase::ALL.into_iter().zip(&statistics.write_seconds);
    let phases = phases.map(|(phase, took)| (vec![("phase", phase.as_str())], took));
    page.histograms("aside_write_seconds", "Time of writes", phases.collect())?;
    let groups = OpGroup::ALL.into_iter().zip(&statistics.redis_seconds);
    let groups = groups.map(|(group, took)| (vec![("operation", group.as_str())], took));
    page.histograms(
        "aside_redis_seconds",
        "Time of pipelines to Redis, answered or not",
        groups.collect(),
    )?;
    let behind = ConstGauge::new(statistics.journal_behind().as_secs_f64());
    page.encode(
        "aside_journal_oldest_seconds",
        "Time since every row of the journal was applied; 0 if none is left",
        &behind,
    )?;
    page.counter(
        "aside_journal_worked_off",
        "Rows of the journal that were applied",
        statistics.journal_applied.load(Relaxed),
    )
}

/// Encodes how far this instance may be behind, and its unsent operations.
fn trust(page: &mut Page<'_>, tiers: &Tiers) -> fmt::Result {
    let suspicions = tiers.suspicions();
    let suspicions = suspicions
        .into_iter()
        .map(|(reason, count)| (vec![("reason", reason)], count));
    page.counters(
        "aside_suspicions",
        "Ends of the trust in Redis, by reason",
        suspicions.collect(),
    )?;
    // Before the first proof, the time since the start.
    let age = tiers.proof_age().or_else(|| tiers.outage().1);
    let age = age.filter(|_| tiers.is_enabled() && tiers.is_remote());
    let help = "Time since the last proof that every message was received";
    let age = ConstGauge::new(age.unwrap_or_default().as_secs_f64());
    page.encode("aside_proof_age_seconds", help, &age)?;
    let help = "The setting CACHE_MAX_STALENESS_MS: local entries are served for so long without \
                another proof";
    let bound = ConstGauge::new(tiers.config.max_staleness.as_secs_f64());
    page.encode("aside_staleness_bound_seconds", help, &bound)?;
    page.gauge(
        "aside_held_keys",
        "Keys and kinds read from the database until Redis acknowledges their invalidation",
        tiers.unreleased.len() as u64,
    )?;
    page.gauge(
        "aside_pending",
        "Invalidations and releases that Redis has not acknowledged and that are due",
        tiers.pending() as u64,
    )?;
    page.gauge(
        "aside_enabled",
        "1 if values are cached, 0 if caching is off",
        u64::from(tiers.is_enabled()),
    )?;
    page.gauges(
        "aside_build_info",
        "1; the label is the version of aside",
        vec![(vec![("version", env!("CARGO_PKG_VERSION"))], 1)],
    )
}

/// Encodes the metrics of the servers: one series for each primary of a cluster, and
/// one without labels for any other Redis.
fn redis(page: &mut Page<'_>, tiers: &Tiers) -> fmt::Result {
    page.gauge(
        "aside_redis_up",
        "Whether values may come from Redis",
        u64::from(tiers.is_usable()),
    )?;
    let (used, unused) = tiers.used_and_unused();
    page.gauges(
        "aside_shards",
        "Primaries, by whether values may come from them",
        vec![
            (vec![("state", "used")], used),
            (vec![("state", "unused")], unused),
        ],
    )?;
    let shards = tiers.shard_states();
    let of_each = |figure: &dyn Fn(&ShardState) -> u64| -> Vec<Series<u64, String>> {
        let series = shards.iter();
        series
            .map(|shard| (shard.labels.clone(), figure(shard)))
            .collect()
    };
    let used = of_each(&|shard| u64::from(shard.is_used()));
    page.gauges("aside_shard_up", "Whether values may come from it", used)?;
    page.gauges(
        "aside_redis_connections",
        "Open connections for commands",
        of_each(&|shard| shard.connections() as u64),
    )?;
    page.gauges(
        "aside_redis_connections_max",
        "The most connections for commands that are opened",
        of_each(&|shard| shard.max_connections() as u64),
    )?;
    page.gauges(
        "aside_breaker_state",
        "Circuit breaker of Redis: 0 closed, 1 half-open, 2 open",
        of_each(&|shard| u64::from(shard.breaker().number())),
    )?;
    page.gauges(
        "aside_redis_used_memory_bytes",
        "Memory that Redis uses",
        of_each(&|shard| shard.info().used_memory_bytes),
    )?;
    page.gauges(
        "aside_redis_maxmemory_bytes",
        "The limit of that memory; 0 without one",
        of_each(&|shard| shard.info().max_memory_bytes),
    )?;
    page.counters(
        "aside_redis_evicted_keys",
        "Keys evicted by Redis",
        of_each(&|shard| shard.info().evicted_keys),
    )
}
