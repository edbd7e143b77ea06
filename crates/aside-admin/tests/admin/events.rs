//! `GET /cache/events`.

use aside::Repository;
use aside_admin::{Access, Admin, router};
use aside_testkit::{RedisServer, eventually};
use axum::body::Body;
use axum::http::{Method, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::SOON;
use crate::asking::{delete, get, request};
use crate::heroes::{Heroes, Instance, hero};

/// A stream of events, as a client reads it.
struct Client {
    body: Body,
    text: String,
}

impl Client {
    async fn connect(admin: &Admin) -> Self {
        Self::connect_to(admin, "/cache/events").await
    }

    async fn connect_to(admin: &Admin, route: &str) -> Self {
        let request = request(Method::GET, route);
        let response = router(admin.clone()).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            body: response.into_body(),
            text: String::new(),
        }
    }

    /// Reads until the text has arrived.
    async fn read_to(&mut self, wanted: &str) {
        let reading = async {
            while !self.text.contains(wanted) {
                let frame = self.body.frame().await.expect("the stream goes on");
                let data = frame.unwrap().into_data().unwrap();
                self.text.push_str(std::str::from_utf8(&data).unwrap());
            }
        };
        let read = tokio::time::timeout(SOON, reading).await;
        assert!(read.is_ok(), "no {wanted} in {}", self.text);
    }
}

/// Returns the end of an event about heroes that `sender` caused.
fn told(key: Option<&str>, sender: &Instance, own: bool, why: &str) -> String {
    let key = key.map_or("null".to_owned(), |key| format!("\"{key}\""));
    let by = sender.cache.instance();
    format!(
        "\"by\":\"{by:016x}\",\"key\":{key},\"kind\":\"hero\",\"own\":{own},\"why\":\"{why}\"}}\n\n"
    )
}

#[tokio::test]
async fn a_late_client_reads_who_invalidated_what_and_when() {
    let redis = RedisServer::start().unwrap();
    let source = Heroes::with([hero("1", "Ada", "en")]);
    let here = Instance::start(&redis.url(), &source).await;
    let there = Instance::start(&redis.url(), &source).await;
    let admin = Admin::new(here.cache.clone(), Access::local_only());
    delete(&admin, "/cache/hero/1").await;
    delete(
        &Admin::new(there.cache.clone(), Access::local_only()),
        "/cache/hero/2",
    )
    .await;
    eventually(SOON, "both are heard", async || {
        here.cache.recent_invalidations().len() == 2
    })
    .await;

    let mut client = Client::connect(&admin).await;

    client
        .read_to(&told(Some("hero:1"), &here, true, "request"))
        .await;
    client
        .read_to(&told(Some("hero:2"), &there, false, "request"))
        .await;
    let (_, at) = client.text.split_once("{\"at\":").unwrap();
    let at: i64 = at.split(',').next().unwrap().parse().unwrap();
    assert!(at > 1_700_000_000_000, "{at}");
    let stats = get(&admin, "/cache/stats").await.body;
    let own = format!("{:016x}", here.cache.instance());
    assert_eq!(stats["service"]["instance"], own);
}

#[tokio::test]
async fn writes_of_another_instance_are_streamed() {
    let redis = RedisServer::start().unwrap();
    let source = Heroes::with([hero("a:b", "Ada", "en")]);
    let here = Instance::start(&redis.url(), &source).await;
    let there = Instance::start(&redis.url(), &source).await;
    let mut client = Client::connect(&Admin::new(there.cache.clone(), Access::local_only())).await;

    let Ok(_) = here.heroes.update(hero("a:b", "Ada", "ru")).await;

    for key in ["hero:a%3Ab", "hero:lang:en", "hero:lang:ru", "hero:all"] {
        client
            .read_to(&told(Some(key), &here, false, "write"))
            .await;
    }
    delete(
        &Admin::new(here.cache.clone(), Access::local_only()),
        "/cache/hero",
    )
    .await;
    client.read_to(&told(None, &here, false, "request")).await;
    redis.command(&["PUBLISH", "aside:invalidate", "words of\nanother version"]);
    client.read_to("data: {\"key\":null,\"kind\":null}").await;
}

#[tokio::test]
async fn a_slow_client_gets_the_number_of_missed_events() {
    let source = Heroes::with([hero("1", "Ada", "en")]);
    let instance = Instance::start("memory://", &source).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only());
    let mut client = Client::connect(&admin).await;
    for _ in 0..1100 {
        instance.cache.delete("hero:1").await;
    }
    client
        .read_to("event: missed\ndata: {\"count\":76,\"reason\":\"slow\"}\n\n")
        .await;
    client.read_to("hero:1").await;
}

#[tokio::test]
async fn more_than_fifty_events_a_second_are_counted() {
    let source = Heroes::with([hero("1", "Ada", "en")]);
    let instance = Instance::start("memory://", &source).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only());
    let mut client = Client::connect(&admin).await;
    for _ in 0..300 {
        instance.cache.delete("hero:1").await;
    }
    client.read_to("\"reason\":\"rate\"}").await;
    let sent = client.text.matches("event: forgotten").count();
    let (_, count) = client.text.rsplit_once("{\"count\":").unwrap();
    let count: usize = count.split(',').next().unwrap().parse().unwrap();
    assert!((50..=100).contains(&sent), "{sent}");
    assert!(sent + count <= 300 && 200 <= count, "{sent} {count}");
}

#[tokio::test]
async fn a_client_selects_events_by_kind_and_reason() {
    let source = Heroes::with([hero("1", "Ada", "en")]);
    let instance = Instance::start("memory://", &source).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only());
    let mut client = Client::connect_to(&admin, "/cache/events?kind=hero&why=write,audit").await;
    instance.cache.delete("hero:2").await;
    let Ok(_) = instance.heroes.update(hero("1", "Grace", "en")).await;
    client.read_to("hero:1").await;
    assert!(!client.text.contains("hero:2"), "{}", client.text);
    for (query, status) in [
        ("kind=villain", StatusCode::NOT_FOUND),
        ("why=malice", StatusCode::BAD_REQUEST),
        ("by=1", StatusCode::BAD_REQUEST),
    ] {
        let refused = get(&admin, &format!("/cache/events?{query}")).await;
        assert_eq!(refused.status, status, "{query}");
        assert!(refused.body["possible"].is_array(), "{query}");
    }
}

#[tokio::test]
async fn the_stream_ends_with_the_cache() {
    let source = Heroes::default();
    let instance = Instance::start("memory://", &source).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only());
    let early = Client::connect(&admin).await;
    instance.cache.close().await;
    let late = Client::connect(&admin).await;
    for client in [early, late] {
        let ended = tokio::time::timeout(SOON, client.body.collect()).await;
        assert!(ended.unwrap().unwrap().to_bytes().is_empty());
    }
    eventually(SOON, "the rest still answers", async || {
        get(&admin, "/cache/stats").await.status == StatusCode::OK
    })
    .await;
}
