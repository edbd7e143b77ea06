//! Diesel behind the cache, on a real PostgreSQL with a real Redis.

mod world;

use std::time::Duration;

use aside::transaction::OutOfReach;
use aside::{Freshness, Source as _, Tier};
use aside_diesel::{DieselJournal, certainly_rolled_back, transaction};
use aside_testkit::eventually;
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl};

use self::world::{Article, ArticleIndex, EVENTUALLY, NOWHERE, World, article, articles};

/// P + H, plus one second for a busy machine.
const HEARD_WITHIN: Duration = Duration::from_millis(500 + 500 + 1000);

/// Moves an article to another author, as a handler would.
async fn move_article(
    connection: &mut AsyncPgConnection,
    write: &mut aside::Write,
    (id, author): (i64, i64),
) -> QueryResult<Article> {
    let find = articles::table.find(id);
    let find = find.select(Article::as_select()).for_update();
    let before: Article = find.first(connection).await?;
    let change = diesel::update(articles::table.find(id)).set(articles::author.eq(author));
    let change = change.returning(Article::as_returning());
    let after: Article = change.get_result(connection).await?;
    write.updated(&before, &after);
    Ok(after)
}

#[tokio::test]
async fn rows_and_lists_are_read_from_the_cache() {
    let world = World::start().await;
    world
        .insert(&[article(1, 7, "one"), article(2, 7, "two")])
        .await;
    let articles = &world.one.articles;
    eventually(EVENTUALLY, "a row from a cache", async || {
        let read = articles.find_by_id_with(&1, Freshness::Any).await.unwrap();
        assert_eq!(*read.value.unwrap(), article(1, 7, "one"));
        read.tier != Tier::Source
    })
    .await;
    assert_eq!(articles.find_by_id(&3).await.unwrap(), None);
    let many = articles.find_many(&[2, 3, 1, 2]).await.unwrap();
    let many: Vec<Option<i64>> = many.iter().map(|row| Some(row.as_ref()?.id)).collect();
    assert_eq!(many, [Some(2), None, Some(1), Some(2)]);
    assert_eq!(world.one.of_author(7).await, [1, 2]);
    let titled = ArticleIndex::Title("two".to_owned());
    assert_eq!(articles.find_by(&titled).await.unwrap()[0].id, 2);
    assert_eq!(articles.list_all().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_transaction_on_a_borrowed_connection_invalidates() {
    let world = World::start().await;
    world.insert(&[article(1, 7, "one")]).await;
    world.cache_authors(&[7, 8]).await;
    let (cache, connections) = (world.one.cache.clone(), world.connections.clone());
    // As a handler does, on any thread.
    let handler = tokio::spawn(async move {
        let mut connection = connections.get().await.unwrap();
        transaction(&cache, &mut connection, async |connection, write| {
            move_article(connection, write, (1, 8)).await
        })
        .await
    });
    assert_eq!(handler.await.unwrap().unwrap(), article(1, 8, "one"));
    assert_eq!(world.one.of_author(7).await, [0; 0]);
    assert_eq!(world.one.of_author(8).await, [1]);
    world.two.reads(8, &[1]).await;
    world.cache_authors(&[7, 8]).await;
}

#[tokio::test]
async fn an_error_of_the_closure_rolls_back() {
    let world = World::start().await;
    world.insert(&[article(1, 7, "one")]).await;
    world.cache_authors(&[7]).await;
    let mut connection = world.connections.get().await.unwrap();
    let cache = &world.one.cache;
    let failed = transaction(cache, &mut connection, async |connection, write| {
        move_article(connection, write, (1, 8)).await?;
        Err::<(), _>(DieselError::NotFound)
    });
    assert_eq!(failed.await, Err(DieselError::NotFound));
    assert_eq!(world.one.of_author(7).await, [1]);
    world.cache_authors(&[7]).await;
    // The connection goes on, and a savepoint is refused.
    let nested = connection.transaction(async |connection| {
        let inner = transaction(cache, connection, async |_, _| Ok::<_, DieselError>(()));
        let refused = inner.await.unwrap_err();
        assert_eq!(refused, DieselError::AlreadyInTransaction);
        Ok::<_, DieselError>(())
    });
    nested.await.unwrap();
}

/// As a timeout leaves it: the inner transaction's future was dropped at a statement.
async fn left_open(connection: &mut AsyncPgConnection) {
    let inner = connection.transaction(async |connection| {
        diesel::sql_query("SELECT pg_sleep(60)")
            .execute(connection)
            .await
    });
    let left = tokio::time::timeout(Duration::from_millis(300), inner).await;
    assert!(left.is_err());
}

#[tokio::test]
async fn a_savepoint_that_was_left_open_is_not_taken_for_the_commit() {
    let world = World::start().await;
    world.insert(&[article(1, 7, "one")]).await;
    world.cache_authors(&[7, 8]).await;
    let mut connection = world.connections.get().await.unwrap();
    let cache = &world.one.cache;
    let ended = transaction(cache, &mut connection, async |connection, write| {
        move_article(connection, write, (1, 8)).await?;
        left_open(connection).await;
        Ok::<_, DieselError>(())
    });
    assert!(ended.await.is_err());
    drop(connection);
    assert_eq!(world.one.of_author(7).await, [1]);
    world.two.reads(7, &[1]).await;
}

#[tokio::test]
async fn an_owned_transaction_commits_in_a_task() {
    let world = World::start().await;
    world.insert(&[article(1, 7, "one")]).await;
    world.cache_authors(&[7, 8]).await;
    let journal = DieselJournal::new(&world.connections);
    let mut begun = world.one.cache.begin(&journal).await.unwrap();
    let (connection, write) = begun.parts();
    move_article(connection, write, (1, 8)).await.unwrap();
    begun.commit().await.unwrap();
    assert_eq!(world.one.of_author(8).await, [1]);
    world.two.reads(8, &[1]).await;
    // Dropped, it rolls back.
    let mut begun = world.one.cache.begin(&journal).await.unwrap();
    let delete = diesel::delete(articles::table);
    delete.execute(&mut *begun).await.unwrap();
    drop(begun);
    assert_eq!(world.one.of_author(8).await, [1]);
    world.cache_authors(&[7, 8]).await;
}

#[tokio::test]
async fn a_write_without_redis_reaches_others_by_the_journal() {
    let world = World::start().await;
    world.insert(&[article(1, 7, "one")]).await;
    world.cache_authors(&[7, 8]).await;
    let cut_off = world.instance(NOWHERE).await;
    let mut connection = world.connections.get().await.unwrap();
    let moved = transaction(
        &cut_off.cache,
        &mut connection,
        async |connection, write| move_article(connection, write, (1, 8)).await,
    );
    moved.await.unwrap();
    eventually(HEARD_WITHIN, "the list of the other", async || {
        world.two.of_author(8).await == [1]
    })
    .await;
    let journal = DieselJournal::new(&world.connections);
    let mut begun = cut_off.cache.begin(&journal).await.unwrap();
    let delete = diesel::delete(articles::table);
    delete.execute(&mut *begun).await.unwrap();
    begun.whole_kind::<Article>();
    begun.commit().await.unwrap();
    eventually(HEARD_WITHIN, "the empty list", async || {
        world.two.of_author(8).await.is_empty()
    })
    .await;
    eventually(EVENTUALLY, "an empty journal", async || {
        world
            .server
            .query("postgres", "SELECT FROM cache_journal")
            .is_empty()
    })
    .await;
    let mut strict = cut_off.cache.begin(&journal).await.unwrap();
    strict.set_out_of_reach(OutOfReach::Refuse);
    strict.created(&article(2, 7, "two"));
    strict.commit().await.unwrap_err();
}

#[tokio::test]
async fn a_refused_commit_leaves_no_pending_key() {
    let world = World::start().await;
    let deferred = "ALTER TABLE articles ADD UNIQUE (title) DEFERRABLE INITIALLY DEFERRED";
    world.server.query("postgres", deferred);
    world.insert(&[article(1, 7, "one")]).await;
    world.cache_authors(&[7]).await;
    let mut connection = world.connections.get().await.unwrap();
    let cache = &world.one.cache;
    let refused = transaction(cache, &mut connection, async |connection, write| {
        let row = article(2, 7, "one");
        let insert = diesel::insert_into(articles::table).values(row.clone());
        insert.execute(connection).await?;
        write.created(&row);
        Ok::<_, DieselError>(())
    });
    let refused = refused.await.unwrap_err();
    assert!(certainly_rolled_back(&refused), "{refused}");
    assert_eq!(cache.health_check().await.unreleased_keys, 0);
    // The quarantine would last for 30 s.
    world.cache_authors(&[7]).await;
}
