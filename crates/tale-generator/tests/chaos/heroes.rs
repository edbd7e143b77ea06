//! The few heroes that all instances read and write, and their repository.
//!
//! The set of hot heroes moves on twice a second. If it stayed the same, the
//! next write would heal each stale entry. Then no read could show that nothing
//! else would have healed it.

use std::sync::Arc;
use std::time::Duration;

use aside::{Repository, Rows, Source, Write};
use aside_testkit::history::{State, Time};
use serde::{Deserialize, Serialize};
use tale_generator::domain::{Gender, Hero, HeroDraft, HeroIndex, Language, Row as _, TaleError};
use tale_generator::sql::{DatabaseOptions, SqlHeroes};
use uuid::Uuid;

use crate::steps::{self, Step};
use crate::windows::Windows;

/// The number of heroes.
pub(crate) const HEROES: usize = 36;

/// The number of hot heroes, which are written at the moment.
const HOT: usize = 12;

/// The number of hot heroes that are replaced every half second.
const MOVES_BY: usize = 6;
const MOVES_EVERY: Duration = Duration::from_millis(500);

/// Longer than any stop of an instance, so that its locks and its transaction
/// still exist when it continues.
pub(crate) const QUARANTINE: Duration = Duration::from_secs(6);

/// The two lists.
pub(crate) const LANGUAGES: [Language; 2] = [Language::En, Language::Ru];

/// The database of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    Postgres,
    Sqlite,
}

/// How long all instances read the same hero.
const CROWDS_FOR: Duration = Duration::from_millis(80);

/// Returns a hero to write now.
pub(crate) fn to_write(begun: Time) -> usize {
    if fastrand::bool() {
        return of_the_moment(begun);
    }
    (first_hot(begun) + fastrand::usize(..HOT)) % HEROES
}

/// Returns a hero to read now: that of the moment, a hot one, or one that was
/// hot a moment ago, which no write heals any more.
pub(crate) fn to_read(begun: Time) -> usize {
    if fastrand::bool() {
        return of_the_moment(begun);
    }
    let ago = fastrand::usize(..=HOT);
    (first_hot(begun) + HEROES + fastrand::usize(..HOT) - ago) % HEROES
}

/// Returns the hero that all instances read at this moment. Readers share a
/// load only if they ask while it runs.
pub(crate) fn of_the_moment(begun: Time) -> usize {
    let moment = Time::now().since(begun).as_millis() / CROWDS_FOR.as_millis();
    let moment = usize::try_from(moment).expect("a round is short");
    (first_hot(begun) + moment * 7 % HOT) % HEROES
}

fn first_hot(begun: Time) -> usize {
    let moves = Time::now().since(begun).as_millis() / MOVES_EVERY.as_millis();
    usize::try_from(moves).expect("a round is short") * MOVES_BY
}

pub(crate) fn id(number: usize) -> Uuid {
    Uuid::from_u128(number as u128 + 1)
}

pub(crate) fn number(hero: &Hero) -> usize {
    usize::try_from(hero.id.as_u128() - 1).expect("there are few heroes")
}

/// Returns the hero of this number, in either language.
pub(crate) fn hero(number: usize) -> Hero {
    let language = LANGUAGES[usize::from(fastrand::u32(..3) == 0)];
    let draft = HeroDraft {
        name: format!("Hero {}", number % 5),
        age: fastrand::i32(1..100),
        gender: Gender::Other,
        appearance: "A green cloak".to_owned(),
        personality_traits: vec!["brave".to_owned()],
        interests: vec![],
        strengths: vec!["climbs any tree".to_owned()],
        language,
    };
    Hero::with_id(id(number), draft)
}

/// Returns the history's key for the row of a hero.
pub(crate) fn row_key(number: usize) -> String {
    format!("hero {number}")
}

/// Returns the history's key for a hero's place in a list.
///
/// A list has no version, but each member has one, and so has the absence of a
/// hero that now speaks the other language. So each place in a list is checked
/// like a key.
pub(crate) fn list_key(language: Language, number: usize) -> String {
    format!("{language} {number}")
}

/// Returns the state of a list's place for such a hero.
pub(crate) fn place_of(hero: &Hero, list: Language) -> State {
    if hero.language == list {
        State::Row(hero.version)
    } else {
        State::Absent(Some(hero.version))
    }
}

/// Returns the number at the end of a history's key.
pub(crate) fn number_of(key: &str) -> usize {
    let number = key.rsplit(' ').next();
    number
        .and_then(|number| number.parse().ok())
        .expect("keys end with a number")
}

/// The database's options: a transaction limit below the quarantine, and long
/// waits.
pub(crate) fn options() -> DatabaseOptions {
    DatabaseOptions {
        longest_transaction: QUARANTINE * 2 / 3,
        acquire_timeout: Duration::from_secs(30),
        at_commit: Some(steps::at_commit),
        ..DatabaseOptions::default()
    }
}

/// The real repository. It records every write that Redis did not know about
/// when it committed.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) heroes: SqlHeroes,
    pub(crate) windows: Arc<Windows>,
}

impl Source for Watched {
    type Entity = Hero;
    type Error = TaleError;

    async fn find_by_id(&self, id: &Uuid) -> Result<Option<Arc<Hero>>, TaleError> {
        self.heroes.find_by_id(id).await
    }

    async fn find_many(&self, ids: &[Uuid]) -> Result<Vec<Option<Arc<Hero>>>, TaleError> {
        self.heroes.find_many(ids).await
    }

    async fn find_by(&self, index: &HeroIndex) -> Result<Rows<Hero>, TaleError> {
        self.heroes.find_by(index).await
    }

    async fn list_all(&self) -> Result<Rows<Hero>, TaleError> {
        self.heroes.list_all().await
    }

    fn overloaded(&self, why: aside::repository::Overloaded) -> TaleError {
        self.heroes.overloaded(why)
    }
}

impl Repository for Watched {
    async fn save_in(&self, row: Hero, write: &mut Write) -> Result<Arc<Hero>, TaleError> {
        self.heroes.save_in(row, write).await
    }

    async fn update_in(
        &self,
        row: Hero,
        write: &mut Write,
    ) -> Result<Option<Arc<Hero>>, TaleError> {
        let (begun, number) = (Time::now(), number(&row));
        let updated = self.heroes.update_in(row, write).await;
        // Nothing was recorded since the repository called this, so nothing is
        // sent. The call only returns again the keys that were not
        // acknowledged.
        if !write.before_commit().await.is_empty() {
            self.windows.open(number, begun);
        }
        // Redis is notified when this returns.
        if updated.is_ok() {
            Step::BeforeRelease.reach();
        }
        updated
    }

    async fn delete_in(&self, id: &Uuid, write: &mut Write) -> Result<bool, TaleError> {
        self.heroes.delete_in(id, write).await
    }
}
