//! One workload through aside and the code it replaces, checked by one checker.
//!
//! Many readers and writers use a few hot keys concurrently, on two nodes over
//! one Redis. Every operation is recorded with its start, its end and its
//! version. Afterwards the checker of `aside-testkit` reports the reads that
//! were older than a write that had returned. The suite fails if aside breaks a
//! promise; the results of the others are only reported.

mod database;
mod workload;
mod by_hand;
#[cfg(feature = "peers")]
mod with_amalgam;
mod with_aside;
mod with_moka;

use std::time::Duration;

use aside::Freshness;
use aside_testkit::RedisServer;
use aside_testkit::history::{Bounds, Check, History, ReadKind};

use self::by_hand::ByHand;
use self::database::Database;
#[cfg(feature = "peers")]
use self::with_amalgam::Amalgam;
use self::with_aside::Aside;
use self::with_moka::{Moka, MokaInTurns};
use self::workload::{Node, Setting};
use crate::error::Wrong;
use crate::servers;
use crate::table::{Cell, Table};

/// How long every candidate keeps its entries: longer than a run, so that no
/// stale entry is repaired by expiring.
const TTL: Duration = Duration::from_secs(3_600);
/// The seed for the delays of the database.
const SEED: u64 = 0x5eed;
/// The bound that aside promises for local reads; its default.
const BOUND: Duration = Duration::from_millis(500);
/// The columns for every candidate. The three kinds of violations are counted
/// per million operations, at a bound of zero for all.
const COLUMNS: [&str; 10] = [
    "",
    "reads",
    "writes",
    "refused",
    "older than a finished write",
    "never written",
    "going back",
    "oldest read",
    "still stale after 1 s",
    "promise",
];

/// Returns the tables, and the promise that aside broke, if it broke one.
pub(crate) async fn run(quick: bool) -> Result<(Vec<Table>, Option<Wrong>), Wrong> {
    let lasting = Duration::from_secs(if quick { 2 } else { 30 });
    let moving = Duration::from_millis(500);
    let settings = [(moving, 25), (moving, 2), (lasting, 25)];
    let settings = settings.map(|(hot_for, percent_writes)| Setting {
        lasting,
        hot_for,
        percent_writes,
    });
    let settings = &settings[..if quick { 1 } else { 3 }];
    let (mut tables, mut broken) = (Vec::new(), None);
    for setting in settings {
        let rows = candidates(*setting).await?;
        broken = broken.or_else(|| rows.iter().find_map(Row::breach));
        let cells = rows.iter().map(Row::cells).collect();
        tables.push(Table::counted(setting.to_string(), COLUMNS.to_vec(), cells));
    }
    Ok((tables, broken))
}

/// Returns the results of every candidate in one setting.
async fn candidates(setting: Setting) -> Result<Vec<Row>, Wrong> {
    let mut rows = Vec::new();
    for (name, freshness, kind) in [
        ("aside, strict", Freshness::Shared, ReadKind::Strict),
        ("aside, in process too", Freshness::Any, ReadKind::Lenient),
    ] {
        let (database, redis) = stage(setting)?;
        let nodes = vec![
            Aside::connect(&database, &redis.url(), freshness).await,
            Aside::connect(&database, &redis.url(), freshness).await,
        ];
        let history = workload::run(setting, kind, &database, nodes).await;
        rows.push(Row::of_aside(name, &history));
    }
    #[cfg(feature = "peers")]
    {
        let (database, redis) = stage(setting)?;
        let nodes = vec![
            Amalgam::connect(&database, &redis.url(), 0).await?,
            Amalgam::connect(&database, &redis.url(), 1).await?,
        ];
        rows.push(Row::of_peer("amalgam-cache", setting, &database, nodes).await);
    }
    let (database, redis) = stage(setting)?;
    let nodes = vec![
        ByHand::connect(&database, &redis.url()).await?,
        ByHand::connect(&database, &redis.url()).await?,
    ];
    rows.push(Row::of_peer("by hand", setting, &database, nodes).await);
    let database = Database::of(setting.keys(), SEED);
    let nodes = vec![Moka::new(&database)];
    rows.push(Row::of_peer("moka, one node", setting, &database, nodes).await);
    let database = Database::of(setting.keys(), SEED);
    let nodes = vec![MokaInTurns(Moka::new(&database))];
    rows.push(Row::of_peer("moka, one node, in turns", setting, &database, nodes).await);
    Ok(rows)
}

/// Returns a fresh database and an empty Redis.
fn stage(setting: Setting) -> Result<(Database, RedisServer), Wrong> {
    Ok((Database::of(setting.keys(), SEED), servers::redis()?))
}

/// The checker's findings about one candidate, at a bound of zero.
struct Row {
    name: String,
    reads: u64,
    writes: u64,
    refused: u64,
    /// C1: older than a write that had returned before the read began.
    stale: u64,
    /// C2: of a version whose write had not begun.
    never_written: u64,
    /// C3: older than an earlier read.
    backwards: u64,
    /// How long before the read the first newer write had returned, at most.
    oldest_ms: f64,
    /// Keys of nodes that differ from the database a second after the end.
    still_stale: u64,
    settled: u64,
    promise: Promise,
}

/// The state of a candidate's promise.
enum Promise {
    NoneStated,
    Kept,
    /// The checker's report.
    Broken(String),
}

impl Row {
    fn of_aside(name: &str, history: &History) -> Self {
        let report = history.check(&Bounds::new(BOUND));
        let refused = report.failed_reads + report.unknown_writes;
        let promise = if report.is_clean() && refused == 0 {
            Promise::Kept
        } else {
            Promise::Broken(report.to_string())
        };
        Self {
            promise,
            ..Self::judged(name, history)
        }
    }

    /// Peers with local entries are checked like the lenient reads of aside:
    /// reads that go back are counted within a node only.
    async fn of_peer<N: Node>(
        name: &str,
        setting: Setting,
        database: &Database,
        nodes: Vec<N>,
    ) -> Self {
        let history = workload::run(setting, ReadKind::Lenient, database, nodes).await;
        Self::judged(name, &history)
    }

    fn judged(name: &str, history: &History) -> Self {
        let report = history.check(&Bounds::new(Duration::ZERO));
        let oldest = report.strict_staleness.max(report.lenient_staleness);
        Self {
            name: name.to_owned(),
            reads: report.reads,
            writes: report.writes,
            refused: report.failed_reads + report.unknown_writes,
            stale: report.violations_of(Check::Stale) + report.violations_of(Check::OwnWrite),
            never_written: report.violations_of(Check::NeverWritten),
            backwards: report.violations_of(Check::Backwards),
            oldest_ms: oldest.as_secs_f64() * 1e3,
            still_stale: report.still_stale.len() as u64,
            settled: history.settled.len() as u64,
            promise: Promise::NoneStated,
        }
    }

    fn breach(&self) -> Option<Wrong> {
        match &self.promise {
            Promise::Broken(how) => Some(Wrong(format!("{} broke its promise: {how}", self.name))),
            Promise::NoneStated | Promise::Kept => None,
        }
    }

    fn cells(&self) -> Vec<Cell> {
        let operations = (self.reads + self.writes) as f64;
        let per_million =
            |count: u64| Cell::Count((count as f64 * 1e6 / operations).round() as u64);
        let promise = match &self.promise {
            Promise::NoneStated => "none stated",
            Promise::Kept => "kept",
            Promise::Broken(_) => "broken",
        };
        vec![
            Cell::Name(self.name.clone()),
            Cell::Count(self.reads),
            Cell::Count(self.writes),
            Cell::Count(self.refused),
            per_million(self.stale),
            per_million(self.never_written),
            per_million(self.backwards),
            Cell::Milliseconds(self.oldest_ms),
            Cell::Of(self.still_stale, self.settled),
            Cell::Name(promise.to_owned()),
        ]
    }
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hot = if self.hot_for < self.lasting {
            format!("others every {:?}", self.hot_for)
        } else {
            "always the same".to_owned()
        };
        let (writes, lasting) = (self.percent_writes, self.lasting);
        write!(
            f,
            "Consistency: 8 hot keys, {hot}, {writes} % writes, {lasting:?}; violations per \
             million operations"
        )
    }
}
