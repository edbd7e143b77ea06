//! Repositories and cache together: what the HTTP API calls.

use std::future::Future;
use std::sync::Arc;

use aside::{CacheService, CachedRepository, Repository as _, Write};
use uuid::Uuid;

use crate::domain::{Child, ChildDraft, Failure, Hero, HeroDraft, Story, StoryDraft, TaleError};
use crate::sql::{Database, SqlChildren, SqlHeroes, SqlStories};
use crate::strategies::{ChildCacheStrategy, HeroCacheStrategy, StoryCacheStrategy};

/// The three cached repositories, and one method per writing operation.
///
/// Reads go to the repositories themselves. Writes go through here, because
/// some of them are more than the `Repository` trait can say: an expected
/// version, or a rating alone. Those run as a caller's own write.
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
    ///
    /// The cache's settings should have passed through
    /// [`with_ttl_defaults`](crate::strategies::with_ttl_defaults).
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

    /// The cache in front of the database.
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

    /// Replaces a hero, if it has the expected version where one is given.
    ///
    /// # Errors
    /// [`TaleError::NotFound`], [`TaleError::Conflict`],
    /// [`TaleError::Invalid`], or the database's.
    pub async fn replace_hero(
        &self,
        id: Uuid,
        draft: HeroDraft,
        expected_version: Option<u64>,
    ) -> Result<Arc<Hero>, TaleError> {
        let row = Hero::with_id(id, draft);
        let replaced = if expected_version.is_none() {
            self.heroes.update(row).await?
        } else {
            let heroes = self.heroes.source().clone();
            self.own_write(|mut write| async move {
                let replaced = heroes.update_if(row, expected_version, &mut write).await;
                (write, replaced)
            })
            .await?
        };
        replaced.ok_or(TaleError::NotFound { kind: "hero" })
    }

    /// Deletes a hero, if it has the expected version where one is given;
    /// its stories stay, without it.
    ///
    /// # Errors
    /// [`TaleError::NotFound`], [`TaleError::Conflict`], or the database's.
    pub async fn delete_hero(
        &self,
        id: Uuid,
        expected_version: Option<u64>,
    ) -> Result<(), TaleError> {
        let heroes = self.heroes.source().clone();
        let deleted = self
            .own_write(|mut write| async move {
                let deleted = heroes.delete_if(id, expected_version, &mut write).await;
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

    /// Replaces a child, if it has the expected version where one is given;
    /// a new name is given to its stories too.
    ///
    /// # Errors
    /// [`TaleError::NotFound`], [`TaleError::Conflict`],
    /// [`TaleError::Invalid`], or the database's.
    pub async fn replace_child(
        &self,
        id: Uuid,
        draft: ChildDraft,
        expected_version: Option<u64>,
    ) -> Result<Arc<Child>, TaleError> {
        let row = Child::with_id(id, draft);
        let replaced = if expected_version.is_none() {
            self.children.update(row).await?
        } else {
            let children = self.children.source().clone();
            self.own_write(|mut write| async move {
                let replaced = children.update_if(row, expected_version, &mut write).await;
                (write, replaced)
            })
            .await?
        };
        replaced.ok_or(TaleError::NotFound { kind: "child" })
    }

    /// Deletes a child, if it has the expected version where one is given;
    /// its stories keep the name and lose the id.
    ///
    /// # Errors
    /// [`TaleError::NotFound`], [`TaleError::Conflict`], or the database's.
    pub async fn delete_child(
        &self,
        id: Uuid,
        expected_version: Option<u64>,
    ) -> Result<(), TaleError> {
        let children = self.children.source().clone();
        let deleted = self
            .own_write(|mut write| async move {
                let deleted = children.delete_if(id, expected_version, &mut write).await;
                (write, deleted)
            })
            .await?;
        found(deleted, "child")
    }

    /// Adds a story; where it names a child, with that child's name.
    ///
    /// # Errors
    /// [`TaleError::Invalid`], [`TaleError::UnknownChild`],
    /// [`TaleError::UnknownHero`], or the database's.
    pub async fn create_story(&self, draft: StoryDraft) -> Result<Arc<Story>, TaleError> {
        self.stories.save(Story::new(draft)).await
    }

    /// Replaces a story, if it has the expected version where one is given.
    ///
    /// # Errors
    /// [`TaleError::NotFound`], [`TaleError::Conflict`],
    /// [`TaleError::Invalid`], [`TaleError::UnknownChild`],
    /// [`TaleError::UnknownHero`], or the database's.
    pub async fn replace_story(
        &self,
        id: Uuid,
        draft: StoryDraft,
        expected_version: Option<u64>,
    ) -> Result<Arc<Story>, TaleError> {
        let row = Story::with_id(id, draft);
        let replaced = if expected_version.is_none() {
            self.stories.update(row).await?
        } else {
            let stories = self.stories.source().clone();
            self.own_write(|mut write| async move {
                let replaced = stories.update_if(row, expected_version, &mut write).await;
                (write, replaced)
            })
            .await?
        };
        replaced.ok_or(TaleError::NotFound { kind: "story" })
    }

    /// Deletes a story, if it has the expected version where one is given.
    ///
    /// # Errors
    /// [`TaleError::NotFound`], [`TaleError::Conflict`], or the database's.
    pub async fn delete_story(
        &self,
        id: Uuid,
        expected_version: Option<u64>,
    ) -> Result<(), TaleError> {
        let stories = self.stories.source().clone();
        let deleted = self
            .own_write(|mut write| async move {
                let deleted = stories.delete_if(id, expected_version, &mut write).await;
                (write, deleted)
            })
            .await?;
        found(deleted, "story")
    }

    /// Rates a story, if it has the expected version where one is given.
    ///
    /// # Errors
    /// [`TaleError::NotFound`], [`TaleError::Conflict`],
    /// [`TaleError::Invalid`], or the database's.
    pub async fn rate_story(
        &self,
        id: Uuid,
        rating: i32,
        expected_version: Option<u64>,
    ) -> Result<Arc<Story>, TaleError> {
        let stories = self.stories.source().clone();
        let rated = self
            .own_write(|mut write| async move {
                let rated = stories
                    .set_rating(id, rating, expected_version, &mut write)
                    .await;
                (write, rated)
            })
            .await?;
        rated.ok_or(TaleError::NotFound { kind: "story" })
    }

    /// Runs a transaction with a write of its own around it.
    ///
    /// # Cancellation
    /// It runs as a task: a caller that goes away in the middle does not
    /// keep the caches from forgetting.
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
                // Dropped without a verdict, a write that got as far as its
                // commit counts as ambiguous.
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
