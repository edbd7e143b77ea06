//! `/heroes`

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
use crate::domain::{Hero, HeroDraft, HeroIndex};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/heroes", get(list).post(create))
        .route("/heroes/{id}", get(one).put(replace).delete(delete))
}

async fn list(
    State(app): State<App>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (filter, paging) = Paging::of(&query, Hero::PATH, &["language", "name"])?;
    let index = match filter {
        None => None,
        Some(("language", word)) => Some(HeroIndex::Language(query::word("language", word)?)),
        Some((_, name)) => Some(HeroIndex::Name(query::name("name", name)?)),
    };
    let window = app.heroes.read(index, &paging, &app.room).await?;
    reply::list(window, &paging, &headers)
}

async fn one(
    State(app): State<App>,
    Id(id): Id,
    _: NoQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = app.tales.heroes.find_by_id_with(&id, Freshness::Any);
    reply::one(found.await?, &headers)
}

async fn create(
    State(app): State<App>,
    _: NoQuery,
    Json(body, _place): Json,
) -> Result<Response, Problem> {
    let (draft, _) = HeroDraft::parse(&body)?;
    reply::created(app.tales.create_hero(draft).await?)
}

async fn replace(
    State(app): State<App>,
    Id(id): Id,
    _: NoQuery,
    headers: HeaderMap,
    Json(body, _place): Json,
) -> Result<Response, Problem> {
    let expected = precondition::expected(&headers)?;
    let (draft, echo) = HeroDraft::parse(&body)?;
    refuse_a_changed_echo(&app.tales.heroes, id, echo, &expected).await?;
    let replaced = app.tales.replace_hero(id, draft, expected);
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
    let deleted = app.tales.delete_hero(id, expected);
    deleted.await?;
    Ok(StatusCode::NO_CONTENT)
}
