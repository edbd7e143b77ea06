//! How a row becomes text in Redis, and comes back.

use serde_json::value::RawValue;

use crate::entity::Entity;

/// A row could not be written, or what was read is no row.
///
/// On a write the row is answered but not cached; on a read it is a counted
/// miss, and the next fill replaces it. Neither reaches the caller.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct CodecError(String);

impl CodecError {
    /// An error that says what was wrong, without the row's own data.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl From<serde_json::Error> for CodecError {
    fn from(error: serde_json::Error) -> Self {
        // serde's own message may quote the row; its place does not.
        Self(format!(
            "{:?} error at line {} column {}",
            error.classify(),
            error.line(),
            error.column()
        ))
    }
}

/// The text form of a row: JSON, since the payload around it is.
///
/// The default is [`Json`]. Another codec must write JSON values as well, so
/// that `redis-cli GET` stays readable and the payload can be taken apart.
pub trait Codec<E: Entity>: Send + Sync + 'static {
    /// Writes one row as a JSON value.
    ///
    /// # Errors
    /// When the row has no such form; it is then answered but not cached.
    fn encode(&self, row: &E) -> Result<String, CodecError>;

    /// Reads what `encode` wrote.
    ///
    /// # Errors
    /// When the text is no such row; the lookup is then a miss.
    fn decode(&self, json: &str) -> Result<E, CodecError>;

    /// Reads a JSON array of rows.
    ///
    /// # Errors
    /// When any element is no such row; the lookup is then a miss.
    fn decode_list(&self, json: &str) -> Result<Vec<E>, CodecError> {
        let rows: Vec<&RawValue> = serde_json::from_str(json)?;
        rows.into_iter().map(|row| self.decode(row.get())).collect()
    }
}

/// The row as serde writes it in JSON.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl<E: Entity> Codec<E> for Json {
    fn encode(&self, row: &E) -> Result<String, CodecError> {
        Ok(serde_json::to_string(row)?)
    }

    fn decode(&self, json: &str) -> Result<E, CodecError> {
        Ok(serde_json::from_str(json)?)
    }

    fn decode_list(&self, json: &str) -> Result<Vec<E>, CodecError> {
        Ok(serde_json::from_str(json)?)
    }
}
