//! JSON of any form inside a row, stored as its original text.
//!
//! A tree of many small values takes eighty times the memory of its text. It
//! also loses the form of numbers, the order of fields and repeated names. So
//! the text is never parsed into a tree. It is scanned once from front to back,
//! and refused before it is stored if it exceeds the bounds.

use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The size limit of the text, in bytes.
const LARGEST_BYTES: usize = 1024 * 1024;
/// The maximum nesting depth of lists and objects. Many JSON readers give up at
/// 128, and a response nests the text a few levels deeper.
const DEEPEST: usize = 100;
/// The maximum number of values, including field names. Readers that build a
/// tree take up to 90 bytes per value.
const MAX_VALUES: usize = 100_000;
/// The maximum length of a number, in characters.
const MAX_NUMBER: usize = 1_000;

/// JSON of any form. It takes as much memory as its text. Two are equal if
/// their texts are equal; spaces between values are removed on reading.
#[derive(Clone, Debug)]
pub struct FreeJson(Arc<RawValue>);

impl FreeJson {
    /// Returns the text.
    #[must_use]
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// Returns the first reason why some readers could not read the text, if
    /// any.
    pub(super) fn flaw(&self) -> Option<String> {
        let text = self.get();
        if LARGEST_BYTES < text.len() {
            return Some(format!("must have at most {LARGEST_BYTES} bytes"));
        }
        Scan::new(text).run().err()
    }
}

impl PartialEq for FreeJson {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl From<serde_json::Value> for FreeJson {
    fn from(value: serde_json::Value) -> Self {
        // A value always has a text.
        let text = serde_json::value::to_raw_value(&value);
        Self(text.unwrap_or_else(|_| RawValue::NULL.to_owned()).into())
    }
}

impl Serialize for FreeJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for FreeJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        match without_spaces(raw.get()) {
            None => Ok(Self(raw.into())),
            Some(text) => {
                let raw = RawValue::from_string(text).map_err(D::Error::custom)?;
                Ok(Self(raw.into()))
            }
        }
    }
}

/// Returns the text without the spaces between its values, or `None` if it has
/// none. Such a space may be a line break, and a row has to be one line.
fn without_spaces(text: &str) -> Option<String> {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    text.as_bytes().iter().find(|byte| space(byte))?;
    let mut kept = String::with_capacity(text.len());
    let (mut in_text, mut escaped, mut begin) = (false, false, 0);
    for (at, byte) in text.bytes().enumerate() {
        if in_text {
            in_text = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte == b'"' {
            in_text = true;
        } else if space(&byte) {
            kept.push_str(&text[begin..at]);
            begin = at + 1;
        }
    }
    kept.push_str(&text[begin..]);
    (kept.len() < text.len()).then_some(kept)
}

/// One pass over a text that is known to be JSON.
struct Scan<'a> {
    text: &'a str,
    at: usize,
    values: usize,
    depth: usize,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            values: 0,
            depth: 0,
        }
    }

    fn run(mut self) -> Result<(), String> {
        while let Some(byte) = self.next() {
            match byte {
                b'{' | b'[' => {
                    self.depth += 1;
                    if DEEPEST < self.depth {
                        return Err(format!("must be at most {DEEPEST} levels deep"));
                    }
                }
                b'}' | b']' => {
                    self.depth -= 1;
                    continue;
                }
                b'"' => self.string()?,
                b'-' | b'0'..=b'9' => self.number()?,
                b't' | b'f' | b'n' => self.skip(|byte| byte.is_ascii_lowercase()),
                _ => continue,
            }
            self.values += 1;
            if MAX_VALUES < self.values {
                let message = "must have at most 100000 values, counting the names of fields";
                return Err(message.to_owned());
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.text.as_bytes().get(self.at).copied();
        self.at += 1;
        byte
    }

    fn skip(&mut self, belongs: impl Fn(u8) -> bool) {
        let rest = self.text.as_bytes().iter().skip(self.at);
        self.at += rest.take_while(|byte| belongs(**byte)).count();
    }

    fn string(&mut self) -> Result<(), String> {
        let mut high = false;
        while let Some(byte) = self.next() {
            let escaped = (byte == b'\\').then(|| self.next()).flatten();
            let unit = (escaped == Some(b'u')).then(|| self.unit());
            let low = matches!(unit, Some(0xDC00..=0xDFFF));
            if high != low {
                return Err("must not contain half of a surrogate pair".to_owned());
            }
            high = matches!(unit, Some(0xD800..=0xDBFF));
            if unit == Some(0) {
                // PostgreSQL cannot store NUL, so SQLite does not get one
                // either.
                return Err("must not contain the NUL character".to_owned());
            }
            if byte == b'"' {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Returns the code unit of an escape's four digits, or 1 if they are
    /// invalid, which valid JSON rules out.
    fn unit(&mut self) -> u32 {
        let digits = self.text.get(self.at..self.at + 4);
        self.at += 4;
        digits
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .unwrap_or(1)
    }

    /// Most readers hold numbers as `f64`, and some refuse the whole text
    /// because of one number that does not fit.
    fn number(&mut self) -> Result<(), String> {
        let begin = self.at - 1;
        self.skip(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        let digits = &self.text[begin..self.at];
        if MAX_NUMBER < digits.len() {
            return Err(format!(
                "must not contain numbers of more than {MAX_NUMBER} characters"
            ));
        }
        match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(()),
            _ => Err("must not contain numbers beyond 1.8e308".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> FreeJson {
        serde_json::from_str(text).unwrap()
    }

    fn flaw(text: &str) -> String {
        read(text).flaw().unwrap_or_default()
    }

    #[test]
    fn text_is_unchanged_except_for_spaces_between_values() {
        let text = r#"{"b":1.0,"a":[1e2,-0,18446744073709551616,"\u00e9 \" x"],"a":{}}"#;
        assert_eq!(serde_json::to_string(&read(text)).unwrap(), text);
        let spaced = "{ \"a b\\\" \" :\n[ 1 ,\t\"\\\\\" , 2 ]\r\n}";
        assert_eq!(read(spaced).get(), "{\"a b\\\" \":[1,\"\\\\\",2]}");
        assert_eq!(flaw(text), "");
    }

    #[test]
    fn json_that_common_readers_reject_is_refused() {
        for (text, flawed) in [
            (r#""\u0000""#, "NUL"),
            (r#"{"a\u0000":1}"#, "NUL"),
            (r#""\ud800""#, "surrogate"),
            (r#""\ud800x\udc00""#, "surrogate"),
            (r#""\udc00""#, "surrogate"),
            (r#""\\ud800 \ud83d\ude00""#, ""),
            ("1e308", ""),
            ("[1e309]", "beyond"),
            ("-1e999999999", "beyond"),
        ] {
            let said = flaw(text);
            assert!(said.contains(flawed) && said.is_empty() == flawed.is_empty());
        }
    }

    #[test]
    fn depth_count_size_and_length_are_bounded() {
        let deep = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(flaw(&deep(100)), "");
        assert!(flaw(&deep(101)).contains("levels"));
        assert!(flaw(&deep(100_000)).contains("levels"));
        let many = |values: usize| format!("[{}0]", "0,".repeat(values - 2));
        assert_eq!(flaw(&many(100_000)), "");
        assert!(flaw(&many(100_001)).contains("values"));
        assert!(flaw(&"9".repeat(1_001)).contains("characters"));
        let large = format!("\"{}\"", "a".repeat(1024 * 1024 - 1));
        assert!(flaw(&large).contains("bytes"));
    }
}
