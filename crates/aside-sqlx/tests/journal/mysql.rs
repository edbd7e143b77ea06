//! The end of a commit on MariaDB, and its ids.

use aside::journal::Journal as _;
use aside::{CacheService, Freshness, Repository, Source as _, Tier};
use aside_sqlx::{MySqlJournal, certainly_rolled_back};
use aside_testkit::{Direction, MariaDbServer, Mode, Proxy, eventually};
use sqlx::MySqlPool;

use super::notes::{Database, Instance, Note};
use super::{EVENTUALLY, at, redis};

const ADD: &str = "INSERT INTO notes VALUES (2, 'new')";

/// Returns the error of a commit that adds a note.
async fn failed_commit(
    cache: &CacheService,
    pool: &MySqlPool,
    before_commit: impl AsyncFnOnce(),
) -> sqlx::Error {
    let mut transaction = pool.begin().await.unwrap();
    sqlx::query(ADD).execute(&mut *transaction).await.unwrap();
    let mut write = cache.write();
    write.created(&Note::new(2, "new"));
    before_commit().await;
    // As a task, because its end may be ambiguous.
    let committing = tokio::spawn(async move {
        let ended = aside_sqlx::commit(transaction, &mut write).await;
        drop(write);
        ended
    });
    committing.await.unwrap().unwrap_err()
}

#[tokio::test]
async fn a_commit_to_a_server_that_turned_read_only_stays_ambiguous() {
    let server = MariaDbServer::start().expect("mariadbd");
    let redis = redis();
    let database = Database::mysql(&server.url()).await;
    let instance = Instance::start(at(&redis.url()), &database).await;
    instance.notes.save(Note::new(1, "old")).await.unwrap();
    instance.notes.list_all().await.unwrap();
    // A user without the right to write to such a server.
    let grant = "CREATE USER app@'%'; GRANT SELECT, INSERT, UPDATE, DELETE ON test.* TO app@'%'";
    server.query("test", grant);
    let url = server.url().replace("root@", "app@");
    let pool = MySqlPool::connect(&url).await.unwrap();
    let refused = failed_commit(&instance.cache, &pool, async || {
        server.query("test", "SET GLOBAL read_only = 1");
    });
    let refused = refused.await;
    // The server rolls back, but a proxy sends the same code without knowing.
    assert!(!certainly_rolled_back(&refused), "{refused}");
    server.query("test", "SET GLOBAL read_only = 0");
    assert_eq!(server.query("test", "SELECT id FROM notes"), "1");
    let all = instance.notes.list_all_with(Freshness::Any).await;
    assert_eq!(all.expect("a list").tier, Tier::Source);
}

#[tokio::test]
async fn a_commit_of_mysql_without_a_reply_stays_ambiguous() {
    let server = MariaDbServer::start().expect("mariadbd");
    let redis = redis();
    let database = Database::mysql(&server.url()).await;
    let instance = Instance::start(at(&redis.url()), &database).await;
    instance.notes.list_all().await.unwrap();
    let proxy = Proxy::start(server.address()).await.expect("a free port");
    let (address, through) = (server.address().to_string(), proxy.address().to_string());
    let url = server.url().replace(&address, &through);
    let pool = MySqlPool::connect(&url).await.unwrap();
    let lost = failed_commit(&instance.cache, &pool, async || {
        proxy.set(Direction::ToClient, Mode::Reset);
    });
    let lost = lost.await;
    assert!(!certainly_rolled_back(&lost), "{lost}");
    eventually(EVENTUALLY, "the commit", async || {
        server.query("test", "SELECT id FROM notes") == "2"
    })
    .await;
    let all = instance.notes.list_all_with(Freshness::Any).await;
    let all = all.expect("a list");
    assert_eq!((all.tier, all.value.len()), (Tier::Source, 1));
}

#[tokio::test]
async fn many_keys_are_journalled_and_read_in_the_order_of_ids() {
    let server = MariaDbServer::start().expect("mariadbd");
    let database = Database::mysql(&server.url()).await;
    let nowhere = Instance::start(at("redis://127.0.0.1:1/0"), &database).await;
    let mut write = nowhere.cache.write();
    for id in 1..=600 {
        write.created(&Note::new(id, "new"));
    }
    let pool = MySqlPool::connect(&server.url()).await.unwrap();
    let journal = MySqlJournal::new(pool.clone());
    let transaction = pool.begin().await.unwrap();
    let policy = aside_sqlx::OutOfReach::Journal;
    MySqlJournal::commit(transaction, &mut write, policy)
        .await
        .unwrap();
    write.committed().await;
    let (mut last, mut read) = (i64::MIN, Vec::new());
    loop {
        let page = journal.page(last).await.unwrap();
        let Some(end) = page.last() else { break };
        last = end.id;
        read.extend(page);
    }
    // Each row, and the list of all.
    assert_eq!(read.len(), 601);
    assert!(read.is_sorted_by_key(|row| row.id));
    assert_eq!(journal.newest().await.unwrap(), Some(last));
    let ids: Vec<i64> = read.iter().map(|row| row.id).collect();
    journal.delete(&ids).await.unwrap();
    assert_eq!(journal.newest().await.unwrap(), None);
}
