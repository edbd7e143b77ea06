//! The operations that the HTTP API calls, and their errors.

use std::error::Error as _;

use aside::Source as _;
use tale_generator::Tales;
use tale_generator::domain::TaleError;
use tale_generator::sql::{Database, DatabaseOptions, OpenError};
use uuid::Uuid;

use crate::databases::{
    World, cache_in_memory, child_draft, hero_draft, on_every_database, story_draft,
};

async fn tales(world: &World) -> Tales {
    Tales::new(world.database.clone(), &cache_in_memory().await)
}

#[tokio::test]
async fn every_operation_does_what_its_name_says() {
    on_every_database(async |world| {
        let tales = tales(&world).await;
        let hero = tales.create_hero(hero_draft("Ada")).await.unwrap();
        let child = tales.create_child(child_draft("Маша")).await.unwrap();
        let mut draft = story_draft("A story");
        (draft.child_id, draft.hero_id) = (Some(child.id), Some(hero.id));
        let story = tales.create_story(draft.clone()).await.unwrap();

        for expected in [None, Some(2)] {
            let grace = tales.replace_hero(hero.id, hero_draft("Grace"), expected);
            let masha = tales.replace_child(child.id, child_draft("Маша"), expected);
            let told = tales.replace_story(story.id, draft.clone(), expected);
            let versions = (
                grace.await.unwrap().version,
                masha.await.unwrap().version,
                told.await.unwrap().version,
            );
            let version = expected.map_or(2, |expected| expected + 1);
            assert_eq!(versions, (version, version, version));
        }
        let rated = tales.rate_story(story.id, 7, Some(3)).await.unwrap();
        assert_eq!((rated.rating, rated.version), (Some(7), 4));

        tales.delete_story(story.id, Some(4)).await.unwrap();
        tales.delete_child(child.id, None).await.unwrap();
        tales.delete_hero(hero.id, Some(3)).await.unwrap();
        assert!(tales.database.is_empty().await.unwrap());
        assert!(tales.heroes.list_all().await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn absent_rows_and_newer_versions_give_different_errors() {
    on_every_database(async |world| {
        let tales = tales(&world).await;
        let absent = Uuid::new_v4();
        let refused = tales.replace_hero(absent, hero_draft("Ada"), Some(1)).await;
        assert!(matches!(refused, Err(TaleError::NotFound { kind: "hero" })));
        let refused = tales.delete_child(absent, None).await;
        assert!(matches!(
            refused,
            Err(TaleError::NotFound { kind: "child" })
        ));
        let refused = tales.rate_story(absent, 5, None).await;
        assert!(matches!(
            refused,
            Err(TaleError::NotFound { kind: "story" })
        ));
        let hero = tales.create_hero(hero_draft("Ada")).await.unwrap();
        let refused = tales.delete_hero(hero.id, Some(2)).await;
        assert!(matches!(refused, Err(TaleError::Conflict { current: 1 })));
    })
    .await;
}

#[tokio::test]
async fn database_errors_are_shown_only_in_the_log() {
    on_every_database(async |world| {
        world.database.ping().await.unwrap();
        world.database.close().await;
        let error = world.heroes.list_all().await.unwrap_err();
        assert_eq!(error.to_string(), "the database failed");
        assert!(error.source().is_some());
        assert!(world.database.ping().await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_url_that_cannot_be_opened_is_never_shown() {
    for url in [
        "mysql://u:secret@h/d",
        "postgres://u:secret@[::h/d",
        "secret",
    ] {
        let error = Database::open(url, DatabaseOptions::default()).await;
        let error = error.unwrap_err();
        assert!(matches!(error, OpenError::Url), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("secret"));
    }
}
