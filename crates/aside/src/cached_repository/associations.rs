//! Rows that other rows name, in as few round trips as possible.

use std::collections::HashMap;
use std::collections::HashSet;

use super::CachedRepository;
use crate::repository::{Id, Index, Row, Source};

impl<R: Source> CachedRepository<R> {
    /// Returns the rows that these items name, by their ids, in one
    /// [`find_many`](Source::find_many). An absent row has no entry.
    ///
    /// ```
    /// # use std::collections::HashMap;
    /// # use std::sync::Arc;
    /// # use aside::{CachedRepository, Entity, Rows, Source};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Clone, Serialize, Deserialize, Entity)]
    /// # #[entity(kind = "user")]
    /// # struct User { #[entity(id)] id: u64, name: String }
    /// # struct Article { author: u64 }
    /// # async fn example<S: Source<Entity = User>>(
    /// #     users: CachedRepository<S>, articles: &[Arc<Article>],
    /// # ) -> Result<(), S::Error> {
    /// let authors = users.preload(articles, |article| article.author).await?;
    /// for article in articles {
    ///     let author = authors.get(&article.author); // None if the user is absent
    /// #   let _ = author;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The repository's.
    pub async fn preload<T>(
        &self,
        items: impl IntoIterator<Item = T>,
        id: impl FnMut(T) -> Id<R>,
    ) -> Result<HashMap<Id<R>, Row<R>>, R::Error> {
        let ids: HashSet<Id<R>> = items.into_iter().map(id).collect();
        let ids: Vec<Id<R>> = ids.into_iter().collect();
        let rows = self.find_many(&ids).await?;
        let rows = ids.into_iter().zip(rows);
        Ok(rows.filter_map(|(id, row)| Some((id, row?))).collect())
    }

    /// Returns whether each of these rows exists, in their order. An absence is cached
    /// as a row is.
    ///
    /// For a table of links the id is the pair, so one call says which of twenty
    /// articles a viewer likes. If viewers have changed few rows and look at many, a
    /// list of each viewer's links needs fewer keys.
    ///
    /// # Errors
    /// The repository's.
    pub async fn present(&self, ids: &[Id<R>]) -> Result<Vec<bool>, R::Error> {
        let rows = self.find_many(ids).await?;
        Ok(rows.iter().map(Option::is_some).collect())
    }

    /// Returns the rows of another repository to which links of this one lead: for each
    /// index value the far rows of its links, in their order. It takes one
    /// [`find_by_many`](Source::find_by_many) here and one
    /// [`find_many`](Source::find_many) there. A link to an absent row is left out.
    ///
    /// # Errors
    /// That of either repository.
    pub async fn through<F: Source>(
        &self,
        far: &CachedRepository<F>,
        indexes: &[Index<R>],
        mut far_id: impl FnMut(&R::Entity) -> Id<F>,
    ) -> Result<Vec<Vec<Row<F>>>, R::Error>
    where
        R::Error: From<F::Error>,
    {
        let links = self.find_by_many(indexes).await?;
        let ids: Vec<Id<F>> = links
            .iter()
            .flat_map(|links| links.iter())
            .map(|link| far_id(link))
            .collect();
        let mut rows = far.find_many(&ids).await?.into_iter();
        let lists = links.iter().map(|links| {
            let rows = rows.by_ref().take(links.len());
            rows.flatten().collect()
        });
        Ok(lists.collect())
    }
}
