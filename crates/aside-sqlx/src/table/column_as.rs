//! Columns of another type than their field (adapter of a value).
//!
//! The attribute `as` names the type of the column. So a field can have a type of another
//! crate that sqlx does not know, such as `jiff::Timestamp`, and one field can have another
//! form in each database. A newtype in the entity would do the same, but would change each
//! place that uses the field.

use sqlx::error::BoxDynError;
use sqlx::{ColumnIndex, Decode, Row, Type};

/// The type of a column, for `#[table(as = "...")]` at a field of type `T`.
///
/// ```
/// use std::time::Duration;
///
/// use aside_sqlx::ColumnAs;
/// use sqlx::error::BoxDynError;
///
/// /// A duration, stored in whole milliseconds.
/// #[derive(sqlx::Type)]
/// #[sqlx(transparent)]
/// struct Millis(i64);
///
/// impl ColumnAs<Duration> for Millis {
///     fn from_value(value: &Duration) -> Result<Self, BoxDynError> {
///         Ok(Self(value.as_millis().try_into()?))
///     }
///
///     fn into_value(self) -> Result<Duration, BoxDynError> {
///         Ok(Duration::from_millis(self.0.try_into()?))
///     }
/// }
/// ```
///
/// An `Option` of a field is the NULL of the column, so it needs no implementation.
pub trait ColumnAs<T>: Sized {
    /// Converts a field's value to bind it.
    ///
    /// # Errors
    /// If the column cannot have this value. The statement fails with
    /// [`sqlx::Error::Encode`].
    fn from_value(value: &T) -> Result<Self, BoxDynError>;

    /// Converts a value that was read.
    ///
    /// # Errors
    /// If the field cannot have this value. The read fails with
    /// [`sqlx::Error::ColumnDecode`], which names the column.
    fn into_value(self) -> Result<T, BoxDynError>;

    /// Converts a value that was read for a field that is an `Option`. Default: `Some`.
    /// NULL is `None` without a call.
    ///
    /// # Errors
    /// As of [`into_value`](Self::into_value).
    fn into_optional(self) -> Result<Option<T>, BoxDynError> {
        self.into_value().map(Some)
    }
}

/// Reads a field from a column of the type `C`.
#[doc(hidden)]
pub fn get_as<'r, C, T, R>(row: &'r R, name: &'static str) -> Result<T, sqlx::Error>
where
    C: ColumnAs<T> + Decode<'r, R::Database> + Type<R::Database>,
    R: Row,
    &'static str: ColumnIndex<R>,
{
    let column: C = row.try_get(name)?;
    column.into_value().map_err(|error| decode(name, error))
}

/// Reads an optional field from a column of the type `C`.
#[doc(hidden)]
pub fn get_optional_as<'r, C, T, R>(
    row: &'r R,
    name: &'static str,
) -> Result<Option<T>, sqlx::Error>
where
    C: ColumnAs<T> + Decode<'r, R::Database> + Type<R::Database>,
    R: Row,
    &'static str: ColumnIndex<R>,
{
    let column: Option<C> = row.try_get(name)?;
    let value = column.map(C::into_optional).transpose();
    let value = value.map_err(|error| decode(name, error))?;
    Ok(value.flatten())
}

fn decode(name: &str, source: BoxDynError) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: name.to_owned(),
        source,
    }
}
