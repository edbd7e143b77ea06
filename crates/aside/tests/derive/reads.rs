//! Keys are read back into the ids and index values that they were written from.

use aside::Entity;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{id_key, index_key, lists};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Place {
    floor: i8,
    room: u8,
}

#[derive(Clone, Debug, Serialize, Deserialize, Entity)]
#[entity(kind = "desk", index(owner = (name, age)))]
struct Desk {
    #[entity(id)]
    id: Uuid,
    #[entity(index)]
    name: String,
    age: u8,
    #[entity(index)]
    place: Option<Place>,
}

mod number {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Number;

    pub(super) fn serialize<S: Serializer>(number: &Number, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u32(number.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Number, D::Error> {
        u32::deserialize(from).map(Number)
    }
}

/// Not read by serde without a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
struct Number(u32);

#[derive(Clone, Debug, Serialize, Deserialize, Entity)]
#[entity(kind = "seat")]
struct Seat {
    #[entity(id)]
    #[serde(with = "number")]
    id: Number,
    #[entity(index)]
    row: u16,
}

#[track_caller]
fn assert_read_back<E: Entity>(row: &E) {
    let key = id_key::<E>(row.id());
    let (_, segment) = key.split_once(':').unwrap();
    assert_eq!(E::read_id(segment).as_ref(), Some(row.id()));
    for index in lists(row) {
        let key = index_key::<E>(&index);
        let segments: Vec<&str> = key.split(':').collect();
        assert_eq!(E::read_index(segments[1], &segments[2..]), Some(index));
    }
}

#[test]
fn ids_and_index_values_are_read_back_from_their_keys() {
    let place = Place { floor: -1, room: 7 };
    for name in ["Mia", "7", "all", "a:b", "100%"] {
        assert_read_back(&Desk {
            id: Uuid::from_u128(7),
            name: name.into(),
            age: 40,
            place: Some(place),
        });
    }
}

#[test]
fn a_key_of_another_shape_is_not_read_back() {
    assert_eq!(Desk::read_id("7"), None);
    assert_eq!(Desk::read_index("name", &["a", "b"]), None);
    assert_eq!(Desk::read_index("owner", &["a", "old"]), None);
    assert_eq!(Desk::read_index("colour", &["red"]), None);
}

#[test]
fn a_type_that_serde_does_not_read_is_not_read_back() {
    assert_eq!(Seat::read_id("7"), None);
    let row = SeatIndex::Row(3);
    assert_eq!(Seat::read_index("row", &["3"]), Some(row));
}
