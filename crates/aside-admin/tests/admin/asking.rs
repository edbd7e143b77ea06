//! Requests to the router, as a client on this machine sends them.

use std::net::SocketAddr;

use aside_admin::{Admin, router};
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// Returns a request from loopback to loopback.
pub(crate) fn request(method: Method, uri: &str) -> Request<Body> {
    let peer: SocketAddr = ([127, 0, 0, 1], 40_000).into();
    Request::builder()
        .method(method)
        .uri(uri)
        .header(HOST, "localhost:8080")
        .extension(ConnectInfo(peer))
        .body(Body::empty())
        .unwrap()
}

/// Sends a request to a separate router.
pub(crate) async fn send(admin: &Admin, request: Request<Body>) -> Answer {
    let response = router(admin.clone()).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let answer = Answer {
        status: parts.status,
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    assert_eq!(answer.headers["cache-control"], "no-store", "{answer:?}");
    if !answer.status.is_success() {
        let kind = &answer.headers[CONTENT_TYPE];
        assert_eq!(kind, "application/problem+json", "{answer:?}");
        assert_eq!(answer.body["status"], answer.status.as_u16(), "{answer:?}");
    }
    answer
}

pub(crate) async fn get(admin: &Admin, uri: &str) -> Answer {
    send(admin, request(Method::GET, uri)).await
}

pub(crate) async fn delete(admin: &Admin, uri: &str) -> Answer {
    send(admin, request(Method::DELETE, uri)).await
}

pub(crate) async fn post(admin: &Admin, uri: &str, body: &str) -> Answer {
    let mut request = request(Method::POST, uri);
    *request.body_mut() = Body::from(body.to_owned());
    send(admin, request).await
}
