//! The JSON of ids, as the derive writes it for lists of ids.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Returns the JSON of an id.
pub fn to_json<T: Serialize>(id: &T) -> Option<String> {
    serde_json::to_string(id).ok()
}

/// Returns the id of a JSON.
#[must_use]
pub fn from_json<T: DeserializeOwned>(json: &str) -> Option<T> {
    serde_json::from_str(json).ok()
}
