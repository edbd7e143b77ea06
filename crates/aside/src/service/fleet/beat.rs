//! The heartbeat: a task that announces this instance, and replies to probes.
//!
//! A refusal, or an eviction of the hash, is never a suspicion and never repeated:
//! the next report replaces the whole field.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::minute::Minute;
use super::report::{
    FORM, IndexDescription, InstanceReport, InstanceState, JournalReport, KindDescription,
    ShardReport,
};
use super::{fleet_key, kinds_key};
use crate::entity::key::Key;
use crate::protocol::Op;
use crate::runtime::clock::{self, whole_millis};
use crate::tiers::Tiers;
use crate::tiers::kind::AnyKind;

/// The pause while there is no connection, and between the first reports: kinds
/// are registered just after the service has started.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The number of such first reports.
const FIRST_REPORTS: u64 = 4;

/// One report in so many also has the kinds, and removes old reports.
const REPORTS_PER_DESCRIPTION: u64 = 12;

/// The least time between two replies to probes.
const BETWEEN_ECHOES: Duration = Duration::from_millis(100);

/// How long a reply is kept.
const ECHO_LASTS: Duration = Duration::from_secs(30);

/// Starts the heartbeat, unless the settings say none.
pub(crate) fn start(tiers: &Arc<Tiers>) {
    if tiers.config.heartbeat.is_zero() || !tiers.is_enabled() {
        return;
    }
    let (weak, started) = (Arc::downgrade(tiers), now());
    tiers
        .tasks
        .add("the heartbeat", move || run(weak.clone(), started));
}

/// Returns the id under which an instance announces itself.
pub(crate) fn field(tiers: &Tiers) -> String {
    format!("{:016x}", tiers.instance)
}

/// The state of one heartbeat.
#[derive(Default)]
struct Beat {
    started: u64,
    minute: Minute,
    number: u64,
    /// The descriptions of the kinds that were announced last.
    described: Vec<(String, String)>,
}

async fn run(weak: Weak<Tiers>, started: u64) {
    let mut beat = Beat {
        started,
        ..Beat::default()
    };
    loop {
        let Some(tiers) = weak.upgrade() else {
            return;
        };
        let (every, presence) = (tiers.config.heartbeat, Arc::clone(&tiers.presence));
        let is_reachable = tiers.is_reachable_for(&fleet_key(&tiers));
        if is_reachable {
            beat.announce(&tiers).await;
        }
        drop(tiers);
        let pause = match is_reachable && FIRST_REPORTS <= beat.number {
            true => every,
            false => every.min(FIRST_PAUSE),
        };
        let next = Instant::now() + pause;
        while let Ok(nonce) = tokio::time::timeout_at(next, presence.next_probe()).await {
            let Some(tiers) = weak.upgrade() else {
                return;
            };
            echo(&tiers, &nonce).await;
            drop(tiers);
            tokio::time::sleep(BETWEEN_ECHOES).await;
        }
    }
}

/// Replies to a probe, whose message has been applied.
async fn echo(tiers: &Tiers, nonce: &str) {
    let key = Key::new(&super::echo_key(tiers, nonce, tiers.instance));
    let op = Op::Set {
        key: key.clone(),
        value: now().to_string().into_bytes(),
        ttl: Some(ECHO_LASTS),
    };
    tiers.ask_distrusted(&key, vec![op]).await;
}

impl Beat {
    async fn announce(&mut self, tiers: &Tiers) {
        let has_left = tiers.presence.has_left.lock().await;
        if *has_left {
            return;
        }
        let prunes = self.number.is_multiple_of(REPORTS_PER_DESCRIPTION);
        let key = fleet_key(tiers);
        let op = Op::Announce {
            key: key.clone(),
            field: field(tiers),
            report: self.report(tiers).into_text(),
            prunes,
        };
        tiers.ask_distrusted(&key, vec![op]).await;
        let descriptions = descriptions(tiers);
        if prunes || self.described != descriptions {
            let key = kinds_key(tiers);
            let announce = |(field, report): &(String, String)| Op::Announce {
                key: key.clone(),
                field: field.clone(),
                report: report.clone(),
                prunes,
            };
            let ops: Vec<Op> = descriptions.iter().map(announce).collect();
            if !ops.is_empty() {
                tiers.ask_distrusted(&key, ops).await;
            }
            self.described = descriptions;
        }
        self.number += 1;
    }

    fn report(&mut self, tiers: &Tiers) -> InstanceReport {
        let (seconds, kinds) = self.minute.look(tiers);
        let states = tiers.shard_states();
        let (reason, unused_for) = tiers.outage();
        // A map without owners for some slots has no time.
        let unused_for = (!tiers.is_usable()).then(|| unused_for.unwrap_or_default());
        let state = match unused_for {
            None => InstanceState::InStep,
            Some(_) if states.iter().all(|shard| shard.is_reachable()) => InstanceState::Suspect,
            Some(_) => InstanceState::Away,
        };
        let bound = super::super::connect::bound(&tiers.config);
        InstanceReport {
            v: FORM,
            name: super::name::of(&tiers.config),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.started,
            wall: now(),
            every_ms: whole_millis(tiers.config.heartbeat),
            state,
            why: unused_for.is_some().then_some(reason),
            unused_ms: unused_for.map(whole_millis),
            bound_ms: whole_millis(bound),
            shards: states
                .iter()
                .map(|shard| ShardReport {
                    server: shard.server().to_owned(),
                    proof_ms: shard.proof_age().map(whole_millis),
                    barrier_ms: rounded(shard.last_barrier()),
                })
                .collect(),
            breaker: tiers.breaker_state().as_str().to_owned(),
            held: tiers.unreleased.len() as u64,
            pending: tiers.pending() as u64,
            journal: JournalReport {
                rows: tiers
                    .statistics
                    .journal_rows
                    .load(std::sync::atomic::Ordering::Relaxed),
                oldest_ms: whole_millis(tiers.statistics.journal_behind()),
            },
            settings: settings(tiers),
            seconds: seconds.as_secs_f64(),
            kinds,
            ..InstanceReport::default()
        }
    }
}

/// Returns a hash of the settings that all instances must share.
fn settings(tiers: &Tiers) -> String {
    let config = &tiers.config;
    let shared = format!(
        "{} {:?} {:?} {:?}",
        config.namespace, config.max_staleness, config.quarantine_ttl, config.lease_ttl
    );
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(shared.as_bytes()))
}

/// Returns the field and the description of each kind.
fn descriptions(tiers: &Tiers) -> Vec<(String, String)> {
    let kinds = tiers.kinds();
    let kinds = kinds.iter();
    kinds
        .map(|(kind, known)| {
            let described = serde_json::to_string(&description(&**known));
            let field = format!("{kind} {:016x}", known.shape());
            (field, described.unwrap_or_default())
        })
        .collect()
}

fn description(kind: &dyn AnyKind) -> KindDescription {
    let indexes = kind.indexes().iter();
    KindDescription {
        ttl_ms: whole_millis(kind.ttl()),
        indexes: indexes
            .map(|index| IndexDescription {
                segment: index.segment.to_owned(),
                fields: index.fields.iter().map(|&field| field.to_owned()).collect(),
                unique: index.unique,
                fold: index.fold.map(|fold| fold.as_str().to_owned()),
                ids: index.has_ids,
            })
            .collect(),
        list_of_all: kind.has_list_of_all(),
    }
}

/// Returns a time in milliseconds, to a thousandth.
fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Returns this machine's time, in Unix milliseconds.
fn now() -> u64 {
    u64::try_from(clock::wall().as_millisecond()).unwrap_or(0)
}
