//! A transaction within another one: its end is no commit.

use aside_sqlx::commit;
use sqlx::Connection as _;

use super::items::{Items, World, item};

/// Commits an inner transaction. A macro, for the types of three databases.
macro_rules! commit_inner {
    ($pool:expr, $write:expr) => {{
        let mut outer = $pool.begin().await.unwrap();
        let mut inner = outer.begin().await.unwrap();
        let change = sqlx::query("UPDATE items SET shelf = 'b' WHERE id = 1");
        change.execute(&mut *inner).await.unwrap();
        let refused = commit(inner, $write).await.unwrap_err();
        outer.commit().await.unwrap();
        refused
    }};
}

#[tokio::test]
async fn the_end_of_a_savepoint_is_no_commit() {
    World::on_all(async |world| {
        world.insert(&[item(1, "a", "one")]).await;
        world.cache_shelves(&["a", "b"]).await;
        let mut write = world.one.cache.write();
        write.updated(&item(1, "a", "one"), &item(1, "b", "one"));
        let refused = match &world.source {
            Items::Postgres(pool) => commit_inner!(pool, &mut write),
            Items::Sqlite(pool) => commit_inner!(pool, &mut write),
            Items::MySql(pool) => commit_inner!(pool, &mut write),
        };
        let said = refused.to_string();
        assert!(said.contains("commit the outer transaction"), "{said}");
        drop(write);
        // It was rolled back, so no key is pending.
        assert_eq!(world.one.unreleased().await, 0);
        assert_eq!(world.one.shelf("a").await, [1]);
        world.cache_shelves(&["a", "b"]).await;
    })
    .await;
}
