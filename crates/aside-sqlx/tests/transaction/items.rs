//! Items in a real database, read through the cache and written by handlers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aside::transaction::CommitError;
use aside::{CacheConfig, CacheService, CachedRepository, Entity, Freshness, Rows};
use aside::{Secret, Source, Tier};
use aside_sqlx::{MySqlJournal, PostgresJournal, SqliteJournal};
use aside_testkit::{MariaDbServer, PostgresServer, RedisServer, eventually};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, MySqlPool, PgPool, SqlitePool};

/// The maximum time for anything that the tests wait for.
pub(crate) const EVENTUALLY: Duration = Duration::from_secs(10);

const TABLE: &str = "CREATE TABLE items (id BIGINT PRIMARY KEY,
    shelf VARCHAR(99) NOT NULL, title VARCHAR(99) NOT NULL UNIQUE)";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Entity, sqlx::FromRow)]
#[entity(kind = "item")]
pub(crate) struct Item {
    #[entity(id)]
    pub(crate) id: i64,
    #[entity(index)]
    pub(crate) shelf: String,
    #[entity(index)]
    pub(crate) title: String,
}

pub(crate) fn item(id: i64, shelf: &str, title: &str) -> Item {
    let (shelf, title) = (shelf.to_owned(), title.to_owned());
    Item { id, shelf, title }
}

#[derive(Clone)]
pub(crate) enum Items {
    Postgres(PgPool),
    Sqlite(SqlitePool),
    MySql(MySqlPool),
}

/// The same statements on each database.
macro_rules! on {
    ($items:expr, $pool:ident => $work:expr) => {
        match $items {
            Items::Postgres($pool) => $work,
            Items::Sqlite($pool) => $work,
            Items::MySql($pool) => $work,
        }
    };
}

impl Items {
    pub(crate) async fn postgres(url: &str) -> Self {
        let options = PgPoolOptions::new().acquire_timeout(Duration::from_secs(5));
        let pool = options.connect(url).await.expect("a database");
        PostgresJournal::install(pool.clone()).await.unwrap();
        Self::Postgres(pool)
    }

    pub(crate) async fn sqlite(file: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        let pool = SqlitePoolOptions::new().connect_with(options).await;
        let pool = pool.expect("a database");
        SqliteJournal::install(pool.clone()).await.unwrap();
        Self::Sqlite(pool)
    }

    pub(crate) async fn mysql(url: &str) -> Self {
        let pool = MySqlPool::connect(url).await.expect("a database");
        MySqlJournal::install(pool.clone()).await.unwrap();
        Self::MySql(pool)
    }

    /// Returns a statement with a parameter as this database has it.
    fn sql(&self, sql: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(match self {
            Self::MySql(_) => sql.replace("$1", "?"),
            Self::Postgres(_) | Self::Sqlite(_) => sql.to_owned(),
        })
    }

    pub(crate) async fn run(&self, sql: &str) {
        use sqlx::Executor as _;
        let raw = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        on!(self, pool => pool.execute(raw).await.map(drop)).expect(sql);
    }

    pub(crate) async fn journal(&self) -> Vec<String> {
        let sql = match self {
            Self::MySql(_) => "SELECT `key` FROM cache_journal ORDER BY `key`",
            Self::Postgres(_) | Self::Sqlite(_) => "SELECT key FROM cache_journal ORDER BY key",
        };
        on!(self, pool => sqlx::query_scalar(sql).fetch_all(pool).await).expect("a journal")
    }

    pub(crate) fn pg(&self) -> &PgPool {
        match self {
            Self::Postgres(pool) => pool,
            Self::Sqlite(_) | Self::MySql(_) => panic!("another database"),
        }
    }
}

impl Source for Items {
    type Entity = Item;
    type Error = Arc<sqlx::Error>;

    async fn find_by_id(&self, id: &i64) -> Result<Option<Arc<Item>>, Self::Error> {
        let sql = self.sql("SELECT * FROM items WHERE id = $1");
        let found: Option<Item> =
            on!(self, pool => sqlx::query_as(sql).bind(id).fetch_optional(pool).await)?;
        Ok(found.map(Arc::new))
    }

    async fn find_many(&self, _: &[i64]) -> Result<Vec<Option<Arc<Item>>>, Self::Error> {
        unreachable!("nothing here reads many")
    }

    async fn find_by(&self, index: &ItemIndex) -> Result<Rows<Item>, Self::Error> {
        let (sql, value) = match index {
            ItemIndex::Shelf(shelf) => ("SELECT * FROM items WHERE shelf = $1 ORDER BY id", shelf),
            ItemIndex::Title(title) => ("SELECT * FROM items WHERE title = $1 ORDER BY id", title),
        };
        let sql = self.sql(sql);
        let found: Vec<Item> =
            on!(self, pool => sqlx::query_as(sql).bind(value).fetch_all(pool).await)?;
        Ok(found.into_iter().map(Arc::new).collect())
    }

    async fn list_all(&self) -> Result<Rows<Item>, Self::Error> {
        let sql = "SELECT * FROM items ORDER BY id";
        let found: Vec<Item> = on!(self, pool => sqlx::query_as(sql).fetch_all(pool).await)?;
        Ok(found.into_iter().map(Arc::new).collect())
    }

    fn overloaded(&self, _: aside::repository::Overloaded) -> Self::Error {
        Arc::new(sqlx::Error::PoolTimedOut)
    }
}

/// An instance of a service.
pub(crate) struct Instance {
    pub(crate) cache: CacheService,
    pub(crate) items: CachedRepository<Items>,
    pub(crate) source: Items,
}

impl Instance {
    pub(crate) async fn start(redis_url: &str, source: &Items) -> Self {
        let config = CacheConfig {
            redis_url: Secret::new(redis_url),
            ..CacheConfig::default()
        };
        let cache = CacheService::connect(config).await;
        match source {
            Items::Postgres(pool) => cache.poll_journal(PostgresJournal::new(pool.clone())).await,
            Items::Sqlite(pool) => cache.poll_journal(SqliteJournal::new(pool.clone())).await,
            Items::MySql(pool) => cache.poll_journal(MySqlJournal::new(pool.clone())).await,
        }
        Self {
            items: CachedRepository::new(source.clone(), &cache),
            source: source.clone(),
            cache,
        }
    }

    pub(crate) fn pg_journal(&self) -> PostgresJournal {
        PostgresJournal::new(self.source.pg().clone())
    }

    pub(crate) async fn row(&self, id: i64) -> Option<Item> {
        let found = self.items.find_by_id(&id).await.expect("an answer");
        found.map(|row| (*row).clone())
    }

    /// Returns the ids of the rows on a shelf.
    pub(crate) async fn shelf(&self, shelf: &str) -> Vec<i64> {
        let index = ItemIndex::Shelf(shelf.to_owned());
        let found = self.items.find_by(&index).await.expect("an answer");
        found.iter().map(|row| row.id).collect()
    }

    /// Returns the ids of the rows with a title.
    pub(crate) async fn titled(&self, title: &str) -> Vec<i64> {
        let index = ItemIndex::Title(title.to_owned());
        let found = self.items.find_by(&index).await.expect("an answer");
        found.iter().map(|row| row.id).collect()
    }

    /// Waits until a list of a shelf comes from a cache, and returns whether it
    /// did within some time.
    pub(crate) async fn caches_shelf(&self, shelf: &str, within: Duration) -> bool {
        let index = ItemIndex::Shelf(shelf.to_owned());
        let cached = async {
            loop {
                let read = self.items.find_by_with(&index, Freshness::Any).await;
                if read.expect("an answer").tier != Tier::Source {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(within, cached).await.is_ok()
    }

    pub(crate) async fn unreleased(&self) -> u64 {
        let health = self.cache.health_check().await;
        u64::try_from(health.unreleased_keys).unwrap()
    }
}

/// Two instances on one database and one Redis.
pub(crate) struct World {
    _redis: RedisServer,
    pub(crate) source: Items,
    pub(crate) one: Instance,
    pub(crate) two: Instance,
}

impl World {
    async fn of(source: Items) -> Self {
        source.run(TABLE).await;
        let redis = RedisServer::start().expect("redis-server or valkey-server");
        Self {
            one: Instance::start(&redis.url(), &source).await,
            two: Instance::start(&redis.url(), &source).await,
            _redis: redis,
            source,
        }
    }

    pub(crate) async fn postgres() -> (PostgresServer, Self) {
        let server = PostgresServer::start().expect("postgres and initdb");
        let world = Self::of(Items::postgres(&server.url()).await).await;
        (server, world)
    }

    pub(crate) async fn sqlite() -> (tempfile::TempDir, Self) {
        let directory = tempfile::tempdir().expect("a directory");
        let items = Items::sqlite(&directory.path().join("items.db")).await;
        (directory, Self::of(items).await)
    }

    pub(crate) async fn mysql() -> (MariaDbServer, Self) {
        let server = MariaDbServer::start().expect("mariadbd");
        let world = Self::of(Items::mysql(&server.url()).await).await;
        (server, world)
    }

    /// Runs a scene on SQLite, PostgreSQL and MariaDB.
    pub(crate) async fn on_all(scene: impl AsyncFn(Self)) {
        Self::on_both(&scene).await;
        let (_server, world) = Self::mysql().await;
        scene(world).await;
    }

    /// Runs a scene on SQLite and on PostgreSQL.
    pub(crate) async fn on_both(scene: impl AsyncFn(Self)) {
        let (_directory, world) = Self::sqlite().await;
        scene(world).await;
        let (_server, world) = Self::postgres().await;
        scene(world).await;
    }

    pub(crate) async fn insert(&self, items: &[Item]) {
        for item in items {
            let insert = format!(
                "INSERT INTO items VALUES ({}, '{}', '{}')",
                item.id, item.shelf, item.title
            );
            self.source.run(&insert).await;
        }
    }

    /// Waits until both instances have the lists of some shelves in a cache.
    pub(crate) async fn cache_shelves(&self, shelves: &[&str]) {
        for instance in [&self.one, &self.two] {
            for shelf in shelves {
                assert!(instance.caches_shelf(shelf, EVENTUALLY).await, "{shelf}");
            }
        }
    }

    /// Waits until the second instance reads the ids of a shelf.
    pub(crate) async fn two_reads(&self, shelf: &str, ids: &[i64]) {
        eventually(EVENTUALLY, "the shelf on the other instance", async || {
            self.two.shelf(shelf).await == ids
        })
        .await;
    }
}

pub(crate) type Ended = Result<(), CommitError<sqlx::Error>>;

/// Begins a transaction on the database of an instance, and runs a block with
/// it. With `returning`, not on MySQL.
#[macro_export]
macro_rules! transact {
    ($instance:expr, $transaction:ident => $work:block) => {
        match &$instance.source {
            $crate::items::Items::MySql(pool) => {
                let journal = aside_sqlx::MySqlJournal::new(pool.clone());
                #[allow(unused_mut)]
                let mut $transaction = $instance.cache.begin(&journal).await.unwrap();
                $work
            }
            _ => $crate::transact!(returning $instance, $transaction => $work),
        }
    };
    (returning $instance:expr, $transaction:ident => $work:block) => {
        match &$instance.source {
            $crate::items::Items::Postgres(pool) => {
                let journal = aside_sqlx::PostgresJournal::new(pool.clone());
                #[allow(unused_mut)]
                let mut $transaction = $instance.cache.begin(&journal).await.unwrap();
                $work
            }
            $crate::items::Items::Sqlite(pool) => {
                let journal = aside_sqlx::SqliteJournal::new(pool.clone());
                #[allow(unused_mut)]
                let mut $transaction = $instance.cache.begin(&journal).await.unwrap();
                $work
            }
            $crate::items::Items::MySql(_) => unreachable!("an UPDATE that returns no rows"),
        }
    };
}
