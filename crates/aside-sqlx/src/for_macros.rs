//! Names that the derive uses in the user's crate.

pub use sqlx;

pub use crate::table::{Column, get_as, get_optional_as};
