//! Queries whose results live in one process alone, and need no text.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aside::{CachedQuery, Deps, Repository};

use super::with_mia;
use crate::entities::{Hero, named, speaking};
use crate::world::{Instance, on_both};

/// A type that serde does not know.
struct Compiled(String);

async fn compiled(
    query: &CachedQuery<u8, Compiled>,
    loads: &Arc<AtomicU32>,
    table: &crate::database::Table<Hero>,
) -> String {
    let (loads, table) = (Arc::clone(loads), table.clone());
    let load = move || async move {
        loads.fetch_add(1, Ordering::SeqCst);
        let names = table.rows_of(&speaking("en"));
        let names: Vec<_> = names.iter().map(|hero| hero.name.clone()).collect();
        Ok::<_, std::io::Error>(Compiled(names.join("|")))
    };
    let (english, mias) = (speaking("en"), named("Mia"));
    let deps = Deps::new().list::<Hero>(&english).list::<Hero>(&mias);
    query.get(&1, deps, load).await.expect("a result").0.clone()
}

#[tokio::test]
async fn a_result_without_a_text_is_outdated_by_writes() {
    on_both(async |world| {
        let (instance, mia) = with_mia(&world).await;
        let (query, loads) = (query(&instance), Arc::default());
        for _ in 0..3 {
            assert_eq!(compiled(&query, &loads, &world.heroes).await, "Mia");
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1);
        let state = instance.cache.explain("compiled:1").await.state.unwrap();
        assert_eq!(state.as_str(), "absent");
        let copy = async || instance.cache.explain("compiled:1").await.local.unwrap();
        assert_eq!(copy().await.verdict, "served");

        instance.heroes.update(mia.renamed("Maria")).await.unwrap();
        assert_eq!(copy().await.verdict, "invalidated", "by a dependency");
        for _ in 0..3 {
            assert_eq!(compiled(&query, &loads, &world.heroes).await, "Maria");
        }
        assert_eq!(loads.load(Ordering::SeqCst), 2);

        query.invalidate(&1).await;
        compiled(&query, &loads, &world.heroes).await;
        assert_eq!(loads.load(Ordering::SeqCst), 3);
    })
    .await;
}

#[tokio::test]
async fn a_result_loaded_during_a_write_is_not_kept() {
    on_both(async |world| {
        let (instance, mia) = with_mia(&world).await;
        let (query, loads) = (query(&instance), Arc::default());
        let mut write = instance.cache.write();
        write.updated(&mia, &mia.renamed("Maria"));
        let _ = write.before_commit().await;
        assert_eq!(compiled(&query, &loads, &world.heroes).await, "Mia");
        world.heroes.insert(&mia.renamed("Maria"));
        write.committed().await;
        assert_eq!(compiled(&query, &loads, &world.heroes).await, "Maria");
    })
    .await;
}

fn query(instance: &Instance) -> CachedQuery<u8, Compiled> {
    CachedQuery::in_process("compiled", &instance.cache)
}
