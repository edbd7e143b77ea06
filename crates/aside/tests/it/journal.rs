//! Polling a journal, for any database.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aside::{
    CacheConfig, CacheService,
    events::Invalidation,
    journal::{Journal, JournalRow},
};
use aside_testkit::eventually;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;

use crate::world::{SOON, World};

/// Rows of one page.
const PAGE: usize = 100;

/// A table in memory.
#[derive(Clone, Default)]
struct Table(Arc<Rows>);

#[derive(Default)]
struct Rows {
    rows: Mutex<BTreeMap<i64, String>>,
    /// If true, each page that is read adds two more.
    grows: AtomicBool,
    read: AtomicUsize,
    /// Called before a page is read.
    before_page: Mutex<Option<Box<dyn FnMut() + Send>>>,
}

impl Table {
    fn of(count: usize, entry: impl Fn(usize) -> String) -> Self {
        let table = Self::default();
        table.insert(count, entry);
        table
    }

    fn insert(&self, count: usize, entry: impl Fn(usize) -> String) {
        let mut rows = self.0.rows.lock();
        let next = rows.last_key_value().map_or(1, |(id, _)| id + 1);
        rows.extend((next..).zip((0..count).map(entry)));
    }

    fn is_empty(&self) -> bool {
        self.0.rows.lock().is_empty()
    }
}

impl Journal for Table {
    type Error = Infallible;

    async fn newest(&self) -> Result<Option<i64>, Infallible> {
        Ok(self.0.rows.lock().last_key_value().map(|(id, _)| *id))
    }

    async fn page(&self, after: i64) -> Result<Vec<JournalRow>, Infallible> {
        if let Some(before) = &mut *self.0.before_page.lock() {
            before();
        }
        let row = |(id, entry): (&i64, &String)| JournalRow {
            id: *id,
            entry: entry.clone(),
        };
        let rows = self.0.rows.lock();
        let later = rows.range(after.saturating_add(1)..).take(PAGE);
        let page: Vec<JournalRow> = later.map(row).collect();
        drop(rows);
        self.0.read.fetch_add(page.len(), Ordering::SeqCst);
        if self.0.grows.load(Ordering::SeqCst) {
            self.insert(2 * PAGE, |number| format!("hero:{number}"));
        }
        Ok(page)
    }

    async fn delete(&self, ids: &[i64]) -> Result<(), Infallible> {
        let mut rows = self.0.rows.lock();
        for id in ids {
            rows.remove(id);
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_pass_over_the_journal_ends_if_rows_are_added_faster() {
    let world = World::new();
    let table = Table::of(10 * PAGE, |number| format!("hero:{number}"));
    table.0.grows.store(true, Ordering::SeqCst);
    let cache = CacheService::connect(world.config()).await;
    cache.poll_journal(table.clone()).await;
    // Trusted after the rows present at the start have been handled.
    assert!(cache.is_synced());
    table.0.grows.store(false, Ordering::SeqCst);
    eventually(SOON, "an empty journal", async || table.is_empty()).await;
}

#[tokio::test]
async fn a_journal_page_is_sent_to_redis_before_the_next_is_read() {
    let world = World::new();
    let table = Table::of(10 * PAGE, |number| format!("hero:{number}"));
    let told = world.redis().address();
    let (rows, least) = (table.clone(), Arc::new(AtomicUsize::new(usize::MAX)));
    let (noted, mut before) = (Arc::clone(&least), None);
    *table.0.before_page.lock() = Some(Box::new(move || {
        let calls = keys_told(told);
        let read = rows.0.read.load(Ordering::SeqCst);
        if let Some((calls_before, read_before)) = before {
            // Every row of the page before has been sent.
            let untold = (read - read_before) as u64 <= calls - calls_before;
            noted.fetch_min(usize::from(untold), Ordering::SeqCst);
        }
        before = Some((calls, read));
    }));
    let cache = CacheService::connect(world.config()).await;
    cache.poll_journal(table.clone()).await;
    eventually(SOON, "an empty journal", async || table.is_empty()).await;
    assert_eq!(least.load(Ordering::SeqCst), 1);
}

/// Returns the value of a metric without labels.
fn metric(cache: &CacheService, name: &str) -> f64 {
    let (mut registry, mut text) = (Registry::default(), String::new());
    cache.register_metrics(&mut registry);
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let begins = format!("{name} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&begins));
    line.expect("the metric").parse().unwrap()
}

#[tokio::test]
async fn the_age_of_the_journal_grows_until_every_row_is_applied() {
    let world = World::new();
    let cache = CacheService::connect(world.config()).await;
    let table = Table::of(3, |number| format!("hero:{number}"));
    world.redis().stop();
    cache.poll_journal(table.clone()).await;
    eventually(SOON, "an age", async || {
        metric(&cache, "aside_journal_oldest_seconds") > 0.5
    })
    .await;
    world.redis().cont();
    eventually(SOON, "the rows are applied", async || table.is_empty()).await;
    eventually(SOON, "no age", async || {
        metric(&cache, "aside_journal_oldest_seconds") == 0.0
    })
    .await;
    assert_eq!(metric(&cache, "aside_journal_worked_off_total"), 3.0);
}

#[tokio::test]
async fn a_start_without_redis_waits_for_one_operation_only() {
    let world = World::new();
    world.redis().kill();
    let begun = Instant::now();
    let cache = CacheService::connect(world.config()).await;
    let connected = begun.elapsed();
    cache.poll_journal(Table::default()).await;
    let drained = begun.elapsed() - connected;
    let one = world.config().operation_timeout;
    assert!(drained < one / 2, "{connected:?}, then {drained:?}");
}

#[tokio::test]
async fn many_rows_of_one_kind_raise_its_epoch_once() {
    let world = World::new();
    let instance = world.instance().await;
    let table = Table::of(PAGE, |_| "all of hero".to_owned());
    let mut heard = instance.cache.subscribe();
    instance.cache.poll_journal(table.clone()).await;
    eventually(SOON, "an empty journal", async || table.is_empty()).await;
    // Messages are received in order, so this one comes last.
    instance.cache.invalidate_id("hero", "last").await;
    let mut colder = 0;
    while let Some(word) = heard.next().await {
        match word {
            Invalidation::Kind { .. } => colder += 1,
            Invalidation::Key { .. } => break,
            _ => {}
        }
    }
    assert_eq!(colder, 1);
}

#[tokio::test]
async fn a_key_is_released_once_another_instance_deleted_its_row() {
    let world = World::new();
    let config = CacheConfig {
        operation_timeout: Duration::from_millis(100),
        journal_poll: Duration::from_millis(50),
        ..world.config()
    };
    let instance = world.instance_with(config).await;
    let table = Table::of(2, |number| format!("hero:{number}"));
    // Nothing is acknowledged, so reads keep bypassing the keys.
    world.redis().stop();
    instance.cache.poll_journal(table.clone()).await;
    let held = async |count| {
        eventually(SOON, "that many unreleased keys", async || {
            let held = instance.cache.health_check().await.unreleased_keys;
            (held == count).then_some(()).ok_or(held)
        })
        .await;
    };
    held(2).await;
    let newest = table.newest().await.unwrap().unwrap();
    table.delete(&[newest]).await.unwrap();
    held(1).await;
    world.redis().cont();
    held(0).await;
}

#[tokio::test]
async fn a_row_of_the_journal_deletes_nothing_that_is_not_ours() {
    let world = World::new();
    let redis = world.redis();
    for words in [
        ["SET", "cart:9", "Vienna"].as_slice(),
        &["SET", "cart:10", "theirs"],
        &["HSET", "cart:11", "a", "b"],
        &["RPUSH", "hero:list", "a"],
        &["SET", "session:1", "theirs"],
        &["SET", "other:hero:1", "L0"],
    ] {
        redis.command(words);
    }
    let keys = world.keys();
    let rows = [
        "cart:9",
        "cart:10",
        "cart:11",
        "hero:list",
        "all of session",
        "other:hero:1",
    ];
    let table = Table::of(rows.len(), |row| rows[row].to_owned());
    let cache = CacheService::connect(world.config()).await;
    cache.poll_journal(table.clone()).await;
    eventually(SOON, "an empty journal", async || table.is_empty()).await;
    assert!(cache.is_synced());
    assert_eq!(world.keys(), keys);
    let left = redis.command(&["HEXISTS", "aside:epochs", "session"]);
    assert_eq!(left, aside_testkit::Reply::Integer(0));
}

#[tokio::test]
async fn a_malformed_row_of_the_journal_is_dropped_and_counted() {
    let world = World::new();
    let rows = [
        "hero:1\nE 0000000000000000 1700000000000 hero",
        "all of *",
        "all of aside",
        "aside:epochs",
        "nothing",
        "",
    ];
    world
        .redis()
        .command(&["HSET", "aside:epochs", "hero", "0000000000007"]);
    let table = Table::of(rows.len(), |row| rows[row].to_owned());
    let cache = CacheService::connect(world.config()).await;
    cache.poll_journal(table.clone()).await;
    eventually(SOON, "an empty journal", async || table.is_empty()).await;
    let dropped = cache.stats().errors["malformed_journal_row"];
    assert_eq!(dropped, rows.len() as u64);
    assert!(cache.is_synced());
}

/// A worker knows fewer kinds than the fleet, and so does a service that drains
/// before it makes its repositories.
#[tokio::test]
async fn a_row_of_a_kind_that_is_not_cached_here_is_worked_off() {
    use aside::Source as _;
    for row in ["hero:name:Mia", "all of hero"] {
        let world = World::new();
        let other = world.instance().await;
        let mia = crate::entities::hero("Mia", "en");
        let named = crate::entities::named("Mia");
        let read = async || other.heroes.find_by(&named).await.unwrap().len();
        assert_eq!(read().await, 0);
        world.filled("hero:name:Mia").await;
        world.heroes.insert(&mia);
        assert_eq!(read().await, 0);
        let table = Table::of(1, |_| row.to_owned());
        let worker = CacheService::connect(world.config()).await;
        worker.poll_journal(table.clone()).await;
        eventually(SOON, "an empty journal", async || table.is_empty()).await;
        eventually(SOON, "the new row", async || read().await == 1).await;
    }
}

#[tokio::test]
async fn a_row_of_the_greatest_id_is_worked_off_like_any_other() {
    let world = World::new();
    let table = Table::of(3, |number| format!("hero:{number}"));
    let last = "hero:last".to_owned();
    table.0.rows.lock().insert(i64::MAX, last);
    let cache = CacheService::connect(world.config()).await;
    cache.poll_journal(table.clone()).await;
    eventually(SOON, "an empty journal", async || table.is_empty()).await;
    assert!(cache.is_synced());
}

/// Returns how many keys were sent to Redis, measured by the one read per key
/// in the script. It does not yield the thread.
fn keys_told(redis: std::net::SocketAddr) -> u64 {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(redis).unwrap();
    stream.write_all(b"INFO commandstats\r\nQUIT\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_getrange:calls="));
    let calls = line.and_then(|line| line.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}
