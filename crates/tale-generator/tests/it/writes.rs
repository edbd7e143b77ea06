//! The effects of one write on one row.

use aside::{Repository as _, Source as _, Write};
use tale_generator::domain::{
    AudioFile, Hero, Row as _, Story, StoryDraft, TaleError, now, stored_precision,
};
use uuid::Uuid;

use crate::databases::{hero_draft, on_every_database, story_draft};

#[tokio::test]
async fn a_row_is_read_back_as_its_write_returned_it() {
    on_every_database(async |world| {
        let hero = world.hero("Ada: 100% {brave}").await;
        let child = world.child("Маша").await;
        let draft = StoryDraft {
            rating: Some(10),
            story_length: Some(5),
            audio_file: Some(AudioFile {
                url: "https://audio.example/1.mp3".to_owned(),
                provider: None,
                metadata: Some(serde_json::json!({ "b": [1, 2.5, null], "a": "ё" }).into()),
            }),
            model_used: Some("tale-large".to_owned()),
            full_response: Some(serde_json::json!("text").into()),
            generation_info: Some(
                serde_json::json!({ "tokens": 18_446_744_073_709_551_615_u64 }).into(),
            ),
            child_id: Some(child.id),
            hero_id: Some(hero.id),
            ..story_draft("A full story")
        };
        let story = world.stories.save(Story::new(draft)).await.unwrap();
        assert_eq!(world.stored_story(story.id).await, *story, "{}", world.name);
        let stored = world.heroes.find_by_id(&hero.id).await.unwrap();
        assert_eq!(*stored.unwrap(), hero);
        let stored = world.children.find_by_id(&child.id).await.unwrap();
        assert_eq!(*stored.unwrap(), child);
    })
    .await;
}

#[tokio::test]
async fn a_new_row_has_version_one_and_a_whole_number_of_microseconds() {
    on_every_database(async |world| {
        let mut row = Hero::new(hero_draft("Ada"));
        row.version = 77;
        let begun = now();
        let hero = world.heroes.save(row).await.unwrap();
        assert_eq!(hero.version, 1);
        assert_eq!(hero.created_at, hero.updated_at);
        assert_eq!(hero.created_at, stored_precision(hero.created_at));
        assert!(begun <= hero.created_at && hero.created_at <= now());
    })
    .await;
}

#[tokio::test]
async fn an_update_raises_the_version_and_keeps_the_time_of_creation() {
    on_every_database(async |world| {
        let before = world.hero("Ada").await;
        let mut row = Hero::with_id(before.id, hero_draft("Grace"));
        row.version = 900;
        let after = world.heroes.update(row).await.unwrap().unwrap();
        assert_eq!((after.version, after.name.as_str()), (2, "Grace"));
        assert_eq!(after.created_at, before.created_at);
        assert!(before.updated_at <= after.updated_at);
        let stored = world.heroes.find_by_id(&before.id).await.unwrap();
        assert_eq!(stored.unwrap(), after);
    })
    .await;
}

#[tokio::test]
async fn a_write_that_expects_an_old_version_is_refused() {
    on_every_database(async |world| {
        let hero = world.hero("Ada").await;
        let row = || Hero::with_id(hero.id, hero_draft("Grace"));
        let update = |expected| {
            let heroes = world.heroes.clone();
            async move {
                heroes
                    .update_if(row(), expected, &mut Write::uncached())
                    .await
            }
        };
        assert_eq!(update(Some(1)).await.unwrap().unwrap().version, 2);
        for passed in [0, 1, 3, u64::MAX] {
            let refused = update(Some(passed)).await;
            assert!(
                matches!(refused, Err(TaleError::Conflict { current: 2 })),
                "{refused:?}"
            );
        }
        let mut write = Write::uncached();
        let refused = world.heroes.delete_if(hero.id, Some(1), &mut write).await;
        assert!(matches!(refused, Err(TaleError::Conflict { current: 2 })));
        let mut write = Write::uncached();
        assert!(
            world
                .heroes
                .delete_if(hero.id, Some(2), &mut write)
                .await
                .unwrap()
        );
    })
    .await;
}

#[tokio::test]
async fn writing_an_absent_row_reports_its_absence() {
    on_every_database(async |world| {
        let absent = Uuid::new_v4();
        let row = Hero::with_id(absent, hero_draft("Nobody"));
        assert!(world.heroes.update(row).await.unwrap().is_none());
        assert!(!world.heroes.delete(&absent).await.unwrap());
        assert!(!world.children.delete(&absent).await.unwrap());
        assert!(!world.stories.delete(&absent).await.unwrap());
        let mut write = Write::uncached();
        let rated = world.stories.set_rating(absent, 5, None, &mut write).await;
        assert!(rated.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn an_id_is_taken_once() {
    on_every_database(async |world| {
        let hero = world.hero("Ada").await;
        let again = Hero::with_id(hero.id, hero_draft("Grace"));
        let refused = world.heroes.save(again).await;
        assert!(matches!(refused, Err(TaleError::Exists { kind: "hero" })));
    })
    .await;
}

#[tokio::test]
async fn a_rating_changes_the_rating_alone() {
    on_every_database(async |world| {
        let before = world.story(None, None).await;
        let mut write = Write::uncached();
        let after = world.stories.set_rating(before.id, 9, Some(1), &mut write);
        let after = after.await.unwrap().unwrap();
        let expected = Story {
            rating: Some(9),
            version: 2,
            updated_at: after.updated_at,
            ..before.clone()
        };
        assert_eq!(*after, expected);
        let mut write = Write::uncached();
        let refused = world
            .stories
            .set_rating(before.id, 11, None, &mut write)
            .await;
        assert!(matches!(refused, Err(TaleError::Invalid(_))));
        let refused = world
            .stories
            .set_rating(before.id, 1, Some(1), &mut write)
            .await;
        assert!(matches!(refused, Err(TaleError::Conflict { current: 2 })));
    })
    .await;
}

#[tokio::test]
async fn a_row_that_breaks_a_rule_is_not_written() {
    on_every_database(async |world| {
        let row = Hero::new(hero_draft(" \t"));
        let refused = world.heroes.save(row).await;
        assert!(matches!(refused, Err(TaleError::Invalid(_))));
        assert!(world.database.is_empty().await.unwrap());
    })
    .await;
}
