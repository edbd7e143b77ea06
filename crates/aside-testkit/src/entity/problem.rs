//! The requirements that a type does not meet, each with a remedy.

use std::error::Error;
use std::fmt;

/// All requirements that a type does not meet; at least one.
///
/// Its `Debug` form is its message, so that `unwrap` in a test shows all
/// problems as sentences.
pub struct EntityProblems {
    kind: &'static str,
    problems: Vec<EntityProblem>,
}

/// A requirement that a type does not meet. Its message contains the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntityProblem {
    /// No rows were passed.
    NoSamples,
    /// A row has no JSON.
    NotWritten {
        /// The row's key.
        row: String,
        /// The codec's error.
        reason: String,
    },
    /// A row's JSON cannot be read back.
    NotRead {
        /// The row's key.
        row: String,
        /// The codec's error.
        reason: String,
    },
    /// Another row came back.
    Differs {
        /// The row's key.
        row: String,
        /// The first field that differs; `row` if the type does not say.
        field: &'static str,
    },
    /// A row's JSON is `null`, which is how an absent row is written.
    ReadAsAbsence {
        /// The row's key.
        row: String,
    },
    /// A row's JSON is larger than a value may be.
    TooLarge {
        /// The row's key.
        row: String,
        /// The JSON's length.
        bytes: usize,
        /// The default of `CACHE_MAX_VALUE_BYTES`.
        limit: usize,
    },
    /// A value that identifies a row or a list does not serialize.
    NoKey {
        /// The id or the index value.
        what: String,
    },
    /// A row that was read back has other keys than the row that was written.
    KeysChange {
        /// The id's key, then those of the lists.
        written: Vec<String>,
        /// The same of the row that was read back.
        read: Vec<String>,
    },
    /// The kind's name, or that of an index, is unfit for a key.
    Name {
        /// The name.
        name: String,
    },
    /// An id's key is not the kind and one segment.
    IdOfSeveralSegments {
        /// The key.
        key: String,
    },
    /// A row names a list that `INDEXES` does not describe.
    UnknownList {
        /// The list's key.
        key: String,
    },
    /// Two equal values have two keys.
    EqualWithTwoKeys {
        /// Ids or index values.
        what: &'static str,
        /// The two keys.
        keys: [String; 2],
    },
    /// Two values that are not equal have one key.
    OneKeyForTwo {
        /// Ids or index values.
        what: &'static str,
        /// Their key.
        key: String,
    },
    /// A row and a list, or a list and the list of all, have one key.
    TwoLookups {
        /// Their key.
        key: String,
    },
    /// The fingerprint differs each time.
    FingerprintChanges,
}

impl EntityProblems {
    pub(super) fn new(kind: &'static str) -> Self {
        let problems = Vec::new();
        Self { kind, problems }
    }

    /// Adds a problem once, even if many rows have it.
    pub(super) fn add(&mut self, problem: EntityProblem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    pub(super) fn into_result(self) -> Result<(), Self> {
        match self.problems.is_empty() {
            true => Ok(()),
            false => Err(self),
        }
    }

    /// Returns the problems, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &EntityProblem> {
        self.problems.iter()
    }
}

impl Error for EntityProblems {}

impl fmt::Display for EntityProblems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`{}` cannot be cached as it is:", self.kind)?;
        for problem in &self.problems {
            write!(out, "\n- {problem}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for EntityProblems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl fmt::Display for EntityProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSamples => out.write_str("no rows were passed: pass some, unusual ones first"),
            Self::NotWritten { row, reason } => write!(
                out,
                "{row} cannot be written as JSON ({reason}): give each map keys that are texts, \
                 numbers, booleans or unit variants, and each number a JSON form"
            ),
            Self::NotRead { row, reason } => write!(
                out,
                "{row} is written as JSON that its type does not read ({reason}): NaN and \
                 infinity are written as null, at most 126 levels are read, and a field that is \
                 left out needs `#[serde(default)]`"
            ),
            Self::Differs { row, field } => write!(
                out,
                "{row} is read back with a different `{field}`: serde must restore that field \
                 exactly, without masking, rounding or leaving out; use a separate type for an \
                 API"
            ),
            Self::ReadAsAbsence { row } => write!(
                out,
                "{row} is written as null, which means that there is no such row: put the value \
                 into a struct with named fields"
            ),
            Self::TooLarge { row, bytes, limit } => write!(
                out,
                "{row} takes {bytes} bytes of JSON, and CACHE_MAX_VALUE_BYTES is {limit}: it is \
                 read from the database each time; raise the setting, or cache a type without \
                 the large field"
            ),
            Self::NoKey { what } => write!(
                out,
                "the {what} does not serialize, so its key differs each time: identify rows \
                 by texts, numbers or UUIDs"
            ),
            Self::KeysChange { written, read } => write!(
                out,
                "a row with the keys {} has the keys {} after it was read back: JSON must \
                 restore the id and each indexed field exactly",
                written.join(", "),
                read.join(", ")
            ),
            Self::Name { name } => write!(
                out,
                "{name:?} cannot be part of a key: use a-z, 0-9, _ and -, each name once, not \
                 `all` for an index and not `aside` for a kind"
            ),
            Self::IdOfSeveralSegments { key } => write!(
                out,
                "{key} is not the kind and one segment: call `KeyWriter::segment` once in \
                 `write_id`"
            ),
            Self::UnknownList { key } => write!(
                out,
                "a row is in the list {key}, and INDEXES has no index of that name with as \
                 many fields: describe it there, or correct `write_index`"
            ),
            Self::EqualWithTwoKeys {
                what,
                keys: [one, other],
            } => write!(
                out,
                "two equal {what} have the keys {one} and {other}, so a write to one leaves the \
                 other: bring the value into one form before it becomes a field, or compare it by \
                 its text"
            ),
            Self::OneKeyForTwo { what, key } => write!(
                out,
                "two {what} that are not equal have the key {key}, so one is served for the \
                 other: serialize every part that distinguishes them"
            ),
            Self::TwoLookups { key } => write!(
                out,
                "two lookups have the key {key}, so one is served for the other: begin \
                 `write_index` with `KeyWriter::name`, and write values with `segment`"
            ),
            Self::FingerprintChanges => out.write_str(
                "`fingerprint()` returns a different number each time, so no cached value is ever \
                 read: compute it from the type alone",
            ),
        }
    }
}
