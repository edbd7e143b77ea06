//! Heroes in SQL.

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
use crate::domain::{Draft as _, Expected, Hero, HeroIndex, Row as _, TaleError, now};

/// The heroes of a database.
#[derive(Clone, Debug)]
pub struct SqlHeroes {
    database: Database,
}

/// The columns of a hero, by name. Prepared statements of this version then
/// return the same after a later version adds a column.
macro_rules! columns {
    () => {
        "id, name, age, gender, appearance, personality_traits, interests, strengths, \
         language, created_at, updated_at, version"
    };
}

impl Table for Hero {
    const STATEMENTS: Statements = Statements {
        by_id: Statement::both(select!("heroes WHERE id = $1")),
        by_ids: Statement::each(
            select!("heroes WHERE id IN (SELECT value FROM json_each($1))"),
            select!("heroes WHERE id = ANY ($1)"),
        ),
        all: Statement::both(select!("heroes ORDER BY created_at, id")),
        page: Statement::both(select!("heroes WHERE $1 < id ORDER BY id LIMIT 500")),
        lock: Statement::each(
            select!("heroes WHERE id = $1"),
            select!("heroes WHERE id = $1 FOR UPDATE"),
        ),
        insert: Statement::both(returning!(
            "INSERT INTO heroes (id, name, age, gender, appearance, personality_traits,
                                 interests, strengths, language,
                                 created_at, updated_at, version)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             ON CONFLICT (id) DO NOTHING"
        )),
        update: Statement::both(returning!(
            "UPDATE heroes
                SET name = $2, age = $3, gender = $4, appearance = $5,
                    personality_traits = $6, interests = $7, strengths = $8, language = $9,
                    updated_at = CASE WHEN updated_at < $10 THEN $10 ELSE updated_at END,
                    version = version + 1
              WHERE id = $1 AND ($11 IS NULL OR version = $11)"
        )),
        delete: Statement::both(
            "DELETE FROM heroes WHERE id = $1 AND ($2 IS NULL OR version = $2) RETURNING id",
        ),
    };

    fn writable(&self) -> Result<Vec<Value>, sqlx::Error> {
        Ok(vec![
            Value::text(&self.name),
            Value::int(self.age),
            Value::text(self.gender.as_str()),
            Value::text(&self.appearance),
            Value::json(&self.personality_traits)?,
            Value::json(&self.interests)?,
            Value::json(&self.strengths)?,
            Value::text(self.language.as_str()),
        ])
    }
}

impl FromColumns for Hero {
    fn from_columns(row: &dyn Columns) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.id("id")?,
            name: row.text("name")?,
            age: row.int("age")?,
            gender: row.word("gender")?,
            appearance: row.text("appearance")?,
            personality_traits: row.json("personality_traits")?,
            interests: row.json("interests")?,
            strengths: row.json("strengths")?,
            language: row.word("language")?,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
            version: row.version()?,
        })
    }
}

impl SqlHeroes {
    /// Returns the heroes of `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Replaces the hero of the same id if it is in the expected state. Returns
    /// `None` if there is no such hero. The UPDATE compares the version.
    ///
    /// # Errors
    /// [`TaleError::Conflict`] if it is in another state.
    pub async fn update_if(
        &self,
        row: Hero,
        expected: impl Into<Expected> + Send,
        write: &mut Write,
    ) -> Result<Option<Arc<Hero>>, TaleError> {
        let expected = expected.into();
        row.draft().validate()?;
        once_more!({
            let mut transaction = self.database.begin(write, Some(row.id)).await?;
            let Some(before) = table::lock(&mut transaction, row.id).await? else {
                return Ok(None);
            };
            let after = table::replace(&mut transaction, &before, &row, &expected).await?;
            write.updated(&before, &after);
            transaction.commit(write).await?;
            Ok(Some(Arc::new(after)))
        })
    }

    /// Deletes the hero if it is in the expected state. Returns false if there
    /// is none. Its stories stay, without it, and the version of each
    /// increases.
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
            let Some(before) = table::lock::<Hero>(&mut transaction, id).await? else {
                return Ok(false);
            };
            stories::leave_hero(&mut transaction, id, write).await?;
            table::delete(&mut transaction, &before, &expected).await?;
            write.deleted(&before);
            transaction.commit(write).await?;
            Ok(true)
        })
    }
}

impl Source for SqlHeroes {
    type Entity = Hero;
    type Error = TaleError;

    async fn find_by_id(&self, id: &Uuid) -> Result<Option<Arc<Hero>>, TaleError> {
        table::find_by_id(&self.database, *id).await
    }

    async fn find_many(&self, ids: &[Uuid]) -> Result<Vec<Option<Arc<Hero>>>, TaleError> {
        table::find_many(&self.database, ids).await
    }

    async fn find_by(&self, index: &HeroIndex) -> Result<Rows<Hero>, TaleError> {
        const BY_NAME: Statement =
            Statement::both(select!("heroes WHERE name = $1 ORDER BY created_at, id"));
        const BY_LANGUAGE: Statement = Statement::both(select!(
            "heroes WHERE language = $1 ORDER BY created_at, id"
        ));
        let (statement, value) = match index {
            HeroIndex::Name(name) if !storable(name) => return Ok(Arc::new([])),
            HeroIndex::Name(name) => (BY_NAME, Value::text(name)),
            HeroIndex::Language(language) => (BY_LANGUAGE, Value::text(language.as_str())),
        };
        table::list(&self.database, statement, vec![value]).await
    }

    async fn list_all(&self) -> Result<Rows<Hero>, TaleError> {
        table::list(&self.database, Hero::STATEMENTS.all, vec![]).await
    }

    fn overloaded(&self, why: aside::repository::Overloaded) -> TaleError {
        why.into()
    }
}

impl Repository for SqlHeroes {
    /// Adds the hero with version 1 and the current time.
    async fn save_in(&self, mut row: Hero, write: &mut Write) -> Result<Arc<Hero>, TaleError> {
        row.draft().validate()?;
        row.created_at = now();
        row.updated_at = row.created_at;
        row.version = 1;
        once_more!({
            let mut transaction = self.database.begin(write, None).await?;
            let after = table::insert(&mut transaction, &row)
                .await?
                .ok_or(TaleError::Exists { kind: "hero" })?;
            write.created(&after);
            transaction.commit(write).await?;
            Ok(Arc::new(after))
        })
    }

    async fn update_in(
        &self,
        row: Hero,
        write: &mut Write,
    ) -> Result<Option<Arc<Hero>>, TaleError> {
        self.update_if(row, None, write).await
    }

    async fn delete_in(&self, id: &Uuid, write: &mut Write) -> Result<bool, TaleError> {
        self.delete_if(*id, None, write).await
    }
}

impl Pages for SqlHeroes {
    async fn page(
        &self,
        index: Option<&HeroIndex>,
        after: Position,
        most: Most,
    ) -> Result<Page<Hero>, TaleError> {
        pages::page(&self.database, paging(index), after, most).await
    }

    async fn whole(
        &self,
        index: Option<&HeroIndex>,
        bytes: usize,
    ) -> Result<Option<Rows<Hero>>, TaleError> {
        pages::whole(&self.database, paging(index), bytes).await
    }
}

fn paging(index: Option<&HeroIndex>) -> Paging {
    const ALL: Statement = Statement::both(select!(
        "heroes WHERE ($1, $2) < (created_at, id)
          ORDER BY created_at, id LIMIT $3"
    ));
    const BY_NAME: Statement = Statement::both(select!(
        "heroes WHERE ($1, $2) < (created_at, id) AND name = $4
          ORDER BY created_at, id LIMIT $3"
    ));
    const BY_LANGUAGE: Statement = Statement::both(select!(
        "heroes WHERE ($1, $2) < (created_at, id) AND language = $4
          ORDER BY created_at, id LIMIT $3"
    ));
    Some(match index {
        None => (ALL, vec![]),
        Some(HeroIndex::Name(name)) if !storable(name) => return None,
        Some(HeroIndex::Name(name)) => (BY_NAME, vec![Value::text(name)]),
        Some(HeroIndex::Language(language)) => (BY_LANGUAGE, vec![Value::text(language.as_str())]),
    })
}
