//! Bugs of real products: slow readers, lost state and reordered messages must
//! not restore old rows.

use aside::{Freshness, Repository, Source};
use aside_testkit::eventually;

use crate::database::Place;
use crate::entities::{Hero, hero, named, speaking};
use crate::world::{Instance, SOON, World, on_both};

async fn name_of(instance: &Instance, hero: &Hero, freshness: Freshness) -> Option<String> {
    let read = instance
        .heroes
        .find_by_id_with(&hero.id, freshness)
        .await
        .unwrap();
    read.value.map(|hero| hero.name.clone())
}

#[tokio::test]
async fn a_slow_reader_does_not_restore_a_row_saved_meanwhile() {
    on_both(async |world| {
        let (one, other) = (world.instance().await, world.instance().await);
        let mia = hero("Mia", "en");
        world.heroes.insert(&mia);
        for (reader, writer) in [(&one, &other), (&one, &one)] {
            let before = world.heroes.row(&mia.id).unwrap();
            let mut stopped = world.heroes.stop_at(Place::AfterRead);
            reader.heroes.invalidate(aside::Scope::Row(&mia.id)).await;
            let (heroes, id) = (reader.heroes.clone(), mia.id);
            let slow = tokio::spawn(async move { heroes.find_by_id(&id).await });
            stopped.reached().await;

            let renamed = before.renamed(&format!("{}'", before.name));
            let after = writer.heroes.update(renamed).await.unwrap().unwrap();
            stopped.go_on();
            assert_eq!(slow.await.unwrap().unwrap(), Some(before));

            eventually(SOON, "the fill to be refused", async || {
                reader.cache.stats().fills_rejected > 0
            })
            .await;
            for instance in [&one, &other] {
                let name = name_of(instance, &mia, Freshness::Shared).await;
                assert_eq!(name.as_ref(), Some(&after.name));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_row_deleted_during_its_load_stays_deleted() {
    on_both(async |world| {
        let instance = world.instance().await;
        let mia = hero("Mia", "en");
        world.heroes.insert(&mia);
        let mut stopped = world.heroes.stop_at(Place::AfterRead);
        let (heroes, id) = (instance.heroes.clone(), mia.id);
        let slow = tokio::spawn(async move { heroes.find_by_id(&id).await });
        stopped.reached().await;

        assert!(instance.heroes.delete(&mia.id).await.unwrap());
        stopped.go_on();
        assert!(slow.await.unwrap().unwrap().is_some());

        assert_eq!(name_of(&instance, &mia, Freshness::Any).await, None);
        assert_eq!(name_of(&instance, &mia, Freshness::Shared).await, None);
    })
    .await;
}

#[tokio::test]
async fn a_row_created_during_a_load_that_missed_it_is_found() {
    on_both(async |world| {
        let instance = world.instance().await;
        let mia = hero("Mia", "en");
        let mut stopped = world.heroes.stop_at(Place::AfterRead);
        let (heroes, id) = (instance.heroes.clone(), mia.id);
        let slow = tokio::spawn(async move { heroes.find_by_id(&id).await });
        stopped.reached().await;

        instance.heroes.save(mia.clone()).await.unwrap();
        stopped.go_on();
        assert_eq!(slow.await.unwrap().unwrap(), None);

        assert_eq!(
            name_of(&instance, &mia, Freshness::Any).await.as_deref(),
            Some("Mia")
        );
        assert_eq!(
            name_of(&instance, &mia, Freshness::Shared).await.as_deref(),
            Some("Mia")
        );
    })
    .await;
}

#[tokio::test]
async fn a_list_loaded_before_a_row_entered_it_is_not_cached() {
    on_both(async |world| {
        let instance = world.instance().await;
        let mia = instance.heroes.save(hero("Mia", "en")).await.unwrap();
        let mut stopped = world.heroes.stop_at(Place::AfterRead);
        let heroes = instance.heroes.clone();
        let slow = tokio::spawn(async move { heroes.find_by(&speaking("ru")).await });
        stopped.reached().await;

        instance.heroes.update(mia.speaking("ru")).await.unwrap();
        stopped.go_on();
        assert_eq!(slow.await.unwrap().unwrap().len(), 0);

        assert_eq!(
            instance
                .heroes
                .find_by(&speaking("ru"))
                .await
                .unwrap()
                .len(),
            1
        );
    })
    .await;
}

#[tokio::test]
async fn a_read_between_quarantine_and_commit_leaves_no_copy() {
    on_both(async |world| {
        let (one, other) = (world.instance().await, world.instance().await);
        let mia = one.heroes.save(hero("Mia", "en")).await.unwrap();
        for instance in [&one, &other] {
            name_of(instance, &mia, Freshness::Any).await;
        }
        let mut stopped = world.heroes.stop_at(Place::BeforeCommit);
        let (heroes, maria) = (one.heroes.clone(), mia.renamed("Maria"));
        let writing = tokio::spawn(async move { heroes.update(maria).await });
        stopped.reached().await;

        // Before the commit the old row is the right result.
        for instance in [&one, &other] {
            assert_eq!(
                name_of(instance, &mia, Freshness::Shared).await.as_deref(),
                Some("Mia")
            );
        }
        stopped.go_on();
        writing.await.unwrap().unwrap();

        assert_eq!(
            name_of(&one, &mia, Freshness::Any).await.as_deref(),
            Some("Maria")
        );
        for instance in [&one, &other] {
            assert_eq!(
                name_of(instance, &mia, Freshness::Shared).await.as_deref(),
                Some("Maria")
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_flush_between_quarantine_and_commit_restores_no_old_row() {
    let world = World::new();
    let (one, other) = (world.instance().await, world.instance().await);
    let mia = one.heroes.save(hero("Mia", "en")).await.unwrap();
    let mut stopped = world.heroes.stop_at(Place::BeforeCommit);
    let (heroes, maria) = (one.heroes.clone(), mia.renamed("Maria"));
    let writing = tokio::spawn(async move { heroes.update(maria).await });
    stopped.reached().await;
    world.redis().command(&["FLUSHALL"]);
    // The quarantine is lost, so the old row is filled once more.
    for instance in [&one, &other] {
        assert_eq!(
            name_of(instance, &mia, Freshness::Any).await.as_deref(),
            Some("Mia")
        );
    }
    world.filled(&mia.key()).await;
    stopped.go_on();
    writing.await.unwrap().unwrap();

    assert_eq!(
        name_of(&one, &mia, Freshness::Any).await.as_deref(),
        Some("Maria")
    );
    assert_eq!(
        name_of(&other, &mia, Freshness::Shared).await.as_deref(),
        Some("Maria")
    );
    eventually(SOON, "the message", async || {
        name_of(&other, &mia, Freshness::Any).await.as_deref() == Some("Maria")
    })
    .await;
    assert!(one.cache.stats().releases_lost > 0);
}

#[tokio::test]
async fn a_flush_between_load_and_fill_costs_only_the_fill() {
    let world = World::new();
    let instance = world.instance().await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    let mut stopped = world.heroes.stop_at(Place::AfterRead);
    let (heroes, id) = (instance.heroes.clone(), mia.id);
    let slow = tokio::spawn(async move { heroes.find_by_id(&id).await });
    stopped.reached().await;

    world.redis().command(&["FLUSHALL"]);
    world.heroes.insert(&mia.renamed("Maria"));
    stopped.go_on();
    assert_eq!(slow.await.unwrap().unwrap().as_deref(), Some(&mia));

    assert_eq!(
        name_of(&instance, &mia, Freshness::Shared).await.as_deref(),
        Some("Maria")
    );
}

#[tokio::test]
async fn two_writers_of_a_row_leave_the_later_one() {
    on_both(async |world| {
        let (one, other) = (world.instance().await, world.instance().await);
        let mia = one.heroes.save(hero("Mia", "en")).await.unwrap();
        let mut stopped = world.heroes.stop_at(Place::BeforeCommit);
        let (heroes, maria) = (one.heroes.clone(), mia.renamed("Maria"));
        let first = tokio::spawn(async move { heroes.update(maria).await });
        stopped.reached().await;
        // It waits for the row's lock, which the first writer still holds.
        let (heroes, marie) = (other.heroes.clone(), mia.renamed("Marie"));
        let second = tokio::spawn(async move { heroes.update(marie).await });
        stopped.go_on();
        first.await.unwrap().unwrap();
        second.await.unwrap().unwrap();

        for instance in [&one, &other] {
            assert_eq!(
                name_of(instance, &mia, Freshness::Shared).await.as_deref(),
                Some("Marie")
            );
        }
        assert_eq!(world.heroes.row(&mia.id).unwrap().name, "Marie");
    })
    .await;
}

#[tokio::test]
async fn a_row_overtaken_before_its_release_is_not_left_behind() {
    on_both(async |world| {
        let (one, other) = (world.instance().await, world.instance().await);
        let mia = one.heroes.save(hero("Mia", "en")).await.unwrap();
        let mut stopped = world.heroes.stop_at(Place::AfterCommit);
        let (heroes, maria) = (one.heroes.clone(), mia.renamed("Maria"));
        let first = tokio::spawn(async move { heroes.update(maria).await });
        stopped.reached().await;

        other.heroes.update(mia.renamed("Marie")).await.unwrap();
        stopped.go_on();
        first.await.unwrap().unwrap();

        for instance in [&one, &other] {
            let name = name_of(instance, &mia, Freshness::Shared).await;
            assert_eq!(name.as_deref(), Some("Marie"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_release_after_another_writers_quarantine_leaves_no_row() {
    let world = World::new();
    let (one, other) = (world.instance().await, world.instance().await);
    let mia = one.heroes.save(hero("Mia", "en")).await.unwrap();
    // The second writer has quarantined, and has not committed yet.
    let mut write = other.cache.write();
    let mut stopped = world.heroes.stop_at(Place::AfterCommit);
    let (heroes, maria) = (one.heroes.clone(), mia.renamed("Maria"));
    let first = tokio::spawn(async move { heroes.update(maria).await });
    stopped.reached().await;
    write.updated(&*mia, &mia.renamed("Marie"));
    let _ = write.before_commit().await;
    stopped.go_on();
    first.await.unwrap().unwrap();
    assert_eq!(world.state(&mia.key()), 'Q');

    world.heroes.insert(&mia.renamed("Marie"));
    write.committed().await;

    assert_eq!(world.state(&mia.key()), '-');
    assert_eq!(
        name_of(&one, &mia, Freshness::Shared).await.as_deref(),
        Some("Marie")
    );
}

#[tokio::test]
async fn many_writes_within_a_tick_leave_the_last_row() {
    on_both(async |world| {
        let instance = world.instance().await;
        let mia = instance.heroes.save(hero("0", "en")).await.unwrap();
        for number in 1..50 {
            let name = number.to_string();
            instance.heroes.update(mia.renamed(&name)).await.unwrap();
            if number % 3 == 0 {
                instance.heroes.invalidate(aside::Scope::Row(&mia.id)).await;
            }
            assert_eq!(
                name_of(&instance, &mia, Freshness::Any).await,
                Some(name.clone())
            );
            let list = instance.heroes.find_by(&named(&name)).await.unwrap();
            assert_eq!(list.len(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn a_local_read_is_not_older_than_a_shared_one() {
    let world = World::new();
    let (one, other) = (world.instance().await, world.instance().await);
    let mia = one.heroes.save(hero("Mia", "en")).await.unwrap();
    one.heroes.find_by_id(&mia.id).await.unwrap();
    // Redis loses the key without a message, and another program's row is
    // filled.
    world.heroes.insert(&mia.renamed("Maria"));
    world.redis().command(&["DEL", &mia.key()]);
    other.heroes.find_by_id(&mia.id).await.unwrap();
    world.filled(&mia.key()).await;

    let shared = one.heroes.find_by_id_with(&mia.id, Freshness::Shared).await;
    assert_eq!(shared.unwrap().value.unwrap().name, "Maria");
    let any = one.heroes.find_by_id(&mia.id).await.unwrap();
    assert_eq!(any.unwrap().name, "Maria");
}

#[tokio::test]
async fn a_writer_with_a_lost_quarantine_reads_its_own_write() {
    let world = World::new();
    let one = world.instance().await;
    let mut mia = one.heroes.save(hero("Mia", "en")).await.unwrap();
    // The order of the message and the reply is not under the test's control.
    for number in 0..50 {
        let renamed = mia.renamed(&format!("Maria {number}"));
        let mut write = one.cache.write();
        write.updated(&*mia, &renamed);
        let _ = write.before_commit().await;
        world.redis().command(&["DEL", &mia.key()]);
        one.heroes.find_by_id(&mia.id).await.unwrap();
        world.filled(&mia.key()).await;
        world.heroes.insert(&renamed);
        write.committed().await;

        let found = one.heroes.find_by_id(&mia.id).await.unwrap().unwrap();
        assert_eq!(found.name, renamed.name);
        mia = found;
    }
}
