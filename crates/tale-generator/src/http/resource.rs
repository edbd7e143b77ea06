//! The routes that each of the three resources has.

use std::future::Future;
use std::sync::Arc;

use aside::{CachedRepository, Freshness};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use uuid::Uuid;

use super::App;
use super::body::Json;
use super::change;
use super::id::Id;
use super::listing::Lists;
use super::paging::Paging;
use super::precondition;
use super::problem::Problem;
use super::query::{NoQuery, Query};
use super::reply;
use super::room::Place;
use crate::Tales;
use crate::domain::{Draft as _, Expected, Row, TaleError};
use crate::sql::Pages;

/// A row with an address.
pub(super) trait Resource: Row {
    /// The repository of the rows.
    type Source: Pages<Entity = Self>;

    /// The path of the collection.
    const PATH: &'static str;

    /// The parameters that filter the collection, one at a time.
    const FILTERS: &'static [&'static str];

    /// Returns the list that one of the filters selects.
    fn index(filter: &str, value: &str) -> Result<Self::Index, Problem>;

    /// Returns the rows behind their cache.
    fn rows(tales: &Tales) -> &CachedRepository<Self::Source>;

    /// Returns the lists of the rows.
    fn lists(app: &App) -> &Lists<Self::Source>;

    /// Adds a row.
    fn create(
        tales: &Tales,
        draft: Self::Draft,
    ) -> impl Future<Output = Result<Arc<Self>, TaleError>> + Send;

    /// Replaces a row that is in the expected state.
    fn replace(
        tales: &Tales,
        id: Uuid,
        draft: Self::Draft,
        expected: Expected,
    ) -> impl Future<Output = Result<Arc<Self>, TaleError>> + Send;

    /// Deletes a row that is in the expected state.
    fn delete(
        tales: &Tales,
        id: Uuid,
        expected: Expected,
    ) -> impl Future<Output = Result<(), TaleError>> + Send;
}

/// Returns the routes of the collection and of one row.
pub(super) fn routes<R: Resource>() -> Router<App> {
    let one_row = format!("{}/{{id}}", R::PATH);
    Router::new()
        .route(R::PATH, get(list::<R>).post(create::<R>))
        .route(
            &one_row,
            get(one::<R>).put(replace::<R>).delete(delete::<R>),
        )
}

async fn list<R: Resource>(
    State(app): State<App>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (filter, paging) = Paging::of(&query, R::PATH, R::FILTERS)?;
    let index = filter.map(|(name, value)| R::index(name, value));
    let read = R::lists(&app).read(index.transpose()?, &paging, &app.room);
    reply::list(read.await?, &paging, &headers)
}

async fn one<R: Resource>(
    State(app): State<App>,
    Id(id): Id,
    _: NoQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = R::rows(&app.tales).find_by_id_with(&id, Freshness::Any);
    reply::one(found.await?, &headers)
}

async fn create<R: Resource>(
    State(app): State<App>,
    _: NoQuery,
    Json(body, _place): Json,
) -> Result<Response, Problem> {
    let (draft, _) = R::Draft::parse(&body)?;
    reply::created(R::create(&app.tales, draft).await?, R::PATH)
}

async fn replace<R: Resource>(
    State(app): State<App>,
    Id(id): Id,
    _: NoQuery,
    headers: HeaderMap,
    Json(body, _place): Json,
) -> Result<Response, Problem> {
    let (draft, expected) = change::read(R::rows(&app.tales), id, &headers, &body).await?;
    let replaced = R::replace(&app.tales, id, draft, expected);
    reply::written(replaced.await?)
}

async fn delete<R: Resource>(
    State(app): State<App>,
    Id(id): Id,
    _: NoQuery,
    _place: Place,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let expected = precondition::expected(&headers)?;
    R::delete(&app.tales, id, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}
