//! COMMITs that the server refuses, and the caching afterwards.

use std::sync::Arc;
use std::time::Duration;

use aside::{
    CacheService, CachedRepository, Entity, Freshness, Repository, Rows, Source, Tier, Write,
};
use aside_testkit::{Direction, Mode, PostgresServer, Proxy, RedisServer, eventually};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{PgPool, SqlitePool};

use super::{EVENTUALLY, at, redis};

/// A seat that may not be given twice; only COMMIT checks that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Entity, sqlx::FromRow)]
#[entity(kind = "seat")]
struct Seat {
    #[entity(id)]
    id: i64,
    #[entity(index)]
    room: String,
    place: i64,
}

fn seat(id: i64, place: i64) -> Seat {
    let room = "hall".to_owned();
    Seat { id, room, place }
}

const ON_POSTGRES: &str = "CREATE TABLE seats (id bigint PRIMARY KEY, room text, place bigint,
    UNIQUE (room, place) DEFERRABLE INITIALLY DEFERRED)";

/// SQLite can defer only foreign keys.
const ON_SQLITE: &str = "CREATE TABLE places (place integer PRIMARY KEY);
    INSERT INTO places VALUES (1), (2), (7), (8);
    CREATE TABLE seats (id integer PRIMARY KEY, room text,
        place integer REFERENCES places DEFERRABLE INITIALLY DEFERRED)";

#[derive(Clone)]
enum Seats {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

/// The same statements on either database.
macro_rules! on {
    ($seats:expr, $pool:ident => $work:expr) => {
        match $seats {
            Seats::Postgres($pool) => $work,
            Seats::Sqlite($pool) => $work,
        }
    };
}

impl Seats {
    async fn postgres(url: &str) -> Self {
        let pool = PgPoolOptions::new().max_connections(4).connect(url).await;
        let seats = Self::Postgres(pool.expect("a database"));
        seats.run(ON_POSTGRES).await;
        seats
    }

    async fn sqlite() -> (tempfile::TempDir, Self) {
        let directory = tempfile::tempdir().expect("a directory");
        let options = SqliteConnectOptions::new()
            .filename(directory.path().join("seats.db"))
            .create_if_missing(true);
        let pool = SqlitePoolOptions::new().connect_with(options).await;
        let seats = Self::Sqlite(pool.expect("a database"));
        seats.run(ON_SQLITE).await;
        (directory, seats)
    }

    async fn run(&self, sql: &'static str) {
        use sqlx::Executor as _;
        let sql = sqlx::raw_sql(sql);
        on!(self, pool => pool.execute(sql).await.map(drop)).expect("SQL");
    }
}

impl Source for Seats {
    type Entity = Seat;
    type Error = Arc<sqlx::Error>;

    async fn find_by_id(&self, id: &i64) -> Result<Option<Arc<Seat>>, Self::Error> {
        let sql = "SELECT id, room, place FROM seats WHERE id = $1";
        let found: Option<Seat> =
            on!(self, pool => sqlx::query_as(sql).bind(id).fetch_optional(pool).await)?;
        Ok(found.map(Arc::new))
    }

    async fn find_many(&self, _: &[i64]) -> Result<Vec<Option<Arc<Seat>>>, Self::Error> {
        unreachable!("nothing here reads many")
    }

    async fn find_by(&self, index: &SeatIndex) -> Result<Rows<Seat>, Self::Error> {
        let SeatIndex::Room(room) = index;
        let sql = "SELECT id, room, place FROM seats WHERE room = $1 ORDER BY id";
        let found: Vec<Seat> =
            on!(self, pool => sqlx::query_as(sql).bind(room).fetch_all(pool).await)?;
        Ok(found.into_iter().map(Arc::new).collect())
    }

    async fn list_all(&self) -> Result<Rows<Seat>, Self::Error> {
        self.find_by(&SeatIndex::Room("hall".to_owned())).await
    }

    fn overloaded(&self, _: aside::repository::Overloaded) -> Self::Error {
        Arc::new(sqlx::Error::PoolTimedOut)
    }
}

impl Repository for Seats {
    async fn save_in(&self, seat: Seat, write: &mut Write) -> Result<Arc<Seat>, Self::Error> {
        let sql = "INSERT INTO seats VALUES ($1, $2, $3) RETURNING id, room, place";
        on!(self, pool => {
            let mut transaction = pool.begin().await?;
            let insert = sqlx::query_as(sql).bind(seat.id).bind(&seat.room).bind(seat.place);
            let after: Seat = insert.fetch_one(&mut *transaction).await?;
            write.created(&after);
            aside_sqlx::commit(transaction, write).await?;
            Ok(Arc::new(after))
        })
    }

    async fn update_in(&self, _: Seat, _: &mut Write) -> Result<Option<Arc<Seat>>, Self::Error> {
        unreachable!("nothing here updates")
    }

    async fn delete_in(&self, _: &i64, _: &mut Write) -> Result<bool, Self::Error> {
        unreachable!("nothing here deletes")
    }
}

/// Two instances that cache the list of all; the first one writes.
struct Hall {
    _redis: RedisServer,
    instances: [(CacheService, CachedRepository<Seats>); 2],
}

impl Hall {
    async fn of(seats: &Seats) -> Self {
        let redis = redis();
        let mut instances = Vec::new();
        for _ in 0..2 {
            let cache = CacheService::connect(at(&redis.url())).await;
            let seats = CachedRepository::new(seats.clone(), &cache);
            instances.push((cache, seats));
        }
        let instances = instances.try_into().expect("two");
        let hall = Self {
            _redis: redis,
            instances,
        };
        hall.writer().save(seat(1, 7)).await.expect("a free place");
        hall.caches_the_list(EVENTUALLY).await;
        hall
    }

    fn writer(&self) -> &CachedRepository<Seats> {
        &self.instances[0].1
    }

    async fn caches_the_list(&self, within: Duration) {
        eventually(within, "the list from a cache", async || {
            let mut cached = true;
            for (_, seats) in &self.instances {
                let all = seats.list_all_with(Freshness::Any).await.expect("a list");
                cached &= all.tier != Tier::Source;
            }
            cached
        })
        .await;
    }

    /// Asserts that a refused COMMIT leaves no pending keys and the list
    /// cached.
    async fn holds_nothing(&self) {
        assert_eq!(self.instances[0].0.health_check().await.unreleased_keys, 0);
        // Waiting for the quarantine would take 30 s.
        self.caches_the_list(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn a_refused_deferred_constraint_leaves_no_pending_key() {
    let server = PostgresServer::start().expect("postgres and initdb");
    let hall = Hall::of(&Seats::postgres(&server.url()).await).await;
    let refused = hall.writer().save(seat(101, 7)).await.unwrap_err();
    assert_eq!(
        refused.as_database_error().unwrap().code().unwrap(),
        "23505"
    );
    hall.holds_nothing().await;
    assert_eq!(hall.writer().find_by_id(&101).await.unwrap(), None);
}

#[tokio::test]
async fn a_failed_deferred_trigger_leaves_no_pending_key() {
    let server = PostgresServer::start().expect("postgres and initdb");
    let seats = Seats::postgres(&server.url()).await;
    let trigger = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN IF NEW.place = 8 THEN RAISE 'no such place'; END IF; RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON seats
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()";
    seats.run(trigger).await;
    let hall = Hall::of(&seats).await;
    hall.writer().save(seat(101, 8)).await.unwrap_err();
    hall.holds_nothing().await;
}

#[tokio::test]
async fn a_serialization_failure_leaves_no_pending_key() {
    let server = PostgresServer::start().expect("postgres and initdb");
    let seats = Seats::postgres(&server.url()).await;
    let hall = Hall::of(&seats).await;
    let Seats::Postgres(pool) = &seats else {
        unreachable!()
    };
    let serializable = "BEGIN ISOLATION LEVEL SERIALIZABLE";
    let count = "SELECT count(*) FROM seats";
    let insert = "INSERT INTO seats VALUES ($1, 'hall', $1)";
    let mut transactions = Vec::new();
    for id in [1001, 1002] {
        let mut transaction = pool.begin_with(serializable).await.unwrap();
        let count = sqlx::query_scalar::<_, i64>(count);
        count.fetch_one(&mut *transaction).await.unwrap();
        let insert = sqlx::query(insert).bind(id);
        insert.execute(&mut *transaction).await.unwrap();
        transactions.push((id, transaction));
    }
    let mut refused = Vec::new();
    for (id, transaction) in transactions {
        let mut write = hall.instances[0].0.write();
        write.created(&seat(id, id));
        match aside_sqlx::commit(transaction, &mut write).await {
            Ok(()) => write.committed().await,
            Err(error) => refused.push(error),
        }
    }
    assert_eq!(refused.len(), 1, "one of two may commit");
    let code = refused[0].as_database_error().unwrap().code();
    assert_eq!(code.unwrap(), "40001");
    hall.holds_nothing().await;
}

#[tokio::test]
async fn a_refused_commit_of_sqlite_leaves_no_pending_key() {
    let (_directory, seats) = Seats::sqlite().await;
    let hall = Hall::of(&seats).await;
    for id in 101..105 {
        hall.writer().save(seat(id, 99)).await.unwrap_err();
    }
    hall.holds_nothing().await;
    // The connection works as before.
    for id in 201..210 {
        hall.writer().save(seat(id, 8)).await.expect("a free place");
    }
    assert_eq!(hall.writer().list_all().await.unwrap().len(), 10);
}

#[tokio::test]
async fn a_refused_statement_leaves_no_pending_key() {
    let server = PostgresServer::start().expect("postgres and initdb");
    let hall = Hall::of(&Seats::postgres(&server.url()).await).await;
    // The id is taken, so the INSERT itself fails.
    hall.writer().save(seat(1, 8)).await.unwrap_err();
    hall.holds_nothing().await;
}

#[tokio::test]
async fn a_commit_without_a_reply_stays_ambiguous() {
    let server = PostgresServer::start().expect("postgres and initdb");
    let address = server.address();
    let proxy = Proxy::start(address).await.expect("a free port");
    let url = server
        .url()
        .replace(&address.to_string(), &proxy.address().to_string());
    let seats = Seats::postgres(&url).await;
    let hall = Hall::of(&seats).await;
    let Seats::Postgres(pool) = &seats else {
        unreachable!()
    };
    let mut transaction = pool.begin().await.unwrap();
    let insert = sqlx::query("INSERT INTO seats VALUES (2, 'hall', 2)");
    insert.execute(&mut *transaction).await.unwrap();
    let cache = &hall.instances[0].0;
    let mut write = cache.write();
    write.created(&seat(2, 2));
    proxy.set(Direction::ToClient, Mode::Reset);
    let committing = tokio::spawn(async move {
        let ended = aside_sqlx::commit(transaction, &mut write).await;
        drop(write);
        ended
    });
    committing.await.unwrap().unwrap_err();
    proxy.heal().await;
    for (_, seats) in &hall.instances {
        let all = seats.list_all_with(Freshness::Any).await.expect("a list");
        assert_eq!(all.tier, Tier::Source);
    }
}
