//! Books in a real database that another program also writes.

use std::path::Path;
use std::sync::Arc;

use aside::{CacheConfig, CacheService, Entity, Repository, Rows, Source, Write};
use aside_sqlx::{OutOfReach, PostgresJournal, RecordError, SqliteJournal, Triggers};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};

const TABLE: &str = "CREATE TABLE books (
    id TEXT PRIMARY KEY, title TEXT NOT NULL, author TEXT,
    shelf INTEGER NOT NULL, lent BOOLEAN NOT NULL
)";
const UPSERT: &str = "INSERT INTO books (id, title, author, shelf, lent)
     VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (id) DO UPDATE SET title = excluded.title, author = excluded.author,
         shelf = excluded.shelf, lent = excluded.lent";
const DELETE: &str = "DELETE FROM books WHERE id = $1";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Entity, sqlx::FromRow)]
#[entity(kind = "book", index(place = (shelf, lent, author)))]
pub(crate) struct Book {
    #[entity(id)]
    pub(crate) id: String,
    #[entity(index)]
    pub(crate) title: String,
    #[entity(index = "by")]
    pub(crate) author: Option<String>,
    pub(crate) shelf: i32,
    pub(crate) lent: bool,
}

impl Book {
    pub(crate) fn new(id: &str, title: &str) -> Self {
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            author: None,
            shelf: 1,
            lent: false,
        }
    }
}

/// The reason why a book could not be read or written.
#[derive(Clone, Debug)]
pub(crate) struct BookError(#[expect(dead_code, reason = "shown when a test fails")] String);

impl From<sqlx::Error> for BookError {
    fn from(error: sqlx::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<RecordError> for BookError {
    fn from(error: RecordError) -> Self {
        Self(error.to_string())
    }
}

/// A connection pool of the service or of another program.
#[derive(Clone)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// The same statements on either database.
macro_rules! on {
    ($pool:expr, $inner:ident => $work:expr) => {
        match $pool {
            Pool::Sqlite($inner) => $work,
            Pool::Postgres($inner) => $work,
        }
    };
}

impl Pool {
    /// Runs statements unchanged.
    pub(crate) async fn run(&self, sql: &str) {
        self.try_run(sql).await.expect(sql);
    }

    pub(crate) async fn try_run(&self, sql: &str) -> Result<(), sqlx::Error> {
        use sqlx::Executor as _;
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        on!(self, pool => pool.execute(sql).await.map(drop))
    }

    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        on!(self, pool => sqlx::query_scalar(sql).fetch_all(pool).await).expect("an answer")
    }

    pub(crate) async fn upsert(&self, book: &Book) {
        on!(self, pool => sqlx::query(UPSERT)
            .bind(&book.id).bind(&book.title).bind(&book.author).bind(book.shelf).bind(book.lent)
            .execute(pool).await.map(drop))
        .expect("a book is written");
    }

    pub(crate) async fn delete(&self, id: &str) {
        on!(self, pool => sqlx::query(DELETE).bind(id).execute(pool).await.map(drop))
            .expect("a book is deleted");
    }

    /// Returns the keys in the journal.
    pub(crate) async fn journal(&self) -> Vec<String> {
        self.texts("SELECT DISTINCT key FROM cache_journal ORDER BY key")
            .await
    }

    pub(crate) async fn empty_the_journal(&self) {
        self.run("DELETE FROM cache_journal").await;
    }
}

/// The service's books.
#[derive(Clone)]
pub(crate) struct Books {
    pub(crate) pool: Pool,
    /// Another program's connections.
    pub(crate) other: Pool,
}

impl Books {
    pub(crate) async fn sqlite(file: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        // Without foreign keys, as in the SQLite shell.
        let plain = options.clone().foreign_keys(false);
        let open = |options, most| {
            SqlitePoolOptions::new()
                .max_connections(most)
                .connect_with(options)
        };
        let pool = Pool::Sqlite(open(options, 5).await.expect("a database"));
        let other = Pool::Sqlite(open(plain, 1).await.expect("a database"));
        Self::with(pool, other).await
    }

    pub(crate) async fn postgres(url: &str) -> Self {
        let open = |most| PgPoolOptions::new().max_connections(most).connect(url);
        let pool = Pool::Postgres(open(5).await.expect("a database"));
        let other = Pool::Postgres(open(1).await.expect("a database"));
        Self::with(pool, other).await
    }

    async fn with(pool: Pool, other: Pool) -> Self {
        pool.run(TABLE).await;
        match &pool {
            Pool::Sqlite(pool) => drop(SqliteJournal::install(pool.clone()).await.unwrap()),
            Pool::Postgres(pool) => drop(PostgresJournal::install(pool.clone()).await.unwrap()),
        }
        Self { pool, other }
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self.pool, Pool::Sqlite(_))
    }

    pub(crate) async fn install(&self) {
        // Twice, because installing again is allowed.
        for _ in 0..2 {
            self.try_install(&Triggers::of::<Book>("books", ""))
                .await
                .expect("triggers");
        }
    }

    pub(crate) async fn try_install(&self, triggers: &Triggers) -> Result<(), sqlx::Error> {
        match &self.pool {
            Pool::Sqlite(pool) => {
                let journal = SqliteJournal::new(pool.clone());
                journal.install_triggers(triggers).await
            }
            Pool::Postgres(pool) => {
                let journal = PostgresJournal::new(pool.clone());
                journal.install_triggers(triggers).await
            }
        }
    }

    pub(crate) async fn remove(&self) {
        let removed = match &self.pool {
            Pool::Sqlite(pool) => {
                let journal = SqliteJournal::new(pool.clone());
                journal.remove_triggers("books").await
            }
            Pool::Postgres(pool) => {
                let journal = PostgresJournal::new(pool.clone());
                journal.remove_triggers("books").await
            }
        };
        removed.expect("triggers are removed");
    }

    /// Copies each row of the journal to the table `seen`, which keeps it.
    pub(crate) async fn watch_the_journal(&self) {
        let watch = if self.is_sqlite() {
            "CREATE TRIGGER watch AFTER INSERT ON cache_journal
             BEGIN INSERT INTO seen VALUES (NEW.key); END"
        } else {
            "CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN INSERT INTO seen VALUES (NEW.key); RETURN NULL; END';
             CREATE TRIGGER watch AFTER INSERT ON cache_journal
             FOR EACH ROW EXECUTE FUNCTION watch()"
        };
        self.pool.run(watch).await;
    }

    pub(crate) async fn roll_back_a_write_of_the_library(&self) {
        let sql = "INSERT INTO books VALUES ('1', 'title', NULL, 1, false)";
        let write = cached_write().await;
        macro_rules! roll_back {
            ($pool:ident, $journal:ident) => {{
                let mut transaction = $journal::begin($pool, &write).await.unwrap();
                sqlx::query(sql).execute(&mut *transaction).await.unwrap();
                transaction.rollback().await.unwrap();
            }};
        }
        match &self.pool {
            Pool::Sqlite(pool) => roll_back!(pool, SqliteJournal),
            Pool::Postgres(pool) => roll_back!(pool, PostgresJournal),
        }
    }

    /// Returns all named objects of the database.
    pub(crate) async fn schema(&self) -> Vec<String> {
        let sql = if self.is_sqlite() {
            "SELECT type || ' ' || name FROM sqlite_schema ORDER BY 1"
        } else {
            "SELECT 'class ' || relname::text FROM pg_class
              WHERE relnamespace = 'public'::regnamespace
             UNION SELECT 'function ' || proname::text FROM pg_proc
              WHERE pronamespace = 'public'::regnamespace
             UNION SELECT 'trigger ' || tgname::text FROM pg_trigger ORDER BY 1"
        };
        self.pool.texts(sql).await
    }

    /// Writes or deletes a book in a transaction of the library.
    async fn commit(
        &self,
        id: &str,
        book: Option<&Book>,
        write: &mut Write,
    ) -> Result<(), BookError> {
        macro_rules! transact {
            ($pool:ident, $journal:ident) => {{
                let mut transaction = $journal::begin($pool, write).await?;
                let sql = "SELECT * FROM books WHERE id = $1";
                let before: Option<Book> = sqlx::query_as(sql)
                    .bind(id)
                    .fetch_optional(&mut *transaction)
                    .await?;
                match (&before, book) {
                    (Some(before), Some(book)) => write.updated(before, book),
                    (Some(before), None) => write.deleted(before),
                    (None, Some(book)) => write.created(book),
                    (None, None) => {}
                }
                match book {
                    Some(book) => {
                        let upsert = sqlx::query(UPSERT).bind(&book.id).bind(&book.title);
                        let upsert = upsert.bind(&book.author).bind(book.shelf).bind(book.lent);
                        upsert.execute(&mut *transaction).await?;
                    }
                    None => {
                        let delete = sqlx::query(DELETE).bind(id);
                        delete.execute(&mut *transaction).await?;
                    }
                }
                let left = write.before_commit().await;
                $journal::record(&mut transaction, &left, OutOfReach::Journal).await?;
                transaction.commit().await?;
            }};
        }
        match &self.pool {
            Pool::Sqlite(pool) => transact!(pool, SqliteJournal),
            Pool::Postgres(pool) => transact!(pool, PostgresJournal),
        }
        Ok(())
    }
}

impl Source for Books {
    type Entity = Book;
    type Error = BookError;

    async fn find_by_id(&self, id: &String) -> Result<Option<Arc<Book>>, BookError> {
        let sql = "SELECT * FROM books WHERE id = $1";
        let found: Option<Book> =
            on!(&self.pool, pool => sqlx::query_as(sql).bind(id).fetch_optional(pool).await)?;
        Ok(found.map(Arc::new))
    }

    async fn find_many(&self, ids: &[String]) -> Result<Vec<Option<Arc<Book>>>, BookError> {
        let mut found = Vec::new();
        for id in ids {
            found.push(self.find_by_id(id).await?);
        }
        Ok(found)
    }

    async fn find_by(&self, index: &BookIndex) -> Result<Rows<Book>, BookError> {
        let all = self.list_all().await?;
        let admits = |book: &&Arc<Book>| {
            let mut stands = false;
            book.indexes(&mut |own| stands |= own == *index);
            stands
        };
        Ok(all.iter().filter(admits).cloned().collect())
    }

    async fn list_all(&self) -> Result<Rows<Book>, BookError> {
        let sql = "SELECT * FROM books ORDER BY id";
        let found: Vec<Book> = on!(&self.pool, pool => sqlx::query_as(sql).fetch_all(pool).await)?;
        Ok(found.into_iter().map(Arc::new).collect())
    }

    fn overloaded(&self, _: aside::repository::Overloaded) -> BookError {
        BookError("overloaded".to_owned())
    }
}

impl Repository for Books {
    async fn save_in(&self, book: Book, write: &mut Write) -> Result<Arc<Book>, BookError> {
        self.commit(&book.id, Some(&book), write).await?;
        Ok(Arc::new(book))
    }

    async fn update_in(
        &self,
        book: Book,
        write: &mut Write,
    ) -> Result<Option<Arc<Book>>, BookError> {
        self.commit(&book.id, Some(&book), write).await?;
        Ok(Some(Arc::new(book)))
    }

    async fn delete_in(&self, id: &String, write: &mut Write) -> Result<bool, BookError> {
        self.commit(id, None, write).await?;
        Ok(true)
    }
}

/// Returns a write of a disabled service, which does not notify Redis.
pub(crate) async fn cached_write() -> Write {
    let config = CacheConfig {
        redis_enabled: false,
        ..CacheConfig::default()
    };
    CacheService::connect(config).await.write()
}

/// Returns the keys of a row, as the library computes them.
pub(crate) async fn library_keys<E: Entity>(row: &E) -> Vec<String> {
    let mut write = cached_write().await;
    write.created(row);
    let mut keys: Vec<String> = write.before_commit().await.keys().to_vec();
    write.rolled_back();
    keys.sort();
    keys
}
