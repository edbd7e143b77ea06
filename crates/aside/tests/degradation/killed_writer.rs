//! The writer dies, at every point between its quarantine and its release.
//!
//! The tests use two threads, because one blocks on the writer's output, and
//! the writer needs the proxy to run.

use std::io::stdin;
use std::os::unix::process::ExitStatusExt as _;
use std::process::abort;
use std::sync::Arc;

use aside::{Rows, Write};
use aside_testkit::Mode;

use super::another_process::AnotherProcess;
use super::library::{BookIndex, Refusal};
use super::*;

/// The duration of a quarantine; long enough for a check on a busy machine.
const QUARANTINE: Duration = Duration::from_secs(3);

/// The point at which a writer dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    AfterQuarantine,
    BeforeCommit,
    AfterCommit,
    BeforeRelease,
}

fn with_a_short_quarantine(url: &str) -> CacheConfig {
    CacheConfig {
        quarantine_ttl: QUARANTINE,
        ..at(url)
    }
}

fn changed() -> Book {
    Book {
        shelf: "legends".to_owned(),
        ..Book::new(1, "changed")
    }
}

fn new() -> Book {
    Book::new(4, "new")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_dies_after_its_quarantine_leaves_no_old_row() {
    let test = "killed_writer::a_writer_that_dies_after_its_quarantine_leaves_no_old_row";
    leaves_nothing_old(test, Point::AfterQuarantine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_dies_before_its_commit_leaves_no_old_row() {
    let test = "killed_writer::a_writer_that_dies_before_its_commit_leaves_no_old_row";
    leaves_nothing_old(test, Point::BeforeCommit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_dies_after_its_commit_leaves_no_old_row() {
    let test = "killed_writer::a_writer_that_dies_after_its_commit_leaves_no_old_row";
    leaves_nothing_old(test, Point::AfterCommit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_dies_before_its_release_leaves_no_old_row() {
    let test = "killed_writer::a_writer_that_dies_before_its_release_leaves_no_old_row";
    leaves_nothing_old(test, Point::BeforeRelease).await;
}

async fn leaves_nothing_old(test: &str, point: Point) {
    if let Some(url) = AnotherProcess::role() {
        return die_at(point, &url).await;
    }
    let redis = redis();
    let proxy = way_to(&redis).await;
    let library = Library::of(3);
    let reader = Instance::in_step(with_a_short_quarantine(&redis.url()), &library).await;
    let onlooker = Instance::in_step(with_a_short_quarantine(&redis.url()), &library).await;
    for instance in [&reader, &onlooker] {
        caches_everything(instance).await;
    }
    let url = format!("redis://{}/0", proxy.address());
    let mut writer = AnotherProcess::start(test, &url);

    writer.hear("quarantined");
    let quarantined = Instant::now();
    let state = |key: &str| {
        let value = redis.command(&["GET", key]);
        value.text().and_then(|text| text.chars().next())
    };
    for key in KEYS {
        assert_eq!(state(key), Some('Q'), "{key}");
    }
    // Messages may take some time.
    for instance in [&reader, &onlooker] {
        eventually(EVENTUALLY, "no row from a cache", async || {
            agrees(instance).await == 0
        })
        .await;
    }
    writer.go_on();
    if matches!(point, Point::AfterCommit | Point::BeforeRelease) {
        writer.hear("committing");
        // The commit happens in this process, which has the database.
        library.overwrite(changed());
        library.overwrite(new());
        if point == Point::BeforeRelease {
            proxy.set_both(Mode::Blackhole);
        }
        writer.go_on();
    }
    let died = writer.has_ended();
    assert_eq!(died.signal(), Some(6), "it aborts: {died:?}");

    // No release and no fill happens until the quarantine has expired.
    while quarantined.elapsed() < QUARANTINE / 2 {
        assert_eq!(agrees(&reader).await, 0);
        assert_eq!(agrees(&onlooker).await, 0);
        tokio::task::yield_now().await;
    }
    for key in KEYS {
        assert_eq!(state(key), Some('Q'), "{key} {point:?}");
    }
    for instance in [&reader, &onlooker] {
        caches_everything(instance).await;
    }
    assert!(QUARANTINE / 2 < quarantined.elapsed());
    for key in KEYS {
        assert_eq!(state(key), Some('V'), "{key}");
    }
}

/// The keys of the write: a row, a row that did not exist, and lists.
const KEYS: [&str; 5] = [
    "book:1",
    "book:4",
    "book:all",
    "book:shelf:fairy tales",
    "book:shelf:legends",
];

/// Checks that every result equals the library's. Returns how many come from a
/// cache.
async fn agrees(instance: &Instance) -> usize {
    let source = instance.books.source();
    let mut tiers = vec![instance.tier(1).await, instance.tier(4).await];
    for shelf in ["fairy tales", "legends"] {
        let index = BookIndex::Shelf(shelf.to_owned());
        let answer = instance.books.find_by_with(&index, Freshness::Any).await;
        let answer = answer.unwrap();
        let stored = source.find_by(&index).await.unwrap();
        assert_eq!(answer.value, stored, "{shelf}");
        tiers.push(answer.tier);
    }
    let answer = instance.books.list_all_with(Freshness::Any).await.unwrap();
    assert_eq!(answer.value, source.list_all().await.unwrap());
    tiers.push(answer.tier);
    tiers.iter().filter(|tier| **tier != Tier::Source).count()
}

async fn caches_everything(instance: &Instance) {
    eventually(EVENTUALLY, "every row from a cache", async || {
        agrees(instance).await == KEYS.len()
    })
    .await;
}

/// Writes, and dies at this point.
async fn die_at(point: Point, url: &str) {
    let cache = CacheService::connect(with_a_short_quarantine(url)).await;
    let dying = Dying {
        library: Library::of(3),
        point,
    };
    let books = CachedRepository::new(dying, &cache);
    eventually(EVENTUALLY, "a service in step", async || cache.is_synced()).await;
    books.update(changed()).await.unwrap();
}

fn say(what: &str) {
    println!("\n{what}");
    stdin().read_line(&mut String::new()).expect("a word");
}

/// A library whose transactions end in the other process, if at all.
struct Dying {
    library: Library,
    point: Point,
}

impl Source for Dying {
    type Entity = Book;
    type Error = Refusal;

    async fn find_by_id(&self, id: &u32) -> Result<Option<Arc<Book>>, Refusal> {
        self.library.find_by_id(id).await
    }

    async fn find_many(&self, ids: &[u32]) -> Result<Vec<Option<Arc<Book>>>, Refusal> {
        self.library.find_many(ids).await
    }

    async fn find_by(&self, index: &BookIndex) -> Result<Rows<Book>, Refusal> {
        self.library.find_by(index).await
    }

    async fn list_all(&self) -> Result<Rows<Book>, Refusal> {
        self.library.list_all().await
    }

    fn overloaded(&self, why: aside::repository::Overloaded) -> Refusal {
        Refusal::Overloaded(why)
    }
}

impl Repository for Dying {
    async fn save_in(&self, row: Book, write: &mut Write) -> Result<Arc<Book>, Refusal> {
        self.library.save_in(row, write).await
    }

    async fn update_in(&self, row: Book, write: &mut Write) -> Result<Option<Arc<Book>>, Refusal> {
        write.updated(&Book::new(1, "tale 1"), &row);
        write.created(&new());
        assert!(write.before_commit().await.is_empty());
        say("quarantined");
        if self.point == Point::AfterQuarantine {
            abort();
        }
        // Every command is sent, and the COMMIT is next.
        tokio::task::yield_now().await;
        if self.point == Point::BeforeCommit {
            abort();
        }
        say("committing");
        if self.point == Point::AfterCommit {
            abort();
        }
        // Before the missing acknowledgement of the release is noticed.
        tokio::spawn(async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            abort();
        });
        Ok(Some(Arc::new(row)))
    }

    async fn delete_in(&self, id: &u32, write: &mut Write) -> Result<bool, Refusal> {
        self.library.delete_in(id, write).await
    }
}
