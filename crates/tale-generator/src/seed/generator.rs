//! The rows of a plan, one after another: children, heroes, stories.

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use uuid::{Builder, Uuid};

use super::Plan;
use super::words::{Words, of};
use crate::domain::{AudioFile, Child, Gender, Hero, Language, Record, Story};

/// The creation time of the first row, 2025-01-01T00:00:00Z.
const BEGINNING_SECONDS: i64 = 1_735_689_600;

/// Makes the rows of a plan.
#[derive(Debug)]
pub struct Generator {
    plan: Plan,
    rng: Rng,
    made: u64,
    children: Vec<(Uuid, String, Language)>,
    heroes: Vec<(Uuid, String, Language)>,
}

impl Generator {
    /// Begins with the first row of `plan`.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            rng: Rng::with_seed(plan.rng_seed),
            made: 0,
            children: Vec::new(),
            heroes: Vec::new(),
        }
    }

    fn child(&mut self) -> Child {
        let language = self.language();
        let words = of(language);
        let gender = self.gender();
        let name = self.first_name(words, gender);
        let id = self.id();
        self.children.push((id, name.clone(), language));
        let created_at = self.time();
        Child {
            id,
            name,
            age: self.rng.i32(1..=18),
            gender,
            interests: self.some_of(words.interests, 0, 4),
            created_at,
            updated_at: created_at,
            version: 1,
        }
    }

    fn hero(&mut self) -> Hero {
        let language = self.language();
        let words = of(language);
        let gender = self.gender();
        let first = self.first_name(words, gender);
        let name = format!("{first} {}", self.pick(words.surnames));
        let id = self.id();
        self.heroes.push((id, name.clone(), language));
        let created_at = self.time();
        Hero {
            id,
            name,
            age: self.rng.i32(7..=300),
            gender,
            appearance: self.pick(words.appearances).to_owned(),
            personality_traits: self.some_of(words.traits, 1, 3),
            interests: self.some_of(words.interests, 0, 3),
            strengths: self.some_of(words.strengths, 1, 3),
            language,
            created_at,
            updated_at: created_at,
            version: 1,
        }
    }

    fn story(&mut self) -> Story {
        let child = self.rng.choice(&self.children).cloned();
        let hero = self.rng.choice(&self.heroes).cloned();
        let language = match &child {
            Some((_, _, language)) => *language,
            None => self.language(),
        };
        let words = of(language);
        let name = child.as_ref().map_or(words.nobody, |(_, name, _)| name);
        let place = self.pick(words.places);
        let moral = self.pick(words.morals);
        let paragraphs = self.rng.usize(3..=8);
        let told: Vec<String> = (0..paragraphs)
            .map(|_| {
                let event = self.pick(words.events);
                event.replace("{child}", name).replace("{place}", place)
            })
            .collect();
        let length = self.rng.i32(3..=20);
        let model = self.pick(&["tale-small", "tale-large"]);
        let id = self.id();
        let created_at = self.time();
        Story {
            id,
            title: words
                .title
                .replace("{child}", name)
                .replace("{place}", place),
            content: told.join("\n\n"),
            moral: moral.to_owned(),
            language,
            child_name: child.as_ref().map(|(_, name, _)| name.clone()),
            child_id: child.map(|(id, _, _)| id),
            hero_id: hero.map(|(id, _, _)| id),
            rating: self.sometimes(0.6).then(|| self.rng.i32(1..=10)),
            story_length: Some(length),
            audio_file: self.sometimes(0.3).then(|| AudioFile {
                url: format!("https://audio.example/{id}.mp3"),
                provider: Some("elevenlabs".to_owned()),
                metadata: Some(json!({ "seconds": length * 60 }).into()),
            }),
            model_used: Some(model.to_owned()),
            full_response: None,
            generation_info: Some(json!({ "model": model, "paragraphs": paragraphs }).into()),
            created_at,
            updated_at: created_at,
            version: 1,
        }
    }

    fn id(&mut self) -> Uuid {
        Builder::from_random_bytes(self.rng.u128(..).to_be_bytes()).into_uuid()
    }

    /// Rows are a minute apart plus some microseconds, like real rows.
    fn time(&mut self) -> Timestamp {
        let minutes = i64::try_from(self.made).unwrap_or(i64::MAX / 60) % 10_000_000;
        let begin = Timestamp::from_second(BEGINNING_SECONDS).unwrap_or(Timestamp::UNIX_EPOCH);
        begin
            + SignedDuration::from_secs(minutes * 60)
            + SignedDuration::from_micros(self.rng.i64(0..60_000_000))
    }

    fn language(&mut self) -> Language {
        if self.rng.bool() {
            Language::En
        } else {
            Language::Ru
        }
    }

    fn gender(&mut self) -> Gender {
        match self.rng.u8(0..20) {
            0 => Gender::Other,
            1..=10 => Gender::Female,
            _ => Gender::Male,
        }
    }

    fn first_name(&mut self, words: &Words, gender: Gender) -> String {
        let names = match gender {
            Gender::Female => words.girls,
            Gender::Male => words.boys,
            Gender::Other => words.anyone,
        };
        self.pick(names).to_owned()
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        self.rng.choice(from).copied().unwrap_or("")
    }

    fn some_of(&mut self, from: &[&'static str], least: usize, most: usize) -> Vec<String> {
        let count = self.rng.usize(least..=most);
        let chosen = self.rng.choose_multiple(from, count);
        chosen.into_iter().map(|word| (*word).to_owned()).collect()
    }

    fn sometimes(&mut self, share: f64) -> bool {
        self.rng.f64() < share
    }
}

impl Iterator for Generator {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let Plan {
            heroes, children, ..
        } = self.plan;
        if self.plan.rows() <= self.made {
            return None;
        }
        let record = if self.made < children {
            Record::Child(self.child())
        } else if self.made < children + heroes {
            Record::Hero(self.hero())
        } else {
            Record::Story(Box::new(self.story()))
        };
        self.made += 1;
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan {
        heroes: 50,
        children: 50,
        stories: 200,
        rng_seed: 7,
    };

    #[test]
    fn the_same_number_makes_the_same_rows() {
        let first: Vec<Record> = Generator::new(PLAN).collect();
        let again: Vec<Record> = Generator::new(PLAN).collect();
        assert_eq!(first, again);
        let other = Plan {
            rng_seed: 8,
            ..PLAN
        };
        assert_ne!(first, Generator::new(other).collect::<Vec<_>>());
    }

    #[test]
    fn rows_obey_the_rules_and_include_every_kind() {
        let rows: Vec<Record> = Generator::new(PLAN).collect();
        assert_eq!(rows.len(), 300);
        for row in &rows {
            row.validate().unwrap();
        }
        let stories = rows.iter().filter(|row| row.kind() == "story").count();
        assert_eq!(stories, 200);
    }

    #[test]
    fn stories_work_without_children_and_heroes() {
        let alone = Plan {
            heroes: 0,
            children: 0,
            ..PLAN
        };
        for row in Generator::new(alone) {
            row.validate().unwrap();
        }
    }
}
