//! The circuit breaker: servers that reply to little but PINGs, or that reply
//! slowly to everything, and the return to using Redis.

use aside::{Bypass, report::BreakerState};
use aside_testkit::{Direction, Mode};

use super::*;

fn state(instance: &Instance) -> BreakerState {
    instance.cache.stats().breaker
}

/// Settings for a service that soon gives a silent connection up.
fn soon(redis: &RedisServer) -> CacheConfig {
    CacheConfig {
        redis_socket_timeout: Duration::from_millis(500),
        ..at(&redis.url())
    }
}

async fn comes_to(instance: &Instance, wanted: BreakerState) {
    let what = format!("a breaker that is {}", wanted.as_str());
    eventually(EVENTUALLY, &what, async || state(instance) == wanted).await;
}

/// Returns the tier that serves a read that may not use the local tier.
async fn below(instance: &Instance, id: u32) -> Tier {
    let answer = instance.books.find_by_id_with(&id, Freshness::Shared).await;
    let answer = answer.expect("a read never fails for the cache");
    let title = answer.value.map(|book| book.title.clone());
    assert_eq!(title, instance.books.source().title(id), "book {id}");
    answer.tier
}

/// Reads one book after another until the breaker is open, and a hundred more.
/// Returns how many reads waited.
async fn reads_that_wait(instance: &Instance, ids: impl Iterator<Item = u32>) -> usize {
    let (mut waited, mut after) = (0, 0);
    for id in ids {
        let (_, took) = timed(below(instance, id)).await;
        waited += usize::from(took > AT_ONCE);
        if state(instance) == BreakerState::Open {
            // At once, and not only when the last proof is too old, because
            // local entries may differ from the other instances' view.
            assert!(!instance.cache.is_synced());
            after += 1;
        }
        if after == 100 {
            return waited;
        }
        // Spread like real requests, and not all within one PONG.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the breaker did not open; {waited} reads waited");
}

/// Opens the breaker: the server lets every script run into the deadline, and
/// replies to PINGs as usual.
async fn open(redis: &RedisServer, instance: &Instance) -> usize {
    redis.command(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    // Not cached, so each read sends ACQUIRE.
    reads_that_wait(instance, 100..5_000).await
}

#[tokio::test]
async fn a_server_that_only_answers_pings_is_soon_bypassed() {
    let redis = redis();
    let library = Library::of(5_000);
    let instance = Instance::in_step(soon(&redis), &library).await;
    instance.caches(1).await;
    let waited = open(&redis, &instance).await;
    eprintln!("measured: {waited} reads waited before the breaker opened");
    // Five reads that reached the deadline themselves, and reads at the same
    // time.
    assert!(waited <= 12, "{waited} reads waited");
    assert!(!instance.cache.is_synced());
    let health = instance.cache.health_check().await;
    assert_eq!(health.breaker, BreakerState::Open);
    // Replies to PINGs do not close it.
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let (tier, took) = timed(instance.tier(1)).await;
        assert_eq!(tier, Tier::Source);
        assert!(took < AT_ONCE, "{took:?}");
    }
    assert_eq!(state(&instance), BreakerState::Open);

    redis.command(&["CLIENT", "UNPAUSE"]);
    let took = instance.caches(1).await;
    measured("scripts that are run again to cached reads", took);
    assert!(took < RESUMES_WITHIN, "{took:?}");
    comes_to(&instance, BreakerState::Closed).await;
}

#[tokio::test]
async fn a_slow_server_is_bypassed_even_if_its_pongs_are_in_time() {
    let redis = redis();
    let proxy = way_to(&redis).await;
    let library = Library::of(5_000);
    let instance = Instance::in_step(through(&proxy), &library).await;
    instance.caches(1).await;
    // More than half of the deadline, and less than half of the bound.
    proxy.set(Direction::ToClient, Mode::Delay(Duration::from_millis(160)));
    let waited = reads_that_wait(&instance, 100..5_000).await;
    eprintln!("measured: {waited} reads waited before the breaker opened");
    assert!(waited <= 12, "{waited} reads waited");
    assert_eq!(instance.errors("redis_timeout"), 0, "not slow, but away");
    // The local tier does not serve it either.
    assert_eq!(instance.tier(1).await, Tier::Source);

    proxy.heal().await;
    let took = instance.caches(1).await;
    measured("quick replies to cached reads", took);
    assert!(took < RESUMES_WITHIN, "{took:?}");
}

#[tokio::test]
async fn a_write_with_an_open_breaker_is_fast_and_bypasses_its_keys() {
    let redis = redis();
    let library = Library::of(5_000);
    let instance = Instance::in_step(soon(&redis), &library).await;
    instance.caches(1).await;
    open(&redis, &instance).await;
    let change = instance.books.update(Book::new(1, "changed"));
    let (changed, took) = timed(change).await;
    assert!(changed.unwrap().is_some());
    assert!(took < AT_ONCE, "{took:?}");
    assert!(instance.cache.health_check().await.unreleased_keys > 0);

    redis.command(&["CLIENT", "UNPAUSE"]);
    instance.caches(1).await;
    eventually(EVENTUALLY, "no unreleased key", async || {
        instance.cache.health_check().await.unreleased_keys == 0
    })
    .await;
}

#[tokio::test]
async fn a_returning_redis_gets_every_write_and_ever_more_reads() {
    let redis = redis();
    let library = Library::of(5_000);
    let instance = Instance::in_step(soon(&redis), &library).await;
    instance.caches(1).await;
    open(&redis, &instance).await;
    redis.command(&["CLIENT", "UNPAUSE"]);
    comes_to(&instance, BreakerState::HalfOpen).await;
    eventually(EVENTUALLY, "a row from Redis", async || {
        below(&instance, 1).await == Tier::Shared
    })
    .await;

    // One read after another, until all are admitted.
    let (begun, mut answers) = (Instant::now(), Vec::new());
    let mut written = 0;
    while state(&instance) == BreakerState::HalfOpen {
        answers.push((begun.elapsed(), below(&instance, 1).await == Tier::Shared));
        if answers.len() % 50 == 0 {
            written += 1;
            let change = Book::new(2, format!("change {written}"));
            instance.books.update(change).await.unwrap();
            let stored = redis.command(&["GET", "book:2"]);
            let stored = stored.text().unwrap_or_default().to_owned();
            assert!(
                stored.contains(&format!("change {written}")),
                "not by the protocol: {stored}"
            );
        }
        // Admission is random: of two dozen, half may be admitted instead of a
        // third.
        if answers.len() % 8 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let share = |answers: &[(Duration, bool)]| {
        let by_redis = answers.iter().filter(|(_, by_redis)| *by_redis).count();
        by_redis * 100 / answers.len()
    };
    assert!(answers.len() > 60, "{} reads are too few", answers.len());
    let third = answers.len() / 3;
    let (first, last) = (share(&answers[..third]), share(&answers[third * 2..]));
    measured("the ramp", begun.elapsed());
    eprintln!("measured: {first} % of the first third of reads, {last} % of the last");
    assert!(first < 50 && first + 20 < last, "{first} %, then {last} %");
    assert!(written > 0, "nothing was written on the ramp");
    for _ in 0..50 {
        assert_eq!(below(&instance, 1).await, Tier::Shared);
    }
}

#[tokio::test]
async fn a_read_that_is_not_admitted_reports_redis_unavailable() {
    let redis = redis();
    let library = Library::of(5_000);
    let config = CacheConfig {
        source_concurrency: 2,
        ..soon(&redis)
    };
    let instance = Instance::in_step(config, &library).await;
    instance.caches(1).await;
    open(&redis, &instance).await;
    redis.command(&["CLIENT", "UNPAUSE"]);
    comes_to(&instance, BreakerState::HalfOpen).await;
    let mut reads = tokio::task::JoinSet::new();
    for id in 1..=100 {
        let books = instance.books.clone();
        reads.spawn(async move { books.find_by_id_with(&id, Freshness::Any).await });
    }
    let mut turned_away = 0;
    while let Some(read) = reads.join_next().await {
        let answer = read.unwrap().expect("a turn in time");
        turned_away += usize::from(answer.bypass == Some(Bypass::RedisUnavailable));
    }
    assert!(turned_away > 20, "{turned_away} of 100 reads");
}

#[tokio::test]
async fn a_batch_on_the_ramp_is_admitted_as_a_whole_or_refused() {
    let redis = redis();
    let library = Library::of(5_000);
    let instance = Instance::in_step(soon(&redis), &library).await;
    instance.caches(1).await;
    open(&redis, &instance).await;
    redis.command(&["CLIENT", "UNPAUSE"]);
    comes_to(&instance, BreakerState::HalfOpen).await;
    redis.reset_stats();
    let loads = library.loads();
    for batch in 1..=40 {
        let ids: Vec<u32> = (batch * 20..batch * 20 + 20).collect();
        let rows = instance.books.find_many(&ids).await.unwrap();
        assert!(rows.iter().all(Option::is_some));
    }
    // One load each, and not separate loads for admitted and other rows.
    assert_eq!(library.loads() - loads, 40);
    let asked = redis.calls("mget");
    assert!(asked < 30, "{asked} of 40 batches used Redis");
}

#[tokio::test]
async fn a_redis_that_was_down_for_long_is_ramped_without_traffic() {
    let redis = redis();
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    instance.caches(1).await;
    redis.kill();
    // Without a single read or write.
    comes_to(&instance, BreakerState::Open).await;
    redis.restart();
    let begun = Instant::now();
    comes_to(&instance, BreakerState::HalfOpen).await;
    instance.caches(1).await;
    measured("an absence to cached reads", begun.elapsed());
    assert!(begun.elapsed() < RESUMES_WITHIN, "{:?}", begun.elapsed());
    comes_to(&instance, BreakerState::Closed).await;
}
