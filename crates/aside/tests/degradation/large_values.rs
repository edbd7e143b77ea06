//! Values that are too large, or that take too long to travel.

use std::num::NonZeroU32;

use aside_testkit::{Direction, Mode};

use super::*;

/// 16 Mbit/s, in bytes.
const NARROW: NonZeroU32 = NonZeroU32::new(2_000_000).unwrap();

/// A library whose list of all has about so many bytes: `rows` small books, and
/// one that makes up for the rest, with the last number.
fn library_of(rows: u32, bytes: usize) -> Library {
    let library = Library::of(rows);
    library.overwrite(Book::new(rows + 1, "x".repeat(bytes)));
    library
}

/// Reads the small books again and again for so long; how often the database was
/// asked for one, and how many reads there were.
async fn read_small(instance: &Instance, rows: u32, long: Duration) -> (usize, usize) {
    let (begun, mut from_database, mut reads) = (Instant::now(), 0, 0);
    while begun.elapsed() < long {
        for id in 1..=rows {
            let answer = instance.books.find_by_id_with(&id, Freshness::Shared).await;
            reads += 1;
            from_database += usize::from(answer.unwrap().tier == Tier::Source);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (from_database, reads)
}

/// Rows that Redis serves beside a list that travels slowly one way.
async fn a_list_travels_slowly(direction: Direction) -> (Instance, usize, usize) {
    let redis = redis();
    let proxy = way_to(&redis).await;
    let library = library_of(20, 900_000);
    let instance = Instance::in_step(through(&proxy), &library).await;
    for id in 1..=20 {
        instance.caches(id).await;
    }
    if direction == Direction::ToClient {
        let writer = Instance::in_step(at(&redis.url()), &library).await;
        writer.books.list_all().await.unwrap();
        eventually(EVENTUALLY, "the list in Redis", async || {
            redis.command(&["EXISTS", "book:all"]).integer() == Some(1)
                && redis.command(&["STRLEN", "book:all"]).integer() > Some(900_000)
        })
        .await;
    }
    proxy.set(direction, Mode::Throttle(NARROW));
    let lists = async {
        for _ in 0..20 {
            assert_eq!(instance.books.list_all().await.unwrap().len(), 21);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let rows = read_small(&instance, 20, Duration::from_secs(3));
    let ((), (from_database, reads)) = tokio::join!(lists, rows);
    assert_eq!(instance.errors("redis_timeout"), 0);
    assert!(instance.cache.is_synced());
    (instance, from_database, reads)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fill_that_leaves_slowly_disturbs_no_row() {
    let (_, from_database, reads) = a_list_travels_slowly(Direction::ToServer).await;
    assert_eq!(from_database, 0, "of {reads} reads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_arrives_slowly_disturbs_no_row() {
    let (_, from_database, reads) = a_list_travels_slowly(Direction::ToClient).await;
    assert_eq!(from_database, 0, "of {reads} reads");
}
