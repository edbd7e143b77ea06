//! How the database compares names, as far as its answers tell.
//!
//! A column may be compared without regard to case, or to blanks at the end. Then a
//! row is found under names that it does not have, and an absence, or a list,
//! ends with a row that has another name: its write forgets the row's own names
//! alone. So a row is kept under its own name only. An absence is kept where the
//! id has one spelling, or the strategy vouches for the column. Lists are
//! kept until a row was found in one whose value it does not have; nothing tells
//! before.

use std::sync::atomic::{AtomicU64, Ordering};

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::Kind;
use crate::entity::lookup::{Asked, Found};
use crate::entity::{Entity, IndexShape};

/// Which names the database is known to compare otherwise than by their text.
#[derive(Default)]
pub(super) struct Names {
    /// A bit for each index, and the highest for ids.
    loose: AtomicU64,
}

const OF_IDS: u64 = 1 << 63;

impl<E: Entity> Kind<E> {
    /// The database has found a row under a name that it does not have.
    pub(super) fn distrust(&self, asked: Asked<'_, E>) {
        let bit = bit_of(asked);
        if self.names.loose.fetch_or(bit, Ordering::SeqCst) & bit != 0 {
            return;
        }
        tracing::warn!(
            kind = E::KIND,
            index = shape_of(asked).map(|shape| shape.segment),
            "the database finds rows under other names than they have, as where it ignores \
             case; rows are cached under their own, absences and lists of these names are not"
        );
        // What was kept before.
        if let Some(in_process) = &self.in_process {
            in_process.clear();
        }
    }

    /// Whether an answer is true until a row of its own name is written.
    pub(super) fn is_trusted(&self, asked: Asked<'_, E>, found: &Found<E>) -> bool {
        match asked {
            Asked::Id(_) if !found.is_absence() => true,
            Asked::Id(_) => {
                self.strategy.ids_are_exact() && !self.is_loose(asked)
                    || !has_other_spelling(&asked.text())
            }
            Asked::Index(_) => {
                let is_full = shape_of(asked).is_some_and(|shape| shape.unique);
                is_full && !found.is_absence() || !self.is_loose(asked)
            }
            Asked::All => true,
        }
    }

    /// Whether a value may have been cached by an instance that knew less.
    pub(super) fn is_outdone(&self, asked: Asked<'_, E>, found: &Found<E>) -> bool {
        self.names.loose.load(Ordering::SeqCst) != 0
            && self.is_loose(asked)
            && !self.is_trusted(asked, found)
    }

    fn is_loose(&self, asked: Asked<'_, E>) -> bool {
        let loose = self.names.loose.load(Ordering::SeqCst);
        loose != 0 && loose & bit_of(asked) != 0
    }
}

/// The place of the index among those of the kind.
fn place_of<E: Entity>(asked: Asked<'_, E>) -> Option<usize> {
    let text = asked.text();
    let name = text.split(':').nth(1)?;
    E::INDEXES.iter().position(|shape| shape.segment == name)
}

fn shape_of<E: Entity>(asked: Asked<'_, E>) -> Option<&'static IndexShape> {
    match asked {
        Asked::Index(_) => E::INDEXES.get(place_of(asked)?),
        Asked::Id(_) | Asked::All => None,
    }
}

fn bit_of<E: Entity>(asked: Asked<'_, E>) -> u64 {
    match asked {
        Asked::Id(_) => OF_IDS,
        Asked::Index(_) => 1 << place_of(asked).unwrap_or(62).min(62),
        Asked::All => 0,
    }
}

/// Whether a database could take another text for the same id.
fn has_other_spelling(key: &str) -> bool {
    let segment = key.strip_prefix(':').unwrap_or(key);
    let plain = |text| percent_decode_str(text).decode_utf8_lossy();
    match segment.strip_prefix('^') {
        Some(json) => serde_json::from_str(&plain(json)).map_or(true, |json| holds_text(&json)),
        None => is_text(&plain(segment)),
    }
}

fn holds_text(json: &Value) -> bool {
    match json {
        Value::String(text) => is_text(text),
        Value::Array(items) => items.iter().any(holds_text),
        Value::Object(fields) => fields.values().any(holds_text),
        Value::Number(number) => is_text(&number.to_string()),
        Value::Null | Value::Bool(_) => false,
    }
}

/// Letters have two cases and accents, digits have widths, blanks may be added at
/// an end, a collation may ignore punctuation, and 1.0 is 1.00. An integer and a
/// UUID are written in one way.
fn is_text(plain: &str) -> bool {
    !is_uuid(plain) && !is_integer(plain)
}

fn is_integer(plain: &str) -> bool {
    let digits = plain.strip_prefix('-').unwrap_or(plain);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number && (plain == "0" || !digits.starts_with('0'))
}

fn is_uuid(plain: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    plain.len() == 36
        && plain.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => is_digit(byte),
        })
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;
    use crate::entity::key::KeyWriter;

    fn has_other<T: Serialize + ?Sized>(id: &T) -> bool {
        let mut key = KeyWriter::new("", "");
        key.segment(id);
        has_other_spelling(key.as_str())
    }

    #[test]
    fn only_integers_and_uuids_have_one_spelling() {
        for text in [
            "SPRING",
            "straße",
            "7 ",
            "é",
            "a:b",
            "x-1",
            // A decimal is equal to one with fewer digits, and a collation may
            // ignore what stands between digits, or how wide they are.
            "1.00",
            "007",
            "-0",
            "+7",
            "978-3",
            "７",
            "",
            "550E8400-E29B-41D4-A716-446655440000",
            &"y".repeat(300),
        ] {
            assert!(has_other(text), "{text:?}");
            assert!(has_other(&(1, text)), "{text:?}");
        }
        assert!(has_other(&1.5) && has_other(&(1, -0.0)));
        for text in ["0", "7", "550e8400-e29b-41d4-a716-446655440000"] {
            assert!(!has_other(text), "{text:?}");
            assert!(!has_other(&(1, text)), "{text:?}");
        }
        assert!(!has_other(&-7) && !has_other(&u128::MAX));
        assert!(!has_other(&(1, [2, 3])));
    }
}
