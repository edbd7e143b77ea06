//! The rules of the fields, checked together.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::error::{Invalid, TaleError};
use super::free_json::FreeJson;
use super::time::stored_precision;

/// The maximum length of a name or title, in characters.
pub(super) const MAX_NAME: usize = 200;
/// The maximum length of a list entry or a short text, in characters.
pub(super) const MAX_PHRASE: usize = 500;
/// The maximum length of a description, in characters.
pub(super) const MAX_DESCRIPTION: usize = 10_000;
/// The maximum size of a story's text, in bytes.
pub(super) const LARGEST_CONTENT_BYTES: usize = 1024 * 1024;
/// The maximum number of entries of a list.
const MAX_ENTRIES: usize = 100;

/// The maximum number of problems in a response, so that its size is bounded.
const MAX_PROBLEMS: usize = 50;
/// The maximum length of a field name in a problem, in characters.
const MAX_FIELD: usize = 100;

/// The problems of a row: one per field, at most `MAX_PROBLEMS`.
#[derive(Debug, Default)]
pub struct Problems(Vec<Invalid>);

impl Problems {
    /// Adds a problem. Only the first problem of a field is kept.
    pub(super) fn add(&mut self, field: &str, message: impl Into<String>) {
        let field = shown(field);
        let known = self.0.iter().any(|problem| problem.field == field);
        if known || MAX_PROBLEMS <= self.0.len() {
            return;
        }
        self.0.push(Invalid {
            field: field.into_owned(),
            message: message.into(),
        });
    }

    /// Checks a text that must contain more than whitespace.
    pub(super) fn words(&mut self, field: &str, text: &str, longest: usize) {
        if text.trim().is_empty() {
            self.add(field, "must not be empty");
        }
        self.text(field, text, longest);
    }

    /// Checks a text that may be empty.
    pub(super) fn text(&mut self, field: &str, text: &str, longest: usize) {
        self.without_nul(field, text);
        // A text never has more characters than bytes, so most need no
        // counting.
        if longest < text.len() && longest < text.chars().count() {
            self.add(field, format!("must have at most {longest} characters"));
        }
    }

    /// Checks a text that is bounded in bytes.
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

    /// Checks a list of phrases, none of which may be blank.
    pub(super) fn phrases(&mut self, field: &str, phrases: &[String], fewest: usize) {
        if phrases.len() < fewest {
            self.add(field, format!("must have at least {fewest} entry"));
        }
        if MAX_ENTRIES < phrases.len() {
            self.add(field, format!("must have at most {MAX_ENTRIES} entries"));
        }
        for (position, phrase) in phrases.iter().enumerate().take(MAX_ENTRIES) {
            self.words(&format!("{field}[{position}]"), phrase, MAX_PHRASE);
        }
    }

    /// Checks a number from `least` to `most`.
    pub(super) fn number(&mut self, field: &str, number: i32, least: i32, most: i32) {
        if number < least || most < number {
            self.add(field, format!("must be from {least} to {most}"));
        }
    }

    /// Checks that both databases store the time exactly.
    pub(super) fn time(&mut self, field: &str, time: Timestamp) {
        if stored_precision(time) != time {
            self.add(field, "must have whole microseconds");
        }
        // As text, timestamps sort by time only if years have four digits.
        if time.to_zoned(TimeZone::UTC).year() < 1 {
            self.add(field, "must be of our era");
        }
    }

    /// Checks JSON of any form against its bounds.
    pub(super) fn json(&mut self, field: &str, value: &FreeJson) {
        if let Some(flaw) = value.flaw() {
            self.add(field, flaw);
        }
    }

    /// PostgreSQL cannot store NUL, so SQLite does not get one either.
    fn without_nul(&mut self, field: &str, text: &str) {
        if text.contains('\0') {
            self.add(field, "must not contain the NUL character");
        }
    }

    /// Returns `Ok` if there was no problem.
    pub(super) fn finish(self) -> Result<(), TaleError> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(TaleError::Invalid(self.0.into()))
    }
}

/// Shortens a field name for a message, because a client may send any length.
fn shown(field: &str) -> Cow<'_, str> {
    match field.char_indices().nth(MAX_FIELD) {
        Some((end, _)) => format!("{}...", &field[..end]).into(),
        None => field.into(),
    }
}
