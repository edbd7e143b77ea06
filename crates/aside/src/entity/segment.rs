//! Segments of keys, read back into the values that they were written from.
//!
//! A warm-up knows only the keys that an instance held, and loads their rows by id.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::entity::Entity;
use crate::entity::key::KeyWriter;
use crate::entity::lookup::Lookup;

/// Returns the value that [`KeyWriter::segment`] wrote as this segment; `None` if it was
/// written as a digest, because it is long, or by another type.
///
/// ```
/// use aside::entity::read_segment;
///
/// assert_eq!(read_segment("en%3Aus"), Some("en:us".to_owned()));
/// assert_eq!(read_segment("7"), Some(7_u64));
/// assert_eq!(read_segment::<u64>("seven"), None);
/// ```
#[must_use]
pub fn read_segment<T: Serialize + DeserializeOwned>(segment: &str) -> Option<T> {
    let (is_json, escaped) = match segment.strip_prefix('^') {
        Some(json) => (true, json),
        None => (false, segment),
    };
    let plain = unescape(escaped)?;
    let text = (!is_json).then(|| Value::String(plain.clone()));
    let text = text.and_then(|text| serde_json::from_value(text).ok());
    // Some types can be read from both, and are written as one of them.
    let candidates = [text, serde_json::from_str(&plain).ok()];
    let is_same = |value: &T| is_written_as(value, is_json, &plain);
    candidates.into_iter().flatten().find(is_same)
}

fn is_written_as<T: Serialize>(value: &T, is_json: bool, plain: &str) -> bool {
    let mut key = KeyWriter::new("", "");
    key.segment(value);
    let written = key.as_str().trim_start_matches(':');
    let unmarked = written.strip_prefix('^');
    unmarked.is_some() == is_json && unescape(unmarked.unwrap_or(written)).as_deref() == Some(plain)
}

/// Returns a segment as it was before it was escaped; `None` for a digest.
fn unescape(segment: &str) -> Option<String> {
    if segment.starts_with('#') {
        return None;
    }
    let mut parts = segment.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// Returns the lookup whose key ends with `text`, after its kind; `None` if the type
/// cannot read it back.
pub(crate) fn read_lookup<E: Entity>(text: &str) -> Option<Lookup<E>> {
    let segments: Vec<&str> = text.split(':').collect();
    let lookup = match &segments[..] {
        ["all"] => E::LIST_ALL.then_some(Lookup::All)?,
        [id] => Lookup::Id(E::read_id(id)?),
        [name, values @ ..] => Lookup::Index(Box::new(E::read_index(name, values)?)),
        [] => return None,
    };
    // An impl by hand may read back another value.
    let is_same = lookup.asked().text().strip_prefix(':') == Some(text);
    is_same.then_some(lookup)
}

/// Reads segments of a type, for the code that `#[derive(Entity)]` writes.
#[doc(hidden)]
#[derive(Debug)]
pub struct Segment<T>(PhantomData<T>);

/// Fallback for types that serde does not read, as those of a field `with` a module.
#[doc(hidden)]
pub trait Unreadable<T> {
    fn read(_: &str) -> Option<T> {
        None
    }
}

impl<T> Unreadable<T> for Segment<T> {}

impl<T: Serialize + DeserializeOwned> Segment<T> {
    pub fn read(segment: &str) -> Option<T> {
        read_segment(segment)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::entity::example::Hero;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Pair {
        one: String,
        other: i32,
    }

    #[track_caller]
    fn assert_read_back<T>(value: T)
    where
        T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        let mut key = KeyWriter::new("", "hero");
        key.name("of");
        key.segment(&value);
        let segment = key.as_str().rsplit(':').next().unwrap();
        assert_eq!(read_segment::<T>(segment), Some(value), "{segment}");
    }

    #[test]
    fn every_value_is_read_back_from_its_segment() {
        for text in [
            "", "7", "all", "en:us", "100%", "#1", "^x", "Маша", "a\nb", "true", "%61ll",
        ] {
            assert_read_back(text.to_owned());
        }
        assert_read_back(7_u64);
        assert_read_back(-7_i32);
        assert_read_back(u128::MAX);
        assert_read_back(true);
        assert_read_back(Some(7_u8));
        assert_read_back(None::<u8>);
        assert_read_back(vec![1, 2]);
        assert_read_back(Pair {
            one: "a:b".to_owned(),
            other: 2,
        });
    }

    #[test]
    fn a_segment_of_another_type_is_not_read() {
        assert_eq!(read_segment::<u64>("seven"), None);
        assert_eq!(read_segment::<u64>("07"), None);
        assert_eq!(read_segment::<u64>("%3"), None);
        assert_eq!(read_segment::<String>("%FF"), None);
        let mut key = KeyWriter::new("", "");
        key.segment(&"x".repeat(300));
        let digest = key.as_str().trim_start_matches(':');
        assert_eq!(read_segment::<String>(digest), None);
    }

    #[test]
    fn an_entity_that_reads_no_ids_has_its_list_of_all_only() {
        assert!(matches!(read_lookup::<Hero>("all"), Some(Lookup::All)));
        assert!(read_lookup::<Hero>("7").is_none());
        assert!(read_lookup::<Hero>("name:a").is_none());
    }
}
