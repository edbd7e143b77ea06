//! Advice on real reads and writes, under a paused clock.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use aside_redis::Secret;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::advance;

use crate::cached_repository::CachedRepository;
use crate::config::CacheConfig;
use crate::config::prefetch::PrefetchMode;
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

/// Reads 1,000 rows every ten minutes for eight hours, while another program changes the
/// rows of one remainder by `part` every hour. Returns the advice on the TTL.
async fn advice_on_ttl(part: u32) -> Option<Advice> {
    let cache = service(|_| {}).await;
    let stories = Stories::of(1_000);
    let cached = CachedRepository::new(stories.clone(), &cache);
    for hour in 0..8 {
        let changed = (0..1_000).filter(|id| id % part == hour % part);
        for id in changed {
            stories.0.lock().entry(id).and_modify(|row| row.words += 1);
        }
        for _ in 0..6 {
            for id in 0..1_000 {
                cached.find_by_id(&id).await.unwrap();
            }
            advance(Duration::from_secs(600)).await;
        }
    }
    let mut advice = cache.advice().into_iter();
    advice.find(|advice| advice.rule == "longer-ttl")
}

#[tokio::test(start_paused = true)]
async fn a_ttl_is_advised_if_one_row_of_20_changes_in_it() {
    let _world = simulated::begin(None);
    let advice = advice_on_ttl(20).await.expect("advice on the TTL");
    assert_eq!(advice.set, "CACHE_STORY_TTL=14400");
    // The changed part, with its error.
    let numbers = advice.evidence.split(|c: char| !c.is_ascii_digit());
    let numbers: Vec<f64> = numbers.filter_map(|text| text.parse().ok()).collect();
    let changed = 1.0 - numbers[0] / numbers[1];
    assert!(200.0 < numbers[1], "{}", advice.evidence);
    assert!((0.02..0.09).contains(&changed), "{}", advice.evidence);
}

#[tokio::test(start_paused = true)]
async fn no_ttl_is_advised_if_one_row_of_2_changes_in_it() {
    let _world = simulated::begin(None);
    assert_eq!(advice_on_ttl(2).await, None);
}

/// Reads rows, a few of them far more often than others. Returns the hit ratio in
/// percent, and the advice on memory.
async fn hits_with(capacity: usize) -> (f64, Option<Advice>) {
    const ROWS: u32 = 20_000;
    let cache = service(|config| {
        config.l1_capacity_bytes = capacity;
        config.prefetch = PrefetchMode::Off;
    })
    .await;
    let cached = CachedRepository::new(Stories::of(ROWS), &cache);
    let mut draws = fastrand::Rng::with_seed(7);
    for _ in 0..120_000 {
        // Of a density that falls with the row.
        let id = (f64::from(ROWS).powf(draws.f64()) - 1.0) as u32;
        let id = id.wrapping_mul(7_919) % ROWS;
        cached.find_by_id(&id).await.unwrap();
    }
    advance(HOUR).await;
    let hits = 100.0 * cache.curves()[0].hit_ratio;
    let mut advice = cache.advice().into_iter();
    (hits, advice.find(|advice| advice.rule == "memory"))
}

#[tokio::test(start_paused = true)]
async fn the_advised_memory_gains_as_promised() {
    let _world = simulated::begin(None);
    let capacity = 512 << 10;
    let (before, advice) = hits_with(capacity).await;
    let advice = advice.expect("advice on memory");
    assert_eq!(advice.set, "CACHE_L1_CAPACITY=1MiB");
    let promised = advice.gain.split_once("-> ").unwrap().1;
    let promised: f64 = promised.split_once(" %").unwrap().0.parse().unwrap();

    let (after, _) = hits_with(2 * capacity).await;

    assert!(before + 1.0 < after, "{before} {after}");
    assert!((after - promised).abs() < 1.5, "{after}: {}", advice.gain);
}
