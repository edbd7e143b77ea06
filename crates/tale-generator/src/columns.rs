//! The types of columns, in either database, of fields that sqlx would store in another form.
//!
//! Ids are `UUID` in PostgreSQL and text in SQLite, so that triggers can name them. Times are
//! `TIMESTAMPTZ`, and text that sorts by time. JSON keeps its text.

use std::fmt::Display;
use std::str::FromStr;

use aside_sqlx::ColumnAs;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgTypeInfo, Postgres};
use sqlx::sqlite::Sqlite;
use sqlx::types::{Json, uuid::fmt::Hyphenated};
use sqlx::{Database, Decode, Encode, Type};
use uuid::Uuid;

/// The fixed number of `timestamptz` in PostgreSQL's catalogue.
const TIMESTAMPTZ: Oid = Oid(1184);

/// The fixed number of `json` in PostgreSQL's catalogue.
const JSON: Oid = Oid(114);

/// PostgreSQL counts microseconds from 2000-01-01, jiff from 1970-01-01.
const PG_EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;

/// An id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Id(pub(crate) Uuid);

/// A time, to the microsecond.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time(pub(crate) Timestamp);

/// JSON in its original text. sqlx would send a `JSONB`, which loses the order
/// of fields and the form of numbers before it is stored in a `JSON` column.
#[derive(Clone, Debug)]
pub(crate) struct JsonText(String);

/// One of a closed set of words.
#[derive(Clone, Debug, Type)]
#[sqlx(transparent)]
pub(crate) struct Word(String);

/// A version.
#[derive(Clone, Copy, Debug, Type)]
#[sqlx(transparent)]
pub(crate) struct Version(i64);

/// Stores a type in one database in the form of another type, which sqlx knows.
macro_rules! stored {
    ($column:ty, $database:ty as $form:ty, $info:expr, $compatible:expr, $to:expr, $from:expr) => {
        impl Type<$database> for $column {
            fn type_info() -> <$database as Database>::TypeInfo {
                $info
            }

            fn compatible(ty: &<$database as Database>::TypeInfo) -> bool {
                $compatible(ty)
            }
        }

        impl Encode<'_, $database> for $column {
            fn encode_by_ref(
                &self,
                buffer: &mut <$database as Database>::ArgumentBuffer,
            ) -> Result<IsNull, BoxDynError> {
                Encode::<$database>::encode($to(self), buffer)
            }
        }

        impl<'r> Decode<'r, $database> for $column {
            fn decode(value: <$database as Database>::ValueRef<'r>) -> Result<Self, BoxDynError> {
                $from(<$form as Decode<'r, $database>>::decode(value)?)
            }
        }
    };
    // A form with the same types in the database.
    ($column:ty, $database:ty as $form:ty, $to:expr, $from:expr) => {
        stored!(
            $column,
            $database as $form,
            <$form as Type<$database>>::type_info(),
            <$form as Type<$database>>::compatible,
            $to,
            $from
        );
    };
}

stored!(Id, Postgres as Uuid, Id::uuid, Id::of);
stored!(
    Id,
    Sqlite as Hyphenated,
    |id: &Id| id.0.hyphenated(),
    Id::of
);
stored!(Time, Sqlite as String, sqlite_time, |text: String| Ok(
    Self(text.parse()?)
));
stored!(
    Time,
    Postgres as i64,
    PgTypeInfo::with_oid(TIMESTAMPTZ),
    |ty: &PgTypeInfo| ty.oid() == Some(TIMESTAMPTZ),
    |time: &Time| time.0.as_microsecond() - PG_EPOCH_MICROSECONDS,
    postgres_time_of
);
stored!(JsonText, Sqlite as String, JsonText::text, JsonText::of);
stored!(
    JsonText,
    Postgres as Json<Box<RawValue>>,
    PgTypeInfo::with_oid(JSON),
    <Json<Box<RawValue>> as Type<Postgres>>::compatible,
    JsonText::text,
    |json: Json<Box<RawValue>>| JsonText::of(json.0.get())
);

impl Id {
    fn uuid(&self) -> Uuid {
        self.0
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "other columns are read with errors"
    )]
    fn of(id: impl Into<Uuid>) -> Result<Self, BoxDynError> {
        Ok(Self(id.into()))
    }
}

impl JsonText {
    fn text(&self) -> &str {
        &self.0
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "other columns are read with errors"
    )]
    fn of(text: impl Into<String>) -> Result<Self, BoxDynError> {
        Ok(Self(text.into()))
    }
}

fn postgres_time_of(microseconds: i64) -> Result<Time, BoxDynError> {
    let since_1970 = microseconds
        .checked_add(PG_EPOCH_MICROSECONDS)
        .ok_or("the timestamp is beyond all calendars")?;
    Ok(Time(Timestamp::from_microsecond(since_1970)?))
}

/// Formats RFC 3339 with exactly six decimals, so that texts sort by time.
fn sqlite_time(time: &Time) -> String {
    let to_the_microsecond = Timestamp::from_microsecond(time.0.as_microsecond());
    format!("{:.6}", to_the_microsecond.unwrap_or(time.0))
}

impl ColumnAs<Uuid> for Id {
    fn from_value(id: &Uuid) -> Result<Self, BoxDynError> {
        Ok(Self(*id))
    }

    fn into_value(self) -> Result<Uuid, BoxDynError> {
        Ok(self.0)
    }
}

impl ColumnAs<Timestamp> for Time {
    fn from_value(time: &Timestamp) -> Result<Self, BoxDynError> {
        Ok(Self(*time))
    }

    fn into_value(self) -> Result<Timestamp, BoxDynError> {
        Ok(self.0)
    }
}

impl<T: Serialize + DeserializeOwned> ColumnAs<T> for JsonText {
    fn from_value(value: &T) -> Result<Self, BoxDynError> {
        Ok(Self(serde_json::to_string(value)?))
    }

    fn into_value(self) -> Result<T, BoxDynError> {
        Ok(serde_json::from_str(&self.0)?)
    }

    /// A JSON null means the same as an absent value.
    fn into_optional(self) -> Result<Option<T>, BoxDynError> {
        Ok(serde_json::from_str(&self.0)?)
    }
}

impl<T> ColumnAs<T> for Word
where
    T: Display + FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    fn from_value(word: &T) -> Result<Self, BoxDynError> {
        Ok(Self(word.to_string()))
    }

    fn into_value(self) -> Result<T, BoxDynError> {
        Ok(self.0.parse()?)
    }
}

impl ColumnAs<u64> for Version {
    fn from_value(version: &u64) -> Result<Self, BoxDynError> {
        Ok(Self((*version).try_into()?))
    }

    fn into_value(self) -> Result<u64, BoxDynError> {
        Ok(self.0.try_into()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_text_sort_by_time() {
        let first = Time("2026-01-02T03:04:05Z".parse().unwrap());
        let second = Time("2026-01-02T03:04:05.000001Z".parse().unwrap());
        assert_eq!(sqlite_time(&first), "2026-01-02T03:04:05.000000Z");
        assert!(sqlite_time(&first) < sqlite_time(&second));
    }
}
