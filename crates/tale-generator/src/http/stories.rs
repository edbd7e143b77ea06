//! `/stories`

use aside::Freshness;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, put};

use super::App;
use super::body::Json;
use super::id::{self, Id};
use super::paging::Paging;
use super::precondition;
use super::problem::Problem;
use super::query::{self, NoQuery, Query};
use super::reply;
use super::resource::{Resource as _, refuse_a_changed_echo};
use super::room::Place;
use crate::domain::{Story, StoryDraft, StoryIndex, parse_rating};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/stories", get(list).post(create))
        .route("/stories/{id}", get(one).put(replace).delete(delete))
        .route("/stories/{id}/rating", put(rate))
}

async fn list(
    State(app): State<App>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let filters = &["child_id", "child_name", "language"];
    let (filter, paging) = Paging::of(&query, Story::PATH, filters)?;
    let index = match filter {
        None => None,
        Some(("child_id", text)) => Some(StoryIndex::ChildId(id::parse("child_id", text)?)),
        Some(("child_name", name)) => Some(StoryIndex::ChildName(query::name("child_name", name)?)),
        Some((_, word)) => Some(StoryIndex::Language(query::word("language", word)?)),
    };
    let window = app.stories.read(index, &paging, &app.room).await?;
    reply::list(window, &paging, &headers)
}

async fn one(
    State(app): State<App>,
    Id(id): Id,
    _: NoQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = app.tales.stories.find_by_id_with(&id, Freshness::Any);
    reply::one(found.await?, &headers)
}

async fn create(
    State(app): State<App>,
    _: NoQuery,
    Json(body, _place): Json,
) -> Result<Response, Problem> {
    let (draft, _) = StoryDraft::parse(&body)?;
    reply::created(app.tales.create_story(draft).await?)
}

async fn replace(
    State(app): State<App>,
    Id(id): Id,
    _: NoQuery,
    headers: HeaderMap,
    Json(body, _place): Json,
) -> Result<Response, Problem> {
    let expected = precondition::expected(&headers)?;
    let (draft, echo) = StoryDraft::parse(&body)?;
    refuse_a_changed_echo(&app.tales.stories, id, echo, &expected).await?;
    let replaced = app.tales.replace_story(id, draft, expected);
    reply::written(replaced.await?)
}

async fn rate(
    State(app): State<App>,
    Id(id): Id,
    _: NoQuery,
    headers: HeaderMap,
    Json(body, _place): Json,
) -> Result<Response, Problem> {
    let expected = precondition::expected(&headers)?;
    let (rating, echo) = parse_rating(&body)?;
    refuse_a_changed_echo(&app.tales.stories, id, echo, &expected).await?;
    let rated = app.tales.rate_story(id, rating, expected);
    reply::written(rated.await?)
}

async fn delete(
    State(app): State<App>,
    Id(id): Id,
    _: NoQuery,
    _place: Place,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let expected = precondition::expected(&headers)?;
    let deleted = app.tales.delete_story(id, expected);
    deleted.await?;
    Ok(StatusCode::NO_CONTENT)
}
