//! A small database in memory that counts its reads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aside::{Entity, Repository, Rows, Source, Write};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Entity)]
#[entity(kind = "book")]
pub(crate) struct Book {
    #[entity(id)]
    pub(crate) id: u32,
    #[entity(index)]
    pub(crate) shelf: String,
    pub(crate) title: String,
}

impl Book {
    pub(crate) fn new(id: u32, title: impl Into<String>) -> Self {
        Self {
            id,
            shelf: "fairy tales".into(),
            title: title.into(),
        }
    }
}

/// The reason for a refusal of the library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A load did not get a permit, or took too long.
    Overloaded(aside::repository::Overloaded),
    /// The library is out of order.
    Closed,
}

/// The database. Clones share it.
#[derive(Clone)]
pub(crate) struct Library(Arc<Shelves>);

struct Shelves {
    books: Mutex<BTreeMap<u32, Book>>,
    /// Writes are transactions, one after another.
    writing: tokio::sync::Mutex<()>,
    open: watch::Sender<bool>,
    /// The duration of a load.
    takes: Mutex<Duration>,
    /// The outcome of the next load.
    next: Mutex<Next>,
    loads: AtomicUsize,
    loading: AtomicUsize,
    most_loading: AtomicUsize,
}

/// The outcome of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Succeeds,
    /// A firewall has dropped its connection: it never ends.
    Hangs,
    Fails,
    Panics,
}

/// One load in progress.
struct Load<'a>(&'a Shelves);

impl Drop for Load<'_> {
    fn drop(&mut self) {
        self.0.loading.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Library {
    /// A library of books 1 to `count`.
    pub(crate) fn of(count: u32) -> Self {
        let book = |id| (id, Book::new(id, format!("tale {id}")));
        Self(Arc::new(Shelves {
            books: Mutex::new((1..=count).map(book).collect()),
            writing: tokio::sync::Mutex::default(),
            open: watch::Sender::new(true),
            takes: Mutex::new(Duration::ZERO),
            next: Mutex::new(Next::Succeeds),
            loads: AtomicUsize::new(0),
            loading: AtomicUsize::new(0),
            most_loading: AtomicUsize::new(0),
        }))
    }

    /// Sets the duration of each load from now on.
    pub(crate) fn takes(&self, time: Duration) {
        *self.0.takes.lock().unwrap() = time;
    }

    /// Sets the outcome of the next load only.
    pub(crate) fn next_load(&self, next: Next) {
        *self.0.next.lock().unwrap() = next;
    }

    /// Keeps loads from ending until [`open`](Self::open).
    pub(crate) fn shut(&self) {
        self.0.open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.0.open.send_replace(true);
    }

    /// Returns how many loads were started. `loading` returns those in
    /// progress.
    pub(crate) fn loads(&self) -> usize {
        self.0.loads.load(Ordering::SeqCst)
    }

    pub(crate) fn loading(&self) -> usize {
        self.0.loading.load(Ordering::SeqCst)
    }

    /// Returns the maximum number of concurrent loads so far.
    pub(crate) fn most_loading(&self) -> usize {
        self.0.most_loading.load(Ordering::SeqCst)
    }

    /// Returns the title of a book, without using a cache.
    pub(crate) fn title(&self, id: u32) -> Option<String> {
        self.books(|books| books.get(&id).map(|book| book.title.clone()))
    }

    /// Changes a book without invalidating a cache.
    pub(crate) fn overwrite(&self, book: Book) {
        self.books(|books| books.insert(book.id, book));
    }

    fn books<T>(&self, look: impl FnOnce(&mut BTreeMap<u32, Book>) -> T) -> T {
        look(&mut self.0.books.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn load<T>(
        &self,
        look: impl FnOnce(&mut BTreeMap<u32, Book>) -> T,
    ) -> Result<T, Refusal> {
        let shelves = &*self.0;
        shelves.loads.fetch_add(1, Ordering::SeqCst);
        let loading = shelves.loading.fetch_add(1, Ordering::SeqCst) + 1;
        let _load = Load(shelves);
        shelves.most_loading.fetch_max(loading, Ordering::SeqCst);
        let mut open = shelves.open.subscribe();
        let next = std::mem::replace(&mut *shelves.next.lock().unwrap(), Next::Succeeds);
        let _ = open.wait_for(|open| *open).await;
        let takes = *shelves.takes.lock().unwrap();
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        match next {
            Next::Succeeds => Ok(self.books(look)),
            Next::Hangs => std::future::pending().await,
            Next::Fails => Err(Refusal::Closed),
            Next::Panics => panic!("the library burns"),
        }
    }
}

impl Source for Library {
    type Entity = Book;
    type Error = Refusal;

    async fn find_by_id(&self, id: &u32) -> Result<Option<Arc<Book>>, Refusal> {
        self.load(|books| books.get(id).cloned().map(Arc::new))
            .await
    }

    async fn find_many(&self, ids: &[u32]) -> Result<Vec<Option<Arc<Book>>>, Refusal> {
        let find = |books: &mut BTreeMap<u32, Book>| {
            ids.iter()
                .map(|id| books.get(id).cloned().map(Arc::new))
                .collect()
        };
        self.load(find).await
    }

    async fn find_by(&self, index: &BookIndex) -> Result<Rows<Book>, Refusal> {
        let BookIndex::Shelf(shelf) = index;
        let stand = |book: &&Book| book.shelf == *shelf;
        let find = |books: &mut BTreeMap<u32, Book>| {
            let found = books.values().filter(stand).cloned();
            found.map(Arc::new).collect()
        };
        self.load(find).await
    }

    async fn list_all(&self) -> Result<Rows<Book>, Refusal> {
        let all = |books: &mut BTreeMap<u32, Book>| books.values().cloned().map(Arc::new).collect();
        self.load(all).await
    }

    fn overloaded(&self, why: aside::repository::Overloaded) -> Refusal {
        Refusal::Overloaded(why)
    }
}

impl Repository for Library {
    async fn save_in(&self, row: Book, write: &mut Write) -> Result<Arc<Book>, Refusal> {
        let _transaction = self.0.writing.lock().await;
        write.created(&row);
        let _ = write.before_commit().await;
        self.books(|books| books.insert(row.id, row.clone()));
        Ok(Arc::new(row))
    }

    async fn update_in(&self, row: Book, write: &mut Write) -> Result<Option<Arc<Book>>, Refusal> {
        let _transaction = self.0.writing.lock().await;
        let Some(before) = self.books(|books| books.get(&row.id).cloned()) else {
            return Ok(None);
        };
        write.updated(&before, &row);
        let _ = write.before_commit().await;
        self.books(|books| books.insert(row.id, row.clone()));
        Ok(Some(Arc::new(row)))
    }

    async fn delete_in(&self, id: &u32, write: &mut Write) -> Result<bool, Refusal> {
        let _transaction = self.0.writing.lock().await;
        let Some(before) = self.books(|books| books.get(id).cloned()) else {
            return Ok(false);
        };
        write.deleted(&before);
        let _ = write.before_commit().await;
        self.books(|books| books.remove(id));
        Ok(true)
    }
}
