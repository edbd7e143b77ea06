//! How a transaction ends: the verdicts of a bare `Write`.

use std::time::Duration;

use aside::CacheService;
use aside_sqlx::{OutOfReach, PostgresJournal};
use aside_testkit::{Direction, Mode, PostgresServer, Proxy, RedisServer};
use sqlx::PgConnection;

use super::items::{Ended, Instance, Items, World, item};

/// The moment at which the connection to the database is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Killed {
    Never,
    AfterBegin,
    AfterStatement,
    /// The request to commit does not arrive.
    AtCommit,
    /// The reply to it does not arrive.
    AfterCommit,
    /// The server ends the session.
    ByTheServer,
    /// The server refuses the COMMIT.
    Refused,
}

const ALL: [Killed; 7] = [
    Killed::Never,
    Killed::AfterBegin,
    Killed::AfterStatement,
    Killed::AtCommit,
    Killed::AfterCommit,
    Killed::ByTheServer,
    Killed::Refused,
];

/// The result of a transaction, as callers and other instances see it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    is_ok: bool,
    is_committed: bool,
    /// True if the list is cached again long before the quarantine ends.
    is_released: bool,
}

/// A handler's connection, which goes through a proxy.
struct Scene {
    server: PostgresServer,
    proxy: Proxy,
    killed: Killed,
}

impl Scene {
    /// Loses the connection if this is the moment.
    async fn pass(&self, moment: Killed, connection: &mut PgConnection) {
        if self.killed != moment {
            return;
        }
        match moment {
            Killed::AfterBegin | Killed::AfterStatement | Killed::AtCommit => {
                self.proxy.set(Direction::ToServer, Mode::Reset);
            }
            Killed::AfterCommit => self.proxy.set(Direction::ToClient, Mode::Reset),
            Killed::ByTheServer => {
                let pid = "SELECT pg_backend_pid()";
                let pid: i32 = sqlx::query_scalar(pid).fetch_one(connection).await.unwrap();
                let other = Items::postgres(&self.server.url()).await;
                other
                    .run(&format!("SELECT pg_terminate_backend({pid}, 5000)"))
                    .await;
            }
            Killed::Never | Killed::Refused => {}
        }
    }

    fn statement(&self) -> &'static str {
        match self.killed {
            // The constraint on the titles is deferred.
            Killed::Refused => "INSERT INTO items VALUES (2, 'a', 'one')",
            _ => "INSERT INTO items VALUES (2, 'a', 'two')",
        }
    }

    async fn bare(&self, cache: &CacheService, pool: &Items) -> Ended {
        let mut write = cache.write();
        let mut transaction = PostgresJournal::begin(pool.pg(), &write).await?;
        self.pass(Killed::AfterBegin, &mut transaction).await;
        let statement = sqlx::query(self.statement());
        statement.execute(&mut *transaction).await?;
        self.pass(Killed::AfterStatement, &mut transaction).await;
        sqlx::query("SELECT 1").execute(&mut *transaction).await?;
        write.created(&item(2, "a", "two"));
        for moment in [Killed::AtCommit, Killed::AfterCommit, Killed::ByTheServer] {
            self.pass(moment, &mut transaction).await;
        }
        PostgresJournal::commit(transaction, &mut write, OutOfReach::Journal).await?;
        write.committed().await;
        Ok(())
    }

    async fn known(&self, cache: &CacheService, journal: &PostgresJournal) -> Ended {
        let mut transaction = cache.begin(journal).await?;
        self.pass(Killed::AfterBegin, &mut transaction).await;
        let statement = sqlx::query(self.statement());
        statement.execute(&mut *transaction).await?;
        self.pass(Killed::AfterStatement, &mut transaction).await;
        sqlx::query("SELECT 1").execute(&mut *transaction).await?;
        transaction.created(&item(2, "a", "two"));
        for moment in [Killed::AtCommit, Killed::AfterCommit, Killed::ByTheServer] {
            self.pass(moment, &mut transaction).await;
        }
        transaction.commit().await
    }
}

async fn observe(killed: Killed, is_bare: bool) -> Seen {
    let server = PostgresServer::start().expect("postgres and initdb");
    let redis = RedisServer::start().expect("redis-server or valkey-server");
    let items = Items::postgres(&server.url()).await;
    let table = "CREATE TABLE items (id BIGINT PRIMARY KEY, shelf TEXT NOT NULL,
         title TEXT NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED);
         INSERT INTO items VALUES (1, 'a', 'one')";
    items.run(table).await;
    let address = server.address();
    let proxy = Proxy::start(address).await.expect("a free port");
    let url = server.url();
    let url = url.replace(&address.to_string(), &proxy.address().to_string());
    let through_proxy = Items::postgres(&url).await;
    let scene = Scene {
        server,
        proxy,
        killed,
    };
    let writer = Instance::start(&redis.url(), &items).await;
    let reader = Instance::start(&redis.url(), &items).await;
    for instance in [&writer, &reader] {
        assert!(instance.caches_shelf("a", Duration::from_secs(10)).await);
    }
    let journal = PostgresJournal::new(through_proxy.pg().clone());
    let ended = match is_bare {
        true => scene.bare(&writer.cache, &through_proxy).await,
        false => scene.known(&writer.cache, &journal).await,
    };
    scene.proxy.heal().await;
    let within = Duration::from_secs(2);
    let is_released =
        writer.caches_shelf("a", within).await && reader.caches_shelf("a", within).await;
    let stored = "SELECT EXISTS (SELECT FROM items WHERE id = 2)";
    let is_committed = sqlx::query_scalar(stored).fetch_one(items.pg()).await;
    Seen {
        is_ok: ended.is_ok(),
        is_committed: is_committed.unwrap(),
        is_released,
    }
}

#[tokio::test]
async fn a_lost_connection_has_the_verdict_of_a_bare_write() {
    for killed in ALL {
        let bare = observe(killed, true).await;
        let known = observe(killed, false).await;
        assert_eq!(known, bare, "{killed:?}");
        let expected = match killed {
            Killed::Never => [true, true, true],
            // Nothing was quarantined, or the server itself refused.
            Killed::AfterBegin | Killed::AfterStatement | Killed::Refused => [false, false, true],
            Killed::AtCommit | Killed::ByTheServer => [false, false, false],
            Killed::AfterCommit => [false, true, false],
        };
        let seen = [known.is_ok, known.is_committed, known.is_released];
        assert_eq!(seen, expected, "{killed:?}");
    }
}

/// Makes each COMMIT take a second.
const SLOW: &str = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
     'BEGIN PERFORM pg_sleep(1); RETURN NULL; END';
     CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON items
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()";

const MOVE: &str = "UPDATE items SET shelf = 'b' WHERE id = 1";

/// Begins a commit, and drops it while the database is busy with it.
async fn disconnect_during(commit: impl Future<Output = ()>) {
    let gone = tokio::time::timeout(Duration::from_millis(400), commit);
    gone.await
        .expect_err("the client is gone before the COMMIT ends");
}

#[tokio::test]
async fn a_handler_dropped_during_its_commit_leaves_no_key() {
    let (_server, world) = World::postgres().await;
    world.insert(&[item(1, "a", "one")]).await;
    world.source.run(SLOW).await;
    world.cache_shelves(&["a", "b"]).await;
    disconnect_during(async {
        let mut transaction = world
            .one
            .cache
            .begin(&world.one.pg_journal())
            .await
            .unwrap();
        let change = sqlx::query(MOVE);
        change.execute(&mut *transaction).await.unwrap();
        transaction.updated(&item(1, "a", "one"), &item(1, "b", "one"));
        transaction.commit().await.unwrap();
    })
    .await;
    world.two_reads("b", &[1]).await;
    // The quarantine would last for 30 s.
    for instance in [&world.one, &world.two] {
        for shelf in ["a", "b"] {
            assert!(instance.caches_shelf(shelf, Duration::from_secs(5)).await);
        }
    }
    assert_eq!(world.one.unreleased().await, 0);
}

#[tokio::test]
async fn a_bare_commit_dropped_midway_keeps_its_keys_uncached() {
    let (_server, world) = World::postgres().await;
    world.insert(&[item(1, "a", "one")]).await;
    world.source.run(SLOW).await;
    world.cache_shelves(&["a", "b"]).await;
    disconnect_during(async {
        let mut write = world.one.cache.write();
        let transaction = PostgresJournal::begin(world.source.pg(), &write).await;
        let mut transaction = transaction.unwrap();
        let change = sqlx::query(MOVE);
        change.execute(&mut *transaction).await.unwrap();
        write.updated(&item(1, "a", "one"), &item(1, "b", "one"));
        let policy = OutOfReach::Journal;
        PostgresJournal::commit(transaction, &mut write, policy)
            .await
            .unwrap();
        write.committed().await;
    })
    .await;
    assert!(!world.one.caches_shelf("a", Duration::from_secs(3)).await);
}
