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

/// Why a row does not come back from its text as it went. It is answered, and
/// not cached.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// It has no text.
    #[error("it cannot be written: {0}")]
    Unwritable(CodecError),
    /// Its text is no row: a number that is not finite, say, or a document
    /// nested deeper than 128.
    #[error("what is written of it cannot be read: {0}")]
    Unreadable(CodecError),
    /// Another row came back.
    #[error("its `{field}` comes back from its text as another")]
    Changed {
        /// The first field that differs; `row` where an
        /// [`Entity`] written by hand does not say which.
        field: &'static str,
    },
}

/// Whether a row can be cached: that it comes back from its JSON as it went.
///
/// The cache looks by itself before it stores a row, and stores none that does
/// not. A test that calls this with typical rows says so before production does;
/// `check_entity` of `aside-testkit` does more of this.
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
/// assert!(aside::survives(&Sample { id: 1, celsius: 0.1 }).is_ok());
/// // JSON has no infinity.
/// assert!(aside::survives(&Sample { id: 1, celsius: f64::INFINITY }).is_err());
/// ```
///
/// # Errors
/// What becomes of the row.
pub fn survives<E: Entity>(row: &E) -> Result<(), Lost> {
    let text = Json.encode(row).map_err(Lost::Unwritable)?;
    comes_back(&Json, row, &text)
}

/// Whether `text`, which the codec wrote, is the row.
pub(crate) fn comes_back<E: Entity>(codec: &dyn Codec<E>, row: &E, text: &str) -> Result<(), Lost> {
    let other = codec.decode(text).map_err(Lost::Unreadable)?;
    match row.difference(&other) {
        Some(field) => Err(Lost::Changed { field }),
        None => Ok(()),
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

    /// Whether `decode` gives back what `encode` was given wherever the types of
    /// the fields do so with serde's JSON: then rows of
    /// [`IS_PLAIN`](Entity::IS_PLAIN) kinds are compared by sample alone. Default:
    /// false, each row is compared before it is cached.
    fn is_exact(&self) -> bool {
        false
    }

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

    fn is_exact(&self) -> bool {
        true
    }

    fn decode_list(&self, json: &str) -> Result<Vec<E>, CodecError> {
        Ok(serde_json::from_str(json)?)
    }
}
