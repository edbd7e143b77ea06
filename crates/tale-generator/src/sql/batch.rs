//! Many rows in one transaction, stored unchanged, for seeding and imports.

use std::sync::Arc;

use aside::Write;

use super::database::{Database, on_store};
use super::kind::Kind;
use super::store::{Dialect, Store};
use super::transaction::Transaction;
use crate::domain::{Child, Hero, Invalid, Record, Story, TaleError};

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
    let inserted = once_more!({
        on_store!(database, |store| {
            store.insert_batch(records, write, &mut at_fault).await
        })
    });
    inserted.map_err(|error| BatchError {
        index: at_fault,
        error,
    })
}

impl<D: Dialect> Store<D>
where
    Hero: Kind<D>,
    Child: Kind<D>,
    Story: Kind<D>,
{
    /// Leaves the index of the faulty record in `at_fault`.
    async fn insert_batch(
        &self,
        records: &[Record],
        write: &mut Write,
        at_fault: &mut Option<usize>,
    ) -> Result<Inserted, TaleError> {
        *at_fault = None;
        let mut inserted = Inserted::default();
        let mut transaction = self.begin(&self.stories, write, None).await?;
        for (index, record) in records.iter().enumerate() {
            *at_fault = Some(index);
            record.validate()?;
            let added = match record {
                Record::Hero(hero) => self.add(&mut transaction, hero, write).await?,
                Record::Child(child) => self.add(&mut transaction, child, write).await?,
                Record::Story(story) => {
                    self.refuse_another_name(&mut transaction, story).await?;
                    self.add(&mut transaction, story.as_ref(), write).await?
                }
            };
            match added {
                true => inserted.added += 1,
                false => inserted.present += 1,
            }
        }
        *at_fault = None;
        if 0 < inserted.added {
            self.commit(&self.stories, transaction, write).await?;
        }
        Ok(inserted)
    }

    /// Returns true if the row was added.
    async fn add<E: Kind<D> + PartialEq>(
        &self,
        transaction: &mut Transaction<D>,
        row: &E,
        write: &mut Write,
    ) -> Result<bool, TaleError> {
        if self.insert(transaction, row, write).await?.is_some() {
            return Ok(true);
        }
        let present = E::table(self).find_by_id_in(&mut transaction.connection, row.id());
        let present = self.limits.write(E::KIND, present).await?;
        if present.as_ref() == Some(row) {
            return Ok(false);
        }
        Err(TaleError::Exists { kind: E::KIND })
    }

    /// A story is stored unchanged, so it must already have the name of its
    /// child.
    async fn refuse_another_name(
        &self,
        transaction: &mut Transaction<D>,
        story: &Story,
    ) -> Result<(), TaleError> {
        let mut settled = story.clone();
        if let Some(unknown) = settled.settle(self, transaction).await? {
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
}
