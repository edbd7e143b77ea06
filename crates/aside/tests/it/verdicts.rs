//! The possible ends of a write, and the reads during and after it.

use std::time::Duration;

use aside::{CacheConfig, Freshness, Repository, Source, Tier, Write};
use aside_testkit::eventually;

use crate::database::{DatabaseError, Fault, Place};
use crate::entities::{Hero, hero, named, speaking};
use crate::world::{Instance, SOON, World, on_both};

/// A quarantine shorter than a test.
fn brief(world: &World) -> CacheConfig {
    CacheConfig {
        quarantine_ttl: Duration::from_secs(1),
        operation_timeout: Duration::from_millis(900),
        ..world.config()
    }
}

async fn name_of(instance: &Instance, hero: &Hero) -> String {
    let found = instance.heroes.find_by_id(&hero.id).await.unwrap();
    found.expect("the row is there").name.clone()
}

#[tokio::test]
async fn a_write_leaves_the_new_row_only_under_its_id() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    assert_eq!(world.keys(), [mia.key()]);

    let other = world.instance().await;
    assert_eq!(name_of(&other, &mia).await, "Mia");
    instance.heroes.update(mia.renamed("Maria")).await.unwrap();
    assert_eq!(world.keys(), [mia.key()]);
    let shared = other
        .heroes
        .find_by_id_with(&mia.id, Freshness::Shared)
        .await
        .unwrap();
    assert_eq!(shared.value.unwrap().name, "Maria");
    // By the two writes.
    assert_eq!(world.heroes.queries().total(), 2);
}

#[tokio::test]
async fn a_rolled_back_write_releases_at_once_and_leaves_no_row() {
    on_both(async |world| {
        let instance = world.instance().await;
        let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
        world.heroes.fail_next(Fault::RollsBack);

        let refused = instance.heroes.update(mia.renamed("Maria")).await;

        assert_eq!(refused, Err(DatabaseError::Failed));
        assert!(!instance.cache.exists(&mia.key()).await);
        assert_eq!(name_of(&instance, &mia).await, "Mia");
        instance.filled(&mia.key()).await;
    })
    .await;
}

#[tokio::test]
async fn a_rollback_returned_as_no_row_leaves_no_row() {
    on_both(async |world| {
        let instance = world.instance().await;
        let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
        world.heroes.fail_next(Fault::RollsBackAndAnswersNone);

        assert_eq!(instance.heroes.update(mia.renamed("Maria")).await, Ok(None));

        assert_eq!(name_of(&instance, &mia).await, "Mia");
        let shared = instance
            .heroes
            .find_by_id_with(&mia.id, Freshness::Shared)
            .await;
        assert_eq!(shared.unwrap().value.unwrap().name, "Mia");
    })
    .await;
}

#[tokio::test]
async fn an_error_before_the_quarantine_changes_nothing() {
    let world = World::new();
    let (tap, instance) = world.tapped().await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    tap.forget();
    world.heroes.fail_next(Fault::FailsEarly);

    assert_eq!(
        instance.heroes.update(mia.renamed("Maria")).await,
        Err(DatabaseError::Failed)
    );

    assert_eq!(tap.trips(), [""; 0]);
    assert_eq!(world.state(&mia.key()), 'V');
}

#[tokio::test]
async fn a_write_of_unknown_end_stays_quarantined_until_expiry() {
    for (fault, name) in [
        (Fault::ConnectionLostAfterCommit, "Maria"),
        (Fault::ConnectionLostBeforeCommit, "Mia"),
    ] {
        let world = World::new();
        let instance = world.instance_with(brief(&world)).await;
        let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
        world.heroes.fail_next(fault);

        let lost = instance.heroes.update(mia.renamed("Maria")).await;

        assert_eq!(lost, Err(DatabaseError::ConnectionLost));
        assert_eq!(world.state(&mia.key()), 'Q');
        assert_eq!(name_of(&instance, &mia).await, name);
        assert_eq!(
            world.state(&mia.key()),
            'Q',
            "a read fills nothing meanwhile"
        );
        eventually(SOON, "the end of the quarantine", async || {
            assert_eq!(name_of(&instance, &mia).await, name);
            world.state(&mia.key()) == 'V'
        })
        .await;
    }
}

#[tokio::test]
async fn a_missing_quarantine_is_made_up_for_and_counted() {
    on_both(async |world| {
        let (one, other) = (world.instance().await, world.instance().await);
        let mia = one.heroes.save(hero("Mia", "en")).await.unwrap();
        one.heroes.find_by(&named("Mia")).await.unwrap();
        one.filled("hero:name:Mia").await;
        world.heroes.fail_next(Fault::ForgetsToQuarantine);

        one.heroes.update(mia.renamed("Maria")).await.unwrap();

        assert_eq!(one.errors("no_before_commit"), 1);
        assert!(!one.cache.exists(&mia.key()).await && !one.cache.exists("hero:name:Mia").await);
        assert_eq!(name_of(&one, &mia).await, "Maria");
        let shared = other
            .heroes
            .find_by_with(&named("Mia"), Freshness::Shared)
            .await;
        assert_eq!(shared.unwrap().value.len(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_caller_dropped_in_mid_write_skips_no_step() {
    for place in [Place::Locked, Place::BeforeCommit, Place::AfterCommit] {
        let world = World::new();
        let instance = world.instance().await;
        let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
        instance.heroes.find_by(&named("Mia")).await.unwrap();
        world.filled("hero:name:Mia").await;
        let mut stopped = world.heroes.stop_at(place);

        let heroes = instance.heroes.clone();
        let renamed = mia.renamed("Maria");
        let caller = tokio::spawn(async move { heroes.update(renamed).await });
        stopped.reached().await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        stopped.go_on();

        eventually(SOON, "the write", async || {
            world.state(&mia.key()) == 'V' && name_of(&instance, &mia).await == "Maria"
        })
        .await;
        assert_eq!(world.state("hero:name:Mia"), '-', "{place:?}");
    }
}

#[tokio::test]
async fn a_panic_in_a_write_reaches_its_caller_and_counts_as_unknown() {
    for (fault, name) in [
        (Fault::PanicsBeforeCommit, "Mia"),
        (Fault::PanicsAfterCommit, "Maria"),
    ] {
        let world = World::new();
        let instance = world.instance_with(brief(&world)).await;
        let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
        world.heroes.fail_next(fault);

        let heroes = instance.heroes.clone();
        let renamed = mia.renamed("Maria");
        let caller = tokio::spawn(async move { heroes.update(renamed).await });

        assert!(caller.await.unwrap_err().is_panic());
        assert_eq!(name_of(&instance, &mia).await, name);
        eventually(SOON, "the end of the quarantine", async || {
            assert_eq!(name_of(&instance, &mia).await, name);
            world.state(&mia.key()) == 'V'
        })
        .await;
    }
}

#[tokio::test]
async fn a_callers_own_transaction_is_released_without_its_rows() {
    on_both(async |world| {
        let instance = world.instance().await;
        let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
        let mut write = instance.cache.write();

        let renamed = instance
            .heroes
            .update_in(mia.renamed("Maria"), &mut write)
            .await
            .unwrap();
        assert_eq!(renamed.unwrap().name, "Maria");
        assert!(instance.cache.exists(&mia.key()).await, "quarantined");
        assert_eq!(name_of(&instance, &mia).await, "Maria");
        write.committed().await;

        assert!(!instance.cache.exists(&mia.key()).await);
        assert_eq!(name_of(&instance, &mia).await, "Maria");
    })
    .await;
}

#[tokio::test]
async fn a_callers_own_transaction_may_write_rows_of_several_kinds() {
    let world = World::new();
    let instance = world.instance().await;
    let mut write = instance.cache.write();

    instance
        .heroes
        .save_in(hero("Mia", "en"), &mut write)
        .await
        .unwrap();
    let tale = crate::entities::book("1", "A tale", 1970);
    instance.books.save_in(tale, &mut write).await.unwrap();
    let closed = world.keys();
    write.committed().await;

    assert_eq!(closed.len(), 4 + 3);
    assert_eq!(world.keys(), [""; 0]);
}

#[tokio::test]
async fn a_callers_own_write_without_a_verdict_counts_as_unknown() {
    let world = World::new();
    let instance = world.instance_with(brief(&world)).await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    let mut write = instance.cache.write();
    instance
        .heroes
        .update_in(mia.renamed("Maria"), &mut write)
        .await
        .unwrap();

    drop(write);

    assert_eq!(world.state(&mia.key()), 'Q');
    eventually(SOON, "the end of the quarantine", async || {
        assert_eq!(name_of(&instance, &mia).await, "Maria");
        world.state(&mia.key()) == 'V'
    })
    .await;
}

#[tokio::test]
async fn a_write_of_a_whole_kind_invalidates_it_before_and_after() {
    on_both(async |world| {
        let (one, other) = (world.instance().await, world.instance().await);
        let mia = one.heroes.save(hero("Mia", "en")).await.unwrap();
        for instance in [&one, &other] {
            instance.heroes.find_by(&speaking("en")).await.unwrap();
        }
        one.filled("hero:lang:en").await;

        let mut write = one.cache.write();
        write.whole_kind::<Hero>();
        let _ = write.before_commit().await;
        let read = one.heroes.find_by_id_with(&mia.id, Freshness::Shared).await;
        assert_eq!(read.unwrap().tier, Tier::Source);
        // The old rows are read before the commit.
        one.heroes.find_by(&speaking("en")).await.unwrap();
        one.filled("hero:lang:en").await;
        world.heroes.insert(&mia.speaking("ru"));
        write.committed().await;

        assert_eq!(one.heroes.find_by(&speaking("en")).await.unwrap().len(), 0);
        eventually(SOON, "the message", async || {
            other
                .heroes
                .find_by(&speaking("en"))
                .await
                .unwrap()
                .is_empty()
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_whole_kind_write_without_a_verdict_invalidates_again() {
    let world = World::new();
    let instance = world.instance_with(brief(&world)).await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    let mut write = instance.cache.write();
    write.whole_kind::<Hero>();
    let _ = write.before_commit().await;
    assert_eq!(name_of(&instance, &mia).await, "Mia");
    world.filled(&mia.key()).await;

    drop(write);
    world.heroes.insert(&mia.renamed("Maria"));

    eventually(SOON, "the new name", async || {
        name_of(&instance, &mia).await == "Maria"
    })
    .await;
}

#[tokio::test]
async fn a_write_of_more_than_a_thousand_keys_invalidates_its_kind() {
    on_both(async |world| {
        let instance = world.instance().await;
        let heroes: Vec<Hero> = (0..600)
            .map(|number| hero(&number.to_string(), "en"))
            .collect();
        let mut write = instance.cache.write();
        for hero in &heroes {
            world.heroes.insert(hero);
            instance.heroes.find_by_id(&hero.id).await.unwrap();
            write.created(hero);
        }
        instance
            .books
            .save(crate::entities::book("1", "A tale", 1970))
            .await
            .unwrap();
        instance.filled(&heroes[599].key()).await;

        assert!(write.before_commit().await.is_empty());
        for hero in &heroes {
            world.heroes.insert(&hero.speaking("ru"));
        }
        write.committed().await;

        for hero in heroes.iter().step_by(97) {
            let found = instance.heroes.find_by_id(&hero.id).await.unwrap();
            assert_eq!(found.unwrap().language, "ru");
        }
        assert!(instance.holds("book:1").await);
    })
    .await;
}

#[tokio::test]
async fn a_commit_after_a_dropped_quarantine_leaves_no_old_row() {
    use std::task::Poll;
    let world = World::new();
    let instance = world.instance().await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    let maria = mia.renamed("Maria");

    let mut write = instance.cache.write();
    write.updated(&*mia, &maria);
    {
        // It may have been sent; its reply is not awaited.
        let mut quarantine = Box::pin(write.before_commit());
        let polled = std::future::poll_fn(|context| Poll::Ready(quarantine.as_mut().poll(context)));
        assert!(polled.await.is_pending());
    }
    world.heroes.insert(&maria);
    write.committed().await;

    assert_eq!(name_of(&instance, &mia).await, "Maria");
    eventually(SOON, "nothing pending", async || {
        instance.cache.health_check().await.unreleased_keys == 0
    })
    .await;
    eventually(SOON, "a value", async || {
        assert_eq!(name_of(&instance, &mia).await, "Maria");
        world.state(&mia.key()) == 'V'
    })
    .await;
}

#[tokio::test]
async fn an_uncached_write_still_commits() {
    let world = World::new();
    let mia = hero("Mia", "en");
    world
        .heroes
        .save_in(mia.clone(), &mut Write::uncached())
        .await
        .unwrap();
    assert_eq!(world.heroes.row(&mia.id).unwrap().name, "Mia");
}
