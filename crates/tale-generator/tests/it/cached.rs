//! After a write no cache returns the old value. Every lookup is warm before
//! the write, and equals the database's result after it.

use std::time::Duration;

use aside::Repository;
use aside_testkit::eventually;
use tale_generator::Tales;
use tale_generator::domain::{ChildIndex, Gender, HeroIndex, Language, StoryIndex};
use tale_generator::seed::{Plan, seed};
use tale_generator::transfer::{export, import};

use crate::databases::{
    World, cache_in_memory, child_draft, hero_draft, on_every_database, story_draft,
};

/// Returns the results of every lookup on these tests' rows, as one text.
async fn everything_of(
    heroes: &impl Repository<Entity = tale_generator::domain::Hero, Error: std::fmt::Debug>,
    children: &impl Repository<Entity = tale_generator::domain::Child, Error: std::fmt::Debug>,
    stories: &impl Repository<Entity = tale_generator::domain::Story, Error: std::fmt::Debug>,
    ids: &[uuid::Uuid],
) -> String {
    let mut seen = vec![];
    for name in ["Ada", "Grace"] {
        let found = heroes.find_by(&HeroIndex::Name(name.to_owned())).await;
        seen.push(format!("{found:?}"));
    }
    for name in ["Маша", "Мария"] {
        let exact = ChildIndex::Exact {
            name: name.to_owned(),
            age: 7,
            gender: Gender::Male,
        };
        for index in [ChildIndex::Name(name.to_owned()), exact] {
            seen.push(format!("{:?}", children.find_by(&index).await));
        }
        let index = StoryIndex::ChildName(name.to_owned());
        seen.push(format!("{:?}", stories.find_by(&index).await));
    }
    for language in [Language::En, Language::Ru] {
        let index = HeroIndex::Language(language);
        seen.push(format!("{:?}", heroes.find_by(&index).await));
        let index = StoryIndex::Language(language);
        seen.push(format!("{:?}", stories.find_by(&index).await));
    }
    for id in ids {
        seen.push(format!("{:?}", heroes.find_by_id(id).await));
        seen.push(format!("{:?}", children.find_by_id(id).await));
        seen.push(format!("{:?}", stories.find_by_id(id).await));
        let index = StoryIndex::ChildId(*id);
        seen.push(format!("{:?}", stories.find_by(&index).await));
    }
    seen.push(format!("{:?}", heroes.list_all().await));
    seen.push(format!("{:?}", children.list_all().await));
    seen.push(format!("{:?}", stories.list_all().await));
    seen.join("\n")
}

async fn cached(tales: &Tales, ids: &[uuid::Uuid]) -> String {
    everything_of(&tales.heroes, &tales.children, &tales.stories, ids).await
}

/// Reads until no read reaches the database any more.
async fn warm(tales: &Tales, ids: &[uuid::Uuid]) {
    eventually(Duration::from_secs(30), "a warm cache", async || {
        let reads = tales.database.reads();
        cached(tales, ids).await;
        reads == tales.database.reads()
    })
    .await;
}

/// Asserts that the cache and the database return the same.
async fn nothing_is_stale(world: &World, tales: &Tales, ids: &[uuid::Uuid], after: &str) {
    let answered = cached(tales, ids).await;
    let stored = everything_of(&world.heroes, &world.children, &world.stories, ids).await;
    assert_eq!(answered, stored, "after {after} on {}", world.name);
    warm(tales, ids).await;
}

#[tokio::test]
async fn no_operation_leaves_a_stale_read() {
    on_every_database(async |world| {
        let tales = Tales::new(world.database.clone(), &cache_in_memory().await);
        let (hero, child) = (world.hero("Ada").await, world.child("Маша").await);
        let story = world.story(Some(child.id), Some(hero.id)).await;
        let ids = [hero.id, child.id, story.id];
        let check = async |after: &str| nothing_is_stale(&world, &tales, &ids, after).await;
        warm(&tales, &ids).await;

        let renamed = child_draft("Мария");
        tales
            .replace_child(child.id, renamed, Some(1))
            .await
            .unwrap();
        check("a child's rename at an expected version").await;
        tales
            .replace_child(child.id, child_draft("Маша"), None)
            .await
            .unwrap();
        check("a child's rename").await;
        tales.rate_story(story.id, 9, None).await.unwrap();
        check("a rating").await;
        let mut draft = hero_draft("Grace");
        draft.language = Language::Ru;
        tales.replace_hero(hero.id, draft, Some(1)).await.unwrap();
        check("a hero's move to another language").await;
        tales.create_story(story_draft("Another")).await.unwrap();
        check("a new story").await;
        tales.delete_hero(hero.id, None).await.unwrap();
        check("a hero's deletion").await;
        tales.delete_child(child.id, None).await.unwrap();
        check("a child's deletion").await;
        tales.delete_story(story.id, None).await.unwrap();
        check("a story's deletion").await;
    })
    .await;
}

#[tokio::test]
async fn seeding_and_importing_leave_no_stale_read() {
    on_every_database(async |world| {
        let cache = cache_in_memory().await;
        let tales = Tales::new(world.database.clone(), &cache);
        let source = World::open("the source", "sqlite::memory:").await;
        let (hero, child) = (source.hero("Ada").await, source.child("Маша").await);
        let story = source.story(Some(child.id), Some(hero.id)).await;
        let mut file = Vec::new();
        export(&source.database, &mut file, |_| ()).await.unwrap();
        let ids = [hero.id, child.id, story.id];
        warm(&tales, &ids).await;

        let file = std::io::Cursor::new(file);
        import(&world.database, &cache, file, |_| ()).await.unwrap();
        nothing_is_stale(&world, &tales, &ids, "an import").await;
        let plan = Plan {
            heroes: 5,
            children: 5,
            stories: 5,
            rng_seed: 3,
        };
        seed(&world.database, &cache, plan, |_| ()).await.unwrap();
        nothing_is_stale(&world, &tales, &ids, "seeding").await;
    })
    .await;
}
