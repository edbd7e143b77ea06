//! Reads of many rows at once.

use aside::{Repository, Source};
use futures_util::future::join_all;
use uuid::Uuid;

use crate::database::{DatabaseError, Fault, Place, Queries};
use crate::entities::{Hero, hero};
use crate::world::{World, on_both};

fn stored(world: &World, count: usize) -> Vec<Hero> {
    let heroes: Vec<Hero> = (0..count)
        .map(|number| hero(&number.to_string(), "en"))
        .collect();
    for hero in &heroes {
        world.heroes.insert(hero);
    }
    heroes
}

fn ids(heroes: &[Hero]) -> Vec<Uuid> {
    heroes.iter().map(|hero| hero.id).collect()
}

#[tokio::test]
async fn a_batch_keeps_its_order_with_repeats_and_absences() {
    on_both(async |world| {
        let instance = world.instance().await;
        let heroes = stored(&world, 3);
        let nobody = Uuid::new_v4();
        let asked = [heroes[2].id, nobody, heroes[0].id, heroes[2].id, nobody];

        for _ in 0..3 {
            let found = instance.heroes.find_many(&asked).await.unwrap();
            let names: Vec<_> = found
                .iter()
                .map(|row| row.as_ref().map(|row| row.name.as_str()))
                .collect();
            assert_eq!(names, [Some("2"), None, Some("0"), Some("2"), None]);
            instance.filled(&heroes[0].key()).await;
        }
        assert_eq!(
            world.heroes.queries(),
            Queries {
                many: 1,
                ..Queries::NONE
            }
        );
        assert_eq!(instance.heroes.find_many(&[]).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_batch_loads_only_the_missing_rows() {
    on_both(async |world| {
        let (one, other) = (world.instance().await, world.instance().await);
        let heroes = stored(&world, 4);
        one.heroes.find_many(&ids(&heroes[..2])).await.unwrap();
        one.heroes.find_by_id(&heroes[2].id).await.unwrap();
        for hero in &heroes[..3] {
            one.filled(&hero.key()).await;
        }
        world.heroes.queries();

        let found = other.heroes.find_many(&ids(&heroes)).await.unwrap();
        assert!(found.iter().all(Option::is_some));
        assert_eq!(world.heroes.queries().total(), 1);
        other.filled(&heroes[3].key()).await;
        other.heroes.find_many(&ids(&heroes)).await.unwrap();
        assert_eq!(world.heroes.queries().total(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overlapping_batches_never_wait_for_each_other() {
    on_both(async |world| {
        let instance = world.instance().await;
        let heroes = stored(&world, 40);
        let ids = ids(&heroes);
        for round in 0..20_usize {
            let batches = (0..16_usize).map(|number| {
                let (heroes, mut ids) = (instance.heroes.clone(), ids.clone());
                ids.rotate_left((round * 7 + number * 5) % 40);
                if number % 2 == 0 {
                    ids.reverse();
                }
                ids.truncate(30);
                tokio::spawn(async move {
                    let found = heroes.find_many(&ids).await.unwrap();
                    found
                        .iter()
                        .zip(&ids)
                        .all(|(row, id)| row.as_ref().unwrap().id == *id)
                })
            });
            for whole in join_all(batches.collect::<Vec<_>>()).await {
                assert!(whole.unwrap());
            }
            instance.heroes.invalidate(aside::Scope::Kind).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_batch_and_single_readers_share_one_load() {
    on_both(async |world| {
        let instance = world.instance().await;
        let heroes = stored(&world, 3);
        let mut stopped = world.heroes.stop_at(Place::AfterRead);
        let (repository, asked) = (instance.heroes.clone(), ids(&heroes));
        let batch = tokio::spawn(async move { repository.find_many(&asked).await });
        stopped.reached().await;

        let single = instance.heroes.find_by_id(&heroes[1].id);
        let other_ids = ids(&heroes[1..]);
        let other = instance.heroes.find_many(&other_ids);
        let going_on = async { stopped.go_on() };
        let (single, other, ()) = tokio::join!(single, other, going_on);

        assert_eq!(single.unwrap().as_deref(), Some(&heroes[1]));
        assert!(other.unwrap().iter().all(Option::is_some));
        assert!(batch.await.unwrap().unwrap().iter().all(Option::is_some));
        assert_eq!(
            world.heroes.queries(),
            Queries {
                many: 1,
                ..Queries::NONE
            }
        );
    })
    .await;
}

#[tokio::test]
async fn a_failed_batch_returns_its_error_and_leaves_nothing_behind() {
    on_both(async |world| {
        let instance = world.instance().await;
        let heroes = stored(&world, 3);
        world.heroes.fail_next(Fault::ReadFails);

        let failed = instance.heroes.find_many(&ids(&heroes)).await;
        assert_eq!(failed, Err(DatabaseError::Failed));

        let found = instance.heroes.find_many(&ids(&heroes)).await.unwrap();
        assert!(found.iter().all(Option::is_some));
    })
    .await;
}

#[tokio::test]
async fn a_caller_dropped_in_mid_batch_leaves_no_waiter() {
    on_both(async |world| {
        let instance = world.instance().await;
        let heroes = stored(&world, 3);
        let mut stopped = world.heroes.stop_at(Place::AfterRead);
        let (repository, asked) = (instance.heroes.clone(), ids(&heroes));
        let batch = tokio::spawn(async move { repository.find_many(&asked).await });
        stopped.reached().await;
        batch.abort();
        assert!(batch.await.unwrap_err().is_cancelled());
        stopped.go_on();

        for hero in &heroes {
            assert_eq!(
                instance
                    .heroes
                    .find_by_id(&hero.id)
                    .await
                    .unwrap()
                    .as_deref(),
                Some(hero)
            );
        }
        assert_eq!(world.heroes.queries().total(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_row_written_during_a_batch_is_not_filled_with_its_load() {
    on_both(async |world| {
        let instance = world.instance().await;
        let heroes = stored(&world, 3);
        let mut stopped = world.heroes.stop_at(Place::AfterRead);
        let (repository, asked) = (instance.heroes.clone(), ids(&heroes));
        let batch = tokio::spawn(async move { repository.find_many(&asked).await });
        stopped.reached().await;

        instance
            .heroes
            .update(heroes[1].renamed("new"))
            .await
            .unwrap();
        stopped.go_on();
        batch.await.unwrap().unwrap();

        let again = instance.heroes.find_many(&ids(&heroes)).await.unwrap();
        assert_eq!(again[1].as_ref().unwrap().name, "new");
    })
    .await;
}

#[tokio::test]
async fn a_batch_larger_than_a_round_is_split() {
    on_both(async |world| {
        let instance = world.instance().await;
        let heroes = stored(&world, 2300);
        let found = instance.heroes.find_many(&ids(&heroes)).await.unwrap();
        for (row, hero) in found.iter().zip(&heroes) {
            assert_eq!(row.as_deref(), Some(hero));
        }
        assert_eq!(world.heroes.queries().many, 3);
    })
    .await;
}
