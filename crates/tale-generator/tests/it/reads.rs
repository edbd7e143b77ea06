//! The results of reads and their order.

use aside::Source as _;
use tale_generator::domain::{ChildIndex, Gender, HeroIndex, Language, StoryIndex};
use uuid::Uuid;

use crate::databases::on_every_database;

#[tokio::test]
async fn many_rows_keep_the_requested_order_gaps_and_repetitions() {
    on_every_database(async |world| {
        let (ada, grace) = (world.hero("Ada").await, world.hero("Grace").await);
        let absent = Uuid::new_v4();
        let ids = [grace.id, absent, ada.id, grace.id];
        let found = world.heroes.find_many(&ids).await.unwrap();
        let names: Vec<Option<&str>> = found
            .iter()
            .map(|row| row.as_ref().map(|row| row.name.as_str()))
            .collect();
        assert_eq!(names, [Some("Grace"), None, Some("Ada"), Some("Grace")]);
        let reads = world.database.reads();
        assert!(world.heroes.find_many(&[]).await.unwrap().is_empty());
        assert_eq!(world.database.reads(), reads);
        world.heroes.find_many(&ids).await.unwrap();
        assert_eq!(world.database.reads(), reads + 1);
    })
    .await;
}

#[tokio::test]
async fn lists_are_ordered_by_creation_time() {
    on_every_database(async |world| {
        let mut expected = vec![];
        for name in ["c", "a", "b"] {
            expected.push(world.hero(name).await.id);
        }
        let all = world.heroes.list_all().await.unwrap();
        let ids: Vec<Uuid> = all.iter().map(|hero| hero.id).collect();
        assert_eq!(ids, expected);
        let index = HeroIndex::Language(Language::En);
        assert_eq!(world.heroes.find_by(&index).await.unwrap(), all);
        let index = HeroIndex::Language(Language::Ru);
        assert!(world.heroes.find_by(&index).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn names_are_equal_only_if_their_bytes_are() {
    on_every_database(async |world| {
        for name in ["Zoe", "zoe", "Zoë", "Zoe\u{308}", "Zoe "] {
            world.hero(name).await;
        }
        for name in ["Zoe", "zoe", "Zoë", "Zoe\u{308}", "Zoe "] {
            let index = HeroIndex::Name(name.to_owned());
            let found = world.heroes.find_by(&index).await.unwrap();
            assert_eq!(found.len(), 1, "{name:?} in {}", world.name);
        }
    })
    .await;
}

#[tokio::test]
async fn a_name_with_nul_finds_no_row() {
    on_every_database(async |world| {
        let name = || "Zoe\0".to_owned();
        let heroes = world.heroes.find_by(&HeroIndex::Name(name())).await;
        assert!(heroes.unwrap().is_empty());
        let children = world.children.find_by(&ChildIndex::Name(name())).await;
        assert!(children.unwrap().is_empty());
        let stories = world.stories.find_by(&StoryIndex::ChildName(name())).await;
        assert!(stories.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_exact_lookup_lists_all_children_that_match() {
    on_every_database(async |world| {
        let (oldest, second) = (world.child("Ваня").await, world.child("Ваня").await);
        world.child("Петя").await;
        let exact = |age, gender| ChildIndex::Exact {
            name: "Ваня".to_owned(),
            age,
            gender,
        };
        let found = world
            .children
            .find_by(&exact(7, Gender::Male))
            .await
            .unwrap();
        let ids: Vec<Uuid> = found.iter().map(|child| child.id).collect();
        assert_eq!(ids, [oldest.id, second.id]);
        for other in [exact(8, Gender::Male), exact(7, Gender::Female)] {
            assert!(world.children.find_by(&other).await.unwrap().is_empty());
        }
    })
    .await;
}

#[tokio::test]
async fn stories_are_found_by_child_by_its_name_and_by_language() {
    on_every_database(async |world| {
        let child = world.child("Маша").await;
        let story = world.story(Some(child.id), None).await;
        world.story(None, None).await;
        for (index, expected) in [
            (StoryIndex::ChildId(child.id), 1),
            (StoryIndex::ChildName("Маша".to_owned()), 1),
            (StoryIndex::Language(Language::Ru), 2),
            (StoryIndex::Language(Language::En), 0),
        ] {
            let found = world.stories.find_by(&index).await.unwrap();
            assert_eq!(found.len(), expected, "{index:?}");
            assert!(found.first().is_none_or(|first| **first == story));
        }
    })
    .await;
}
