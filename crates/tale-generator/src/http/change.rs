//! Changes of a row: their body, and the state that they require.

use aside::{CachedRepository, Freshness, Repository};
use axum::http::{HeaderMap, StatusCode};
use uuid::Uuid;

use super::precondition;
use super::problem::Problem;
use crate::domain::{Draft, Echo, Expected, Invalid, Row, TaleError};

/// Reads a change of the row `id`. Returns its fields, and the state in which
/// the row must be.
pub(super) async fn read<D, R>(
    rows: &CachedRepository<R>,
    id: Uuid,
    headers: &HeaderMap,
    body: &str,
) -> Result<(D, Expected), Problem>
where
    D: Draft,
    R: Repository<Error = TaleError>,
    R::Entity: Row,
{
    let expected = precondition::expected(headers)?;
    let (draft, echo) = D::parse(body)?;
    refuse_a_changed_echo(rows, id, echo, &expected).await?;
    Ok((draft, expected))
}

/// Refuses a body whose server-set fields differ from the row.
///
/// They are compared with the database's row, never with a cached one. If
/// `If-Match` already shows that the row has changed, the UPDATE reports that
/// instead.
async fn refuse_a_changed_echo<R>(
    rows: &CachedRepository<R>,
    id: Uuid,
    echo: Echo,
    expected: &Expected,
) -> Result<(), Problem>
where
    R: Repository<Error = TaleError>,
    R::Entity: Row,
{
    if echo.id.is_some_and(|echoed| echoed != id) {
        return Err(Problem::bad("id", "must be the id of the path"));
    }
    if echo.version.is_none() && echo.created_at.is_none() && echo.updated_at.is_none() {
        return Ok(());
    }
    let Some(row) = rows.find_by_id_with(&id, Freshness::Source).await?.value else {
        return Ok(());
    };
    let (created_at, updated_at, version) = row.stamps();
    if !expected.admits(&*row, version) {
        return Ok(());
    }
    let changed = [
        ("version", echo.version.is_some_and(|it| it != version)),
        (
            "created_at",
            echo.created_at.is_some_and(|it| it != created_at),
        ),
        (
            "updated_at",
            echo.updated_at.is_some_and(|it| it != updated_at),
        ),
    ];
    let errors: Vec<Invalid> = changed
        .into_iter()
        .filter(|(_, changed)| *changed)
        .map(|(field, _)| Invalid {
            field: field.to_owned(),
            message: "is set by the server and differs from the current row".to_owned(),
        })
        .collect();
    if errors.is_empty() {
        return Ok(());
    }
    Err(Problem::fields(StatusCode::BAD_REQUEST, errors))
}
