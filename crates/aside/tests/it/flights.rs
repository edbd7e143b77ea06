//! Single flight: concurrent reads of a key share one load, if they may.

use aside::{Bypass, Freshness, Repository, Source, Tier};
use futures_util::future::join_all;
use tokio::task::JoinHandle;

use crate::database::{DatabaseError, Fault, Place, Queries};
use crate::entities::{Hero, hero, speaking};
use crate::world::{Instance, World, on_both};

pub(crate) type Read = JoinHandle<Result<Option<std::sync::Arc<Hero>>, DatabaseError>>;

pub(crate) fn read(instance: &Instance, hero: &Hero) -> Read {
    let (heroes, id) = (instance.heroes.clone(), hero.id);
    tokio::spawn(async move { heroes.find_by_id(&id).await })
}

fn read_shared(instance: &Instance, hero: &Hero) -> Read {
    let (heroes, id) = (instance.heroes.clone(), hero.id);
    tokio::spawn(async move {
        let read = heroes.find_by_id_with(&id, Freshness::Shared).await;
        read.map(|answer| answer.value)
    })
}

/// Lets every task run that can.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_readers_of_a_cold_key_are_one_database_read() {
    on_both(async |world| {
        for readers in [64, 1000] {
            let instance = world.instance().await;
            let mia = hero("Mia", "en");
            world.heroes.insert(&mia);
            let reads: Vec<Read> = (0..readers).map(|_| read(&instance, &mia)).collect();
            for read in reads {
                assert_eq!(read.await.unwrap().unwrap().as_deref(), Some(&mia));
            }
            assert_eq!(world.heroes.queries().total(), 1);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_a_cold_key_on_two_instances_are_one_database_read() {
    let world = World::new();
    let (one, other) = (world.instance().await, world.instance().await);
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);

    let reads: Vec<Read> = (0..64)
        .map(|number| read([&one, &other][number % 2], &mia))
        .collect();
    for read in reads {
        assert_eq!(read.await.unwrap().unwrap().as_deref(), Some(&mia));
    }

    assert_eq!(world.heroes.queries().total(), 1);
}

#[tokio::test]
async fn a_list_with_many_waiters_is_loaded_once() {
    on_both(async |world| {
        let instance = world.instance().await;
        world.heroes.insert(&hero("Mia", "en"));
        let mut stopped = world.heroes.stop_at(Place::AfterRead);
        let list = speaking("en");
        let lists = join_all((0..64).map(|_| instance.heroes.find_by(&list)));
        let going_on = async {
            stopped.reached().await;
            stopped.go_on();
        };
        let (lists, ()) = tokio::join!(lists, going_on);
        assert!(lists.iter().all(|list| list.as_ref().unwrap().len() == 1));
        assert_eq!(
            world.heroes.queries(),
            Queries {
                by_index: 1,
                ..Queries::NONE
            }
        );
    })
    .await;
}

#[tokio::test]
async fn a_leader_dropped_in_mid_load_neither_stops_nor_repeats_it() {
    on_both(async |world| {
        let instance = world.instance().await;
        let mia = hero("Mia", "en");
        world.heroes.insert(&mia);
        let mut stopped = world.heroes.stop_at(Place::AfterRead);
        let leader = read(&instance, &mia);
        stopped.reached().await;
        let waiters: Vec<Read> = (0..8).map(|_| read(&instance, &mia)).collect();
        settle().await;

        leader.abort();
        assert!(leader.await.unwrap_err().is_cancelled());
        stopped.go_on();

        for waiter in waiters {
            assert_eq!(waiter.await.unwrap().unwrap().as_deref(), Some(&mia));
        }
        assert_eq!(world.heroes.queries().total(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_load_without_waiters_still_fills() {
    on_both(async |world| {
        let instance = world.instance().await;
        let mia = hero("Mia", "en");
        world.heroes.insert(&mia);
        let mut stopped = world.heroes.stop_at(Place::AfterRead);
        let readers: Vec<Read> = (0..8).map(|_| read(&instance, &mia)).collect();
        stopped.reached().await;
        for reader in &readers {
            reader.abort();
        }
        stopped.go_on();

        instance.filled(&mia.key()).await;
        assert_eq!(world.heroes.queries().total(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_failing_load_is_made_once_for_all_waiters() {
    on_both(async |world| {
        let instance = world.instance().await;
        let mia = hero("Mia", "en");
        world.heroes.insert(&mia);
        world.heroes.fail_next(Fault::ReadFails);
        let mut stopped = world.heroes.stop_at(Place::BeforeRead);
        let reads: Vec<Read> = (0..64).map(|_| read(&instance, &mia)).collect();
        stopped.reached().await;
        settle().await;
        stopped.go_on();

        for read in reads {
            assert_eq!(read.await.unwrap(), Err(DatabaseError::Failed));
        }
        assert_eq!(world.heroes.queries().total(), 1);
        // None of it is kept.
        assert_eq!(
            instance
                .heroes
                .find_by_id(&mia.id)
                .await
                .unwrap()
                .as_deref(),
            Some(&mia)
        );
    })
    .await;
}

#[tokio::test]
async fn a_panicking_load_panics_for_its_waiters_only() {
    on_both(async |world| {
        let instance = world.instance().await;
        let mia = hero("Mia", "en");
        world.heroes.insert(&mia);
        world.heroes.fail_next(Fault::ReadPanics);
        let mut stopped = world.heroes.stop_at(Place::BeforeRead);
        let reads: Vec<Read> = (0..8).map(|_| read(&instance, &mia)).collect();
        stopped.reached().await;
        settle().await;
        stopped.go_on();

        for read in reads {
            assert!(read.await.unwrap_err().is_panic());
        }
        assert_eq!(world.heroes.queries().total(), 1);
        assert_eq!(
            instance
                .heroes
                .find_by_id(&mia.id)
                .await
                .unwrap()
                .as_deref(),
            Some(&mia)
        );
        instance.filled(&mia.key()).await;
    })
    .await;
}

#[tokio::test]
async fn no_reader_joins_a_load_that_began_before_its_own_write() {
    for strict in [false, true] {
        on_both(async |world| {
            let instance = world.instance().await;
            let mia = hero("Mia", "en");
            world.heroes.insert(&mia);
            let mut stopped = world.heroes.stop_at(Place::AfterRead);
            let slow = read(&instance, &mia);
            stopped.reached().await;

            instance.heroes.update(mia.renamed("Maria")).await.unwrap();
            let next = if strict {
                read_shared(&instance, &mia)
            } else {
                read(&instance, &mia)
            };
            settle().await;
            stopped.go_on();

            assert_eq!(slow.await.unwrap().unwrap().unwrap().name, "Mia");
            assert_eq!(next.await.unwrap().unwrap().unwrap().name, "Maria");
        })
        .await;
    }
}

#[tokio::test]
async fn no_reader_joins_a_bypass_that_began_earlier() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    // A write of the row is in progress, and stays so.
    let mut write = instance.cache.write();
    write.updated(&mia, &mia);
    let _ = write.before_commit().await;
    let mut stopped = world.heroes.stop_at(Place::AfterRead);
    let slow = read(&instance, &mia);
    stopped.reached().await;
    world.heroes.insert(&mia.renamed("Maria"));

    let next = read(&instance, &mia);
    settle().await;
    stopped.go_on();

    assert_eq!(slow.await.unwrap().unwrap().unwrap().name, "Mia");
    assert_eq!(next.await.unwrap().unwrap().unwrap().name, "Maria");
    assert_eq!(world.heroes.queries().total(), 2);
    write.committed().await;
}

#[tokio::test]
async fn readers_of_a_quarantined_key_share_loads_and_do_not_fill() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    let mut write = instance.cache.write();
    write.updated(&mia, &mia);
    let _ = write.before_commit().await;
    let mut stopped = world.heroes.stop_at(Place::AfterRead);
    let first = read(&instance, &mia);
    stopped.reached().await;
    let others: Vec<Read> = (0..64).map(|_| read(&instance, &mia)).collect();
    settle().await;
    stopped.go_on();
    first.await.unwrap().unwrap();
    for other in others {
        other.await.unwrap().unwrap();
    }

    let queries = world.heroes.queries().total();
    assert!((2..=4).contains(&queries), "{queries} loads for 65 readers");
    assert_eq!(world.state(&mia.key()), 'Q');
    let answer = instance
        .heroes
        .find_by_id_with(&mia.id, Freshness::Any)
        .await
        .unwrap();
    assert_eq!(
        (answer.tier, answer.bypass),
        (Tier::Source, Some(Bypass::WriteInFlight))
    );
    write.committed().await;
}
