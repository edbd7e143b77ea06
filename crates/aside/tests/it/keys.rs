//! The contents of Redis: the keys, their TTLs, and the text that a `GET`
//! returns.

use std::time::Duration;

use aside::{CacheConfig, CacheStrategy, CachedRepository, Repository, Source, report::Ttl};
use serde_json::{Value, json};

use crate::entities::{Book, BookIndex, Hero, book, hero, named, speaking};
use crate::world::{Instance, World};

/// Returns the header and the JSON of the value under a key.
fn value(world: &World, key: &str) -> (String, Value) {
    let text = world.raw(key).expect("a value");
    let (header, payload) = text.split_once('\n').expect("a header line");
    (
        header.to_owned(),
        serde_json::from_str(payload).expect("JSON"),
    )
}

async fn fill_everything(world: &World, instance: &Instance, mia: &Hero) {
    instance.heroes.find_by_id(&mia.id).await.unwrap();
    instance.heroes.find_by(&named(&mia.name)).await.unwrap();
    instance
        .heroes
        .find_by(&speaking(&mia.language))
        .await
        .unwrap();
    instance.heroes.list_all().await.unwrap();
    for key in ["hero:name:Mia", "hero:lang:en", "hero:all", &mia.key()] {
        world.filled(key).await;
    }
}

#[tokio::test]
async fn the_keys_are_exactly_the_documented_ones() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);

    fill_everything(&world, &instance, &mia).await;

    let mut expected = vec![
        mia.key(),
        "hero:all".into(),
        "hero:lang:en".into(),
        "hero:name:Mia".into(),
    ];
    expected.sort();
    assert_eq!(world.keys(), expected);
}

#[tokio::test]
async fn a_namespace_precedes_every_key() {
    let world = World::new();
    let instance = world
        .instance_with(CacheConfig {
            namespace: "prod".into(),
            ..world.config()
        })
        .await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    instance.heroes.list_all().await.unwrap();

    world.filled("prod:hero:all").await;
    let mut expected = [format!("prod:{}", mia.key()), "prod:hero:all".into()];
    expected.sort();
    assert_eq!(world.keys(), expected);
}

#[tokio::test]
async fn composite_optional_and_encoded_keys_are_as_documented() {
    let world = World::new();
    let instance = world.instance().await;
    let tale = book("all", "Маша: a tale", 1970).on_shelf(Some("50%"));
    world.books.insert(&tale);

    instance.books.find_by_id(&"all".to_owned()).await.unwrap();
    let exact = BookIndex::Exact {
        title: tale.title.clone(),
        year: 1970,
    };
    instance.books.find_by(&exact).await.unwrap();
    instance
        .books
        .find_by(&BookIndex::Shelf("50%".into()))
        .await
        .unwrap();

    for key in [
        "book:%61ll",
        "book:exact:Маша%3A a tale:1970",
        "book:shelf:50%25",
    ] {
        world.filled(key).await;
    }
    assert_eq!(world.keys().len(), 3);
}

#[tokio::test]
async fn values_live_as_long_as_the_setting_of_their_kind() {
    let world = World::new();
    let ttls = [
        ("hero".to_owned(), Duration::from_secs(3600)),
        ("book".to_owned(), Duration::from_secs(600)),
    ];
    let instance = world
        .instance_with(CacheConfig {
            ttls: ttls.into(),
            ..world.config()
        })
        .await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    instance.heroes.list_all().await.unwrap();
    instance.books.list_all().await.unwrap();
    instance
        .heroes
        .find_by_id(&hero("Nobody", "en").id)
        .await
        .unwrap();
    for key in ["hero:all", "book:all"] {
        world.filled(key).await;
    }

    let left = async |key: &str| match instance.cache.ttl(key).await {
        Ttl::Left(left) => left.as_secs_f64().ceil(),
        other => panic!("{key}: {other:?}"),
    };
    // Within the jitter, and some seconds of this test.
    assert!((3230.0..=3600.0).contains(&left(&mia.key()).await));
    assert!((3230.0..=3600.0).contains(&left("hero:all").await));
    assert!((530.0..=600.0).contains(&left("book:all").await));
}

#[tokio::test]
async fn an_absence_lives_a_minute_at_most() {
    let world = World::new();
    let instance = world.instance().await;
    let nobody = hero("Nobody", "en");

    instance.heroes.find_by_id(&nobody.id).await.unwrap();

    world.filled(&nobody.key()).await;
    let left = instance.cache.ttl(&nobody.key()).await.left().unwrap();
    assert!(
        left <= Duration::from_secs(60) && Duration::from_secs(50) < left,
        "{left:?}"
    );
}

#[tokio::test]
async fn a_get_shows_a_header_line_and_readable_json() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = instance.heroes.save(hero("Маша", "ru")).await.unwrap();

    let (header, payload) = value(&world, &mia.key());

    // V tag16 epoch13 shape16 fill16 version20 refresh32 flags2
    assert_eq!(header.len(), 1 + 16 + 13 + 16 + 16 + 20 + 32 + 2);
    assert!(header.starts_with('V') && header.is_ascii());
    assert_eq!(&header[62..82], "00000000000000000001");
    assert_eq!(
        payload["entity"],
        json!({"id": mia.id, "name": "Маша", "language": "ru", "version": 1})
    );
    let ttl = payload["ttl"].as_u64().unwrap();
    assert!((3240..=3600).contains(&ttl), "{ttl}: within the jitter");
    let cached_at = payload["cached_at"].as_str().unwrap();
    assert!(
        cached_at.ends_with('Z') && cached_at.contains('T'),
        "{cached_at}"
    );
    assert_eq!(payload.as_object().unwrap().len(), 3);
}

#[tokio::test]
async fn an_absence_reads_as_null_and_a_list_as_entities() {
    let world = World::new();
    let instance = world.instance().await;
    let (mia, nobody) = (hero("Mia", "en"), hero("Nobody", "en"));
    world.heroes.insert(&mia);
    instance.heroes.find_by_id(&nobody.id).await.unwrap();
    instance.heroes.find_by(&speaking("en")).await.unwrap();
    instance.heroes.find_by(&speaking("xx")).await.unwrap();
    for key in [nobody.key().as_str(), "hero:lang:en", "hero:lang:xx"] {
        world.filled(key).await;
    }

    let (_, absence) = value(&world, &nobody.key());
    assert_eq!(absence["entity"], Value::Null);
    let ttl = absence["ttl"].as_u64().unwrap();
    assert!((54..=60).contains(&ttl), "{ttl}: within the jitter");
    let (_, list) = value(&world, "hero:lang:en");
    assert_eq!(list["entities"], json!([mia]));
    let (_, empty) = value(&world, "hero:lang:xx");
    assert_eq!(empty["entities"], json!([]));
}

#[derive(Debug)]
struct NeitherReadNorWritten;

impl CacheStrategy<Hero> for NeitherReadNorWritten {
    fn cache_on_read(&self) -> bool {
        false
    }

    fn cache_on_write(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn a_strategy_can_keep_reads_and_writes_out_of_the_cache() {
    let world = World::new();
    let instance = world.instance().await;
    let heroes = CachedRepository::new(world.heroes.clone(), &instance.cache)
        .with_strategy(NeitherReadNorWritten);

    let mia = heroes.save(hero("Mia", "en")).await.unwrap();
    for _ in 0..3 {
        assert_eq!(heroes.find_by_id(&mia.id).await.unwrap(), Some(mia.clone()));
        assert_eq!(
            heroes.find_many(&[mia.id]).await.unwrap(),
            [Some(mia.clone())]
        );
    }

    assert_eq!(world.keys(), [""; 0]);
    assert_eq!(world.heroes.queries().total(), 6);
}

#[derive(Debug)]
struct NoAbsences;

impl CacheStrategy<Hero> for NoAbsences {
    fn negative_ttl(&self) -> Duration {
        Duration::ZERO
    }

    fn default_ttl(&self) -> Option<Duration> {
        Some(Duration::from_secs(7))
    }
}

#[tokio::test]
async fn a_strategy_overrides_the_default_ttl() {
    let world = World::new();
    let instance = world.instance().await;
    let heroes =
        CachedRepository::new(world.heroes.clone(), &instance.cache).with_strategy(NoAbsences);
    let (mia, nobody) = (hero("Mia", "en"), hero("Nobody", "en"));
    world.heroes.insert(&mia);

    heroes.find_by_id(&mia.id).await.unwrap();
    for _ in 0..2 {
        assert_eq!(heroes.find_by_id(&nobody.id).await.unwrap(), None);
    }

    world.filled(&mia.key()).await;
    let left = instance.cache.ttl(&mia.key()).await.left().unwrap();
    assert!(left <= Duration::from_secs(7));
    assert_eq!(world.heroes.queries().by_id, 3);
}

#[tokio::test]
async fn an_operator_overrides_the_ttl_of_a_strategy() {
    let world = World::new();
    let config = CacheConfig {
        ttls: [("hero".to_owned(), Duration::from_secs(600))].into(),
        ..world.config()
    };
    let instance = world.instance_with(config).await;
    let heroes =
        CachedRepository::new(world.heroes.clone(), &instance.cache).with_strategy(NoAbsences);
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);

    heroes.find_by_id(&mia.id).await.unwrap();

    world.filled(&mia.key()).await;
    let left = instance.cache.ttl(&mia.key()).await.left().unwrap();
    assert!(Duration::from_secs(500) < left, "{left:?}");
}

#[tokio::test]
async fn a_value_that_has_expired_is_loaded_again() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    let config = CacheConfig {
        ttls: [("hero".to_owned(), Duration::from_secs(1))].into(),
        ..world.config()
    };
    let brief = world.instance_with(config).await;
    brief.heroes.find_by_id(&mia.id).await.unwrap();
    world.filled(&mia.key()).await;
    world.heroes.insert(&mia.renamed("Maria"));

    aside_testkit::eventually(crate::world::SOON, "the new name", async || {
        brief
            .heroes
            .find_by_id(&mia.id)
            .await
            .unwrap()
            .unwrap()
            .name
            == "Maria"
    })
    .await;
    drop(instance);
}

#[tokio::test]
async fn compressed_values_survive_the_round_trip() {
    let world = World::new();
    let config = CacheConfig {
        compress_above_bytes: Some(64),
        ..world.config()
    };
    let one = world.instance_with(config.clone()).await;
    let long = one
        .heroes
        .save(hero(&"Mia ".repeat(1000), "en"))
        .await
        .unwrap();
    assert!(
        world
            .redis()
            .command(&["STRLEN", &long.key()])
            .integer()
            .unwrap()
            < 1000
    );

    let other = world.instance_with(config).await;
    assert_eq!(other.heroes.find_by_id(&long.id).await.unwrap(), Some(long));
    // By the write.
    assert_eq!(world.heroes.queries().total(), 1);
}

#[tokio::test]
async fn a_value_too_large_before_compression_is_not_cached() {
    let world = World::new();
    let config = CacheConfig {
        compress_above_bytes: Some(64),
        max_value_bytes: 10_000,
        ..world.config()
    };
    let instance = world.instance_with(config).await;
    let huge = instance
        .heroes
        .save(hero(&"M".repeat(20_000), "en"))
        .await
        .unwrap();

    for _ in 0..2 {
        assert_eq!(
            instance.heroes.find_by_id(&huge.id).await.unwrap(),
            Some(huge.clone())
        );
    }

    assert_eq!(instance.errors("value_too_large"), 0);
    assert_eq!(world.state(&huge.key()), '-');
}

/// A book that names its hero affects every cache of that hero.
#[derive(Debug)]
struct ConcernsItsHero;

impl CacheStrategy<Book> for ConcernsItsHero {
    fn dependents(&self, row: &Book, keys: &mut aside::entity::Dependents<'_>) {
        if let Some(hero) = &row.hero {
            keys.row::<Hero>(hero);
            keys.list::<Hero>(&speaking("en"));
            keys.all::<Hero>();
        }
    }
}

#[tokio::test]
async fn dependents_of_a_row_are_invalidated_with_it() {
    let world = World::new();
    let instance = world.instance().await;
    let books =
        CachedRepository::new(world.books.clone(), &instance.cache).with_strategy(ConcernsItsHero);
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    fill_everything(&world, &instance, &mia).await;

    let mut tale = book("1", "A tale", 1970);
    tale.hero = Some(mia.id);
    books.save(tale).await.unwrap();

    assert_eq!(world.keys(), ["book:1", "hero:name:Mia"]);
}
