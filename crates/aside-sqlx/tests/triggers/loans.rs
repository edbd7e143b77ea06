//! A table of loans, which changes values of several kinds.

use aside::Entity;
use aside_sqlx::Triggers;
use serde::{Deserialize, Serialize};

use super::books::{Book, Books};

/// On either database.
const TABLE: &str = "CREATE TABLE loans (
    id BIGINT PRIMARY KEY, book BIGINT, person BIGINT, note TEXT)";

/// A row of the table itself.
#[derive(Clone, Debug, Serialize, Deserialize, Entity)]
#[entity(kind = "loan", list_all = false)]
pub(crate) struct Loan {
    #[entity(id)]
    id: i64,
}

/// A kind that joins the table.
#[derive(Clone, Debug, Serialize, Deserialize, Entity)]
#[entity(kind = "report")]
pub(crate) struct Report {
    #[entity(id)]
    id: i64,
}

impl Books {
    /// Adds the table, without triggers.
    pub(crate) async fn add_loans(&self) {
        self.pool.run(TABLE).await;
    }
}

pub(crate) fn loans() -> Triggers {
    Triggers::of::<Loan>("loans", "")
}

/// A book shows its loans, and a person's list of books.
pub(crate) fn books_of_loans() -> Triggers {
    Triggers::on("loans", "")
        .row_of::<Book>("book")
        .list_of::<Book>("by", "person")
}

pub(crate) fn reports() -> Triggers {
    Triggers::on("loans", "").kind_of::<Report>()
}
