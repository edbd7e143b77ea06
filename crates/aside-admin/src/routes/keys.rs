//! `GET /cache/keys`: how many keys of each kind Redis holds.
//!
//! A separate route, because counting scans all keys.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde_json::{Map, Value, json};

use crate::admin::Admin;
use crate::problem::Problem;
use crate::query;

pub(crate) async fn keys(State(admin): State<Admin>, uri: Uri) -> Result<Json<Value>, Problem> {
    query::none(&uri)?;
    let Some(counts) = admin.cache().count_keys().await else {
        return Ok(Json(json!({ "kinds": null, "age_seconds": null })));
    };
    let mut kinds = Map::new();
    for (kind, count) in &counts.kinds {
        let count = json!({ "count": count, "at_least": !counts.complete });
        kinds.insert((*kind).to_owned(), count);
    }
    Ok(Json(json!({
        "kinds": kinds,
        "age_seconds": counts.age.as_secs_f64(),
    })))
}
