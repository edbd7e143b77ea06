//! Many rows in one transaction, stored unchanged, for seeding and imports.

use std::sync::Arc;

use aside::Write;

use super::database::Database;
use super::statement::Value;
use super::stories;
use super::table::{self, Table};
use super::transaction::Transaction;
use crate::domain::{Invalid, Record, Story, TaleError};

/// The maximum number of rows of one batch. It is small enough that the cache
/// is notified row by row, and that the transaction stays far below its time
/// limit.
pub const BATCH: usize = 200;

/// The counts of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inserted {
    /// Rows that were added.
    pub added: u64,
    /// Rows that were already stored, equal in every field.
    pub present: u64,
}

/// The reason why a batch failed; none of its rows was written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
pub struct BatchError {
    /// The index of the faulty record, or `None` if the transaction failed as a
    /// whole.
    pub index: Option<usize>,
    /// The fault.
    #[source]
    pub error: TaleError,
}

/// Inserts the records with their ids, timestamps and versions, in one
/// transaction. Skips a record that is already stored and equal in every field,
/// so a batch can be sent again.
///
/// # Errors
/// [`BatchError`], which names the first record that cannot be stored.
pub async fn insert_batch(
    database: &Database,
    records: &[Record],
    write: &mut Write,
) -> Result<Inserted, BatchError> {
    let mut at_fault = None;
    let inserted = once_more!({ try_insert(database, records, write, &mut at_fault).await });
    inserted.map_err(|error| BatchError {
        index: at_fault,
        error,
    })
}

/// Leaves the index of the faulty record in `at_fault`.
async fn try_insert(
    database: &Database,
    records: &[Record],
    write: &mut Write,
    at_fault: &mut Option<usize>,
) -> Result<Inserted, TaleError> {
    *at_fault = None;
    let mut inserted = Inserted::default();
    let mut transaction = database.begin(write, None).await?;
    for (index, record) in records.iter().enumerate() {
        *at_fault = Some(index);
        let added = insert(&mut transaction, record, write).await?;
        if added {
            inserted.added += 1;
        } else {
            inserted.present += 1;
        }
    }
    *at_fault = None;
    if 0 < inserted.added {
        transaction.commit(write).await?;
    }
    Ok(inserted)
}

/// Returns true if the record was added.
async fn insert(
    transaction: &mut Transaction,
    record: &Record,
    write: &mut Write,
) -> Result<bool, TaleError> {
    record.validate()?;
    match record {
        Record::Hero(hero) => insert_row(transaction, hero, write).await,
        Record::Child(child) => insert_row(transaction, child, write).await,
        Record::Story(story) => {
            refuse_another_name(transaction, story).await?;
            insert_row(transaction, story.as_ref(), write).await
        }
    }
}

async fn insert_row<T: Table + PartialEq>(
    transaction: &mut Transaction,
    row: &T,
    write: &mut Write,
) -> Result<bool, TaleError> {
    if let Some(after) = table::insert(transaction, row).await? {
        write.created(&after);
        return Ok(true);
    }
    let present: Option<T> = transaction
        .fetch_first(T::STATEMENTS.by_id, vec![Value::id(*row.id())], T::KIND)
        .await?;
    if present.as_ref() == Some(row) {
        return Ok(false);
    }
    Err(TaleError::Exists { kind: T::KIND })
}

/// A story is stored unchanged, so it must already have the name of its child.
async fn refuse_another_name(
    transaction: &mut Transaction,
    story: &Story,
) -> Result<(), TaleError> {
    let mut settled = story.clone();
    if let Some(unknown) = stories::settle(transaction, &mut settled).await? {
        return Err(unknown);
    }
    if settled.child_name == story.child_name {
        return Ok(());
    }
    Err(TaleError::Invalid(Arc::new([Invalid {
        field: "child_name".to_owned(),
        message: "must be the name of the child".to_owned(),
    }])))
}
