//! Rows and long lists that share the local tier, under a paused clock.
//!
//! A trace of rows with reads of long lists in between. A list takes as much memory as a
//! thousand rows, and its load as long as that of fifteen. The measure is the time of loads
//! that hits in process saved: a hit of a list is worth more than one of a row, but not a
//! thousand times as much.
//!
//! `memory://` has room for a few values only. So a read that is no local hit takes as long
//! as its load, and the border between rows and lists learns that time.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aside::settings::{PrefetchMode, Settings};
use aside::{CacheConfig, CacheService, CachedRepository, Freshness, Rows, Secret, Source, Tier};
use clap::Args;
use fastrand::Rng;
use uuid::Uuid;

use crate::error::Wrong;
use crate::heroes::{Hero, HeroIndex, id};
use crate::paused_clock;
use crate::suites::replay::unique;
use crate::table::{Cell, Table};
use crate::trace;
use crate::zipf::Zipf;

/// The part of all reads that read a list.
const LISTS_PART: f64 = 0.02;

const LISTS: u64 = 200;
const SKEW: f64 = 0.9;

/// A list has so many rows of so many bytes: about 400 KB.
const ROWS_OF_A_LIST: u64 = 80;
const BYTES_OF_ITS_ROWS: usize = 4_900;

/// The length of the content of a single row.
const BYTES: usize = 14;

const ROW_LOAD: Duration = Duration::from_millis(1);
const LIST_LOAD: Duration = Duration::from_millis(15);

/// The room of the tier below: for two lists, or about 2,000 rows.
const BELOW_BYTES: usize = 1 << 20;

/// How rows and lists share the local tier.
#[derive(Args)]
pub(crate) struct Options {
    file: PathBuf,
    /// The memory for local entries, as in `16MiB`.
    #[arg(long, default_value = "16MiB", value_parser = bytes)]
    capacity_bytes: usize,
    /// Draws the lists, and their places in the trace.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A database of rows and lists whose loads take their time.
struct Heroes(Vec<Rows<Hero>>);

/// The reads of rows, or those of lists.
#[derive(Clone, Copy, Default)]
struct Reads {
    all: u64,
    local: u64,
    below: u64,
}

impl Source for Heroes {
    type Entity = Hero;
    type Error = Infallible;

    async fn find_by_id(&self, id: &Uuid) -> Result<Option<Arc<Hero>>, Infallible> {
        tokio::time::sleep(ROW_LOAD).await;
        Ok(Some(Arc::new(Hero {
            id: *id,
            ..Hero::new(0, BYTES)
        })))
    }

    async fn find_by(&self, index: &HeroIndex) -> Result<Rows<Hero>, Infallible> {
        tokio::time::sleep(LIST_LOAD).await;
        let HeroIndex::Name(name) = index;
        let number = name.strip_prefix("list ").and_then(|it| it.parse().ok());
        let list = number.and_then(|number: usize| self.0.get(number));
        Ok(list.cloned().unwrap_or_default())
    }

    async fn list_all(&self) -> Result<Rows<Hero>, Infallible> {
        unreachable!("no read asks for it")
    }

    fn overloaded(&self, _: aside::repository::Overloaded) -> Infallible {
        unreachable!("the database of a simulation is never away")
    }
}

pub(crate) fn run(options: &Options) -> Result<Vec<Table>, Wrong> {
    let keys = trace::read(&options.file)?;
    let (rows, lists) = paused_clock::run(|| replay(options, &keys))?;
    let cost = |of: fn(&Reads) -> u64| {
        (ROW_LOAD * count(of(&rows)) + LIST_LOAD * count(of(&lists))).as_secs_f64()
    };
    let saved = 100.0 * cost(|reads| reads.local) / cost(|reads| reads.all);
    let hits = |reads: &Reads| Cell::Percent(100.0 * reads.local as f64 / reads.all as f64);
    let columns = vec![
        "memory",
        "rows read",
        "lists read",
        "rows that hit",
        "lists that hit",
        "hits below",
        "time saved",
    ];
    let row = vec![
        Cell::Count(options.capacity_bytes as u64),
        Cell::Count(rows.all),
        Cell::Count(lists.all),
        hits(&rows),
        hits(&lists),
        Cell::Count(rows.below + lists.below),
        Cell::Percent(saved),
    ];
    let title = format!(
        "Replay of {} with {LISTS} lists: loads of {ROW_LOAD:?} and {LIST_LOAD:?}",
        options.file.display()
    );
    Ok(vec![Table::counted(title, columns, vec![row])])
}

/// Replays the trace. Returns the reads of rows and of lists.
async fn replay(options: &Options, keys: &[u64]) -> Result<(Reads, Reads), Wrong> {
    let config = CacheConfig {
        redis_url: Secret::new("memory://"),
        l1_capacity_bytes: options.capacity_bytes,
        prefetch: PrefetchMode::Off,
        // Under the paused clock a trace takes hours; entries leave for want of memory.
        default_ttl: Duration::from_secs(30 * 24 * 3600),
        ..CacheConfig::default()
    };
    let cache = CacheService::connect(config).await;
    cache.limit_memory(BELOW_BYTES);
    let cached = CachedRepository::new(Heroes(lists(unique(keys))), &cache);
    let (zipf, mut rng) = (Zipf::skewed(LISTS, SKEW), Rng::with_seed(options.seed));
    let (mut rows, mut lists) = (Reads::default(), Reads::default());
    for key in keys {
        while rng.f64() < LISTS_PART {
            let index = HeroIndex::Name(name(zipf.draw(&mut rng)));
            let Ok(answer) = cached.find_by_with(&index, Freshness::Any).await;
            if answer.value.len() as u64 != ROWS_OF_A_LIST {
                return Err(Wrong(format!("{index:?} returned another list")));
            }
            lists.count(answer.tier);
        }
        let Ok(answer) = cached.find_by_id_with(&id(*key), Freshness::Any).await;
        if answer.value.is_none_or(|row| row.id != id(*key)) {
            return Err(Wrong(format!("key {key} returned another row")));
        }
        rows.count(answer.tier);
    }
    Ok((rows, lists))
}

impl Reads {
    fn count(&mut self, tier: Tier) {
        self.all += 1;
        self.local += u64::from(tier == Tier::Local);
        self.below += u64::from(!matches!(tier, Tier::Local | Tier::Source));
    }
}

/// Returns the lists. Their rows are others than those of the trace.
fn lists(first: u64) -> Vec<Rows<Hero>> {
    let list = |list: u64| {
        let rows = (0..ROWS_OF_A_LIST).map(|row| {
            let number = first + list * ROWS_OF_A_LIST + row;
            let row = Hero {
                name: name(list),
                ..Hero::new(number, BYTES_OF_ITS_ROWS)
            };
            Arc::new(row)
        });
        rows.collect()
    };
    (0..LISTS).map(list).collect()
}

fn name(list: u64) -> String {
    format!("list {list}")
}

fn count(reads: u64) -> u32 {
    u32::try_from(reads).unwrap_or(u32::MAX)
}

/// Reads a number of bytes as the settings of a service do.
fn bytes(text: &str) -> Result<usize, String> {
    let settings = Settings::from_pairs([("--capacity-bytes", text)]);
    let allowed = "a number of bytes, as 16MiB";
    let read = settings.read(|reader| reader.bytes("--capacity-bytes", allowed));
    let read = read.map_err(|error| error.to_string())?;
    read.ok_or_else(|| format!("it must be {allowed}"))
}
