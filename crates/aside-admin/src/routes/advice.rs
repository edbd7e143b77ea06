//! `GET /cache/advice`: changes that would pay.

use aside::report::Advice;
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::problem::Problem;
use crate::query;

pub(crate) async fn advice(State(admin): State<Admin>, uri: Uri) -> Result<Json<Value>, Problem> {
    if !query::parameters(&uri)?.is_empty() {
        return Err(Problem::bad_request("Advice takes no parameters."));
    }
    let advice = admin.cache().advice();
    let advice: Vec<Value> = advice.iter().map(of_advice).collect();
    Ok(Json(json!({ "advice": advice })))
}

fn of_advice(advice: &Advice) -> Value {
    json!({
        "rule": advice.rule,
        "kind": advice.kind,
        "set": advice.set,
        "gain": advice.gain,
        "evidence": advice.evidence,
        "confidence": advice.confidence.as_str(),
        "against": advice.against,
        "wrong_if": advice.wrong_if,
        "saves_seconds_per_hour": advice.saves_per_hour.as_secs_f64(),
    })
}
