//! Foreign contents under the service's keys: garbage, damage, other shapes.

use std::io::{Read, Write as _};
use std::time::Duration;

use aside::{CacheConfig, CachedRepository, Entity, Freshness, Repository, Source};
use aside_testkit::eventually;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::database::{Queries, Table, Versioned};
use crate::entities::{Hero, HeroIndex, hero, named, speaking};
use crate::world::{Instance, SOON, World};

/// Stores arbitrary bytes, which a text command cannot.
fn plant(world: &World, key: &str, bytes: &[u8]) {
    let mut server = std::net::TcpStream::connect(world.redis().address()).expect("a server");
    let mut command = Vec::new();
    for word in [b"SET", key.as_bytes(), bytes] {
        command.extend(format!("${}\r\n", word.len()).bytes());
        command.extend(word);
        command.extend(b"\r\n");
    }
    server.write_all(b"*3\r\n").expect("a server");
    server.write_all(&command).expect("a server");
    let mut reply = [0; 5];
    server.read_exact(&mut reply).expect("a reply");
    assert_eq!(&reply, b"+OK\r\n");
}

async fn read_every_way(instance: &Instance, mia: &Hero) {
    let shared = Freshness::Shared;
    let by_id = instance
        .heroes
        .find_by_id_with(&mia.id, shared)
        .await
        .unwrap();
    assert_eq!(by_id.value.as_deref(), Some(mia));
    let list = instance
        .heroes
        .find_by_with(&named("Mia"), shared)
        .await
        .unwrap();
    assert_eq!(
        list.value.iter().map(|hero| &**hero).collect::<Vec<_>>(),
        [mia]
    );
    let all = instance.heroes.list_all_with(shared).await.unwrap();
    assert_eq!(all.value.len(), 1);
    let many = instance.heroes.find_many(&[mia.id]).await.unwrap();
    assert_eq!(many[0].as_deref(), Some(mia));
}

#[tokio::test]
async fn any_foreign_contents_of_a_key_are_a_miss_and_are_replaced() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    read_every_way(&instance, &mia).await;
    world.filled(&mia.key()).await;
    let valid = world.raw(&mia.key()).unwrap();
    let other = valid
        .replace("Mia", "Max")
        .replace(&mia.id.to_string(), &Uuid::new_v4().to_string());
    let zeros = "0".repeat(32);
    let garbage = [
        String::new(),
        "garbage".into(),
        "V".into(),
        "null".into(),
        valid[..valid.len() - 1].to_owned(),
        valid.replace("\"entity\"", "\"entities\""),
        valid.replace("\"version\"", "\"edition\""),
        other,
        format!("L{zeros}"),
        "Lnot a token".into(),
        format!("Qc{zeros}9999999999999"),
        format!("Qd{zeros}0000000000001"),
        "Qx".into(),
    ];
    for planted in garbage {
        for key in [mia.key().as_str(), "hero:name:Mia", "hero:all"] {
            plant(&world, key, planted.as_bytes());
        }
        read_every_way(&instance, &mia).await;
        for key in [mia.key().as_str(), "hero:name:Mia", "hero:all"] {
            eventually(SOON, &format!("{key} to replace {planted:?}"), async || {
                world
                    .raw(key)
                    .is_some_and(|text| text.contains("\"Mia\"") && text != planted)
            })
            .await;
        }
    }
    assert!(instance.cache.is_synced());
}

#[tokio::test]
async fn a_key_of_another_type_is_a_miss_without_suspicion() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    for key in [mia.key().as_str(), "hero:name:Mia", "hero:all"] {
        world.redis().command(&["LPUSH", key, "not ours"]);
    }

    read_every_way(&instance, &mia).await;
    for key in [mia.key().as_str(), "hero:name:Mia", "hero:all"] {
        world.filled(key).await;
    }
    assert!(instance.cache.is_synced());

    world.redis().command(&["DEL", &mia.key()]);
    world.redis().command(&["SADD", &mia.key(), "not ours"]);
    let maria = instance
        .heroes
        .update(mia.renamed("Maria"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        instance.heroes.find_by_id(&mia.id).await.unwrap(),
        Some(maria)
    );
    assert!(instance.cache.is_synced());
}

#[tokio::test]
async fn a_batch_replaces_unreadable_values() {
    let world = World::new();
    let (writer, instance) = (world.instance().await, world.instance().await);
    let mia = writer.heroes.save(hero("Mia", "en")).await.unwrap();
    let damaged = world
        .raw(&mia.key())
        .unwrap()
        .replace("\"version\"", "\"edition\"");
    plant(&world, &mia.key(), damaged.as_bytes());

    for _ in 0..2 {
        instance.heroes.find_many(&[mia.id]).await.unwrap();
    }

    assert_eq!(
        world.heroes.queries(),
        // The write has read its row back.
        Queries {
            by_id: 1,
            many: 1,
            ..Queries::NONE
        }
    );
    assert!(world.raw(&mia.key()).unwrap().contains("\"version\""));
    assert_eq!(instance.errors("undecodable_value"), 1);
}

/// The same kind in a later version of the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Entity)]
#[entity(kind = "hero", index_enum = "NewHeroIndex")]
struct NewHero {
    #[entity(id)]
    id: Uuid,
    #[entity(index)]
    name: String,
    #[entity(index = "lang")]
    language: String,
    #[serde(default)]
    nickname: String,
    #[entity(version)]
    version: u64,
}

impl Versioned for NewHero {
    fn set_version(&mut self, version: u64) {
        self.version = version;
    }
}

impl NewHero {
    fn of(old: &Hero) -> Self {
        Self {
            id: old.id,
            name: old.name.clone(),
            language: old.language.clone(),
            nickname: String::new(),
            version: old.version,
        }
    }
}

/// An old process and a new one on one Redis, each with its own type of the
/// row.
async fn old_and_new(
    world: &World,
) -> (Instance, CachedRepository<Table<NewHero>>, Table<NewHero>) {
    let old = world.instance().await;
    let cache = aside::CacheService::connect(world.config()).await;
    let rows = Table::new();
    (old, CachedRepository::new(rows.clone(), &cache), rows)
}

#[tokio::test]
async fn a_value_of_another_shape_is_a_miss_for_old_and_new() {
    let world = World::new();
    let (old, new, rows) = old_and_new(&world).await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    rows.insert(&NewHero::of(&mia));

    for _ in 0..3 {
        let read = old
            .heroes
            .find_by_id_with(&mia.id, Freshness::Shared)
            .await
            .unwrap();
        assert_eq!(read.value.as_deref(), Some(&mia));
        world.filled(&mia.key()).await;
        let read = new
            .find_by_id_with(&mia.id, Freshness::Shared)
            .await
            .unwrap();
        assert_eq!(read.value.as_deref(), Some(&NewHero::of(&mia)));
        world.filled(&mia.key()).await;
    }
    assert_eq!(old.errors("undecodable_value"), 0);
    let kinds = old.cache.stats().kinds;
    let mut reasons = kinds.iter().map(|kind| &kind.miss_reasons);
    assert!(reasons.any(|reasons| reasons.contains_key("other_shape")));
    assert_eq!(old.errors("other_shape"), 0, "it is no error");
}

#[tokio::test]
async fn an_old_process_invalidates_for_a_new_one_and_vice_versa() {
    let world = World::new();
    let (old, new, rows) = old_and_new(&world).await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    rows.insert(&NewHero::of(&mia));
    new.find_by_id(&mia.id).await.unwrap();
    new.find_by(&NewHeroIndex::Language("en".into()))
        .await
        .unwrap();
    world.filled(&mia.key()).await;
    world.filled("hero:lang:en").await;

    let russian = old
        .heroes
        .update(mia.speaking("ru"))
        .await
        .unwrap()
        .unwrap();
    rows.insert(&NewHero::of(&russian));

    let read = new
        .find_by_id_with(&mia.id, Freshness::Shared)
        .await
        .unwrap();
    assert_eq!(read.value.unwrap().language, "ru");
    let list = new
        .find_by_with(&NewHeroIndex::Language("en".into()), Freshness::Shared)
        .await
        .unwrap();
    assert_eq!(list.value.len(), 0);

    old.heroes.find_by(&speaking("ru")).await.unwrap();
    let mut german = NewHero::of(&russian);
    german.language = "de".into();
    new.update(german).await.unwrap();
    world.heroes.insert(&russian.speaking("de"));
    let list = old
        .heroes
        .find_by_with(&speaking("ru"), Freshness::Shared)
        .await
        .unwrap();
    assert_eq!(list.value.len(), 0);
}

#[tokio::test]
async fn a_huge_row_is_read_and_evicts_nothing() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    eventually(SOON, "a local entry", async || {
        let read = instance
            .heroes
            .find_by_id_with(&mia.id, Freshness::Any)
            .await
            .unwrap();
        read.tier == aside::Tier::Local
    })
    .await;
    // Larger than the largest value that is cached, which is 8 MiB.
    let huge = hero(&"M".repeat(10 << 20), "ru");
    world.heroes.insert(&huge);

    let found = instance.heroes.find_by_id(&huge.id).await.unwrap().unwrap();
    assert_eq!(found.name.len(), 10 << 20);
    let list = instance
        .heroes
        .find_by(&HeroIndex::Language("ru".into()))
        .await
        .unwrap();
    assert_eq!(list.len(), 1);
    drop((found, list));

    eventually(SOON, "no lease left", async || world.keys() == [mia.key()]).await;
    let read = instance
        .heroes
        .find_by_id_with(&mia.id, Freshness::Any)
        .await
        .unwrap();
    assert_eq!(read.tier, aside::Tier::Local);
    assert_eq!(instance.cache.stats().kinds[1].l1_evictions, 0);
}

#[tokio::test]
async fn a_huge_foreign_value_is_not_decoded() {
    let world = World::new();
    let config = CacheConfig {
        max_value_bytes: 100_000,
        operation_timeout: Duration::from_secs(20),
        quarantine_ttl: Duration::from_secs(30),
        ..world.config()
    };
    let instance = world.instance_with(config).await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    let huge = world
        .raw(&mia.key())
        .unwrap()
        .replace("Mia", &"M".repeat(200_000));
    plant(&world, &mia.key(), huge.as_bytes());

    let read = instance
        .heroes
        .find_by_id_with(&mia.id, Freshness::Shared)
        .await
        .unwrap();
    assert_eq!(read.value, Some(mia));
    assert_eq!(instance.errors("value_too_large"), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// One world for each case would be slow, so a case plants a whole series.
    #[test]
    fn arbitrary_bytes_are_never_read_as_a_row(
        planted in proptest::collection::vec(
            (proptest::collection::vec(any::<u8>(), 0..200), any::<bool>(), 0..400_usize, any::<u8>()),
            1..12,
        )
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            let instance = world.instance().await;
            let mia = hero("Mia", "en");
            world.heroes.insert(&mia);
            instance.heroes.find_by_id(&mia.id).await.unwrap();
            world.filled(&mia.key()).await;
            let valid = world.raw(&mia.key()).unwrap().into_bytes();
            for (bytes, damage, at, with) in planted {
                // Arbitrary bytes, or bytes after a valid first letter. Or one
                // byte of a valid value is changed, outside of the part that
                // identifies the row.
                let bytes = match (damage, valid.iter().position(|byte| *byte == b'\n')) {
                    (true, Some(end)) => {
                        let mut damaged = valid.clone();
                        damaged[at % (end + 12)] = with;
                        damaged
                    }
                    _ => [&b"VLQ"[at % 3..=at % 3], &bytes[..]].concat(),
                };
                for key in [mia.key().as_str(), "hero:name:Mia", "hero:all"] {
                    plant(&world, key, &bytes);
                }
                read_every_way(&instance, &mia).await;
            }
        });
    }
}
