//! The stories' lists, read in pages.

use aside::Rows;

use super::super::gather::{Most, Page};
use super::super::pages::{self, Pages, Paging, Position};
use super::super::statement::{Statement, Value};
use super::super::table::storable;
use super::SqlStories;
use crate::domain::{Story, StoryIndex, TaleError};

impl Pages for SqlStories {
    async fn page(
        &self,
        index: Option<&StoryIndex>,
        after: Position,
        most: Most,
    ) -> Result<Page<Story>, TaleError> {
        pages::page(&self.database, paging(index), after, most).await
    }

    async fn whole(
        &self,
        index: Option<&StoryIndex>,
        bytes: usize,
    ) -> Result<Option<Rows<Story>>, TaleError> {
        pages::whole(&self.database, paging(index), bytes).await
    }
}

fn paging(index: Option<&StoryIndex>) -> Paging {
    const ALL: Statement = Statement::both(select!(
        "stories WHERE ($1, $2) < (created_at, id)
          ORDER BY created_at, id LIMIT $3"
    ));
    const BY_CHILD: Statement = Statement::both(select!(
        "stories WHERE ($1, $2) < (created_at, id) AND child_id = $4
          ORDER BY created_at, id LIMIT $3"
    ));
    const BY_CHILD_NAME: Statement = Statement::both(select!(
        "stories WHERE ($1, $2) < (created_at, id) AND child_name = $4
          ORDER BY created_at, id LIMIT $3"
    ));
    const BY_LANGUAGE: Statement = Statement::both(select!(
        "stories WHERE ($1, $2) < (created_at, id) AND language = $4
          ORDER BY created_at, id LIMIT $3"
    ));
    Some(match index {
        None => (ALL, vec![]),
        Some(StoryIndex::ChildId(child)) => (BY_CHILD, vec![Value::id(*child)]),
        Some(StoryIndex::ChildName(name)) if !storable(name) => return None,
        Some(StoryIndex::ChildName(name)) => (BY_CHILD_NAME, vec![Value::text(name)]),
        Some(StoryIndex::Language(language)) => (BY_LANGUAGE, vec![Value::text(language.as_str())]),
    })
}
