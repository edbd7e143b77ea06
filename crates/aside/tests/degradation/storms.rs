//! Repeated faults while rows are read and written.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aside::Rows;
use aside_testkit::{Direction, Mode};
use tokio::task::JoinSet;

use super::library::BookIndex;
use super::*;

/// The duration of a storm.
const STORM: Duration = Duration::from_secs(5);

/// The staleness bound, and the tick of the coarse clock.
const BOUND: Duration = Duration::from_millis(500 + 10);

/// The return time and number of each write of a book.
type Writes = Vec<(Instant, u64)>;

/// The writes that returned, by book.
#[derive(Clone, Default)]
struct Returned(Arc<Mutex<HashMap<u32, Writes>>>);

impl Returned {
    fn now(&self, id: u32, number: u64) {
        let mut returned = self.0.lock().unwrap();
        returned
            .entry(id)
            .or_default()
            .push((Instant::now(), number));
    }

    /// Returns the newest write that had returned by then.
    fn by(&self, id: u32, then: Instant) -> u64 {
        let returned = self.0.lock().unwrap();
        let writes = returned.get(&id).into_iter().flatten();
        let by_then = writes.filter(|(at, _)| *at <= then);
        by_then.map(|(_, number)| *number).max().unwrap_or(0)
    }
}

/// Returns the number in a book's title, read by a random method.
async fn number(instance: &Instance, id: u32) -> u64 {
    let among = |rows: Rows<Book>| rows.iter().find(|book| book.id == id).cloned();
    let books = &instance.books;
    let shelf = BookIndex::Shelf("fairy tales".into());
    let book = match fastrand::u32(0..8) {
        0 => among(books.list_all().await.unwrap()),
        1 => among(books.find_by(&shelf).await.unwrap()),
        2 => books.find_many(&[1, id, 8]).await.unwrap().remove(1),
        _ => books.find_by_id(&id).await.unwrap(),
    };
    book.unwrap().title.parse().unwrap_or(0)
}

/// Writes a book again and again, and reads it back each time.
async fn write(instance: Arc<Instance>, id: u32, returned: Returned, until: Instant) -> u64 {
    let mut written = 0;
    while Instant::now() < until {
        written += 1;
        let change = Book::new(id, written.to_string());
        instance.books.update(change).await.unwrap();
        returned.now(id, written);
        for _ in 0..3 {
            assert_eq!(
                number(&instance, id).await,
                written,
                "the write of the same instance"
            );
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..15))).await;
        }
    }
    written
}

/// Reads a book again and again; no title may be older than `allowed`.
async fn read(
    instance: Arc<Instance>,
    id: u32,
    returned: Returned,
    allowed: Duration,
    until: Instant,
) -> u64 {
    let mut reads = 0;
    while Instant::now() < until {
        let asked = Instant::now();
        let seen = number(&instance, id).await;
        let least = returned.by(id, asked - allowed);
        assert!(least <= seen, "book {id}: {seen} and not {least}");
        reads += 1;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..4))).await;
    }
    reads
}

/// Breaks the network and the server in all supported modes.
async fn storm(proxy: &Proxy, redis: &RedisServer, until: Instant) {
    while Instant::now() < until {
        let direction = *fastrand::choice(&[Direction::ToServer, Direction::ToClient]).unwrap();
        match fastrand::u32(0..10) {
            0 => proxy.set(
                direction,
                Mode::Delay(Duration::from_millis(fastrand::u64(1..400))),
            ),
            1 => proxy.set(direction, Mode::Blackhole),
            2 | 3 => proxy.set(direction, Mode::Stall),
            4 => proxy.set(direction, Mode::Reset),
            5 => drop(proxy.sever()),
            6 => drop(proxy.reset()),
            7 => drop(redis.command(&["SCRIPT", "FLUSH"])),
            8 => drop(redis.command(&["FLUSHALL"])),
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(10..300))).await;
        proxy.heal().await;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(10..500))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_of_faults_keeps_the_bound_and_read_your_writes() {
    let redis = redis();
    let proxy = way_to(&redis).await;
    let library = Library::of(8);
    // An instance that is never disconnected, with limits that a busy machine
    // keeps.
    let patient = CacheConfig {
        operation_timeout: Duration::from_secs(10),
        max_staleness: Duration::from_secs(60),
        ..at(&redis.url())
    };
    let calm = Arc::new(Instance::in_step(patient, &library).await);
    let stormy = Arc::new(Instance::in_step(through(&proxy), &library).await);
    let until = Instant::now() + STORM;
    let (returned, mut tasks) = (Returned::default(), JoinSet::new());
    for id in 1..=4 {
        tasks.spawn(write(Arc::clone(&calm), id, returned.clone(), until));
        tasks.spawn(write(Arc::clone(&stormy), id + 4, returned.clone(), until));
        for _ in 0..2 {
            tasks.spawn(read(
                Arc::clone(&stormy),
                id,
                returned.clone(),
                BOUND,
                until,
            ));
            let own = read(
                Arc::clone(&stormy),
                id + 4,
                returned.clone(),
                Duration::ZERO,
                until,
            );
            tasks.spawn(own);
        }
    }
    storm(&proxy, &redis, until).await;
    while let Some(done) = tasks.join_next().await {
        assert!(done.expect("no promise broken") > 0);
    }
    for id in 1..=8 {
        stormy.caches(id).await;
        calm.caches(id).await;
    }
    assert_eq!(stormy.cache.health_check().await.unreleased_keys, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_redis_that_stops_dies_and_returns_keeps_own_writes() {
    let redis = redis();
    let library = Library::of(4);
    let instance = Arc::new(Instance::in_step(at(&redis.url()), &library).await);
    let until = Instant::now() + STORM;
    let (returned, mut tasks) = (Returned::default(), JoinSet::new());
    for id in 1..=4 {
        tasks.spawn(write(Arc::clone(&instance), id, returned.clone(), until));
        for _ in 0..2 {
            let own = read(
                Arc::clone(&instance),
                id,
                returned.clone(),
                Duration::ZERO,
                until,
            );
            tasks.spawn(own);
        }
    }
    while Instant::now() < until {
        let pause = || tokio::time::sleep(Duration::from_millis(fastrand::u64(10..600)));
        match fastrand::u32(0..3) {
            0 => {
                redis.kill();
                pause().await;
                redis.restart();
            }
            1 => drop(redis.client_kill_pubsub()),
            _ => {
                redis.stop();
                pause().await;
                redis.cont();
            }
        }
        pause().await;
    }
    while let Some(done) = tasks.join_next().await {
        assert!(done.expect("no promise broken") > 0);
    }
    for id in 1..=4 {
        instance.caches(id).await;
    }
}
