//! Databases that are put back to a copy of their files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use aside::{Repository as _, Source as _};
use aside_testkit::{MariaDbServer, PostgresServer, RedisServer, eventually};
use tempfile::TempDir;

use super::notes::{Database, Instance, Note};
use super::{EVENTUALLY, HEARD_WITHIN, at, redis};

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.expect("cp").success());
}

fn servers() -> (PostgresServer, RedisServer) {
    let server = PostgresServer::start().expect("postgres and initdb");
    (server, redis())
}

/// A copy of the files of a server.
struct Backup(TempDir);

impl Backup {
    fn of(server: &PostgresServer) -> Self {
        let backup = Self(tempfile::tempdir().unwrap());
        server.kill();
        copy(&server.directory().join("data"), &backup.data());
        server.restart();
        backup
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn put_back(&self, server: &PostgresServer) {
        server.kill();
        copy(&self.data(), &server.directory().join("data"));
        server.restart();
    }
}

/// Writes as soon as the database is back.
async fn write_new(instance: &Instance) {
    let written = async || instance.notes.update(Note::new(1, "new")).await.is_ok();
    eventually(EVENTUALLY, "a write", written).await;
}

/// Waits until every instance returns the row of the backup.
async fn read_old(instances: &[&Instance]) {
    for instance in instances {
        eventually(HEARD_WITHIN, "the row that there is", async || {
            let row = instance.notes.find_by_id(&1).await;
            row.is_ok_and(|row| row.unwrap().text == "old")
        })
        .await;
    }
}

/// Returns the era and the last seen state of the database, as Redis has them.
fn stored(redis: &RedisServer) -> [String; 2] {
    ["aside", "aside:database"].map(|field| {
        let reply = redis.command(&["HGET", "aside:epochs", field]);
        reply.text().unwrap_or_default().to_owned()
    })
}

fn noticed(instances: &[&Instance]) -> u64 {
    let of_one = |instance: &&Instance| {
        let errors = instance.cache.stats().errors;
        errors.get("database_went_back").copied().unwrap_or(0)
    };
    instances.iter().map(of_one).sum()
}

/// Waits until every instance has compared the present state of the database.
async fn compared(redis: &RedisServer, database: &Database) {
    let shown = database.position().await;
    eventually(EVENTUALLY, "a poll", async || {
        let [_, stored] = stored(redis);
        let position = stored.split(' ').nth(1).and_then(|text| text.parse().ok());
        position.is_some_and(|position: i64| shown <= position)
    })
    .await;
}

/// Reads on for three polls: the era that began stays the last one.
async fn stays_as_it_is(redis: &RedisServer, instances: &[&Instance], text: &str) {
    let [era, _] = stored(redis);
    for _ in 0..30 {
        for instance in instances {
            assert_eq!(instance.text(1).await, text);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(stored(redis)[0], era);
    for instance in instances {
        instance.caches(1).await;
    }
}

#[tokio::test]
async fn a_mariadb_that_is_put_back_is_noticed() {
    let (server, redis) = (MariaDbServer::start().expect("mariadbd"), redis());
    let backup = tempfile::tempdir().unwrap();
    let (data, backup) = (server.directory().join("data"), backup.path().join("data"));
    let database = Database::mysql(&server.url()).await;
    let instance = Instance::start(at(&redis.url()), &database).await;
    instance.notes.save(Note::new(1, "old")).await.unwrap();
    server.kill();
    copy(&data, &backup);
    server.restart();
    write_new(&instance).await;
    let renewals = database.renewals().await;
    eventually(EVENTUALLY, "a renewal", async || {
        renewals < database.renewals().await
    })
    .await;
    instance.caches(1).await;
    compared(&redis, &database).await;
    server.kill();
    copy(&backup, &data);
    server.restart();
    read_old(&[&instance]).await;
    assert_eq!(noticed(&[&instance]), 1);
}

#[tokio::test]
async fn a_sqlite_file_that_is_put_back_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::create_dir(path("here")).unwrap();
    let redis = redis();
    {
        let database = Database::sqlite(&path("here").join("notes.db")).await;
        let instance = Instance::start(at(&redis.url()), &database).await;
        instance.notes.save(Note::new(1, "old")).await.unwrap();
        instance.caches(1).await;
        copy(&path("here"), &path("backup"));
        let renewals = database.renewals().await;
        instance.notes.update(Note::new(1, "new")).await.unwrap();
        eventually(EVENTUALLY, "a renewal", async || {
            renewals < database.renewals().await
        })
        .await;
        compared(&redis, &database).await;
        instance.caches(1).await;
        database.close().await;
    }
    copy(&path("backup"), &path("here"));

    let database = Database::sqlite(&path("here").join("notes.db")).await;
    let instance = Instance::start(at(&redis.url()), &database).await;

    stays_as_it_is(&redis, &[&instance], "old").await;
    assert_eq!(noticed(&[&instance]), 1);
}

#[tokio::test]
async fn a_postgres_that_is_put_back_is_noticed_by_every_instance() {
    let (server, redis) = servers();
    let database = Database::postgres(&server.url()).await;
    let one = Instance::start(at(&redis.url()), &database).await;
    let other = Instance::start(at(&redis.url()), &database).await;
    one.notes.save(Note::new(1, "old")).await.unwrap();
    let backup = Backup::of(&server);
    write_new(&one).await;
    one.caches(1).await;
    other.caches(1).await;
    compared(&redis, &database).await;
    assert_eq!(noticed(&[&one, &other]), 0, "a restart is no going back");
    let [era, _] = stored(&redis);
    backup.put_back(&server);

    read_old(&[&one, &other]).await;
    stays_as_it_is(&redis, &[&one, &other], "old").await;
    assert_ne!(stored(&redis)[0], era);
    assert_eq!(noticed(&[&one, &other]), 1);
}

#[tokio::test]
async fn a_postgres_put_back_is_noticed_though_it_grew_since() {
    let (server, redis) = servers();
    let database = Database::postgres(&server.url()).await;
    let backup;
    {
        let instance = Instance::start(at(&redis.url()), &database).await;
        instance.notes.save(Note::new(1, "old")).await.unwrap();
        backup = Backup::of(&server);
        write_new(&instance).await;
        instance.caches(1).await;
        compared(&redis, &database).await;
        database.close().await;
    }
    backup.put_back(&server);
    // Far beyond where it was, before any instance compares it.
    let grow = "CREATE TABLE more AS SELECT generate_series(1, 100000) AS id";
    server.query("postgres", grow);

    let database = Database::postgres(&server.url()).await;
    let instance = Instance::start(at(&redis.url()), &database).await;
    stays_as_it_is(&redis, &[&instance], "old").await;
    assert_eq!(noticed(&[&instance]), 1);
}

#[tokio::test]
async fn a_standby_that_is_promoted_is_another_history() {
    let (server, redis) = servers();
    let database = Database::postgres(&server.url()).await;
    let instance = Instance::start(at(&redis.url()), &database).await;
    instance.notes.save(Note::new(1, "old")).await.unwrap();
    instance.caches(1).await;
    compared(&redis, &database).await;
    let [era, _] = stored(&redis);
    server.kill();
    std::fs::write(server.directory().join("data/standby.signal"), "").unwrap();
    server.restart();
    let in_recovery = server.query("postgres", "SELECT pg_is_in_recovery()");
    assert_eq!(in_recovery[0][0].as_deref(), Some("t"));
    for _ in 0..30 {
        let _ = instance.notes.find_by_id(&1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(stored(&redis)[0], era, "a replica says nothing");

    server.query("postgres", "SELECT pg_promote()");

    eventually(HEARD_WITHIN, "another era", async || {
        stored(&redis)[0] != era
    })
    .await;
    stays_as_it_is(&redis, &[&instance], "old").await;
    assert_eq!(noticed(&[&instance]), 1);
}

#[tokio::test]
async fn a_user_with_fewer_rights_drains_without_a_false_alarm() {
    let (server, redis) = servers();
    let all = Database::postgres(&server.url()).await;
    let more = Instance::start(at(&redis.url()), &all).await;
    more.notes.save(Note::new(1, "old")).await.unwrap();
    for refused in ["pg_control_system()", "pg_current_wal_flush_lsn()"] {
        compared(&redis, &all).await;
        server.query(
            "postgres",
            &format!("REVOKE EXECUTE ON FUNCTION {refused} FROM public"),
        );
        let user = format!("small{}", refused.len());
        server.query(
            "postgres",
            &format!("CREATE USER {user}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {user}; GRANT CREATE ON SCHEMA public TO {user}"),
        );
        let url = server.url().replace("//postgres@", &format!("//{user}@"));
        let small = Database::postgres(&url).await;
        let less = Instance::start(at(&redis.url()), &small).await;
        let [era, _] = stored(&redis);
        for turn in 0..10 {
            let text = format!("{user} {turn}");
            more.notes.update(Note::new(1, &text)).await.unwrap();
            assert_eq!(less.text(1).await, text);
            tokio::time::sleep(Duration::from_millis(120)).await;
        }
        more.caches(1).await;
        less.caches(1).await;
        assert!(less.cache.is_synced());
        assert_eq!(stored(&redis)[0], era);
        let errors = less.cache.stats().errors;
        assert!(!errors.contains_key("journal_unreadable"), "{errors:?}");
        assert_eq!(noticed(&[&more, &less]), 0);
    }
}

#[tokio::test]
async fn a_lost_position_is_compared_by_instances_that_knew_it() {
    let (server, redis) = servers();
    let database = Database::postgres(&server.url()).await;
    let one = Instance::start(at(&redis.url()), &database).await;
    let other = Instance::start(at(&redis.url()), &database).await;
    one.notes.save(Note::new(1, "old")).await.unwrap();
    let backup = Backup::of(&server);
    write_new(&one).await;
    one.caches(1).await;
    other.caches(1).await;
    compared(&redis, &database).await;
    // The field alone; the values stay.
    redis.command(&["HDEL", "aside:epochs", "aside:database"]);
    backup.put_back(&server);
    read_old(&[&one, &other]).await;
    stays_as_it_is(&redis, &[&one, &other], "old").await;
    assert_eq!(noticed(&[&one, &other]), 1);
    // A Redis without anything at all is none that says so.
    redis.command(&["FLUSHALL"]);
    eventually(EVENTUALLY, "what was seen", async || {
        !stored(&redis)[1].is_empty()
    })
    .await;
    assert_eq!(noticed(&[&one, &other]), 1);
}
