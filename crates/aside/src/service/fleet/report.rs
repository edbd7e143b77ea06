//! The reports that instances announce, as JSON in Redis.
//!
//! Fields are only ever added, and a missing one has its default: versions of the
//! library that differ read each other's reports.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The number of this form of reports.
pub(super) const FORM: u32 = 1;

/// The longest report. Kinds with the fewest reads are left out of a longer one.
const MAX_REPORT_BYTES: usize = 2048;

/// The state of an instance, as it announced it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct InstanceReport {
    /// The form of the report.
    pub v: u32,
    /// The name: `CACHE_INSTANCE_NAME`.
    pub name: String,
    /// The version of the library.
    pub version: String,
    /// When the service began, in Unix milliseconds of that machine.
    pub started: u64,
    /// The time of the report by the clock of that machine, in Unix milliseconds.
    pub wall: u64,
    /// The interval of the reports, in milliseconds.
    pub every_ms: u64,
    /// The state then.
    pub state: InstanceState,
    /// Why it does not use Redis, if so: a sentence without secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// For how long it has not used Redis, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unused_ms: Option<u64>,
    /// The staleness bound, in milliseconds.
    pub bound_ms: u64,
    /// The state of each primary.
    pub shards: Vec<ShardReport>,
    /// The state of the circuit breaker that is farthest from closed.
    pub breaker: String,
    /// Keys that are read from the database until Redis acknowledges a write.
    pub held: u64,
    /// Operations that could be sent to Redis now, and are not.
    pub pending: u64,
    /// The journal in the database.
    pub journal: JournalReport,
    /// A hash of the settings that all instances must share.
    pub settings: String,
    /// The time that the counts of `kinds` cover, in seconds: up to a minute.
    pub seconds: f64,
    /// The kinds that are cached there.
    pub kinds: BTreeMap<String, KindReport>,
    /// The number of kinds that had no room in the report.
    #[serde(skip_serializing_if = "is_zero")]
    pub omitted_kinds: u64,
    /// True for a command line, which is no instance of a service.
    #[serde(skip_serializing_if = "is_false")]
    pub command_line: bool,
}

/// The state of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum InstanceState {
    /// It uses Redis.
    InStep,
    /// It reads from the database until a PING is answered.
    Suspect,
    /// It has no connection to a primary.
    Away,
    /// Its reports have ended.
    Silent,
    /// A state of another version of this library.
    #[default]
    #[serde(other)]
    Unknown,
}

impl InstanceState {
    /// Returns its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InStep => "in-step",
            Self::Suspect => "suspect",
            Self::Away => "away",
            Self::Silent => "silent",
            Self::Unknown => "unknown",
        }
    }
}

/// The state of one primary, as one instance sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ShardReport {
    /// The server, as the log names it.
    pub server: String,
    /// The age of the last proof that every message was received, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof_ms: Option<u64>,
    /// The time from the last PING to its PONG, in milliseconds.
    pub barrier_ms: f64,
}

/// The journal in the database.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct JournalReport {
    /// Rows at the last poll.
    pub rows: u64,
    /// For how long there have been rows that are not applied, in milliseconds.
    pub oldest_ms: u64,
}

/// One kind at one instance: its entries, and its counts of the last minute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct KindReport {
    /// The last invalidation of the whole kind that it knows, in Unix milliseconds.
    pub epoch: u64,
    /// Local entries.
    pub entries: u64,
    /// The size of the local entries.
    pub bytes: u64,
    /// Reads by outcome, as in `aside_reads_total`.
    pub reads: BTreeMap<String, u64>,
    /// Misses by reason, as in `aside_misses_total`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub misses: BTreeMap<String, u64>,
    /// Bypasses by reason, as in `aside_bypasses_total`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub bypasses: BTreeMap<String, u64>,
    /// Keys that it invalidated.
    #[serde(skip_serializing_if = "is_zero")]
    pub invalidations: u64,
    /// Indexes by which it has read nothing since it began, although its writes have
    /// invalidated their lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread_indexes: Vec<String>,
}

/// What rarely changes about a kind; announced by every instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KindDescription {
    pub(crate) ttl_ms: u64,
    pub(crate) indexes: Vec<IndexDescription>,
    pub(crate) list_of_all: bool,
}

/// One index of a kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct IndexDescription {
    /// The name of the index in keys.
    pub segment: String,
    /// The fields whose values follow it, in the order of the key.
    pub fields: Vec<String>,
    /// True if each of its lists contains at most one row.
    pub unique: bool,
    /// The rule by which spellings of a value name the same list, such as `lowercase`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold: Option<String>,
    /// True if its lists store ids.
    #[serde(skip_serializing_if = "is_false")]
    pub ids: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference
fn is_false(flag: &bool) -> bool {
    !*flag
}

impl InstanceReport {
    /// Returns its JSON, without the least read kinds if it would be too long.
    pub(super) fn into_text(mut self) -> String {
        loop {
            let text = serde_json::to_string(&self).unwrap_or_default();
            let reads = |kind: &KindReport| kind.reads.values().sum::<u64>();
            let least = self.kinds.iter().min_by_key(|(_, kind)| reads(kind));
            let Some(least) = least.map(|(name, _)| name.clone()) else {
                return text;
            };
            if text.len() <= MAX_REPORT_BYTES {
                return text;
            }
            self.kinds.remove(&least);
            self.omitted_kinds += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(kinds: u64) -> InstanceReport {
        let kind = |number: u64| {
            let reads = BTreeMap::from([("l1_hit".to_owned(), number)]);
            let report = KindReport {
                reads,
                ..KindReport::default()
            };
            (format!("kind-{number}"), report)
        };
        InstanceReport {
            name: "api-1".to_owned(),
            state: InstanceState::InStep,
            kinds: (0..kinds).map(kind).collect(),
            ..InstanceReport::default()
        }
    }

    #[test]
    fn a_report_that_is_too_long_leaves_the_least_read_kinds_out() {
        let text = report(100).into_text();
        assert!(text.len() <= MAX_REPORT_BYTES, "{}", text.len());
        let read: InstanceReport = serde_json::from_str(&text).unwrap();
        assert_eq!(read.kinds.len() as u64 + read.omitted_kinds, 100);
        assert!(read.kinds.contains_key("kind-99") && !read.kinds.contains_key("kind-0"));
    }

    #[test]
    fn a_report_of_another_version_is_read() {
        let text = r#"{"v":9,"name":"api-2","state":"dancing","shards":[{"lanes":3}],"more":[1]}"#;
        let read: InstanceReport = serde_json::from_str(text).unwrap();
        assert_eq!((&*read.name, read.state), ("api-2", InstanceState::Unknown));
        assert_eq!(read.shards, [ShardReport::default()]);
    }
}
