//! The columns of a row, read the same from both databases.

use std::str::FromStr;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sqlx::Row as _;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgRow, PgTypeInfo, PgValueRef, Postgres};
use sqlx::sqlite::SqliteRow;
use sqlx::types::{Json, Uuid, uuid::fmt::Hyphenated};
use sqlx::{Decode, Encode, Type};

use crate::domain::stored_precision;

/// A row of a result from either database.
pub(super) trait Columns {
    fn optional_id(&self, column: &str) -> Result<Option<Uuid>, sqlx::Error>;
    fn optional_text(&self, column: &str) -> Result<Option<String>, sqlx::Error>;
    fn optional_int(&self, column: &str) -> Result<Option<i32>, sqlx::Error>;
    fn bigint(&self, column: &str) -> Result<i64, sqlx::Error>;
    fn time(&self, column: &str) -> Result<Timestamp, sqlx::Error>;
    fn optional_json_text(&self, column: &str) -> Result<Option<String>, sqlx::Error>;
}

/// A type that is read from one row of a result.
pub(super) trait FromColumns: Sized + Send {
    fn from_columns(row: &dyn Columns) -> Result<Self, sqlx::Error>;
}

/// A row whose contents do not matter.
pub(super) struct Present;

impl FromColumns for Present {
    fn from_columns(_: &dyn Columns) -> Result<Self, sqlx::Error> {
        Ok(Self)
    }
}

impl Columns for SqliteRow {
    fn optional_id(&self, column: &str) -> Result<Option<Uuid>, sqlx::Error> {
        let id: Option<Hyphenated> = self.try_get(column)?;
        Ok(id.map(Hyphenated::into_uuid))
    }

    fn optional_text(&self, column: &str) -> Result<Option<String>, sqlx::Error> {
        self.try_get(column)
    }

    fn optional_int(&self, column: &str) -> Result<Option<i32>, sqlx::Error> {
        self.try_get(column)
    }

    fn bigint(&self, column: &str) -> Result<i64, sqlx::Error> {
        self.try_get(column)
    }

    fn time(&self, column: &str) -> Result<Timestamp, sqlx::Error> {
        let text: String = self.try_get(column)?;
        text.parse().map_err(|error| decode_error(column, error))
    }

    fn optional_json_text(&self, column: &str) -> Result<Option<String>, sqlx::Error> {
        self.try_get(column)
    }
}

impl Columns for PgRow {
    fn optional_id(&self, column: &str) -> Result<Option<Uuid>, sqlx::Error> {
        self.try_get(column)
    }

    fn optional_text(&self, column: &str) -> Result<Option<String>, sqlx::Error> {
        self.try_get(column)
    }

    fn optional_int(&self, column: &str) -> Result<Option<i32>, sqlx::Error> {
        self.try_get(column)
    }

    fn bigint(&self, column: &str) -> Result<i64, sqlx::Error> {
        self.try_get(column)
    }

    fn time(&self, column: &str) -> Result<Timestamp, sqlx::Error> {
        let time: PgTime = self.try_get(column)?;
        Ok(time.0)
    }

    fn optional_json_text(&self, column: &str) -> Result<Option<String>, sqlx::Error> {
        let json: Option<Json<Box<RawValue>>> = self.try_get(column)?;
        Ok(json.map(|json| json.0.get().to_owned()))
    }
}

impl dyn Columns + '_ {
    pub(super) fn id(&self, column: &str) -> Result<Uuid, sqlx::Error> {
        present(column, self.optional_id(column)?)
    }

    pub(super) fn text(&self, column: &str) -> Result<String, sqlx::Error> {
        present(column, self.optional_text(column)?)
    }

    pub(super) fn int(&self, column: &str) -> Result<i32, sqlx::Error> {
        present(column, self.optional_int(column)?)
    }

    pub(super) fn version(&self) -> Result<u64, sqlx::Error> {
        let version = self.bigint("version")?;
        u64::try_from(version).map_err(|error| decode_error("version", error))
    }

    /// Reads one of a closed set of words.
    pub(super) fn word<T>(&self, column: &str) -> Result<T, sqlx::Error>
    where
        T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
    {
        self.text(column)?
            .parse()
            .map_err(|error| decode_error(column, error))
    }

    pub(super) fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, sqlx::Error> {
        present(column, self.optional_json(column)?)
    }

    pub(super) fn optional_json<T: DeserializeOwned>(
        &self,
        column: &str,
    ) -> Result<Option<T>, sqlx::Error> {
        match self.optional_json_text(column)? {
            // A JSON null means the same as an absent value.
            Some(text) => serde_json::from_str(&text).map_err(|error| decode_error(column, error)),
            None => Ok(None),
        }
    }
}

/// A `TIMESTAMPTZ`.
pub(super) struct PgTime(pub(super) Timestamp);

/// PostgreSQL counts microseconds from 2000-01-01, jiff from 1970-01-01.
const PG_EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;
/// The fixed number of `timestamptz` in PostgreSQL's catalogue.
const TIMESTAMPTZ: Oid = Oid(1184);

impl Type<Postgres> for PgTime {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }

    fn compatible(ty: &PgTypeInfo) -> bool {
        ty.oid() == Some(TIMESTAMPTZ)
    }
}

impl Encode<'_, Postgres> for PgTime {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let microseconds = self.0.as_microsecond() - PG_EPOCH_MICROSECONDS;
        Encode::<Postgres>::encode(microseconds, buffer)
    }
}

impl<'r> Decode<'r, Postgres> for PgTime {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let microseconds: i64 = Decode::<Postgres>::decode(value)?;
        let since_1970 = microseconds
            .checked_add(PG_EPOCH_MICROSECONDS)
            .ok_or("the timestamp is beyond all calendars")?;
        Ok(Self(Timestamp::from_microsecond(since_1970)?))
    }
}

/// JSON in its original text. sqlx would send a `JSONB`, which loses the order
/// of fields and the form of numbers before it is stored in a `JSON` column.
pub(super) struct PgJson(pub(super) Box<RawValue>);

/// The fixed number of `json` in PostgreSQL's catalogue.
const JSON: Oid = Oid(114);

impl Type<Postgres> for PgJson {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(JSON)
    }
}

impl Encode<'_, Postgres> for PgJson {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode(self.0.get(), buffer)
    }
}

/// Formats RFC 3339 with exactly six decimals, so that texts sort by time.
pub(super) fn sqlite_time(time: Timestamp) -> String {
    format!("{:.6}", stored_precision(time))
}

fn present<T>(column: &str, value: Option<T>) -> Result<T, sqlx::Error> {
    value.ok_or_else(|| decode_error(column, sqlx::error::UnexpectedNullError))
}

fn decode_error(
    column: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: Box::new(error),
    }
}

pub(super) fn read_sqlite<T: FromColumns>(rows: &[SqliteRow]) -> Result<Vec<T>, sqlx::Error> {
    rows.iter().map(|row| T::from_columns(row)).collect()
}

pub(super) fn read_postgres<T: FromColumns>(rows: &[PgRow]) -> Result<Vec<T>, sqlx::Error> {
    rows.iter().map(|row| T::from_columns(row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_text_sort_by_time() {
        let first: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let second: Timestamp = "2026-01-02T03:04:05.000001Z".parse().unwrap();
        assert_eq!(sqlite_time(first), "2026-01-02T03:04:05.000000Z");
        assert!(sqlite_time(first) < sqlite_time(second));
    }
}
