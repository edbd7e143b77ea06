//! Values that are too large, or whose transfer takes too long.

use std::num::NonZeroU32;

use aside::{
    Bypass, CacheStrategy,
    codec::{Codec, CodecError, Json},
};
use aside_testkit::{Direction, Mode};
use tokio::task::JoinSet;

use super::library::Refusal;
use super::*;

/// 16 Mbit/s, in bytes.
const NARROW: NonZeroU32 = NonZeroU32::new(2_000_000).unwrap();

/// A library whose list of all has about `bytes` bytes: `rows` small books, and
/// a large one with the last number.
fn library_of(rows: u32, bytes: usize) -> Library {
    let library = Library::of(rows);
    library.overwrite(Book::new(rows + 1, "x".repeat(bytes)));
    library
}

/// Reads the small books repeatedly for this time. Returns how often the
/// database was read for one, and the number of reads.
async fn read_small(instance: &Instance, rows: u32, long: Duration) -> (usize, usize) {
    let (begun, mut from_database, mut reads) = (Instant::now(), 0, 0);
    while begun.elapsed() < long {
        for id in 1..=rows {
            let answer = instance.books.find_by_id_with(&id, Freshness::Shared).await;
            reads += 1;
            from_database += usize::from(answer.unwrap().tier == Tier::Source);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (from_database, reads)
}

/// Checks that Redis serves rows beside a list that travels slowly in one
/// direction.
async fn a_list_travels_slowly(direction: Direction) -> (Instance, usize, usize) {
    let redis = redis();
    let proxy = way_to(&redis).await;
    let library = library_of(20, 900_000);
    let instance = Instance::in_step(through(&proxy), &library).await;
    for id in 1..=20 {
        instance.caches(id).await;
    }
    if direction == Direction::ToClient {
        let writer = Instance::in_step(at(&redis.url()), &library).await;
        writer.books.list_all().await.unwrap();
        eventually(EVENTUALLY, "the list in Redis", async || {
            redis.command(&["EXISTS", "book:all"]).integer() == Some(1)
                && redis.command(&["STRLEN", "book:all"]).integer() > Some(900_000)
        })
        .await;
    }
    proxy.set(direction, Mode::Throttle(NARROW));
    let lists = async {
        for _ in 0..20 {
            assert_eq!(instance.books.list_all().await.unwrap().len(), 21);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let rows = read_small(&instance, 20, Duration::from_secs(3));
    let ((), (from_database, reads)) = tokio::join!(lists, rows);
    assert_eq!(instance.errors("redis_timeout"), 0);
    assert!(instance.cache.is_synced());
    (instance, from_database, reads)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slowly_sent_fill_disturbs_no_row() {
    let (_, from_database, reads) = a_list_travels_slowly(Direction::ToServer).await;
    assert_eq!(from_database, 0, "of {reads} reads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slowly_received_list_disturbs_no_row() {
    let (_, from_database, reads) = a_list_travels_slowly(Direction::ToClient).await;
    assert_eq!(from_database, 0, "of {reads} reads");
}

/// Listing the library, with and without a cache.
trait Lists: Clone + Send + 'static {
    fn list(&self) -> impl Future<Output = usize> + Send;
}

impl<R: Repository<Entity = Book, Error = Refusal> + Clone> Lists for R {
    async fn list(&self) -> usize {
        self.list_all().await.unwrap().len()
    }
}

/// Lists on each of `readers` repeatedly for this time. Returns the number of
/// lists and the time of the slowest.
async fn list_again_and_again(readers: &[impl Lists], long: Duration) -> (usize, Duration) {
    let mut listing = JoinSet::new();
    for reader in readers {
        let reader = reader.clone();
        listing.spawn(async move {
            let (begun, mut count, mut slowest) = (Instant::now(), 0, Duration::ZERO);
            loop {
                let (rows, took) = timed(reader.list()).await;
                assert_eq!(rows, 101);
                slowest = slowest.max(took);
                count += 1;
                if long <= begun.elapsed() {
                    return (count, slowest);
                }
            }
        });
    }
    let all = listing.join_all().await;
    let count = all.iter().map(|(count, _)| count).sum();
    let slowest = all.iter().map(|(_, slowest)| *slowest).max();
    (count, slowest.unwrap_or_default())
}

/// How many lists there were in two turns, and how long the slowest took.
fn add(one: (usize, Duration), other: (usize, Duration)) -> (usize, Duration) {
    (one.0 + other.0, one.1.max(other.1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_too_large_for_the_cache_is_as_fast_as_without() {
    let redis = redis();
    let library = library_of(100, 1_900_000);
    library.takes(Duration::from_millis(50));
    let mut instances = Vec::new();
    for _ in 0..8 {
        instances.push(Instance::in_step(at(&redis.url()), &library).await);
    }
    // Two readers on each instance, which must not wait for each other either.
    let both = |one: &Instance| [one.books.clone(), one.books.clone()];
    let cached: Vec<_> = instances.iter().flat_map(both).collect();
    let bare = vec![library.clone(); cached.len()];
    // Each instance finds out by one list that it cannot be cached.
    list_again_and_again(&cached, Duration::ZERO).await;
    // By turns, so that a busy machine slows both.
    let turn = Duration::from_millis(500);
    let (mut with, mut without) = ((0, Duration::ZERO), (0, Duration::ZERO));
    for _ in 0..6 {
        without = add(without, list_again_and_again(&bare, turn).await);
        with = add(with, list_again_and_again(&cached, turn).await);
    }
    eprintln!("measured: {with:?} lists with the cache, {without:?} without");
    assert!(
        without.0 * 90 <= with.0 * 100,
        "{with:?} lists, {without:?} without the cache"
    );
    assert!(
        with.1 < without.1 + Duration::from_millis(700),
        "{with:?}, {without:?}"
    );
    let answer = instances[0].books.list_all_with(Freshness::Any).await;
    assert_eq!(answer.unwrap().bypass, Some(Bypass::TooLarge));
    // One row more or less in the list ends the pause.
    assert!(instances[0].errors("not_cacheable") <= 2);
}

#[tokio::test]
async fn a_list_that_shrinks_is_cached_again_after_its_write() {
    let redis = redis();
    let library = library_of(3, 1_900_000);
    let one = Instance::in_step(at(&redis.url()), &library).await;
    let other = Instance::in_step(at(&redis.url()), &library).await;
    for instance in [&one, &other] {
        for _ in 0..2 {
            let answer = instance.books.list_all_with(Freshness::Any).await.unwrap();
            assert_eq!(answer.bypass, Some(Bypass::TooLarge));
        }
    }
    assert!(one.books.delete(&4).await.unwrap());
    for instance in [&one, &other] {
        eventually(EVENTUALLY, "the short list in a cache", async || {
            let answer = instance.books.list_all_with(Freshness::Any).await.unwrap();
            answer.tier != Tier::Source
        })
        .await;
    }
}

/// Writes rows, and does not read them back.
#[derive(Debug)]
struct WriteOnly;

impl Codec<Book> for WriteOnly {
    fn encode(&self, row: &Book) -> Result<String, CodecError> {
        Json.encode(row)
    }

    fn decode(&self, _: &str) -> Result<Book, CodecError> {
        Json.decode("{}")
    }
}

impl CacheStrategy<Book> for WriteOnly {
    fn codec(&self) -> &dyn Codec<Book> {
        &Self
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_back_is_filled_once() {
    let redis = redis();
    let library = Library::of(3);
    let config = CacheConfig {
        max_staleness: Duration::ZERO,
        ..at(&redis.url())
    };
    let instance = Instance::in_step(config, &library).await;
    let books = instance.books.clone().with_strategy(WriteOnly);
    redis.reset_stats();
    for _ in 0..100 {
        assert!(books.find_by_id(&1).await.unwrap().is_some());
        let pair = books.find_many(&[2, 3]).await.unwrap();
        assert!(pair.iter().all(Option::is_some));
        // The fills run beside the reads.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(library.loads(), 200);
    let asked = redis.calls("get") + redis.calls("mget") + redis.calls("evalsha");
    assert!(asked <= 40, "{asked} calls for 200 reads");
    let answer = books.find_by_id_with(&1, Freshness::Any).await.unwrap();
    assert_eq!(answer.bypass, Some(Bypass::NotCacheable));
}

#[tokio::test]
async fn an_uncached_absence_makes_no_reader_wait() {
    #[derive(Debug)]
    struct NoAbsences;
    impl CacheStrategy<Book> for NoAbsences {
        fn negative_ttl(&self) -> Duration {
            Duration::ZERO
        }
    }
    let redis = redis();
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    let books = instance.books.clone().with_strategy(NoAbsences);
    assert!(books.find_by_id(&9).await.unwrap().is_none());
    library.takes(Duration::from_millis(100));
    let reads = (0..10).map(|_| books.find_by_id(&9));
    let (reads, took) = timed(futures_util::future::join_all(reads)).await;
    assert!(reads.iter().all(|read| *read == Ok(None)));
    assert!(took < Duration::from_millis(190), "{took:?}");
    library.overwrite(Book::new(9, "found"));
    assert!(books.find_by_id(&9).await.unwrap().is_some());
}
