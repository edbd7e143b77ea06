//! The rules that fields obey, checked all at once.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::error::{Invalid, TaleError};
use super::free_json::FreeJson;
use super::time::stored_precision;

/// The longest name or title, in characters.
pub(super) const LONGEST_NAME: usize = 200;
/// The longest entry of a list, and the longest short text, in characters.
pub(super) const LONGEST_PHRASE: usize = 500;
/// The longest description, in characters.
pub(super) const LONGEST_DESCRIPTION: usize = 10_000;
/// The longest text of a story, in bytes.
pub(super) const LARGEST_CONTENT_BYTES: usize = 1024 * 1024;
/// The most entries of a list.
const MOST_ENTRIES: usize = 100;

/// The most problems that are told, so that telling them is bounded too.
const MOST_PROBLEMS: usize = 50;
/// How much of a field's name is told, in characters.
const LONGEST_FIELD: usize = 100;

/// What is wrong with a row, one entry per field and no more than are told.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Invalid>);

impl Problems {
    /// Adds a problem; the first one of a field stands for it.
    pub(super) fn add(&mut self, field: &str, message: impl Into<String>) {
        let field = shown(field);
        let known = self.0.iter().any(|problem| problem.field == field);
        if known || MOST_PROBLEMS <= self.0.len() {
            return;
        }
        self.0.push(Invalid {
            field: field.into_owned(),
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

    /// JSON of any form, within its bounds.
    pub(super) fn json(&mut self, field: &str, value: &FreeJson) {
        if let Some(flaw) = value.flaw() {
            self.add(field, flaw);
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

/// A name as it is told: a client may send one of any length.
fn shown(field: &str) -> Cow<'_, str> {
    match field.char_indices().nth(LONGEST_FIELD) {
        Some((end, _)) => format!("{}...", &field[..end]).into(),
        None => field.into(),
    }
}
