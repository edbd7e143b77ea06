//! Changes recorded in the transaction itself.

use aside::transaction::{CommitError, OutOfReach};
use aside_testkit::eventually;

use super::items::{EVENTUALLY, Instance, Item, ItemIndex, World, item};
use crate::transact;

const MOVE: &str = "UPDATE items SET shelf = 'b' WHERE id = 1";
const NOWHERE: &str = "redis://127.0.0.1:1/0";

/// Moves the first item to shelf b, as a handler would. The macro is for the
/// types of three databases.
macro_rules! move_item {
    ($transaction:ident) => {{
        let select = sqlx::query_as("SELECT * FROM items WHERE id = 1");
        let before: Item = select.fetch_one(&mut *$transaction).await.unwrap();
        let moved = sqlx::query(MOVE).execute(&mut *$transaction).await;
        moved.unwrap();
        let select = sqlx::query_as("SELECT * FROM items WHERE id = 1");
        let after: Item = select.fetch_one(&mut *$transaction).await.unwrap();
        $transaction.updated(&before, &after);
    }};
}

#[tokio::test]
async fn a_committed_change_is_read_at_once() {
    World::on_all(async |world| {
        world.insert(&[item(1, "a", "one")]).await;
        world.cache_shelves(&["a", "b"]).await;
        transact!(world.one, transaction => {
            move_item!(transaction);
            transaction.commit().await.unwrap();
        });
        assert_eq!(world.one.shelf("a").await, [0; 0]);
        assert_eq!(world.one.shelf("b").await, [1]);
        world.two_reads("b", &[1]).await;
        // It is cached again, and the triggers' journal is empty.
        world.cache_shelves(&["a", "b"]).await;
        assert_eq!(world.source.journal().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn a_dropped_or_rolled_back_transaction_affects_no_key() {
    World::on_all(async |world| {
        world.insert(&[item(1, "a", "one")]).await;
        world.cache_shelves(&["a", "b"]).await;
        let entries = || world.one.cache.stats().kinds[0].invalidations;
        let before = entries();
        transact!(world.one, transaction => {
            move_item!(transaction);
            drop(transaction);
        });
        transact!(world.one, transaction => {
            move_item!(transaction);
            transaction.rollback().await.unwrap();
        });
        assert_eq!(world.one.shelf("a").await, [1]);
        assert_eq!((entries(), world.one.unreleased().await), (before, 0));
        world.cache_shelves(&["a", "b"]).await;
    })
    .await;
}

#[tokio::test]
async fn every_kind_of_change_is_invalidated() {
    World::on_all(async |world| {
        world
            .insert(&[item(1, "a", "one"), item(2, "a", "two")])
            .await;
        world.cache_shelves(&["a", "b"]).await;
        transact!(world.one, transaction => {
            let insert = "INSERT INTO items VALUES (3, 'b', 'three')";
            sqlx::query(insert).execute(&mut *transaction).await.unwrap();
            transaction.created(&item(3, "b", "three"));
            let delete = "DELETE FROM items WHERE id = 2";
            sqlx::query(delete).execute(&mut *transaction).await.unwrap();
            transaction.deleted(&item(2, "a", "two"));
            move_item!(transaction);
            transaction.commit().await.unwrap();
        });
        assert_eq!(world.one.shelf("a").await, [0; 0]);
        assert_eq!(world.one.shelf("b").await, [1, 3]);
        world.two_reads("b", &[1, 3]).await;
        world.cache_shelves(&["a", "b"]).await;
        transact!(world.one, transaction => {
            let upsert = "UPDATE items SET shelf = 'a' WHERE id = 3";
            sqlx::query(upsert).execute(&mut *transaction).await.unwrap();
            transaction.upserted(Some(&item(3, "b", "three")), &item(3, "a", "three"));
            transaction.upserted(None, &item(3, "a", "three"));
            transaction.commit().await.unwrap();
        });
        assert_eq!(world.one.shelf("a").await, [3]);
        world.two_reads("b", &[1]).await;
        world.cache_shelves(&["a", "b"]).await;
        transact!(world.one, transaction => {
            let everything = "UPDATE items SET shelf = 'c'";
            sqlx::query(everything).execute(&mut *transaction).await.unwrap();
            transaction.whole_kind::<Item>();
            transaction.commit().await.unwrap();
        });
        assert_eq!(world.one.shelf("a").await, [0; 0]);
        world.two_reads("b", &[]).await;
    })
    .await;
}

#[tokio::test]
async fn rows_and_lists_are_invalidated_by_key() {
    World::on_all(async |world| {
        world.insert(&[item(1, "a", "one")]).await;
        world.cache_shelves(&["a", "b"]).await;
        for instance in [&world.one, &world.two] {
            assert_eq!(instance.row(1).await, Some(item(1, "a", "one")));
        }
        transact!(world.one, transaction => {
            sqlx::query(MOVE).execute(&mut *transaction).await.unwrap();
            transaction.invalidate_id::<Item>(&1);
            transaction.invalidate_list::<Item>(&ItemIndex::Shelf("a".to_owned()));
            transaction.write().invalidate_list::<Item>(&ItemIndex::Shelf("b".to_owned()));
            transaction.commit().await.unwrap();
        });
        assert_eq!(world.one.row(1).await, Some(item(1, "b", "one")));
        assert_eq!(world.one.shelf("a").await, [0; 0]);
        assert_eq!(world.one.shelf("b").await, [1]);
        world.two_reads("b", &[1]).await;
        eventually(EVENTUALLY, "the row", async || {
            world.two.row(1).await == Some(item(1, "b", "one"))
        })
        .await;
        world.cache_shelves(&["a", "b"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_commit_without_redis_reaches_others_by_the_journal() {
    World::on_all(async |world| {
        world.insert(&[item(1, "a", "one")]).await;
        world.cache_shelves(&["a", "b"]).await;
        let cut_off = Instance::start(NOWHERE, &world.source).await;
        transact!(cut_off, transaction => {
            move_item!(transaction);
            transaction.commit().await.unwrap();
        });
        assert_eq!(cut_off.shelf("b").await, [1]);
        world.two_reads("b", &[1]).await;
        transact!(cut_off, transaction => {
            sqlx::query("DELETE FROM items").execute(&mut *transaction).await.unwrap();
            transaction.whole_kind::<Item>();
            transaction.commit().await.unwrap();
        });
        world.two_reads("b", &[]).await;
        eventually(EVENTUALLY, "an empty journal", async || {
            world.source.journal().await.is_empty()
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn the_policy_decides_about_a_commit_without_redis() {
    World::on_all(async |world| {
        world.insert(&[item(1, "a", "one")]).await;
        let cut_off = Instance::start(NOWHERE, &world.source).await;
        transact!(cut_off, transaction => {
            transaction.set_out_of_reach(OutOfReach::Refuse);
            move_item!(transaction);
            let refused = transaction.commit().await.unwrap_err();
            assert!(matches!(refused, CommitError::Refused), "{refused}");
        });
        assert_eq!(cut_off.shelf("a").await, [1]);
        transact!(cut_off, transaction => {
            transaction.set_out_of_reach(OutOfReach::Refuse);
            transaction.whole_kind::<Item>();
            let refused = transaction.commit().await.unwrap_err();
            assert!(matches!(refused, CommitError::Refused), "{refused}");
        });
        // The journal is gone, so it must not be written.
        world.source.run("DROP TABLE cache_journal").await;
        transact!(cut_off, transaction => {
            move_item!(transaction);
            transaction.commit().await.unwrap_err();
        });
        assert_eq!(cut_off.shelf("a").await, [1]);
        transact!(cut_off, transaction => {
            transaction.set_out_of_reach(OutOfReach::Forget);
            move_item!(transaction);
            transaction.commit().await.unwrap();
        });
        assert_eq!(cut_off.shelf("b").await, [1]);
    })
    .await;
}
