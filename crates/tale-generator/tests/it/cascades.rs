//! The effects of a child's or a hero's change on its stories.

use aside::{Repository as _, Source as _, Write};
use tale_generator::domain::{Child, Row as _, Story, TaleError};
use uuid::Uuid;

use crate::databases::{child_draft, on_every_database, story_draft};

#[tokio::test]
async fn a_renamed_child_is_renamed_only_in_its_stories() {
    on_every_database(async |world| {
        let (masha, vanya) = (world.child("Маша").await, world.child("Ваня").await);
        let first = world.story(Some(masha.id), None).await;
        let second = world.story(Some(masha.id), None).await;
        let other = world.story(Some(vanya.id), None).await;
        assert_eq!(first.child_name.as_deref(), Some("Маша"));

        let renamed = Child::with_id(masha.id, child_draft("Мария"));
        world.children.update(renamed).await.unwrap().unwrap();

        for before in [first, second] {
            let after = world.stored_story(before.id).await;
            assert_eq!(after.child_name.as_deref(), Some("Мария"));
            assert_eq!(after.version, 2);
            assert!(before.updated_at <= after.updated_at);
        }
        assert_eq!(world.stored_story(other.id).await, other);
    })
    .await;
}

#[tokio::test]
async fn a_child_that_keeps_its_name_changes_no_story() {
    on_every_database(async |world| {
        let child = world.child("Маша").await;
        let story = world.story(Some(child.id), None).await;
        let mut draft = child_draft("Маша");
        draft.age = 8;
        let older = Child::with_id(child.id, draft);
        assert_eq!(
            world.children.update(older).await.unwrap().unwrap().version,
            2
        );
        assert_eq!(world.stored_story(story.id).await, story);
    })
    .await;
}

#[tokio::test]
async fn stories_keep_the_name_of_a_deleted_child() {
    on_every_database(async |world| {
        let child = world.child("Маша").await;
        let story = world.story(Some(child.id), None).await;
        assert!(world.children.delete(&child.id).await.unwrap());
        let after = world.stored_story(story.id).await;
        let expected = Story {
            child_id: None,
            version: 2,
            updated_at: after.updated_at,
            ..story
        };
        assert_eq!(after, expected);
    })
    .await;
}

#[tokio::test]
async fn a_deleted_hero_leaves_its_stories() {
    on_every_database(async |world| {
        let hero = world.hero("Ada").await;
        let story = world.story(None, Some(hero.id)).await;
        assert!(world.heroes.delete(&hero.id).await.unwrap());
        let after = world.stored_story(story.id).await;
        assert_eq!((after.hero_id, after.version), (None, 2));
    })
    .await;
}

#[tokio::test]
async fn a_refused_delete_changes_no_story() {
    on_every_database(async |world| {
        let child = world.child("Маша").await;
        let story = world.story(Some(child.id), None).await;
        let mut write = Write::uncached();
        let refused = world
            .children
            .delete_if(child.id, Some(9), &mut write)
            .await;
        assert!(matches!(refused, Err(TaleError::Conflict { current: 1 })));
        assert_eq!(world.stored_story(story.id).await, story);
    })
    .await;
}

#[tokio::test]
async fn a_rename_with_very_many_stories_reaches_them_all() {
    on_every_database(async |world| {
        use tale_generator::domain::Record;
        use tale_generator::sql::insert_batch;

        let child = world.child("Маша").await;
        let rows: Vec<Record> = (0..1_001)
            .map(|_| {
                let mut story = Story::new(story_draft("One of many"));
                story.child_id = Some(child.id);
                story.child_name = Some(child.name.clone());
                Record::Story(Box::new(story))
            })
            .collect();
        let mut write = Write::uncached();
        insert_batch(&world.database, &rows, &mut write)
            .await
            .unwrap();
        let renamed = Child::with_id(child.id, child_draft("Мария"));
        world.children.update(renamed).await.unwrap().unwrap();
        let stories = world.stories.list_all().await.unwrap();
        assert_eq!(stories.len(), 1_001);
        for story in stories.iter() {
            assert_eq!(story.child_name.as_deref(), Some("Мария"));
            assert_eq!(story.version, 2);
        }
    })
    .await;
}

#[tokio::test]
async fn a_story_gets_its_child_name_from_the_child() {
    on_every_database(async |world| {
        let child = world.child("Маша").await;
        let mut draft = story_draft("A story");
        draft.child_id = Some(child.id);
        draft.child_name = Some("Somebody else".to_owned());
        let story = world.stories.save(Story::new(draft)).await.unwrap();
        assert_eq!(story.child_name.as_deref(), Some("Маша"));

        let mut draft = story.draft();
        draft.child_id = None;
        draft.child_name = Some("A friend".to_owned());
        let free = Story::with_id(story.id, draft);
        let free = world.stories.update(free).await.unwrap().unwrap();
        assert_eq!(free.child_name.as_deref(), Some("A friend"));
    })
    .await;
}

#[tokio::test]
async fn a_story_of_an_unknown_child_or_hero_is_refused() {
    on_every_database(async |world| {
        let nobody = Uuid::new_v4();
        let mut draft = story_draft("A story");
        draft.child_id = Some(nobody);
        let refused = world.stories.save(Story::new(draft.clone())).await;
        assert!(matches!(refused, Err(TaleError::UnknownChild(id)) if id == nobody));

        let story = world.story(None, None).await;
        let refused = world
            .stories
            .update(Story::with_id(story.id, draft.clone()))
            .await;
        assert!(matches!(refused, Err(TaleError::UnknownChild(id)) if id == nobody));
        let absent = world.stories.update(Story::new(draft)).await;
        assert!(absent.unwrap().is_none());

        let mut draft = story_draft("A story");
        draft.hero_id = Some(nobody);
        let refused = world.stories.save(Story::new(draft)).await;
        assert!(matches!(refused, Err(TaleError::UnknownHero(id)) if id == nobody));
    })
    .await;
}
