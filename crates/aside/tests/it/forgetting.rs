//! The copies that a write invalidates.

use aside::{Repository, Scope, Source};
use aside_testkit::eventually;

use crate::database::Place;
use crate::entities::{BookIndex, Hero, book, hero, named, speaking};
use crate::world::{SOON, World, on_both};

#[tokio::test]
async fn a_hero_with_a_new_language_moves_to_the_other_list() {
    on_both(async |world| {
        let instance = world.instance().await;
        let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
        let lists = async || {
            let english = instance.heroes.find_by(&speaking("en")).await.unwrap();
            let russian = instance.heroes.find_by(&speaking("ru")).await.unwrap();
            (english.len(), russian.len())
        };
        assert_eq!(lists().await, (1, 0));
        instance.filled("hero:lang:en").await;
        instance.filled("hero:lang:ru").await;

        instance.heroes.update(mia.speaking("ru")).await.unwrap();

        assert_eq!(lists().await, (0, 1));
    })
    .await;
}

#[tokio::test]
async fn a_write_invalidates_only_the_rows_old_and_new_lists() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    for language in ["en", "ru", "de"] {
        instance.heroes.find_by(&speaking(language)).await.unwrap();
        world.filled(&format!("hero:lang:{language}")).await;
    }
    for name in ["Mia", "Maria", "Max"] {
        instance.heroes.find_by(&named(name)).await.unwrap();
        world.filled(&format!("hero:name:{name}")).await;
    }
    instance.heroes.list_all().await.unwrap();
    world.filled("hero:all").await;

    instance
        .heroes
        .update(mia.renamed("Maria").speaking("ru"))
        .await
        .unwrap();

    assert_eq!(
        world.keys(),
        [mia.key(), "hero:lang:de".into(), "hero:name:Max".into()]
    );
}

#[tokio::test]
async fn an_absence_ends_when_the_row_appears() {
    on_both(async |world| {
        let (one, other) = (world.instance().await, world.instance().await);
        let mia = hero("Mia", "en");
        for instance in [&one, &other] {
            assert_eq!(instance.heroes.find_by_id(&mia.id).await.unwrap(), None);
            assert_eq!(
                instance.heroes.find_by(&named("Mia")).await.unwrap().len(),
                0
            );
        }
        one.filled(&mia.key()).await;

        one.heroes.save(mia.clone()).await.unwrap();

        assert!(one.heroes.find_by_id(&mia.id).await.unwrap().is_some());
        assert_eq!(one.heroes.find_by(&named("Mia")).await.unwrap().len(), 1);
        // The message to the other instance is in transit; `Shared` does not
        // wait for it.
        let there = other
            .heroes
            .find_by_id_with(&mia.id, aside::Freshness::Shared)
            .await
            .unwrap();
        assert!(there.value.is_some());
    })
    .await;
}

#[tokio::test]
async fn a_deleted_row_leaves_every_list() {
    on_both(async |world| {
        let instance = world.instance().await;
        let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
        let counts = async || {
            let by_id = instance.heroes.find_by_id(&mia.id).await.unwrap();
            let many = instance.heroes.find_many(&[mia.id]).await.unwrap();
            (
                usize::from(by_id.is_some()),
                usize::from(many[0].is_some()),
                instance.heroes.find_by(&named("Mia")).await.unwrap().len(),
                instance
                    .heroes
                    .find_by(&speaking("en"))
                    .await
                    .unwrap()
                    .len(),
                instance.heroes.list_all().await.unwrap().len(),
            )
        };
        assert_eq!(counts().await, (1, 1, 1, 1, 1));
        instance.filled("hero:all").await;

        assert!(instance.heroes.delete(&mia.id).await.unwrap());

        assert_eq!(counts().await, (0, 0, 0, 0, 0));
    })
    .await;
}

#[tokio::test]
async fn a_row_enters_an_optional_list_only_with_a_value() {
    on_both(async |world| {
        let instance = world.instance().await;
        let shelf = BookIndex::Shelf("top".into());
        let tale = instance
            .books
            .save(book("1", "A tale", 1970))
            .await
            .unwrap();
        assert_eq!(instance.books.find_by(&shelf).await.unwrap().len(), 0);
        instance.filled("book:shelf:top").await;

        let shelved = instance
            .books
            .update(tale.on_shelf(Some("top")))
            .await
            .unwrap();
        assert_eq!(instance.books.find_by(&shelf).await.unwrap().len(), 1);
        instance.filled("book:shelf:top").await;

        instance
            .books
            .update(shelved.unwrap().on_shelf(None))
            .await
            .unwrap();
        assert_eq!(instance.books.find_by(&shelf).await.unwrap().len(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_list_of_two_values_is_invalidated_when_either_changes() {
    on_both(async |world| {
        let instance = world.instance().await;
        let exact = |year| BookIndex::Exact {
            title: "A tale".into(),
            year,
        };
        let mut tale = book("1", "A tale", 1970);
        instance.books.save(tale.clone()).await.unwrap();
        for year in [1970, 1971] {
            instance.books.find_by(&exact(year)).await.unwrap();
            instance.filled(&format!("book:exact:A tale:{year}")).await;
        }

        tale.year = 1971;
        instance.books.update(tale).await.unwrap();

        assert_eq!(instance.books.find_by(&exact(1970)).await.unwrap().len(), 0);
        assert_eq!(instance.books.find_by(&exact(1971)).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn invalidate_covers_one_row_one_list_or_the_whole_kind() {
    on_both(async |world| {
        let (one, other) = (world.instance().await, world.instance().await);
        let mia = hero("Mia", "en");
        world.heroes.insert(&mia);
        world.books.insert(&book("1", "A tale", 1970));
        let fill = async || {
            one.heroes.find_by_id(&mia.id).await.unwrap();
            one.heroes.find_by(&named("Mia")).await.unwrap();
            one.heroes.list_all().await.unwrap();
            one.books.list_all().await.unwrap();
            for key in [mia.key().as_str(), "hero:name:Mia", "hero:all", "book:all"] {
                one.filled(key).await;
            }
        };
        fill().await;

        assert_eq!(other.heroes.invalidate(Scope::Row(&mia.id)).await, 1);
        assert!(!one.holds(&mia.key()).await && one.holds("hero:name:Mia").await);
        assert_eq!(other.heroes.invalidate(Scope::List(&named("Mia"))).await, 1);
        assert!(!one.holds("hero:name:Mia").await && one.holds("hero:all").await);
        fill().await;
        assert_eq!(other.heroes.invalidate(Scope::Kind).await, 3);
        for key in [mia.key().as_str(), "hero:name:Mia", "hero:all"] {
            assert!(!one.holds(key).await, "{key}");
        }
        assert!(one.holds("book:all").await);
    })
    .await;
}

#[tokio::test]
async fn a_row_changed_past_the_cache_is_seen_once_invalidated() {
    on_both(async |world| {
        let (one, other) = (world.instance().await, world.instance().await);
        let mia = one.heroes.save(hero("Mia", "en")).await.unwrap();
        for instance in [&one, &other] {
            instance.heroes.find_by_id(&mia.id).await.unwrap();
        }
        world.heroes.insert(&mia.renamed("Maria"));
        assert_eq!(
            one.heroes.find_by_id(&mia.id).await.unwrap().unwrap().name,
            "Mia"
        );

        one.heroes.invalidate(Scope::Row(&mia.id)).await;

        assert_eq!(
            one.heroes.find_by_id(&mia.id).await.unwrap().unwrap().name,
            "Maria"
        );
        aside_testkit::eventually(crate::world::SOON, "the message", async || {
            other
                .heroes
                .find_by_id(&mia.id)
                .await
                .unwrap()
                .unwrap()
                .name
                == "Maria"
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_flush_invalidates_exactly_the_registered_kinds() {
    on_both(async |world| {
        let instance = world.instance().await;
        instance.heroes.save(hero("Mia", "en")).await.unwrap();
        instance
            .books
            .save(book("1", "A tale", 1970))
            .await
            .unwrap();
        assert!(instance.cache.set("session:1", "kept", None).await);

        assert_eq!(instance.cache.flush().await, 2);

        assert!(!instance.holds("book:1").await);
        assert_eq!(
            instance.cache.get("session:1").await.as_deref(),
            Some(&b"kept"[..])
        );
    })
    .await;
}

#[tokio::test]
async fn a_pattern_covers_rows_and_raw_keys_of_one_namespace() {
    let world = World::new();
    let config = aside::CacheConfig {
        namespace: "prod".into(),
        ..world.config()
    };
    let instance = world.instance_with(config).await;
    instance
        .books
        .save(book("1", "A tale", 1970))
        .await
        .unwrap();
    instance.cache.set("prod:session:1", "raw", None).await;
    instance
        .cache
        .set("prod:aside:own", "the library's own", None)
        .await;
    instance.cache.set("prodaside:1", "raw too", None).await;

    assert_eq!(instance.cache.delete_pattern("prod*").await, 3);

    assert_eq!(world.keys(), ["prod:aside:own"]);
}

#[tokio::test]
async fn a_raw_value_under_the_key_of_a_row_is_refused_and_counted() {
    on_both(async |world| {
        let instance = world.instance().await;
        assert!(!instance.cache.set("hero:all", "forged", None).await);
        assert!(!instance.cache.exists("hero:all").await);
        assert_eq!(instance.errors("set_on_registered_kind"), 1);
    })
    .await;
}

#[tokio::test]
async fn a_pattern_reaches_local_entries_without_a_redis_value() {
    let world = World::new();
    let (one, other) = (world.instance().await, world.instance().await);
    let mia = one.heroes.save(hero("Mia", "en")).await.unwrap();
    for instance in [&one, &other] {
        instance.heroes.find_by_id(&mia.id).await.unwrap();
    }
    world.heroes.insert(&mia.renamed("Maria"));
    world.redis().command(&["DEL", &mia.key()]);

    one.cache.delete_pattern("hero:*").await;

    for instance in [&one, &other] {
        eventually(SOON, "the new name", async || {
            let found = instance.heroes.find_by_id(&mia.id).await.unwrap();
            found.unwrap().name == "Maria"
        })
        .await;
    }
}

#[tokio::test]
async fn a_kind_is_invalidated_at_once_during_fills() {
    on_both(async |world| {
        let (one, other) = (world.instance().await, world.instance().await);
        let mia = one.heroes.save(hero("Mia", "en")).await.unwrap();
        one.heroes.invalidate(Scope::Kind).await;
        let mut load = world.heroes.stop_at(Place::AfterRead);
        let heroes = one.heroes.clone();
        let id = mia.id;
        let reading = tokio::spawn(async move { heroes.find_by_id(&id).await });
        load.reached().await;
        // The load sees the old row now or has seen it; its fill must not be
        // served.
        other.heroes.invalidate(Scope::Kind).await;
        world.heroes.insert(&mia.renamed("Maria"));
        other.heroes.invalidate(Scope::Kind).await;
        load.go_on();
        reading.await.unwrap().unwrap();
        for instance in [&one, &other] {
            eventually(SOON, "the row as it is", async || {
                let read = instance.heroes.find_by_id(&mia.id).await.unwrap();
                read.unwrap().name == "Maria"
            })
            .await;
        }
    })
    .await;
}

#[tokio::test]
async fn values_of_an_invalidated_kind_leave_redis_later() {
    let world = World::new();
    let instance = world.instance().await;
    for number in 0..30 {
        let row = hero(&number.to_string(), "en");
        instance.heroes.save(row).await.unwrap();
    }
    assert_eq!(world.keys().len(), 30);
    let mut write = instance.cache.write();
    write.whole_kind::<Hero>();
    let _ = write.before_commit().await;
    write.committed().await;
    eventually(SOON, "an empty Redis", async || world.keys().is_empty()).await;
}
