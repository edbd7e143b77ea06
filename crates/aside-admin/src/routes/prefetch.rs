//! `GET /cache/prefetch`: the state of the prefetch and its precision by kind. `PUT`
//! switches it.

use aside::report::{KindStats, PrefetchAssociation};
use aside::settings::PrefetchMode;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::Uri;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::admin::Admin;
use crate::problem::Problem;
use crate::query;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    state: String,
}

pub(crate) async fn prefetch(State(admin): State<Admin>, uri: Uri) -> Result<Json<Value>, Problem> {
    query::none(&uri)?;
    Ok(Json(shown(&admin)))
}

pub(crate) async fn switch(
    State(admin): State<Admin>,
    uri: Uri,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    query::none(&uri)?;
    let asked = body
        .ok()
        .and_then(|body| serde_json::from_slice::<Asked>(&body).ok());
    let mode = asked.and_then(|asked| PrefetchMode::parse(&asked.state));
    let mode = mode.ok_or_else(|| {
        Problem::bad_request("Give the state as `{\"state\":\"auto\"}`, or `names` or `off`.")
    })?;
    admin.cache().prefetch(mode);
    Ok(Json(shown(&admin)))
}

fn shown(admin: &Admin) -> Value {
    let state = admin.cache().prefetch_state();
    let kinds: Map<String, Value> = admin
        .cache()
        .stats()
        .kinds
        .iter()
        .map(|kind| (kind.kind.to_owned(), of_kind(kind)))
        .collect();
    json!({
        "state": state.mode.as_str(),
        "spent": state.is_spent,
        "share_required": state.share_required,
        "rows": state.rows,
        "keys": state.keys,
        "batches": state.batches,
        "associations": state.associations.iter().map(of_association).collect::<Vec<_>>(),
        "kinds": kinds,
    })
}

fn of_association(association: &PrefetchAssociation) -> Value {
    json!({
        "from": association.from,
        "to": association.to,
        "index": association.index,
        "of_siblings": association.of_siblings,
        "precision": association.precision,
        "fetched": association.is_fetched,
    })
}

/// Returns the fates of the rows of a kind, and how many of the decided ones were read.
fn of_kind(kind: &KindStats) -> Value {
    let count = |fate| kind.prefetched.get(fate).copied().unwrap_or(0);
    let read = count("used") + count("late");
    let decided = read + count("unused");
    // Beyond 2^53 rows the rounding does not matter.
    let precision = (decided > 0).then(|| read as f64 / decided as f64);
    json!({ "rows": kind.prefetched, "precision": precision })
}
