//! Reads a request body field by field, so that every wrong field is named.
//!
//! Deserialising a body in one step stops at the first field of a wrong type
//! and does not name it. Here each field is read separately, and a placeholder
//! replaces a broken one. The rules are checked on the whole, so a client
//! receives all problems in one response.
//!
//! A body is scanned once from front to back. Its values stay texts until they
//! are requested. So refusing costs no more time than accepting, and no more
//! memory than the body.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::error::{Invalid, TaleError};
use super::rules::Problems;

/// The maximum number of fields that are read, far above any row's. The
/// response would not name fields beyond it.
const MAX_FIELDS: usize = 100;

/// The fields that the server sets itself, which a body may send back
/// unchanged.
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

/// The fields of a body that are not yet read, and the problems so far.
#[derive(Debug, Default)]
pub struct Input<'a> {
    fields: BTreeMap<Cow<'a, str>, &'a RawValue>,
    /// True if reading stopped because there were too many fields.
    stopped: bool,
    problems: Problems,
}

impl<'a> Input<'a> {
    /// Scans the body.
    ///
    /// # Errors
    /// [`TaleError::Invalid`] if the body is not JSON or not an object.
    pub(super) fn new(body: &'a str) -> Result<Self, TaleError> {
        let mut input = Self::default();
        let mut deserializer = serde_json::Deserializer::from_str(body);
        let read = deserializer
            .deserialize_map(Fields(&mut input))
            .and_then(|()| deserializer.end());
        let message = match read {
            Ok(()) => return Ok(input),
            Err(_) if input.stopped => return Ok(input),
            Err(error) if error.is_data() => "the body must be a JSON object".to_owned(),
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                format!("the body is not JSON: line {line}, column {column}")
            }
        };
        Err(TaleError::Invalid(Arc::new([Invalid {
            field: String::new(),
            message,
        }])))
    }

    /// Reads a required field. `expected` names the accepted values for the
    /// message.
    pub(super) fn required<T: DeserializeOwned>(
        &mut self,
        field: &str,
        expected: &str,
    ) -> Option<T> {
        if !self.fields.contains_key(field) {
            if !self.stopped {
                self.problems.add(field, "is missing");
            }
            return None;
        }
        self.read(field, expected)
    }

    /// Reads a field that may be absent or null.
    pub(super) fn optional<T: DeserializeOwned>(
        &mut self,
        field: &str,
        expected: &str,
    ) -> Option<T> {
        if self.fields.get(field)?.get() == "null" {
            self.fields.remove(field);
            return None;
        }
        self.read(field, expected)
    }

    fn read<T: DeserializeOwned>(&mut self, field: &str, expected: &str) -> Option<T> {
        let value = self.fields.remove(field)?;
        match serde_json::from_str(value.get()) {
            Ok(value) => Some(value),
            Err(_) => {
                self.problems.add(field, format!("must be {expected}"));
                None
            }
        }
    }

    /// Takes the fields that the server sets itself out of the body.
    pub(super) fn echo(&mut self) -> Echo {
        Echo {
            id: self.optional("id", "a UUID"),
            version: self.optional("version", "a whole number"),
            created_at: self.optional("created_at", "an RFC 3339 timestamp"),
            updated_at: self.optional("updated_at", "an RFC 3339 timestamp"),
        }
    }

    /// Ends the reading: every remaining field is unknown.
    pub(super) fn rest(mut self) -> Problems {
        for field in self.fields.keys() {
            self.problems.add(field, "is not a field");
        }
        self.problems
    }
}

/// Reads the fields of an object into an input.
struct Fields<'i, 'a>(&'i mut Input<'a>);

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Visitor<'a> for Fields<'_, 'a> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut object: M) -> Result<(), M::Error> {
        let Input {
            fields,
            stopped,
            problems,
        } = self.0;
        while let Some(Name(name)) = object.next_key()? {
            if fields.contains_key(&name) {
                problems.add(&name, "is given more than once");
                object.next_value::<IgnoredAny>()?;
            } else if MAX_FIELDS <= fields.len() {
                *stopped = true;
                return Err(M::Error::custom("there are too many fields"));
            } else {
                fields.insert(name, object.next_value()?);
            }
        }
        Ok(())
    }
}
