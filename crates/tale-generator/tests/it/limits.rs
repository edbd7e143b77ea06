//! Limits on waits for other programs' locks.

use std::time::{Duration, Instant};

use aside::{Repository as _, Source as _, Write};
use futures_util::FutureExt as _;
use futures_util::future::select;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};
use tale_generator::domain::{Child, Hero, Row as _, Story, TaleError};
use tale_generator::sql::{Database, DatabaseOptions, SqlChildren, SqlHeroes, SqlStories};
use tempfile::TempDir;

use crate::databases::{World, child_draft, hero_draft, patient, postgres_database, story_draft};

const MAX_HANDLING_TIME: Duration = Duration::from_secs(6);

fn short() -> DatabaseOptions {
    DatabaseOptions {
        longest_transaction: MAX_HANDLING_TIME,
        ..patient()
    }
}

async fn heroes(url: &str) -> (SqlHeroes, Hero) {
    let heroes = SqlHeroes::new(Database::open(url, short()).await.unwrap());
    let hero = heroes.save(Hero::new(hero_draft("Ada"))).await.unwrap();
    (heroes, hero.as_ref().clone())
}

async fn is_busy_and_not_stuck(heroes: &SqlHeroes, hero: &Hero) {
    let begun = Instant::now();
    let refused = heroes.update(hero.clone()).await;
    assert!(matches!(refused, Err(TaleError::Busy)), "{refused:?}");
    assert!(begun.elapsed() < MAX_HANDLING_TIME);
}

#[tokio::test]
async fn a_row_locked_by_another_program_makes_a_writer_busy() {
    let Some(url) = postgres_database() else {
        return;
    };
    let (heroes, hero) = heroes(&url).await;
    let mut other = PgConnection::connect(&url).await.unwrap();
    let mut lock = other.begin().await.unwrap();
    lock.execute("SELECT * FROM heroes FOR UPDATE")
        .await
        .unwrap();
    is_busy_and_not_stuck(&heroes, &hero).await;
    heroes.find_by_id(&hero.id).await.unwrap().unwrap();
    lock.rollback().await.unwrap();
    assert_eq!(heroes.update(hero).await.unwrap().unwrap().version, 2);
}

#[tokio::test]
async fn a_reader_without_a_free_connection_gets_busy() {
    let Some(url) = postgres_database() else {
        return;
    };
    let options = DatabaseOptions {
        max_connections: 1,
        acquire_timeout: Duration::from_millis(200),
        ..short()
    };
    let heroes = SqlHeroes::new(Database::open(&url, options).await.unwrap());
    let mut other = PgConnection::connect(&url).await.unwrap();
    let mut lock = other.begin().await.unwrap();
    lock.execute("LOCK TABLE heroes").await.unwrap();
    // One of the two reads has the connection and waits for the lock.
    let reads = select(Box::pin(heroes.list_all()), Box::pin(heroes.list_all()));
    let (refused, other_read) = reads.await.factor_first();
    assert!(matches!(refused, Err(TaleError::Busy)), "{refused:?}");
    lock.rollback().await.unwrap();
    other_read.await.unwrap();
}

#[tokio::test]
async fn a_file_locked_by_another_program_makes_a_writer_busy() {
    let directory = TempDir::new().unwrap();
    let url = format!("sqlite:{}", directory.path().join("tales.db").display());
    let (heroes, hero) = heroes(&url).await;
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    is_busy_and_not_stuck(&heroes, &hero).await;
    heroes.find_by_id(&hero.id).await.unwrap().unwrap();
    lock.rollback().await.unwrap();
    assert_eq!(heroes.update(hero).await.unwrap().unwrap().version, 2);
}

/// Runs thirty writes of a locked row, and reads and writes of another row
/// meanwhile. Returns the longest time of one such read and write together.
async fn thirty_writes_wait(heroes: &SqlHeroes, locked: Hero, another: Option<&Hero>) -> Duration {
    let writes = (0..30).map(|_| {
        let (heroes, hero) = (heroes.clone(), locked.clone());
        tokio::spawn(async move { heroes.update(hero).await })
    });
    let mut writes: Vec<_> = writes.collect();
    let mut slowest = Duration::ZERO;
    while !writes.iter().all(tokio::task::JoinHandle::is_finished) {
        let begun = Instant::now();
        heroes.list_all().await.unwrap();
        if let Some(another) = another {
            heroes.update(Hero::clone(another)).await.unwrap().unwrap();
        }
        slowest = slowest.max(begun.elapsed());
    }
    for write in writes.drain(..) {
        let refused = write.await.unwrap();
        assert!(matches!(refused, Err(TaleError::Busy)), "{refused:?}");
    }
    slowest
}

#[tokio::test]
async fn writes_of_a_locked_row_delay_no_other_row() {
    let Some(url) = postgres_database() else {
        return;
    };
    let database = Database::open(&url, DatabaseOptions::default());
    let heroes = SqlHeroes::new(database.await.unwrap());
    let hero = heroes.save(Hero::new(hero_draft("Ada"))).await.unwrap();
    let another = heroes.save(Hero::new(hero_draft("Eve"))).await.unwrap();
    let mut other = PgConnection::connect(&url).await.unwrap();
    let mut lock = other.begin().await.unwrap();
    let locked = "SELECT id FROM heroes WHERE id = $1 FOR UPDATE";
    let locked = sqlx::query(locked).bind(hero.id);
    locked.execute(&mut *lock).await.unwrap();
    let begun = Instant::now();
    let slowest = thirty_writes_wait(&heroes, Hero::clone(&hero), Some(&another)).await;
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    // The last one waits 2 s for its place and 1.5 s for the lock.
    assert!(begun.elapsed() < Duration::from_secs(6));
    lock.rollback().await.unwrap();
    heroes.update(Hero::clone(&hero)).await.unwrap().unwrap();
}

#[tokio::test]
async fn stories_of_a_locked_child_delay_no_other_write() {
    let Some(url) = postgres_database() else {
        return;
    };
    let database = Database::open(&url, DatabaseOptions::default());
    let database = database.await.unwrap();
    let children = SqlChildren::new(database.clone());
    let stories = SqlStories::new(database);
    let child = Child::new(child_draft("Ben"));
    let child = children.save(child).await.unwrap();
    let mut other = PgConnection::connect(&url).await.unwrap();
    let mut lock = other.begin().await.unwrap();
    lock.execute("SELECT id FROM children FOR UPDATE")
        .await
        .unwrap();
    let writes = (0..30).map(|_| {
        let mut draft = story_draft("A story");
        draft.child_id = Some(child.id);
        let stories = stories.clone();
        tokio::spawn(async move { stories.save(Story::new(draft)).await })
    });
    let writes: Vec<_> = writes.collect();
    while !writes.iter().all(tokio::task::JoinHandle::is_finished) {
        let begun = Instant::now();
        stories.save(Story::new(story_draft("Free"))).await.unwrap();
        children.list_all().await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
    for write in writes {
        let refused = write.await.unwrap();
        assert!(matches!(refused, Err(TaleError::Busy)), "{refused:?}");
    }
}

#[tokio::test]
async fn writes_of_a_locked_file_delay_no_read() {
    let directory = TempDir::new().unwrap();
    let url = format!("sqlite:{}", directory.path().join("tales.db").display());
    let database = Database::open(&url, DatabaseOptions::default());
    let heroes = SqlHeroes::new(database.await.unwrap());
    let hero = heroes.save(Hero::new(hero_draft("Ada"))).await.unwrap();
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let slowest = thirty_writes_wait(&heroes, Hero::clone(&hero), None).await;
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    lock.rollback().await.unwrap();
    heroes.update(Hero::clone(&hero)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_cancelled_caller_leaves_no_open_transaction() {
    let directory = TempDir::new().unwrap();
    let file = format!("sqlite:{}", directory.path().join("tales.db").display());
    for url in [Some(file), postgres_database()].into_iter().flatten() {
        let (heroes, hero) = heroes(&url).await;
        for microseconds in (0..3_000).step_by(150) {
            let update = heroes.update(hero.clone());
            let _ = tokio::time::timeout(Duration::from_micros(microseconds), update).await;
        }
        let stored = heroes.find_by_id(&hero.id).await.unwrap().unwrap();
        let after = heroes.update(hero).await.unwrap().unwrap();
        assert!(stored.version < after.version);
    }
}

#[tokio::test]
async fn a_cancelled_read_loses_no_database_in_memory() {
    let (heroes, hero) = heroes("sqlite::memory:").await;
    for _ in 0..20 {
        // Until the connection is back in the pool.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let _ = heroes.find_by_id(&hero.id).now_or_never();
        heroes.find_by_id(&hero.id).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_file_is_created_if_missing_and_found_again() {
    let directory = TempDir::new().unwrap();
    let url = format!("sqlite:{}", directory.path().join("tales.db").display());
    let (first, hero) = heroes(&url).await;
    let second = SqlHeroes::new(Database::open(&url, short()).await.unwrap());
    let found = second.find_by_id(&hero.id).await.unwrap().unwrap();
    assert_eq!(*found, hero);
    second.update(hero).await.unwrap();
    let all = first.list_all().await.unwrap();
    assert_eq!(all[0].version, 2);
}

/// The row before the write decides which lists are invalidated. So it must be
/// the row that the other program committed, not the one from before the lock.
#[tokio::test]
async fn the_row_before_is_read_under_its_lock() {
    let Some(url) = postgres_database() else {
        return;
    };
    let world = World::open("PostgreSQL", &url).await;
    let (hero, child) = (world.hero("Ada").await, world.child("Маша").await);
    let story = world.story(None, None).await;
    let mut other = PgConnection::connect(&url).await.unwrap();
    let mut change = other.begin().await.unwrap();
    for table in ["heroes", "children", "stories"] {
        let raise = format!("UPDATE {table} SET version = version + 4");
        change.execute(AssertSqlSafe(raise)).await.unwrap();
    }
    let passed = Some(1);
    let writers = async {
        let mut writes = [(); 3].map(|()| Write::uncached());
        let [first, second, third] = &mut writes;
        tokio::join!(
            world.heroes.update_if(hero, passed, first),
            world.children.delete_if(child.id, passed, second),
            world.stories.set_rating(story.id, 5, passed, third),
        )
    };
    let commit = async {
        // Long enough for the writers to reach the lock.
        tokio::time::sleep(Duration::from_millis(300)).await;
        change.commit().await.unwrap();
    };
    let ((hero, child, story), ()) = tokio::join!(writers, commit);
    for refused in [hero.err(), child.err(), story.err()] {
        assert!(
            matches!(refused, Some(TaleError::Conflict { current: 5 })),
            "{refused:?}"
        );
    }
}
