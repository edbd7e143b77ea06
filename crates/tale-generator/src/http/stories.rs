//! `/stories`

use std::sync::Arc;

use aside::CachedRepository;
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::put;
use uuid::Uuid;

use super::App;
use super::body::Json;
use super::change;
use super::id::{self, Id};
use super::listing::Lists;
use super::problem::Problem;
use super::query::{self, NoQuery};
use super::reply;
use super::resource::{self, Resource};
use crate::Tales;
use crate::domain::{Expected, Rating, Story, StoryDraft, StoryIndex, TaleError};
use crate::sql::SqlStories;

pub(super) fn routes() -> Router<App> {
    resource::routes::<Story>().route("/stories/{id}/rating", put(rate))
}

impl Resource for Story {
    type Source = SqlStories;

    const PATH: &'static str = "/stories";

    const FILTERS: &'static [&'static str] = &["child_id", "child_name", "language"];

    fn index(filter: &str, value: &str) -> Result<StoryIndex, Problem> {
        Ok(match filter {
            "child_id" => StoryIndex::ChildId(id::parse(filter, value)?),
            "child_name" => StoryIndex::ChildName(query::name(filter, value)?),
            _ => StoryIndex::Language(query::word(filter, value)?),
        })
    }

    fn rows(tales: &Tales) -> &CachedRepository<SqlStories> {
        &tales.stories
    }

    fn lists(app: &App) -> &Lists<SqlStories> {
        &app.stories
    }

    async fn create(tales: &Tales, draft: StoryDraft) -> Result<Arc<Self>, TaleError> {
        tales.create_story(draft).await
    }

    async fn replace(
        tales: &Tales,
        id: Uuid,
        draft: StoryDraft,
        expected: Expected,
    ) -> Result<Arc<Self>, TaleError> {
        tales.replace_story(id, draft, expected).await
    }

    async fn delete(tales: &Tales, id: Uuid, expected: Expected) -> Result<(), TaleError> {
        tales.delete_story(id, expected).await
    }
}

async fn rate(
    State(app): State<App>,
    Id(id): Id,
    _: NoQuery,
    headers: HeaderMap,
    Json(body, _place): Json,
) -> Result<Response, Problem> {
    let change = change::read(&app.tales.stories, id, &headers, &body).await?;
    let (Rating(rating), expected) = change;
    let rated = app.tales.rate_story(id, rating, expected);
    reply::written(rated.await?)
}
