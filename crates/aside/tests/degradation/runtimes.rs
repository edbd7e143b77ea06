//! A service outlives the tasks and the runtimes that use it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use aside::journal::{Journal, JournalRow};
use tokio::runtime::{Builder, Runtime};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::listener::Listener;
use super::*;

/// A runtime like those that `#[tokio::test]` creates for each test.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn a_service_continues_on_the_runtime_of_its_next_use() {
    let redis = redis();
    let library = Library::of(3);
    let instance = runtime().block_on(Instance::in_step(at(&redis.url()), &library));
    for turn in 0..3 {
        runtime().block_on(async {
            instance.caches(2).await;
            // It also receives messages: another instance's write is soon
            // visible.
            let other = Instance::in_step(at(&redis.url()), &library).await;
            let title = format!("turn {turn}");
            other.books.update(Book::new(2, &*title)).await.unwrap();
            eventually(EVENTUALLY, "the write of another instance", async || {
                let book = instance.books.find_by_id(&2).await.unwrap().unwrap();
                book.title == title
            })
            .await;
            instance.caches(2).await;
        });
    }
}

#[test]
fn the_end_of_a_runtime_is_logged_once() {
    let listener = Listener::of(Level::INFO, &["Redis ", "the tasks "]);
    let _installed = tracing::subscriber::set_default(listener.clone());
    let redis = redis();
    let library = Library::of(3);
    let first = runtime();
    let instance = first.block_on(Instance::in_step(at(&redis.url()), &library));
    listener.heard();
    drop(first);
    let heard = listener.heard();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].1.contains("the runtime"), "{heard:?}");
    runtime().block_on(instance.caches(1));
    let heard = listener.heard();
    let again = heard.iter().filter(|(_, said)| said.contains("the tasks"));
    assert_eq!(again.count(), 1, "{heard:?}");
}

#[test]
fn pending_releases_survive_the_runtime() {
    let redis = redis();
    let library = Library::of(3);
    let first = runtime();
    let instance = first.block_on(async {
        let instance = Instance::in_step(at(&redis.url()), &library).await;
        instance.caches(1).await;
        redis.stop();
        let change = Book::new(1, "changed");
        instance.books.update(change).await.unwrap();
        assert!(0 < instance.cache.health_check().await.unreleased_keys);
        instance
    });
    drop(first);
    redis.cont();
    runtime().block_on(async {
        instance.resumes().await;
        eventually(EVENTUALLY, "the release", async || {
            instance.cache.health_check().await.unreleased_keys == 0
        })
        .await;
        instance.caches(1).await;
    });
}

/// A log that cannot be written, as `tracing_subscriber` behaves on a full
/// disk: each line panics.
#[derive(Clone, Default)]
struct FullDisk(Arc<AtomicBool>);

impl Subscriber for FullDisk {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO && metadata.target().starts_with("aside")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        assert!(!self.0.load(Ordering::SeqCst), "no space left on device");
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn the_watcher_restarts_after_a_panic() {
    let log = FullDisk::default();
    let _installed = tracing::subscriber::set_default(log.clone());
    let redis = redis();
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    instance.caches(1).await;
    log.0.store(true, Ordering::SeqCst);
    assert_eq!(redis.client_kill_pubsub(), 1);
    eventually(EVENTUALLY, "a panic", async || {
        instance.errors("task_panicked") > 0
    })
    .await;
    log.0.store(false, Ordering::SeqCst);
    instance.resumes().await;
    instance.caches(2).await;
}

/// A journal in memory whose pages panic while `panics` is set.
#[derive(Clone, Default)]
struct Panicking {
    rows: Arc<Mutex<BTreeMap<i64, String>>>,
    panics: Arc<AtomicBool>,
}

impl Journal for Panicking {
    type Error = Infallible;

    async fn newest(&self) -> Result<Option<i64>, Infallible> {
        Ok(self.rows.lock().unwrap().keys().next_back().copied())
    }

    async fn page(&self, after: i64) -> Result<Vec<JournalRow>, Infallible> {
        assert!(!self.panics.load(Ordering::SeqCst), "a bug of the driver");
        let rows = self.rows.lock().unwrap();
        let later = rows.range(after.saturating_add(1)..);
        let row = |(id, entry): (&i64, &String)| JournalRow {
            id: *id,
            entry: entry.clone(),
        };
        Ok(later.map(row).collect())
    }

    async fn delete(&self, ids: &[i64]) -> Result<(), Infallible> {
        let mut rows = self.rows.lock().unwrap();
        ids.iter().for_each(|id| drop(rows.remove(id)));
        Ok(())
    }
}

#[tokio::test]
async fn the_journal_is_read_again_after_a_panic() {
    let redis = redis();
    let library = Library::of(3);
    let journal = Panicking::default();
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    instance.cache.poll_journal(journal.clone()).await;
    instance.caches(1).await;
    journal.panics.store(true, Ordering::SeqCst);
    journal.rows.lock().unwrap().insert(1, "book:1".into());
    eventually(EVENTUALLY, "a panic", async || {
        instance.errors("task_panicked") > 0
    })
    .await;
    journal.panics.store(false, Ordering::SeqCst);
    eventually(EVENTUALLY, "an empty journal", async || {
        journal.rows.lock().unwrap().is_empty()
    })
    .await;
    instance.caches(1).await;
    assert_eq!(instance.cache.health_check().await.unreleased_keys, 0);
}

/// A test harness that continues after a panic behaves like this.
#[test]
fn a_service_survives_a_test_that_fails_on_its_runtime() {
    let redis = redis();
    let library = Library::of(3);
    let instance = runtime().block_on(Instance::in_step(at(&redis.url()), &library));
    let failed = catch_unwind(AssertUnwindSafe(|| {
        runtime().block_on(async {
            instance.caches(1).await;
            panic!("an assertion of the test");
        })
    }));
    assert!(failed.is_err());
    runtime().block_on(instance.caches(2));
}
