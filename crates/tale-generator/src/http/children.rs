//! `/children`

use aside::Freshness;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;

use super::App;
use super::body::Json;
use super::id::Id;
use super::paging::Paging;
use super::precondition;
use super::problem::Problem;
use super::query::{self, NoQuery, Query};
use super::reply;
use super::resource::{Resource as _, refuse_a_changed_echo};
use super::room::Place;
use crate::domain::{Child, ChildDraft, ChildIndex};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/children", get(list).post(create))
        .route("/children/match", get(matching))
        .route("/children/{id}", get(one).put(replace).delete(delete))
}

async fn list(
    State(app): State<App>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (filter, paging) = Paging::of(&query, Child::PATH, &["name"])?;
    let index = match filter {
        None => None,
        Some((_, name)) => Some(ChildIndex::Name(query::name("name", name)?)),
    };
    let window = app.children.read(index, &paging, &app.room).await?;
    reply::list(window, &paging, &headers)
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

async fn one(
    State(app): State<App>,
    Id(id): Id,
    _: NoQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = app.tales.children.find_by_id_with(&id, Freshness::Any);
    reply::one(found.await?, &headers)
}

async fn create(
    State(app): State<App>,
    _: NoQuery,
    Json(body, _place): Json,
) -> Result<Response, Problem> {
    let (draft, _) = ChildDraft::parse(&body)?;
    reply::created(app.tales.create_child(draft).await?)
}

async fn replace(
    State(app): State<App>,
    Id(id): Id,
    _: NoQuery,
    headers: HeaderMap,
    Json(body, _place): Json,
) -> Result<Response, Problem> {
    let expected = precondition::expected(&headers)?;
    let (draft, echo) = ChildDraft::parse(&body)?;
    refuse_a_changed_echo(&app.tales.children, id, echo, &expected).await?;
    let replaced = app.tales.replace_child(id, draft, expected);
    reply::written(replaced.await?)
}

async fn delete(
    State(app): State<App>,
    Id(id): Id,
    _: NoQuery,
    _place: Place,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let expected = precondition::expected(&headers)?;
    let deleted = app.tales.delete_child(id, expected);
    deleted.await?;
    Ok(StatusCode::NO_CONTENT)
}
