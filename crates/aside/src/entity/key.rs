//! Keys: the strings under which Redis holds rows and lists.
//!
//! A key is the kind followed by segments, joined by `:`, as in `hero:lang:en`.
//! Values are escaped, so a segment never contains a `:` and two different
//! lookups never share a key. The hash of a key has a fixed seed because it
//! travels between instances: it selects the generation that an invalidation
//! increments.

use crate::entity::fold::Fold;
use crate::entity::namespace::Namespace;
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::io;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::xxh3_64;

/// A segment longer than this many bytes is replaced by its digest.
const MAX_SEGMENT_BYTES: usize = 200;

/// A finished key, with the hash that every instance computes for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    text: Arc<str>,
    hash: u64,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Key {
    /// Returns the key of the hash that holds the epochs.
    pub(crate) fn of_epochs(namespace: Namespace<'_>) -> Self {
        Self::new(&namespace.own_key("epochs"))
    }

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

/// Returns the hash of a key, equal in every process and every build.
pub(crate) fn hash(key: &str) -> u64 {
    xxh3_64(key.as_bytes())
}

/// Writes one key, segment by segment.
///
/// `#[derive(Entity)]` calls it; an `Entity` written by hand does the same:
///
/// ```
/// use aside::entity::KeyWriter;
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
    /// Begins a key of `kind`; an empty `namespace` adds no prefix.
    #[must_use]
    pub fn new(namespace: &str, kind: &str) -> Self {
        let mut text = String::with_capacity(64);
        Namespace(namespace).begin(&mut text);
        text.push_str(kind);
        Self { text, segments: 0 }
    }

    /// Appends the fixed name of an index, such as `lang`, without escaping.
    pub fn name(&mut self, name: &str) {
        self.text.push(':');
        self.text.push_str(name);
        self.segments += 1;
    }

    /// Appends a value, escaped.
    ///
    /// A string is written verbatim, a number or a boolean as in JSON, and any
    /// other value as `^` and its JSON text. Two values of one type that
    /// serialize differently get two segments. The exception is a type that
    /// holds both texts and numbers, such as an untagged enum: `"5"` and `5`
    /// share a segment, so it must not identify anything.
    ///
    /// A value that fails to serialize gets a new segment each time. Its
    /// lookups are never shared and never cached.
    pub fn segment<T: Serialize + ?Sized>(&mut self, value: &T) {
        // Not `serde_json::Value`, which has no `u128` and whose order of
        // fields depends on a feature that any crate can enable.
        let mut short = Short::default();
        let written = serde_json::to_writer(&mut short, value);
        if let (Ok(()), Ok(json)) = (written, std::str::from_utf8(short.written())) {
            return self.json_segment(json);
        }
        match serde_json::to_string(value) {
            Ok(json) => self.json_segment(&json),
            Err(_) => self.push("^", &format!("{:032x}", fastrand::u128(..))),
        }
    }

    /// Appends a text, folded and escaped.
    pub fn folded_segment(&mut self, text: &str, fold: Fold) {
        self.text_segment(&fold.apply(text));
    }

    /// Appends a value by its JSON text, as [`segment`](Self::segment) does.
    pub(crate) fn json_segment(&mut self, json: &str) {
        match json.as_bytes() {
            // Nothing in it is escaped.
            [b'"', plain @ .., b'"'] if !plain.contains(&b'\\') => {
                self.text_segment(&json[1..json.len() - 1]);
            }
            [b'"', ..] => match serde_json::from_str::<String>(json) {
                Ok(plain) => self.text_segment(&plain),
                Err(_) => self.push("^", json),
            },
            [b'n' | b'[' | b'{', ..] => self.push("^", json),
            _ => self.text_segment(json),
        }
    }

    /// Appends the plain text of a value, escaped.
    pub(crate) fn text_segment(&mut self, plain: &str) {
        // `{kind}:all` is the list of all, so this id is written differently.
        if self.segments == 0 && plain == "all" {
            self.text.push_str(":%61ll");
            self.segments += 1;
        } else {
            self.push("", plain);
        }
    }

    /// Appends one segment: `mark` verbatim, and `plain` escaped.
    ///
    /// Escaping never produces `^` or `#`, so a marked segment or a digest
    /// never equals a plain one.
    fn push(&mut self, mark: &str, plain: &str) {
        self.text.push(':');
        let begin = self.text.len();
        self.text.push_str(mark);
        escape(plain, &mut self.text);
        let segment = &self.text[begin..];
        if segment.len() > MAX_SEGMENT_BYTES {
            let digest = Sha256::digest(segment.as_bytes());
            self.text.truncate(begin);
            self.text.push('#');
            for byte in digest {
                let _ = write!(self.text, "{byte:02x}");
            }
        }
        self.segments += 1;
    }

    /// Returns the key written so far.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn finish(self) -> Key {
        Key::new(&self.text)
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

/// A buffer on the stack, large enough for the JSON of most values.
struct Short {
    bytes: [u8; 128],
    length: usize,
}

impl Default for Short {
    fn default() -> Self {
        Self {
            bytes: [0; 128],
            length: 0,
        }
    }
}

impl Short {
    fn written(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl io::Write for Short {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let end = self.length + bytes.len();
        let room = self.bytes.get_mut(self.length..end);
        room.ok_or(io::ErrorKind::StorageFull)?
            .copy_from_slice(bytes);
        self.length = end;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Percent-encodes separators, characters special to patterns or clusters, and
/// control characters.
fn escape(plain: &str, into: &mut String) {
    // Most ids are plain. A loop without an early exit is vectorised.
    let is_plain = |byte: u8| byte == b'-' || byte.is_ascii_alphanumeric();
    if plain.bytes().fold(true, |all, byte| all & is_plain(byte)) {
        into.push_str(plain);
        return;
    }
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

/// Returns true if `name` may be a namespace or a kind: `[a-z0-9_-]+`.
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
    fn an_id_named_all_is_not_the_list_of_all() {
        assert_eq!(id_key("all"), "hero:%61ll");
        assert_ne!(id_key("%61ll"), "hero:%61ll");
    }

    #[test]
    fn spaces_and_cyrillic_are_kept() {
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

    fn of<T: Serialize + ?Sized>(value: &T) -> String {
        let mut key = KeyWriter::new("", "hero");
        key.segment(value);
        key.as_str().to_owned()
    }

    #[test]
    fn numbers_of_any_size_and_booleans_are_kept() {
        assert_eq!(of(&-7), "hero:-7");
        assert_eq!(of(&true), "hero:true");
        assert_eq!(of(&u128::MAX), format!("hero:{}", u128::MAX));
        assert_ne!(of(&u128::MAX), of(&(u128::MAX - 1)));
    }

    #[test]
    fn a_composed_value_is_marked_json_in_declared_order() {
        #[derive(Serialize)]
        struct Place {
            shelf: u8,
            row: &'static str,
        }

        let place = Place {
            shelf: 3,
            row: "b:c",
        };
        assert_eq!(of(&place), r#"hero:^%7B"shelf"%3A3,"row"%3A"b%3Ac"%7D"#);
        assert_eq!(of(&(1, 2)), "hero:^%5B1,2%5D");
    }

    #[test]
    fn an_absent_value_is_not_the_text_null() {
        assert_eq!(of(&None::<String>), "hero:^null");
        assert_eq!(of(&Some("null")), "hero:null");
        assert_eq!(of("^null"), "hero:%5Enull");
    }

    #[test]
    fn values_that_fail_to_serialize_never_share_a_key() {
        // JSON object keys cannot be tuples.
        let refusing = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert_ne!(of(&refusing), of(&refusing));
    }
}
