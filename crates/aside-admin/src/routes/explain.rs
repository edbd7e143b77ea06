//! `GET /cache/explain?key=`: the contents of one key, and why it is read or
//! not.

use aside::report::KeyState;
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::problem::Problem;
use crate::query;

pub(crate) async fn explain(State(admin): State<Admin>, uri: Uri) -> Result<Json<Value>, Problem> {
    let mut parameters = query::parameters(&uri)?;
    let key = match (parameters.remove("key"), parameters.is_empty()) {
        (Some(key), true) if !key.is_empty() => key,
        _ => {
            return Err(Problem::bad_request(
                "Give one key, as named in Redis, as `?key=`.",
            ));
        }
    };
    let known = admin.cache().explain(&key).await;
    Ok(Json(json!({
        "key": known.key,
        "kind": known.kind,
        "state": known.state.as_ref().map_or("unknown", KeyState::as_str),
        "header": known.state.as_ref().and_then(header),
        "ttl_seconds": known.ttl.map(|ttl| ttl.as_secs_f64()),
        "bypass": known.bypass,
    })))
}

/// Returns the header fields of a state. Shapes and fills are hexadecimal
/// texts, because as numbers they exceed the precision of JavaScript.
fn header(state: &KeyState) -> Option<Value> {
    match state {
        KeyState::Value {
            shape,
            fill,
            version,
            bytes,
            ..
        } => Some(json!({
            "shape": format!("{shape:016x}"),
            "fill": format!("{fill:016x}"),
            "version": version,
            "bytes": bytes,
        })),
        KeyState::Quarantine { writers, clean, .. } => {
            Some(json!({ "writers": writers, "clean": clean }))
        }
        _ => None,
    }
}
