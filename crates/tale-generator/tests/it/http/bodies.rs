//! Bodies that are refused, and server-set fields that a body may repeat.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::api::{Api, Reply, hero, story};

async fn post(api: &Api, media_type: &str, body: impl Into<Body>) -> Reply {
    let request = Request::post("/heroes").header("content-type", media_type);
    api.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let api = Api::in_memory().await;
    let body = json!({
        "name": "", "age": "old", "gender": "dragon", "appearance": "a\u{0}b",
        "personality_traits": [], "interests": [7], "strengths": ["logic"], "wings": 2,
    });
    api.post("/heroes", &body).await.is_problem(
        400,
        &[
            "name",
            "age",
            "gender",
            "appearance",
            "personality_traits",
            "interests",
            "language",
            "wings",
        ],
    );
    let mut audio = story("A story");
    audio["audio_file"] = json!({ "url": " " });
    api.post("/stories", &audio)
        .await
        .is_problem(400, &["audio_file.url"]);
}

#[tokio::test]
async fn invalid_json_is_refused_by_its_kind() {
    let api = Api::in_memory().await;
    post(&api, "application/json", "{\"name\":")
        .await
        .is_problem(400, &[]);
    post(&api, "application/json", "[]")
        .await
        .is_problem(400, &[]);
    post(&api, "application/json", &b"{\"name\":\"\xff\"}"[..])
        .await
        .is_problem(400, &[]);
    post(&api, "application/json", "")
        .await
        .is_problem(400, &[]);
    post(&api, "text/plain", hero("Ada").to_string())
        .await
        .is_problem(415, &[]);
    post(&api, "", hero("Ada").to_string())
        .await
        .is_problem(415, &[]);
    let reply = post(
        &api,
        "Application/JSON; charset=utf-8",
        hero("Ada").to_string(),
    )
    .await;
    assert_eq!(reply.status, 201);
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    post(&api, "application/json", deep)
        .await
        .is_problem(400, &[]);
}

#[tokio::test]
async fn a_body_above_two_mebibytes_is_413() {
    let api = Api::in_memory().await;
    let padding = " ".repeat(2 * 1024 * 1024 - hero("Ada").to_string().len());
    let fits = format!("{}{padding}", hero("Ada"));
    assert_eq!(
        post(&api, "application/json", fits.clone()).await.status,
        201
    );
    let over = post(&api, "application/json", format!("{fits} ")).await;
    over.is_problem(413, &[]);
}

#[tokio::test]
async fn server_fields_are_accepted_only_if_unchanged() {
    let api = Api::in_memory().await;
    let ada = api.added("/heroes", &hero("Ada")).await;
    let path = format!("/heroes/{}", ada["id"].as_str().unwrap());
    for (field, changed) in [
        ("id", json!("67e55044-10b1-426f-9247-bb680e5fe0c8")),
        ("version", json!(7)),
        ("created_at", json!("2020-01-01T00:00:00Z")),
        ("updated_at", json!("2020-01-01T00:00:00Z")),
        ("version", json!("one")),
    ] {
        let mut body = ada.clone();
        body[field] = changed;
        api.put(&path, &body).await.is_problem(400, &[field]);
    }
    let reply = api.put(&path, &ada).await;
    assert_eq!(
        (reply.status.as_u16(), &reply.json()["version"]),
        (200, &json!(2))
    );
    // The row has changed by now, so the same body is out of date.
    api.put(&path, &ada).await.is_problem(400, &["version"]);
    // A response can be the template of another row.
    let copy: Value = api.added("/heroes", &ada).await;
    assert_ne!(copy["id"], ada["id"]);
}
