//! The audit: cached values compared with the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aside::{CacheConfig, Freshness, Repository, Secret, Source, Tier, report::KindStats};
use aside_testkit::{Direction, Mode, Proxy, eventually};

use crate::database::Queries;
use crate::entities::{Hero, hero, speaking};
use crate::world::{Instance, SOON, World, on_both};

/// Audits every hit, with the default bound.
fn audited(world: &World) -> CacheConfig {
    CacheConfig {
        audit_share: 1.0,
        max_staleness: Duration::from_millis(500),
        ..world.config()
    }
}

fn heroes(instance: &Instance) -> KindStats {
    let kinds = instance.cache.stats().kinds;
    let of_heroes = kinds.into_iter().find(|kind| kind.kind == "hero");
    of_heroes.expect("heroes are cached")
}

/// Returns the row as another program changes it, with a new version.
fn overwritten(row: &Hero, name: &str) -> Hero {
    Hero {
        version: row.version + 1,
        ..row.renamed(name)
    }
}

/// Reads until the database's row is read.
async fn reads(instance: &Instance, row: &Hero) {
    let limit = Duration::from_secs(20);
    eventually(limit, "the row as the database has it", async || {
        let read = instance.heroes.find_by_id(&row.id).await.unwrap();
        read.as_deref() == Some(row)
    })
    .await;
}

#[tokio::test]
async fn a_bypassing_change_is_found_counted_and_invalidated() {
    on_both(async |world| {
        let one = world.instance_with(audited(&world)).await;
        let other = world.instance().await;
        let mia = one.heroes.save(hero("Mia", "en")).await.unwrap();
        for instance in [&one, &other] {
            reads(instance, &mia).await;
        }
        let maya = overwritten(&mia, "Maya");
        world.heroes.insert(&maya);
        let begun = Instant::now();

        reads(&one, &maya).await;

        assert!(begun.elapsed() >= Duration::from_secs(1));
        assert_eq!(heroes(&one).audit_mismatches, [1, 1, 0]);
        // It audits nothing itself.
        reads(&other, &maya).await;
        assert_eq!(heroes(&other).audit_checks, 0);
    })
    .await;
}

#[tokio::test]
async fn only_a_value_left_in_place_is_counted_again() {
    let (usual, lax) = (World::new(), World::new());
    let forgotten = usual.instance_with(audited(&usual)).await;
    // Within the bound a fault of Redis excuses it; it becomes a finding later.
    let kept = lax.instance_with(CacheConfig {
        max_staleness: Duration::from_secs(5),
        ..audited(&lax)
    });
    let kept = kept.await;
    let mut rows = Vec::new();
    for (world, instance) in [(&usual, &forgotten), (&lax, &kept)] {
        let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
        reads(instance, &mia).await;
        let maya = overwritten(&mia, "Maya");
        world.heroes.insert(&maya);
        rows.push(maya);
    }

    tokio::join!(reads(&forgotten, &rows[0]), reads(&kept, &rows[1]));

    assert_eq!(heroes(&forgotten).audit_mismatches, [1, 1, 0]);
    assert_eq!(heroes(&kept).audit_mismatches, [1, 1, 1]);
}

#[tokio::test]
async fn lists_absences_and_unversioned_changes_are_found_too() {
    on_both(async |world| {
        let instance = world.instance_with(audited(&world)).await;
        let heroes_of = &instance.heroes;
        let mia = heroes_of.save(hero("Mia", "en")).await.unwrap();
        let nobody = hero("Ivan", "ru");
        let list = heroes_of.find_by(&speaking("ru")).await.unwrap();
        assert!(list.is_empty());
        assert!(heroes_of.find_by_id(&nobody.id).await.unwrap().is_none());
        reads(&instance, &mia).await;
        for key in [format!("hero:{}", nobody.id), "hero:lang:ru".to_owned()] {
            instance.filled(&key).await;
        }

        let maya = mia.renamed("Maya");
        world.heroes.insert(&maya);
        world.heroes.insert(&nobody);

        tokio::join!(
            reads(&instance, &maya),
            reads(&instance, &nobody),
            eventually(SOON, "the list as it is", async || {
                let list = heroes_of.find_by(&speaking("ru")).await.unwrap();
                list.len() == 1
            })
        );
        assert_eq!(heroes(&instance).audit_mismatches, [3, 3, 0]);
    })
    .await;
}

#[tokio::test]
async fn a_row_that_returns_to_its_cached_value_is_no_mismatch() {
    let world = World::new();
    let instance = world.instance_with(audited(&world)).await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    reads(&instance, &mia).await;
    let checks = heroes(&instance).audit_checks;
    // No version shows which of the two is newer.
    world.heroes.insert(&mia.renamed("Maya"));
    eventually(SOON, "a comparison", async || {
        reads(&instance, &mia).await;
        heroes(&instance).audit_checks > checks
    })
    .await;
    world.heroes.insert(&mia);
    let seen = world.heroes.queries();

    eventually(SOON, "the second comparison", async || {
        world.heroes.queries() != Queries::NONE
    })
    .await;

    assert!(seen.total() > 0);
    assert_eq!(heroes(&instance).audit_mismatches, [0, 0, 0]);
}

#[tokio::test]
async fn a_message_that_is_late_within_the_bound_is_no_mismatch() {
    let world = World::new();
    let writer = world.instance().await;
    let proxy = Proxy::start(world.redis().address()).await.unwrap();
    let reader = world.instance_with(CacheConfig {
        redis_url: Secret::new(format!("redis://{}/0", proxy.address())),
        max_staleness: Duration::from_secs(60),
        ..audited(&world)
    });
    let reader = reader.await;
    let mia = writer.heroes.save(hero("Mia", "en")).await.unwrap();
    eventually(SOON, "a local entry", async || {
        let read = reader
            .heroes
            .find_by_id_with(&mia.id, Freshness::Any)
            .await
            .unwrap();
        read.tier == Tier::Local
    })
    .await;
    proxy.set(Direction::ToClient, Mode::Delay(Duration::from_millis(400)));
    let checks = heroes(&reader).audit_checks;

    let maya = writer.heroes.update(mia.renamed("Maya")).await.unwrap();
    let maya = maya.expect("there is such a row");
    let read = reader.heroes.find_by_id(&mia.id).await.unwrap();
    assert_eq!(
        read,
        Some(Arc::clone(&mia)),
        "the message has not arrived yet"
    );
    reads(&reader, &maya).await;

    // The comparison came before the message, and the second check after it.
    eventually(SOON, "the comparison", async || {
        heroes(&reader).audit_checks > checks
    })
    .await;
    assert_eq!(heroes(&reader).audit_mismatches, [0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_healthy_writes_make_no_mismatch() {
    let world = World::new();
    let instances = [
        world.instance_with(audited(&world)).await,
        world.instance_with(audited(&world)).await,
    ];
    let mut all = Vec::new();
    for number in 0..4 {
        let row = hero(&format!("Mia {number}"), "en");
        all.push(instances[0].heroes.save(row).await.unwrap());
    }
    let (writing, reading) = (
        Arc::new(AtomicBool::new(true)),
        Arc::new(AtomicBool::new(true)),
    );
    let mut tasks = Vec::new();
    for (number, instance) in instances.iter().enumerate() {
        let (heroes, rows, writing) = (instance.heroes.clone(), all.clone(), Arc::clone(&writing));
        tasks.push(tokio::spawn(async move {
            let mut step = number;
            while writing.load(Ordering::Relaxed) {
                let row = &rows[step % rows.len()];
                match step % 7 {
                    0 if number == 0 => drop(heroes.delete(&row.id).await.unwrap()),
                    _ => {
                        let row = row.speaking(["en", "ru"][step % 2]);
                        // None while the other instance has deleted it.
                        if heroes.update(row.clone()).await.unwrap().is_none() {
                            let _ = heroes.save(row).await;
                        }
                    }
                }
                step += 1;
                tokio::time::sleep(Duration::from_millis(step as u64 % 20)).await;
            }
        }));
        let (heroes, ids, reading) = (instance.heroes.clone(), ids_of(&all), Arc::clone(&reading));
        tasks.push(tokio::spawn(async move {
            while reading.load(Ordering::Relaxed) {
                for id in &ids {
                    heroes.find_by_id(id).await.unwrap();
                    heroes.find_many(&ids).await.unwrap();
                    heroes.find_by(&speaking("en")).await.unwrap();
                    heroes.list_all().await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        }));
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    writing.store(false, Ordering::Relaxed);
    // A suspicious value is checked once more a second later.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    reading.store(false, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    for instance in &instances {
        let counted = heroes(instance);
        assert!(counted.audit_checks > 30, "{counted:?}");
        assert_eq!(counted.audit_mismatches, [0, 0, 0]);
        assert_eq!(instance.errors("audit_unanswered"), 0);
    }
}

fn ids_of(rows: &[Arc<Hero>]) -> Vec<uuid::Uuid> {
    rows.iter().map(|row| row.id).collect()
}

#[tokio::test]
async fn without_a_share_the_audit_makes_no_query() {
    on_both(async |world| {
        let instance = world.instance().await;
        let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
        instance.heroes.list_all().await.unwrap();
        instance.filled("hero:all").await;
        reads(&instance, &mia).await;
        world.heroes.queries();
        for _ in 0..200 {
            instance.heroes.find_by_id(&mia.id).await.unwrap();
            instance.heroes.find_many(&[mia.id]).await.unwrap();
            instance.heroes.list_all().await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(world.heroes.queries(), Queries::NONE);
        let counted = heroes(&instance);
        assert_eq!((counted.audit_checks, counted.audit_dropped), (0, 0));
    })
    .await;
}
