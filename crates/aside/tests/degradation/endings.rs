//! Pending work reaches Redis, and nothing is left behind.

use aside_testkit::{Direction, Mode};

use super::*;

#[tokio::test]
async fn keys_written_during_an_outage_are_released_after_it() {
    let redis = redis();
    let library = Library::of(100);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    let reader = Instance::in_step(at(&redis.url()), &library).await;
    for id in 1..=100 {
        reader.tier(id).await;
    }
    redis.stop();
    for id in 1..=100 {
        let change = Book::new(id, format!("changed {id}"));
        assert!(instance.books.update(change).await.unwrap().is_some());
    }
    // A hundred books, their shelf and the list of all.
    let held = instance.cache.health_check().await.unreleased_keys;
    assert!(held >= 102, "{held}");
    redis.cont();
    eventually(RESUMES_WITHIN, "everything to be released", async || {
        instance.cache.health_check().await.unreleased_keys == 0
    })
    .await;
    for id in 1..=100 {
        let shared = reader.books.find_by_id_with(&id, Freshness::Shared).await;
        let title = shared.unwrap().value.unwrap().title.clone();
        assert_eq!(title, format!("changed {id}"));
    }
}

#[tokio::test]
async fn closing_sends_pending_releases_and_ends_every_connection() {
    let redis = redis();
    let proxy = way_to(&redis).await;
    let library = Library::of(3);
    let instance = Instance::in_step(through(&proxy), &library).await;
    // Quarantined and acknowledged, and the release's reply is lost.
    let mut write = instance.cache.write();
    write.updated(&Book::new(1, "tale 1"), &Book::new(1, "changed"));
    assert!(write.before_commit().await.is_empty());
    proxy.set(Direction::ToServer, Mode::Blackhole);
    write.committed().await;
    proxy.heal().await;
    let quarantined = redis.command(&["GET", "book:1"]);
    assert!(quarantined.text().unwrap().starts_with('Q'));

    instance.resumes().await;
    instance.cache.close().await;
    assert!(redis.command(&["GET", "book:1"]).is_nil());
    eventually(EVENTUALLY, "the end of all connections", async || {
        connections(&redis) == 0
    })
    .await;
    // It continues without a cache.
    assert_eq!(instance.tier(1).await, Tier::Source);
    let change = instance.books.update(Book::new(1, "changed"));
    assert!(change.await.unwrap().is_some());
}

#[tokio::test]
async fn closing_without_redis_takes_at_most_one_operation() {
    let redis = redis();
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    redis.stop();
    instance
        .books
        .update(Book::new(1, "changed"))
        .await
        .unwrap();
    let ((), took) = timed(instance.cache.close()).await;
    assert!(took < FIRST_ANSWER_WITHIN, "{took:?}");
}

#[tokio::test]
async fn a_dropped_service_leaves_no_connection_and_no_task() {
    let redis = redis();
    let library = Library::of(3);
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    instance.caches(1).await;
    instance
        .books
        .update(Book::new(1, "changed"))
        .await
        .unwrap();
    assert!(connections(&redis) > 1 && tasks() > before);
    drop(instance);
    eventually(EVENTUALLY, "the end of all connections", async || {
        connections(&redis) == 0
    })
    .await;
    eventually(EVENTUALLY, "the end of all tasks", async || {
        tasks() == before
    })
    .await;
}

#[tokio::test]
async fn a_service_dropped_during_an_outage_leaves_nothing_behind() {
    let redis = redis();
    let library = Library::of(3);
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    redis.stop();
    instance.tier(1).await;
    instance
        .books
        .update(Book::new(1, "changed"))
        .await
        .unwrap();
    drop(instance);
    eventually(EVENTUALLY, "the end of all tasks", async || {
        tasks() == before
    })
    .await;
    redis.cont();
    eventually(EVENTUALLY, "the end of all connections", async || {
        connections(&redis) == 0
    })
    .await;
}

#[tokio::test]
async fn a_read_in_flight_when_the_service_closes_returns() {
    let redis = redis();
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    redis.stop();
    let books = instance.books.clone();
    let under_way = tokio::spawn(async move { books.find_by_id(&1).await });
    tokio::task::yield_now().await;
    instance.cache.close().await;
    assert!(under_way.await.unwrap().unwrap().is_some());
    assert_eq!(instance.tier(1).await, Tier::Source);
}
