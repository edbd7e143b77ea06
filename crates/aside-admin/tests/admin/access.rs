//! Access control of the routes.

use std::net::SocketAddr;

use aside::{CacheConfig, CacheService, Secret};
use aside_admin::{Access, Admin, WeakToken, router};
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{Method, Request, StatusCode, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::asking::{get, request, send};

const TOKEN: &str = "0123456789abcdef";

async fn admin(access: Access) -> Admin {
    let config = CacheConfig {
        redis_url: Secret::new("memory://"),
        ..CacheConfig::default()
    };
    Admin::new(CacheService::connect(config).await, access)
}

/// Sends a changed request without a token, and returns the status.
async fn status_of(change: impl FnOnce(&mut Request<Body>)) -> StatusCode {
    let mut request = request(Method::GET, "/cache/stats");
    change(&mut request);
    send(&admin(Access::local_only()).await, request)
        .await
        .status
}

async fn status_with(name: &'static str, value: &str) -> StatusCode {
    let value = value.parse().unwrap();
    status_of(|request| drop(request.headers_mut().insert(name, value))).await
}

async fn status_from(peer: &str) -> StatusCode {
    let peer: SocketAddr = peer.parse().unwrap();
    status_of(|request| {
        request.extensions_mut().insert(ConnectInfo(peer));
    })
    .await
}

#[tokio::test]
async fn without_a_token_this_machine_is_served() {
    assert_eq!(status_of(|_| ()).await, StatusCode::OK);
    for peer in [
        "127.0.0.1:1",
        "127.8.9.1:1",
        "[::1]:1",
        "[::ffff:127.0.0.1]:1",
    ] {
        assert_eq!(status_from(peer).await, StatusCode::OK, "{peer}");
    }
    for host in ["localhost", "127.0.0.1:8080", "[::1]:8080"] {
        assert_eq!(status_with("host", host).await, StatusCode::OK, "{host}");
    }
    for origin in ["http://localhost:8080", "http://127.0.0.1"] {
        assert_eq!(
            status_with("origin", origin).await,
            StatusCode::OK,
            "{origin}"
        );
    }
    for site in ["same-origin", "none"] {
        assert_eq!(status_with("sec-fetch-site", site).await, StatusCode::OK);
    }
}

#[tokio::test]
async fn without_a_token_a_client_of_a_real_server_is_served() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = router(admin(Access::local_only()).await)
        .into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    for (host, status) in [
        (address.to_string().as_str(), "200"),
        ("evil.example", "403"),
    ] {
        let mut client = TcpStream::connect(address).await.unwrap();
        let request =
            format!("GET /cache/stats HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
    server.abort();
}

#[tokio::test]
async fn without_a_token_other_machines_are_refused() {
    for peer in ["192.168.1.2:1", "10.0.0.1:1", "[2001:db8::1]:1"] {
        assert_eq!(status_from(peer).await, StatusCode::FORBIDDEN, "{peer}");
    }
    let unknown = status_of(|request| {
        request.extensions_mut().remove::<ConnectInfo<SocketAddr>>();
    });
    assert_eq!(unknown.await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn without_a_token_other_host_names_are_refused() {
    for host in ["evil.example", "localhost.evil.example:8080", "192.168.1.2"] {
        assert_eq!(
            status_with("host", host).await,
            StatusCode::FORBIDDEN,
            "{host}"
        );
    }
    let nameless = status_of(|request| drop(request.headers_mut().remove(HOST)));
    assert_eq!(nameless.await, StatusCode::FORBIDDEN);
    let twice = status_of(|request| {
        request
            .headers_mut()
            .append(HOST, "localhost".parse().unwrap());
    });
    assert_eq!(twice.await, StatusCode::FORBIDDEN);
    let absolute = status_of(|request| {
        *request.uri_mut() = "http://evil.example/cache/stats".parse().unwrap();
    });
    assert_eq!(absolute.await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn without_a_token_forwarded_requests_are_refused() {
    for name in [
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
        "via",
        "x-envoy-external-address",
        "fastly-client-ip",
        "x-remote-addr",
        "cf-connecting-ip",
        "true-client-ip",
        "x-original-host",
        "wl-proxy-client-ip",
        "x-sucuri-clientip",
        "do-connecting-ip",
        "proxy-connection",
        "x-arr-log-id",
        "x-akamai-edgescape",
        "x-host",
        "x-scheme",
        "x-varnish",
        "x-vercel-id",
    ] {
        assert_eq!(
            status_with(name, "for=::1").await,
            StatusCode::FORBIDDEN,
            "{name}"
        );
    }
}

#[tokio::test]
async fn without_a_token_pages_of_other_sites_are_refused() {
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost.evil.example",
        "",
    ] {
        assert_eq!(
            status_with("origin", origin).await,
            StatusCode::FORBIDDEN,
            "{origin}"
        );
    }
    for site in ["cross-site", "same-site"] {
        assert_eq!(
            status_with("sec-fetch-site", site).await,
            StatusCode::FORBIDDEN
        );
    }
}

#[tokio::test]
async fn with_a_token_its_bearer_is_served_from_anywhere() {
    let admin = admin(Access::token(Secret::new(TOKEN)).unwrap()).await;
    for credentials in [format!("Bearer {TOKEN}"), format!("bearer {TOKEN}")] {
        let mut request = Request::get("/cache/stats").body(Body::empty()).unwrap();
        request
            .headers_mut()
            .insert(AUTHORIZATION, credentials.parse().unwrap());
        assert_eq!(send(&admin, request).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn with_a_token_wrong_credentials_are_refused() {
    let admin = admin(Access::token(Secret::new(TOKEN)).unwrap()).await;
    let wrong = [
        "",
        "Bearer",
        "Bearer ",
        "Bearer 0123456789abcdeF",
        "Basic MDEyMw==",
        TOKEN,
    ];
    for credentials in wrong {
        let mut request = request(Method::GET, "/cache/stats");
        request
            .headers_mut()
            .insert(AUTHORIZATION, credentials.parse().unwrap());
        let answer = send(&admin, request).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{credentials}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    let uris = [
        "/cache/stats",
        "/cache/explain",
        "/cache/hero",
        "/cache/hero/1",
    ];
    for uri in uris {
        assert_eq!(
            get(&admin, uri).await.status,
            StatusCode::UNAUTHORIZED,
            "{uri}"
        );
    }
    let in_url = get(&admin, &format!("/cache/stats?token={TOKEN}")).await;
    assert_eq!(in_url.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_that_could_be_guessed_is_refused() {
    let refused = Access::token(Secret::new("0123456789abcde"));
    assert_eq!(refused.unwrap_err(), WeakToken);
    let access = Access::token(Secret::new(TOKEN)).unwrap();
    let debug = format!("{:?}", admin(access).await);
    assert!(!debug.contains(TOKEN));
}

#[tokio::test]
async fn without_a_token_http_1_0_is_refused() {
    let old = status_of(|request| *request.version_mut() = Version::HTTP_10);
    assert_eq!(old.await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_closed_router_refuses_with_advice() {
    let admin = admin(Access::closed("Set ADMIN_LISTEN.")).await;
    for uri in ["/cache/stats", "/cache/hero", "/cache/events"] {
        let answer = get(&admin, uri).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{uri}");
        assert_eq!(answer.body["detail"], "Set ADMIN_LISTEN.");
    }
}

#[tokio::test]
async fn a_unix_socket_accepts_any_host_but_no_proxy() {
    let admin = admin(Access::unix_socket()).await;
    let asked = || Request::get("/cache/stats").header(HOST, "any");
    let plain = asked().body(Body::empty()).unwrap();
    assert_eq!(send(&admin, plain).await.status, StatusCode::OK);
    let forwarded = asked().header("x-real-ip", "10.0.0.1");
    let forwarded = forwarded.body(Body::empty()).unwrap();
    assert_eq!(send(&admin, forwarded).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_read_token_reads_but_changes_nothing() {
    const READING: &str = "fedcba9876543210";
    let access = Access::token(Secret::new(TOKEN)).unwrap();
    let access = access.with_read_token(Secret::new(READING)).unwrap();
    let admin = admin(access).await;
    let asked = async |method: Method, uri: &str, token: &str| {
        let mut request = request(method, uri);
        let credentials = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert(AUTHORIZATION, credentials);
        send(&admin, request).await.status
    };
    assert_eq!(asked(Method::GET, "/cache/stats", READING).await, 200);
    assert_eq!(asked(Method::DELETE, "/cache/hero", READING).await, 403);
    assert_eq!(asked(Method::POST, "/cache/warm", READING).await, 403);
    assert_eq!(asked(Method::PUT, "/cache/prefetch", READING).await, 403);
    assert_eq!(asked(Method::GET, "/cache/stats", TOKEN).await, 200);
    assert_eq!(asked(Method::POST, "/cache/warm", TOKEN).await, 200);
    assert_eq!(asked(Method::GET, "/cache/stats", "neither").await, 401);
}
