//! Reading a request body field by field, so that each wrong one is named.
//!
//! Deserialising a body in one go stops at the first field of a wrong type,
//! and does not say which it was. Here each field is read on its own, a
//! stand-in takes the place of a broken one, and the rules are checked on the
//! whole: a client hears of everything at once.

use std::sync::Arc;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::error::{Invalid, TaleError};
use super::rules::Problems;

/// What the server sets itself and a body may bring back unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Echo {
    /// The id, if the body has one.
    pub id: Option<Uuid>,
    /// The version, if the body has one.
    pub version: Option<u64>,
    /// The time of creation, if the body has one.
    pub created_at: Option<Timestamp>,
    /// The time of the last change, if the body has one.
    pub updated_at: Option<Timestamp>,
}

/// A body as far as it is read.
#[derive(Debug)]
pub(super) struct Input {
    fields: Map<String, Value>,
    problems: Problems,
}

impl Input {
    pub(super) fn new(body: Value) -> Result<Self, TaleError> {
        let Value::Object(fields) = body else {
            return Err(TaleError::Invalid(Arc::new([Invalid {
                field: String::new(),
                message: "the body must be a JSON object".to_owned(),
            }])));
        };
        Ok(Self {
            fields,
            problems: Problems::default(),
        })
    }

    /// A field that must be there; `expected` says what it must be.
    pub(super) fn required<T: DeserializeOwned>(
        &mut self,
        field: &str,
        expected: &str,
    ) -> Option<T> {
        if !self.fields.contains_key(field) {
            self.problems.add(field, "is missing");
            return None;
        }
        self.read(field, expected)
    }

    /// A field that may be absent or null.
    pub(super) fn optional<T: DeserializeOwned>(
        &mut self,
        field: &str,
        expected: &str,
    ) -> Option<T> {
        match self.fields.get(field) {
            None => None,
            Some(Value::Null) => {
                self.fields.remove(field);
                None
            }
            Some(_) => self.read(field, expected),
        }
    }

    fn read<T: DeserializeOwned>(&mut self, field: &str, expected: &str) -> Option<T> {
        let value = self.fields.remove(field)?;
        match serde_json::from_value(value) {
            Ok(value) => Some(value),
            Err(_) => {
                self.problems.add(field, format!("must be {expected}"));
                None
            }
        }
    }

    /// Takes what the server sets itself out of the body.
    pub(super) fn echo(&mut self) -> Echo {
        Echo {
            id: self.optional("id", "a UUID"),
            version: self.optional("version", "a whole number"),
            created_at: self.optional("created_at", "an RFC 3339 timestamp"),
            updated_at: self.optional("updated_at", "an RFC 3339 timestamp"),
        }
    }

    /// Ends the reading: what is left over is unknown.
    pub(super) fn rest(mut self) -> Problems {
        for field in self.fields.keys() {
            self.problems.add(field, "is not a field");
        }
        self.problems
    }
}
