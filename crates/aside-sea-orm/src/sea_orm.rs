//! The repository of an entity.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use aside::repository::Overloaded;
use aside::transaction::OutOfReach;
use aside::{Repository, Rows, Source, Write, transaction};
use sea_orm::Select;
use sea_orm::sea_query::IntoValueTuple as _;
use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait as _, ColumnTrait as _, Condition, DatabaseConnection,
    EntityTrait, IntoActiveModel, Iterable as _, ModelTrait as _, PrimaryKeyToColumn as _,
    PrimaryKeyTrait, QueryFilter as _, QuerySelect as _,
};

use crate::error::Error;
use crate::lists::Lists;
use crate::{SeaOrmJournal, Transaction};

/// The id of an entity's rows.
type Id<E> = <<E as EntityTrait>::Model as aside::Entity>::Id;
/// The primary key of an entity, as SeaORM takes it.
type Key<E> = <<E as EntityTrait>::PrimaryKey as PrimaryKeyTrait>::ValueType;

/// SQLite refuses an expression of more than 1,000 terms.
const MAX_IDS_PER_STATEMENT: usize = 400;

/// The table of an entity `E`, as the source of a
/// [`CachedRepository`](aside::CachedRepository).
///
/// Rows are found by the primary key and by the lists of [`Lists`]. A save inserts every
/// column, an update sets every column, and both return the row as the database stored
/// it. For an insert without some columns, such as a generated key, use
/// [`insert_in`](Self::insert_in).
pub struct SeaOrm<E> {
    connection: DatabaseConnection,
    has_journal: bool,
    policy: OutOfReach,
    entity: PhantomData<fn() -> E>,
}

impl<E> SeaOrm<E> {
    /// Reads and writes over this connection, without a journal: other instances hear of
    /// a write that could not reach Redis when its writer reaches it again.
    #[must_use]
    pub fn new(connection: &DatabaseConnection) -> Self {
        Self {
            connection: connection.clone(),
            has_journal: false,
            policy: OutOfReach::Forget,
            entity: PhantomData,
        }
    }

    /// Reads and writes over the journal's connection. Keys that Redis did not
    /// acknowledge are inserted into the journal.
    #[must_use]
    pub fn with_journal(journal: &SeaOrmJournal) -> Self {
        Self {
            has_journal: true,
            policy: OutOfReach::Journal,
            ..Self::new(journal.connection())
        }
    }

    /// Sets the policy for keys that Redis does not acknowledge. `Journal` needs one.
    #[must_use]
    pub fn out_of_reach(mut self, policy: OutOfReach) -> Self {
        self.policy = policy;
        self
    }

    async fn begin(&self, write: &Write) -> Result<Transaction, Error> {
        let is_marked = self.has_journal && !write.is_uncached();
        Ok(Transaction::begin(&self.connection, is_marked).await?)
    }
}

impl<E> SeaOrm<E>
where
    E: Lists,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelBehavior + Send,
    Id<E>: Into<Key<E>>,
{
    /// Inserts the set columns of an active model, and returns the row with those that
    /// the database set:
    ///
    /// ```ignore
    /// articles.write_with(|source, write| Box::pin(source.insert_in(new, write))).await?;
    /// ```
    ///
    /// # Errors
    /// [`Error`].
    pub async fn insert_in(
        &self,
        row: E::ActiveModel,
        write: &mut Write,
    ) -> Result<Arc<E::Model>, Error> {
        let transaction = self.begin(write).await?;
        let after = row.insert(&*transaction).await?;
        write.created(&after);
        transaction::commit(transaction, write, self.policy).await?;
        Ok(Arc::new(after))
    }

    /// Locks and reads a row in the transaction of a write.
    async fn lock(transaction: &Transaction, id: Id<E>) -> Result<Option<E::Model>, Error> {
        let find = E::find_by_id(id).lock_exclusive();
        Ok(find.one(&**transaction).await?)
    }

    async fn all(&self, select: Select<E>) -> Result<Rows<E::Model>, Error> {
        let rows = E::order(select).all(&self.connection).await?;
        Ok(rows.into_iter().map(Arc::new).collect())
    }
}

/// Returns the condition of rows with any of these ids.
fn has_any_of<E>(ids: &[Id<E>]) -> Condition
where
    E: EntityTrait,
    E::Model: aside::Entity,
    Id<E>: Into<Key<E>>,
{
    let values = ids
        .iter()
        .map(|id| Into::<Key<E>>::into(id.clone()).into_value_tuple());
    let columns: Vec<_> = E::PrimaryKey::iter().map(|key| key.into_column()).collect();
    if let [column] = &columns[..] {
        return Condition::all().add(column.is_in(values.flatten()));
    }
    values.fold(Condition::any(), |any, values| {
        let each = columns.iter().zip(values);
        any.add(each.fold(Condition::all(), |all, (column, value)| {
            all.add(column.eq(value))
        }))
    })
}

impl<E> Source for SeaOrm<E>
where
    E: Lists + 'static,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelBehavior + Send,
    Id<E>: Into<Key<E>>,
{
    type Entity = E::Model;
    type Error = Error;

    async fn find_by_id(&self, id: &Id<E>) -> Result<Option<Arc<E::Model>>, Error> {
        let found = E::find_by_id(id.clone()).one(&self.connection).await?;
        Ok(found.map(Arc::new))
    }

    async fn find_many(&self, ids: &[Id<E>]) -> Result<Vec<Option<Arc<E::Model>>>, Error> {
        let mut rows = Vec::with_capacity(ids.len());
        for ids in ids.chunks(MAX_IDS_PER_STATEMENT) {
            let select = E::find().filter(has_any_of::<E>(ids));
            rows.extend(select.all(&self.connection).await?);
        }
        Ok(aside::in_order(ids, rows))
    }

    async fn find_by(
        &self,
        index: &<E::Model as aside::Entity>::Index,
    ) -> Result<Rows<E::Model>, Error> {
        self.all(E::find().filter(E::filter(index))).await
    }

    async fn list_all(&self) -> Result<Rows<E::Model>, Error> {
        self.all(E::find()).await
    }

    fn overloaded(&self, why: Overloaded) -> Error {
        why.into()
    }
}

impl<E> Repository for SeaOrm<E>
where
    E: Lists + 'static,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelBehavior + Send,
    Id<E>: Into<Key<E>>,
{
    async fn save_in(&self, row: E::Model, write: &mut Write) -> Result<Arc<E::Model>, Error> {
        self.insert_in(row.into_active_model().reset_all(), write)
            .await
    }

    async fn update_in(
        &self,
        row: E::Model,
        write: &mut Write,
    ) -> Result<Option<Arc<E::Model>>, Error> {
        let transaction = self.begin(write).await?;
        let id = aside::Entity::id(&row).clone();
        let Some(before) = Self::lock(&transaction, id).await? else {
            return Ok(None);
        };
        let row = row.into_active_model().reset_all();
        let after = row.update(&*transaction).await?;
        write.updated(&before, &after);
        transaction::commit(transaction, write, self.policy).await?;
        Ok(Some(Arc::new(after)))
    }

    async fn delete_in(&self, id: &Id<E>, write: &mut Write) -> Result<bool, Error> {
        let transaction = self.begin(write).await?;
        let Some(before) = Self::lock(&transaction, id.clone()).await? else {
            return Ok(false);
        };
        write.deleted(&before);
        before.delete(&*transaction).await?;
        transaction::commit(transaction, write, self.policy).await?;
        Ok(true)
    }
}

impl<E> Clone for SeaOrm<E> {
    fn clone(&self) -> Self {
        Self {
            connection: self.connection.clone(),
            ..*self
        }
    }
}

impl<E> fmt::Debug for SeaOrm<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SeaOrm")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
