//! The rules that fields obey, checked all at once.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::error::{Invalid, TaleError};
use super::time::stored_precision;

/// The longest name or title, in characters.
pub(super) const LONGEST_NAME: usize = 200;
/// The longest entry of a list, and the longest short text, in characters.
pub(super) const LONGEST_PHRASE: usize = 500;
/// The longest description, in characters.
pub(super) const LONGEST_DESCRIPTION: usize = 10_000;
/// The longest text of a story, and the largest free-form JSON, in bytes.
pub(super) const LARGEST_CONTENT_BYTES: usize = 1024 * 1024;
/// The most entries of a list.
const MOST_ENTRIES: usize = 100;

/// What is wrong with a row, one entry per field.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Invalid>);

impl Problems {
    /// Adds a problem; the first one of a field stands for it.
    pub(super) fn add(&mut self, field: &str, message: impl Into<String>) {
        if self.0.iter().any(|problem| problem.field == field) {
            return;
        }
        self.0.push(Invalid {
            field: field.to_owned(),
            message: message.into(),
        });
    }

    /// A text that says something: not empty, not only whitespace.
    pub(super) fn words(&mut self, field: &str, text: &str, longest: usize) {
        if text.trim().is_empty() {
            self.add(field, "must not be empty");
        }
        self.text(field, text, longest);
    }

    /// A text that may be empty.
    pub(super) fn text(&mut self, field: &str, text: &str, longest: usize) {
        self.without_nul(field, text);
        // Characters are never more than bytes, so most texts need no count.
        if longest < text.len() && longest < text.chars().count() {
            self.add(field, format!("must have at most {longest} characters"));
        }
    }

    /// A text bounded by its bytes.
    pub(super) fn content(&mut self, field: &str, text: &str) {
        if text.trim().is_empty() {
            self.add(field, "must not be empty");
        }
        self.without_nul(field, text);
        if LARGEST_CONTENT_BYTES < text.len() {
            let message = format!("must have at most {LARGEST_CONTENT_BYTES} bytes");
            self.add(field, message);
        }
    }

    /// A list of phrases, each of which says something.
    pub(super) fn phrases(&mut self, field: &str, phrases: &[String], fewest: usize) {
        if phrases.len() < fewest {
            self.add(field, format!("must have at least {fewest} entry"));
        }
        if MOST_ENTRIES < phrases.len() {
            self.add(field, format!("must have at most {MOST_ENTRIES} entries"));
        }
        for (position, phrase) in phrases.iter().enumerate().take(MOST_ENTRIES) {
            self.words(&format!("{field}[{position}]"), phrase, LONGEST_PHRASE);
        }
    }

    /// A number from `least` to `most`.
    pub(super) fn number(&mut self, field: &str, number: i32, least: i32, most: i32) {
        if number < least || most < number {
            self.add(field, format!("must be from {least} to {most}"));
        }
    }

    /// A time that both databases keep exactly.
    pub(super) fn time(&mut self, field: &str, time: Timestamp) {
        if stored_precision(time) != time {
            self.add(field, "must have whole microseconds");
        }
        // Text sorts as time does only where years have four digits.
        if time.to_zoned(TimeZone::UTC).year() < 1 {
            self.add(field, "must be of our era");
        }
    }

    /// Free-form JSON of bounded size.
    pub(super) fn json(&mut self, field: &str, value: &Value) {
        if holds_nul(value) {
            self.add(field, "must not contain the NUL character");
        }
        if LARGEST_CONTENT_BYTES < value.to_string().len() {
            let message = format!("must have at most {LARGEST_CONTENT_BYTES} bytes");
            self.add(field, message);
        }
    }

    /// PostgreSQL stores no NUL, so SQLite is not given one either.
    fn without_nul(&mut self, field: &str, text: &str) {
        if text.contains('\0') {
            self.add(field, "must not contain the NUL character");
        }
    }

    /// `Ok` if there was no problem.
    pub(super) fn finish(self) -> Result<(), TaleError> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(TaleError::Invalid(self.0.into()))
    }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(holds_nul),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
