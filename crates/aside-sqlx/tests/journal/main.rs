//! The journal on real databases, with real Redis servers and broken
//! connections to them.

mod commits;
mod notes;
mod mysql;
mod foreign_rows;
mod going_back;
mod hot_sets;

use std::time::Duration;

use aside::{CacheConfig, Freshness, Repository, Secret, Tier, events::Invalidation};
use aside_sqlx::{OutOfReach, RecordError};
use aside_testkit::{MariaDbServer, Mode, PostgresServer, Proxy, RedisServer, eventually};

use self::notes::{Database, Instance, Note, NoteError};

/// The maximum time for anything that the tests wait for.
const EVENTUALLY: Duration = Duration::from_secs(10);

/// P + H, plus one second for a busy machine.
const HEARD_WITHIN: Duration = Duration::from_millis(500 + 500 + 1000);

fn redis() -> RedisServer {
    RedisServer::start().expect("redis-server or valkey-server")
}

fn at(url: &str) -> CacheConfig {
    CacheConfig {
        redis_url: Secret::new(url),
        redis_socket_timeout: Duration::from_millis(500),
        ..CacheConfig::default()
    }
}

async fn way_to(redis: &RedisServer) -> Proxy {
    Proxy::start(redis.address()).await.expect("a free port")
}

/// Runs a scene on SQLite and on PostgreSQL.
async fn on_both(scene: impl AsyncFn(Database)) {
    let directory = tempfile::tempdir().expect("a directory");
    scene(Database::sqlite(&directory.path().join("notes.db")).await).await;
    let server = PostgresServer::start().expect("postgres and initdb");
    scene(Database::postgres(&server.url()).await).await;
}

/// Runs a scene on SQLite, PostgreSQL and MariaDB.
async fn on_all(scene: impl AsyncFn(Database)) {
    on_both(&scene).await;
    let server = MariaDbServer::start().expect("mariadbd");
    scene(Database::mysql(&server.url()).await).await;
}

#[tokio::test]
async fn a_write_without_redis_is_soon_read_by_other_instances() {
    on_all(async |database| {
        let redis = redis();
        let proxy = way_to(&redis).await;
        let cut_off = Instance::start(at(&format!("redis://{}/0", proxy.address())), &database);
        let cut_off = cut_off.await;
        let other = Instance::start(at(&redis.url()), &database).await;
        cut_off.notes.save(Note::new(1, "old")).await.unwrap();
        other.caches(1).await;
        proxy.refuse().await;
        proxy.reset();

        cut_off.notes.update(Note::new(1, "new")).await.unwrap();

        assert_eq!(cut_off.text(1).await, "new");
        eventually(HEARD_WITHIN, "the new row", async || {
            other.text(1).await == "new"
        })
        .await;
        // It is cached again, and the journal is empty.
        other.caches(1).await;
        eventually(EVENTUALLY, "an empty journal", async || {
            database.rows().await.is_empty()
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn the_journal_of_a_dead_writer_is_drained_by_others() {
    on_all(async |database| {
        let redis = redis();
        let other = Instance::start(at(&redis.url()), &database).await;
        other.notes.save(Note::new(1, "old")).await.unwrap();
        other.caches(1).await;
        let nowhere = Instance::start(at("redis://127.0.0.1:1/0"), &database).await;
        nowhere.notes.update(Note::new(1, "new")).await.unwrap();
        // Its memory is lost with it.
        drop(nowhere);
        eventually(HEARD_WITHIN, "the new row", async || {
            other.text(1).await == "new"
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn after_an_outage_the_journal_is_drained_before_redis_serves() {
    on_all(async |database| {
        let redis = redis();
        let other = Instance::start(at(&redis.url()), &database).await;
        other.notes.save(Note::new(1, "0")).await.unwrap();
        // An instance without Redis, so none of its messages waits in a socket
        // for Redis to continue.
        let nowhere = Instance::start(at("redis://127.0.0.1:1/0"), &database).await;
        for turn in 1..=3 {
            other.caches(1).await;
            redis.stop();
            // It is suspicious and retries, so its next PONG arrives at once.
            eventually(EVENTUALLY, "a suspicion", async || {
                other.text(1).await;
                !other.cache.is_synced()
            })
            .await;
            let text = turn.to_string();
            nowhere.notes.update(Note::new(1, &text)).await.unwrap();
            // Redis continues unchanged, with its connections and its values.
            redis.cont();
            let mut cached = false;
            eventually(EVENTUALLY, "an answer from a cache", async || {
                let answer = other.notes.find_by_id_with(&1, Freshness::Any).await;
                let answer = answer.unwrap();
                assert_eq!(answer.value.unwrap().text, text);
                cached |= answer.tier != Tier::Source;
                cached
            })
            .await;
        }
    })
    .await;
}

#[tokio::test]
async fn redis_is_trusted_only_while_the_journal_can_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::sqlite(&directory.path().join("notes.db")).await;
    let redis = redis();
    let instance = Instance::start(at(&redis.url()), &database).await;
    instance.notes.save(Note::new(1, "old")).await.unwrap();
    instance.caches(1).await;
    database.lose_the_journal().await;
    let proxied = instance.cache.stats().errors.len();
    redis.client_kill_pubsub();
    eventually(EVENTUALLY, "an unreadable journal", async || {
        instance
            .cache
            .stats()
            .errors
            .contains_key("journal_unreadable")
    })
    .await;
    assert!(proxied < instance.cache.stats().errors.len());
    for _ in 0..20 {
        let answer = instance.notes.find_by_id_with(&1, Freshness::Any).await;
        assert_eq!(answer.unwrap().tier, Tier::Source);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    database.restore_the_journal().await;
    instance.caches(1).await;
}

#[tokio::test]
async fn a_newer_row_survives_the_deletion_of_older_ones() {
    use aside::journal::Journal as _;
    let directory = tempfile::tempdir().unwrap();
    let database = Database::sqlite(&directory.path().join("notes.db")).await;
    let nowhere = Instance::start(at("redis://127.0.0.1:1/0"), &database).await;
    nowhere.notes.save(Note::new(1, "old")).await.unwrap();
    let journal = database.sqlite_journal();
    let read = journal.page(i64::MIN).await.unwrap();
    nowhere.notes.update(Note::new(1, "new")).await.unwrap();
    let ids: Vec<i64> = read.iter().map(|row| row.id).collect();
    journal.delete(&ids).await.unwrap();
    journal.delete(&ids).await.unwrap();
    let rows = database.rows().await;
    assert_eq!(rows, ["note:1", "note:all"]);
}

#[tokio::test]
async fn a_whole_kind_write_is_one_journal_row_and_is_drained() {
    on_all(async |database| {
        let redis = redis();
        let nowhere = Instance::start(at("redis://127.0.0.1:1/0"), &database).await;
        nowhere.notes.save(Note::new(1, "old")).await.unwrap();
        let other = Instance::start(at(&redis.url()), &database).await;
        other.caches(1).await;
        nowhere.rewrite_all("new").await;
        assert!(database.rows().await.contains(&"all of note".to_owned()));
        eventually(HEARD_WITHIN, "the new row", async || {
            other.text(1).await == "new"
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_whole_kind_write_invalidates_twice_and_leaves_no_row() {
    on_all(async |database| {
        let redis = redis();
        let writer = Instance::start(at(&redis.url()), &database).await;
        writer.notes.save(Note::new(1, "old")).await.unwrap();
        let mut heard = writer.cache.subscribe();
        let mut colder = 0;
        for turn in 1..=5 {
            writer.rewrite_all(&turn.to_string()).await;
            eventually(EVENTUALLY, "an empty journal", async || {
                database.rows().await.is_empty()
            })
            .await;
            // The invalidation of the last write arrives last.
            let last = Note::new(100 + turn, "last");
            let key = format!("note:{}", last.id);
            writer.notes.save(last).await.unwrap();
            while let Some(word) = heard.next().await {
                match word {
                    Invalidation::Kind { .. } => colder += 1,
                    Invalidation::Key { key: last, .. } if last == key => break,
                    _ => {}
                }
            }
            assert_eq!(colder, 2 * turn, "times that the kind was made cold");
        }
    })
    .await;
}

#[tokio::test]
async fn a_disabled_service_journals_its_writes_for_others() {
    on_all(async |database| {
        let redis = redis();
        let other = Instance::start(at(&redis.url()), &database).await;
        other.notes.save(Note::new(1, "old")).await.unwrap();
        other.caches(1).await;
        let config = CacheConfig {
            redis_enabled: false,
            ..at(&redis.url())
        };
        let off = Instance::start(config, &database).await;
        off.notes.update(Note::new(1, "new")).await.unwrap();
        eventually(HEARD_WITHIN, "the new row", async || {
            other.text(1).await == "new"
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_write_that_requires_redis_is_refused_without_it() {
    on_all(async |database| {
        let redis = redis();
        let strict = database.clone().with_policy(OutOfReach::Refuse);
        let here = Instance::start(at(&redis.url()), &strict).await;
        here.notes.save(Note::new(1, "old")).await.unwrap();
        let nowhere = Instance::start(at("redis://127.0.0.1:1/0"), &strict).await;
        let refused = nowhere.notes.update(Note::new(1, "new")).await;
        let Err(NoteError::Record(refused)) = refused else {
            panic!("{refused:?}");
        };
        assert!(matches!(*refused, RecordError::Refused));
        assert_eq!(nowhere.text(1).await, "old");
        here.notes.update(Note::new(1, "newer")).await.unwrap();
        assert_eq!(here.text(1).await, "newer");
    })
    .await;
}

#[tokio::test]
async fn the_keys_of_a_lost_quarantine_stay_in_the_journal() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::sqlite(&directory.path().join("notes.db")).await;
    let redis = redis();
    let proxy = way_to(&redis).await;
    let instance = Instance::start(at(&format!("redis://{}/0", proxy.address())), &database).await;
    instance.notes.save(Note::new(1, "old")).await.unwrap();
    assert!(database.rows().await.is_empty());
    proxy.set_both(Mode::Blackhole);
    instance.notes.update(Note::new(1, "new")).await.unwrap();
    assert_eq!(database.rows().await, ["note:1", "note:all"]);
    proxy.set_both(Mode::Pass);
    eventually(EVENTUALLY, "an empty journal", async || {
        database.rows().await.is_empty()
    })
    .await;
    instance.caches(1).await;
}
