//! Fields whose text may be less than their value.

use aside::{Entity, Repository, Source};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Scene;
use crate::database::Versioned;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "sample")]
struct Sample {
    #[entity(id)]
    id: u32,
    celsius: f64,
}

impl Versioned for Sample {}

#[tokio::test]
async fn a_float_from_redis_equals_the_database_bit_by_bit() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut rows = vec![Sample {
        id: 0,
        celsius: 117.633_311_394_000_17,
    }];
    rows.extend((1..300).map(|id| Sample {
        id,
        celsius: (random.f64() - 0.5) * 360.0,
    }));
    let scene = Scene::with(&rows).await;
    let [one, two] = &scene.repositories;
    let ids: Vec<u32> = rows.iter().map(|row| row.id).collect();
    one.find_many(&ids).await.unwrap();
    scene.table.queries();

    let found = two.find_many(&ids).await.unwrap();

    assert_eq!(
        scene.table.queries().total(),
        0,
        "every row comes from Redis"
    );
    for (row, found) in rows.iter().zip(found) {
        let found = found.unwrap();
        assert_eq!(found.celsius.to_bits(), row.celsius.to_bits(), "{row:?}");
    }
}

#[tokio::test]
async fn an_infinite_number_is_returned_and_not_cached() {
    for celsius in [f64::INFINITY, f64::NAN] {
        let row = Sample { id: 1, celsius };
        Scene::with(std::slice::from_ref(&row))
            .await
            .is_answered_alone(&row)
            .await;
    }
}

mod masked {
    use serde::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::ptr_arg)]
    pub(super) fn serialize<S: Serializer>(_: &String, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str("***")
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
        String::deserialize(from)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "account")]
struct Account {
    #[entity(id)]
    id: u32,
    #[serde(with = "masked")]
    password_hash: String,
}

impl Versioned for Account {}

#[tokio::test]
async fn a_row_with_a_masked_field_is_not_cached() {
    let row = Account {
        id: 1,
        password_hash: "argon2".to_owned(),
    };
    let scene = Scene::with(std::slice::from_ref(&row)).await;
    scene.is_answered_alone(&row).await;
    // A write does not leave it either, nor does a list contain it.
    let [one, two] = &scene.repositories;
    one.update(row.clone()).await.unwrap();
    assert_eq!(*two.find_by_id(&1).await.unwrap().unwrap(), row);
    one.list_all().await.unwrap();
    assert_eq!(*two.list_all().await.unwrap()[0], row);
    assert_ne!(scene.world.state("account:1"), 'V');
    assert_ne!(scene.world.state("account:all"), 'V');
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "visit")]
struct Visit {
    #[entity(id)]
    id: u32,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    seen_at: Timestamp,
}

impl Versioned for Visit {}

#[tokio::test]
async fn a_time_written_in_seconds_is_cached_if_it_is_exact() {
    let whole = Visit {
        id: 1,
        seen_at: "2026-01-02T03:04:05Z".parse().unwrap(),
    };
    let parts = Visit {
        id: 2,
        seen_at: "2026-01-02T03:04:05.678901Z".parse().unwrap(),
    };
    let scene = Scene::with(&[whole.clone(), parts.clone()]).await;
    // Even after many rows that survived.
    for id in 3..100 {
        let row = Visit {
            id,
            ..whole.clone()
        };
        scene.table.insert(&row);
        scene.repositories[0].find_by_id(&id).await.unwrap();
    }
    scene.is_cached(&whole).await;
    scene.is_answered_alone(&parts).await;
}

mod rounded {
    use serde::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub(super) fn serialize<S: Serializer>(number: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64((number * 100.0).round() / 100.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        f64::deserialize(from)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "rounded")]
struct Rounded {
    #[entity(id)]
    id: u32,
    #[serde(with = "rounded")]
    price: f64,
}

impl Versioned for Rounded {}

#[tokio::test]
async fn a_list_with_one_lossy_row_is_not_cached() {
    let rows: Vec<Rounded> = (0..50)
        .map(|id| Rounded {
            id,
            price: if id == 40 { 0.125 } else { 0.25 },
        })
        .collect();
    let scene = Scene::with(&rows).await;
    for repository in scene.repositories.iter().chain(&scene.repositories) {
        let list = repository.list_all().await.unwrap();
        assert!(list.iter().map(|row| &**row).eq(&rows));
    }
    assert_ne!(scene.world.state("rounded:all"), 'V');
    // A batch fills the rows that survive, and no other.
    let ids: Vec<u32> = (0..50).collect();
    scene.repositories[0].find_many(&ids).await.unwrap();
    scene.world.filled("rounded:39").await;
    assert_ne!(scene.world.state("rounded:40"), 'V');
}
