//! Repositories and cache together, as the HTTP API calls them.

use std::sync::Arc;

use aside::{CacheService, CachedRepository, Repository as _};
use uuid::Uuid;

use crate::domain::{
    Child, ChildDraft, Expected, Hero, HeroDraft, Row as _, Story, StoryDraft, TaleError,
};
use crate::sql::{AnyKind, Database, SqlChildren, SqlHeroes, SqlRows, SqlStories};
use crate::strategies::{ChildCacheStrategy, HeroCacheStrategy, StoryCacheStrategy};

/// The three cached repositories, and one method per writing operation.
///
/// Reads go directly to the repositories. Writes go through here, because the
/// `Repository` trait cannot express some of them: an expected state, or a
/// change of the rating alone.
#[derive(Clone, Debug)]
pub struct Tales {
    /// The heroes, behind the cache.
    pub heroes: CachedRepository<SqlHeroes>,
    /// The children, behind the cache.
    pub children: CachedRepository<SqlChildren>,
    /// The stories, behind the cache.
    pub stories: CachedRepository<SqlStories>,
    /// The database behind all three.
    pub database: Database,
    cache: CacheService,
}

impl Tales {
    /// Puts `cache` in front of `database`, each kind with its strategy.
    #[must_use]
    pub fn new(database: Database, cache: &CacheService) -> Self {
        let heroes = CachedRepository::new(SqlHeroes::new(database.clone()), cache);
        let children = CachedRepository::new(SqlChildren::new(database.clone()), cache);
        let stories = CachedRepository::new(SqlStories::new(database.clone()), cache);
        Self {
            heroes: heroes.with_strategy(HeroCacheStrategy),
            children: children.with_strategy(ChildCacheStrategy),
            stories: stories.with_strategy(StoryCacheStrategy),
            database,
            cache: cache.clone(),
        }
    }

    /// Returns the cache in front of the database.
    #[must_use]
    pub fn cache(&self) -> &CacheService {
        &self.cache
    }

    /// Adds a hero.
    ///
    /// # Errors
    /// [`TaleError::Invalid`], or the database's.
    pub async fn create_hero(&self, draft: HeroDraft) -> Result<Arc<Hero>, TaleError> {
        self.heroes.save(Hero::new(draft)).await
    }

    /// Replaces a hero, if it is in the expected state.
    ///
    /// # Errors
    /// [`TaleError::NotFound`], [`TaleError::Conflict`],
    /// [`TaleError::Invalid`], or the database's.
    pub async fn replace_hero(
        &self,
        id: Uuid,
        draft: HeroDraft,
        expected: impl Into<Expected>,
    ) -> Result<Arc<Hero>, TaleError> {
        replace(&self.heroes, Hero::with_id(id, draft), expected.into()).await
    }

    /// Deletes a hero, if it is in the expected state. Its stories stay,
    /// without it.
    ///
    /// # Errors
    /// [`TaleError::NotFound`], [`TaleError::Conflict`], or the database's.
    pub async fn delete_hero(
        &self,
        id: Uuid,
        expected: impl Into<Expected>,
    ) -> Result<(), TaleError> {
        delete(&self.heroes, id, expected.into()).await
    }

    /// Adds a child.
    ///
    /// # Errors
    /// [`TaleError::Invalid`], or the database's.
    pub async fn create_child(&self, draft: ChildDraft) -> Result<Arc<Child>, TaleError> {
        self.children.save(Child::new(draft)).await
    }

    /// Replaces a child, if it is in the expected state. Its stories get its
    /// new name too.
    ///
    /// # Errors
    /// [`TaleError::NotFound`], [`TaleError::Conflict`],
    /// [`TaleError::Invalid`], or the database's.
    pub async fn replace_child(
        &self,
        id: Uuid,
        draft: ChildDraft,
        expected: impl Into<Expected>,
    ) -> Result<Arc<Child>, TaleError> {
        replace(&self.children, Child::with_id(id, draft), expected.into()).await
    }

    /// Deletes a child, if it is in the expected state. Its stories keep the
    /// name and lose the id.
    ///
    /// # Errors
    /// [`TaleError::NotFound`], [`TaleError::Conflict`], or the database's.
    pub async fn delete_child(
        &self,
        id: Uuid,
        expected: impl Into<Expected>,
    ) -> Result<(), TaleError> {
        delete(&self.children, id, expected.into()).await
    }

    /// Adds a story. If it names a child, it gets that child's name.
    ///
    /// # Errors
    /// [`TaleError::Invalid`], [`TaleError::UnknownChild`],
    /// [`TaleError::UnknownHero`], or the database's.
    pub async fn create_story(&self, draft: StoryDraft) -> Result<Arc<Story>, TaleError> {
        self.stories.save(Story::new(draft)).await
    }

    /// Replaces a story, if it is in the expected state.
    ///
    /// # Errors
    /// [`TaleError::NotFound`], [`TaleError::Conflict`],
    /// [`TaleError::Invalid`], [`TaleError::UnknownChild`],
    /// [`TaleError::UnknownHero`], or the database's.
    pub async fn replace_story(
        &self,
        id: Uuid,
        draft: StoryDraft,
        expected: impl Into<Expected>,
    ) -> Result<Arc<Story>, TaleError> {
        replace(&self.stories, Story::with_id(id, draft), expected.into()).await
    }

    /// Deletes a story, if it is in the expected state.
    ///
    /// # Errors
    /// [`TaleError::NotFound`], [`TaleError::Conflict`], or the database's.
    pub async fn delete_story(
        &self,
        id: Uuid,
        expected: impl Into<Expected>,
    ) -> Result<(), TaleError> {
        delete(&self.stories, id, expected.into()).await
    }

    /// Rates a story, if it is in the expected state.
    ///
    /// # Errors
    /// [`TaleError::NotFound`], [`TaleError::Conflict`],
    /// [`TaleError::Invalid`], or the database's.
    pub async fn rate_story(
        &self,
        id: Uuid,
        rating: i32,
        expected: impl Into<Expected>,
    ) -> Result<Arc<Story>, TaleError> {
        let expected = expected.into();
        let rated = self.stories.write_with(move |stories, write| {
            Box::pin(stories.set_rating(id, rating, expected, write))
        });
        rated.await?.ok_or(TaleError::NotFound { kind: "story" })
    }
}

/// Replaces a row, if it is in the expected state.
async fn replace<E: AnyKind>(
    rows: &CachedRepository<SqlRows<E>>,
    row: E,
    expected: Expected,
) -> Result<Arc<E>, TaleError> {
    let replaced =
        rows.write_with(move |rows, write| Box::pin(rows.update_if(row, expected, write)));
    let kind = E::KIND;
    replaced.await?.ok_or(TaleError::NotFound { kind })
}

/// Deletes a row, if it is in the expected state.
async fn delete<E: AnyKind>(
    rows: &CachedRepository<SqlRows<E>>,
    id: Uuid,
    expected: Expected,
) -> Result<(), TaleError> {
    let deleted = rows.write_with(move |rows, write| Box::pin(rows.delete_if(id, expected, write)));
    match deleted.await? {
        true => Ok(()),
        false => Err(TaleError::NotFound { kind: E::KIND }),
    }
}
