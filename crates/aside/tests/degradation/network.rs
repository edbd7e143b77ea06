//! The network to Redis is slow, broken, or leads to another server.

use aside_testkit::{Behavior, Direction, FakeServer, Mode};

use super::*;

/// Reads come from the library, at once, and writes succeed.
async fn answers_without_redis(instance: &Instance) {
    eventually(EVENTUALLY, "the fault to be noticed", async || {
        instance.tier(1).await == Tier::Source && !instance.cache.is_synced()
    })
    .await;
    for id in 1..=3 {
        let (tier, took) = timed(instance.tier(id)).await;
        assert_eq!(tier, Tier::Source);
        assert!(took < AT_ONCE, "{took:?}");
    }
    let change = instance.books.update(Book::new(2, "changed meanwhile"));
    let (changed, took) = timed(change).await;
    assert!(changed.unwrap().is_some());
    assert!(took < AT_ONCE, "{took:?}");
    assert_eq!(instance.tier(2).await, Tier::Source);
}

async fn caches_again(instance: &Instance, what: &str) {
    let begun = Instant::now();
    for id in 1..=3 {
        instance.caches(id).await;
    }
    measured(what, begun.elapsed());
    assert!(begun.elapsed() < RESUMES_WITHIN, "{:?}", begun.elapsed());
    let held = instance.cache.health_check().await.unreleased_keys;
    assert_eq!(held, 0);
}

async fn survives(what: &str, broken: Mode) {
    let redis = redis();
    let proxy = way_to(&redis).await;
    let library = Library::of(3);
    let instance = Instance::in_step(through(&proxy), &library).await;
    instance.caches(1).await;
    proxy.set_both(broken);
    answers_without_redis(&instance).await;
    proxy.heal().await;
    caches_again(&instance, what).await;
}

#[tokio::test]
async fn a_redis_that_replies_too_slowly_is_bypassed() {
    survives(
        "after slow replies",
        Mode::Delay(Duration::from_millis(300)),
    )
    .await;
}

#[tokio::test]
async fn a_network_that_swallows_everything_costs_one_deadline() {
    survives("after a silent network", Mode::Blackhole).await;
}

#[tokio::test]
async fn a_network_that_hangs_costs_one_deadline() {
    survives("after a hanging network", Mode::Stall).await;
}

#[tokio::test]
async fn half_closed_connections_are_given_up_and_replaced() {
    survives("after half-closed connections", Mode::HalfClose).await;
}

#[tokio::test]
async fn connections_that_are_reset_repeatedly_cost_no_read() {
    survives("after resets", Mode::Reset).await;
}

#[tokio::test]
async fn refused_connections_cost_no_read() {
    let redis = redis();
    let proxy = way_to(&redis).await;
    let library = Library::of(3);
    let instance = Instance::in_step(through(&proxy), &library).await;
    instance.caches(1).await;
    proxy.refuse().await;
    proxy.sever();
    answers_without_redis(&instance).await;
    proxy.heal().await;
    caches_again(&instance, "after refused connections").await;
}

#[tokio::test]
async fn a_quarantine_without_a_reply_is_bypassed_and_then_released() {
    let redis = redis();
    let proxy = way_to(&redis).await;
    let library = Library::of(3);
    let instance = Instance::in_step(through(&proxy), &library).await;
    instance.caches(1).await;

    proxy.set(Direction::ToClient, Mode::Blackhole);
    let change = instance.books.update(Book::new(1, "changed"));
    let (changed, took) = timed(change).await;
    assert!(changed.unwrap().is_some());
    assert!(took < FIRST_ANSWER_WITHIN, "{took:?}");
    // It was executed: no reader can fill the key that is being written.
    let quarantined = redis.command(&["GET", "book:1"]);
    assert!(quarantined.text().unwrap().starts_with('Q'));
    assert_eq!(instance.tier(1).await, Tier::Source);
    assert!(instance.cache.health_check().await.unreleased_keys > 0);

    proxy.heal().await;
    caches_again(&instance, "after a lost reply").await;
}

#[tokio::test]
async fn an_acquire_without_a_reply_delays_no_other_reader() {
    let redis = redis();
    let proxy = way_to(&redis).await;
    let library = Library::of(3);
    let one = Instance::in_step(through(&proxy), &library).await;
    let other = Instance::in_step(at(&redis.url()), &library).await;
    proxy.set(Direction::ToClient, Mode::Blackhole);
    assert_eq!(one.tier(1).await, Tier::Source);
    proxy.heal().await;
    one.resumes().await;
    // Its lease would last for three seconds.
    let took = other.caches(1).await;
    assert!(took < RESUMES_WITHIN, "{took:?}");
}

#[tokio::test]
async fn a_server_that_is_no_redis_costs_no_read() {
    for garbage in [
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "\0\u{1}\u{2}",
        "+OK\r\n",
        "$-1\r\n",
    ] {
        let behavior = Behavior::Garbage(garbage.as_bytes().to_vec());
        let fake_server = FakeServer::start(behavior).await.unwrap();
        is_never_used(&fake_server).await;
    }
}

#[tokio::test]
async fn a_server_that_never_replies_costs_no_read() {
    let fake_server = FakeServer::silent().await.unwrap();
    is_never_used(&fake_server).await;
}

async fn is_never_used(fake_server: &FakeServer) {
    let library = Library::of(3);
    let config = at(&format!("redis://{}/0", fake_server.address()));
    let (instance, took) = timed(Instance::start(config, &library)).await;
    assert!(took < FIRST_ANSWER_WITHIN, "{took:?}");
    eventually(EVENTUALLY, "an attempt to connect", async || {
        fake_server.connections() > 0
    })
    .await;
    answers_without_redis(&instance).await;
}

#[tokio::test]
async fn a_disconnected_subscriber_drops_its_entries_and_returns() {
    let redis = redis();
    let library = Library::of(1);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    instance.caches(1).await;
    assert_eq!(redis.client_kill_pubsub(), 1);
    eventually(EVENTUALLY, "the loss to be noticed", async || {
        instance.tier(1).await == Tier::Source
    })
    .await;
    let took = instance.caches(1).await;
    measured("a subscriber cut off to cached reads", took);
    assert!(took < RESUMES_WITHIN, "{took:?}");
}

#[tokio::test]
async fn a_hung_subscription_serves_nothing_older_than_the_bound() {
    let redis = redis();
    let proxy = way_to(&redis).await;
    let library = Library::of(1);
    let deaf = Instance::in_step(through(&proxy), &library).await;
    let writer = Instance::in_step(at(&redis.url()), &library).await;
    deaf.caches(1).await;
    eventually(EVENTUALLY, "a local row", async || {
        deaf.tier(1).await == Tier::Local
    })
    .await;

    proxy.set_both(Mode::Stall);
    writer.books.update(Book::new(1, "changed")).await.unwrap();
    let written = Instant::now();
    // The bound, and the tick of the coarse clock.
    let bound = Duration::from_millis(500 + 10);
    let mut old = Duration::ZERO;
    eventually(EVENTUALLY, "the new title", async || {
        let asked = written.elapsed();
        let book = deaf.books.find_by_id(&1).await.unwrap().unwrap();
        if book.title != "changed" {
            old = asked;
        }
        book.title == "changed"
    })
    .await;
    measured("the age of the oldest row of an unsubscribed instance", old);
    assert!(old <= bound, "{old:?}");
}

#[tokio::test]
async fn an_idle_service_keeps_connections_past_the_idle_timeout() {
    let redis = redis();
    redis.set_config("timeout", "1");
    let proxy = way_to(&redis).await;
    let library = Library::of(1);
    let instance = Instance::in_step(through(&proxy), &library).await;
    eventually(EVENTUALLY, "every connection", async || {
        connections(&redis) == 5
    })
    .await;
    let opened = proxy.counts().connections;
    // A client of the server that does nothing is closed in the meantime.
    let mut idle = tokio::net::TcpStream::connect(redis.address())
        .await
        .unwrap();
    for _ in 0..2 {
        let closed = tokio::io::AsyncReadExt::read(&mut idle, &mut [0]).await;
        assert_eq!(closed.unwrap(), 0);
        idle = tokio::net::TcpStream::connect(redis.address())
            .await
            .unwrap();
    }
    assert_eq!(proxy.counts().connections, opened);
    assert!(instance.cache.is_synced());
}
