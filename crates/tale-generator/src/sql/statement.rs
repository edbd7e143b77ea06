//! A statement and its values, independent of the database that runs it.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};
use uuid::Uuid;

use super::columns::{PgJson, PgTime, sqlite_time};

/// One statement for both databases.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement {
    sqlite: &'static str,
    postgres: &'static str,
}

/// A value to bind to a statement.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Id(Option<Uuid>),
    Ids(Vec<Uuid>),
    Text(Option<String>),
    Int(Option<i32>),
    Version(Option<u64>),
    Time(Timestamp),
    Json(Option<Box<RawValue>>),
}

impl Value {
    pub(super) fn id(id: Uuid) -> Self {
        Self::Id(Some(id))
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(Some(text.into()))
    }

    pub(super) fn int(number: i32) -> Self {
        Self::Int(Some(number))
    }

    /// # Errors
    /// If the value refuses to serialize.
    pub(super) fn json<T: Serialize>(value: &T) -> Result<Self, sqlx::Error> {
        let text = serde_json::value::to_raw_value(value);
        Ok(Self::Json(Some(text.map_err(encode_error)?)))
    }

    /// # Errors
    /// If the value refuses to serialize.
    pub(super) fn optional_json<T: Serialize>(value: Option<&T>) -> Result<Self, sqlx::Error> {
        value.map_or(Ok(Self::Json(None)), Self::json)
    }
}

impl Statement {
    /// Uses the same text for both databases.
    pub(super) const fn both(sql: &'static str) -> Self {
        Self {
            sqlite: sql,
            postgres: sql,
        }
    }

    /// Uses a text for each, if SQLite needs another form or no lock.
    pub(super) const fn each(sqlite: &'static str, postgres: &'static str) -> Self {
        Self { sqlite, postgres }
    }

    pub(super) fn for_sqlite(
        self,
        values: Vec<Value>,
    ) -> Result<Query<'static, Sqlite, SqliteArguments>, sqlx::Error> {
        let mut query = sqlx::query(self.sqlite);
        for value in values {
            query = match value {
                Value::Id(id) => query.bind(id.map(Uuid::hyphenated)),
                // For `json_each`: SQLite has no arrays.
                Value::Ids(ids) => query.bind(serde_json::to_string(&ids).map_err(encode_error)?),
                Value::Text(text) => query.bind(text),
                Value::Int(number) => query.bind(number),
                Value::Version(version) => query.bind(version.map(as_bigint)),
                Value::Time(time) => query.bind(sqlite_time(time)),
                Value::Json(json) => query.bind(json.map(|json| json.get().to_owned())),
            };
        }
        Ok(query)
    }

    pub(super) fn for_postgres(self, values: Vec<Value>) -> Query<'static, Postgres, PgArguments> {
        let mut query = sqlx::query(self.postgres);
        for value in values {
            query = match value {
                Value::Id(id) => query.bind(id),
                Value::Ids(ids) => query.bind(ids),
                Value::Text(text) => query.bind(text),
                Value::Int(number) => query.bind(number),
                Value::Version(version) => query.bind(version.map(as_bigint)),
                Value::Time(time) => query.bind(PgTime(time)),
                Value::Json(json) => query.bind(json.map(PgJson)),
            };
        }
        query
    }
}

/// Maps a version that no row can have to the largest integer, which no row
/// reaches.
fn as_bigint(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}

fn encode_error(error: serde_json::Error) -> sqlx::Error {
    sqlx::Error::Encode(Box::new(error))
}
