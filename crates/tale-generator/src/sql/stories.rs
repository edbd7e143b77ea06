//! The three kinds, and the changes of stories when their child or hero changes.
//!
//! The child or hero is locked before any of its stories, and a story is
//! attached to it only under that lock. So no story can join or leave between
//! the statements of a change.

use std::sync::Arc;

use aside::Write;
use aside_sqlx::{SqlTable, Table};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::kind::Kind;
use super::store::{Dialect, Store};
use super::transaction::Transaction;
use super::writes::expect;
use crate::columns::{Id, Time};
use crate::domain::{
    Child, ChildIndex, Draft as _, Expected, Hero, HeroIndex, Rating, Story, StoryIndex, TaleError,
    now,
};

impl<D: Dialect> Kind<D> for Hero
where
    Self: Table<D>,
    Story: Table<D>,
{
    fn table(store: &Store<D>) -> &SqlTable<Self, D> {
        &store.heroes
    }

    fn text(index: &HeroIndex) -> Option<&str> {
        match index {
            HeroIndex::Name(name) => Some(name),
            HeroIndex::Language(_) => None,
        }
    }

    /// Removes the hero from its stories.
    async fn leave(
        &self,
        store: &Store<D>,
        transaction: &mut Transaction<D>,
        write: &mut Write,
    ) -> Result<(), TaleError> {
        let change = ("hero_id = $1", "hero_id = NULL", None);
        store.rewrite(transaction, self.id, change, write).await
    }
}

impl<D: Dialect> Kind<D> for Child
where
    Self: Table<D>,
    Story: Table<D>,
{
    fn table(store: &Store<D>) -> &SqlTable<Self, D> {
        &store.children
    }

    fn text(index: &ChildIndex) -> Option<&str> {
        let (ChildIndex::Name(name) | ChildIndex::Exact { name, .. }) = index;
        Some(name)
    }

    /// Gives the child's new name to its stories.
    async fn follow(
        &self,
        before: &Self,
        store: &Store<D>,
        transaction: &mut Transaction<D>,
        write: &mut Write,
    ) -> Result<(), TaleError> {
        if before.name == self.name {
            return Ok(());
        }
        let change = ("child_id = $1", "child_name = $3", Some(&*self.name));
        store.rewrite(transaction, self.id, change, write).await
    }

    /// Removes the child from its stories; they keep its name.
    async fn leave(
        &self,
        store: &Store<D>,
        transaction: &mut Transaction<D>,
        write: &mut Write,
    ) -> Result<(), TaleError> {
        let change = ("child_id = $1", "child_id = NULL", None);
        store.rewrite(transaction, self.id, change, write).await
    }
}

impl<D: Dialect> Kind<D> for Story
where
    Hero: Table<D>,
    Child: Table<D>,
    Self: Table<D>,
{
    fn table(store: &Store<D>) -> &SqlTable<Self, D> {
        &store.stories
    }

    fn text(index: &StoryIndex) -> Option<&str> {
        match index {
            StoryIndex::ChildName(name) => Some(name),
            StoryIndex::ChildId(_) | StoryIndex::Language(_) => None,
        }
    }

    fn owner(&self) -> Option<Uuid> {
        self.child_id.or(self.hero_id)
    }

    /// Locks the child and the hero that the story names, in this order, and
    /// gives the story the child's name.
    ///
    /// A concurrent rename either waits for this transaction and then finds the
    /// story, or this transaction waits for the rename and then finds the new
    /// name.
    async fn settle(
        &mut self,
        store: &Store<D>,
        transaction: &mut Transaction<D>,
    ) -> Result<Option<TaleError>, TaleError> {
        let mut unknown = None;
        if let Some(id) = self.child_id {
            let child = store.children.share_in(&mut transaction.connection, &id);
            match store.limits.write("child", child).await? {
                Some(child) => self.child_name = Some(child.name),
                None => unknown = Some(TaleError::UnknownChild(id)),
            }
        }
        if let Some(id) = self.hero_id {
            let hero = store.heroes.share_in(&mut transaction.connection, &id);
            if store.limits.write("hero", hero).await?.is_none() {
                unknown.get_or_insert(TaleError::UnknownHero(id));
            }
        }
        Ok(unknown)
    }
}

impl<D: Dialect> Store<D>
where
    Story: Table<D>,
{
    /// Changes the stories of `owner`, which is locked: a condition with the id
    /// `$1`, the columns to set, and their value `$3` if they need one.
    async fn rewrite(
        &self,
        transaction: &mut Transaction<D>,
        owner: Uuid,
        (condition, set, name): (&str, &str, Option<&str>),
        write: &mut Write,
    ) -> Result<(), TaleError> {
        let id = || D::Id::from(Id(owner));
        let first = self.stories.select().rows(condition).bind(id()).limit(1);
        let first = first.fetch_in(&mut transaction.connection);
        if self.limits.write("story", first).await?.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "UPDATE stories
                SET {set},
                    updated_at = CASE WHEN updated_at < $2 THEN $2 ELSE updated_at END,
                    version = version + 1
              WHERE {condition}"
        );
        let mut update = sqlx::query::<D>(AssertSqlSafe(sql))
            .bind(id())
            .bind(D::Time::from(Time(now())));
        if let Some(name) = name {
            update = update.bind(D::Text::from(name.to_owned()));
        }
        let stories = self.stories.change_in(&mut transaction.connection, write);
        let stories = stories.rows(condition).bind(id());
        let changed = async { Ok(stories.update(update).await?) };
        self.limits.write("story", changed).await.map(drop)
    }

    /// Rates the story, 1 to 10. Returns `None` if there is no such story.
    ///
    /// # Errors
    /// [`TaleError::Invalid`] for another rating, [`TaleError::Conflict`] if
    /// the story is in another state than the expected one.
    pub(super) async fn set_rating(
        &self,
        id: Uuid,
        rating: i32,
        expected: &Expected,
        write: &mut Write,
    ) -> Result<Option<Arc<Story>>, TaleError> {
        const RATE: &str = "UPDATE stories
                SET rating = $2,
                    updated_at = CASE WHEN updated_at < $3 THEN $3 ELSE updated_at END,
                    version = version + 1
              WHERE id = $1";
        Rating(rating).validate()?;
        once_more!({
            let stories = &self.stories;
            let mut transaction = self.begin(stories, write, Some(id)).await?;
            let before = stories.lock_in(&mut transaction.connection, &id);
            let Some(before) = self.limits.write("story", before).await? else {
                return Ok(None);
            };
            expect(&before, expected)?;
            let rate = sqlx::query::<D>(RATE)
                .bind(D::Id::from(Id(id)))
                .bind(D::Number::from(rating))
                .bind(D::Time::from(Time(now())));
            let connection = &mut transaction.connection;
            let after = stories.change_row_in(connection, write, &before, rate);
            let after = self.limits.write("story", after).await?;
            self.commit(stories, transaction, write).await?;
            Ok(after.map(Arc::new))
        })
    }
}
