//! `GET /cache/hot`: the keys that this instance reads most often.

use aside::report::HotKey;
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde_json::{Value, json};

use super::forget::known;
use crate::admin::Admin;
use crate::problem::Problem;
use crate::query;

/// The number of keys that have names.
const MAX_KEYS: usize = 128;

const KEYS: usize = 20;

pub(crate) async fn hot(State(admin): State<Admin>, uri: Uri) -> Result<Json<Value>, Problem> {
    let mut parameters = query::parameters(&uri)?;
    let kind = parameters.remove("kind");
    let limit = limit(parameters.remove("limit"))?;
    if !parameters.is_empty() {
        let possible = ["kind=".to_owned(), format!("limit=1 to {MAX_KEYS}")];
        let refused = Problem::bad_request("Give a kind, a limit, both or nothing.");
        return Err(refused.with_possible(possible));
    }
    if let Some(kind) = &kind {
        known(&admin, kind)?;
    }
    let cache = admin.cache();
    let is_wanted = |hot: &HotKey| kind.as_ref().is_none_or(|kind| hot.kind == kind);
    let keys = cache.hot_keys(MAX_KEYS).into_iter().filter(is_wanted);
    let keys: Vec<Value> = keys.take(limit).map(|hot| shown(&hot)).collect();
    let stats = cache.stats();
    Ok(Json(json!({
        "enabled": cache.config().analytics,
        "sampled": stats.sampled,
        "dropped": stats.samples_dropped,
        "keys": keys,
    })))
}

/// Returns the number of keys that a request wants.
fn limit(wanted: Option<String>) -> Result<usize, Problem> {
    let Some(wanted) = wanted else {
        return Ok(KEYS);
    };
    let limit = wanted.parse().ok();
    limit
        .filter(|limit| (1..=MAX_KEYS).contains(limit))
        .ok_or_else(|| {
            let possible = [format!("limit=1 to {MAX_KEYS}")];
            Problem::bad_request("The limit is not a number of keys.").with_possible(possible)
        })
}

fn shown(hot: &HotKey) -> Value {
    json!({
        "key": hot.key,
        "kind": hot.kind,
        "reads_per_second": hot.reads_per_second,
        "share": hot.share,
        "age_seconds": hot.age.as_secs_f64(),
    })
}
