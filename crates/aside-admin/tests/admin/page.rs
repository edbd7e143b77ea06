//! The files of `GET /cache/dashboard`.

use aside::Secret;
use aside_admin::{Access, Admin, router};
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, ETAG, IF_NONE_MATCH};
use axum::http::{Method, Request, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::asking::{delete, get, request};
use crate::heroes::{Heroes, Instance};

const TOKEN: &str = "0123456789abcdef";

async fn admin(access: Access) -> Admin {
    let instance = Instance::start("memory://", &Heroes::default()).await;
    Admin::new(instance.cache.clone(), access)
}

async fn file(admin: &Admin, request: Request<Body>) -> Response {
    router(admin.clone()).oneshot(request).await.unwrap()
}

async fn text(response: Response) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn the_page_needs_no_token_and_holds_no_data() {
    let admin = admin(Access::token(Secret::new(TOKEN)).unwrap()).await;
    let elsewhere = Request::get("/cache/dashboard")
        .body(Body::empty())
        .unwrap();
    let page = file(&admin, elsewhere).await;
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert_eq!(page.headers()["cache-control"], "no-cache");
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    for rule in [
        "default-src 'none'",
        "trusted-types 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    let page = text(page).await;
    assert!(!page.contains("hero"));
    for link in page.split("\"dashboard/").skip(1) {
        let name = link.split('"').next().unwrap();
        let uri = format!("/cache/dashboard/{name}");
        let asset = file(&admin, request(Method::GET, &uri)).await;
        assert_eq!(asset.status(), StatusCode::OK, "{uri}");
    }
    let data = get(&admin, "/cache/stats").await;
    assert_eq!(data.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_unchanged_file_is_not_sent_again() {
    let admin = admin(Access::local_only()).await;
    let first = file(&admin, request(Method::GET, "/cache/dashboard/app.js")).await;
    let tag = first.headers()[ETAG].clone();
    let again = |tag| {
        let mut again = request(Method::GET, "/cache/dashboard/app.js");
        again.headers_mut().insert(IF_NONE_MATCH, tag);
        file(&admin, again)
    };
    let unchanged = again(tag.clone()).await;
    assert_eq!(unchanged.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(unchanged.headers()[ETAG], tag);
    assert_eq!(text(unchanged).await, "");
    let other = again("\"other\"".parse().unwrap()).await;
    assert_eq!(other.status(), StatusCode::OK);
    let missing = file(&admin, request(Method::GET, "/cache/dashboard/no.js")).await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_page_is_refused_where_the_routes_are() {
    let closed = admin(Access::closed("Set ADMIN_LISTEN.")).await;
    let local = admin(Access::local_only()).await;
    for uri in ["/cache/dashboard", "/cache/dashboard/app.js"] {
        let refused = file(&closed, request(Method::GET, uri)).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        let elsewhere = Request::get(uri).body(Body::empty()).unwrap();
        assert_eq!(
            file(&local, elsewhere).await.status(),
            StatusCode::FORBIDDEN
        );
        let here = file(&local, request(Method::GET, uri)).await;
        assert_eq!(here.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_kind_named_like_the_page_needs_the_token_to_be_invalidated() {
    let admin = admin(Access::token(Secret::new(TOKEN)).unwrap()).await;
    for uri in ["/cache/dashboard", "/cache/dashboard/app.js"] {
        assert_eq!(delete(&admin, uri).await.status, StatusCode::UNAUTHORIZED);
        let mut with_token = request(Method::DELETE, uri);
        let credentials = format!("Bearer {TOKEN}").parse().unwrap();
        with_token.headers_mut().insert(AUTHORIZATION, credentials);
        let unknown = file(&admin, with_token).await;
        assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
        assert!(text(unknown).await.contains("No such kind"));
    }
}
