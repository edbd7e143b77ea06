//! `GET /cache/fleet`: all instances, as they announced themselves in Redis.

use aside::report::{Fleet, InstanceState, KnownKind, Member};
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde_json::{Map, Value, json};

use crate::admin::Admin;
use crate::problem::Problem;
use crate::query;

pub(crate) async fn fleet(State(admin): State<Admin>, uri: Uri) -> Result<Json<Value>, Problem> {
    query::none(&uri)?;
    let Some(fleet) = admin.cache().fleet().await else {
        return Ok(Json(
            json!({ "at": null, "instances": null, "command_lines": null, "kinds": null }),
        ));
    };
    let own = admin.cache().instance();
    let instances = fleet.instances.iter().map(|member| of_member(member, own));
    let lines = fleet.command_lines.iter();
    let lines = lines.map(|(id, name)| (format!("{id:016x}"), json!(name)));
    Ok(Json(json!({
        "at": fleet.at,
        "counts": counts(&fleet),
        "instances": instances.collect::<Vec<_>>(),
        "command_lines": lines.collect::<Map<_, _>>(),
        "kinds": of_kinds(&fleet.kinds),
    })))
}

/// Returns how many instances are in each state.
fn counts(fleet: &Fleet) -> Value {
    let mut counts = Map::new();
    for state in [
        InstanceState::InStep,
        InstanceState::Suspect,
        InstanceState::Away,
        InstanceState::Silent,
    ] {
        let those = fleet.instances.iter();
        let count = those.filter(|member| member.state == state).count();
        counts.insert(state.as_str().to_owned(), json!(count));
    }
    Value::Object(counts)
}

/// Returns the report of an instance, with its state as the others see it.
fn of_member(member: &Member, own: u64) -> Value {
    let mut shown = json!(member.report);
    // Hexadecimal, because it exceeds the precision of JavaScript.
    shown["id"] = json!(format!("{:016x}", member.id));
    shown["own"] = json!(member.id == own);
    shown["state"] = json!(member.state.as_str());
    shown["age_ms"] = json!(member.age.as_millis());
    shown["clock_ahead_ms"] = json!(member.clock_ahead_ms);
    // Left out of the report to save room.
    add_missing(
        &mut shown,
        &[("why", Value::Null), ("unused_ms", Value::Null)],
    );
    add_missing(&mut shown, &[("omitted_kinds", json!(0))]);
    for (_, kind) in shown["kinds"].as_object_mut().into_iter().flatten() {
        let none = [("misses", json!({})), ("bypasses", json!({}))];
        add_missing(kind, &none);
        add_missing(kind, &[("invalidations", json!(0))]);
        add_missing(kind, &[("unread_indexes", json!([]))]);
    }
    shown
}

fn add_missing(shown: &mut Value, fields: &[(&str, Value)]) {
    for (name, value) in fields {
        if shown.get(*name).is_none() {
            shown[*name] = value.clone();
        }
    }
}

fn of_kinds(kinds: &[KnownKind]) -> Value {
    let mut shown = Map::new();
    for known in kinds {
        let indexes = known.indexes.iter().map(|index| {
            json!({
                "segment": index.segment,
                "fields": index.fields,
                "unique": index.unique,
                "fold": index.fold,
                "ids": index.ids,
            })
        });
        let kind = shown.entry(known.kind.clone()).or_insert_with(|| {
            // Of the shape that was reported last.
            json!({
                "ttl_seconds": known.ttl.as_secs_f64(),
                "indexes": indexes.collect::<Vec<_>>(),
                "has_list_of_all": known.has_list_of_all,
                "shapes": [],
            })
        });
        if let Some(shapes) = kind["shapes"].as_array_mut() {
            shapes.push(json!({
                "shape": format!("{:016x}", known.shape),
                "age_seconds": known.age.as_secs_f64(),
            }));
        }
    }
    Value::Object(shown)
}
