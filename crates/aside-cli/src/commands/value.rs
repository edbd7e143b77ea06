//! `aside get`: the value of a key, as the services stored it.

use serde_json::json;

use super::times::span;
use crate::failure::{Code, Failure};
use crate::output::{Answer, Problem, note};
use crate::target::{Target, get, query};

pub(super) async fn run(target: &impl Target, key: &str) -> Result<Answer, Failure> {
    let Some(ops) = target.ops() else {
        let failure = Failure::usage("`get` reads Redis: values are rows, which no route shows");
        return Err(failure.with_hint("try without --at"));
    };
    let found = get(target, &format!("/cache/explain{}", query(&[("key", key)]))).await?;
    let value = ops.service().get(key).await;
    let state = found["state"].as_str().unwrap_or("unknown");
    let Some(value) = value.filter(|_| state == "value") else {
        if state == "unknown" {
            let message = format!("Redis does not reply about `{key}`");
            return Err(Failure::new(Code::Unreachable, message));
        }
        let message = format!("no value under `{key}`: {state}");
        note(&format!("aside: {message}"));
        return Ok(Answer {
            code: Code::Bad,
            text: String::new(),
            data: json!({
                "key": key,
                "state": state,
                "value": null,
                "header": found["header"],
                "ttl_seconds": found["ttl_seconds"],
            }),
            problems: vec![Problem::new(state, message)],
        });
    };
    let text = String::from_utf8_lossy(&value).into_owned();
    let left = found["ttl_seconds"].as_f64().unwrap_or(0.0) * 1e3;
    let header = &found["header"];
    note(&format!(
        "value, version {}, shape {}, {} left, {} bytes",
        header["version"],
        header["shape"].as_str().unwrap_or("?"),
        span(left),
        header["bytes"]
    ));
    let parsed = serde_json::from_str(&text).unwrap_or_else(|_| json!(text));
    let data = json!({
        "key": key,
        "state": state,
        "value": parsed,
        "header": header,
        "ttl_seconds": found["ttl_seconds"],
    });
    Ok(Answer::good(format!("{text}\n"), data))
}
