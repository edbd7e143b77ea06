//! Types and codecs that claim more than is true.

use aside::{
    CacheStrategy, Entity, Source,
    codec::{Codec, CodecError, Json},
    entity::ExactText,
};
use serde::{Deserialize, Serialize};

use super::Scene;
use crate::database::Versioned;

/// Compared case-insensitively, and written in lower case.
#[derive(Clone, Debug, Deserialize)]
struct Name(String);

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0.to_lowercase())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "member")]
struct Member {
    #[entity(id)]
    id: u32,
    name: Name,
}

impl Versioned for Member {}

#[tokio::test]
async fn an_equality_that_ignores_a_lost_part_is_not_trusted() {
    let row = Member {
        id: 1,
        name: Name("Ann".to_owned()),
    };
    Scene::with(std::slice::from_ref(&row))
        .await
        .is_answered_alone(&row)
        .await;
}

/// Says that its text is exact, which is wrong of odd numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "u32", into = "u32")]
struct Halved(u32);

impl ExactText for Halved {}

impl From<u32> for Halved {
    fn from(half: u32) -> Self {
        Self(half * 2)
    }
}

impl From<Halved> for u32 {
    fn from(halved: Halved) -> Self {
        halved.0 / 2
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "claimed")]
struct Claimed {
    #[entity(id)]
    id: u32,
    number: Halved,
}

impl Versioned for Claimed {}

#[tokio::test]
async fn after_one_lossy_row_of_a_plain_kind_each_is_compared() {
    let row = |id: u32| Claimed {
        id,
        number: Halved(if id < 256 { 2 } else { 3 }),
    };
    let rows: Vec<Claimed> = (0..260).map(row).collect();
    let scene = Scene::with(&rows).await;
    let sound: Vec<u32> = (0..256).collect();
    scene.repositories[0].find_many(&sound).await.unwrap();
    // The sample meets the first of these.
    for row in &rows[256..] {
        for repository in &scene.repositories {
            let found = repository.find_by_id(&row.id).await.unwrap();
            assert_eq!(found.as_deref(), Some(row));
        }
        if scene.instances[0].errors("lossy_row") > 0 {
            assert_ne!(scene.world.state(&scene.key(row.id)), 'V');
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "reading")]
struct Reading {
    #[entity(id)]
    id: u32,
    celsius: f64,
}

impl Versioned for Reading {}

/// Leaves nothing of a row without a temperature.
#[derive(Debug)]
struct Terse;

impl Codec<Reading> for Terse {
    fn encode(&self, row: &Reading) -> Result<String, CodecError> {
        match row.celsius {
            0.0 => Ok("null".to_owned()),
            _ => Json.encode(row),
        }
    }

    fn decode(&self, json: &str) -> Result<Reading, CodecError> {
        match json {
            "null" => Ok(Reading {
                id: 1,
                celsius: 0.0,
            }),
            json => Json.decode(json),
        }
    }
}

impl CacheStrategy<Reading> for Terse {
    fn codec(&self) -> &dyn Codec<Reading> {
        self
    }
}

#[tokio::test]
async fn a_row_written_as_null_is_no_absence() {
    let row = Reading {
        id: 1,
        celsius: 0.0,
    };
    let scene = Scene::with(std::slice::from_ref(&row)).await;
    for samples in scene.repositories {
        let samples = samples.with_strategy(Terse);
        let found = samples.find_by_id(&1).await.unwrap();
        assert_eq!(found.as_deref(), Some(&row));
    }
}
