//! The audit's findings about wrong values, and its cost.

use aside::report::KindStats;
use tracing::Level;

use super::listener::Listener;
use super::*;

/// The maximum number of concurrent comparisons.
const MAX_AT_ONCE: usize = 8;

fn audited(redis: &RedisServer) -> CacheConfig {
    CacheConfig {
        audit_share: 1.0,
        ..at(&redis.url())
    }
}

fn counted(instance: &Instance) -> KindStats {
    instance.cache.stats().kinds.remove(0)
}

/// Reads a book until it has this title.
async fn reads(instance: &Instance, id: u32, title: &str) {
    eventually(EVENTUALLY, "the book as the library has it", async || {
        let book = instance.books.find_by_id(&id).await.unwrap();
        book.is_some_and(|book| book.title == title)
    })
    .await;
}

/// Reads book 1 until a comparison waits for the library.
async fn begins(instance: &Instance, library: &Library) {
    eventually(EVENTUALLY, "a comparison", async || {
        instance.books.find_by_id(&1).await.unwrap();
        library.loading() > 0
    })
    .await;
}

#[tokio::test]
async fn a_finding_is_logged_once_with_its_trail_without_its_key() {
    let listener = Listener::of(Level::DEBUG, &["the cache serves", "the audit found"]);
    // Tasks run on this thread, so their log lines reach this subscriber.
    let _installed = tracing::subscriber::set_default(listener.clone());
    let redis = redis();
    let library = Library::of(2);
    let instance = Instance::in_step(audited(&redis), &library).await;
    reads(&instance, 1, "tale 1").await;
    let update = instance.books.update(Book::new(1, "changed"));
    update.await.unwrap();
    reads(&instance, 1, "changed").await;
    assert_eq!(listener.heard(), []);
    // The title has a different length, and no version says which is newer.
    library.overwrite(Book::new(1, "overwritten"));

    reads(&instance, 1, "overwritten").await;

    let heard = listener.heard();
    let [(Level::ERROR, finding), (Level::DEBUG, name)] = &heard[..] else {
        panic!("{heard:?}");
    };
    for part in [
        "kind=\"book\"",
        "delay=\"1s\"",
        "ms ago quarantined, ",
        "ms ago invalidation heard, ",
        "ms ago released with its new row",
    ] {
        assert!(finding.contains(part), "no {part} in {finding}");
    }
    assert!(!finding.contains("book:1"), "{finding}");
    assert!(name.contains("book:1"), "{name}");
}

#[tokio::test]
async fn a_finding_names_a_row_not_written_through_a_cache() {
    let listener = Listener::of(Level::INFO, &["the cache serves"]);
    let _installed = tracing::subscriber::set_default(listener.clone());
    let redis = redis();
    let library = Library::of(1);
    let instance = Instance::in_step(audited(&redis), &library).await;
    instance.caches(1).await;
    library.overwrite(Book::new(1, "overwritten"));

    reads(&instance, 1, "overwritten").await;

    let heard = listener.heard();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].1.contains("not written through"), "{heard:?}");
}

#[tokio::test]
async fn a_hung_database_is_audited_little_and_delays_no_reader() {
    let redis = redis();
    let library = Library::of(40);
    let instance = Instance::in_step(audited(&redis), &library).await;
    for id in 1..=40 {
        instance.caches(id).await;
    }
    eventually(EVENTUALLY, "no comparison in progress", async || {
        library.loading() == 0
    })
    .await;
    let before = counted(&instance);

    library.shut();
    let begun = Instant::now();
    let mut hits = 0;
    eventually(EVENTUALLY, "the maximum of comparisons", async || {
        for id in 1..=40 {
            instance.books.find_by_id(&id).await.unwrap();
            hits += 1;
        }
        library.loading() == MAX_AT_ONCE && begun.elapsed() > Duration::from_secs(2)
    })
    .await;

    assert_eq!(library.most_loading(), MAX_AT_ONCE);
    let dropped = counted(&instance).audit_dropped - before.audit_dropped;
    // Comparisons of a book that is already being compared are not dropped.
    assert!(0 < dropped && dropped < hits, "{dropped} of {hits}");
    // They are awaited no longer than a lease lasts.
    eventually(EVENTUALLY, "an end of the wait", async || {
        instance.errors("audit_unanswered") >= MAX_AT_ONCE as u64
    })
    .await;
    library.open();
}

#[tokio::test]
async fn the_audit_ends_with_the_service() {
    let redis = redis();
    let library = Library::of(1);
    let instance = Instance::in_step(audited(&redis), &library).await;
    instance.caches(1).await;
    library.shut();
    begins(&instance, &library).await;

    instance.cache.close().await;

    eventually(RESUMES_WITHIN, "no comparison in progress", async || {
        library.loading() == 0
    })
    .await;
}

#[tokio::test]
async fn the_audit_ends_with_the_last_clone_of_the_service() {
    let redis = redis();
    let library = Library::of(1);
    let instance = Instance::in_step(audited(&redis), &library).await;
    instance.caches(1).await;
    library.shut();
    begins(&instance, &library).await;

    drop(instance);

    eventually(RESUMES_WITHIN, "no comparison in progress", async || {
        library.loading() == 0
    })
    .await;
}
