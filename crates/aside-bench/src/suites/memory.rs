//! What resident entries take beyond the entities, and whether it grows.
//!
//! Bytes are those asked of the allocator by the one thread that does all the
//! work, counted exactly.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aside::{CacheConfig, CacheService, CachedRepository, Forget, Repository, Secret};
use aside_testkit::RedisServer;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use crate::heroes::{Hero, HeroIndex, Heroes, id};
use crate::rounds::{Contender, alternate};
use crate::table::{Bound, Cell, Table, Unit};
use crate::{Wrong, servers};

/// Of a hero's appearance; the rest of its JSON is as long again.
const BYTES: usize = 56;

/// Ids of one `find_many`.
const BATCH: usize = 1_000;

/// An hour of values that live for two minutes, compressed to as many lifetimes
/// of values that live for a second.
const LIFETIMES: u32 = 30;
const TTL: Duration = Duration::from_secs(1);

/// What part the last of the churn may hold more than the middle: the store's
/// tables and the client's buffers breathe.
const BREATH: f64 = 0.02;

pub(crate) async fn run(quick: bool) -> Result<Vec<Table>, Wrong> {
    let sizes: &[u64] = if quick {
        &[2_000]
    } else {
        &[10_000, 100_000, 1_000_000]
    };
    let rounds = if quick { 2 } else { 5 };
    let redis = servers::redis()?;
    let measured = std::thread::scope(|scope| {
        // A thread of its own: the allocator counts by thread.
        let measuring = scope.spawn(|| {
            let resident = resident(&redis, sizes, rounds)?;
            redis.command(&["FLUSHALL"]);
            Ok(vec![resident, churn(&redis, quick)?])
        });
        measuring.join()
    });
    measured.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn resident(redis: &RedisServer, sizes: &[u64], rounds: usize) -> Result<Table, Wrong> {
    let runtime = one_thread()?;
    let mut contenders = Vec::new();
    let name = |size: u64| format!("{size} entries");
    for size in sizes {
        let heroes = Heroes::of(*size, BYTES, Duration::ZERO);
        // Into Redis; each round then reads from there what it keeps.
        let cached = runtime.block_on(cached(&heroes, redis, CacheConfig::default()));
        runtime.block_on(read_all(&cached, 0..*size));
        let runtime = &runtime;
        contenders.push(Contender::with_figures(&name(*size), move || {
            vec![bytes_each(runtime, redis, &heroes, *size)]
        }));
    }
    let rows = alternate(rounds, contenders);
    let title = "Memory of a resident entry beyond the entity".to_owned();
    let mut table = Table::of(Unit::Bytes, title, &name(sizes[0]), rows);
    for size in sizes {
        table = table.wanted_alone(&name(*size), Bound::AtMost(160.0));
    }
    Ok(table)
}

/// The bytes of an entry beyond its entity, where so many are held.
fn bytes_each(runtime: &Runtime, redis: &RedisServer, heroes: &Heroes, size: u64) -> f64 {
    let config = CacheConfig {
        l1_capacity_bytes: 8 << 30,
        ..CacheConfig::default()
    };
    let cached = runtime.block_on(cached(heroes, redis, config));
    // The first batch makes the client's buffers as large as they get.
    let first = BATCH as u64 / 2;
    runtime.block_on(read_all(&cached, 0..first));
    let counted = allocation_counter::measure(|| {
        runtime.block_on(read_all(&cached, first..size));
    });
    let held = cached.cache().stats().kinds[0].l1_entries;
    assert_eq!(held, size, "not everything that was read is held");
    let before = heroes.reads();
    let asked = id(size / 2);
    let Ok(found) = runtime.block_on(cached.find_by_id(&asked));
    assert!(found.is_some_and(|row| row.id == asked), "another row");
    assert_eq!(heroes.reads(), before, "a resident row was asked for again");
    let entity = allocation_counter::measure(|| {
        // Seen by nobody, it would not be allocated: and what is not counted
        // here is counted as beyond it.
        std::mem::forget(black_box(Arc::new(Hero::new(1, BYTES))));
    });
    counted.bytes_current as f64 / (size - first) as f64 - entity.bytes_current as f64
}

async fn read_all(cached: &CachedRepository<Heroes>, numbers: std::ops::Range<u64>) {
    let ids: Vec<Uuid> = numbers.map(id).collect();
    for ids in ids.chunks(BATCH) {
        let Ok(rows) = cached.find_many(ids).await;
        let found = rows.iter().flatten().map(|row| row.id);
        assert!(found.eq(ids.iter().copied()), "other rows");
    }
}

/// Reads, misses, expiries, evictions, updates, deletions and forgetting for
/// as many lifetimes as an hour has; what is held must not grow.
fn churn(redis: &RedisServer, quick: bool) -> Result<Table, Wrong> {
    let (rows, room, lifetimes) = if quick {
        (1_000, 300, 3)
    } else {
        (20_000, 5_000, LIFETIMES)
    };
    let runtime = one_thread()?;
    let heroes = Heroes::of(rows, BYTES, Duration::ZERO);
    let config = CacheConfig {
        default_ttl: TTL,
        // An entry weighs some 400 bytes.
        l1_capacity_bytes: room * 400,
        ..CacheConfig::default()
    };
    let cached = runtime.block_on(cached(&heroes, redis, config));
    let mut random = fastrand::Rng::with_seed(1);
    let (mut live, mut lives, mut operations) = (0, Vec::new(), 0);
    // The first lifetime fills everything and is not counted.
    for lifetime in 0..=lifetimes {
        let counted = allocation_counter::measure(|| {
            let until = Instant::now() + TTL;
            operations += runtime.block_on(live_until(until, &cached, rows, &mut random));
        });
        live += counted.bytes_current;
        if lifetime == 0 {
            operations = 0;
        } else {
            lives.push(live);
        }
    }
    let third = lives.len() / 3;
    let most = |lives: &[i64]| lives.iter().copied().max().unwrap_or_default();
    let (middle, last) = (most(&lives[third..third * 2]), most(&lives[third * 2..]));
    let growth = last as f64 / middle as f64 - 1.0;
    if BREATH < growth && !quick {
        return Err(Wrong(format!(
            "memory grows: {middle} bytes at most in the middle third, {last} in the last"
        )));
    }
    let stats = cached.cache().stats();
    let columns = vec![
        "lifetimes",
        "operations",
        "evictions",
        "held",
        "most bytes in the middle third",
        "in the last",
        "growth",
    ];
    let row = vec![
        Cell::Count(u64::from(lifetimes)),
        Cell::Count(operations),
        Cell::Count(stats.kinds[0].l1_evictions),
        Cell::Count(stats.kinds[0].l1_entries),
        Cell::Count(middle.unsigned_abs()),
        Cell::Count(last.unsigned_abs()),
        Cell::Percent(growth * 100.0),
    ];
    let title = format!(
        "Growth over an hour of values that live for two minutes, compressed to {lifetimes} \
         lifetimes of a second"
    );
    Ok(Table::counted(title, columns, vec![row]))
}

/// Does everything that changes what is held; answers how much of it.
async fn live_until(
    until: Instant,
    cached: &CachedRepository<Heroes>,
    rows: u64,
    random: &mut fastrand::Rng,
) -> u64 {
    let mut operations = 0;
    while Instant::now() < until {
        let ids: Vec<Uuid> = (0..50).map(|_| id(random.u64(..rows))).collect();
        let Ok(found) = cached.find_many(&ids).await;
        assert!(
            found
                .iter()
                .flatten()
                .map(|row| row.id)
                .eq(ids.iter().copied())
        );
        for asked in &ids {
            let Ok(found) = cached.find_by_id(asked).await;
            assert!(found.is_some_and(|row| row.id == *asked), "another row");
        }
        let hero = Hero::new(random.u64(..rows), BYTES);
        let name = HeroIndex::Name(hero.name.clone());
        let Ok(named) = cached.find_by(&name).await;
        assert_eq!(named.len(), 1, "a name is one hero's");
        let (Ok(_), Ok(_)) = (
            cached.update(hero.clone()).await,
            cached.delete(&hero.id).await,
        );
        let Ok(found) = cached.find_by_id(&hero.id).await;
        assert!(found.is_none(), "a deleted row was found");
        let Ok(_) = cached.save(hero).await;
        cached.invalidate(Forget::Id(&id(random.u64(..rows)))).await;
        operations += 106;
    }
    operations
}

fn one_thread() -> Result<Runtime, Wrong> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Wrong(error.to_string()))
}

async fn cached(
    heroes: &Heroes,
    redis: &RedisServer,
    config: CacheConfig,
) -> CachedRepository<Heroes> {
    let config = CacheConfig {
        redis_url: Secret::new(redis.url()),
        // Between two measurements this thread does not hear Redis. It need
        // not be kept for slow therefore: how long things take is not asked.
        max_staleness: Duration::from_secs(60),
        operation_timeout: Duration::from_secs(20),
        ..config
    };
    CachedRepository::new(heroes.clone(), &CacheService::connect(config).await)
}
