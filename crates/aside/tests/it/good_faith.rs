//! Plausible mistakes of a service: they are corrected or reported.

use std::sync::Arc;
use std::time::Duration;

use aside::{
    CacheStrategy, CachedRepository, Entity, Freshness, Repository, Source, Tier,
    entity::Dependents,
};
use serde::{Deserialize, Serialize};

use crate::database::{Table, Versioned};
use crate::entities::{Book, Hero, book, hero, named, speaking};
use crate::world::World;

/// A hero without its languages, as a report reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Entity)]
#[entity(kind = "hero")]
struct HeroName {
    #[entity(id)]
    id: u32,
    name: String,
}

impl Versioned for HeroName {}

#[tokio::test]
#[should_panic(expected = "two types are cached as the kind `hero`")]
async fn a_second_type_of_one_kind_is_refused() {
    let world = World::in_memory();
    let instance = world.instance().await;
    let _ = CachedRepository::new(Table::<HeroName>::new(), &instance.cache);
}

#[tokio::test]
#[should_panic(expected = "two types are cached as the kind `hero`")]
async fn a_second_type_with_a_strategy_is_refused() {
    let world = World::in_memory();
    let instance = world.instance().await;
    instance
        .cache
        .register::<HeroName>(aside::entity::DefaultStrategy);
}

#[derive(Debug)]
struct For(Duration);

impl CacheStrategy<Hero> for For {
    fn default_ttl(&self) -> Option<Duration> {
        Some(self.0)
    }

    fn negative_ttl(&self) -> Duration {
        Duration::ZERO
    }
}

const HOUR: For = For(Duration::from_secs(3600));

#[tokio::test]
async fn a_strategy_per_request_keeps_the_entries() {
    let world = World::in_memory();
    let instance = world.instance().await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    for request in 0..20 {
        let heroes =
            CachedRepository::new(world.heroes.clone(), &instance.cache).with_strategy(HOUR);
        let answer = heroes.find_by_id_with(&mia.id, Freshness::Any).await;
        let tier = answer.unwrap().tier;
        assert!(request < 2 || tier == Tier::Local, "{request}: {tier:?}");
    }
    assert_eq!(world.heroes.queries().by_id, 1);
}

/// Counts how often it is asked, and shows it.
#[derive(Debug, Default)]
struct Counting(std::sync::atomic::AtomicU64);

impl CacheStrategy<Hero> for Counting {
    fn dependents(&self, _: &Hero, _: &mut Dependents<'_>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_strategy_with_state_keeps_the_entries() {
    let world = World::in_memory();
    let instance = world.instance().await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    for request in 0..20 {
        let heroes = CachedRepository::new(world.heroes.clone(), &instance.cache)
            .with_strategy(Counting::default());
        let answer = heroes.find_by_id_with(&mia.id, Freshness::Any).await;
        let tier = answer.unwrap().tier;
        assert!(request < 2 || tier == Tier::Local, "{request}: {tier:?}");
        heroes.save(hero("Leo", "de")).await.unwrap();
    }
}

#[tokio::test]
async fn a_kind_of_no_ttl_asks_redis_once() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    let heroes = CachedRepository::new(world.heroes.clone(), &instance.cache)
        .with_strategy(For(Duration::ZERO));
    heroes.find_by_id(&mia.id).await.unwrap();
    world.redis().reset_stats();
    for _ in 0..20 {
        heroes.find_by_id(&mia.id).await.unwrap();
    }
    // The end of the first one's lease may come late.
    assert!(world.redis().calls("evalsha") <= 1);
    assert_eq!(world.heroes.queries().by_id, 21);
}

#[tokio::test]
async fn requests_with_a_strategy_share_one_load() {
    let world = World::in_memory();
    let instance = world.instance().await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    let mut stopped = world.heroes.stop_at(crate::database::Place::AfterRead);
    let read = || {
        let heroes =
            CachedRepository::new(world.heroes.clone(), &instance.cache).with_strategy(HOUR);
        let id = mia.id;
        tokio::spawn(async move { heroes.find_by_id(&id).await.unwrap() })
    };
    let first = read();
    stopped.reached().await;
    let others: Vec<_> = (0..10).map(|_| read()).collect();
    tokio::task::yield_now().await;
    stopped.go_on();
    first.await.unwrap();
    for other in others {
        other.await.unwrap();
    }
    assert_eq!(world.heroes.queries().by_id, 1);
}

#[tokio::test]
async fn a_strategy_of_another_state_replaces_the_first() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    let brief = For(Duration::from_secs(7));
    let _ = CachedRepository::new(world.heroes.clone(), &instance.cache).with_strategy(HOUR);
    let heroes = CachedRepository::new(world.heroes.clone(), &instance.cache).with_strategy(brief);
    heroes.find_by_id(&mia.id).await.unwrap();
    world.filled(&mia.key()).await;
    let left = instance.cache.ttl(&mia.key()).await.left().unwrap();
    assert!(left <= Duration::from_secs(7), "{left:?}");
}

#[tokio::test]
async fn a_list_found_empty_lives_as_long_as_an_absence() {
    let world = World::new();
    let instance = world.instance().await;
    assert_eq!(
        instance.heroes.find_one_by(&named("Ann")).await.unwrap(),
        None
    );
    world.filled("hero:name:Ann").await;
    let left = instance.cache.ttl("hero:name:Ann").await.left().unwrap();
    assert!(left <= Duration::from_secs(60), "{left:?}");
    instance.heroes.find_by(&named("Ann")).await.unwrap();
    let stats = instance.cache.stats();
    let negative: u64 = stats.kinds.iter().map(|kind| kind.negative_hits).sum();
    assert_eq!(negative, 1);
}

#[tokio::test]
async fn without_absences_no_empty_list_is_cached() {
    let world = World::new();
    let instance = world.instance().await;
    let heroes = CachedRepository::new(world.heroes.clone(), &instance.cache).with_strategy(HOUR);
    for spelling in ["ann@example.org", "Ann@Example.org"] {
        assert_eq!(heroes.find_one_by(&named(spelling)).await.unwrap(), None);
        assert!(
            heroes
                .find_by(&speaking(spelling))
                .await
                .unwrap()
                .is_empty()
        );
    }
    // Another program adds the row.
    world
        .heroes
        .insert(&hero("ann@example.org", "ann@example.org"));
    let found = heroes.find_one_by(&named("ann@example.org")).await;
    assert!(found.unwrap().is_some());
    let found = heroes.find_by(&speaking("ann@example.org")).await;
    assert_eq!(found.unwrap().len(), 1);
}

/// A book that names its hero affects the lists of heroes.
#[derive(Debug)]
struct ConcernsHeroes;

impl CacheStrategy<Book> for ConcernsHeroes {
    fn dependents(&self, _: &Book, keys: &mut Dependents<'_>) {
        keys.all::<Hero>();
    }
}

#[tokio::test]
async fn a_job_that_registers_a_kind_invalidates_its_dependents() {
    let world = World::in_memory();
    let service = world.instance().await;
    let job = aside::CacheService::connect(world.config()).await;
    job.register::<Book>(ConcernsHeroes);
    service.heroes.list_all().await.unwrap();
    assert!(world.heroes.queries().all > 0);

    let mut write = job.write();
    write.created(&book("1", "A tale", 1970));
    let _ = write.before_commit().await;
    write.committed().await;

    service.heroes.list_all().await.unwrap();
    assert_eq!(world.heroes.queries().all, 1);
    assert_eq!(job.stats().errors.get("unregistered_kind"), None);
}

#[tokio::test]
async fn a_job_that_registers_nothing_counts_an_error() {
    let world = World::in_memory();
    let job = aside::CacheService::connect(world.config()).await;
    for id in ["1", "2"] {
        let mut write = job.write();
        write.created(&book(id, "A tale", 1970));
        let _ = write.before_commit().await;
        write.committed().await;
    }
    assert_eq!(job.stats().errors.get("unregistered_kind"), Some(&2));
}

#[tokio::test]
async fn a_write_of_a_second_type_of_a_kind_counts_an_error() {
    let world = World::in_memory();
    let instance = world.instance().await;
    let mut write = instance.cache.write();
    let name = "Mia".to_owned();
    write.created(&HeroName { id: 1, name });
    let _ = write.before_commit().await;
    write.committed().await;
    assert_eq!(
        instance.cache.stats().errors.get("unregistered_kind"),
        Some(&1)
    );
}

#[tokio::test]
async fn a_write_of_a_second_type_forgets_the_whole_kind() {
    let world = World::in_memory();
    let instance = world.instance().await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    instance.heroes.find_by(&speaking("en")).await.unwrap();
    world.heroes.queries();

    // It knows of no language.
    let mut write = instance.cache.write();
    let name = "Mia".to_owned();
    write.deleted(&HeroName { id: 1, name });
    let _ = write.before_commit().await;
    write.committed().await;

    instance.heroes.find_by(&speaking("en")).await.unwrap();
    assert_eq!(world.heroes.queries().by_index, 1);
}

#[tokio::test]
async fn a_service_that_caches_nothing_counts_no_error() {
    let world = World::in_memory();
    let config = aside::CacheConfig {
        redis_enabled: false,
        ..world.config()
    };
    let off = aside::CacheService::connect(config).await;
    off.write()
        .created(&Arc::new(book("1", "A tale", 1970)).as_ref().clone());
    assert_eq!(off.stats().errors.get("unregistered_kind"), None);
}

#[tokio::test]
async fn an_upsert_invalidates_the_lists_of_both_rows() {
    let world = World::in_memory();
    let instance = world.instance().await;
    let (before, after) = (hero("Mia", "en"), hero("Mia", "de"));
    for (known, queries) in [(Some(&before), 2), (None, 1)] {
        for language in ["en", "de"] {
            instance.heroes.find_by(&speaking(language)).await.unwrap();
        }
        world.heroes.queries();
        let mut write = instance.cache.write();
        write.upserted(known, &after);
        let _ = write.before_commit().await;
        write.committed().await;
        for language in ["en", "de"] {
            instance.heroes.find_by(&speaking(language)).await.unwrap();
        }
        assert_eq!(world.heroes.queries().by_index, queries);
    }
}

/// An author whose shelf changes with each of its rows.
#[derive(Clone, Debug, Serialize, Deserialize, Entity)]
#[entity(kind = "author", dependents = "shelves_of")]
struct Author {
    #[entity(id)]
    id: u32,
    shelf: String,
}

fn shelves_of(author: &Author, keys: &mut Dependents<'_>) {
    keys.row::<Book>(&author.shelf);
}

#[tokio::test]
async fn dependents_of_a_type_are_known_to_every_writer() {
    let world = World::in_memory();
    let service = world.instance().await;
    let job = aside::CacheService::connect(world.config()).await;
    for shelf in ["old", "new"] {
        world.books.insert(&book(shelf, "A shelf", 1970));
        service.books.find_by_id(&shelf.to_owned()).await.unwrap();
    }
    world.books.queries();

    let author = |shelf: &str| Author {
        id: 1,
        shelf: shelf.to_owned(),
    };
    let mut write = job.write();
    write.updated(&author("old"), &author("new"));
    let _ = write.before_commit().await;
    write.committed().await;

    for shelf in ["old", "new"] {
        service.books.find_by_id(&shelf.to_owned()).await.unwrap();
    }
    assert_eq!(world.books.queries().by_id, 2);
}
