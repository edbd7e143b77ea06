//! Advice on real reads and writes, under a paused clock.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use aside_redis::Secret;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::advance;

use super::CachedRepository;
use crate::config::CacheConfig;
use crate::entity::Rows;
use crate::report::Advice;
use crate::repository::{Overloaded, Row, Source};
use crate::runtime::simulated;
use crate::service::CacheService;

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, crate::Entity)]
#[entity(kind = "story", crate = "crate")]
struct Story {
    #[entity(id)]
    id: u32,
    #[entity(index)]
    author: String,
    words: u32,
}

fn story(id: u32) -> Story {
    Story {
        id,
        author: "Ada".to_owned(),
        words: 100,
    }
}

/// A table whose rows any program may change.
#[derive(Clone, Default)]
struct Stories(Arc<Mutex<BTreeMap<u32, Story>>>);

impl Stories {
    fn of(count: u32) -> Self {
        let rows = (0..count).map(|id| (id, story(id)));
        Self(Arc::new(Mutex::new(rows.collect())))
    }
}

impl Source for Stories {
    type Entity = Story;
    type Error = Infallible;

    async fn find_by_id(&self, id: &u32) -> Result<Option<Row<Self>>, Infallible> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(self.0.lock().get(id).cloned().map(Arc::new))
    }

    async fn find_many(&self, ids: &[u32]) -> Result<Vec<Option<Row<Self>>>, Infallible> {
        let rows = self.0.lock();
        Ok(ids
            .iter()
            .map(|id| rows.get(id).cloned().map(Arc::new))
            .collect())
    }

    async fn find_by(
        &self,
        StoryIndex::Author(author): &StoryIndex,
    ) -> Result<Rows<Story>, Infallible> {
        let rows = self.0.lock();
        let rows = rows.values().filter(|row| row.author == *author);
        Ok(rows.cloned().map(Arc::new).collect())
    }

    async fn list_all(&self) -> Result<Rows<Story>, Infallible> {
        Ok(self.0.lock().values().cloned().map(Arc::new).collect())
    }

    fn overloaded(&self, _: Overloaded) -> Infallible {
        unreachable!("nothing is away")
    }
}

async fn service(change: impl FnOnce(&mut CacheConfig)) -> CacheService {
    let mut config = CacheConfig {
        redis_url: Secret::new("memory://"),
        ..CacheConfig::default()
    };
    change(&mut config);
    CacheService::connect(config).await
}

/// Writes a row as a caller's own transaction does.
async fn write(cache: &CacheService, stories: &Stories, id: u32) {
    let before = story(id);
    let after = Story {
        words: before.words + 1,
        ..before.clone()
    };
    let mut write = cache.write();
    write.updated(&before, &after);
    assert!(write.before_commit().await.is_empty());
    stories.0.lock().insert(id, after);
    write.committed().await;
}

fn rules(advice: &[Advice]) -> Vec<&'static str> {
    advice.iter().map(|advice| advice.rule).collect()
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_reads_and_writes_names_unread_lists() {
    let _world = simulated::begin(None);
    let cache = service(|_| {}).await;
    let stories = Stories::of(20);
    let cached = CachedRepository::new(stories.clone(), &cache);
    for at in 0..1_500_u32 {
        cached.find_by_id(&(at % 20)).await.unwrap();
    }
    for id in 0..150 {
        write(&cache, &stories, id % 20).await;
    }
    cached.list_all().await.unwrap();

    assert_eq!(cache.advice(), [], "before the end of an hour");

    advance(HOUR).await;
    let advice = cache.advice();
    assert_eq!(rules(&advice), ["unread-index", "list-of-all"]);
    assert_eq!(
        advice[0].set,
        "remove #[entity(index)] of `author` from Story"
    );

    // Read by the index once, it is in use.
    let index = StoryIndex::Author("Ada".to_owned());
    cached.find_by(&index).await.unwrap();
    assert_eq!(rules(&cache.advice()), ["list-of-all"]);
}
