//! Forged messages and values cost time, and make no read wrong.

use std::time::{Duration, Instant};

use aside::{CacheConfig, CacheService, Freshness, Repository, Source, Tier, events::Invalidation};
use aside_testkit::{Reply, eventually};

use crate::entities::{Hero, hero, named, speaking};
use crate::world::{Instance, SOON, World};

/// A channel and a hash as they are named without a namespace.
const CHANNEL: &str = "aside:invalidate";
const EPOCHS: &str = "aside:epochs";

fn publish(world: &World, text: &str) {
    world.redis().command(&["PUBLISH", CHANNEL, text]);
}

fn epoch(world: &World) -> Option<u64> {
    let field = world.redis().command(&["HGET", EPOCHS, "hero"]);
    field.text()?.parse().ok()
}

/// Returns a server's clock, in milliseconds.
fn server_time(world: &World) -> u64 {
    let Reply::Array(time) = world.redis().command(&["TIME"]) else {
        panic!("TIME");
    };
    time[0].text().unwrap().parse::<u64>().unwrap() * 1000
}

/// Four PINGs in this time undo a forged message.
fn quick_config(world: &World) -> CacheConfig {
    CacheConfig {
        max_staleness: Duration::from_millis(400),
        ..world.config()
    }
}

async fn quick(world: &World) -> Instance {
    world.instance_with(quick_config(world)).await
}

/// Stores a row that no instance has cached.
fn stored_hero(world: &World) -> Hero {
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    mia
}

/// Waits until an instance returns the row with its new name.
async fn reads_mimi(instance: &Instance, id: &uuid::Uuid) {
    eventually(SOON, "the new row", async || {
        let row = instance.heroes.find_by_id(id).await.unwrap();
        row.unwrap().name == "Mimi"
    })
    .await;
}

/// Waits until a row comes from Redis, and from the process.
async fn caches(instance: &Instance, id: &uuid::Uuid) {
    for (freshness, tier) in [
        (Freshness::Shared, Tier::Shared),
        (Freshness::Any, Tier::Local),
    ] {
        eventually(SOON, &format!("a row from {tier:?}"), async || {
            let answer = instance.heroes.find_by_id_with(id, freshness).await;
            answer.unwrap().tier == tier
        })
        .await;
    }
}

#[tokio::test]
async fn no_published_epoch_ends_caching() {
    let world = World::new();
    let (one, other) = (world.instance().await, world.instance().await);
    let mia = stored_hero(&world);
    for epoch in [
        "9007199254740991",
        "18446744073709551615",
        "9999999999999",
        "-000000000005",
        "+9999999999999",
    ] {
        publish(&world, &format!("E 0000000000000000 {epoch} hero"));
        caches(&one, &mia.id).await;
        caches(&other, &mia.id).await;
    }
    caches(&world.instance().await, &mia.id).await;
    assert!(one.errors("implausible_epoch") > 0);
}

#[tokio::test]
async fn an_epoch_that_no_server_can_have_given_is_healed() {
    let world = World::new();
    let (one, other) = (quick(&world).await, quick(&world).await);
    let mia = stored_hero(&world);
    for planted in [
        "9999999999999",
        "18446744073709551615",
        "-5",
        "a text",
        "",
        "0000000000000",
    ] {
        world.redis().command(&["HSET", EPOCHS, "hero", planted]);
        eventually(
            SOON,
            &format!("an epoch in place of {planted:?}"),
            async || {
                epoch(&world).is_some_and(|epoch| 0 < epoch && epoch < server_time(&world) + 90_000)
            },
        )
        .await;
        caches(&one, &mia.id).await;
        caches(&other, &mia.id).await;
    }
    // And a kind can still be forgotten.
    world.heroes.insert(&mia.renamed("Mimi"));
    one.heroes.invalidate(aside::Scope::Kind).await;
    for instance in [&one, &other] {
        reads_mimi(instance, &mia.id).await;
    }
}

#[tokio::test]
async fn an_epoch_of_a_clock_that_was_ahead_revives_nothing_older() {
    let world = World::new();
    let instance = quick(&world).await;
    let mia = stored_hero(&world);
    caches(&instance, &mia.id).await;
    // While the clock was ahead by half an hour, the row was filled and the kind
    // forgotten; then it was ahead by a year, and the kind was forgotten again.
    let value = world.raw(&mia.key()).unwrap();
    let ahead = server_time(&world) + 30_000;
    let of_then = format!("{}{ahead:013}{}", &value[..17], &value[30..]);
    world.heroes.insert(&mia.renamed("Mimi"));
    let a_year = server_time(&world) + 365 * 24 * 3600 * 1000;
    world
        .redis()
        .command(&["HSET", EPOCHS, "hero", &format!("{a_year:013}")]);
    eventually(SOON, "a plausible epoch", async || {
        epoch(&world).is_some_and(|epoch| epoch < server_time(&world) + 90_000)
    })
    .await;
    eventually(SOON, "a read in step", async || {
        world
            .redis()
            .command(&["SET", &mia.key(), &of_then, "PX", "600000"]);
        let answer = instance
            .heroes
            .find_by_id_with(&mia.id, Freshness::Shared)
            .await
            .unwrap();
        assert_eq!(answer.value.unwrap().name, "Mimi");
        answer.bypass.is_none()
    })
    .await;
}

#[tokio::test]
async fn fields_and_messages_of_unknown_kinds_cost_nothing_lasting() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = stored_hero(&world);
    caches(&instance, &mia.id).await;
    let before = resident();
    for part in 0..100 {
        let fields = (0..1_000).map(|field| format!("k{part}_{field}_{}", "x".repeat(60)));
        let fields: Vec<String> = fields.collect();
        let mut words = vec!["HSET", EPOCHS];
        fields
            .iter()
            .for_each(|field| words.extend([field.as_str(), "1700000000000"]));
        world.redis().command(&words);
        let lines = fields
            .iter()
            .map(|kind| format!("E 0000000000000000 1700000000000 {kind}{}", "y".repeat(500)));
        publish(&world, &lines.collect::<Vec<_>>().join("\n"));
    }
    caches(&world.instance().await, &mia.id).await;
    caches(&instance, &mia.id).await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 40 << 20, "{grown} bytes more are resident");
}

/// Returns the resident memory of this process, in bytes.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[tokio::test]
async fn a_message_of_many_lines_is_one_forgetting() {
    let world = World::new();
    let instance = world.instance().await;
    let mut heard = instance.cache.subscribe();
    publish(&world, &"\n".repeat(1_000_000));
    publish(&world, "A 0000000000000000 hero:");
    let mut before = 0;
    while let Some(Invalidation::Unknown | Invalidation::Lagged(_)) = heard.next().await {
        before += 1;
    }
    assert_eq!(before, 1);
}

#[tokio::test]
async fn a_value_answers_for_its_own_key_alone() {
    let world = World::new();
    let instance = world.instance().await;
    for (name, language) in [("Mia", "en"), ("Max", "de")] {
        world.heroes.insert(&hero(name, language));
    }
    let english = instance.heroes.find_by(&speaking("en")).await.unwrap();
    assert_eq!(english.len(), 1);
    let nobody = instance.heroes.find_by(&named("nobody")).await.unwrap();
    assert!(nobody.is_empty());
    for other in ["hero:lang:en", "hero:name:nobody"] {
        world.filled(other).await;
        world
            .redis()
            .command(&["COPY", other, "hero:all", "REPLACE"]);
        let fresh = world.instance().await;
        assert_eq!(fresh.heroes.list_all().await.unwrap().len(), 2, "{other}");
        assert_eq!(fresh.errors("misplaced_value"), 1);
        // And the value that was filled instead is served.
        world.filled("hero:all").await;
        let again = world.instance().await;
        let all = again.heroes.list_all_with(Freshness::Shared).await.unwrap();
        assert_eq!((all.tier, all.value.len()), (Tier::Shared, 2));
    }
    // Nor does the absence of one row for that of another.
    let absent = uuid::Uuid::new_v4();
    assert!(instance.heroes.find_by_id(&absent).await.unwrap().is_none());
    world.filled(&format!("hero:{absent}")).await;
    let row = &english[0];
    world
        .redis()
        .command(&["COPY", &format!("hero:{absent}"), &row.key(), "REPLACE"]);
    let fresh = world.instance().await;
    assert!(fresh.heroes.find_by_id(&row.id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_forged_crowd_of_writers_does_not_stop_the_server() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    let now = server_time(&world);
    let record = |at| match at % 2 {
        0 => format!("{at:032x}{:013}", 1),
        _ => format!("{at:032x}{:013}", now + 500_000),
    };
    for records in [20_000, 4_000] {
        let crowd = format!("Qc{}", (0..records).map(record).collect::<String>());
        world
            .redis()
            .command(&["SET", "hero:all", &crowd, "PX", "500000"]);
        world.redis().reset_stats();
        let begun = Instant::now();
        instance.heroes.update((*mia).clone()).await.unwrap();
        let stats = world.redis().info("commandstats");
        let took = stats["cmdstat_evalsha"]
            .split(',')
            .find_map(|part| part.strip_prefix("usec="))
            .unwrap();
        let took = Duration::from_micros(took.parse().unwrap());
        assert!(
            took < Duration::from_millis(500),
            "{took:?} of {:?}",
            begun.elapsed()
        );
        assert!(instance.cache.is_synced());
    }
}

#[tokio::test]
async fn a_forged_writer_of_the_far_future_keeps_nothing_from_being_cached() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = stored_hero(&world);
    let forged = format!("Qc{:032x}9999999999999", 7);
    world
        .redis()
        .command(&["SET", &mia.key(), &forged, "PX", "99999999999"]);
    caches(&instance, &mia.id).await;
}

#[tokio::test]
async fn a_server_without_a_hash_of_its_own_gets_one() {
    let world = World::new();
    let cache = quick(&world).await;
    let mia = stored_hero(&world);
    for words in [
        ["DEL", EPOCHS].as_slice(),
        &["SET", EPOCHS, "a text"],
        &["DEL", EPOCHS],
        &["RPUSH", EPOCHS, "a", "list"],
    ] {
        world.redis().command(words);
        eventually(SOON, &format!("an epoch after {words:?}"), async || {
            epoch(&world).is_some()
        })
        .await;
        caches(&cache, &mia.id).await;
    }
}

#[tokio::test]
async fn a_database_that_went_back_is_forgotten_by_every_instance() {
    let world = World::new();
    let (one, other) = (quick(&world).await, quick(&world).await);
    let mia = stored_hero(&world);
    caches(&one, &mia.id).await;
    caches(&other, &mia.id).await;
    // As it was in the backup, behind everybody's back.
    world.heroes.insert(&mia.renamed("Mimi"));
    // It is told by a job that caches none of the kinds.
    let job = CacheService::connect(quick_config(&world)).await;
    assert!(!job.database_went_back().await.pending);
    for instance in [&one, &other] {
        eventually(
            Duration::from_secs(2),
            "the row that there is",
            async || {
                let row = instance.heroes.find_by_id(&mia.id).await.unwrap();
                row.unwrap().name == "Mimi"
            },
        )
        .await;
        caches(instance, &mia.id).await;
    }
}

#[tokio::test]
async fn a_database_that_went_back_is_forgotten_in_memory() {
    let world = World::in_memory();
    let (one, other) = (world.instance().await, world.instance().await);
    let mia = stored_hero(&world);
    for instance in [&one, &other] {
        instance.heroes.find_by_id(&mia.id).await.unwrap();
    }
    world.heroes.insert(&mia.renamed("Mimi"));
    assert!(!one.cache.database_went_back().await.pending);
    for instance in [&one, &other] {
        let row = instance.heroes.find_by_id(&mia.id).await.unwrap();
        assert_eq!(row.unwrap().name, "Mimi");
    }
}
