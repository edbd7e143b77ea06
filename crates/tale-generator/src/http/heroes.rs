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
use super::precondition::Expected;
use super::problem::Problem;
use super::query::{self, NoQuery, Query};
use super::reply;
use super::resource::refuse_a_changed_echo;
use crate::domain::{HeroDraft, HeroIndex};

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
    let heroes = &app.tales.heroes;
    let index = match query.one_of(&["language", "name"])? {
        None => None,
        Some(("language", word)) => Some(HeroIndex::Language(query::word("language", word)?)),
        Some((_, name)) => Some(HeroIndex::Name(query::name("name", name)?)),
    };
    let answer = match index {
        None => heroes.list_all_with(Freshness::Any).await?,
        Some(index) => heroes.find_by_with(&index, Freshness::Any).await?,
    };
    reply::list(&answer, &headers)
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

async fn create(State(app): State<App>, _: NoQuery, Json(body): Json) -> Result<Response, Problem> {
    let (draft, _) = HeroDraft::parse(&body)?;
    reply::created(&*app.tales.create_hero(draft).await?)
}

async fn replace(
    State(app): State<App>,
    Id(id): Id,
    _: NoQuery,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Response, Problem> {
    let expected = Expected::read(&headers, id)?;
    let (draft, echo) = HeroDraft::parse(&body)?;
    refuse_a_changed_echo(&app.tales.heroes, id, echo, &expected).await?;
    let replaced = expected.write(|version| app.tales.replace_hero(id, draft.clone(), version));
    reply::written(&*replaced.await?)
}

async fn delete(
    State(app): State<App>,
    Id(id): Id,
    _: NoQuery,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let expected = Expected::read(&headers, id)?;
    let deleted = expected.write(|version| app.tales.delete_hero(id, version));
    deleted.await?;
    Ok(StatusCode::NO_CONTENT)
}
