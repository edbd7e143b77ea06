//! Rows: one odd value each, many plain ones, and serde's attributes at the
//! fields of an entity.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroI64;
use std::time::Duration;

use aside::Entity;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::draws::{f64s, i128s, odds, texts, u128s};
use super::values::Odd;
use crate::database::Versioned;

/// A generated kind of row.
pub(super) trait Drawn: Versioned<Id = u64> {
    fn rows() -> BoxedStrategy<Self>;
    fn numbered(self, id: u64, shelf: u32) -> Self;
    fn shelf(shelf: u32) -> Self::Index;
}

/// Implements the parts that differ only by names.
macro_rules! drawn {
    ($row:ident, $index:ident, $rows:expr) => {
        impl Versioned for $row {
            fn set_version(&mut self, version: u64) {
                self.version = version;
            }
        }

        impl Drawn for $row {
            fn rows() -> BoxedStrategy<Self> {
                $rows.boxed()
            }

            fn numbered(self, id: u64, shelf: u32) -> Self {
                Self { id, shelf, ..self }
            }

            fn shelf(shelf: u32) -> Self::Index {
                $index::Shelf(shelf)
            }
        }
    };
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "odd", list_all = false)]
pub(super) struct OddRow {
    #[entity(id)]
    id: u64,
    #[entity(index)]
    shelf: u32,
    #[entity(version)]
    version: u64,
    pub(super) value: Odd,
}

impl OddRow {
    pub(super) fn of(value: Odd) -> Self {
        let (id, shelf, version) = Default::default();
        Self {
            id,
            shelf,
            version,
            value,
        }
    }
}

drawn!(OddRow, OddRowIndex, odds().prop_map(OddRow::of));

/// Types with a plain JSON form: each row of them is cached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "plain", list_all = false)]
pub(super) struct Plain {
    #[entity(id)]
    id: u64,
    #[entity(index)]
    shelf: u32,
    #[entity(version)]
    version: u64,
    letter: char,
    #[serde(rename = "♠")]
    text: Option<String>,
    texts: Vec<Option<String>>,
    small: i8,
    wide: u128,
    signed: i128,
    pointed: Option<NonZeroI64>,
    pairs: Vec<(u8, Box<str>)>,
    cells: [[i16; 2]; 2],
    uuid: Uuid,
    address: IpAddr,
    addresses: Option<Vec<Ipv6Addr>>,
    took: Duration,
    at: jiff::Timestamp,
    day: Option<jiff::civil::Date>,
}

fn plain_rows() -> impl Strategy<Value = Plain> {
    let at = (-300_000_000_000..200_000_000_000_i64, 0..1_000_000_000);
    let at = at.prop_map(|(seconds, nanoseconds)| {
        jiff::Timestamp::new(seconds, nanoseconds).expect("years -7536 to 8307")
    });
    let words = (
        any::<char>(),
        option::of(texts()),
        vec(option::of(texts()), 0..3),
        vec(
            (any::<u8>(), texts().prop_map(String::into_boxed_str)),
            0..3,
        ),
    );
    let numbers = (
        any::<i8>(),
        u128s(),
        i128s(),
        any::<i64>().prop_map(NonZeroI64::new),
        any::<[[i16; 2]; 2]>(),
    );
    let others = (
        any::<u128>().prop_map(Uuid::from_u128),
        any::<IpAddr>(),
        option::of(vec(any::<Ipv6Addr>(), 0..2)),
        any::<Duration>(),
        at,
        any::<bool>(),
    );
    (words, numbers, others).prop_map(|(words, numbers, others)| {
        let (letter, text, texts, pairs) = words;
        let (small, wide, signed, pointed, cells) = numbers;
        let (uuid, address, addresses, took, at, has_day) = others;
        let day = at.to_zoned(jiff::tz::TimeZone::UTC).date();
        Plain {
            id: 0,
            shelf: 0,
            version: 0,
            letter,
            text,
            texts,
            small,
            wide,
            signed,
            pointed,
            pairs,
            cells,
            uuid,
            address,
            addresses,
            took,
            at,
            day: has_day.then_some(day),
        }
    })
}

drawn!(Plain, PlainIndex, plain_rows());

/// An entity with serde attributes at its own fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "told", list_all = false)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Told {
    #[entity(id)]
    #[serde(rename = "_id", alias = "id")]
    id: u64,
    #[entity(index)]
    shelf: u32,
    #[entity(version)]
    #[serde(default)]
    version: u64,
    #[serde(with = "hexadecimal")]
    bytes: Vec<u8>,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    at: jiff::Timestamp,
    #[serde(default = "half", skip_serializing_if = "is_small")]
    number: f64,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

mod hexadecimal {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        to.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16);
        let bytes = (0..text.len()).step_by(2).map(byte);
        bytes.collect::<Result<_, _>>().map_err(D::Error::custom)
    }
}

fn half() -> f64 {
    0.5
}

fn is_small(number: &f64) -> bool {
    number.abs() < 1.0
}

fn told_rows() -> impl Strategy<Value = Told> {
    let names = ["a", "_id", "id", "shelf", "version", "number"];
    let names = proptest::sample::select(names.to_vec()).prop_map(str::to_owned);
    let values = prop_oneof![
        f64s().prop_map(Value::from),
        texts().prop_map(Value::from),
        any::<u8>().prop_map(Value::from),
    ];
    // Half of them are whole seconds.
    let nanoseconds = prop_oneof![Just(0), 0..1_000_000_000];
    let at = (any::<i32>(), nanoseconds).prop_map(|(seconds, nanoseconds)| {
        jiff::Timestamp::new(seconds.into(), nanoseconds).expect("near 1970")
    });
    let bytes = vec(any::<u8>(), 0..4);
    let number = prop_oneof![f64s(), Just(0.5)];
    (bytes, at, number, btree_map(names, values, 0..2)).prop_map(|(bytes, at, number, rest)| {
        let (id, shelf, version) = Default::default();
        Told {
            id,
            shelf,
            version,
            bytes,
            at,
            number,
            rest,
        }
    })
}

drawn!(Told, ToldIndex, told_rows());
