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
use super::precondition::Expected;
use super::problem::Problem;
use super::query::{self, NoQuery, Query};
use super::reply;
use super::resource::refuse_a_changed_echo;
use crate::domain::{StoryDraft, StoryIndex, parse_rating};

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
    let stories = &app.tales.stories;
    let index = match query.one_of(&["child_id", "child_name", "language"])? {
        None => None,
        Some(("child_id", text)) => Some(StoryIndex::ChildId(id::parse("child_id", text)?)),
        Some(("child_name", name)) => Some(StoryIndex::ChildName(query::name("child_name", name)?)),
        Some((_, word)) => Some(StoryIndex::Language(query::word("language", word)?)),
    };
    let answer = match index {
        None => stories.list_all_with(Freshness::Any).await?,
        Some(index) => stories.find_by_with(&index, Freshness::Any).await?,
    };
    reply::list(&answer, &headers)
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

async fn create(State(app): State<App>, _: NoQuery, Json(body): Json) -> Result<Response, Problem> {
    let (draft, _) = StoryDraft::parse(&body)?;
    reply::created(&*app.tales.create_story(draft).await?)
}

async fn replace(
    State(app): State<App>,
    Id(id): Id,
    _: NoQuery,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Response, Problem> {
    let expected = Expected::read(&headers, id)?;
    let (draft, echo) = StoryDraft::parse(&body)?;
    refuse_a_changed_echo(&app.tales.stories, id, echo, &expected).await?;
    let replaced = expected.write(|version| app.tales.replace_story(id, draft.clone(), version));
    reply::written(&*replaced.await?)
}

async fn rate(
    State(app): State<App>,
    Id(id): Id,
    _: NoQuery,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Response, Problem> {
    let expected = Expected::read(&headers, id)?;
    let (rating, echo) = parse_rating(&body)?;
    refuse_a_changed_echo(&app.tales.stories, id, echo, &expected).await?;
    let rated = expected.write(|version| app.tales.rate_story(id, rating, version));
    reply::written(&*rated.await?)
}

async fn delete(
    State(app): State<App>,
    Id(id): Id,
    _: NoQuery,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let expected = Expected::read(&headers, id)?;
    let deleted = expected.write(|version| app.tales.delete_story(id, version));
    deleted.await?;
    Ok(StatusCode::NO_CONTENT)
}
