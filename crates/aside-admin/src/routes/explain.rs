//! `GET /cache/explain`: the contents of one key, and why it is read or not.

use aside::report::{Conditions, KeyEvent, KeyState, LocalState};
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde_json::{Value, json};

use super::forget::{chosen, known};
use crate::admin::Admin;
use crate::problem::Problem;
use crate::query;

pub(crate) async fn explain(State(admin): State<Admin>, uri: Uri) -> Result<Json<Value>, Problem> {
    let key = key(&admin, &uri)?;
    let known = admin.cache().explain(&key).await;
    let mut answer = json!({
        "key": known.key,
        "kind": known.kind,
        "state": known.state.as_ref().map_or("unknown", KeyState::as_str),
        "verdict": known.verdict,
        "header": known.state.as_ref().and_then(header),
        "required": known.required.map(conditions),
        "ttl_seconds": known.ttl.map(|ttl| ttl.as_secs_f64()),
        "local": known.local.as_ref().map(local),
        "next_read": known.next_read,
        "bypass": known.bypass,
        "prefetched": known.prefetched,
        "server": known.server,
        "slot": known.slot,
        "reason": known.reason,
        "unused_seconds": known.unused_for.map(|time| time.as_secs_f64()),
        "last": known.last.iter().map(event).collect::<Vec<_>>(),
    });
    if known.state == Some(KeyState::NotOurs) {
        answer["possible"] = json!(admin.kinds());
    }
    Ok(Json(answer))
}

/// Returns the key that the parameters name: itself, or a kind with an id, or a
/// kind with all fields of one of its indexes.
fn key(admin: &Admin, uri: &Uri) -> Result<String, Problem> {
    let mut parameters = query::parameters(uri)?;
    if let Some(kind) = parameters.remove("kind") {
        let kind = known(admin, &kind)?;
        let cache = admin.cache();
        let id = parameters.get("id").filter(|_| parameters.len() == 1);
        let key = match id {
            Some(id) => cache.key_of_row(kind.kind, id),
            None => {
                let (segment, values) = chosen(&kind, &parameters)?;
                cache.key_of_list(kind.kind, segment, &values)
            }
        };
        return key.ok_or_else(|| Problem::unknown_kind(admin.kinds()));
    }
    match (parameters.remove("key"), parameters.is_empty()) {
        (Some(key), true) if !key.is_empty() => Ok(key),
        _ => Err(Problem::bad_request(
            "Give one key, as named in Redis, as `?key=`; or `?kind=` with `id=`, or with the \
             fields of one index.",
        )),
    }
}

/// Returns the header fields of a state. Histories, shapes and fills are
/// hexadecimal texts, because as numbers they exceed the precision of JavaScript.
fn header(state: &KeyState) -> Option<Value> {
    match state {
        KeyState::Value {
            filled,
            fill,
            version,
            bytes,
            ..
        } => {
            let mut header = conditions(*filled);
            header["fill"] = json!(format!("{fill:016x}"));
            header["version"] = json!(version);
            header["bytes"] = json!(bytes);
            Some(header)
        }
        KeyState::Quarantine { writers, clean, .. } => {
            Some(json!({ "writers": writers, "clean": clean }))
        }
        KeyState::Foreign { redis_type, .. } => Some(json!({ "type": redis_type })),
        _ => None,
    }
}

/// Returns the copy in this process.
fn local(local: &LocalState) -> Value {
    json!({
        "verdict": local.verdict,
        "age_seconds": local.age.as_secs_f64(),
        "ttl_seconds": local.ttl.as_secs_f64(),
        "fill": format!("{:016x}", local.fill),
        "bytes": local.bytes,
        "absence": local.is_absence,
        "proof_age_seconds": local.proof_age.map(|age| age.as_secs_f64()),
    })
}

fn event(event: &KeyEvent) -> Value {
    json!({
        "event": event.event,
        "why": event.why,
        "by": event.by.map(|by| format!("{by:016x}")),
        "ago_ms": event.ago.as_millis(),
    })
}

fn conditions(conditions: Conditions) -> Value {
    json!({
        "history": format!("{:016x}", conditions.history),
        "epoch": conditions.epoch,
        "shape": format!("{:016x}", conditions.shape),
    })
}
