//! Changes of the tables while this version runs, as in a rolling deployment.

use aside::{Repository as _, Source as _, Write};
use futures_util::future::try_join_all;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tale_generator::domain::{
    Child, ChildIndex, Gender, Hero, HeroIndex, Language, Record, Row as _, Story, StoryIndex,
    TaleError,
};
use tale_generator::sql::insert_batch;

use crate::databases::{World, child_draft, hero_draft, postgres_database, story_draft};

/// Runs reads and writes of all kinds, on as many connections as there are.
async fn everything(world: &World) -> Result<(), TaleError> {
    try_join_all((0..30).map(|_| each_once(world)))
        .await
        .map(drop)
}

async fn each_once(world: &World) -> Result<(), TaleError> {
    let hero = world.heroes.save(Hero::new(hero_draft("Ada"))).await?;
    let child = world.children.save(Child::new(child_draft("Ben"))).await?;
    let mut draft = story_draft("A story");
    (draft.child_id, draft.hero_id) = (Some(child.id), Some(hero.id));
    let story = world.stories.save(Story::new(draft)).await?;

    world.heroes.find_by_id(&hero.id).await?.unwrap();
    world.heroes.find_many(&[hero.id]).await?;
    world.heroes.find_by(&HeroIndex::Name("Ada".into())).await?;
    let language = HeroIndex::Language(Language::En);
    world.heroes.find_by(&language).await?;
    world.heroes.list_all().await?;
    world.children.find_by_id(&child.id).await?.unwrap();
    let exact = ChildIndex::Exact {
        name: "Ben".into(),
        age: 7,
        gender: Gender::Male,
    };
    world.children.find_by(&exact).await?;
    world.stories.find_by_id(&story.id).await?.unwrap();
    let of_child = StoryIndex::ChildId(child.id);
    world.stories.find_by(&of_child).await?;
    world.stories.list_all().await?;

    world.heroes.update(Hero::clone(&hero)).await?.unwrap();
    let mut renamed = Child::clone(&child);
    renamed.name = "Ben II".into();
    world.children.update(renamed).await?.unwrap();
    let mut write = Write::uncached();
    world
        .stories
        .set_rating(story.id, 7, None, &mut write)
        .await?;
    let again = Record::Hero(Hero::new(hero_draft("Eve")));
    insert_batch(&world.database, &[again], &mut Write::uncached())
        .await
        .map_err(|error| error.error)?;
    world.stories.delete(&story.id).await?;
    world.children.delete(&child.id).await?;
    world.heroes.delete(&hero.id).await?;
    Ok(())
}

async fn nothing_fails_after(change: &'static str) {
    let Some(url) = postgres_database() else {
        return;
    };
    let world = World::open("PostgreSQL", &url).await;
    everything(&world).await.unwrap();
    let mut other = PgConnection::connect(&url).await.unwrap();
    other.execute(change).await.unwrap();
    everything(&world).await.unwrap();
}

#[tokio::test]
async fn reads_and_writes_survive_an_added_column() {
    nothing_fails_after(
        "ALTER TABLE heroes ADD COLUMN nick text;
         ALTER TABLE children ADD COLUMN nick text NOT NULL DEFAULT '';
         ALTER TABLE stories ADD COLUMN nick text",
    )
    .await;
}

#[tokio::test]
async fn reads_and_writes_survive_another_column_type() {
    nothing_fails_after(
        "ALTER TABLE heroes ALTER COLUMN name TYPE varchar(300) COLLATE \"C\";
         ALTER TABLE children ALTER COLUMN name TYPE varchar(300) COLLATE \"C\";
         ALTER TABLE stories ALTER COLUMN moral TYPE varchar(10000)",
    )
    .await;
}

#[tokio::test]
async fn reads_and_writes_survive_another_column_order() {
    nothing_fails_after(
        "ALTER TABLE heroes DROP COLUMN appearance;
         ALTER TABLE heroes ADD COLUMN appearance text NOT NULL DEFAULT '';
         ALTER TABLE stories DROP COLUMN moral;
         ALTER TABLE stories ADD COLUMN moral text NOT NULL DEFAULT ''",
    )
    .await;
}
