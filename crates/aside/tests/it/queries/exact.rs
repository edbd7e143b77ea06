//! A query shows every write of its dependencies.

use std::time::Duration;

use aside::{CachedQuery, Deps, Repository, Scope, Source};

use super::{Names, count, with_mia};
use crate::entities::{Book, Hero, book, hero, named, speaking};
use crate::world::on_both;

#[tokio::test]
async fn a_query_is_loaded_once_until_its_list_is_written() {
    on_both(async |world| {
        let (instance, mia) = with_mia(&world).await;
        let names = Names::new(&world, &instance);

        assert_eq!(names.of("en").await, ["Mia"]);
        instance.filled("names:en").await;
        assert_eq!(names.of("en").await, ["Mia"]);
        assert_eq!(names.loads(), 1);

        instance.heroes.update(mia.renamed("Maria")).await.unwrap();
        assert_eq!(names.of("en").await, ["Maria"]);
        assert_eq!(names.loads(), 1);

        // A row of another list.
        instance.filled("names:en").await;
        instance.heroes.save(hero("Ivan", "ru")).await.unwrap();
        assert_eq!(names.of("en").await, ["Maria"]);
        assert_eq!(names.loads(), 0);

        // A row that enters the list.
        instance.heroes.save(hero("Zoe", "en")).await.unwrap();
        assert_eq!(names.of("en").await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn each_of_two_dependencies_outdates_a_query() {
    on_both(async |world| {
        let (instance, mia) = with_mia(&world).await;
        let query = CachedQuery::new("count", &instance.cache);
        let tables = (&world.heroes, &world.books);
        let counted =
            async || count(&query, tables, Deps::new().kind::<Hero>().kind::<Book>()).await;

        assert_eq!(counted().await, 1);
        instance.books.save(book("one", "One", 1)).await.unwrap();
        assert_eq!(counted().await, 2);
        instance.filled("count:^null").await;
        instance.heroes.delete(&mia.id).await.unwrap();
        assert_eq!(counted().await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_row_outdates_a_query_that_depends_on_it() {
    on_both(async |world| {
        let (instance, mia) = with_mia(&world).await;
        let names = Names::new(&world, &instance);
        let read = async || names.under("en", Deps::new().row::<Hero>(&mia.id)).await;

        assert_eq!(read().await, ["Mia"]);
        instance.filled("names:en").await;
        // Its value is a stamp as good as a mark.
        instance.heroes.find_by_id(&mia.id).await.unwrap();
        instance.filled(&mia.key()).await;
        instance.heroes.update(mia.renamed("Maria")).await.unwrap();
        assert_eq!(read().await, ["Maria"]);
    })
    .await;
}

#[tokio::test]
async fn invalidating_a_whole_kind_outdates_its_queries() {
    on_both(async |world| {
        let (instance, mia) = with_mia(&world).await;
        let names = Names::new(&world, &instance);
        assert_eq!(names.of("en").await, ["Mia"]);
        instance.filled("names:en").await;
        world.heroes.insert(&mia.renamed("Maria"));

        instance.heroes.invalidate(Scope::Kind).await;

        assert_eq!(names.of("en").await, ["Maria"]);
    })
    .await;
}

#[tokio::test]
async fn a_query_can_be_invalidated_by_its_parameters_or_as_a_whole() {
    on_both(async |world| {
        let (instance, _) = with_mia(&world).await;
        let names = Names::new(&world, &instance);
        names.of("en").await;
        names.of("ru").await;
        instance.filled("names:en").await;
        instance.filled("names:ru").await;
        names.loads();

        names.query.invalidate(&"en".to_owned()).await;
        names.of("en").await;
        names.of("ru").await;
        assert_eq!(names.loads(), 1);

        instance.filled("names:en").await;
        names.query.invalidate_all().await;
        names.of("en").await;
        names.of("ru").await;
        assert_eq!(names.loads(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_value_filled_under_fewer_dependencies_is_a_miss() {
    on_both(async |world| {
        let (instance, mia) = with_mia(&world).await;
        let names = Names::new(&world, &instance);
        names.of("en").await;
        instance.filled("names:en").await;
        names.loads();

        let (english, mias) = (speaking("en"), named("Mia"));
        let both = || Deps::new().list::<Hero>(&english).list::<Hero>(&mias);
        assert_eq!(names.under("en", both()).await, ["Mia"]);
        assert_eq!(names.loads(), 1);
        instance.filled("names:en").await;
        instance.heroes.update(mia.renamed("Maria")).await.unwrap();
        assert_eq!(names.under("en", both()).await, ["Maria"]);
    })
    .await;
}

#[tokio::test]
async fn a_tracked_kind_outdates_queries_without_a_list_of_all() {
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, Serialize, Deserialize, aside::Entity)]
    #[entity(kind = "like", list_all = false, tracked)]
    struct Like {
        #[entity(id)]
        id: u64,
    }

    on_both(async |world| {
        let instance = world.instance().await;
        let likes: CachedQuery<(), u64> = CachedQuery::new("likes", &instance.cache);
        let read = async |now: u64| {
            let load = move || async move { Ok::<_, std::io::Error>(now) };
            *likes
                .get(&(), Deps::new().kind::<Like>(), load)
                .await
                .unwrap()
        };
        assert_eq!(read(1).await, 1);
        instance.filled("likes:^null").await;
        assert_eq!(read(2).await, 1);

        let mut write = instance.cache.write();
        write.created(&Like { id: 7 });
        let _ = write.before_commit().await;
        write.committed().await;

        assert_eq!(read(2).await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_query_without_dependencies_lasts_for_its_time() {
    on_both(async |world| {
        let instance = world.instance().await;
        let rates: CachedQuery<String, u32> = CachedQuery::new("rates", &instance.cache);
        let read = async |now: u32, ttl| {
            let load = move || async move { Ok::<_, std::io::Error>(now) };
            *rates.get_for(&"eur".to_owned(), ttl, load).await.unwrap()
        };
        let second = Duration::from_secs(1);
        assert_eq!(read(1, second).await, 1);
        instance.filled("rates:eur").await;
        assert_eq!(read(2, second).await, 1);
        tokio::time::sleep(second * 2).await;
        assert_eq!(read(3, second).await, 3);
    })
    .await;
}

#[tokio::test]
async fn a_caller_accepts_no_result_older_than_its_own_time() {
    on_both(async |world| {
        let instance = world.instance().await;
        instance.cache.compare_every_hit();
        let rates: CachedQuery<String, u32> = CachedQuery::new("rates", &instance.cache);
        let read = async |now: u32, ttl| {
            let load = move || async move { Ok::<_, std::io::Error>(now) };
            *rates.get_for(&"eur".to_owned(), ttl, load).await.unwrap()
        };
        let (long, short) = (Duration::from_secs(600), Duration::from_millis(50));
        assert_eq!(read(1, long).await, 1);
        instance.filled("rates:eur").await;
        tokio::time::sleep(short * 2).await;
        // No panic of the strict mode: without dependencies it may be another result.
        assert_eq!(read(2, long).await, 1);
        assert_eq!(read(2, short).await, 2);
    })
    .await;
}

/// A mark takes the place of the list's value, and of its lease.
#[tokio::test]
async fn a_list_can_be_cached_where_a_query_left_a_mark() {
    on_both(async |world| {
        let (instance, _) = with_mia(&world).await;
        let names = Names::new(&world, &instance);
        names.of("en").await;
        instance.filled("names:en").await;
        let state = instance.cache.explain("hero:lang:en").await.state.unwrap();
        assert_eq!(state.as_str(), "mark");

        world.heroes.queries();
        for _ in 0..2 {
            let found = instance.heroes.find_by(&speaking("en")).await.unwrap();
            assert_eq!(found.len(), 1);
            instance.filled("hero:lang:en").await;
        }
        assert_eq!(world.heroes.queries().by_index, 1);
        assert_eq!(instance.errors("malformed_value"), 0);
        assert_eq!(instance.errors("value_too_large"), 0);
    })
    .await;
}
