//! Updates through the cache, beside the same updates without it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aside::{CacheConfig, CacheService, CachedRepository, Freshness, Repository, Secret, Source};
use aside_testkit::{PostgresServer, RedisServer};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::error::Wrong;
use crate::heroes::id;
use crate::record::Record;
use crate::records::{SqlError, SqlRecords};
use crate::rounds::{Contender, alternate};
use crate::table::{Bound, Cell, Table};
use crate::{bare, cores, servers};

const BARE: &str = "PostgreSQL alone";
const REFERENCE: &str = "and two round trips to Redis";
const ASIDE: &str = "aside";

const RECORDS: u64 = 1_000;

/// The length of a record's content.
const BYTES: usize = 500;

const WRITERS: usize = 16;

/// How many records are read again after the writes.
const CHECKED: usize = 50;

/// Each row is in the list of all and in one more, so a write invalidates three
/// keys.
const LISTS: usize = 1;

type Stored = Record<LISTS>;

pub(crate) fn run(quick: bool) -> Result<Vec<Table>, Wrong> {
    let (rounds, operations) = if quick { (3, 32) } else { (11, 400) };
    let measure = |runtime: &mut Builder, writers, place: &str| {
        let runtime = runtime.enable_all().build()?;
        let stage = runtime.block_on(Stage::set())?;
        let mut tables = Vec::new();
        for records in [1, RECORDS] {
            let title = format!(
                "An update: {} of {}{place}",
                counted(writers as u64, "writer"),
                counted(records, "record"),
            );
            let load = Load {
                writers,
                records,
                operations,
            };
            let contenders = vec![
                contender(BARE, &runtime, &stage.bare, load),
                contender(REFERENCE, &runtime, &stage.reference, load),
                contender(ASIDE, &runtime, &stage.aside, load),
            ];
            let rows = alternate(rounds, contenders);
            let table = Table::new(title, BARE, rows);
            tables.push(table.wanted(ASIDE, Bound::AtMost(1.3), REFERENCE));
            runtime.block_on(stage.check(records))?;
        }
        if writers == WRITERS {
            tables.push(runtime.block_on(stage.commands(operations))?);
        }
        Ok::<_, Wrong>(tables)
    };
    // Sequential updates on several cores would mostly measure waking up
    // sleeping cores.
    let mut tables: Vec<Table> = cores::on_one(|pinned| {
        let place = if pinned { ", on one core" } else { "" };
        measure(&mut Builder::new_current_thread(), 1, place)
    })?;
    let many = cores::apart(|| measure(&mut Builder::new_multi_thread(), WRITERS, ""));
    tables.extend(many?);
    Ok(tables)
}

fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("one {what}"),
        count => format!("{count} {what}s"),
    }
}

/// The same records three times, so that no subject sees another's writes.
struct Stage {
    bare: SqlRecords<LISTS>,
    reference: SqlRecords<LISTS>,
    aside: CachedRepository<SqlRecords<LISTS>>,
    redis: RedisServer,
    _postgres: PostgresServer,
}

#[derive(Clone, Copy)]
struct Load {
    writers: usize,
    records: u64,
    operations: usize,
}

impl Stage {
    async fn set() -> Result<Self, Wrong> {
        let (redis, postgres) = (servers::redis()?, servers::postgres()?);
        let create = async |name: &str| {
            let url = postgres.create_database(name);
            SqlRecords::create(&url, WRITERS as u32, RECORDS, BYTES).await
        };
        let bare = create("bare").await?;
        let reference = create("reference").await?;
        let reference = reference.with_round_trips(bare::connect(&redis.url()).await?);
        let source = create("cached").await?;
        let config = CacheConfig {
            redis_url: Secret::new(redis.url()),
            operation_timeout: Duration::from_secs(5),
            ..CacheConfig::default()
        };
        let cache = CacheService::connect(config).await;
        Ok(Self {
            bare,
            reference,
            aside: CachedRepository::new(source, &cache),
            redis,
            _postgres: postgres,
        })
    }

    /// Checks that a read after the writes equals the database, from every
    /// tier.
    async fn check(&self, records: u64) -> Result<(), Wrong> {
        for number in (0..records).take(CHECKED) {
            let id = id(number);
            let stored = self.aside.source().find_by_id(&id).await.map_err(wrong)?;
            for freshness in [Freshness::Any, Freshness::Shared] {
                let read = self.aside.find_by_id_with(&id, freshness).await;
                if read.map_err(wrong)?.value != stored {
                    let said =
                        format!("a read ({freshness:?}) is behind a write of record {number}");
                    return Err(Wrong(said));
                }
            }
        }
        Ok(())
    }

    /// Returns the Redis commands of one write, including those of its scripts.
    async fn commands(&self, operations: usize) -> Result<Table, Wrong> {
        self.redis.reset_stats();
        for number in 0..operations as u64 {
            let row = Stored::new(number % RECORDS, BYTES);
            self.aside.update(row).await.map_err(wrong)?;
        }
        let stats = self.redis.info("commandstats");
        let mut rows = Vec::new();
        let mut scripts = 0;
        for (name, fields) in &stats {
            let Some(name) = name.strip_prefix("cmdstat_") else {
                continue;
            };
            // These are sent by time, and not for writes, or by this counting
            // itself.
            if ["ping", "info", "config|resetstat"].contains(&name) {
                continue;
            }
            let calls = fields
                .split(',')
                .find_map(|field| field.strip_prefix("calls="));
            let calls: u64 = calls.and_then(|calls| calls.parse().ok()).unwrap_or(0);
            if name == "evalsha" {
                scripts = calls;
            }
            let each = Cell::Each(calls as f64 / operations as f64);
            rows.push(vec![Cell::Name(name.to_owned()), each]);
        }
        if scripts < operations as u64 {
            return Err(Wrong(format!(
                "{operations} writes ran {scripts} scripts: some did not reach Redis"
            )));
        }
        let title = "Commands of Redis for an update that forgets three keys".to_owned();
        Ok(Table::counted(
            title,
            vec!["command", "for each write"],
            rows,
        ))
    }
}

fn contender<'a, R>(
    name: &str,
    runtime: &'a Runtime,
    repository: &'a R,
    load: Load,
) -> Contender<'a>
where
    R: Repository<Entity = Stored, Error = SqlError> + Clone,
{
    let operations = u32::try_from(load.operations).expect("few");
    Contender::new(name, operations, move || {
        runtime.block_on(write(repository, load))
    })
}

/// Performs the writes of the load. Every update finds its record, and a
/// record's version only grows.
async fn write<R>(repository: &R, load: Load) -> Duration
where
    R: Repository<Entity = Stored, Error = SqlError> + Clone,
{
    let begun = Instant::now();
    let running: JoinSet<()> = (0..load.writers)
        .map(|writer| {
            let repository = repository.clone();
            async move {
                let mut last = 0;
                for at in 0..load.operations / load.writers {
                    let number = (writer + at * load.writers) as u64 % load.records;
                    let updated = repository.update(Stored::new(number, BYTES)).await;
                    let row: Arc<Stored> = updated
                        .expect("PostgreSQL takes it")
                        .expect("the record exists");
                    assert_eq!(row.number, number, "another record was updated");
                    if load.records == 1 {
                        assert!(last < row.version, "an update was lost");
                        last = row.version;
                    }
                }
            }
        })
        .collect();
    running.join_all().await;
    begun.elapsed()
}

fn wrong(error: impl std::fmt::Display) -> Wrong {
    Wrong(error.to_string())
}
