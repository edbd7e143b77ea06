//! Entities of SeaORM behind the cache, on real databases with a real Redis.

mod article;
mod world;

use std::time::Duration;

use aside::transaction::OutOfReach;
use aside::{Freshness, Repository as _, Source as _, Tier};
use aside_sea_orm::{Error, SeaOrm, certainly_rolled_back};
use aside_sqlx::Triggers;
use aside_testkit::eventually;
use sea_orm::ActiveValue::Set;
use sea_orm::{ActiveModelTrait as _, EntityTrait as _, QuerySelect as _};
use sea_orm::{DbBackend, IntoActiveModel as _};

use self::article::{ActiveModel, Entity, Model, ModelIndex, article};
use self::world::{EVENTUALLY, NOWHERE, World};

/// P + H, plus one second for a busy machine.
const HEARD_WITHIN: Duration = Duration::from_millis(500 + 500 + 1000);

#[tokio::test]
async fn rows_and_lists_are_read_from_the_cache() {
    World::on_each(async |world| {
        for row in [article(1, 7, "one"), article(2, 7, "two")] {
            world.one.articles.save(row).await.unwrap();
        }
        let articles = &world.two.articles;
        eventually(EVENTUALLY, "a row from a cache", async || {
            let read = articles.find_by_id_with(&1, Freshness::Any).await.unwrap();
            assert_eq!(*read.value.unwrap(), article(1, 7, "one"));
            read.tier != Tier::Source
        })
        .await;
        let many = articles.find_many(&[2, 3, 1, 2]).await.unwrap();
        let many: Vec<Option<i64>> = many.iter().map(|row| Some(row.as_ref()?.id)).collect();
        assert_eq!(many, [Some(2), None, Some(1), Some(2)]);
        assert_eq!(world.two.of_author(7).await, [1, 2]);
        let titled = ModelIndex::Title("two".to_owned());
        assert_eq!(articles.find_by(&titled).await.unwrap()[0].id, 2);
        assert_eq!(articles.list_all().await.unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_thousand_rows_are_read_at_once() {
    World::on_each(async |world| {
        world
            .one
            .articles
            .save(article(999, 7, "one"))
            .await
            .unwrap();
        let ids: Vec<i64> = (1..=1_500).collect();
        let many = world.two.articles.find_many(&ids).await.unwrap();
        let found = many.iter().flatten().map(|row| row.id);
        assert_eq!(found.collect::<Vec<_>>(), [999]);
    })
    .await;
}

#[tokio::test]
async fn every_write_is_read_at_once_and_by_others_soon() {
    World::on_each(async |world| {
        let (one, two) = (&world.one, &world.two);
        one.articles.save(article(1, 7, "one")).await.unwrap();
        world.cache_authors(&[7, 8]).await;
        let moved = one.articles.update(article(1, 8, "one")).await.unwrap();
        assert_eq!(*moved.unwrap(), article(1, 8, "one"));
        assert_eq!(
            (one.of_author(7).await, one.of_author(8).await),
            (vec![], vec![1])
        );
        two.reads(8, &[1]).await;
        world.cache_authors(&[7, 8]).await;
        assert!(one.articles.delete(&1).await.unwrap());
        assert!(!one.articles.delete(&1).await.unwrap());
        assert_eq!(one.articles.update(article(1, 8, "x")).await.unwrap(), None);
        two.reads(8, &[]).await;
        world.cache_authors(&[7, 8]).await;
    })
    .await;
}

#[tokio::test]
async fn an_insert_returns_what_the_database_set() {
    World::on_each(async |world| {
        let new = ActiveModel {
            author: Set(7),
            title: Set("new".to_owned()),
            ..<ActiveModel as Default>::default()
        };
        world.cache_authors(&[7]).await;
        let articles = &world.one.articles;
        let insert = articles.write_with(|source, write| Box::pin(source.insert_in(new, write)));
        let row = insert.await.unwrap();
        assert!(0 < row.id);
        assert_eq!(world.one.of_author(7).await, [row.id]);
        world.two.reads(7, &[row.id]).await;
    })
    .await;
}

#[tokio::test]
async fn a_handlers_transaction_invalidates_its_changes() {
    World::on_each(async |world| {
        world.one.articles.save(article(1, 7, "one")).await.unwrap();
        world.cache_authors(&[7, 8]).await;
        let mut transaction = world.one.cache.begin(&world.journal).await.unwrap();
        let find = Entity::find_by_id(1).lock_exclusive();
        let before = find.one(&*transaction).await.unwrap().unwrap();
        let mut change = before.clone().into_active_model();
        change.author = Set(8);
        let after: Model = change.update(&*transaction).await.unwrap();
        transaction.updated(&before, &after);
        transaction.commit().await.unwrap();
        assert_eq!(world.one.of_author(7).await, [0; 0]);
        assert_eq!(world.one.of_author(8).await, [1]);
        world.two.reads(8, &[1]).await;
        // Rolled back, it changes nothing.
        let transaction = world.one.cache.begin(&world.journal).await.unwrap();
        let delete = Entity::delete_by_id(1).exec(&*transaction).await;
        delete.unwrap();
        transaction.rollback().await.unwrap();
        assert_eq!(world.one.of_author(8).await, [1]);
    })
    .await;
}

#[tokio::test]
async fn a_write_without_redis_reaches_others_by_the_journal() {
    World::on_each(async |world| {
        world.one.articles.save(article(1, 7, "one")).await.unwrap();
        world.cache_authors(&[7]).await;
        let cut_off = world.instance(NOWHERE).await;
        cut_off.articles.update(article(1, 8, "one")).await.unwrap();
        eventually(HEARD_WITHIN, "the list of the other", async || {
            world.two.of_author(8).await == [1]
        })
        .await;
        let mut transaction = cut_off.cache.begin(&world.journal).await.unwrap();
        Entity::delete_many().exec(&*transaction).await.unwrap();
        transaction.whole_kind::<Model>();
        transaction.commit().await.unwrap();
        eventually(HEARD_WITHIN, "the empty list", async || {
            world.two.of_author(8).await.is_empty()
        })
        .await;
        eventually(EVENTUALLY, "an empty journal", async || {
            world.journalled().await == 0
        })
        .await;
        let strict = SeaOrm::<Entity>::with_journal(&world.journal);
        let strict = strict.out_of_reach(OutOfReach::Refuse);
        let strict = aside::CachedRepository::new(strict, &cut_off.cache);
        let refused = strict.save(article(2, 7, "two")).await;
        assert!(matches!(refused, Err(Error::Refused)), "{refused:?}");
        assert_eq!(strict.find_by_id(&2).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_refused_commit_of_postgres_leaves_no_pending_key() {
    let (_server, world) = World::postgres().await;
    let deferred = "ALTER TABLE article ADD UNIQUE (title) DEFERRABLE INITIALLY DEFERRED";
    world.run(deferred).await;
    world.one.articles.save(article(1, 7, "one")).await.unwrap();
    world.cache_authors(&[7]).await;
    let refused = world.one.articles.save(article(2, 7, "one")).await;
    let Err(Error::Database(refused)) = refused else {
        panic!("{refused:?}");
    };
    assert!(certainly_rolled_back(&refused), "{refused}");
    assert_eq!(world.one.cache.health_check().await.unreleased_keys, 0);
    // The quarantine would last for 30 s.
    world.cache_authors(&[7]).await;
}

#[tokio::test]
async fn triggers_skip_writes_over_sea_orm() {
    World::on_each(async |world| {
        let triggers = Triggers::of::<Model>("article", "");
        let triggers = triggers.column("author", "author").column("title", "title");
        match world.db.get_database_backend() {
            DbBackend::Postgres => {
                let pool = world.db.get_postgres_connection_pool().clone();
                let journal = aside_sqlx::PostgresJournal::new(pool);
                journal.install_triggers(&triggers).await.unwrap();
            }
            DbBackend::Sqlite => {
                let pool = world.db.get_sqlite_connection_pool().clone();
                let journal = aside_sqlx::SqliteJournal::new(pool);
                journal.install_triggers(&triggers).await.unwrap();
            }
            _ => return,
        }
        let mut heard = world.two.cache.subscribe();
        world.one.articles.save(article(1, 7, "one")).await.unwrap();
        assert_eq!(world.journalled().await, 0);
        heard.next().await.expect("an invalidation");
        world
            .run("UPDATE article SET author = 8 WHERE id = 1")
            .await;
        eventually(HEARD_WITHIN, "the write of another program", async || {
            world.two.of_author(8).await == [1]
        })
        .await;
    })
    .await;
}
