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
use super::precondition::Expected;
use super::problem::Problem;
use super::query::{self, NoQuery, Query};
use super::reply;
use super::resource::refuse_a_changed_echo;
use crate::domain::{ChildDraft, ChildIndex};

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
    let children = &app.tales.children;
    let answer = match query.one_of(&["name"])? {
        None => children.list_all_with(Freshness::Any).await?,
        Some((_, name)) => {
            let index = ChildIndex::Name(query::name("name", name)?);
            children.find_by_with(&index, Freshness::Any).await?
        }
    };
    reply::list(&answer, &headers)
}

/// The one child of this name, age and gender; the oldest row of several,
/// which is the first: lists begin with it.
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

async fn create(State(app): State<App>, _: NoQuery, Json(body): Json) -> Result<Response, Problem> {
    let (draft, _) = ChildDraft::parse(&body)?;
    reply::created(&*app.tales.create_child(draft).await?)
}

async fn replace(
    State(app): State<App>,
    Id(id): Id,
    _: NoQuery,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Response, Problem> {
    let expected = Expected::read(&headers, id)?;
    let (draft, echo) = ChildDraft::parse(&body)?;
    refuse_a_changed_echo(&app.tales.children, id, echo, &expected).await?;
    let replaced = expected.write(|version| app.tales.replace_child(id, draft.clone(), version));
    reply::written(&*replaced.await?)
}

async fn delete(
    State(app): State<App>,
    Id(id): Id,
    _: NoQuery,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let expected = Expected::read(&headers, id)?;
    let deleted = expected.write(|version| app.tales.delete_child(id, version));
    deleted.await?;
    Ok(StatusCode::NO_CONTENT)
}
