//! Rows that a strategy declares to be read after a row.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aside::entity::Following;
use aside::report::PrefetchAssociation;
use aside::settings::PrefetchMode;
use aside::{CacheConfig, CacheStrategy, CachedRepository, Source};
use aside_testkit::eventually;

use crate::database::Table;
use crate::entities::{Book, BookIndex, Hero, book, hero};
use crate::world::{Instance, SOON, World, on_both};

/// More than an association needs to be judged, and fewer than one batch takes.
const BOOKS: usize = 120;

/// Longer than a key that is not read remains undecided.
const GRACE: Duration = Duration::from_millis(1_100);

/// A reader of a book often reads its hero next.
#[derive(Debug)]
struct WithHero;

impl CacheStrategy<Book> for WithHero {
    fn follow(&self, book: &Book, next: &mut Following<'_>) {
        if let Some(hero) = &book.hero {
            next.row::<Hero>(hero);
        }
    }
}

/// An instance, its books, and rows that it has not read yet.
struct Shop {
    instance: Instance,
    books: CachedRepository<Table<Book>>,
    rows: Vec<(Book, Hero)>,
}

/// Returns an instance over a cache that another instance has filled. `of_shelf` names
/// the shelf of each book.
async fn shop(world: &World, mode: PrefetchMode, of_shelf: impl Fn(usize) -> String) -> Shop {
    let mut rows = Vec::new();
    for number in 0..BOOKS {
        let hero = hero(&format!("{number}"), "en");
        let mut book = book(&format!("{number:03}"), "Tales", 2026);
        book.hero = Some(hero.id);
        book.shelf = Some(of_shelf(number));
        world.heroes.insert(&hero);
        world.books.insert(&book);
        rows.push((book, hero));
    }
    let first = world.instance().await;
    let ids: Vec<_> = rows.iter().map(|(_, hero)| hero.id).collect();
    first.heroes.find_many(&ids).await.unwrap();
    let books: Vec<_> = rows.iter().map(|(book, _)| book.id.clone()).collect();
    first.books.find_many(&books).await.unwrap();
    for (book, _) in &rows {
        first.books.find_by(&shelf(book)).await.unwrap();
    }
    let config = CacheConfig {
        prefetch: mode,
        ..world.config()
    };
    let instance = world.instance_with(config).await;
    let books = instance.books.clone().with_strategy(WithHero);
    Shop {
        instance,
        books,
        rows,
    }
}

fn shelf(book: &Book) -> BookIndex {
    BookIndex::Shelf(book.shelf.clone().expect("every book has a shelf"))
}

impl Shop {
    /// Reads a shelf, and the heroes of its first books one after another, in a task.
    async fn go_through(&self, index: BookIndex, heroes: usize) {
        let (books, cached) = (self.books.clone(), self.instance.heroes.clone());
        let reading = tokio::spawn(async move {
            let list = books.find_by(&index).await.unwrap();
            for book in list.iter().take(heroes) {
                let hero = cached.find_by_id(&book.hero.unwrap()).await.unwrap();
                assert!(hero.is_some());
            }
        });
        reading.await.unwrap();
    }

    /// Reads a book in a task, and its hero if asked for.
    async fn open(&self, at: usize, with_hero: bool) {
        let (books, heroes) = (self.books.clone(), self.instance.heroes.clone());
        let id = self.rows[at].0.id.clone();
        let reading = tokio::spawn(async move {
            let book = books.find_by_id(&id).await.unwrap().unwrap();
            if with_hero {
                let hero = heroes.find_by_id(&book.hero.unwrap()).await.unwrap();
                assert!(hero.is_some());
            }
        });
        reading.await.unwrap();
    }

    async fn is_fetched(&self, at: usize) -> bool {
        let explained = self.instance.cache.explain(&self.rows[at].1.key()).await;
        explained.prefetched
    }

    fn association(&self, of_siblings: bool) -> PrefetchAssociation {
        let all = self.instance.cache.prefetch_state().associations;
        let mut all = all.into_iter().filter(|it| it.of_siblings == of_siblings);
        all.next().expect("an association")
    }
}

#[tokio::test]
async fn a_loop_over_a_list_waits_for_four_round_trips() {
    let world = World::in_memory();
    let shop = shop(&world, PrefetchMode::Auto, |_| "a".to_owned()).await;
    shop.instance.cache.slow_memory(Duration::from_millis(1));
    shop.go_through(shelf(&shop.rows[0].0), BOOKS).await;
    shop.instance.cache.slow_memory(Duration::ZERO);
    let stats = shop.instance.cache.stats();
    let waited = |kind: &str| {
        let kind = stats.kinds.iter().find(|known| known.kind == kind).unwrap();
        kind.l2_hits + kind.misses + kind.bypasses
    };
    // The list, two heroes, and the heroes of all other books in one batch.
    assert_eq!(waited("book"), 1);
    assert!(waited("hero") <= 3, "{stats:?}");
    assert_eq!(shop.instance.cache.prefetch_state().batches, 1);
    let siblings = shop.association(true);
    assert_eq!((siblings.from, siblings.to), ("book", "hero"));
}

#[tokio::test]
async fn a_loop_over_a_list_of_a_cold_cache_loads_its_rows_together() {
    let world = World::in_memory();
    let shop = shop(&world, PrefetchMode::Auto, |_| "a".to_owned()).await;
    for (_, hero) in &shop.rows {
        shop.instance.cache.delete(&hero.key()).await;
    }
    let before = world.heroes.queries().total();
    shop.go_through(shelf(&shop.rows[0].0), BOOKS).await;
    let queries = world.heroes.queries().total() - before;
    assert!(queries <= 3, "{queries} queries");
}

#[tokio::test]
async fn rows_of_a_list_are_no_longer_fetched_if_few_are_read() {
    let world = World::in_memory();
    let shop = shop(&world, PrefetchMode::Auto, |at| format!("{}", at / 40)).await;
    for begin in [0, 40, 80] {
        shop.go_through(shelf(&shop.rows[begin].0), 2).await;
        tokio::time::sleep(GRACE).await;
    }
    let siblings = shop.association(true);
    assert!(!siblings.is_fetched, "{siblings:?}");
    assert!(siblings.precision < Some(0.1), "{siblings:?}");
}

#[tokio::test]
async fn a_declared_row_is_fetched_once_most_were_read() {
    on_both(async |world| {
        let shop = shop(&world, PrefetchMode::Auto, |at| at.to_string()).await;
        shop.open(0, false).await;
        assert!(!shop.association(false).is_fetched);
        tokio::time::sleep(GRACE).await;
        for at in 1..BOOKS - 1 {
            shop.open(at, true).await;
        }
        let hero = shop.association(false);
        assert!(hero.is_fetched && Some(0.8) < hero.precision, "{hero:?}");
        assert!(!shop.is_fetched(0).await, "it was named before");
        shop.open(BOOKS - 1, false).await;
        eventually(SOON, "the hero", async || shop.is_fetched(BOOKS - 1).await).await;
    })
    .await;
}

#[tokio::test]
async fn a_declared_row_that_is_not_read_is_never_fetched() {
    let world = World::in_memory();
    let shop = shop(&world, PrefetchMode::Auto, |at| at.to_string()).await;
    for at in 0..BOOKS - 1 {
        shop.open(at, false).await;
    }
    tokio::time::sleep(GRACE).await;
    shop.open(BOOKS - 1, false).await;
    assert_eq!(shop.association(false).precision, Some(0.0));
    assert_eq!(shop.instance.cache.prefetch_state().batches, 0);
}

#[tokio::test]
async fn names_alone_measure_a_declaration_and_fetch_nothing() {
    let world = World::in_memory();
    let shop = shop(&world, PrefetchMode::Names, |_| "a".to_owned()).await;
    for at in 0..BOOKS {
        shop.open(at, true).await;
    }
    shop.go_through(shelf(&shop.rows[0].0), BOOKS).await;
    assert_eq!(shop.instance.cache.prefetch_state().batches, 0);
    assert!(Some(0.8) < shop.association(false).precision);
}

/// Counts the rows that are asked for the keys that they name.
#[derive(Clone, Debug, Default)]
struct Counted(Arc<AtomicUsize>);

impl CacheStrategy<Book> for Counted {
    fn follow(&self, book: &Book, next: &mut Following<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        WithHero.follow(book, next);
    }
}

#[tokio::test]
async fn a_reader_of_a_long_list_waits_for_the_keys_of_few_rows() {
    let world = World::in_memory();
    let heroes = [hero("Ada", "en"), hero("Mary", "en"), hero("Grace", "en")];
    heroes.iter().for_each(|hero| world.heroes.insert(hero));
    for number in 0..2_000 {
        let mut book = book(&format!("{number:04}"), "Tales", 2026);
        book.hero = Some(heroes[number % heroes.len()].id);
        world.books.insert(&book.on_shelf(Some("a")));
    }
    let config = CacheConfig {
        prefetch: PrefetchMode::Auto,
        ..world.config()
    };
    let (instance, counted) = (world.instance_with(config).await, Counted::default());
    let shop = Shop {
        books: instance.books.clone().with_strategy(counted.clone()),
        instance,
        rows: Vec::new(),
    };
    shop.go_through(BookIndex::Shelf("a".to_owned()), 2).await;
    let asked = counted.0.load(Ordering::Relaxed);
    assert!((100..600).contains(&asked), "{asked} rows");
}
