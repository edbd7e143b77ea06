//! The strict mode of tests.

use std::time::Duration;

use aside::{CachedQuery, Deps, Repository};

use super::{Names, with_mia};
use crate::database::DatabaseError;
use crate::entities::{Hero, hero, speaking};
use crate::world::{World, on_both};

#[tokio::test]
#[should_panic(
    expected = "the query `names` with the parameters \"en\" is served [\"Mia\"], and a \
                           load returns [\"Maria\"]. It names []"
)]
async fn a_forgotten_dependency_is_a_panic() {
    let world = World::new();
    let (instance, mia) = with_mia(&world).await;
    instance.cache.compare_every_hit();
    let names = Names::new(&world, &instance);
    names.under("en", Deps::new()).await;
    instance.filled("names:en").await;
    instance.heroes.update(mia.renamed("Maria")).await.unwrap();

    names.under("en", Deps::new()).await;
}

#[tokio::test]
#[should_panic(expected = "the query `of_viewer` with the parameters 7 is served")]
async fn a_viewer_left_out_of_the_parameters_is_a_panic() {
    let world = World::in_memory();
    let instance = world.instance().await;
    instance.cache.compare_every_hit();
    let query: CachedQuery<u8, String> = CachedQuery::new("of_viewer", &instance.cache);
    for viewer in ["Mia", "Zoe"] {
        let load = move || async move { Ok::<_, DatabaseError>(viewer.to_owned()) };
        query.get(&7, Deps::new(), load).await.unwrap();
        instance.filled("of_viewer:7").await;
    }
}

/// Also on an instance that hears of the writes a moment later.
#[tokio::test]
async fn a_query_with_all_dependencies_passes_beside_writes() {
    on_both(async |world| {
        let (one, other) = (world.instance().await, world.instance().await);
        let mia = one.heroes.save(hero("0", "en")).await.unwrap();
        other.cache.compare_every_hit();
        let names = Names::new(&world, &other);
        let english = speaking("en");
        for number in 1..60 {
            names.under("en", Deps::new().list::<Hero>(&english)).await;
            let next = mia.renamed(&number.to_string());
            one.heroes.update(next).await.unwrap();
            names.under("en", Deps::new().list::<Hero>(&english)).await;
            if number % 7 == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    })
    .await;
}
