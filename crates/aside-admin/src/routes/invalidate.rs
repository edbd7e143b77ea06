//! `POST /cache/invalidate`: counts what an invalidation concerns, and does it.

use std::collections::BTreeMap;

use aside::report::{Purge, Purged};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::Uri;
use serde::Deserialize;
use serde_json::{Value, json};

use super::forget::{chosen, known, refuse_if_disabled};
use crate::admin::Admin;
use crate::body;
use crate::problem::Problem;
use crate::query;

/// The body: a kind, and one of `id`, `index` and `all`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    kind: String,
    id: Option<String>,
    /// The values of all fields of one index.
    index: Option<BTreeMap<String, String>>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    with_lists: bool,
    #[serde(default)]
    dry_run: bool,
}

pub(crate) async fn invalidate(
    State(admin): State<Admin>,
    uri: Uri,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    query::none(&uri)?;
    let body = body::read(body)?;
    let request: Request = body::parsed(&body, r#"{"kind": "hero", "id": "1"}"#)?;
    let kind = known(&admin, &request.kind)?;
    refuse_if_disabled(&admin)?;
    let chosen = match &request.index {
        Some(fields) => Some(chosen(&kind, fields)?),
        None => None,
    };
    let purge = match (&request.id, &chosen, request.all) {
        (Some(id), None, false) => Purge::Row {
            id,
            with_lists: request.with_lists,
        },
        (None, Some((segment, values)), false) => Purge::List { segment, values },
        (None, None, true) => Purge::Kind,
        _ => {
            let possible = ["id", "index", "all"].map(str::to_owned);
            return Err(Problem::bad_request("Give one of these.").with_possible(possible));
        }
    };
    if request.with_lists && request.id.is_none() {
        return Err(Problem::bad_request("`with_lists` is for an `id`."));
    }
    let purged = admin.cache().purge(kind.kind, purge, request.dry_run);
    match purged.await {
        Some(purged) => Ok(Json(shown(&purged, request.dry_run))),
        None => Err(Problem::unknown_kind(admin.kinds())),
    }
}

fn shown(purged: &Purged, is_dry_run: bool) -> Value {
    json!({
        "dry_run": is_dry_run,
        "keys": purged.keys,
        "at_least": purged.at_least,
        "names": purged.names,
        "unknown_lists": purged.unknown_lists,
        "epoch": purged.epoch,
        "pending": purged.pending,
    })
}
