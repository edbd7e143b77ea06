//! Name comparison of the database, as far as its results reveal it.
//!
//! A column may be compared without regard to case, or to trailing blanks. Then
//! a row is found under names that it does not have. An absence or a list then
//! ends with the write of a row under another name, but that write invalidates
//! only the row's own names. So a row is cached only under its own name. An
//! absence is cached if the id has one spelling, or if the strategy vouches for
//! the column. Lists are cached until a row was found in one whose value it
//! does not have, because nothing reveals it earlier.

use std::sync::atomic::{AtomicU64, Ordering};

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::Kind;
use crate::entity::lookup::{Found, LookupRef};
use crate::entity::{Entity, IndexShape};

/// The names that the database compares by more than their text.
#[derive(Default)]
pub(super) struct Names {
    /// One bit per index, and the highest bit for ids.
    loose: AtomicU64,
}

const OF_IDS: u64 = 1 << 63;

impl<E: Entity> Kind<E> {
    /// Records that the database found a row under a name that it does not
    /// have.
    pub(super) fn distrust(&self, asked: LookupRef<'_, E>) {
        let bit = bit_of(asked);
        if self.names.loose.fetch_or(bit, Ordering::SeqCst) & bit != 0 {
            return;
        }
        tracing::warn!(
            kind = E::KIND,
            index = shape_of(asked).map(|shape| shape.segment),
            "the database finds rows under names that they do not have, for example by ignoring \
             case; rows are cached under their own names, absences and lists of these names are not"
        );
        // Removes entries cached before.
        if let Some(local) = &self.local {
            local.clear();
        }
    }

    /// Returns true if a result stays correct until a row of that name is
    /// written.
    pub(super) fn is_trusted(&self, asked: LookupRef<'_, E>, found: &Found<E>) -> bool {
        match asked {
            LookupRef::Id(_) if !found.is_absence() => true,
            LookupRef::Id(_) => {
                self.strategy.ids_are_exact() && !self.is_loose(asked)
                    || !has_other_spelling(&asked.text())
            }
            LookupRef::Index(_) => {
                let is_full = shape_of(asked).is_some_and(|shape| shape.unique);
                is_full && !found.is_absence() || !self.is_loose(asked)
            }
            LookupRef::All => true,
        }
    }

    /// Returns true if a value may come from an instance that did not know this
    /// yet.
    pub(super) fn is_outdone(&self, asked: LookupRef<'_, E>, found: &Found<E>) -> bool {
        self.names.loose.load(Ordering::SeqCst) != 0
            && self.is_loose(asked)
            && !self.is_trusted(asked, found)
    }

    fn is_loose(&self, asked: LookupRef<'_, E>) -> bool {
        let loose = self.names.loose.load(Ordering::SeqCst);
        loose != 0 && loose & bit_of(asked) != 0
    }
}

/// Returns the position of the index among those of the kind.
fn place_of<E: Entity>(asked: LookupRef<'_, E>) -> Option<usize> {
    let text = asked.text();
    let name = text.split(':').nth(1)?;
    E::INDEXES.iter().position(|shape| shape.segment == name)
}

fn shape_of<E: Entity>(asked: LookupRef<'_, E>) -> Option<&'static IndexShape> {
    match asked {
        LookupRef::Index(_) => E::INDEXES.get(place_of(asked)?),
        LookupRef::Id(_) | LookupRef::All => None,
    }
}

fn bit_of<E: Entity>(asked: LookupRef<'_, E>) -> u64 {
    match asked {
        LookupRef::Id(_) => OF_IDS,
        LookupRef::Index(_) => 1 << place_of(asked).unwrap_or(62).min(62),
        LookupRef::All => 0,
    }
}

/// Returns true if a database may treat another text as the same id.
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

/// Returns true if a text may have other spellings. Letters have two cases and
/// accents, digits have widths, blanks may be appended, a collation may ignore
/// punctuation, and 1.0 is 1.00. Integers and UUIDs have one spelling.
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
            // A decimal equals one with fewer digits, and a collation may
            // ignore characters between digits, or their width.
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
