//! The repositories of the three kinds, on either database.

use std::marker::PhantomData;
use std::sync::Arc;

use aside::repository::Overloaded;
use aside::{Repository, Rows, Source, Write};
use uuid::Uuid;

use super::database::{Database, on_store};
use super::gather::{Most, Page};
use super::kind::AnyKind;
use super::pages::{Pages, Position};
use crate::domain::{Child, Expected, Hero, Story, TaleError};

/// The rows of one kind in a database.
#[derive(Debug)]
pub struct SqlRows<E> {
    database: Database,
    kind: PhantomData<fn() -> E>,
}

/// The heroes of a database. A deleted hero leaves its stories, and the version
/// of each increases.
pub type SqlHeroes = SqlRows<Hero>;

/// The children of a database. The stories of a child that changes its name get
/// the new one in the same transaction. Those of a deleted child keep the name
/// and lose the id. The version of each increases.
pub type SqlChildren = SqlRows<Child>;

/// The stories of a database. If a story has a `child_id`, the child's name is
/// stored.
pub type SqlStories = SqlRows<Story>;

impl<E> Clone for SqlRows<E> {
    fn clone(&self) -> Self {
        Self::new(self.database.clone())
    }
}

impl<E> SqlRows<E> {
    /// Returns the rows of `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self {
            database,
            kind: PhantomData,
        }
    }
}

#[expect(private_bounds, reason = "there are three kinds, and no user adds one")]
impl<E: AnyKind> SqlRows<E> {
    /// Replaces the row of the same id if it is in the expected state. Returns
    /// `None` if there is no such row.
    ///
    /// # Errors
    /// [`TaleError::Conflict`] if it is in another state, and for a story
    /// [`TaleError::UnknownChild`] and [`TaleError::UnknownHero`].
    pub async fn update_if(
        &self,
        row: E,
        expected: impl Into<Expected> + Send,
        write: &mut Write,
    ) -> Result<Option<Arc<E>>, TaleError> {
        let expected = expected.into();
        on_store!(self.database, |store| {
            store.update(row, &expected, write).await
        })
    }

    /// Deletes the row if it is in the expected state. Returns false if there
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
        on_store!(self.database, |store| {
            store.delete::<E>(id, &expected, write).await
        })
    }
}

impl SqlStories {
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
        let expected = expected.into();
        on_store!(self.database, |store| {
            store.set_rating(id, rating, &expected, write).await
        })
    }
}

impl<E: AnyKind> Source for SqlRows<E> {
    type Entity = E;
    type Error = TaleError;

    async fn find_by_id(&self, id: &Uuid) -> Result<Option<Arc<E>>, TaleError> {
        on_store!(self.database, |store| store.find_by_id(id).await)
    }

    async fn find_many(&self, ids: &[Uuid]) -> Result<Vec<Option<Arc<E>>>, TaleError> {
        on_store!(self.database, |store| store.find_many(ids).await)
    }

    async fn find_by(&self, index: &E::Index) -> Result<Rows<E>, TaleError> {
        on_store!(self.database, |store| store.list(Some(index)).await)
    }

    async fn list_all(&self) -> Result<Rows<E>, TaleError> {
        on_store!(self.database, |store| store.list(None).await)
    }

    fn overloaded(&self, why: Overloaded) -> TaleError {
        why.into()
    }
}

impl<E: AnyKind> Repository for SqlRows<E> {
    /// Adds the row with version 1 and the current time.
    async fn save_in(&self, row: E, write: &mut Write) -> Result<Arc<E>, TaleError> {
        on_store!(self.database, |store| store.save(row, write).await)
    }

    async fn update_in(&self, row: E, write: &mut Write) -> Result<Option<Arc<E>>, TaleError> {
        self.update_if(row, None, write).await
    }

    async fn delete_in(&self, id: &Uuid, write: &mut Write) -> Result<bool, TaleError> {
        self.delete_if(*id, None, write).await
    }
}

impl<E: AnyKind> Pages for SqlRows<E> {
    async fn page(
        &self,
        index: Option<&E::Index>,
        after: Position,
        most: Most,
    ) -> Result<Page<E>, TaleError> {
        on_store!(self.database, |store| store.page(index, after, most).await)
    }

    async fn whole(
        &self,
        index: Option<&E::Index>,
        bytes: usize,
    ) -> Result<Option<Rows<E>>, TaleError> {
        on_store!(self.database, |store| store.whole(index, bytes).await)
    }
}
