//! A COMMIT that the database refuses.

use std::time::Duration;

use aside::{Freshness, Tier};
use aside_testkit::eventually;
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};
use tale_generator::Tales;
use tale_generator::sql::Database;
use tempfile::TempDir;

use crate::databases::{cache_in_memory, hero_draft, patient, postgres_database};

/// Shorter than a quarantine, which lasts 30 seconds.
const SOON: Duration = Duration::from_secs(10);

/// Every change of a hero breaks a constraint that is checked at COMMIT.
const ON_SQLITE: &str = "CREATE TABLE none (id text PRIMARY KEY);
    CREATE TABLE refused (id text REFERENCES none DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER refuse AFTER UPDATE ON heroes BEGIN
        INSERT INTO refused VALUES (NEW.id);
    END";

const ON_POSTGRES: &str = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE 'refused'; END $$;
    CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON heroes
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()";

async fn refuse_every_commit(url: &str) {
    if url.starts_with("sqlite:") {
        let mut other = SqliteConnection::connect(url).await.unwrap();
        other.execute(sqlx::raw_sql(ON_SQLITE)).await.unwrap();
    } else {
        let mut other = PgConnection::connect(url).await.unwrap();
        other.execute(sqlx::raw_sql(ON_POSTGRES)).await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_commit_leaves_the_row_cacheable() {
    let directory = TempDir::new().unwrap();
    let file = format!("sqlite:{}", directory.path().join("tales.db").display());
    for url in [Some(file), postgres_database()].into_iter().flatten() {
        let database = Database::open(&url, patient()).await.unwrap();
        let tales = Tales::new(database, &cache_in_memory().await);
        let hero = tales.create_hero(hero_draft("Ada")).await.unwrap();
        refuse_every_commit(&url).await;
        for expected in [None, Some(1)] {
            let refused = tales.replace_hero(hero.id, hero_draft("Eve"), expected);
            refused.await.unwrap_err();
            eventually(SOON, "a hit", async || {
                let read = tales.heroes.find_by_id_with(&hero.id, Freshness::Any);
                let read = read.await.unwrap();
                assert_eq!(read.value.as_ref(), Some(&hero), "{url}");
                read.tier != Tier::Source
            })
            .await;
        }
    }
}
