//! JSON of any form inside a story.

use std::fs;

use aside::{
    CacheConfig, CacheService, Entity as _, Repository as _, Source as _, settings::Settings,
};
use aside_testkit::{RedisServer, check_entity, eventually};
use sqlx::migrate::Migrator;
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};
use tale_generator::Tales;
use tale_generator::domain::{Child, Draft as _, FreeJson, Hero, Row as _, Story};
use tale_generator::sql::{Database, SqlStories};
use tempfile::TempDir;

use crate::databases::{
    World, child_draft, hero_draft, on_every_database, patient, postgres_database, story_draft,
};

/// A text that a tree of values would change.
const TEXT: &str = r#"{"b":1.0,"a":[1e2,-0,0.1000,18446744073709551616,"é \u00e9"],"a":{}}"#;

fn free(text: &str) -> FreeJson {
    serde_json::from_str(text).unwrap()
}

fn told() -> Story {
    let mut draft = story_draft("A story");
    draft.generation_info = Some(free(TEXT));
    draft.full_response = Some(free("[1e308, 1.50]"));
    draft.audio_file = Some(
        serde_json::from_str(&format!(
            "{{\"url\":\"u\",\"provider\":null,\"metadata\":{TEXT}}}"
        ))
        .unwrap(),
    );
    Story::new(draft)
}

fn comes_back(story: &Story) {
    assert_eq!(story.generation_info.as_ref().unwrap().get(), TEXT);
    assert_eq!(story.full_response.as_ref().unwrap().get(), "[1e308,1.50]");
    let audio = story.audio_file.as_ref().unwrap();
    assert_eq!(audio.metadata.as_ref().unwrap().get(), TEXT);
}

#[test]
fn every_kind_passes_the_entity_check() {
    let mut deep = told();
    let levels = format!("{}{}", "[".repeat(100), "]".repeat(100));
    deep.audio_file.as_mut().unwrap().metadata = Some(free(&levels));
    deep.draft().validate().unwrap();
    check_entity([told(), deep, Story::new(story_draft("A story"))]).unwrap();
    check_entity([Hero::new(hero_draft("Ада"))]).unwrap();
    check_entity([Child::new(child_draft("Ben"))]).unwrap();
}

/// Otherwise each row is compared with its text at each fill, and each list is
/// looked up by the text of its key.
#[test]
fn heroes_and_children_are_compared_by_sample() {
    const {
        assert!(Hero::IS_PLAIN && Child::IS_PLAIN);
        assert!(Hero::HAS_EXACT_INDEXES && Child::HAS_EXACT_INDEXES && Story::HAS_EXACT_INDEXES);
    }
}

#[tokio::test]
async fn free_json_survives_every_database_unchanged() {
    on_every_database(async |world| {
        let story = world.stories.save(told()).await.unwrap();
        comes_back(&story);
        comes_back(&world.stored_story(story.id).await);
        let updated = world.stories.update(Story::clone(&story)).await.unwrap();
        comes_back(&updated.unwrap());
        comes_back(&world.stories.list_all().await.unwrap()[0]);
    })
    .await;
}

#[tokio::test]
async fn free_json_survives_redis_unchanged() {
    let redis = RedisServer::start().unwrap();
    let world = World::open("SQLite", "sqlite::memory:").await;
    let instance = async || {
        let settings = Settings::from_pairs([("REDIS_URL", redis.url().as_str())]);
        let config = CacheConfig::from_settings(&settings).unwrap();
        let cache = CacheService::connect(config).await;
        Tales::new(world.database.clone(), &cache)
    };
    let (one, other) = (instance().await, instance().await);
    let story = one.stories.save(told()).await.unwrap();
    for tales in [&one, &other] {
        comes_back(&tales.stories.find_by_id(&story.id).await.unwrap().unwrap());
        comes_back(&tales.stories.list_all().await.unwrap()[0]);
    }
    for key in [format!("story:{}", story.id), "story:all".to_owned()] {
        eventually(std::time::Duration::from_secs(5), "the fill", || async {
            redis.command(&["EXISTS", &key]).integer() == Some(1)
        })
        .await;
    }
    let fresh = instance().await;
    let before = world.database.reads();
    comes_back(&fresh.stories.find_by_id(&story.id).await.unwrap().unwrap());
    comes_back(&fresh.stories.list_all().await.unwrap()[0]);
    assert_eq!(world.database.reads(), before, "both were hits in Redis");
    assert_eq!(
        *fresh.stories.find_by_id(&story.id).await.unwrap().unwrap(),
        *story
    );
}

#[tokio::test]
async fn postgresql_returns_json_text_unchanged() {
    let Some(url) = postgres_database() else {
        return;
    };
    let world = World::open("PostgreSQL", &url).await;
    let text = format!("[{}1e308]", "1e308,".repeat(99_998));
    let mut draft = story_draft("A story");
    draft.generation_info = Some(free(&text));
    world.stories.save(Story::new(draft)).await.unwrap();
    let mut other = PgConnection::connect(&url).await.unwrap();
    let length = sqlx::query_scalar("SELECT length(generation_info::text) FROM stories");
    let length: i32 = length.fetch_one(&mut other).await.unwrap();
    assert_eq!(length as usize, text.len());
}

/// Returns the migrations of an earlier version of this program.
fn earlier(database: &str) -> (TempDir, std::path::PathBuf) {
    let directory = TempDir::new().unwrap();
    let name = "20261101000000_tales.sql";
    let all = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    fs::copy(all.join(database).join(name), directory.path().join(name)).unwrap();
    let path = directory.path().to_owned();
    (directory, path)
}

const OLD_ROW: &str = "INSERT INTO stories (id, title, content, moral, language, audio_file,
        generation_info, created_at, updated_at, version)
    VALUES ('67e55044-10b1-426f-9247-bb680e5fe0c8', 't', 'c', 'm', 'en', '{\"url\":\"u\"}',
        '{\"a\":[1,2]}', '2026-01-01T00:00:00.000000Z', '2026-01-01T00:00:00.000000Z', 1)";

async fn keeps_the_old_row(url: &str) {
    let database = Database::open(url, patient()).await.unwrap();
    let stories = SqlStories::new(database);
    let stored = stories.list_all().await.unwrap();
    assert_eq!(stored.len(), 1);
    let json = stored[0].generation_info.as_ref().unwrap();
    assert_eq!(json.get(), "{\"a\":[1,2]}");
    assert_eq!(stored[0].audio_file.as_ref().unwrap().url, "u");
    let updated = stories.update(Story::clone(&stored[0])).await.unwrap();
    assert_eq!(updated.unwrap().version, 2);
}

#[tokio::test]
async fn an_older_postgresql_database_is_migrated() {
    let Some(url) = postgres_database() else {
        return;
    };
    let (_directory, path) = earlier("postgres");
    let mut other = PgConnection::connect(&url).await.unwrap();
    Migrator::new(path)
        .await
        .unwrap()
        .run(&mut other)
        .await
        .unwrap();
    other.execute(OLD_ROW).await.unwrap();
    keeps_the_old_row(&url).await;
}

#[tokio::test]
async fn an_older_sqlite_file_is_migrated() {
    let (directory, path) = earlier("sqlite");
    let file = directory.path().join("tales.db");
    let url = format!("sqlite:{}", file.display());
    let mut other = SqliteConnection::connect(&format!("{url}?mode=rwc"))
        .await
        .unwrap();
    Migrator::new(path)
        .await
        .unwrap()
        .run(&mut other)
        .await
        .unwrap();
    other.execute(OLD_ROW).await.unwrap();
    // Triggers such as those of `tales triggers install` must survive the
    // change.
    let trigger = "CREATE TABLE seen (x); CREATE TRIGGER told AFTER UPDATE ON stories
                   BEGIN INSERT INTO seen VALUES (1); END";
    other.execute(trigger).await.unwrap();
    keeps_the_old_row(&url).await;
    let seen = sqlx::query_scalar("SELECT count(*) FROM seen");
    let seen: i64 = seen.fetch_one(&mut other).await.unwrap();
    assert_eq!(seen, 1);
    // Another program's open connection sees the new CHECKs.
    nothing_fails_for_null(&mut other, &file).await;
}

#[tokio::test]
async fn a_story_without_json_passes_checks_of_older_sqlite() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("tales.db");
    let url = format!("sqlite:{}", file.display());
    let world = World::open("SQLite", &url).await;
    world.story(None, None).await;
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    nothing_fails_for_null(&mut other, &file).await;
}

/// `json_valid(NULL)` is NULL in the SQLite of sqlx, which passes a CHECK. It
/// is 0 in older ones, which fails. So every CHECK must allow NULL explicitly.
async fn nothing_fails_for_null(other: &mut SqliteConnection, file: &std::path::Path) {
    let schema = sqlx::query_scalar("SELECT sql FROM sqlite_schema WHERE type = 'table'");
    let schema: Vec<String> = schema.fetch_all(&mut *other).await.unwrap();
    let columns = schema.iter().flat_map(|table| table.lines());
    let checked: Vec<&str> = columns
        .filter(|column| column.contains("json_valid"))
        .collect();
    assert_eq!(checked.len(), 3 + 2, "three of stories, two lists");
    for column in checked {
        let good = column.contains("NOT NULL") || column.contains("IS NULL OR json_valid");
        assert!(good, "{column}");
    }
    let integrity = sqlx::query_scalar("PRAGMA integrity_check");
    let integrity: String = integrity.fetch_one(&mut *other).await.unwrap();
    assert_eq!(integrity, "ok");
    // The system's SQLite, if installed, is often an older one.
    let mut system = std::process::Command::new("sqlite3");
    let system = system
        .arg(file)
        .arg("UPDATE stories SET moral = 'x'; PRAGMA integrity_check");
    match system.output() {
        Ok(said) => assert_eq!(String::from_utf8_lossy(&said.stdout), "ok\n", "{said:?}"),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
    }
}
