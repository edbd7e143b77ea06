//! Repositories and cache together, as the HTTP API calls them.

use std::future::Future;
use std::sync::Arc;

use aside::{CacheService, CachedRepository, Repository as _, Write};
use uuid::Uuid;

use crate::domain::{
    Child, ChildDraft, Expected, Failure, Hero, HeroDraft, Row as _, Story, StoryDraft, TaleError,
};
use crate::sql::{Database, SqlChildren, SqlHeroes, SqlStories};
use crate::strategies::{ChildCacheStrategy, HeroCacheStrategy, StoryCacheStrategy};

/// The three cached repositories, and one method per writing operation.
///
/// Reads go directly to the repositories. Writes go through here, because the
/// `Repository` trait cannot express some of them: an expected state, or a
/// change of the rating alone. Those run with a separate `Write`.
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
        let expected = expected.into();
        let row = Hero::with_id(id, draft);
        let replaced = if expected == Expected::Any {
            self.heroes.update(row).await?
        } else {
            let heroes = self.heroes.source().clone();
            self.own_write(|mut write| async move {
                let replaced = heroes.update_if(row, expected, &mut write).await;
                (write, replaced)
            })
            .await?
        };
        replaced.ok_or(TaleError::NotFound { kind: "hero" })
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
        let expected = expected.into();
        let heroes = self.heroes.source().clone();
        let deleted = self
            .own_write(|mut write| async move {
                let deleted = heroes.delete_if(id, expected, &mut write).await;
                (write, deleted)
            })
            .await?;
        found(deleted, "hero")
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
        let expected = expected.into();
        let row = Child::with_id(id, draft);
        let replaced = if expected == Expected::Any {
            self.children.update(row).await?
        } else {
            let children = self.children.source().clone();
            self.own_write(|mut write| async move {
                let replaced = children.update_if(row, expected, &mut write).await;
                (write, replaced)
            })
            .await?
        };
        replaced.ok_or(TaleError::NotFound { kind: "child" })
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
        let expected = expected.into();
        let children = self.children.source().clone();
        let deleted = self
            .own_write(|mut write| async move {
                let deleted = children.delete_if(id, expected, &mut write).await;
                (write, deleted)
            })
            .await?;
        found(deleted, "child")
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
        let expected = expected.into();
        let row = Story::with_id(id, draft);
        let replaced = if expected == Expected::Any {
            self.stories.update(row).await?
        } else {
            let stories = self.stories.source().clone();
            self.own_write(|mut write| async move {
                let replaced = stories.update_if(row, expected, &mut write).await;
                (write, replaced)
            })
            .await?
        };
        replaced.ok_or(TaleError::NotFound { kind: "story" })
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
        let expected = expected.into();
        let stories = self.stories.source().clone();
        let deleted = self
            .own_write(|mut write| async move {
                let deleted = stories.delete_if(id, expected, &mut write).await;
                (write, deleted)
            })
            .await?;
        found(deleted, "story")
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
        let stories = self.stories.source().clone();
        let rated = self
            .own_write(|mut write| async move {
                let rated = stories.set_rating(id, rating, expected, &mut write).await;
                (write, rated)
            })
            .await?;
        rated.ok_or(TaleError::NotFound { kind: "story" })
    }

    /// Runs a transaction with a separate `Write` around it.
    ///
    /// # Cancellation
    /// It runs as a task, so a cancelled caller does not prevent the
    /// invalidation.
    async fn own_write<T, F>(&self, work: impl FnOnce(Write) -> F) -> Result<T, TaleError>
    where
        T: Send + 'static,
        F: Future<Output = (Write, Result<T, TaleError>)> + Send + 'static,
    {
        let work = work(self.cache.write());
        let task = tokio::spawn(async move {
            let (write, outcome) = work.await;
            match outcome {
                Ok(value) => {
                    write.committed().await;
                    Ok(value)
                }
                // Dropped without an outcome, a write that reached its commit
                // is ambiguous.
                Err(error) => Err(error),
            }
        });
        task.await
            .unwrap_or_else(|panic| Err(TaleError::Database(Failure::new(panic))))
    }
}

fn found(deleted: bool, kind: &'static str) -> Result<(), TaleError> {
    if deleted {
        Ok(())
    } else {
        Err(TaleError::NotFound { kind })
    }
}
