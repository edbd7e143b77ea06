//! Stories in SQL.

/// The columns of a story, by name. Prepared statements of this version then
/// return the same after a later version adds a column.
macro_rules! columns {
    () => {
        "id, title, content, moral, language, child_id, child_name, hero_id, rating, \
         story_length, audio_file, model_used, full_response, generation_info, \
         created_at, updated_at, version"
    };
}

mod cascade;
mod lists;
mod table_impl;

use std::sync::Arc;

use aside::{Repository, Rows, Source, Write};
use uuid::Uuid;

use super::columns::{Columns, FromColumns, Present};
use super::database::Database;
use super::statement::{Statement, Value};
use super::table::{self, Table, storable};
use super::transaction::Transaction;
use crate::domain::{Draft as _, Expected, Rating, Row as _, Story, StoryIndex, TaleError, now};

pub(super) use cascade::{follow_name, leave_child, leave_hero};

/// The stories of a database.
#[derive(Clone, Debug)]
pub struct SqlStories {
    database: Database,
}

impl SqlStories {
    /// Returns the stories of `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Replaces the story of the same id if it is in the expected state.
    /// Returns `None` if there is no such story. If there is a `child_id`, the
    /// child's name is stored.
    ///
    /// # Errors
    /// [`TaleError::Conflict`] if it is in another state,
    /// [`TaleError::UnknownChild`] and [`TaleError::UnknownHero`].
    pub async fn update_if(
        &self,
        mut row: Story,
        expected: impl Into<Expected> + Send,
        write: &mut Write,
    ) -> Result<Option<Arc<Story>>, TaleError> {
        let expected = expected.into();
        row.draft().validate()?;
        once_more!({
            let mut transaction = self.database.begin(write, Some(row.id)).await?;
            // The child and the hero are locked first, as everywhere. An
            // unknown one is reported only if the story exists.
            let unknown = settle(&mut transaction, &mut row).await?;
            let Some(before) = table::lock::<Story>(&mut transaction, row.id).await? else {
                return Ok(None);
            };
            unknown.map_or(Ok(()), Err)?;
            let after = table::replace(&mut transaction, &before, &row, &expected).await?;
            write.updated(&before, &after);
            transaction.commit(write).await?;
            Ok(Some(Arc::new(after)))
        })
    }

    /// Deletes the story if it is in the expected state. Returns false if there
    /// is none.
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
            let Some(before) = table::lock::<Story>(&mut transaction, id).await? else {
                return Ok(false);
            };
            table::delete(&mut transaction, &before, &expected).await?;
            write.deleted(&before);
            transaction.commit(write).await?;
            Ok(true)
        })
    }

    /// Rates the story, 1 to 10. Returns `None` if there is no such story.
    ///
    /// # Errors
    /// [`TaleError::Invalid`] for another rating, [`TaleError::Conflict`] if
    /// the story is in another state than the expected one.
    pub async fn set_rating(
        &self,
        id: Uuid,
        rating: i32,
        expected: impl Into<Expected> + Send,
        write: &mut Write,
    ) -> Result<Option<Arc<Story>>, TaleError> {
        const RATE: Statement = Statement::both(returning!(
            "UPDATE stories
                SET rating = $2,
                    updated_at = CASE WHEN updated_at < $3 THEN $3 ELSE updated_at END,
                    version = version + 1
              WHERE id = $1 AND ($4 IS NULL OR version = $4)"
        ));
        let expected = expected.into();
        Rating(rating).validate()?;
        once_more!({
            let mut transaction = self.database.begin(write, Some(id)).await?;
            let Some(before) = table::lock::<Story>(&mut transaction, id).await? else {
                return Ok(None);
            };
            let values = vec![
                Value::id(id),
                Value::int(rating),
                Value::Time(now()),
                Value::Version(table::expect(&before, &expected)?),
            ];
            let after: Story = transaction
                .fetch_first(RATE, values, "story")
                .await?
                .ok_or_else(|| table::moved_on(&before))?;
            write.updated(&before, &after);
            transaction.commit(write).await?;
            Ok(Some(Arc::new(after)))
        })
    }
}

impl Source for SqlStories {
    type Entity = Story;
    type Error = TaleError;

    async fn find_by_id(&self, id: &Uuid) -> Result<Option<Arc<Story>>, TaleError> {
        table::find_by_id(&self.database, *id).await
    }

    async fn find_many(&self, ids: &[Uuid]) -> Result<Vec<Option<Arc<Story>>>, TaleError> {
        table::find_many(&self.database, ids).await
    }

    async fn find_by(&self, index: &StoryIndex) -> Result<Rows<Story>, TaleError> {
        const BY_CHILD_NAME: Statement = Statement::both(select!(
            "stories WHERE child_name = $1 ORDER BY created_at, id"
        ));
        const BY_LANGUAGE: Statement = Statement::both(select!(
            "stories WHERE language = $1 ORDER BY created_at, id"
        ));
        let (statement, value) = match index {
            StoryIndex::ChildName(name) if !storable(name) => return Ok(Arc::new([])),
            StoryIndex::ChildId(child) => (cascade::OF_CHILD, Value::id(*child)),
            StoryIndex::ChildName(name) => (BY_CHILD_NAME, Value::text(name)),
            StoryIndex::Language(language) => (BY_LANGUAGE, Value::text(language.as_str())),
        };
        table::list(&self.database, statement, vec![value]).await
    }

    async fn list_all(&self) -> Result<Rows<Story>, TaleError> {
        table::list(&self.database, Story::STATEMENTS.all, vec![]).await
    }

    fn overloaded(&self, why: aside::repository::Overloaded) -> TaleError {
        why.into()
    }
}

impl Repository for SqlStories {
    /// Adds the story with version 1 and the current time. If there is a
    /// `child_id`, the child's name is stored.
    async fn save_in(&self, mut row: Story, write: &mut Write) -> Result<Arc<Story>, TaleError> {
        row.draft().validate()?;
        row.created_at = now();
        row.updated_at = row.created_at;
        row.version = 1;
        once_more!({
            let first = row.child_id.or(row.hero_id);
            let mut transaction = self.database.begin(write, first).await?;
            let unknown = settle(&mut transaction, &mut row).await?;
            unknown.map_or(Ok(()), Err)?;
            let after = table::insert(&mut transaction, &row)
                .await?
                .ok_or(TaleError::Exists { kind: "story" })?;
            write.created(&after);
            transaction.commit(write).await?;
            Ok(Arc::new(after))
        })
    }

    async fn update_in(
        &self,
        row: Story,
        write: &mut Write,
    ) -> Result<Option<Arc<Story>>, TaleError> {
        self.update_if(row, None, write).await
    }

    async fn delete_in(&self, id: &Uuid, write: &mut Write) -> Result<bool, TaleError> {
        self.delete_if(*id, None, write).await
    }
}

/// Locks the child and the hero that the story names, in this order, and gives
/// the story the child's name. Returns an error if one of them is unknown.
///
/// A concurrent rename either waits for this transaction and then finds the
/// story, or this transaction waits for the rename and then finds the new name.
pub(super) async fn settle(
    transaction: &mut Transaction,
    story: &mut Story,
) -> Result<Option<TaleError>, TaleError> {
    const CHILD: Statement = Statement::each(
        "SELECT name FROM children WHERE id = $1",
        "SELECT name FROM children WHERE id = $1 FOR SHARE",
    );
    const HERO: Statement = Statement::each(
        "SELECT id FROM heroes WHERE id = $1",
        "SELECT id FROM heroes WHERE id = $1 FOR KEY SHARE",
    );
    let mut unknown = None;
    if let Some(id) = story.child_id {
        let child: Option<ChildName> = transaction
            .fetch_first(CHILD, vec![Value::id(id)], "child")
            .await?;
        match child {
            Some(ChildName(name)) => story.child_name = Some(name),
            None => unknown = Some(TaleError::UnknownChild(id)),
        }
    }
    if let Some(id) = story.hero_id {
        let hero: Option<Present> = transaction
            .fetch_first(HERO, vec![Value::id(id)], "hero")
            .await?;
        if hero.is_none() {
            unknown.get_or_insert(TaleError::UnknownHero(id));
        }
    }
    Ok(unknown)
}

struct ChildName(String);

impl FromColumns for ChildName {
    fn from_columns(row: &dyn Columns) -> Result<Self, sqlx::Error> {
        Ok(Self(row.text("name")?))
    }
}
