//! Children in SQL.

use std::sync::Arc;

use aside::{Repository, Rows, Source, Write};
use uuid::Uuid;

use super::columns::{Columns, FromColumns};
use super::database::Database;
use super::gather::{Most, Page};
use super::pages::{self, Pages, Paging, Position};
use super::statement::{Statement, Value};
use super::stories;
use super::table::{self, Statements, Table, storable};
use crate::domain::{Child, ChildIndex, Draft as _, Expected, Row as _, TaleError, now};

/// The children of a database.
#[derive(Clone, Debug)]
pub struct SqlChildren {
    database: Database,
}

/// The columns of a child, by name. Prepared statements of this version then
/// return the same after a later version adds a column.
macro_rules! columns {
    () => {
        "id, name, age, gender, interests, created_at, updated_at, version"
    };
}

impl Table for Child {
    const STATEMENTS: Statements = Statements {
        by_id: Statement::both(select!("children WHERE id = $1")),
        by_ids: Statement::each(
            select!("children WHERE id IN (SELECT value FROM json_each($1))"),
            select!("children WHERE id = ANY ($1)"),
        ),
        all: Statement::both(select!("children ORDER BY created_at, id")),
        page: Statement::both(select!("children WHERE $1 < id ORDER BY id LIMIT 500")),
        lock: Statement::each(
            select!("children WHERE id = $1"),
            select!("children WHERE id = $1 FOR UPDATE"),
        ),
        insert: Statement::both(returning!(
            "INSERT INTO children (id, name, age, gender, interests,
                                   created_at, updated_at, version)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (id) DO NOTHING"
        )),
        update: Statement::both(returning!(
            "UPDATE children
                SET name = $2, age = $3, gender = $4, interests = $5,
                    updated_at = CASE WHEN updated_at < $6 THEN $6 ELSE updated_at END,
                    version = version + 1
              WHERE id = $1 AND ($7 IS NULL OR version = $7)"
        )),
        delete: Statement::both(
            "DELETE FROM children WHERE id = $1 AND ($2 IS NULL OR version = $2) RETURNING id",
        ),
    };

    fn writable(&self) -> Result<Vec<Value>, sqlx::Error> {
        Ok(vec![
            Value::text(&self.name),
            Value::int(self.age),
            Value::text(self.gender.as_str()),
            Value::json(&self.interests)?,
        ])
    }
}

impl FromColumns for Child {
    fn from_columns(row: &dyn Columns) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.id("id")?,
            name: row.text("name")?,
            age: row.int("age")?,
            gender: row.word("gender")?,
            interests: row.json("interests")?,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
            version: row.version()?,
        })
    }
}

impl SqlChildren {
    /// Returns the children of `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Replaces the child of the same id if it is in the expected state.
    /// Returns `None` if there is no such child. Its stories get a new name in
    /// the same transaction.
    ///
    /// # Errors
    /// [`TaleError::Conflict`] if it is in another state.
    pub async fn update_if(
        &self,
        row: Child,
        expected: impl Into<Expected> + Send,
        write: &mut Write,
    ) -> Result<Option<Arc<Child>>, TaleError> {
        let expected = expected.into();
        row.draft().validate()?;
        once_more!({
            let mut transaction = self.database.begin(write, Some(row.id)).await?;
            let Some(before) = table::lock::<Child>(&mut transaction, row.id).await? else {
                return Ok(None);
            };
            let after = table::replace(&mut transaction, &before, &row, &expected).await?;
            write.updated(&before, &after);
            if before.name != after.name {
                stories::follow_name(&mut transaction, &after, write).await?;
            }
            transaction.commit(write).await?;
            Ok(Some(Arc::new(after)))
        })
    }

    /// Deletes the child if it is in the expected state. Returns false if there
    /// is none. Its stories keep the name and lose the id, and the version of
    /// each increases.
    ///
    /// # Errors
    /// [`TaleError::Conflict`] if it is in another state.
    pub async fn delete_if(
        &self,
        id: Uuid,
        expected: impl Into<Expected> + Send,
        write: &mut Write,
    ) -> Result<bool, TaleError> {
        let expected = expected.into();
        once_more!({
            let mut transaction = self.database.begin(write, Some(id)).await?;
            let Some(before) = table::lock::<Child>(&mut transaction, id).await? else {
                return Ok(false);
            };
            stories::leave_child(&mut transaction, id, write).await?;
            table::delete(&mut transaction, &before, &expected).await?;
            write.deleted(&before);
            transaction.commit(write).await?;
            Ok(true)
        })
    }
}

impl Source for SqlChildren {
    type Entity = Child;
    type Error = TaleError;

    async fn find_by_id(&self, id: &Uuid) -> Result<Option<Arc<Child>>, TaleError> {
        table::find_by_id(&self.database, *id).await
    }

    async fn find_many(&self, ids: &[Uuid]) -> Result<Vec<Option<Arc<Child>>>, TaleError> {
        table::find_many(&self.database, ids).await
    }

    async fn find_by(&self, index: &ChildIndex) -> Result<Rows<Child>, TaleError> {
        const BY_NAME: Statement =
            Statement::both(select!("children WHERE name = $1 ORDER BY created_at, id"));
        const EXACT: Statement = Statement::both(select!(
            "children WHERE name = $1 AND age = $2 AND gender = $3
              ORDER BY created_at, id"
        ));
        let (ChildIndex::Name(name) | ChildIndex::Exact { name, .. }) = index;
        if !storable(name) {
            return Ok(Arc::new([]));
        }
        let (statement, values) = match index {
            ChildIndex::Name(name) => (BY_NAME, vec![Value::text(name)]),
            ChildIndex::Exact { name, age, gender } => {
                let gender = Value::text(gender.as_str());
                (EXACT, vec![Value::text(name), Value::int(*age), gender])
            }
        };
        table::list(&self.database, statement, values).await
    }

    async fn list_all(&self) -> Result<Rows<Child>, TaleError> {
        table::list(&self.database, Child::STATEMENTS.all, vec![]).await
    }

    fn overloaded(&self, why: aside::repository::Overloaded) -> TaleError {
        why.into()
    }
}

impl Repository for SqlChildren {
    /// Adds the child with version 1 and the current time.
    async fn save_in(&self, mut row: Child, write: &mut Write) -> Result<Arc<Child>, TaleError> {
        row.draft().validate()?;
        row.created_at = now();
        row.updated_at = row.created_at;
        row.version = 1;
        once_more!({
            let mut transaction = self.database.begin(write, None).await?;
            let after = table::insert(&mut transaction, &row)
                .await?
                .ok_or(TaleError::Exists { kind: "child" })?;
            write.created(&after);
            transaction.commit(write).await?;
            Ok(Arc::new(after))
        })
    }

    async fn update_in(
        &self,
        row: Child,
        write: &mut Write,
    ) -> Result<Option<Arc<Child>>, TaleError> {
        self.update_if(row, None, write).await
    }

    async fn delete_in(&self, id: &Uuid, write: &mut Write) -> Result<bool, TaleError> {
        self.delete_if(*id, None, write).await
    }
}

impl Pages for SqlChildren {
    async fn page(
        &self,
        index: Option<&ChildIndex>,
        after: Position,
        most: Most,
    ) -> Result<Page<Child>, TaleError> {
        pages::page(&self.database, paging(index), after, most).await
    }

    async fn whole(
        &self,
        index: Option<&ChildIndex>,
        bytes: usize,
    ) -> Result<Option<Rows<Child>>, TaleError> {
        pages::whole(&self.database, paging(index), bytes).await
    }
}

fn paging(index: Option<&ChildIndex>) -> Paging {
    const ALL: Statement = Statement::both(select!(
        "children WHERE ($1, $2) < (created_at, id)
          ORDER BY created_at, id LIMIT $3"
    ));
    const BY_NAME: Statement = Statement::both(select!(
        "children WHERE ($1, $2) < (created_at, id) AND name = $4
          ORDER BY created_at, id LIMIT $3"
    ));
    const EXACT: Statement = Statement::both(select!(
        "children WHERE ($1, $2) < (created_at, id) AND name = $4 AND age = $5 AND gender = $6
          ORDER BY created_at, id LIMIT $3"
    ));
    Some(match index {
        None => (ALL, vec![]),
        Some(ChildIndex::Name(name) | ChildIndex::Exact { name, .. }) if !storable(name) => {
            return None;
        }
        Some(ChildIndex::Name(name)) => (BY_NAME, vec![Value::text(name)]),
        Some(ChildIndex::Exact { name, age, gender }) => {
            let gender = Value::text(gender.as_str());
            (EXACT, vec![Value::text(name), Value::int(*age), gender])
        }
    })
}
