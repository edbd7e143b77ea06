//! A crowd for a key whose load fails: it fails once, for all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aside::{CacheConfig, CacheService, CachedRepository, Repository, Rows, Secret, Source, Write};
use aside_testkit::RedisServer;
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use uuid::Uuid;

use super::{ALONE, READ, bypasses};
use crate::error::Wrong;
use crate::heroes::{Hero, HeroIndex, id};
use crate::rounds::{Contender, alternate, undisturbed};
use crate::table::Table;

const WAITERS: usize = 64;

/// A database that refuses every read, once all readers are waiting.
#[derive(Clone, Default)]
struct Refusing {
    calls: Arc<AtomicUsize>,
    /// Readers that have begun; the load waits for all of them.
    begun: Arc<AtomicUsize>,
    expected: Arc<AtomicUsize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Refused;

impl Refusing {
    async fn refuse<T>(&self) -> Result<T, Refused> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        // Even on a slow machine, no reader begins after the failure.
        while self.begun.load(Ordering::SeqCst) < self.expected.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(READ).await;
        Err(Refused)
    }
}

impl Source for Refusing {
    type Entity = Hero;
    type Error = Refused;

    async fn find_by_id(&self, _: &Uuid) -> Result<Option<Arc<Hero>>, Refused> {
        self.refuse().await
    }

    async fn find_many(&self, _: &[Uuid]) -> Result<Vec<Option<Arc<Hero>>>, Refused> {
        self.refuse().await
    }

    async fn find_by(&self, _: &HeroIndex) -> Result<Rows<Hero>, Refused> {
        self.refuse().await
    }

    async fn list_all(&self) -> Result<Rows<Hero>, Refused> {
        self.refuse().await
    }

    fn overloaded(&self, _: aside::repository::Overloaded) -> Refused {
        Refused
    }
}

impl Repository for Refusing {
    async fn save_in(&self, _: Hero, _: &mut Write) -> Result<Arc<Hero>, Refused> {
        Err(Refused)
    }

    async fn update_in(&self, _: Hero, _: &mut Write) -> Result<Option<Arc<Hero>>, Refused> {
        Err(Refused)
    }

    async fn delete_in(&self, _: &Uuid, _: &mut Write) -> Result<bool, Refused> {
        Err(Refused)
    }
}

pub(super) async fn run(redis: &RedisServer, quick: bool) -> Result<Table, Wrong> {
    let rounds = if quick { 2 } else { 9 };
    let config = CacheConfig {
        redis_url: Secret::new(redis.url()),
        ..CacheConfig::default()
    };
    let cache = CacheService::connect(config).await;
    let source = Refusing::default();
    let cached = CachedRepository::new(source.clone(), &cache);
    let next = AtomicUsize::new(1_000);
    let crowd = async || {
        // A new key for each round, because a failure is followed by a pause.
        let asked = id(next.fetch_add(1, Ordering::Relaxed) as u64);
        source.calls.store(0, Ordering::SeqCst);
        source.begun.store(0, Ordering::SeqCst);
        source.expected.store(WAITERS, Ordering::SeqCst);
        let bypassed = bypasses(&cached);
        let begun = Instant::now();
        let readers: Vec<_> = (0..WAITERS)
            .map(|_| {
                let (cached, begun) = (cached.clone(), Arc::clone(&source.begun));
                tokio::spawn(async move {
                    begun.fetch_add(1, Ordering::SeqCst);
                    cached.find_by_id(&asked).await
                })
            })
            .collect();
        for reader in readers {
            let found = reader.await.expect("no reader panics");
            assert_eq!(found, Err(Refused), "a reader did not get the failure");
        }
        let took = begun.elapsed();
        if bypasses(&cached) > bypassed {
            return None;
        }
        let calls = source.calls.load(Ordering::SeqCst);
        assert_eq!(
            calls, 1,
            "{WAITERS} readers called a failing load {calls} times"
        );
        Some(took)
    };
    let alone = || {
        let read = async {
            source.expected.store(0, Ordering::SeqCst);
            let begun = Instant::now();
            assert_eq!(source.find_by_id(&id(0)).await, Err(Refused));
            begun.elapsed()
        };
        block_in_place(|| Handle::current().block_on(read))
    };
    let waiters = format!("{WAITERS} readers");
    let contenders = vec![
        Contender::new(ALONE, 1, alone),
        Contender::new(&waiters, 1, || {
            block_in_place(|| Handle::current().block_on(undisturbed(&crowd)))
        }),
    ];
    let rows = alternate(rounds, contenders);
    let title = format!("A crowd for a key whose load fails after {READ:?}: it is called once");
    Ok(Table::new(title, ALONE, rows))
}
