//! The blog shows each write at once.

use aside::{CacheConfig, Secret};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use sqlx::sqlite::SqlitePoolOptions;
use tower::ServiceExt as _;

use super::Blog;

async fn blog() -> Router {
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect("sqlite::memory:").await.expect("a database");
    let config = CacheConfig {
        redis_url: Secret::new("memory://"),
        ..CacheConfig::default()
    };
    Blog::new(pool, config).await.expect("a blog").router()
}

async fn send(blog: &Router, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("content-type", "application/json");
    let request = request.body(Body::from(body.to_string())).unwrap();
    let response = blog.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

async fn get(blog: &Router, path: &str) -> Value {
    send(blog, Method::GET, path, &Value::Null).await.1
}

fn titles(articles: &Value) -> Vec<&str> {
    let articles = articles.as_array().expect("articles");
    articles
        .iter()
        .filter_map(|it| it["title"].as_str())
        .collect()
}

#[tokio::test]
async fn each_page_shows_each_write_at_once() {
    let blog = blog().await;
    assert_eq!(get(&blog, "/pages/0").await, json!([]));
    for slug in ["one", "two"] {
        let new = json!({"slug": slug, "author": "ada", "title": slug});
        let (status, _) = send(&blog, Method::POST, "/articles", &new).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(
            send(&blog, Method::POST, "/articles", &new).await.0,
            StatusCode::CONFLICT
        );
    }
    assert_eq!(titles(&get(&blog, "/pages/0").await), ["two", "one"]);
    assert_eq!(titles(&get(&blog, "/authors/ada").await), ["one", "two"]);

    let title = json!("uno");
    let (status, _) = send(&blog, Method::PUT, "/articles/one", &title).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(get(&blog, "/articles/one").await["title"], "uno");
    assert_eq!(titles(&get(&blog, "/pages/0").await), ["two", "uno"]);
    assert_eq!(titles(&get(&blog, "/authors/ada").await), ["uno", "two"]);
    assert_eq!(
        send(&blog, Method::PUT, "/articles/no", &title).await.0,
        StatusCode::NOT_FOUND
    );
    let missing = send(&blog, Method::GET, "/articles/no", &Value::Null).await;
    assert_eq!(missing.0, StatusCode::NOT_FOUND);
}
