//! Code shared by the three resources.

use aside::{Entity, Freshness, Repository};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::problem::Problem;
use crate::domain::{Child, Echo, Expected, Hero, Invalid, Story, TaleError};

/// A row with an address.
pub(super) trait Resource: Entity<Id = Uuid> + Serialize {
    /// The path of the collection.
    const PATH: &'static str;

    /// Returns the fields that the server sets: created, updated, version.
    fn stamps(&self) -> (Timestamp, Timestamp, u64);
}

impl Resource for Hero {
    const PATH: &'static str = "/heroes";

    fn stamps(&self) -> (Timestamp, Timestamp, u64) {
        (self.created_at, self.updated_at, self.version)
    }
}

impl Resource for Child {
    const PATH: &'static str = "/children";

    fn stamps(&self) -> (Timestamp, Timestamp, u64) {
        (self.created_at, self.updated_at, self.version)
    }
}

impl Resource for Story {
    const PATH: &'static str = "/stories";

    fn stamps(&self) -> (Timestamp, Timestamp, u64) {
        (self.created_at, self.updated_at, self.version)
    }
}

/// Refuses a body whose server-set fields differ from the row.
///
/// They are compared with the database's row, never with a cached one. If
/// `If-Match` already shows that the row has changed, the UPDATE reports that
/// instead.
pub(super) async fn refuse_a_changed_echo<R>(
    rows: &aside::CachedRepository<R>,
    id: Uuid,
    echo: Echo,
    expected: &Expected,
) -> Result<(), Problem>
where
    R: Repository<Error = TaleError>,
    R::Entity: Resource,
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
