//! Lists of several index values at once, and rows that other rows name.

use std::collections::HashMap;

use aside::{Repository, Scope, Source};
use uuid::Uuid;

use crate::database::{DatabaseError, Fault, Place, Queries};
use crate::entities::{Book, BookIndex, Hero, HeroIndex, book, hero, speaking};
use crate::world::{World, on_both};

/// The queries of one batch of lists.
const ONE_BATCH: Queries = Queries {
    many_lists: 1,
    ..Queries::NONE
};

fn named(lists: &[aside::Rows<Hero>]) -> Vec<Vec<&str>> {
    lists
        .iter()
        .map(|list| {
            let mut names: Vec<&str> = list.iter().map(|hero| hero.name.as_str()).collect();
            names.sort_unstable();
            names
        })
        .collect()
}

/// Two heroes that speak English, and one that speaks Russian.
fn heroes(world: &World) -> [Hero; 3] {
    let heroes = [hero("Ada", "en"), hero("Bea", "en"), hero("Маша", "ru")];
    heroes.iter().for_each(|hero| world.heroes.insert(hero));
    heroes
}

fn languages(names: &[&str]) -> Vec<HeroIndex> {
    names.iter().map(|name| speaking(name)).collect()
}

#[tokio::test]
async fn lists_keep_their_order_with_repeats_and_absences_and_are_loaded_at_once() {
    on_both(async |world| {
        let instance = world.instance().await;
        heroes(&world);
        let asked = languages(&["ru", "en", "fr", "ru"]);
        for _ in 0..3 {
            let lists = instance.heroes.find_by_many(&asked).await.unwrap();
            let names = named(&lists);
            assert_eq!(
                names,
                [vec!["Маша"], vec!["Ada", "Bea"], vec![], vec!["Маша"]]
            );
            instance.filled("hero:lang:ru").await;
            instance.filled("hero:lang:en").await;
            instance.filled("hero:lang:fr").await;
        }
        assert_eq!(world.heroes.queries(), ONE_BATCH);
        let none = instance.heroes.find_by_many(&[]).await.unwrap();
        assert!(none.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_batch_of_lists_is_one_look_one_acquire_and_one_fill() {
    let world = World::new();
    let (tap, instance) = world.tapped().await;
    heroes(&world);
    let asked = languages(&["en", "ru"]);
    instance.heroes.find_by_many(&asked).await.unwrap();
    world.filled("hero:lang:en").await;
    world.filled("hero:lang:ru").await;
    assert_eq!(tap.trips(), ["GET x2", "ACQUIRE x2", "FILL x2"]);

    let other = world.instance().await;
    other.heroes.find_by_many(&asked).await.unwrap();
    assert_eq!(world.heroes.queries(), ONE_BATCH);
    instance.heroes.find_by_many(&asked).await.unwrap();
    assert_eq!(tap.trips(), [""; 0]);
}

#[tokio::test]
async fn a_list_written_during_a_batch_is_not_filled_with_its_load() {
    on_both(async |world| {
        let instance = world.instance().await;
        let [ada, ..] = heroes(&world);
        let mut stopped = world.heroes.stop_at(Place::AfterRead);
        let (repository, asked) = (instance.heroes.clone(), languages(&["en", "ru"]));
        let batch = tokio::spawn(async move { repository.find_by_many(&asked).await });
        stopped.reached().await;
        instance.heroes.update(ada.speaking("ru")).await.unwrap();
        stopped.go_on();
        batch.await.unwrap().unwrap();

        let asked = languages(&["en", "ru"]);
        let lists = instance.heroes.find_by_many(&asked).await.unwrap();
        assert_eq!(named(&lists), [vec!["Bea"], vec!["Ada", "Маша"]]);
    })
    .await;
}

#[tokio::test]
async fn a_batch_of_lists_and_single_readers_share_one_load() {
    on_both(async |world| {
        let instance = world.instance().await;
        heroes(&world);
        let mut stopped = world.heroes.stop_at(Place::AfterRead);
        let (repository, asked) = (instance.heroes.clone(), languages(&["en", "ru"]));
        let batch = tokio::spawn(async move { repository.find_by_many(&asked).await });
        stopped.reached().await;
        let russian = speaking("ru");
        let single = instance.heroes.find_by(&russian);
        let going_on = async { stopped.go_on() };
        let (single, ()) = tokio::join!(single, going_on);
        assert_eq!(single.unwrap().len(), 1);
        assert_eq!(batch.await.unwrap().unwrap().len(), 2);
        assert_eq!(world.heroes.queries(), ONE_BATCH);
    })
    .await;
}

#[tokio::test]
async fn a_failed_batch_of_lists_returns_its_error_and_leaves_nothing_behind() {
    on_both(async |world| {
        let instance = world.instance().await;
        heroes(&world);
        world.heroes.fail_next(Fault::ReadFails);
        let asked = languages(&["en", "ru"]);
        let failed = instance.heroes.find_by_many(&asked).await;
        assert_eq!(failed.map(|lists| lists.len()), Err(DatabaseError::Failed));
        let lists = instance.heroes.find_by_many(&asked).await.unwrap();
        assert_eq!(lists.len(), 2);
    })
    .await;
}

/// Books of two heroes and of none.
fn books(world: &World, [ada, bea, _]: &[Hero; 3]) -> Vec<Book> {
    let of = |id: &str, shelf: &str, hero: Option<Uuid>| Book {
        hero,
        shelf: Some(shelf.to_owned()),
        ..book(id, id, 1900)
    };
    let books = vec![
        of("1", "left", Some(ada.id)),
        of("2", "left", Some(bea.id)),
        of("3", "right", Some(ada.id)),
        of("4", "right", None),
    ];
    books.iter().for_each(|book| world.books.insert(book));
    books
}

#[tokio::test]
async fn preloaded_rows_are_loaded_at_once_and_absent_ones_are_left_out() {
    on_both(async |world| {
        let instance = world.instance().await;
        let heroes = heroes(&world);
        let books = books(&world, &heroes);
        let nobody = Uuid::new_v4();
        let authors = instance
            .heroes
            .preload(&books, |book| book.hero.unwrap_or(nobody))
            .await
            .unwrap();
        let names: HashMap<Uuid, &str> = authors
            .iter()
            .map(|(id, hero)| (*id, hero.name.as_str()))
            .collect();
        let expected = [(heroes[0].id, "Ada"), (heroes[1].id, "Bea")];
        assert_eq!(names, HashMap::from(expected));
        assert_eq!(world.heroes.queries().total(), 1);
    })
    .await;
}

#[tokio::test]
async fn present_answers_each_id_and_remembers_absences() {
    on_both(async |world| {
        let instance = world.instance().await;
        let heroes = heroes(&world);
        let asked = [heroes[2].id, Uuid::new_v4(), heroes[0].id];
        for _ in 0..2 {
            let present = instance.heroes.present(&asked).await.unwrap();
            assert_eq!(present, [true, false, true]);
            instance.filled(&format!("hero:{}", asked[1])).await;
        }
        assert_eq!(world.heroes.queries().total(), 1);
        instance.heroes.delete(&asked[0]).await.unwrap();
        let present = instance.heroes.present(&asked).await.unwrap();
        assert_eq!(present, [false, false, true]);
    })
    .await;
}

#[tokio::test]
async fn links_lead_to_the_far_rows_in_one_query_a_table() {
    on_both(async |world| {
        let instance = world.instance().await;
        let heroes = heroes(&world);
        books(&world, &heroes);
        let shelves = ["right", "none", "left"];
        let shelves = shelves.map(|shelf| BookIndex::Shelf(shelf.to_owned()));
        let nobody = Uuid::new_v4();
        let through = async || {
            let lists = instance
                .books
                .through(&instance.heroes, &shelves, |book| {
                    book.hero.unwrap_or(nobody)
                })
                .await
                .unwrap();
            let names = lists.iter().map(|heroes| {
                let mut names: Vec<_> = heroes.iter().map(|hero| hero.name.clone()).collect();
                names.sort_unstable();
                names.join(" ")
            });
            names.collect::<Vec<_>>()
        };
        assert_eq!(through().await, ["Ada", "", "Ada Bea"]);
        assert_eq!(world.books.queries(), ONE_BATCH);
        assert_eq!(world.heroes.queries().total(), 1);
        let [ada, ..] = heroes;
        instance.heroes.update(ada.renamed("Zoe")).await.unwrap();
        assert_eq!(through().await, ["Zoe", "", "Bea Zoe"]);
        instance.books.invalidate(Scope::Kind).await;
        assert_eq!(through().await, ["Zoe", "", "Bea Zoe"]);
    })
    .await;
}
