//! Codecs: conversion between a row and its text in Redis.

use serde_json::value::RawValue;

use crate::entity::Entity;

/// A row could not be encoded, or a text could not be decoded.
///
/// On a write the row is returned but not cached. On a read it counts as a
/// miss, and the next fill replaces the value. The caller sees neither.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct CodecError(String);

impl CodecError {
    /// Describes the problem; `what` must not contain data of the row.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl From<serde_json::Error> for CodecError {
    fn from(error: serde_json::Error) -> Self {
        // serde's own message may quote the row, its position does not.
        Self(format!(
            "{:?} error at line {} column {}",
            error.classify(),
            error.line(),
            error.column()
        ))
    }
}

/// The reason why a row does not survive the round trip through its text. Such
/// a row is returned to the caller but not cached.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// It cannot be encoded.
    #[error("it cannot be encoded: {0}")]
    Unwritable(CodecError),
    /// Its text cannot be decoded: it contains a number that is not finite, for
    /// example, or nests deeper than 128 levels.
    #[error("its text cannot be decoded: {0}")]
    Unreadable(CodecError),
    /// The decoded row differs.
    #[error("its `{field}` differs after a round trip through its text")]
    Changed {
        /// The first field that differs; `row` if an [`Entity`] written by hand
        /// does not name it.
        field: &'static str,
    },
}

/// Checks that a row can be cached: that it survives the round trip through
/// JSON unchanged.
///
/// The cache checks this itself before it stores a row, and does not store one
/// that fails. A test that calls this with typical rows finds the problem
/// before production does. `check_entity` of `aside-testkit` checks more.
///
/// ```
/// # use aside::Entity;
/// # use serde::{Deserialize, Serialize};
/// #[derive(Clone, Serialize, Deserialize, Entity)]
/// #[entity(kind = "sample")]
/// struct Sample {
///     #[entity(id)]
///     id: u32,
///     celsius: f64,
/// }
///
/// assert!(aside::codec::survives(&Sample { id: 1, celsius: 0.1 }).is_ok());
/// // JSON has no infinity.
/// assert!(aside::codec::survives(&Sample { id: 1, celsius: f64::INFINITY }).is_err());
/// ```
///
/// # Errors
/// Returns how the row changes.
pub fn survives<E: Entity>(row: &E) -> Result<(), Lost> {
    let text = Json.encode(row).map_err(Lost::Unwritable)?;
    comes_back(&Json, row, &text)
}

/// Checks that `text`, written by the codec, decodes to the row.
pub(crate) fn comes_back<E: Entity>(codec: &dyn Codec<E>, row: &E, text: &str) -> Result<(), Lost> {
    let other = codec.decode(text).map_err(Lost::Unreadable)?;
    match row.difference(&other) {
        Some(field) => Err(Lost::Changed { field }),
        None => Ok(()),
    }
}

/// The text form of a row: a JSON value, because the payload around it is JSON.
///
/// The default is [`Json`]. Another codec must also write JSON values, so that
/// `redis-cli GET` stays readable and the payload can be parsed.
pub trait Codec<E: Entity>: Send + Sync + 'static {
    /// Encodes one row as a JSON value.
    ///
    /// # Errors
    /// If the row has no such form; it is then returned but not cached.
    fn encode(&self, row: &E) -> Result<String, CodecError>;

    /// Decodes a text that `encode` wrote.
    ///
    /// # Errors
    /// If the text is not such a row; the lookup is then a miss.
    fn decode(&self, json: &str) -> Result<E, CodecError>;

    /// Returns true if `decode` inverts `encode` wherever serde's JSON does so
    /// for the types of the fields.
    ///
    /// Rows of [`IS_PLAIN`](Entity::IS_PLAIN) kinds are then checked by sample.
    /// Default: false, which checks each row before it is cached.
    fn is_exact(&self) -> bool {
        false
    }

    /// Decodes a JSON array of rows.
    ///
    /// # Errors
    /// If any element is not such a row; the lookup is then a miss.
    fn decode_list(&self, json: &str) -> Result<Vec<E>, CodecError> {
        let rows: Vec<&RawValue> = serde_json::from_str(json)?;
        rows.into_iter().map(|row| self.decode(row.get())).collect()
    }
}

/// Encodes rows with serde's JSON.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl<E: Entity> Codec<E> for Json {
    fn encode(&self, row: &E) -> Result<String, CodecError> {
        Ok(serde_json::to_string(row)?)
    }

    fn decode(&self, json: &str) -> Result<E, CodecError> {
        Ok(serde_json::from_str(json)?)
    }

    fn is_exact(&self) -> bool {
        true
    }

    fn decode_list(&self, json: &str) -> Result<Vec<E>, CodecError> {
        Ok(serde_json::from_str(json)?)
    }
}
