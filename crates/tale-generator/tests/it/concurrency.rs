//! Concurrent writers.

use aside::{Repository as _, Source as _, Write};
use tale_generator::domain::{Child, Hero, Row as _, Story, TaleError};

use crate::databases::{child_draft, hero_draft, on_every_database};

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_updates_lose_no_version() {
    on_every_database(async |world| {
        let hero = world.hero("Ada").await;
        let mut writers = vec![];
        for number in 0..20 {
            let (heroes, id) = (world.heroes.clone(), hero.id);
            writers.push(tokio::spawn(async move {
                let row = Hero::with_id(id, hero_draft(&format!("Ada {number}")));
                heroes.update(row).await.unwrap().unwrap().version
            }));
        }
        let mut versions = vec![];
        for writer in writers {
            versions.push(writer.await.unwrap());
        }
        versions.sort_unstable();
        assert_eq!(versions, (2..=21).collect::<Vec<u64>>(), "{}", world.name);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_writers_that_expect_one_version_one_succeeds() {
    on_every_database(async |world| {
        let hero = world.hero("Ada").await;
        let mut writers = vec![];
        for _ in 0..10 {
            let (heroes, id) = (world.heroes.clone(), hero.id);
            writers.push(tokio::spawn(async move {
                let row = Hero::with_id(id, hero_draft("Grace"));
                heroes.update_if(row, Some(1), &mut Write::uncached()).await
            }));
        }
        let mut written = 0;
        for writer in writers {
            match writer.await.unwrap() {
                Ok(_) => written += 1,
                Err(TaleError::Conflict { current: 2 }) => {}
                Err(error) => panic!("{error:?} on {}", world.name),
            }
        }
        assert_eq!(written, 1);
    })
    .await;
}

/// Renames, deletions, new stories and moved stories run concurrently. No two
/// wait for each other, and afterwards every story has its child's name.
#[tokio::test(flavor = "multi_thread")]
async fn children_and_stories_change_together_without_deadlock() {
    on_every_database(async |world| {
        let (one, two) = (world.child("One").await, world.child("Two").await);
        let hero = world.hero("Ada").await;
        let mut stories = vec![];
        for _ in 0..6 {
            stories.push(world.story(Some(one.id), Some(hero.id)).await);
        }
        let mut tasks = vec![];
        for child in [one.id, two.id] {
            let children = world.children.clone();
            tasks.push(tokio::spawn(async move {
                for round in 0..15 {
                    let row = Child::with_id(child, child_draft(&format!("Name {round}")));
                    children.update(row).await.unwrap().unwrap();
                }
            }));
        }
        for (number, story) in stories.iter().cloned().enumerate() {
            let repository = world.stories.clone();
            tasks.push(tokio::spawn(async move {
                for round in 0..10 {
                    let mut draft = story.draft();
                    let to_one = (number + round) % 2 == 0;
                    draft.child_id = Some(if to_one { one.id } else { two.id });
                    draft.hero_id = None;
                    let row = Story::with_id(story.id, draft);
                    repository.update(row).await.unwrap().unwrap();
                }
            }));
        }
        let heroes = world.heroes.clone();
        tasks.push(tokio::spawn(async move {
            assert!(heroes.delete(&hero.id).await.unwrap());
        }));
        for task in tasks {
            task.await.unwrap();
        }
        for story in world.stories.list_all().await.unwrap().iter() {
            let child = story.child_id.expect("every story ends with a child");
            let child = world.children.find_by_id(&child).await.unwrap().unwrap();
            assert_eq!(
                story.child_name.as_ref(),
                Some(&child.name),
                "{}",
                world.name
            );
            assert!(11 <= story.version);
        }
    })
    .await;
}
