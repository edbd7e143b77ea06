//! The fleet: all instances that share a Redis and a namespace.
//!
//! Each instance announces itself in a field of one hash, every
//! `CACHE_HEARTBEAT_MS`, with its state and its counts of the last minute. All ages
//! are by the server's clock. A report holds no address that another instance would
//! call: a client that can write to Redis could name its own, and be sent a token.

pub(crate) mod report;
mod minute;
pub(super) mod name;
pub(crate) mod beat;
mod probe;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use self::report::{IndexDescription, InstanceReport, InstanceState, KindDescription};
use crate::entity::key::Key;
use crate::protocol::{Op, Reply, Report};
use crate::service::CacheService;
use crate::tiers::Tiers;

pub use self::probe::Probed;

/// An instance is silent after this part of its interval, in tenths, without a report.
const SILENT_AFTER_TENTHS: u64 = 24;

/// The least time without a report after which an instance is silent, in milliseconds.
const SILENT_AFTER_LEAST_MS: u64 = 2_000;

/// All instances that share this Redis and namespace.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Fleet {
    /// The time of the server, in Unix milliseconds.
    pub at: u64,
    /// The instances that announced themselves within an hour, by name. One that was
    /// closed is not among them.
    pub instances: Vec<Member>,
    /// Command lines that announced themselves: their names, by their ids.
    pub command_lines: BTreeMap<u64, String>,
    /// The kinds that they cache, one entry for each shape.
    pub kinds: Vec<KnownKind>,
}

/// One instance of the fleet.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Member {
    /// Its id, which its invalidations carry.
    pub id: u64,
    /// The time since its last report.
    pub age: Duration,
    /// Its state: that of the report, or silent.
    pub state: InstanceState,
    /// By how much its clock is ahead of the server's, in milliseconds; negative if it
    /// is behind.
    pub clock_ahead_ms: i64,
    /// Its last report.
    pub report: InstanceReport,
}

/// A kind that some instance caches, in one shape.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownKind {
    /// The kind.
    pub kind: String,
    /// The shape of its rows.
    pub shape: u64,
    /// The time since an instance reported it.
    pub age: Duration,
    /// The TTL of its values.
    pub ttl: Duration,
    /// Its indexes.
    pub indexes: Vec<IndexDescription>,
    /// True if it has a list of all its rows.
    pub has_list_of_all: bool,
}

impl Member {
    fn parse(announced: &Report, now: u64) -> Option<Self> {
        let report: InstanceReport = serde_json::from_str(&announced.text).ok()?;
        let age = now.saturating_sub(announced.at);
        let silent = (report.every_ms * SILENT_AFTER_TENTHS / 10).max(SILENT_AFTER_LEAST_MS);
        let wall = i64::try_from(report.wall).ok()?;
        Some(Self {
            id: u64::from_str_radix(&announced.field, 16).ok()?,
            age: Duration::from_millis(age),
            state: match age <= silent {
                true => report.state,
                false => InstanceState::Silent,
            },
            clock_ahead_ms: wall.saturating_sub_unsigned(announced.at),
            report,
        })
    }
}

impl KnownKind {
    fn parse(announced: &Report, now: u64) -> Option<Self> {
        let (kind, shape) = announced.field.split_once(' ')?;
        let described: KindDescription = serde_json::from_str(&announced.text).ok()?;
        Some(Self {
            kind: kind.to_owned(),
            shape: u64::from_str_radix(shape, 16).ok()?,
            age: Duration::from_millis(now.saturating_sub(announced.at)),
            ttl: Duration::from_millis(described.ttl_ms),
            indexes: described.indexes,
            has_list_of_all: described.list_of_all,
        })
    }
}

impl CacheService {
    /// Returns the instances that share this Redis and namespace, as they announced
    /// themselves; `None` if Redis does not reply. Also while Redis is not trusted.
    pub async fn fleet(&self) -> Option<Fleet> {
        let tiers = self.tiers();
        let (now, members) = announced(tiers, &fleet_key(tiers)).await?;
        let (_, kinds) = announced(tiers, &kinds_key(tiers)).await?;
        let members = members.iter().filter_map(|it| Member::parse(it, now));
        let (lines, mut instances): (Vec<Member>, Vec<Member>) =
            members.partition(|member| member.report.command_line);
        instances.sort_by(|one, other| {
            let name = |member: &Member| (member.report.name.clone(), member.id);
            name(one).cmp(&name(other))
        });
        let mut kinds: Vec<_> = kinds
            .iter()
            .filter_map(|it| KnownKind::parse(it, now))
            .collect();
        kinds.sort_by(|one, other| (&one.kind, one.age).cmp(&(&other.kind, other.age)));
        let names = lines.into_iter();
        Some(Fleet {
            at: now,
            instances,
            command_lines: names.map(|line| (line.id, line.report.name)).collect(),
            kinds,
        })
    }
}

/// Returns the server's time and the reports of a hash.
async fn announced(tiers: &Tiers, key: &Key) -> Option<(u64, Vec<Report>)> {
    let op = Op::Announced { key: key.clone() };
    let replies = tiers.ask_distrusted(key, vec![op]).await?;
    match replies.into_iter().next()? {
        Ok(Reply::Announced { now, reports }) => Some((now, reports)),
        _ => None,
    }
}

/// Withdraws the report of an instance that is closing.
pub(super) async fn withdraw(tiers: &Arc<Tiers>) {
    let mut has_left = tiers.presence.has_left.lock().await;
    let key = fleet_key(tiers);
    let announces = !tiers.config.heartbeat.is_zero() && tiers.is_enabled();
    if !std::mem::replace(&mut *has_left, true) && announces && tiers.is_reachable_for(&key) {
        let op = Op::Withdraw {
            key: key.clone(),
            field: beat::field(tiers),
        };
        tiers.ask_distrusted(&key, vec![op]).await;
    }
}

/// Returns the key of the hash of instances.
pub(super) fn fleet_key(tiers: &Tiers) -> Key {
    Key::new(&tiers.namespace().own_key("fleet"))
}

/// Returns the key of the hash of kinds.
fn kinds_key(tiers: &Tiers) -> Key {
    Key::new(&tiers.namespace().own_key("kinds"))
}

/// Returns the key of an instance's reply to a probe.
fn echo_key(tiers: &Tiers, nonce: &str, instance: u64) -> String {
    format!("{}:{instance:016x}", tiers.presence.probe_key(nonce))
}
