//! The generation of values: often the ends of every range, and any other
//! value.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::{Duration, SystemTime};

use proptest::collection::{btree_map, btree_set, hash_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use super::values::{
    Adjacent, External, Flat, Internal, LeftOut, Masked, Name, Odd, Part, Raw, Suit, Swallowed,
    Untagged,
};

/// Careless parsers change the last bit of some of these.
const FLOATS: [f64; 12] = [
    117.633_311_394_000_17,
    0.1 + 0.2,
    -0.0,
    5e-324,
    f64::MIN_POSITIVE,
    f64::MAX,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    1e23,
    9_007_199_254_740_993.0,
    2.0,
];

pub(super) fn f64s() -> BoxedStrategy<f64> {
    let bits = any::<u64>().prop_map(f64::from_bits);
    let degrees = (-180.0..180.0_f64).boxed();
    prop_oneof![1 => select(&FLOATS[..]), 1 => bits, 1 => degrees].boxed()
}

pub(super) fn f32s() -> impl Strategy<Value = f32> {
    prop_oneof![
        any::<u32>().prop_map(f32::from_bits),
        select(&[0.1_f32, f32::MIN_POSITIVE, 1e-45, f32::MAX, -0.0][..]),
    ]
}

const TEXTS: [&str; 12] = [
    "",
    "null",
    "all",
    "5",
    "0.10",
    " padded ",
    "a:b\n",
    "\u{0}\u{7f}",
    "\u{2028}\"\\",
    "♠",
    "İ",
    "e\u{301}",
];

pub(super) fn texts() -> BoxedStrategy<String> {
    let any = vec(any::<char>(), 0..6).prop_map(String::from_iter);
    prop_oneof![select(&TEXTS[..]).prop_map(str::to_owned), any].boxed()
}

pub(super) fn u128s() -> BoxedStrategy<u128> {
    let ends = select(vec![0, 9, u128::from(u64::MAX), 1 << 64, u128::MAX]);
    prop_oneof![ends, any::<u128>()].boxed()
}

pub(super) fn i128s() -> BoxedStrategy<i128> {
    let ends = select(vec![i128::MIN, i128::from(i64::MIN) - 1, -1, i128::MAX]);
    prop_oneof![ends, any::<i128>()].boxed()
}

fn uuids() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn documents() -> impl Strategy<Value = Value> {
    let numbers = prop_oneof![
        f64s().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        numbers,
        texts().prop_map(Value::from),
    ];
    let inner = leaf.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map(texts(), inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    // `serde_json` reads 128 levels.
    let deep =
        (0..200_usize).prop_map(|levels| (0..levels).fold(json!(1), |deep, _| json!([deep])));
    prop_oneof![9 => inner, 1 => deep]
}

fn raws() -> impl Strategy<Value = Raw> {
    let raw = |text: String| Raw(RawValue::from_string(text).expect("it is JSON"));
    let written = select(
        &[
            " { \"a\" : 1 }",
            "{\"a\":1,\"a\":2}",
            "[1,\n 2]",
            "1.10",
            "1E400",
            "null",
            "\"\\u00e4\"",
            "123456789012345678901234567890",
        ][..],
    );
    prop_oneof![
        written.prop_map(move |text| raw(text.to_owned())),
        documents().prop_map(move |document| raw(document.to_string())),
    ]
}

fn untagged() -> impl Strategy<Value = Untagged> {
    let leaf = prop_oneof![
        any::<u8>().prop_map(Untagged::Small),
        f64s().prop_map(Untagged::Float),
        i128s().prop_map(Untagged::Wide),
        uuids().prop_map(Untagged::Id),
        texts().prop_map(Untagged::Text),
        uuids().prop_map(|id| Untagged::Text(id.to_string())),
        Just(Untagged::Nothing),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| vec(inner, 0..3).prop_map(Untagged::List))
}

fn enums() -> impl Strategy<Value = Odd> {
    let nested = || option::of(option::of(any::<u8>()));
    let external = prop_oneof![
        Just(External::Unit),
        f64s().prop_map(External::One),
        (u128s(), option::of(f32s())).prop_map(|(wide, float)| External::Two(wide, float)),
        i128s().prop_map(|wide| External::Named { wide }),
    ];
    let internal = prop_oneof![
        Just(Internal::Unit),
        f64s().prop_map(|value| Internal::Float { value }),
        u128s().prop_map(|value| Internal::Wide { value }),
        btree_map(any::<u8>(), f32s(), 0..3).prop_map(|map| Internal::ByInteger { map }),
        nested().prop_map(|value| Internal::Maybe { value }),
    ];
    let adjacent = prop_oneof![
        Just(Adjacent::UnitLike),
        option::of(Just(())).prop_map(Adjacent::MaybeUnit),
        f64s().prop_map(Adjacent::Float),
        (any::<u64>(), texts()).prop_map(|(number, text)| Adjacent::Pair(number, text)),
    ];
    let swallowed = prop_oneof![
        any::<u8>().prop_map(|x| Swallowed::Short { x }),
        (any::<u8>(), option::of(any::<u8>())).prop_map(|(x, y)| Swallowed::Long { x, y }),
    ];
    prop_oneof![
        external.prop_map(Odd::External),
        internal.prop_map(Odd::Internal),
        adjacent.prop_map(Odd::Adjacent),
        untagged().prop_map(Odd::Untagged),
        swallowed.prop_map(Odd::Swallowed),
        nested().prop_map(Odd::Nested),
        option::of(Just(())).prop_map(Odd::MaybeUnit),
        option::of(documents()).prop_map(Odd::MaybeValue),
        Just(Odd::Unit),
        prop_oneof![any::<u8>().prop_map(Ok), texts().prop_map(Err)].prop_map(Odd::Result),
    ]
}

fn numbers() -> impl Strategy<Value = Odd> {
    let decimal = |(number, scale)| rust_decimal::Decimal::new(number, scale);
    let decimals = move || (any::<i64>(), 0..20_u32).prop_map(decimal);
    prop_oneof![
        2 => f64s().prop_map(Odd::F64),
        1 => f32s().prop_map(Odd::F32),
        1 => vec(f64s(), 0..4).prop_map(Odd::Floats),
        1 => (f64s(), any::<char>(), Just(())).prop_map(Odd::Tuple),
        1 => any::<[i16; 3]>().prop_map(Odd::Array),
        1 => i128s().prop_map(Odd::I128),
        1 => u128s().prop_map(Odd::U128),
        1 => decimals().prop_map(Odd::Decimal),
        1 => decimals().prop_map(Odd::DecimalFloat),
        1 => any::<(i64, i64)>().prop_map(|(from, to)| Odd::Range(from..to)),
    ]
}

fn maps() -> impl Strategy<Value = Odd> {
    let suits = select(&[Suit::Hearts, Suit::Spades, Suit::Other][..]);
    prop_oneof![
        btree_map(any::<i64>(), texts(), 0..3).prop_map(Odd::ByInteger),
        btree_map(u128s(), any::<u8>(), 0..3).prop_map(Odd::ByWide),
        btree_map(suits, any::<u8>(), 0..3).prop_map(Odd::ByVariant),
        btree_map(any::<bool>(), any::<u8>(), 0..3).prop_map(Odd::ByBool),
        btree_map(any::<char>(), any::<u8>(), 0..3).prop_map(Odd::ByChar),
        btree_map(texts().prop_map(Name), any::<u8>(), 0..3).prop_map(Odd::ByName),
        btree_map(uuids(), any::<u8>(), 0..3).prop_map(Odd::ByUuid),
        btree_map(any::<(u8, u8)>(), any::<u8>(), 0..2).prop_map(Odd::ByPair),
        btree_map(option::of(any::<u8>()), any::<u8>(), 0..2).prop_map(Odd::ByMaybe),
        hash_map(texts(), f64s(), 0..4).prop_map(Odd::Hashed),
        btree_set(any::<IpAddr>(), 0..3).prop_map(Odd::Set),
    ]
}

fn times() -> impl Strategy<Value = Odd> {
    let jiffs = || {
        let (least, most) = (jiff::Timestamp::MIN, jiff::Timestamp::MAX);
        let seconds = least.as_second()..=most.as_second();
        let any = (seconds, 0..1_000_000_000).prop_map(|(seconds, nanoseconds)| {
            jiff::Timestamp::new(seconds, nanoseconds).unwrap_or(jiff::Timestamp::MAX)
        });
        prop_oneof![select(vec![least, most, jiff::Timestamp::UNIX_EPOCH]), any]
    };
    let chronos = || {
        // A leap second has more than a thousand milliseconds.
        (any::<i32>(), 0..2_000_000_000_u32).prop_map(|(seconds, nanoseconds)| {
            chrono::DateTime::from_timestamp(i64::from(seconds) * 4, nanoseconds)
                .or_else(|| chrono::DateTime::from_timestamp(i64::from(seconds), 0))
                .expect("a century or two around 1970")
        })
    };
    let offsets = (-86_399..86_400_i32)
        .prop_map(|seconds| chrono::FixedOffset::east_opt(seconds).expect("less than a day"));
    let instants = || {
        let seconds = -377_705_116_800_i64..=253_402_300_799;
        let at = |seconds| {
            time::OffsetDateTime::from_unix_timestamp(seconds).expect("years -9999 to 9999")
        };
        let offset = |(at, nanoseconds, seconds): (time::OffsetDateTime, u32, i32)| {
            let at = at
                .replace_nanosecond(nanoseconds)
                .expect("less than a second");
            let offset = time::UtcOffset::from_whole_seconds(seconds).expect("less than a day");
            at.checked_to_offset(offset).unwrap_or(at)
        };
        (
            seconds.prop_map(at),
            0..1_000_000_000_u32,
            -86_399..86_400_i32,
        )
            .prop_map(offset)
    };
    prop_oneof![
        jiffs().prop_map(Odd::Jiff),
        jiffs().prop_map(|at| Odd::JiffCivil(at.to_zoned(jiff::tz::TimeZone::UTC).datetime())),
        (jiffs(), -93_599..=93_599_i32).prop_map(|(at, seconds)| {
            let offset = jiff::tz::Offset::from_seconds(seconds).expect("less than 26 hours");
            Odd::JiffZoned(at.to_zoned(offset.to_time_zone()))
        }),
        any::<(i64, i32)>().prop_map(|(seconds, nanoseconds)| Odd::JiffDuration(
            jiff::SignedDuration::new(seconds / 2, nanoseconds)
        )),
        (chronos(), offsets).prop_map(|(at, offset)| Odd::Chrono(at.with_timezone(&offset))),
        chronos().prop_map(|at| Odd::ChronoNaive(at.naive_utc())),
        chronos().prop_map(Odd::ChronoSeconds),
        instants().prop_map(Odd::Time),
        instants().prop_map(Odd::TimeText),
        instants().prop_map(Odd::TimeSeconds),
    ]
}

fn names() -> impl Strategy<Value = Odd> {
    use std::os::unix::ffi::OsStringExt;

    let system = || vec(any::<u8>(), 0..5).prop_map(std::ffi::OsString::from_vec);
    let address = |(ip, port, flow, scope): (Ipv6Addr, u16, u32, u32)| {
        SocketAddr::V6(SocketAddrV6::new(ip, port, flow, scope))
    };
    let addresses = prop_oneof![
        any::<SocketAddr>(),
        any::<(Ipv6Addr, u16, u32, u32)>().prop_map(address)
    ];
    let epoch = |(seconds, before): (u32, bool)| {
        let since = Duration::new(seconds.into(), seconds / 5);
        match before {
            true => SystemTime::UNIX_EPOCH - since,
            false => SystemTime::UNIX_EPOCH + since,
        }
    };
    prop_oneof![
        texts().prop_map(|text| Odd::Text(text.into())),
        vec(any::<u8>(), 0..5).prop_map(Odd::Bytes),
        vec(any::<u8>(), 0..5).prop_map(Odd::ByteString),
        select(&["a//b", "a/./b", "a/b/", ""][..]).prop_map(|path| Odd::Path(path.into())),
        system().prop_map(|path| Odd::Path(path.into())),
        system().prop_map(Odd::System),
        addresses.prop_map(Odd::Address),
        any::<Duration>().prop_map(Odd::Duration),
        any::<(u32, bool)>()
            .prop_map(epoch)
            .prop_map(Odd::SystemTime),
    ]
}

fn attributes() -> impl Strategy<Value = Odd> {
    let names = select(&["a", "typeName", "nick", "wide", "float", ""][..]);
    let rest = btree_map(names.prop_map(str::to_owned), documents(), 0..3);
    let parts = (u128s(), f32s()).prop_map(|(wide, float)| Part { wide, float });
    let flat =
        |(type_name, nick, part, rest): (String, Option<f64>, Part, BTreeMap<String, Value>)| {
            Flat {
                type_name,
                nick,
                part,
                rest,
            }
        };
    prop_oneof![
        (texts(), option::of(f64s()), parts, rest)
            .prop_map(flat)
            .prop_map(Odd::Flat),
        documents().prop_map(Odd::Document),
        raws().prop_map(Odd::Raw),
        texts().prop_map(|text| Odd::Masked(Masked(text))),
        texts().prop_map(Odd::Trimmed),
        (any::<i8>(), 0..2_u8).prop_map(|(number, note)| Odd::LeftOut(LeftOut {
            number: number.into(),
            note
        })),
    ]
}

pub(super) fn odds() -> impl Strategy<Value = Odd> {
    prop_oneof![enums(), numbers(), maps(), times(), names(), attributes()]
}
