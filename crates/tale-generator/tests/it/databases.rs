//! Runs every test of a promise on every database.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aside::{CacheConfig, CacheService, Repository as _, Source as _, settings::Settings};
use aside_testkit::{PostgresServer, StartError};
use tale_generator::domain::{
    Child, ChildDraft, Gender, Hero, HeroDraft, Language, Row as _, Story, StoryDraft,
};
use tale_generator::sql::{Database, DatabaseOptions, SqlChildren, SqlHeroes, SqlStories};
use tempfile::TempDir;
use uuid::Uuid;

/// A fresh database and its three repositories.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) name: &'static str,
    pub(crate) database: Database,
    pub(crate) heroes: SqlHeroes,
    pub(crate) children: SqlChildren,
    pub(crate) stories: SqlStories,
}

impl World {
    pub(crate) async fn open(name: &'static str, url: &str) -> Self {
        let database = Database::open(url, patient()).await.unwrap();
        Self {
            name,
            heroes: SqlHeroes::new(database.clone()),
            children: SqlChildren::new(database.clone()),
            stories: SqlStories::new(database.clone()),
            database,
        }
    }

    pub(crate) async fn child(&self, name: &str) -> Child {
        let child = Child::new(child_draft(name));
        self.children.save(child).await.unwrap().as_ref().clone()
    }

    pub(crate) async fn hero(&self, name: &str) -> Hero {
        let hero = Hero::new(hero_draft(name));
        self.heroes.save(hero).await.unwrap().as_ref().clone()
    }

    pub(crate) async fn story(&self, child: Option<Uuid>, hero: Option<Uuid>) -> Story {
        let mut draft = story_draft("A story");
        draft.child_id = child;
        draft.hero_id = hero;
        let story = self.stories.save(Story::new(draft)).await.unwrap();
        story.as_ref().clone()
    }

    pub(crate) async fn stored_story(&self, id: Uuid) -> Story {
        let story = self.stories.find_by_id(&id).await.unwrap();
        story.expect("the story is stored").as_ref().clone()
    }
}

/// Connects a separate cache without a server.
pub(crate) async fn cache_in_memory() -> CacheService {
    let settings = Settings::from_pairs([("REDIS_URL", "memory://")]);
    let config = CacheConfig::from_settings(&settings).unwrap();
    CacheService::connect(config).await
}

/// Options with long waits, so that a busy machine fails no test.
pub(crate) fn patient() -> DatabaseOptions {
    DatabaseOptions {
        acquire_timeout: Duration::from_secs(30),
        ..DatabaseOptions::default()
    }
}

/// Runs the test on SQLite in a file and in memory, and on PostgreSQL.
pub(crate) async fn on_every_database(test: impl AsyncFn(World)) {
    let directory = TempDir::new().unwrap();
    let file = format!("sqlite:{}", directory.path().join("tales.db").display());
    test(World::open("SQLite in a file", &file).await).await;
    test(World::open("SQLite in memory", "sqlite::memory:").await).await;
    if let Some(url) = postgres_database() {
        test(World::open("PostgreSQL", &url).await).await;
    }
}

/// Returns the URL of an empty database on a server that all tests share.
/// Returns `None` if PostgreSQL is not installed and the tests may skip it.
pub(crate) fn postgres_database() -> Option<String> {
    static SERVER: OnceLock<Option<PostgresServer>> = OnceLock::new();
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let server = SERVER.get_or_init(|| match PostgresServer::start() {
        Ok(server) => Some(server),
        Err(StartError::Missing { .. }) if std::env::var_os("CI").is_none() => {
            eprintln!("skipped on PostgreSQL, which is not installed");
            None
        }
        Err(error) => panic!("{error}"),
    });
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    Some(server.as_ref()?.create_database(&format!("tales{number}")))
}

pub(crate) fn hero_draft(name: &str) -> HeroDraft {
    HeroDraft {
        name: name.to_owned(),
        age: 30,
        gender: Gender::Female,
        appearance: "A green cloak".to_owned(),
        personality_traits: vec!["brave".to_owned(), "весёлая".to_owned()],
        interests: vec![],
        strengths: vec!["climbs any tree".to_owned()],
        language: Language::En,
    }
}

pub(crate) fn child_draft(name: &str) -> ChildDraft {
    ChildDraft {
        name: name.to_owned(),
        age: 7,
        gender: Gender::Male,
        interests: vec!["trains".to_owned()],
    }
}

pub(crate) fn story_draft(title: &str) -> StoryDraft {
    StoryDraft {
        title: title.to_owned(),
        content: "Once upon a time".to_owned(),
        moral: "Be kind.".to_owned(),
        language: Language::Ru,
        child_id: None,
        child_name: None,
        hero_id: None,
        rating: None,
        story_length: None,
        audio_file: None,
        model_used: None,
        full_response: None,
        generation_info: None,
    }
}
