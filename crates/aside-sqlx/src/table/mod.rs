//! Tables of which the cache reads and writes the rows: `#[derive(Table)]`.

mod column_as;
mod error;
mod database;
mod statements;
mod sql_table;
mod select;
mod reads;
mod writes;
mod rows_in;
mod inserts;

pub use column_as::{ColumnAs, get_as, get_optional_as};
pub use database::Tables;
pub use error::TableError;
pub use inserts::Inserts;
pub use select::Select;
pub use sql_table::SqlTable;

use aside::Entity;
use sqlx::error::BoxDynError;

/// The SQL table of an entity on the database `D`.
///
/// [`#[derive(Table)]`](macro@crate::Table) implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no table on `{D}`",
    note = "derive it with `#[derive(aside::Entity, aside_sqlx::Table)]`, and name the database: \
            `#[table(\"...\", postgres)]`"
)]
pub trait Table<D: Tables>: Entity {
    /// A row to insert, without the values that the database sets.
    type New: Send + Sync + 'static;

    /// The name in SQL, which may be `schema.table`.
    const NAME: &'static str;

    #[doc(hidden)]
    const COLUMNS: &'static [Column];

    /// The SQL by which lists are sorted. Default: the id.
    const ORDER: Option<&'static str>;

    #[doc(hidden)]
    fn from_row(row: &D::Row) -> Result<Self, sqlx::Error>;

    /// Returns the columns of an index.
    #[doc(hidden)]
    fn index_columns(index: &Self::Index) -> &'static [&'static str];

    #[doc(hidden)]
    fn add_id(id: &Self::Id, arguments: &mut D::Arguments) -> Result<(), BoxDynError>;

    #[doc(hidden)]
    fn add_index(index: &Self::Index, arguments: &mut D::Arguments) -> Result<(), BoxDynError>;

    #[doc(hidden)]
    fn add_new(new: &Self::New, arguments: &mut D::Arguments) -> Result<(), BoxDynError>;

    /// Binds the id of a new row, if the row has it.
    #[doc(hidden)]
    fn add_new_id(new: &Self::New, arguments: &mut D::Arguments) -> Result<(), BoxDynError>;

    #[doc(hidden)]
    fn add_saved(row: &Self, arguments: &mut D::Arguments) -> Result<(), BoxDynError>;

    #[doc(hidden)]
    fn add_updated(row: &Self, arguments: &mut D::Arguments) -> Result<(), BoxDynError>;

    #[doc(hidden)]
    fn add_version(row: &Self, arguments: &mut D::Arguments) -> Result<(), BoxDynError>;
}

/// One column, or one expression that is read like a column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The name.
    pub name: &'static str,
    /// The SQL of a value that is only read.
    pub expression: Option<&'static str>,
    /// Reads return it.
    pub is_read: bool,
    /// It is the id, or a part of it.
    pub is_id: bool,
    /// An update compares it.
    pub is_version: bool,
    /// [`Table::add_new`] binds it.
    pub is_inserted: bool,
    /// [`Table::add_saved`] binds it.
    pub is_saved: bool,
    /// [`Table::add_updated`] binds it.
    pub is_updated: bool,
}
