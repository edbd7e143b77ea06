//! Rows that are fetched before they are read.

use aside::settings::PrefetchMode;
use aside::{CacheConfig, CacheStrategy, CachedRepository, Entity, Freshness, Repository, Source};

use crate::entities::{Hero, hero};
use crate::world::{Instance, World, on_both};

/// More heroes than the local tier has room for, so that most reads pass it.
const HEROES: usize = 60;
const ROOM_BYTES: usize = 4_096;

fn heroes(world: &World) -> Vec<Hero> {
    let heroes: Vec<Hero> = (0..HEROES).map(|n| hero(&format!("{n}"), "en")).collect();
    heroes.iter().for_each(|hero| world.heroes.insert(hero));
    heroes
}

fn config(world: &World, prefetch: PrefetchMode) -> CacheConfig {
    CacheConfig {
        prefetch,
        l1_capacity_bytes: ROOM_BYTES,
        ..world.config()
    }
}

/// Reads rows one after another in a task, as a loop over a list does.
async fn read_in_turn<R>(cached: &CachedRepository<R>, heroes: &[Hero], times: usize)
where
    R: Source<Entity = Hero> + 'static,
    R::Error: std::fmt::Debug,
{
    let (cached, heroes) = (cached.clone(), heroes.to_vec());
    let reading = tokio::spawn(async move {
        for hero in (0..times).flat_map(|_| &heroes) {
            let found = cached.find_by_id(&hero.id).await.expect("no fault");
            assert_eq!(found.as_deref(), Some(hero));
        }
    });
    reading.await.expect("the reads succeed");
}

fn count(instance: &Instance, fate: &str) -> u64 {
    let kinds = instance.cache.stats().kinds;
    let hero = kinds.iter().find(|kind| kind.kind == "hero");
    hero.and_then(|kind| kind.prefetched.get(fate).copied())
        .unwrap_or(0)
}

/// Returns the first hero that was fetched and not read.
async fn fetched_ahead<'a>(instance: &Instance, heroes: &'a [Hero]) -> Option<&'a Hero> {
    for hero in heroes {
        if instance.cache.explain(&hero.key()).await.prefetched {
            return Some(hero);
        }
    }
    None
}

/// Returns an instance that has learnt the order of the heroes, and one of them that is
/// fetched and not read.
async fn learnt(world: &World) -> (Instance, Vec<Hero>, Hero) {
    let instance = world.instance_with(config(world, PrefetchMode::Auto)).await;
    let heroes = heroes(world);
    read_in_turn(&instance.heroes, &heroes, 4).await;
    // Some read begins a batch, and the task ends before it reads the rest.
    for begin in 0..HEROES - 1 {
        read_in_turn(&instance.heroes, &heroes[begin..=begin], 1).await;
        for _ in 0..50 {
            if let Some(ahead) = fetched_ahead(&instance, &heroes).await {
                let ahead = ahead.clone();
                return (instance, heroes, ahead);
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }
    panic!("nothing was fetched: {:?}", instance.cache.prefetch_state());
}

#[tokio::test]
async fn rows_that_are_read_in_turn_are_fetched_together() {
    let world = World::in_memory();
    let heroes = heroes(&world);
    let mut trips = Vec::new();
    for mode in [PrefetchMode::Off, PrefetchMode::Auto] {
        let instance = world.instance_with(config(&world, mode)).await;
        instance
            .cache
            .slow_memory(std::time::Duration::from_millis(1));
        read_in_turn(&instance.heroes, &heroes, 4).await;
        let (before, _) = instance.cache.memory_traffic();
        read_in_turn(&instance.heroes, &heroes, 4).await;
        let (after, _) = instance.cache.memory_traffic();
        instance.cache.slow_memory(std::time::Duration::ZERO);
        trips.push(after - before);
        assert_eq!(mode == PrefetchMode::Auto, 0 < count(&instance, "used"));
    }
    assert!(2 * trips[1] < trips[0], "{trips:?}");
}

#[tokio::test]
async fn a_row_fetched_ahead_is_not_served_after_its_write() {
    on_both(async |world| {
        let (instance, _, ahead) = learnt(&world).await;
        let other = world.instance().await;
        let renamed = ahead.renamed("Maria");
        other.heroes.update(renamed).await.unwrap().unwrap();
        let read = tokio::spawn({
            let (heroes, id) = (instance.heroes.clone(), ahead.id);
            async move { heroes.find_by_id_with(&id, Freshness::Shared).await }
        });
        let fresh = read.await.unwrap().unwrap().value.unwrap();
        assert_eq!(fresh.name, "Maria");
        let found = instance.heroes.find_by_id(&ahead.id).await.unwrap();
        assert_eq!(found.unwrap().name, "Maria");
    })
    .await;
}

#[tokio::test]
async fn a_read_that_skips_the_local_tier_discards_the_row_fetched_ahead() {
    let world = World::in_memory();
    let (instance, _, ahead) = learnt(&world).await;
    for freshness in [Freshness::Shared, Freshness::Source] {
        let read = instance.heroes.find_by_id_with(&ahead.id, freshness).await;
        assert!(read.unwrap().value.is_some());
        assert!(!instance.cache.explain(&ahead.key()).await.prefetched);
    }
}

#[tokio::test]
async fn a_read_of_many_takes_a_row_fetched_ahead() {
    let world = World::in_memory();
    let (instance, _, ahead) = learnt(&world).await;
    let used = count(&instance, "used");
    let found = instance.heroes.find_many(&[ahead.id]).await.unwrap();
    assert_eq!(found[0].as_deref(), Some(&ahead));
    assert_eq!(count(&instance, "used"), used + 1);
    assert!(!instance.cache.explain(&ahead.key()).await.prefetched);
}

#[tokio::test]
async fn switching_off_discards_what_was_fetched_ahead() {
    let world = World::in_memory();
    let (instance, heroes, _) = learnt(&world).await;
    instance.cache.prefetch(PrefetchMode::Off);
    assert_eq!(instance.cache.prefetch_state().rows, 0);
    let batches = instance.cache.prefetch_state().batches;
    read_in_turn(&instance.heroes, &heroes, 2).await;
    assert_eq!(instance.cache.prefetch_state().batches, batches);
}

#[tokio::test]
async fn names_alone_cost_no_read_of_redis() {
    let world = World::in_memory();
    let heroes = heroes(&world);
    let instance = world
        .instance_with(config(&world, PrefetchMode::Names))
        .await;
    read_in_turn(&instance.heroes, &heroes, 4).await;
    let state = instance.cache.prefetch_state();
    assert_eq!((state.batches, state.keys), (0, HEROES));
    assert!(0 < state.rows, "names are guessed: {state:?}");
}

/// A kind that is not fetched ahead.
#[derive(Debug)]
struct Never;

impl<E: Entity> CacheStrategy<E> for Never {
    fn prefetch(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn a_strategy_can_refuse_to_be_fetched_ahead() {
    let world = World::in_memory();
    let heroes = heroes(&world);
    let instance = world
        .instance_with(config(&world, PrefetchMode::Auto))
        .await;
    let cached = instance.heroes.clone().with_strategy(Never);
    read_in_turn(&cached, &heroes, 4).await;
    assert_eq!(instance.cache.prefetch_state().keys, 0);
}

#[tokio::test]
async fn a_named_context_spans_tasks() {
    let world = World::in_memory();
    let heroes = heroes(&world);
    let instance = world
        .instance_with(config(&world, PrefetchMode::Auto))
        .await;
    // Each read in another task: by tasks alone, nothing follows anything.
    for request in 0..5 {
        for hero in &heroes {
            let (cached, id) = (instance.heroes.clone(), hero.id);
            let read = async move { cached.find_by_id(&id).await.unwrap() };
            let name = format!("request {request}");
            let read = instance.cache.context(&name, read);
            assert!(tokio::spawn(read).await.unwrap().is_some());
        }
    }
    assert!(0 < count(&instance, "used") + count(&instance, "late"));
}
