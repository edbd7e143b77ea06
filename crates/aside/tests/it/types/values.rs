//! Values as users' rows contain them: one variant for each form that serde
//! writes without a plain JSON equivalent.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Odd {
    F64(f64),
    F32(f32),
    Floats(Vec<f64>),
    Tuple((f64, char, ())),
    Array([i16; 3]),
    I128(i128),
    U128(u128),
    Nested(Option<Option<u8>>),
    MaybeUnit(Option<()>),
    MaybeValue(Option<Value>),
    Unit,
    Text(Cow<'static, str>),
    Result(Result<u8, String>),
    ByInteger(BTreeMap<i64, String>),
    ByWide(BTreeMap<u128, u8>),
    ByVariant(BTreeMap<Suit, u8>),
    ByBool(BTreeMap<bool, u8>),
    ByChar(BTreeMap<char, u8>),
    ByName(BTreeMap<Name, u8>),
    ByUuid(BTreeMap<Uuid, u8>),
    ByPair(BTreeMap<(u8, u8), u8>),
    ByMaybe(BTreeMap<Option<u8>, u8>),
    Hashed(HashMap<String, f64>),
    Set(BTreeSet<IpAddr>),
    External(External),
    Internal(Internal),
    Adjacent(Adjacent),
    Untagged(Untagged),
    Swallowed(Swallowed),
    Bytes(Vec<u8>),
    ByteString(#[serde(with = "serde_bytes")] Vec<u8>),
    Decimal(rust_decimal::Decimal),
    DecimalFloat(#[serde(with = "rust_decimal::serde::float")] rust_decimal::Decimal),
    Jiff(jiff::Timestamp),
    JiffZoned(jiff::Zoned),
    JiffCivil(jiff::civil::DateTime),
    JiffDuration(jiff::SignedDuration),
    Chrono(chrono::DateTime<chrono::FixedOffset>),
    ChronoNaive(chrono::NaiveDateTime),
    ChronoSeconds(#[serde(with = "chrono::serde::ts_seconds")] chrono::DateTime<chrono::Utc>),
    Time(time::OffsetDateTime),
    TimeText(#[serde(with = "time::serde::rfc3339")] time::OffsetDateTime),
    TimeSeconds(#[serde(with = "time::serde::timestamp")] time::OffsetDateTime),
    Path(PathBuf),
    System(OsString),
    Address(SocketAddr),
    Duration(Duration),
    SystemTime(SystemTime),
    Range(Range<i64>),
    Document(Value),
    Raw(Raw),
    Flat(Flat),
    Masked(Masked),
    Trimmed(#[serde(deserialize_with = "trimmed")] String),
    LeftOut(LeftOut),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Suit {
    Hearts,
    #[serde(rename = "♠")]
    Spades,
    #[serde(other)]
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Name(pub(super) String);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum External {
    Unit,
    One(f64),
    Two(u128, Option<f32>),
    #[serde(rename = "named one", alias = "old")]
    Named {
        wide: i128,
    },
}

/// Its contents are first buffered as 64-bit numbers and texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub(super) enum Internal {
    Unit,
    Float { value: f64 },
    Wide { value: u128 },
    ByInteger { map: BTreeMap<u8, f32> },
    Maybe { value: Option<Option<u8>> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c", rename_all = "SCREAMING-KEBAB-CASE")]
pub(super) enum Adjacent {
    UnitLike,
    MaybeUnit(Option<()>),
    Float(f64),
    Pair(u64, String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Untagged {
    Small(u8),
    Float(f64),
    Wide(i128),
    Id(Uuid),
    Text(String),
    List(Vec<Self>),
    Nothing,
}

/// The first variant also reads the text that the second one writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Swallowed {
    Short { x: u8 },
    Long { x: u8, y: Option<u8> },
}

/// JSON that is kept as it was written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Raw(pub(super) Box<RawValue>);

impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Flat {
    pub(super) type_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nick: Option<f64>,
    #[serde(flatten)]
    pub(super) part: Part,
    #[serde(flatten)]
    pub(super) rest: BTreeMap<String, Value>,
}

impl Default for Flat {
    fn default() -> Self {
        Self {
            type_name: "none".to_owned(),
            nick: None,
            part: Part {
                wide: 1,
                float: 0.5,
            },
            rest: BTreeMap::new(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) wide: u128,
    pub(super) float: f32,
}

/// A secret, masked for an API.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub(super) struct Masked(pub(super) String);

impl Serialize for Masked {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.get(..2).unwrap_or("**"))
    }
}

fn trimmed<'de, D: serde::Deserializer<'de>>(text: D) -> Result<String, D::Error> {
    Ok(String::deserialize(text)?.trim().to_owned())
}

/// The default is not the value that is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LeftOut {
    #[serde(default = "seven", skip_serializing_if = "is_small")]
    pub(super) number: i64,
    #[serde(default, skip)]
    pub(super) note: u8,
}

fn seven() -> i64 {
    7
}

fn is_small(number: &i64) -> bool {
    (0..10).contains(number)
}
