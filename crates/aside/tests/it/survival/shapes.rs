//! Shapes of JSON that are read back as another one, or not at all.

use std::collections::BTreeMap;

use aside::{Entity, Source};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Scene;
use crate::database::Versioned;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "document")]
struct Document {
    #[entity(id)]
    id: u32,
    body: Value,
}

impl Versioned for Document {}

fn nested(depth: usize) -> Document {
    let body = (0..depth).fold(Value::Null, |body, _| Value::Array(vec![body]));
    Document { id: 1, body }
}

#[tokio::test]
async fn a_document_nested_too_deep_is_returned_and_not_cached() {
    let row = nested(100);
    Scene::with(std::slice::from_ref(&row))
        .await
        .is_cached(&row)
        .await;
    let row = nested(200);
    Scene::with(std::slice::from_ref(&row))
        .await
        .is_answered_alone(&row)
        .await;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Kind {
    Small(f32),
    Large(f64),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "choice")]
struct Choice {
    #[entity(id)]
    id: u32,
    kind: Kind,
}

impl Versioned for Choice {}

#[tokio::test]
async fn an_enum_read_back_as_another_variant_is_not_cached() {
    let row = Choice {
        id: 1,
        kind: Kind::Large(0.5),
    };
    Scene::with(std::slice::from_ref(&row))
        .await
        .is_answered_alone(&row)
        .await;
    let row = Choice {
        id: 1,
        kind: Kind::Small(0.5),
    };
    Scene::with(std::slice::from_ref(&row))
        .await
        .is_cached(&row)
        .await;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "twice")]
struct Twice {
    #[entity(id)]
    id: u32,
    answer: Option<Option<u8>>,
    counts: BTreeMap<i128, Option<()>>,
}

impl Versioned for Twice {}

#[tokio::test]
async fn a_nested_option_is_cached_if_it_survives() {
    let row = |id, answer, count| Twice {
        id,
        answer,
        counts: BTreeMap::from([(i128::MIN, count)]),
    };
    let good = row(1, Some(Some(7)), None);
    let lost = row(2, Some(None), None);
    let unit = row(3, None, Some(()));
    let scene = Scene::with(&[good.clone(), lost.clone(), unit.clone()]).await;
    scene.is_cached(&good).await;
    scene.is_answered_alone(&lost).await;
    scene.is_answered_alone(&unit).await;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "odd")]
struct Odd {
    #[entity(id)]
    id: u32,
    places: BTreeMap<(u8, u8), u8>,
}

impl Versioned for Odd {}

#[tokio::test]
async fn a_map_with_non_text_keys_is_returned_and_not_cached() {
    let row = Odd {
        id: 1,
        places: BTreeMap::from([((1, 2), 3)]),
    };
    let scene = Scene::with(std::slice::from_ref(&row)).await;
    for repository in scene.repositories.iter().chain(&scene.repositories) {
        let found = repository.find_by_id(&1).await.unwrap();
        assert_eq!(found.as_deref(), Some(&row));
    }
    assert!(scene.instances[0].errors("not_cacheable") > 0);
    assert_ne!(scene.world.state("odd:1"), 'V');
}
