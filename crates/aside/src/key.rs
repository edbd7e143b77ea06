//! Keys: how a lookup becomes the string under which Redis holds its answer.
//!
//! A key is the kind and then one segment after another, joined by `:`, as in
//! `hero:lang:en`. Whatever a value holds is escaped, so a segment never
//! contains a `:` of its own and two different lookups never share a key.
//! The writer hashes a finished key with a fixed seed, because the hash
//! travels between instances: it names the stripe that an invalidation bumps.

use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::xxh3_64;

/// A segment longer than this many bytes is replaced by its digest.
const LONGEST_SEGMENT_BYTES: usize = 200;

/// A finished key, with the hash that every instance computes for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    text: Arc<str>,
    hash: u64,
}

impl Key {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.into(),
            hash: hash(text),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }
}

/// The hash of a key, equal in every process and every build.
pub(crate) fn hash(key: &str) -> u64 {
    xxh3_64(key.as_bytes())
}

/// Writes one key, segment by segment.
///
/// `#[derive(Entity)]` calls it; a hand-written `Entity` does the same:
///
/// ```
/// use aside::KeyWriter;
///
/// let mut key = KeyWriter::new("prod", "hero");
/// key.name("lang");
/// key.segment("en:us");
/// assert_eq!(key.as_str(), "prod:hero:lang:en%3Aus");
/// ```
#[derive(Clone, Debug)]
pub struct KeyWriter {
    text: String,
    segments: usize,
}

impl KeyWriter {
    /// Begins a key of `kind`; an empty `namespace` puts nothing before it.
    #[must_use]
    pub fn new(namespace: &str, kind: &str) -> Self {
        let mut text = String::with_capacity(64);
        if !namespace.is_empty() {
            text.push_str(namespace);
            text.push(':');
        }
        text.push_str(kind);
        Self { text, segments: 0 }
    }

    /// Appends the fixed name of an index, such as `lang`, as it stands.
    pub fn name(&mut self, name: &str) {
        self.text.push(':');
        self.text.push_str(name);
        self.segments += 1;
    }

    /// Appends a value, escaped.
    ///
    /// A value is written as serde would write it in JSON, without quotes
    /// where that is a string, a number or a boolean; anything else is its
    /// JSON text. Two values of one type that serialize alike are the same
    /// segment. A value that refuses to serialize becomes the text of its
    /// refusal: it is still a key of its own, and its lookup still answers.
    pub fn segment<T: Serialize + ?Sized>(&mut self, value: &T) {
        let plain = match serde_json::to_value(value) {
            Ok(serde_json::Value::String(text)) => text,
            Ok(other) => other.to_string(),
            Err(refusal) => format!("^{refusal}"),
        };
        self.text_segment(&plain);
    }

    /// Appends the plain text of a value, escaped.
    pub(crate) fn text_segment(&mut self, plain: &str) {
        let begin = self.text.len();
        self.text.push(':');
        // `{kind}:all` is the list of all, so an id of that name steps aside.
        if self.segments == 0 && plain == "all" {
            self.text.push_str("%61ll");
        } else {
            escape(plain, &mut self.text);
        }
        let segment = &self.text[begin + 1..];
        if segment.len() > LONGEST_SEGMENT_BYTES {
            let digest = Sha256::digest(segment.as_bytes());
            self.text.truncate(begin + 1);
            self.text.push('#');
            for byte in digest {
                let _ = write!(self.text, "{byte:02x}");
            }
        }
        self.segments += 1;
    }

    /// The key as far as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn finish(self) -> Key {
        Key::new(&self.text)
    }
}

/// Percent-encodes what separates segments, what a pattern or a cluster gives
/// a meaning, and what a terminal would act on.
fn escape(plain: &str, into: &mut String) {
    let mut utf8 = [0; 4];
    for character in plain.chars() {
        let special = matches!(
            character,
            ':' | '%' | '{' | '}' | '*' | '?' | '[' | ']' | '\\' | '#' | '^'
        );
        if special || character.is_control() {
            for byte in character.encode_utf8(&mut utf8).bytes() {
                let _ = write!(into, "%{byte:02X}");
            }
        } else {
            into.push(character);
        }
    }
}

/// Whether `name` may be a namespace or a kind: `[a-z0-9_-]+`.
pub(crate) fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_key(id: &str) -> String {
        let mut key = KeyWriter::new("", "hero");
        key.segment(id);
        key.as_str().to_owned()
    }

    #[test]
    fn an_id_named_all_does_not_take_the_place_of_the_list_of_all() {
        assert_eq!(id_key("all"), "hero:%61ll");
        assert_ne!(id_key("%61ll"), "hero:%61ll");
    }

    #[test]
    fn spaces_and_cyrillic_stay_as_they_are() {
        assert_eq!(id_key("Маша и медведь"), "hero:Маша и медведь");
    }

    #[test]
    fn separators_patterns_and_control_characters_are_escaped() {
        assert_eq!(
            id_key("a:b%{c}*?[d]\\#^\n\u{7f}\u{85}"),
            "hero:a%3Ab%25%7Bc%7D%2A%3F%5Bd%5D%5C%23%5E%0A%7F%C2%85"
        );
    }

    #[test]
    fn a_long_segment_becomes_a_digest_of_fixed_length() {
        let long = id_key(&"x".repeat(201));
        assert!(long.starts_with("hero:#"));
        assert_eq!(long.len(), "hero:#".len() + 64);
        assert_eq!(
            id_key(&"x".repeat(200)),
            format!("hero:{}", "x".repeat(200))
        );
    }
}
