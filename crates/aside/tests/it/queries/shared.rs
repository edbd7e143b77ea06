//! One load for many readers, and its errors.

use std::sync::Arc;

use aside::{CachedQuery, Deps};

use super::{Names, with_mia};
use crate::database::{DatabaseError, Fault};
use crate::entities::{Hero, speaking};
use crate::world::{World, on_both};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_readers_of_a_cold_query_are_one_load() {
    on_both(async |world| {
        let (instance, _) = with_mia(&world).await;
        let names = Arc::new(Names::new(&world, &instance));
        let read = || {
            let names = Arc::clone(&names);
            tokio::spawn(async move { names.of("en").await })
        };
        let readers: Vec<_> = (0..1000).map(|_| read()).collect();
        for reader in readers {
            assert_eq!(reader.await.unwrap(), ["Mia"]);
        }
        assert_eq!(names.loads(), 1);
    })
    .await;
}

#[tokio::test]
async fn the_error_of_a_load_is_shared_and_not_cached() {
    on_both(async |world| {
        let (instance, _) = with_mia(&world).await;
        let names = Names::new(&world, &instance);
        let english = speaking("en");
        let read = || names.try_under("en", Deps::new().list::<Hero>(&english));
        world.heroes.fail_next(Fault::ReadFails);

        let (one, other) = tokio::join!(read(), read());

        let (one, other) = (one.unwrap_err(), other.unwrap_err());
        assert_eq!(*one, DatabaseError::Failed);
        assert!(Arc::ptr_eq(&one, &other));
        assert_eq!(read().await.unwrap(), ["Mia"]);
    })
    .await;
}

#[tokio::test]
async fn a_query_that_reads_itself_does_not_wait_for_itself() {
    let world = World::in_memory();
    let instance = world.instance().await;
    let query: CachedQuery<u8, u8> = CachedQuery::new("nested", &instance.cache);
    let inner = query.clone();
    let load = move || async move {
        let load = || async { Ok::<u8, DatabaseError>(1) };
        let inner = inner.get(&0, Deps::new(), load).await.expect("a result");
        Ok::<u8, DatabaseError>(*inner + 1)
    };
    assert_eq!(*query.get(&0, Deps::new(), load).await.unwrap(), 2);
}

#[tokio::test]
#[should_panic(expected = "two queries or kinds are called `names`")]
async fn a_name_belongs_to_one_pair_of_types() {
    let world = World::in_memory();
    let instance = world.instance().await;
    let _names = Names::new(&world, &instance);
    let _: CachedQuery<u64, Vec<String>> = CachedQuery::new("names", &instance.cache);
}

#[tokio::test]
#[should_panic(expected = "two queries or kinds are called `hero`")]
async fn a_query_cannot_have_the_name_of_a_kind() {
    let world = World::in_memory();
    let instance = world.instance().await;
    let _: CachedQuery<u64, u64> = CachedQuery::new("hero", &instance.cache);
}

#[tokio::test]
#[should_panic(expected = "at most 16 dependencies")]
async fn a_query_has_at_most_sixteen_dependencies() {
    let deps = (0..17).fold(Deps::new(), |deps, _| deps.kind::<Hero>());
    drop(deps);
}
