//! Cached queries: results that depend on keys which they are not stored under.
//!
//! The statement reads names of heroes and titles of books from the tables of the
//! world, and counts its loads.

mod costs;
mod exact;
mod in_process;
mod kinds;
mod races;
mod shared;
mod statistics;
mod strict;
mod tiers;
mod tolerates;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aside::{CachedQuery, Deps, Source};

use crate::database::{DatabaseError, Table};
use crate::entities::{Book, Hero, HeroIndex, hero, speaking};
use crate::world::{Instance, World};

/// The names of the heroes that speak a language.
pub(crate) struct Names {
    query: CachedQuery<String, Vec<String>>,
    heroes: Table<Hero>,
    loads: Arc<AtomicU32>,
}

impl Names {
    pub(crate) fn new(world: &World, instance: &Instance) -> Self {
        Self {
            query: CachedQuery::new("names", &instance.cache),
            heroes: world.heroes.clone(),
            loads: Arc::default(),
        }
    }

    /// Sets how old an outdated value may be.
    pub(crate) fn tolerates(self, limit: Duration) -> Self {
        Self {
            query: self.query.tolerates(limit),
            ..self
        }
    }

    /// Returns the names, which depend on the list of that language.
    pub(crate) async fn of(&self, language: &str) -> Vec<String> {
        let index = speaking(language);
        self.under(language, Deps::new().list::<Hero>(&index)).await
    }

    pub(crate) async fn under(&self, language: &str, deps: Deps<'_>) -> Vec<String> {
        self.try_under(language, deps).await.expect("a result")
    }

    pub(crate) async fn try_under(
        &self,
        language: &str,
        deps: Deps<'_>,
    ) -> Result<Vec<String>, Arc<DatabaseError>> {
        let (heroes, loads) = (self.heroes.clone(), Arc::clone(&self.loads));
        let index = speaking(language);
        let key = language.to_owned();
        let load = move || names(heroes, loads, index);
        Ok(self.query.get(&key, deps, load).await?.to_vec())
    }

    /// Returns the number of loads since the last call.
    pub(crate) fn loads(&self) -> u32 {
        self.loads.swap(0, Ordering::SeqCst)
    }
}

async fn names(
    heroes: Table<Hero>,
    loads: Arc<AtomicU32>,
    index: HeroIndex,
) -> Result<Vec<String>, DatabaseError> {
    loads.fetch_add(1, Ordering::SeqCst);
    let rows = heroes.find_by(&index).await?;
    Ok(rows.iter().map(|hero| hero.name.clone()).collect())
}

/// Returns the number of all books and heroes.
pub(crate) async fn count(
    query: &CachedQuery<(), usize>,
    (heroes, books): (&Table<Hero>, &Table<Book>),
    deps: Deps<'_>,
) -> usize {
    let (heroes, books) = (heroes.clone(), books.clone());
    let load = move || async move {
        let heroes = heroes.list_all().await?.len();
        Ok::<_, DatabaseError>(heroes + books.list_all().await?.len())
    };
    *query.get(&(), deps, load).await.expect("a result")
}

/// Returns an instance with one hero, an English speaker.
async fn with_mia(world: &World) -> (Instance, Hero) {
    let instance = world.instance().await;
    let mia = hero("Mia", "en");
    world.heroes.insert(&mia);
    (instance, mia)
}
