//! `DELETE /cache/...`: invalidates keys in every tier.

use std::collections::BTreeMap;

use aside::report::{Invalidated, KindStats};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::problem::Problem;
use crate::query;

/// Invalidates a whole kind, or, with parameters, one list.
pub(crate) async fn forget_kind(
    State(admin): State<Admin>,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Json<Value>, Problem> {
    let Path(kind) = path.map_err(|_| unreadable_path())?;
    forget(&admin, &kind, &uri).await
}

/// Does the same for a kind whose name is also a route's.
pub(crate) async fn forget(admin: &Admin, kind: &str, uri: &Uri) -> Result<Json<Value>, Problem> {
    let known = known(admin, kind)?;
    let parameters = query::parameters(uri)?;
    refuse_if_disabled(admin)?;
    let forgotten = if parameters.is_empty() {
        admin.cache().invalidate_kind(kind).await
    } else {
        let (segment, values) = chosen(&known, &parameters)?;
        admin.cache().invalidate_index(kind, segment, &values).await
    };
    answer(admin, forgotten)
}

/// Invalidates one row.
pub(crate) async fn forget_id(
    State(admin): State<Admin>,
    path: Result<Path<(String, String)>, PathRejection>,
    uri: Uri,
) -> Result<Json<Value>, Problem> {
    let Path((kind, id)) = path.map_err(|_| unreadable_path())?;
    forget_row(&admin, &kind, &id, &uri).await
}

/// Does the same for a kind whose name is also a route's.
pub(crate) async fn forget_row(
    admin: &Admin,
    kind: &str,
    id: &str,
    uri: &Uri,
) -> Result<Json<Value>, Problem> {
    known(admin, kind)?;
    query::none(uri)?;
    refuse_if_disabled(admin)?;
    answer(admin, admin.cache().invalidate_id(kind, id).await)
}

/// Refuses an invalidation that no instance would be notified of.
pub(super) fn refuse_if_disabled(admin: &Admin) -> Result<(), Problem> {
    if admin.cache().is_enabled() {
        return Ok(());
    }
    Err(Problem::disabled(
        "no other instance would be notified. Send the request to an instance that caches.",
    ))
}

/// Returns the only index whose fields are exactly the parameters, and their
/// values in the order of the key.
pub(super) fn chosen<'a>(
    kind: &KindStats,
    parameters: &'a BTreeMap<String, String>,
) -> Result<(&'static str, Vec<&'a str>), Problem> {
    let mut fitting = kind.indexes.iter().filter_map(|index| {
        let values: Option<Vec<&str>> = index
            .fields
            .iter()
            .map(|field| parameters.get(*field).map(String::as_str))
            .collect();
        values
            .filter(|values| values.len() == parameters.len())
            .map(|values| (index.segment, values))
    });
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Ok(only),
        (first, _) => {
            let detail = match first {
                None => "The parameters are not the fields of one index.",
                Some(_) => "Several indexes have these fields.",
            };
            let possible = kind.indexes.iter().map(|index| index.fields.join("&"));
            Err(Problem::bad_request(detail).with_possible(possible))
        }
    }
}

pub(super) fn known(admin: &Admin, kind: &str) -> Result<KindStats, Problem> {
    let mut kinds = admin.cache().stats().kinds;
    match kinds.iter().position(|known| known.kind == kind) {
        Some(at) => Ok(kinds.swap_remove(at)),
        None => Err(Problem::unknown_kind(
            kinds.iter().map(|known| known.kind.to_owned()),
        )),
    }
}

fn answer(admin: &Admin, forgotten: Option<Invalidated>) -> Result<Json<Value>, Problem> {
    let Some(forgotten) = forgotten else {
        return Err(Problem::unknown_kind(admin.kinds()));
    };
    Ok(Json(json!({
        "invalidated": forgotten.keys,
        "at_least": forgotten.at_least,
        "epoch": forgotten.epoch,
        "pending": forgotten.pending,
    })))
}

pub(crate) fn unreadable_path() -> Problem {
    Problem::bad_request("The percent-decoded path is not UTF-8.")
}
