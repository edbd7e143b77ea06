//! Loads that hang, fail, panic, or have lost all their callers.

use aside::{CacheStrategy, entity::Following, repository::Overloaded};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::library::{BookIndex, Next, Refusal};
use super::*;

/// Long enough for a lease to expire and a load to follow.
const SOON: Duration = Duration::from_secs(2);

/// Leases and loads shorter than a test.
fn brief(url: &str, load_timeout: Duration) -> CacheConfig {
    CacheConfig {
        lease_ttl: Duration::from_millis(300),
        load_timeout,
        ..at(url)
    }
}

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(200);

/// Runs a scenario with Redis, in memory, and without Redis.
async fn wherever(load_timeout: Duration, scene: impl AsyncFn(Instance, Library)) {
    let redis = redis();
    for url in [&redis.url(), "memory://", "redis://127.0.0.1:1"] {
        let library = Library::of(400);
        let instance = Instance::start(brief(url, load_timeout), &library).await;
        if !url.ends_with(":1") {
            instance.resumes().await;
        }
        scene(instance, library).await;
        redis.command(&["FLUSHALL"]);
    }
}

/// A caller that gives up while its load hangs.
async fn give_up(read: impl Future) {
    assert!(timeout(Duration::from_millis(100), read).await.is_err());
}

#[tokio::test]
async fn a_hung_load_costs_only_its_own_caller() {
    wherever(LONG, async |instance, library| {
        library.next_load(Next::Hangs);
        give_up(instance.books.find_by_id(&1)).await;
        let next = timeout(SOON, instance.books.find_by_id(&1)).await;
        assert!(next.expect("a result").unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn readers_of_a_hung_key_load_when_its_lease_expires() {
    wherever(LONG, async |instance, library| {
        library.next_load(Next::Hangs);
        let (books, other) = (instance.books.clone(), instance.books.clone());
        let hung = tokio::spawn(async move { books.find_by_id(&1).await });
        eventually(EVENTUALLY, "a load", async || library.loading() == 1).await;
        let next = timeout(SOON, other.find_by_id(&1)).await;
        assert!(next.expect("a result").unwrap().is_some());
        hung.abort();
        eventually(EVENTUALLY, "its end", async || library.loading() == 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_hung_list_costs_only_its_own_caller() {
    wherever(LONG, async |instance, library| {
        library.next_load(Next::Hangs);
        give_up(instance.books.list_all()).await;
        let next = timeout(SOON, instance.books.list_all()).await;
        assert_eq!(next.expect("a result").unwrap().len(), 400);
    })
    .await;
}

#[tokio::test]
async fn a_hung_batch_leaves_its_rows_readable() {
    wherever(LONG, async |instance, library| {
        let ids: Vec<u32> = (1..=300).collect();
        library.next_load(Next::Hangs);
        give_up(instance.books.find_many(&ids)).await;
        let rows = ids.iter().map(|id| instance.books.find_by_id(id));
        let rows = timeout(SOON, futures_util::future::join_all(rows)).await;
        assert!(rows.expect("results").iter().all(Result::is_ok));
        let again = timeout(SOON, instance.books.find_many(&ids)).await;
        assert_eq!(again.expect("a result").unwrap().len(), 300);
    })
    .await;
}

#[tokio::test]
async fn a_load_that_takes_too_long_is_an_error_for_its_callers() {
    wherever(SHORT, async |instance, library| {
        library.shut();
        let mut reads = JoinSet::new();
        for _ in 0..8 {
            let books = instance.books.clone();
            reads.spawn(async move { books.find_by_id(&1).await });
        }
        let ended = timeout(SOON, reads.join_all()).await.expect("errors");
        let slow = Err(Refusal::Overloaded(Overloaded::TooSlow));
        assert!(ended.iter().all(|read| *read == slow), "{ended:?}");
        let batch = timeout(SOON, instance.books.find_many(&[2, 3])).await;
        assert_eq!(batch.expect("an error").map(drop), slow.clone().map(drop));
        for freshness in [Freshness::Shared, Freshness::Source] {
            let read = instance.books.find_by_id_with(&4, freshness);
            let read = timeout(SOON, read).await.expect("an error");
            assert_eq!(read.map(drop), slow.clone().map(drop));
        }
        let warm = timeout(SOON, instance.books.warm_up(Default::default(), drop));
        assert_eq!(warm.await.expect("an error").map(drop), slow.map(drop));
        assert_eq!(library.loading(), 0, "queries are dropped");
        assert!(instance.errors("load_timed_out") >= 5);

        library.open();
        let next = instance.books.find_by_id(&1).await;
        assert!(next.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn a_strategy_sets_its_own_load_timeout() {
    #[derive(Debug)]
    struct Hasty;
    impl CacheStrategy<Book> for Hasty {
        fn load_timeout(&self) -> Option<Duration> {
            Some(SHORT)
        }
    }
    let library = Library::of(3);
    let instance = Instance::in_step(at("memory://"), &library).await;
    let books = instance.books.with_strategy(Hasty);
    library.next_load(Next::Hangs);
    let read = timeout(SOON, books.find_by_id(&1)).await;
    let slow = Refusal::Overloaded(Overloaded::TooSlow);
    assert_eq!(read.expect("an error"), Err(slow));
}

#[tokio::test]
async fn a_lease_is_given_back_when_its_load_takes_too_long() {
    let redis = redis();
    let library = Library::of(3);
    let config = CacheConfig {
        load_timeout: SHORT,
        lease_ttl: LONG,
        ..at(&redis.url())
    };
    let instance = Instance::in_step(config, &library).await;
    library.shut();
    instance.books.find_by_id(&1).await.unwrap_err();
    instance.books.find_many(&[2, 3]).await.unwrap_err();
    instance.books.list_all().await.unwrap_err();
    no_leases(&redis).await;
}

/// Waits until no key of a book exists, in any state.
async fn no_leases(redis: &RedisServer) {
    let keys = ["EXISTS", "book:1", "book:2", "book:3", "book:all"];
    eventually(EVENTUALLY, "no lease", async || {
        redis.command(&keys).integer() == Some(0)
    })
    .await;
}

#[tokio::test]
async fn a_panic_gives_every_lease_back() {
    let redis = redis();
    let library = Library::of(3);
    let config = CacheConfig {
        lease_ttl: LONG,
        ..at(&redis.url())
    };
    let instance = Instance::in_step(config, &library).await;
    let books = instance.books.clone();
    library.next_load(Next::Panics);
    let single = tokio::spawn(async move { books.find_by_id(&1).await });
    assert!(single.await.unwrap_err().is_panic());
    let books = instance.books.clone();
    library.next_load(Next::Panics);
    let batch = tokio::spawn(async move { books.find_many(&[2, 3]).await });
    assert!(batch.await.unwrap_err().is_panic());
    no_leases(&redis).await;
    assert!(instance.books.find_by_id(&2).await.unwrap().is_some());
}

#[tokio::test]
async fn a_panic_of_a_callback_costs_no_read_and_no_lease() {
    #[derive(Debug)]
    struct Jittery;
    impl CacheStrategy<Book> for Jittery {
        fn jitter(&self) -> f64 {
            panic!("no dice")
        }
    }
    no_leases(&every_read_has_its_result(Jittery).await).await;
}

#[tokio::test]
async fn a_panic_of_a_declaration_costs_no_read_and_no_fill() {
    #[derive(Debug)]
    struct Followed;
    impl CacheStrategy<Book> for Followed {
        fn follow(&self, _: &Book, _: &mut Following<'_>) {
            panic!("no next")
        }
    }
    let redis = every_read_has_its_result(Followed).await;
    let keys = ["EXISTS", "book:1", "book:2", "book:3"];
    eventually(EVENTUALLY, "three rows", async || {
        redis.command(&keys).integer() == Some(3)
    })
    .await;
}

async fn every_read_has_its_result(strategy: impl CacheStrategy<Book>) -> RedisServer {
    let redis = redis();
    let library = Library::of(3);
    let config = CacheConfig {
        lease_ttl: LONG,
        ..at(&redis.url())
    };
    let instance = Instance::in_step(config, &library).await;
    let books = instance.books.clone().with_strategy(strategy);
    let shelf = BookIndex::Shelf("fairy tales".into());
    for _ in 0..2 {
        let row = timeout(SOON, books.find_by_id(&1)).await;
        assert!(row.expect("a result").unwrap().is_some());
        let rows = timeout(SOON, books.find_many(&[2, 3])).await;
        assert_eq!(rows.expect("a result").unwrap().len(), 2);
        let list = timeout(SOON, books.find_by(&shelf)).await;
        assert_eq!(list.expect("a result").unwrap().len(), 3);
    }
    redis
}

#[tokio::test]
async fn a_failed_batch_is_one_failure_for_all_waiters() {
    wherever(LONG, async |instance, library| {
        for (next, first) in [(Next::Fails, 1), (Next::Panics, 4)] {
            library.shut();
            library.next_load(next);
            let loads = library.loads();
            let books = instance.books.clone();
            let batch =
                tokio::spawn(async move { books.find_many(&[first, first + 1, first + 2]).await });
            eventually(EVENTUALLY, "a load", async || library.loads() == loads + 1).await;
            let mut waiters = JoinSet::new();
            // Readers that came before a load that fills nothing share it.
            // Without trust they would wait for nothing here.
            if instance.cache.is_synced() {
                for id in [first, first + 1, first + 2, first] {
                    let books = instance.books.clone();
                    waiters.spawn(async move { books.find_by_id(&id).await });
                }
            }
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            library.open();
            assert!(!matches!(batch.await, Ok(Ok(_))));
            while let Some(waiter) = waiters.join_next().await {
                assert!(!matches!(waiter, Ok(Ok(_))));
            }
            assert_eq!(library.loads(), loads + 1);
        }
    })
    .await;
}

#[tokio::test]
async fn callers_that_repeatedly_give_up_keep_few_loads() {
    for url in ["memory://", "redis://127.0.0.1:1"] {
        let library = Library::of(400);
        let config = CacheConfig {
            source_concurrency: 4,
            ..brief(url, LONG)
        };
        let instance = Instance::start(config, &library).await;
        library.shut();
        for id in 1..=100 {
            let _ = timeout(Duration::from_millis(2), instance.books.find_by_id(&id)).await;
            let pair = [100 + 2 * id, 101 + 2 * id];
            let _ = timeout(Duration::from_millis(2), instance.books.find_many(&pair)).await;
        }
        eventually(EVENTUALLY, "few loads", async || library.loading() <= 4).await;
        library.open();
        let row = timeout(SOON, instance.books.find_by_id(&1)).await;
        assert!(row.expect("a result").unwrap().is_some());
    }
}
