//! Heroes in memory, and services that cache them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use aside::{
    CacheConfig, CacheService, CachedRepository, Entity, Repository, Rows, Secret, Source, Write,
};
use serde::{Deserialize, Serialize};

use crate::SOON;

/// The entity that the tests cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Entity)]
#[entity(kind = "hero", index(exact = (name, age)))]
pub(crate) struct Hero {
    #[entity(id)]
    pub(crate) id: String,
    #[entity(index)]
    pub(crate) name: String,
    #[entity(index = "lang")]
    pub(crate) language: String,
    pub(crate) age: u8,
}

/// Returns a hero with this language.
pub(crate) fn hero(id: &str, name: &str, language: &str) -> Hero {
    Hero {
        id: id.into(),
        name: name.into(),
        language: language.into(),
        age: 30,
    }
}

/// A source of truth in memory, shared by its clones.
#[derive(Clone, Default)]
pub(crate) struct Heroes(Arc<Mutex<BTreeMap<String, Arc<Hero>>>>);

impl Heroes {
    pub(crate) fn with(heroes: impl IntoIterator<Item = Hero>) -> Self {
        let all = Self::default();
        for hero in heroes {
            all.put(hero);
        }
        all
    }

    /// Writes a row without the cache's knowledge.
    pub(crate) fn put(&self, hero: Hero) {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.insert(hero.id.clone(), Arc::new(hero));
    }

    fn rows(&self, wanted: impl Fn(&Hero) -> bool) -> Rows<Hero> {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.values().filter(|row| wanted(row)).cloned().collect()
    }

    fn row(&self, id: &str) -> Option<Arc<Hero>> {
        self.rows(|row| row.id == id).first().cloned()
    }
}

impl Source for Heroes {
    type Entity = Hero;
    type Error = Infallible;

    async fn find_by_id(&self, id: &String) -> Result<Option<Arc<Hero>>, Infallible> {
        Ok(self.row(id))
    }

    async fn find_many(&self, ids: &[String]) -> Result<Vec<Option<Arc<Hero>>>, Infallible> {
        Ok(ids.iter().map(|id| self.row(id)).collect())
    }

    async fn find_by(&self, index: &HeroIndex) -> Result<Rows<Hero>, Infallible> {
        Ok(self.rows(|row| match index {
            HeroIndex::Name(name) => row.name == *name,
            HeroIndex::Language(language) => row.language == *language,
            HeroIndex::Exact { name, age } => row.name == *name && row.age == *age,
        }))
    }

    async fn list_all(&self) -> Result<Rows<Hero>, Infallible> {
        Ok(self.rows(|_| true))
    }

    fn overloaded(&self, _: aside::repository::Overloaded) -> Infallible {
        unreachable!("memory has a place for every load")
    }
}

impl Repository for Heroes {
    async fn save_in(&self, row: Hero, write: &mut Write) -> Result<Arc<Hero>, Infallible> {
        write.created(&row);
        let _ = write.before_commit().await;
        self.put(row.clone());
        Ok(Arc::new(row))
    }

    async fn update_in(
        &self,
        row: Hero,
        write: &mut Write,
    ) -> Result<Option<Arc<Hero>>, Infallible> {
        let Some(before) = self.row(&row.id) else {
            return Ok(None);
        };
        write.updated(&*before, &row);
        let _ = write.before_commit().await;
        self.put(row.clone());
        Ok(Some(Arc::new(row)))
    }

    async fn delete_in(&self, id: &String, write: &mut Write) -> Result<bool, Infallible> {
        let Some(before) = self.row(id) else {
            return Ok(false);
        };
        write.deleted(&*before);
        let _ = write.before_commit().await;
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(rows.remove(id).is_some())
    }
}

/// One instance of a service: its cache and its cached heroes.
pub(crate) struct Instance {
    pub(crate) cache: CacheService,
    pub(crate) heroes: CachedRepository<Heroes>,
}

impl Instance {
    /// Starts an instance over `source` and the Redis at `url`.
    pub(crate) async fn start(url: &str, source: &Heroes) -> Self {
        Self::start_with(CacheConfig::default(), url, source).await
    }

    pub(crate) async fn start_with(config: CacheConfig, url: &str, source: &Heroes) -> Self {
        let cache = CacheService::connect(CacheConfig {
            redis_url: Secret::new(url),
            ..config
        })
        .await;
        let heroes = CachedRepository::new(source.clone(), &cache);
        Self { cache, heroes }
    }

    /// Returns the hero's name as this instance reads it.
    pub(crate) async fn name_of(&self, id: &str) -> Option<String> {
        let Ok(row) = self.heroes.find_by_id(&id.to_owned()).await;
        row.map(|row| row.name.clone())
    }

    /// Reads the row until Redis has it. A read may bypass Redis, as just after a
    /// failover, and then leaves nothing there.
    pub(crate) async fn cache_row(&self, id: &str, key: &str) {
        aside_testkit::eventually(SOON, &format!("a value under {key}"), async || {
            self.name_of(id).await;
            self.cache.get(key).await
        })
        .await;
    }

    /// Waits until a running fill is done.
    pub(crate) async fn wait_for(&self, key: &str) {
        aside_testkit::eventually(SOON, &format!("a value under {key}"), async || {
            self.cache.get(key).await
        })
        .await;
    }
}
