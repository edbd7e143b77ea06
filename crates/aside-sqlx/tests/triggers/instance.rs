//! An instance of a service that caches the books.

use aside::{CacheConfig, CacheService, CachedRepository, Freshness, Secret, Source, Tier};
use aside_sqlx::{PostgresJournal, SqliteJournal};
use aside_testkit::eventually;

use super::books::{BookIndex, Books, Pool};

/// An instance of a service.
pub(crate) struct Instance {
    pub(crate) books: CachedRepository<Books>,
    _cache: CacheService,
}

impl Instance {
    pub(crate) async fn start(redis_url: &str, books: &Books) -> Self {
        let cache = CacheService::connect(at(redis_url)).await;
        match &books.pool {
            Pool::Sqlite(pool) => cache.poll_journal(SqliteJournal::new(pool.clone())).await,
            Pool::Postgres(pool) => cache.poll_journal(PostgresJournal::new(pool.clone())).await,
        }
        let books = CachedRepository::new(books.clone(), &cache);
        Self {
            books,
            _cache: cache,
        }
    }

    pub(crate) async fn title(&self, id: &str) -> Option<String> {
        let book = self.books.find_by_id(&id.to_owned()).await;
        book.expect("an answer").map(|book| book.title.clone())
    }

    pub(crate) async fn titled(&self, title: &str) -> usize {
        let index = BookIndex::Title(title.to_owned());
        self.books.find_by(&index).await.expect("an answer").len()
    }

    /// Waits until a book, the list of its title and the list of all come from
    /// the local tier.
    pub(crate) async fn caches(&self, id: &str, title: &str) {
        let (id, index) = (id.to_owned(), BookIndex::Title(title.to_owned()));
        eventually(super::EVENTUALLY, "answers from this process", async || {
            let row = self.books.find_by_id_with(&id, Freshness::Any).await;
            let list = self.books.find_by_with(&index, Freshness::Any).await;
            let all = self.books.list_all_with(Freshness::Any).await;
            let tiers = [row.unwrap().tier, list.unwrap().tier, all.unwrap().tier];
            tiers.iter().all(|tier| *tier == Tier::Local)
        })
        .await;
    }
}

fn at(url: &str) -> CacheConfig {
    CacheConfig {
        redis_url: Secret::new(url),
        ..CacheConfig::default()
    }
}
