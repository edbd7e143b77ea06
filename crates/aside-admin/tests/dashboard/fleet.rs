//! The fleet on the page: instances in step, and silent ones.

use std::time::Duration;

use aside::CacheConfig;
use aside_testkit::RedisServer;

use crate::heroes::{Heroes, Instance, hero};
use crate::page::Page;

async fn named(name: &str, url: &str) -> Instance {
    let config = CacheConfig {
        heartbeat: Duration::from_millis(100),
        instance_name: Some(name.to_owned()),
        ..CacheConfig::default()
    };
    let source = Heroes::with([hero("1", "Ada", "en")]);
    Instance::start_with(config, url, &source).await
}

#[tokio::test]
async fn an_instance_that_falls_silent_is_named_with_its_last_report() {
    let redis = RedisServer::start().unwrap();
    let here = named("api-1", &redis.url()).await;
    let leaving = named("api-2", &redis.url()).await;
    let dying = named("api-3", &redis.url()).await;
    let Some(page) = Page::open(&here).await else {
        return;
    };
    page.shows("#fleet-note", "3 of 3 in step").await;
    page.shows("#fleet", "api-1 (this)").await;
    assert_eq!(page.text("#warnings").await, "");
    dying.cache.delete("hero:1").await;
    page.shows("#events", "api-3").await;

    leaving.cache.close().await;
    drop(dying);

    page.shows("#fleet-note", "1 of 2 in step").await;
    page.shows("#warnings", "Not in step: api-3").await;
    page.shows("#fleet tbody tr:last-child", "silent").await;
    page.is_accessible().await;
    page.is_clean().await;
}
