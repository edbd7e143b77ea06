//! Export, import and seeding.

use std::io::Cursor;

use tale_generator::domain::TaleError;
use tale_generator::seed::{Plan, seed};
use tale_generator::transfer::{TransferError, check, export, import};

use crate::databases::{World, cache_in_memory, on_every_database};

const PLAN: Plan = Plan {
    heroes: 30,
    children: 40,
    stories: 550,
    rng_seed: 11,
};

async fn exported(world: &World) -> String {
    let mut file = Vec::new();
    export(&world.database, &mut file, |_| ()).await.unwrap();
    String::from_utf8(file).unwrap()
}

async fn imported(world: &World, file: &str) -> Result<(u64, u64), TransferError> {
    let cache = cache_in_memory().await;
    let inserted = import(&world.database, &cache, Cursor::new(file), |_| ()).await?;
    Ok((inserted.added, inserted.present))
}

#[tokio::test]
async fn an_export_is_imported_unchanged() {
    on_every_database(async |world| {
        let cache = cache_in_memory().await;
        seed(&world.database, &cache, PLAN, |_| ()).await.unwrap();
        let mut story = world.story(None, None).await;
        for rating in 1..=3 {
            let mut write = cache.write();
            let rated = world.stories.set_rating(story.id, rating, None, &mut write);
            story = rated.await.unwrap().unwrap().as_ref().clone();
        }
        let file = exported(&world).await;
        assert_eq!(check(Cursor::new(&file)).await.unwrap(), 621);

        let other = World::open("a copy", "sqlite::memory:").await;
        assert_eq!(imported(&other, &file).await.unwrap(), (621, 0));
        assert_eq!(exported(&other).await, file);
        assert_eq!(other.stored_story(story.id).await, story);
        assert_eq!(story.version, 4);
    })
    .await;
}

#[tokio::test]
async fn a_stopped_import_continues_when_run_again() {
    on_every_database(async |world| {
        let source = World::open("the source", "sqlite::memory:").await;
        let cache = cache_in_memory().await;
        seed(&source.database, &cache, PLAN, |_| ()).await.unwrap();
        let file = exported(&source).await;
        let mut lines: Vec<&str> = file.lines().collect();
        lines.insert(449, "");
        lines.insert(450, "{\"kind\":\"dragon\"}");
        let stopped = imported(&world, &lines.join("\n")).await;
        assert!(
            matches!(&stopped, Err(TransferError::Line { line: 451, .. })),
            "{stopped:?}"
        );
        assert_eq!(imported(&world, &file).await.unwrap(), (220, 400));
        assert_eq!(imported(&world, &file).await.unwrap(), (0, 620));
        assert_eq!(exported(&world).await, file);
    })
    .await;
}

#[tokio::test]
async fn a_bad_line_is_named_with_its_problem() {
    let world = World::open("SQLite in memory", "sqlite::memory:").await;
    world.child("Маша").await;
    let good = exported(&world).await;
    let empty = World::open("SQLite in memory", "sqlite::memory:").await;
    for (bad, expected) in [
        (good.replace("Маша", " "), "name: must not be empty"),
        (
            good.replace("\"age\":7", "\"age\":70"),
            "age: must be from 1 to 18",
        ),
        (good.replace("\"age\"", "\"aeg\""), "missing field `age`"),
        (
            good.replace("{\"kind", "{\"x\":1,\"kind"),
            "`x` is not a field of a child",
        ),
        (
            good.replace("\"version\":1", "\"version\":0"),
            "version: must be",
        ),
        ("{".to_owned(), "EOF"),
    ] {
        let refused = imported(&empty, &format!("\n{bad}")).await.unwrap_err();
        let message = refused.to_string();
        assert!(message.starts_with("line 2: "), "{message}");
        assert!(message.contains(expected), "{message}");
    }
    assert!(empty.database.is_empty().await.unwrap());
}

#[tokio::test]
async fn an_import_never_overwrites_a_different_row() {
    on_every_database(async |world| {
        world.child("Маша").await;
        let file = exported(&world).await.replace("Маша", "Мария");
        let refused = imported(&world, &file).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "line 1: there already is a child with this id"
        );
    })
    .await;
}

#[tokio::test]
async fn a_story_must_carry_the_name_of_its_child() {
    on_every_database(async |world| {
        let child = world.child("Маша").await;
        world.story(Some(child.id), None).await;
        let file = exported(&world).await;
        let renamed = file.replace("\"child_name\":\"Маша\"", "\"child_name\":\"Ваня\"");
        let other = World::open("a copy", "sqlite::memory:").await;
        let refused = imported(&other, &renamed).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "line 2: child_name: must be the name of the child"
        );
        let orphan = file.lines().nth(1).unwrap();
        let refused = imported(&other, orphan).await.unwrap_err().to_string();
        assert!(
            refused.starts_with("line 1: there is no child"),
            "{refused}"
        );
    })
    .await;
}

#[tokio::test]
async fn seeding_twice_from_one_number_adds_rows_once() {
    on_every_database(async |world| {
        let cache = cache_in_memory().await;
        let mut seen = vec![];
        let first = seed(&world.database, &cache, PLAN, |sum| seen.push(sum.added));
        assert_eq!(first.await.unwrap().added, PLAN.rows());
        assert_eq!(seen, [200, 400, 600, 620]);
        let again = seed(&world.database, &cache, PLAN, |_| ()).await.unwrap();
        assert_eq!((again.added, again.present), (0, PLAN.rows()));
    })
    .await;
}

#[tokio::test]
async fn a_closed_database_is_reported_without_a_line() {
    let world = World::open("SQLite in memory", "sqlite::memory:").await;
    world.child("Маша").await;
    let file = exported(&world).await;
    world.database.close().await;
    let refused = imported(&world, &file).await;
    assert!(
        matches!(
            refused,
            Err(TransferError::Database(TaleError::Database(_)))
        ),
        "{refused:?}"
    );
}
