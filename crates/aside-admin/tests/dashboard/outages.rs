//! Outages: of Redis, and of the service itself.

use aside_testkit::RedisServer;

use crate::heroes::{Heroes, Instance, hero};
use crate::page::Page;

#[tokio::test]
async fn an_outage_of_redis_is_said_with_its_reason_and_ends() {
    let redis = RedisServer::start().unwrap();
    let source = Heroes::with([hero("1", "Ada", "en")]);
    let instance = Instance::start(&redis.url(), &source).await;
    let Some(page) = Page::open(&instance).await else {
        return;
    };
    page.shows("#status", "is used").await;

    redis.kill();

    page.shows("#status", "is not used").await;
    page.shows("#status", "Reads go to the database").await;
    page.shows("#facts", "Not used for").await;
    page.is_accessible().await;

    redis.restart();

    page.shows("#status", "is used").await;
    page.is_clean().await;
}

#[tokio::test]
async fn a_service_that_is_gone_leaves_its_last_figures_and_the_time() {
    let redis = RedisServer::start().unwrap();
    let source = Heroes::with([hero("1", "Ada", "en")]);
    let instance = Instance::start(&redis.url(), &source).await;
    let Some(page) = Page::open(&instance).await else {
        return;
    };

    page.end_service();

    page.shows("#status", "No answer since ").await;
    page.shows("#status", "It is asked again every 2 s.").await;
    page.shows("#kinds", "hero").await;
    page.is_accessible().await;
    page.has_only_failed_requests().await;
}

#[tokio::test]
async fn a_disabled_cache_is_named_as_such() {
    let config = aside::CacheConfig {
        redis_enabled: false,
        ..aside::CacheConfig::default()
    };
    let instance = Instance::start_with(config, "redis://127.0.0.1:1/0", &Heroes::default()).await;
    let Some(page) = Page::open(&instance).await else {
        return;
    };
    page.shows("#status", "Caching is off in this instance")
        .await;
    page.is_accessible().await;
    page.is_clean().await;
}
