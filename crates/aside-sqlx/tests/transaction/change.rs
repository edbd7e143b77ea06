//! Statements that change rows of which only a condition is known.

use std::time::Duration;

use aside_sqlx::Changes as _;
use aside_testkit::eventually;
use sqlx::{Connection as _, PgConnection, Postgres};

use super::items::{EVENTUALLY, Item, World, item};
use crate::transact;

#[tokio::test]
async fn an_update_by_condition_invalidates_every_changed_row() {
    World::on_both(async |world| {
        let all = [
            item(1, "a", "one"),
            item(2, "a", "two"),
            item(3, "c", "three"),
        ];
        world.insert(&all).await;
        world.cache_shelves(&["a", "b", "c"]).await;
        transact!(returning world.one, transaction => {
            let update = "UPDATE items SET shelf = $2 WHERE shelf = $1 -- all of them";
            let changed = transaction
                .change::<Item>("items")
                .rows("shelf = $1")
                .bind("a")
                .update(sqlx::query(update).bind("a").bind("b"))
                .await
                .unwrap();
            assert_eq!(changed.before, all[..2]);
            let mut after = changed.after;
            after.sort_by_key(|row| row.id);
            assert_eq!(after, [item(1, "b", "one"), item(2, "b", "two")]);
            assert!(!changed.is_whole_kind);
            transaction.commit().await.unwrap();
        });
        assert_eq!(world.one.shelf("a").await, [0; 0]);
        assert_eq!(world.one.shelf("b").await, [1, 2]);
        world.two_reads("b", &[1, 2]).await;
        world.two_reads("a", &[]).await;
        // Another list of the kind is still cached.
        assert!(world.one.caches_shelf("c", Duration::from_millis(20)).await);
    })
    .await;
}

#[tokio::test]
async fn a_delete_by_condition_invalidates_every_deleted_row() {
    World::on_both(async |world| {
        world
            .insert(&[item(1, "a", "one"), item(2, "b", "two")])
            .await;
        world.cache_shelves(&["a", "b"]).await;
        transact!(returning world.one, transaction => {
            let delete = sqlx::query("DELETE FROM items WHERE id < $1;\n").bind(2_i64);
            let changed = transaction.change::<Item>("items").delete(delete).await.unwrap();
            assert_eq!(changed.before, [item(1, "a", "one")]);
            transaction.commit().await.unwrap();
        });
        assert_eq!(world.one.shelf("a").await, [0; 0]);
        world.two_reads("a", &[]).await;
        assert!(world.one.caches_shelf("b", Duration::from_millis(20)).await);
    })
    .await;
}

const UPSERT: &str = "INSERT INTO items VALUES ($1, $2, $3)
     ON CONFLICT (title) DO UPDATE SET shelf = excluded.shelf";

#[tokio::test]
async fn an_upsert_invalidates_the_lists_before_and_after_it() {
    World::on_both(async |world| {
        world
            .insert(&[item(1, "a", "one"), item(2, "c", "two")])
            .await;
        world.cache_shelves(&["a", "b", "c"]).await;
        for (id, title, expected) in [(7, "one", vec![1]), (8, "new", vec![1, 8])] {
            transact!(returning world.one, transaction => {
                let upsert = sqlx::query(UPSERT).bind(id).bind("b").bind(title);
                let changed = transaction
                    .change::<Item>("items")
                    .rows("title = $1")
                    .bind(title)
                    .upsert(upsert)
                    .await
                    .unwrap();
                assert_eq!(changed.before.len(), usize::from(title == "one"));
                assert_eq!(changed.after.len(), 1);
                assert!(!changed.is_whole_kind);
                transaction.commit().await.unwrap();
            });
            assert_eq!(world.one.shelf("a").await, [0; 0]);
            assert_eq!(world.one.shelf("b").await, expected);
            world.two_reads("b", &expected).await;
        }
        assert!(world.one.caches_shelf("c", Duration::from_millis(20)).await);
    })
    .await;
}

#[tokio::test]
async fn a_repository_changes_rows_by_condition() {
    let (_server, world) = World::postgres().await;
    world.insert(&[item(1, "a", "one")]).await;
    world.cache_shelves(&["a", "b"]).await;
    let mut write = world.one.cache.write();
    let mut transaction = world.source.pg().begin().await.unwrap();
    let changed =
        aside_sqlx::change::<Postgres, Item>(&mut transaction, &mut write, "public.items")
            .rows("id = $1")
            .bind(1_i64)
            .update(sqlx::query("UPDATE public.items SET shelf = 'b'"))
            .await
            .unwrap();
    assert_eq!(changed.after, [item(1, "b", "one")]);
    aside_sqlx::commit(transaction, &mut write).await.unwrap();
    write.committed().await;
    assert_eq!(world.one.shelf("a").await, [0; 0]);
    world.two_reads("b", &[1]).await;
}

#[tokio::test]
async fn very_many_rows_are_recorded_as_the_whole_kind() {
    World::on_both(async |world| {
        let fill = "INSERT INTO items WITH RECURSIVE n(i) AS
             (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1001)
             SELECT i, 'a', 'title ' || i FROM n";
        world.source.run(fill).await;
        world.cache_shelves(&["b"]).await;
        transact!(returning world.one, transaction => {
            let update = sqlx::query("UPDATE items SET shelf = 'b'");
            let changed = transaction.change::<Item>("items").update(update).await.unwrap();
            assert!(changed.is_whole_kind && changed.before.is_empty());
            transaction.commit().await.unwrap();
        });
        assert_eq!(world.one.shelf("b").await.len(), 1001);
        eventually(EVENTUALLY, "the other instance", async || {
            world.two.shelf("b").await.len() == 1001
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_refused_statement_of_a_change_is_an_error() {
    World::on_both(async |world| {
        world
            .insert(&[item(1, "a", "one"), item(2, "a", "two")])
            .await;
        transact!(returning world.one, transaction => {
            let update = sqlx::query("UPDATE items SET title = 'same'");
            let changed = transaction.change::<Item>("items").update(update).await;
            changed.unwrap_err();
            transaction.rollback().await.unwrap();
        });
        assert_eq!(world.one.unreleased().await, 0);
    })
    .await;
}

/// Opens a transaction of another program. An UPDATE waits for its end, and a
/// SELECT FOR UPDATE does not.
async fn other_program(url: &str, statement: &'static str) -> PgConnection {
    let mut other = PgConnection::connect(url).await.unwrap();
    for sql in [
        "BEGIN",
        "LOCK TABLE items IN SHARE ROW EXCLUSIVE MODE",
        statement,
    ] {
        sqlx::query(sql).execute(&mut other).await.unwrap();
    }
    other
}

/// Begins a transaction of the service, and runs a change of it while another
/// program's transaction commits.
macro_rules! change_meanwhile {
    ($world:ident, $other:ident, $condition:expr, $method:ident($statement:expr)) => {{
        let journal = $world.one.pg_journal();
        let mut transaction = $world.one.cache.begin(&journal).await.unwrap();
        let change = transaction.change::<Item>("items").rows($condition);
        let change = change.$method($statement);
        let (changed, ()) = tokio::join!(change, commit_when_awaited(&$world, $other));
        (transaction, changed.unwrap())
    }};
}

/// Waits until a backend of the server waits for a lock, then commits.
async fn commit_when_awaited(world: &World, mut other: PgConnection) {
    let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock')";
    eventually(EVENTUALLY, "a statement that waits", async || {
        let waiting = sqlx::query_scalar::<_, bool>(waiting).fetch_one(world.source.pg());
        waiting.await.unwrap()
    })
    .await;
    sqlx::query("COMMIT").execute(&mut other).await.unwrap();
}

#[tokio::test]
async fn a_row_that_enters_the_condition_invalidates_the_kind() {
    let (server, world) = World::postgres().await;
    world
        .insert(&[item(1, "a", "one"), item(2, "a", "two")])
        .await;
    let statement = "INSERT INTO items VALUES (3, 'a', 'three')";
    let other = other_program(&server.url(), statement).await;
    let update = sqlx::query("UPDATE items SET shelf = 'b' WHERE shelf = 'a'");
    let (transaction, changed) = change_meanwhile!(world, other, "shelf = 'a'", update(update));
    assert_eq!((changed.before.len(), changed.after.len()), (2, 3));
    assert!(changed.is_whole_kind);
    // The row is cached between its insertion and the change.
    world.cache_shelves(&["a", "b"]).await;
    for instance in [&world.one, &world.two] {
        assert_eq!(instance.row(3).await, Some(item(3, "a", "three")));
    }
    transaction.commit().await.unwrap();
    assert_eq!(world.one.row(3).await, Some(item(3, "b", "three")));
    assert_eq!(world.one.shelf("a").await, [0; 0]);
    eventually(EVENTUALLY, "the row on the other instance", async || {
        world.two.row(3).await == Some(item(3, "b", "three"))
    })
    .await;
    assert_eq!(world.one.cache.stats().errors["unknown_rows"], 1);
}

#[tokio::test]
async fn a_row_that_changed_before_its_lock_is_recorded_as_it_was() {
    let (server, world) = World::postgres().await;
    world.insert(&[item(1, "a", "one")]).await;
    let mut other = PgConnection::connect(&server.url()).await.unwrap();
    let rename = "UPDATE items SET title = 'renamed' WHERE id = 1";
    for sql in ["BEGIN", rename] {
        sqlx::query(sql).execute(&mut other).await.unwrap();
    }
    let update = sqlx::query("UPDATE items SET shelf = 'b', title = 'new' WHERE shelf = 'a'");
    let (transaction, changed) = change_meanwhile!(world, other, "shelf = 'a'", update(update));
    assert_eq!(changed.before, [item(1, "a", "renamed")]);
    for instance in [&world.one, &world.two] {
        assert_eq!(instance.titled("renamed").await, [1]);
    }
    transaction.commit().await.unwrap();
    assert_eq!(world.one.titled("renamed").await, [0; 0]);
    eventually(EVENTUALLY, "the list on the other instance", async || {
        world.two.titled("renamed").await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn an_upsert_of_a_row_added_meanwhile_invalidates_the_kind() {
    let (server, world) = World::postgres().await;
    let statement = "INSERT INTO items VALUES (1, 'a', 'one')";
    let other = other_program(&server.url(), statement).await;
    let upsert = sqlx::query(UPSERT).bind(7_i64).bind("b").bind("one");
    let (transaction, changed) = change_meanwhile!(world, other, "title = 'one'", upsert(upsert));
    assert_eq!((changed.before.len(), changed.after.len()), (0, 1));
    assert!(changed.is_whole_kind);
    world.cache_shelves(&["a", "b"]).await;
    transaction.commit().await.unwrap();
    assert_eq!(world.one.shelf("a").await, [0; 0]);
    world.two_reads("a", &[]).await;
}
