//! `/children`

use std::sync::Arc;

use aside::{CachedRepository, Freshness};
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use uuid::Uuid;

use super::App;
use super::listing::Lists;
use super::problem::Problem;
use super::query::{self, Query};
use super::reply;
use super::resource::{self, Resource};
use crate::Tales;
use crate::domain::{Child, ChildDraft, ChildIndex, Expected, TaleError};
use crate::sql::SqlChildren;

pub(super) fn routes() -> Router<App> {
    resource::routes::<Child>().route("/children/match", get(matching))
}

impl Resource for Child {
    type Source = SqlChildren;

    const PATH: &'static str = "/children";

    const FILTERS: &'static [&'static str] = &["name"];

    fn index(filter: &str, value: &str) -> Result<ChildIndex, Problem> {
        Ok(ChildIndex::Name(query::name(filter, value)?))
    }

    fn rows(tales: &Tales) -> &CachedRepository<SqlChildren> {
        &tales.children
    }

    fn lists(app: &App) -> &Lists<SqlChildren> {
        &app.children
    }

    async fn create(tales: &Tales, draft: ChildDraft) -> Result<Arc<Self>, TaleError> {
        tales.create_child(draft).await
    }

    async fn replace(
        tales: &Tales,
        id: Uuid,
        draft: ChildDraft,
        expected: Expected,
    ) -> Result<Arc<Self>, TaleError> {
        tales.replace_child(id, draft, expected).await
    }

    async fn delete(tales: &Tales, id: Uuid, expected: Expected) -> Result<(), TaleError> {
        tales.delete_child(id, expected).await
    }
}

/// Returns the child of this name, age and gender. If there are several, it
/// returns the oldest row, which is first in the list.
async fn matching(
    State(app): State<App>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let [name, age, gender] = query.all_of(["name", "age", "gender"])?;
    let index = ChildIndex::Exact {
        name: query::name("name", name)?,
        age: query::number("age", age, 1, 18)?,
        gender: query::word("gender", gender)?,
    };
    let answer = app.tales.children.find_by_with(&index, Freshness::Any);
    reply::one(answer.await?.map(|rows| rows.first().cloned()), &headers)
}
