//! Writes that were dropped half-way: the rows they changed are invalidated.

use std::task::Poll;
use std::time::Duration;

use aside::{CacheConfig, Repository, Source};
use aside_testkit::eventually;

use crate::database::Fault;
use crate::entities::{Book, Hero, book, hero};
use crate::world::{SOON, World};

/// A quarantine shorter than a test.
fn brief(world: &World) -> CacheConfig {
    CacheConfig {
        quarantine_ttl: Duration::from_secs(1),
        operation_timeout: Duration::from_millis(900),
        ..world.config()
    }
}

/// Begins a call, and drops it where it first waits.
async fn give_up_half_way(begun: impl Future<Output = ()>) {
    let mut begun = Box::pin(begun);
    let polled = std::future::poll_fn(|context| Poll::Ready(begun.as_mut().poll(context)));
    assert!(polled.await.is_pending());
}

#[tokio::test]
async fn late_rows_of_a_write_of_unknown_end_are_invalidated() {
    let world = World::new();
    let instance = world.instance_with(brief(&world)).await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    let maria = mia.renamed("Maria");
    instance.heroes.find_by_id(&mia.id).await.unwrap();

    let mut write = instance.cache.write();
    let _ = write.before_commit().await;
    write.updated(&*mia, &maria);
    world.heroes.insert(&maria);
    drop(write);

    let found = instance.heroes.find_by_id(&mia.id).await.unwrap();
    assert_eq!(
        found.unwrap().name,
        "Maria",
        "at once on the writer's instance"
    );
    eventually(SOON, "the message to the others", async || {
        instance.cache.health_check().await.unreleased_keys == 0
    })
    .await;
    instance.heroes.find_by_id(&mia.id).await.unwrap();
    world.filled(&mia.key()).await;
    assert!(world.raw(&mia.key()).unwrap().contains("Maria"));
}

#[tokio::test]
async fn a_dropped_verdict_invalidates_every_unquarantined_row() {
    let world = World::new();
    let instance = world.instance_with(brief(&world)).await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    let maria = mia.renamed("Maria");
    instance.heroes.find_by_id(&mia.id).await.unwrap();

    let mut write = instance.cache.write();
    // More keys than one command invalidates.
    for number in 0..400 {
        write.created(&hero(&number.to_string(), "en"));
    }
    write.updated(&*mia, &maria);
    world.heroes.insert(&maria);
    give_up_half_way(write.committed()).await;

    eventually(SOON, "the new name", async || {
        let found = instance.heroes.find_by_id(&mia.id).await.unwrap();
        found.unwrap().name == "Maria"
    })
    .await;
}

#[tokio::test]
async fn a_dropped_verdict_invalidates_every_kind_written_whole() {
    let world = World::new();
    let instance = world.instance_with(brief(&world)).await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    let tale = book("1", "A tale", 1970);
    instance.books.save(tale.clone()).await.unwrap();

    let mut write = instance.cache.write();
    write.whole_kind::<Hero>();
    write.whole_kind::<Book>();
    let _ = write.before_commit().await;
    instance.heroes.find_by_id(&mia.id).await.unwrap();
    instance.books.find_by_id(&tale.id).await.unwrap();
    world.filled(&mia.key()).await;
    world.filled("book:1").await;
    world.heroes.insert(&mia.renamed("Maria"));
    world.books.insert(&book("1", "Another tale", 1970));
    give_up_half_way(write.committed()).await;

    eventually(SOON, "the new rows", async || {
        let hero = instance.heroes.find_by_id(&mia.id).await.unwrap();
        let book = instance.books.find_by_id(&tale.id).await.unwrap();
        hero.unwrap().name == "Maria" && book.unwrap().title == "Another tale"
    })
    .await;
}

#[tokio::test]
async fn a_transaction_retried_after_a_rollback_ends_separately() {
    let world = World::new();
    let instance = world.instance_with(brief(&world)).await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    let maria = mia.renamed("Maria");

    let mut write = instance.cache.write();
    write.updated(&*mia, &maria);
    let _ = write.before_commit().await;
    write.rolled_back();
    write.updated(&*mia, &maria);
    let _ = write.before_commit().await;
    drop(write);

    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.state(&mia.key()), 'Q', "the second may commit yet");
    world.heroes.insert(&maria);
    eventually(SOON, "the end of the quarantine", async || {
        let found = instance.heroes.find_by_id(&mia.id).await.unwrap();
        assert_eq!(found.unwrap().name, "Maria");
        world.state(&mia.key()) == 'V'
    })
    .await;
}

#[tokio::test]
async fn a_row_of_a_rolled_back_attempt_is_not_left_by_the_next() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
    world.heroes.fail_next(Fault::TriesAgainAndFindsNothing);

    let nothing = instance.heroes.update(mia.renamed("Maria")).await;

    assert_eq!(nothing, Ok(None));
    assert_eq!(world.state(&mia.key()), '-');
}

#[tokio::test]
async fn a_write_that_is_polled_only_once_still_completes() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = hero("Mia", "en");
    let mut saving = Box::pin(instance.heroes.save(mia.clone()));
    let begun = std::future::poll_fn(|context| Poll::Ready(saving.as_mut().poll(context)));
    assert!(begun.await.is_pending());

    eventually(SOON, "the row", async || {
        let found = instance.heroes.find_by_id(&mia.id).await.unwrap();
        found.is_some()
    })
    .await;
    saving.await.unwrap();
}
