//! The operations of an instance, recorded as they run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aside::{CachedRepository, Freshness, Repository as _, Rows};
use aside_testkit::history::{ReadKind, Recorder, State, Time};
use tale_generator::domain::{Hero, HeroIndex, Language};
use tokio::task::JoinSet;

use crate::heroes::{self, HEROES, LANGUAGES, Watched, list_key, place_of, row_key};

/// The longest pause of a task between two operations. It leaves some of a
/// small machine to the servers.
const MAX_PAUSE: Duration = Duration::from_millis(20);

/// The longest pause of a reading task, whose reads are mostly local hits.
const MAX_GLANCE: Duration = Duration::from_millis(4);

/// The pause between two reads of all heroes.
const SURVEYS_EVERY: Duration = Duration::from_millis(60);

/// State shared by the tasks of an instance.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) heroes: Arc<CachedRepository<Watched>>,
    pub(crate) begun: Time,
    pub(crate) halted: Arc<AtomicBool>,
}

impl Work {
    /// Reads and writes until halted.
    pub(crate) async fn go_on(self, recorder: Recorder) {
        while !self.halted.load(Ordering::Acquire) {
            match fastrand::u32(..10) {
                0..=4 => self.write(&recorder).await,
                5..=6 => self.read(&recorder, Freshness::Any).await,
                7..=8 => self.read(&recorder, Freshness::Shared).await,
                _ => {
                    let freshness = fastrand::choice([Freshness::Any, Freshness::Shared]);
                    self.list(&recorder, freshness.expect("one of two")).await;
                }
            }
            tokio::time::sleep(MAX_PAUSE.mul_f64(fastrand::f64())).await;
        }
    }

    /// Reads the hero of the moment repeatedly. Without such tasks, few reads
    /// would be local hits or meet another read of the same key.
    pub(crate) async fn look_on(self, recorder: Recorder) {
        while !self.halted.load(Ordering::Acquire) {
            let freshness = match fastrand::u32(..3) {
                0 => Freshness::Shared,
                _ => Freshness::Any,
            };
            let number = heroes::of_the_moment(self.begun);
            self.read_one(&recorder, number, freshness).await;
            tokio::time::sleep(MAX_GLANCE.mul_f64(fastrand::f64())).await;
        }
    }

    /// Reads all heroes repeatedly, without waiting for one read before the
    /// next. So local entries are seen even while every reply of Redis is
    /// stuck, and long after the last write.
    pub(crate) async fn survey(self, recorder: Recorder) {
        let mut asked = JoinSet::new();
        while !self.halted.load(Ordering::Acquire) {
            for number in 0..HEROES {
                let (work, recorder) = (self.clone(), recorder.clone());
                let read = async move { work.read_one(&recorder, number, Freshness::Any).await };
                asked.spawn(read);
            }
            tokio::time::sleep(SURVEYS_EVERY).await;
            while asked.try_join_next().is_some() {}
        }
        asked.join_all().await;
    }

    async fn write(&self, recorder: &Recorder) {
        let number = heroes::to_write(self.begun);
        // The row, and its place in both lists.
        let row = recorder.begin_write(&row_key(number));
        let places = LANGUAGES.map(|list| recorder.begin_write(&list_key(list, number)));
        // An error does not prove that nothing was written. So a write dropped
        // here has an unknown fate.
        let Ok(Some(after)) = self.heroes.update(heroes::hero(number)).await else {
            return;
        };
        row.learned(after.version);
        for (place, list) in places.iter().zip(LANGUAGES) {
            place.learned(place_of(&after, list));
        }
        row.returned();
        for place in places {
            place.returned();
        }
    }

    async fn read(&self, recorder: &Recorder, freshness: Freshness) {
        let number = heroes::to_read(self.begun);
        self.read_one(recorder, number, freshness).await;
    }

    async fn read_one(&self, recorder: &Recorder, number: usize, freshness: Freshness) {
        let id = heroes::id(number);
        let started = Time::now();
        match self.heroes.find_by_id_with(&id, freshness).await {
            Ok(answer) => {
                let version = answer.value.map(|hero| hero.version);
                recorder.read(&row_key(number), kind(freshness), started, version);
            }
            Err(_) => recorder.failed_read(),
        }
    }

    async fn list(&self, recorder: &Recorder, freshness: Freshness) {
        let list = LANGUAGES[usize::from(fastrand::bool())];
        let started = Time::now();
        match self.rows(list, freshness).await {
            Some(rows) => {
                for (number, state) in places(&rows) {
                    recorder.read(&list_key(list, number), kind(freshness), started, state);
                }
            }
            None => recorder.failed_read(),
        }
    }

    async fn rows(&self, list: Language, freshness: Freshness) -> Option<Rows<Hero>> {
        let index = HeroIndex::Language(list);
        let answer = self.heroes.find_by_with(&index, freshness).await;
        answer.ok().map(|answer| answer.value)
    }

    /// Compares every hero as this instance returns it, with each freshness,
    /// with the database. All writes have ended.
    pub(crate) async fn compare(&self, recorder: &Recorder) {
        for freshness in [Freshness::Any, Freshness::Shared] {
            for number in 0..HEROES {
                let id = heroes::id(number);
                let find = async |freshness| {
                    let answer = self.heroes.find_by_id_with(&id, freshness).await;
                    let hero = answer.expect("the database answers").value;
                    State::from(hero.map(|hero| hero.version))
                };
                let (seen, truth) = (find(freshness).await, find(Freshness::Source).await);
                recorder.settled(&row_key(number), seen, truth);
            }
            for list in LANGUAGES {
                let find = async |freshness| self.rows(list, freshness).await;
                let seen = find(freshness).await.expect("the database answers");
                let truth = find(Freshness::Source).await.expect("the same");
                for ((number, seen), (_, truth)) in places(&seen).zip(places(&truth)) {
                    recorder.settled(&list_key(list, number), seen, truth);
                }
            }
        }
    }
}

/// Returns the state of each hero in a list.
fn places(rows: &Rows<Hero>) -> impl Iterator<Item = (usize, State)> {
    let mut states = vec![State::Absent(None); HEROES];
    for hero in rows.iter() {
        states[heroes::number(hero)] = State::Row(hero.version);
    }
    states.into_iter().enumerate()
}

fn kind(freshness: Freshness) -> ReadKind {
    match freshness {
        Freshness::Any => ReadKind::Lenient,
        _ => ReadKind::Strict,
    }
}
