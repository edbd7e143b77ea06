//! The memory of resident entries beyond the entities, and its growth.
//!
//! Bytes are those that the one working thread requests from the allocator,
//! counted exactly.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aside::{CacheConfig, CacheService, CachedRepository, Repository, Scope, Secret, Source};
use aside_testkit::RedisServer;
use tokio::runtime::Builder;
use uuid::Uuid;

use crate::error::Wrong;
use crate::heroes::{Hero, HeroIndex, Heroes, id};
use crate::rounds::{Contender, alternate};
use crate::servers;
use crate::table::{self, Bound, Table, Unit};

/// The length of a hero's appearance; the rest of its JSON is as long again.
const BYTES: usize = 56;

/// Ids of one `find_many`.
const BATCH: usize = 100;

/// An hour of values with a TTL of two minutes, compressed to as many lifetimes
/// of values with a TTL of a second.
const LIFETIMES: u32 = 30;
const TTL: Duration = Duration::from_secs(1);

/// By which fraction the end of the churn may exceed its middle, because the
/// store's tables and the client's buffers vary.
const BREATH: f64 = 0.02;

pub(crate) async fn run(quick: bool) -> Result<Vec<Table>, Wrong> {
    let sizes: &[u64] = if quick {
        &[2_000]
    } else {
        // With 530,000, the first of the store's tables has just doubled, which
        // is when an entry takes most memory.
        &[10_000, 100_000, 530_000, 1_000_000]
    };
    let rounds = if quick { 2 } else { 5 };
    let redis = servers::redis()?;
    let measured = std::thread::scope(|scope| {
        // In a separate thread, because the allocator counts by thread.
        let measuring = scope.spawn(|| {
            let mut tables = resident(&redis, sizes, rounds)?;
            redis.command(&["FLUSHALL"]);
            tables.push(churn(&redis, quick)?);
            Ok(tables)
        });
        measuring.join()
    });
    measured.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn resident(redis: &RedisServer, sizes: &[u64], rounds: usize) -> Result<Vec<Table>, Wrong> {
    let once = Cell::from(0);
    let mut contenders = Vec::new();
    let name = |size: u64| format!("{size} entries");
    for size in sizes {
        let heroes = Heroes::of(*size, BYTES, Duration::ZERO);
        // Fills Redis; each round then reads its entries from there.
        measure(redis, &heroes, *size)?;
        let once = &once;
        contenders.push(Contender::with_figures(&name(*size), move || {
            let taken = measure(redis, &heroes, *size).expect("as before");
            once.set(taken.once);
            vec![taken.each]
        }));
    }
    let rows = alternate(rounds, contenders);
    let title = "Memory of a resident entry beyond the entity".to_owned();
    let mut table = Table::of(Unit::Bytes, title, &name(sizes[0]), rows);
    for size in sizes {
        table = table.wanted_alone(&name(*size), Bound::AtMost(160.0));
    }
    let title = "Memory of a service that holds nothing yet".to_owned();
    let row = vec![table::Cell::Count(once.get())];
    Ok(vec![table, Table::counted(title, vec!["bytes"], vec![row])])
}

struct Taken {
    /// The bytes of the service, its connections and their buffers.
    once: u64,
    /// The bytes of an entry beyond its entity.
    each: f64,
}

fn measure(redis: &RedisServer, heroes: &Heroes, size: u64) -> Result<Taken, Wrong> {
    let config = CacheConfig {
        l1_capacity_bytes: 8 << 30,
        ..CacheConfig::default()
    };
    // A new runtime, so that no earlier task ends during the count.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut service = None;
    // The first batch makes the client's buffers as large as they get.
    let first = BATCH as u64;
    let once = allocation_counter::measure(|| {
        let cached = runtime.block_on(cached(heroes, redis, config));
        runtime.block_on(read_all(&cached, 0..first));
        service = Some(cached);
    });
    let cached = service.expect("it has been connected");
    let counted = allocation_counter::measure(|| {
        runtime.block_on(read_all(&cached, first..size));
    });
    let held = cached.cache().stats().kinds[0].l1_entries;
    assert_eq!(held, size, "some rows that were read have no entry");
    let before = heroes.reads();
    let asked = id(size / 2);
    let Ok(found) = runtime.block_on(cached.find_by_id(&asked));
    assert!(found.is_some_and(|row| row.id == asked), "another row");
    assert_eq!(heroes.reads(), before, "a resident row was read again");
    let entity = allocation_counter::measure(|| {
        // Without `black_box` it would not be allocated. Bytes that are not
        // counted here would count as beyond the entity.
        std::mem::forget(black_box(Arc::new(Hero::new(1, BYTES))));
    });
    let entity = entity.bytes_current;
    let each = counted.bytes_current as f64 / (size - first) as f64 - entity as f64;
    let first = (entity as f64 + each) * first as f64;
    let once = once.bytes_current as f64 - first;
    Ok(Taken {
        once: once as u64,
        each,
    })
}

async fn read_all(cached: &CachedRepository<Heroes>, numbers: std::ops::Range<u64>) {
    let ids: Vec<Uuid> = numbers.map(id).collect();
    for ids in ids.chunks(BATCH) {
        let Ok(rows) = cached.find_many(ids).await;
        let found = rows.iter().flatten().map(|row| row.id);
        assert!(found.eq(ids.iter().copied()), "other rows");
    }
}

/// Reads, misses, expiries, evictions, updates, deletions and invalidations for
/// as many lifetimes as an hour has. The size of the tier must not grow.
fn churn(redis: &RedisServer, quick: bool) -> Result<Table, Wrong> {
    let (rows, room, lifetimes) = if quick {
        (1_000, 300, 3)
    } else {
        (20_000, 5_000, LIFETIMES)
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
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
    // The first lifetime fills the tier and is not counted.
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
    let median = |lives: &mut [i64]| {
        lives.sort_unstable();
        lives[lives.len() / 2]
    };
    let middle = median(&mut lives[third..third * 2]);
    let last = median(&mut lives[third * 2..]);
    let growth = last as f64 / middle as f64 - 1.0;
    if BREATH < growth && !quick {
        return Err(Wrong(format!(
            "memory grows: {middle} bytes in the middle third, {last} in the last"
        )));
    }
    let stats = cached.cache().stats();
    let columns = vec![
        "lifetimes",
        "operations",
        "evictions",
        "held",
        "bytes in the middle third, median",
        "in the last",
        "growth",
    ];
    let row = vec![
        table::Cell::Count(u64::from(lifetimes)),
        table::Cell::Count(operations),
        table::Cell::Count(stats.kinds[0].l1_evictions),
        table::Cell::Count(stats.kinds[0].l1_entries),
        table::Cell::Count(middle.unsigned_abs()),
        table::Cell::Count(last.unsigned_abs()),
        table::Cell::Percent(growth * 100.0),
    ];
    let title = format!(
        "Growth over an hour of values that live for two minutes, compressed to {lifetimes} \
         lifetimes of a second"
    );
    Ok(Table::counted(title, columns, vec![row]))
}

/// Does everything that changes the tier. Returns its size.
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
        assert_eq!(named.len(), 1, "a name belongs to one hero");
        let (Ok(_), Ok(_)) = (
            cached.update(hero.clone()).await,
            cached.delete(&hero.id).await,
        );
        let Ok(found) = cached.find_by_id(&hero.id).await;
        assert!(found.is_none(), "a deleted row was found");
        let Ok(_) = cached.save(hero).await;
        cached.invalidate(Scope::Row(&id(random.u64(..rows)))).await;
        operations += 106;
    }
    operations
}

async fn cached(
    heroes: &Heroes,
    redis: &RedisServer,
    config: CacheConfig,
) -> CachedRepository<Heroes> {
    let config = CacheConfig {
        redis_url: Secret::new(redis.url()),
        // Between two measurements this thread does not read messages. The long
        // bound keeps it from being considered stale, because time is not
        // measured here.
        max_staleness: Duration::from_secs(60),
        operation_timeout: Duration::from_secs(20),
        ..config
    };
    CachedRepository::new(heroes.clone(), &CacheService::connect(config).await)
}
