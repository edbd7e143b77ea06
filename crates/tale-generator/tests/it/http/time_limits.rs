//! Nothing waits without end. Time is virtual here.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Request;
use tale_generator::sql::DatabaseOptions;

use super::api::Api;
use crate::databases::{cache_in_memory, patient};

#[tokio::test]
async fn a_body_that_never_arrives_is_408() {
    let api = Api::in_memory().await;
    tokio::time::pause();
    let begun = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from("{"))]);
    let never = futures_util::StreamExt::chain(begun, futures_util::stream::pending());
    let request = Request::post("/heroes").header("content-type", "application/json");
    let reply = api
        .send(request.body(Body::from_stream(never)).unwrap())
        .await;
    reply.is_problem(408, &[]);
}

#[tokio::test]
async fn a_request_that_never_ends_is_504() {
    let options = DatabaseOptions {
        read_delay: Duration::from_secs(60),
        ..patient()
    };
    let api = Api::over("sqlite::memory:", options, cache_in_memory().await).await;
    tokio::time::pause();
    api.get("/heroes").await.is_problem(504, &[]);
}
