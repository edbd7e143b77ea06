//! `aside explain`: one key, and the fate of its next read.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::members::Fleet;
use super::times::{number, span};
use crate::arguments::Named;
use crate::failure::{Code, Failure};
use crate::output::Answer;
use crate::target::{NO_KINDS, Target, get, query};

pub(super) async fn run(target: &impl Target, named: &Named) -> Result<Answer, Failure> {
    let found = get(target, &format!("/cache/explain{}", parameters(named))).await?;
    let fleet = Fleet::of(target).await?;
    let key = found["key"].as_str().unwrap_or("?").to_owned();
    if found["state"] == "not_ours" {
        let known = found["possible"].as_array().into_iter().flatten();
        let known: Vec<&str> = known.filter_map(Value::as_str).collect();
        let message = format!("no instance caches the kind of `{key}`");
        let failure = Failure::new(Code::Usage, message);
        return Err(failure.with_hint(match known.is_empty() {
            true => NO_KINDS.to_owned(),
            false => format!("known: {}", known.join(", ")),
        }));
    }
    let mut text = String::new();
    let kind = found["kind"]
        .as_str()
        .map(|kind| format!("    of the kind {kind}"));
    let _ = writeln!(text, "{key}{}", kind.unwrap_or_default());
    if target.ops().is_none() {
        let _ = writeln!(text, "local      {}", local(&found));
    }
    let _ = writeln!(text, "shared     {}", shared(&found));
    text += &conditions(&found);
    let _ = writeln!(text, "next read  {}", next(&found));
    for (at, event) in last(&found, &fleet).into_iter().enumerate() {
        let title = if at == 0 { "last" } else { "" };
        let _ = writeln!(text, "{title:<10} {event}");
    }
    if let Some(trouble) = fleet.trouble() {
        let _ = writeln!(text, "fleet      {trouble}");
    }
    let data = json!({ "explained": found, "fleet": fleet.0["counts"] });
    Ok(Answer::good(text, data))
}

fn parameters(named: &Named) -> String {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    pairs.extend(named.key.as_deref().map(|key| ("key", key)));
    pairs.extend(named.kind.as_deref().map(|kind| ("kind", kind)));
    pairs.extend(named.id.as_deref().map(|id| ("id", id)));
    let index = named.index.iter();
    pairs.extend(index.map(|(field, value)| (field.as_str(), value.as_str())));
    query(&pairs)
}

/// Describes the copy in the process of the instance that is asked.
fn local(found: &Value) -> String {
    let local = &found["local"];
    let Some(verdict) = local["verdict"].as_str() else {
        return match found["prefetched"] == true {
            true => "fetched ahead, and not read yet".to_owned(),
            false => "no copy in this process".to_owned(),
        };
    };
    let time = |name: &str| local[name].as_f64().map(|seconds| span(seconds * 1e3));
    let mut parts = vec![match verdict {
        "served" => "a copy".to_owned(),
        "forgotten" => "a copy, not served: the kind was invalidated".to_owned(),
        "unproved" => "a copy, not served: an invalidation may have been missed".to_owned(),
        why => format!("a copy, not served: {why}"),
    }];
    if local["absence"] == true {
        parts.push("says that there is no such row".to_owned());
    }
    let bytes = local["bytes"].as_u64();
    parts.extend(bytes.map(|bytes| format!("{} bytes", number(bytes))));
    parts.extend(time("age_seconds").map(|age| format!("loaded {age} ago")));
    parts.extend(time("ttl_seconds").map(|left| format!("{left} left")));
    parts.extend(time("proof_age_seconds").map(|age| format!("proved {age} ago")));
    parts.join(", ")
}

/// Describes the content of Redis.
fn shared(found: &Value) -> String {
    let state = found["state"].as_str().unwrap_or("unknown");
    let header = &found["header"];
    let mut parts = vec![match state {
        "quarantine" => format!("quarantine of {} writers", header["writers"]),
        "foreign" => format!("foreign ({})", header["type"].as_str().unwrap_or("?")),
        "unknown" => "unknown: Redis does not reply".to_owned(),
        state => state.to_owned(),
    }];
    let bytes = header["bytes"].as_u64();
    parts.extend(bytes.map(|bytes| format!("{} bytes", number(bytes))));
    let version = header["version"].as_u64().filter(|version| 0 < *version);
    parts.extend(version.map(|version| format!("version {version}")));
    let left = found["ttl_seconds"].as_f64();
    parts.extend(left.map(|left| format!("{} left", span(left * 1e3))));
    parts.join(", ")
}

/// Compares the conditions of a value with those of the service.
fn conditions(found: &Value) -> String {
    let (filled, required) = (&found["header"], &found["required"]);
    if filled["history"].is_null() || required.is_null() {
        return String::new();
    }
    let mut text = String::new();
    for name in ["history", "epoch", "shape"] {
        let plain = |value: &Value| {
            let text = value.as_str().map(str::to_owned);
            text.unwrap_or_else(|| value.to_string())
        };
        let (one, other) = (plain(&filled[name]), plain(&required[name]));
        let is_older = name == "epoch" && filled[name].as_u64() < required[name].as_u64();
        let verdict = match (one == other, is_older) {
            (true, _) => "same",
            (false, true) => "OLDER: the kind was invalidated",
            (false, false) if name == "epoch" => "newer",
            (false, false) => "OTHER",
        };
        let _ = writeln!(
            text,
            "           {name:<7}  {one}  required {other}  {verdict}"
        );
    }
    text
}

/// Describes the fate of the next read.
fn next(found: &Value) -> String {
    let reason = found["reason"].as_str();
    let bypass = found["bypass"].as_str();
    match found["next_read"].as_str() {
        Some("local") => return "is served the copy in the process".to_owned(),
        Some("prefetched") => return "is served what the process fetched ahead".to_owned(),
        _ => {}
    }
    match found["verdict"].as_str() {
        Some("served") => "is served this value".to_owned(),
        Some("bypassed") => format!(
            "goes to the database ({}{})",
            bypass.unwrap_or("bypassed"),
            reason.map_or_else(String::new, |reason| format!(": {reason}")),
        ),
        Some("loading") => "waits for the reader that is loading it".to_owned(),
        Some("write_in_flight") => "goes to the database: a write is in progress".to_owned(),
        Some("absent" | "mark") => "a miss: it loads from the database and fills".to_owned(),
        Some(reason) => {
            format!("a miss, reason `{reason}`: it loads from the database and replaces this value")
        }
        None => "unknown".to_owned(),
    }
}

/// Describes the latest events, newest first.
fn last(found: &Value, fleet: &Fleet) -> Vec<String> {
    let events = found["last"].as_array().into_iter().flatten().rev();
    let described = events.map(|event| {
        let ago = span(event["ago_ms"].as_f64().unwrap_or(0.0));
        let why = event["why"].as_str();
        let by = event["by"].as_str().map(|by| fleet.name_of(by));
        let cause: Vec<String> = [why.map(str::to_owned), by].into_iter().flatten().collect();
        let cause = match cause.is_empty() {
            true => String::new(),
            false => format!(" ({})", cause.join(", ")),
        };
        format!("-{ago}  {}{cause}", event["event"].as_str().unwrap_or("?"))
    });
    described.collect()
}
