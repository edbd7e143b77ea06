//! Writes of other programs to tables with triggers.

use std::time::Duration;

use aside::{CacheConfig, CacheService, Source as _, settings::Settings};
use aside_testkit::{RedisServer, eventually};
use sqlx::{AssertSqlSafe, Executor as _, PgPool, SqlitePool};
use tale_generator::Tales;
use tale_generator::domain::{ChildIndex, StoryIndex};
use tempfile::TempDir;

use crate::databases::{World, child_draft, postgres_database, story_draft};

/// P + H, plus one second for a busy machine.
const HEARD_WITHIN: Duration = Duration::from_millis(500 + 500 + 1000);

/// Another program's connection.
enum Other {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Other {
    async fn run(&self, sql: &str) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        let done = match self {
            Self::Sqlite(pool) => pool.execute(sql).await.map(drop),
            Self::Postgres(pool) => pool.execute(sql).await.map(drop),
        };
        done.expect("a statement");
    }

    async fn journal(&self) -> Vec<String> {
        let sql = "SELECT key FROM cache_journal ORDER BY key";
        let keys = match self {
            Self::Sqlite(pool) => sqlx::query_scalar(sql).fetch_all(pool).await,
            Self::Postgres(pool) => sqlx::query_scalar(sql).fetch_all(pool).await,
        };
        keys.expect("a journal")
    }
}

async fn on_both(test: impl AsyncFn(World, Other)) {
    let directory = TempDir::new().unwrap();
    let url = format!("sqlite:{}", directory.path().join("tales.db").display());
    let world = World::open("SQLite in a file", &url).await;
    world.database.install_triggers("").await.unwrap();
    let other = SqlitePool::connect(&url).await.unwrap();
    test(world, Other::Sqlite(other)).await;
    if let Some(url) = postgres_database() {
        let world = World::open("PostgreSQL", &url).await;
        world.database.install_triggers("").await.unwrap();
        let other = PgPool::connect(&url).await.unwrap();
        test(world, Other::Postgres(other)).await;
    }
}

async fn cache_on(redis: &RedisServer) -> CacheService {
    let settings = Settings::from_pairs([("REDIS_URL", &*redis.url())]);
    let config = CacheConfig::from_settings(&settings).unwrap();
    CacheService::connect(config).await
}

#[tokio::test]
async fn foreign_child_changes_invalidate_child_and_stories() {
    on_both(async |world, other| {
        let redis = RedisServer::start().unwrap();
        let cache = cache_on(&redis).await;
        world.database.journal_for(&cache).await;
        let tales = Tales::new(world.database.clone(), &cache);
        let child = world.child("Маша").await;
        let story = world.story(Some(child.id), None).await;
        // The lengths of the lists. A second call reads them from the local
        // tier.
        let lists = async || {
            let named = |name: &str| StoryIndex::ChildName(name.to_owned());
            let children = |name: &str| ChildIndex::Name(name.to_owned());
            let of_child = StoryIndex::ChildId(child.id);
            [
                tales.stories.find_by(&named("Маша")).await.unwrap().len(),
                tales.stories.find_by(&named("Мария")).await.unwrap().len(),
                tales.stories.find_by(&of_child).await.unwrap().len(),
                tales
                    .children
                    .find_by(&children("Маша"))
                    .await
                    .unwrap()
                    .len(),
                tales
                    .children
                    .find_by(&children("Мария"))
                    .await
                    .unwrap()
                    .len(),
            ]
        };
        let cached = async || {
            eventually(Duration::from_secs(30), "a warm cache", async || {
                let reads = tales.database.reads();
                lists().await;
                tales.stories.find_by_id(&story.id).await.unwrap();
                reads == tales.database.reads()
            })
            .await;
        };
        eventually(HEARD_WITHIN, "both", async || {
            lists().await == [1, 0, 1, 1, 0]
        })
        .await;
        cached().await;

        let rename = "BEGIN; UPDATE children SET name = 'Мария', version = version + 1;
             UPDATE stories SET child_name = 'Мария', version = version + 1; COMMIT";
        other.run(rename).await;
        eventually(HEARD_WITHIN, "the new name", async || {
            let story = tales.stories.find_by_id(&story.id).await.unwrap().unwrap();
            lists().await == [0, 1, 1, 0, 1] && story.child_name.as_deref() == Some("Мария")
        })
        .await;
        cached().await;

        // The database's foreign key removes the child from its stories.
        other.run("DELETE FROM children").await;
        eventually(HEARD_WITHIN, "a story without a child", async || {
            let story = tales.stories.find_by_id(&story.id).await.unwrap().unwrap();
            lists().await == [0, 1, 0, 0, 0] && story.child_id.is_none()
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_rename_by_the_service_leaves_the_journal_empty() {
    on_both(async |world, other| {
        let redis = RedisServer::start().unwrap();
        // No instance polls the journal, so its rows stay.
        let tales = Tales::new(world.database.clone(), &cache_on(&redis).await);
        let child = tales.create_child(child_draft("Маша")).await.unwrap();
        let mut draft = story_draft("A story");
        draft.child_id = Some(child.id);
        let story = tales.create_story(draft).await.unwrap();
        let renamed = child_draft("Мария");
        tales.replace_child(child.id, renamed, None).await.unwrap();
        tales.rate_story(story.id, 7, None).await.unwrap();
        tales.delete_child(child.id, None).await.unwrap();
        tales.delete_story(story.id, None).await.unwrap();
        assert_eq!(
            other.journal().await,
            Vec::<String>::new(),
            "{}",
            world.name
        );
        other.run("UPDATE children SET age = age").await;
        world.child("Ваня").await;
        assert!(!other.journal().await.is_empty(), "{}", world.name);
    })
    .await;
}
