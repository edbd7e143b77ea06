//! Keys on the page: explained, invalidated elsewhere, and hostile.

use aside_testkit::RedisServer;

use crate::heroes::{Heroes, Instance, hero};
use crate::page::Page;

/// Markup that would change the title of the page.
const HOSTILE: &str = "hero:<img src=x onerror=\"document.title='broken'\">";

async fn instance(redis: &RedisServer) -> Instance {
    let source = Heroes::with([hero("1", "Ada", "en"), hero("Маша", "Маша", "ru")]);
    let instance = Instance::start(&redis.url(), &source).await;
    instance.cache_row("1", "hero:1").await;
    instance
}

#[tokio::test]
async fn a_key_that_is_markup_stands_on_the_page_as_text() {
    let redis = RedisServer::start().unwrap();
    let instance = instance(&redis).await;
    let Some(page) = Page::open(&instance).await else {
        return;
    };
    instance.cache.delete(HOSTILE).await;
    instance.cache.delete("hero:Маша").await;

    page.shows("#events", HOSTILE).await;
    page.shows("#events", "hero:Маша").await;
    page.type_into("#explain-key", HOSTILE).await;
    page.click("#explain-form button").await;
    page.shows("#explained", HOSTILE).await;
    page.type_into("#explain-key", "hero:Маша").await;
    page.click("#explain-form button").await;
    page.shows("#explained", "hero:Маша").await;

    let made = "return [document.title, document.querySelectorAll('img').length]";
    let made = page.browser.run(made, &[]).await;
    assert_eq!(made, serde_json::json!(["aside", 1]));
    page.is_accessible().await;
    page.is_clean().await;
}

#[tokio::test]
async fn a_key_and_a_row_and_a_list_are_explained() {
    let redis = RedisServer::start().unwrap();
    let instance = instance(&redis).await;
    let Some(page) = Page::open(&instance).await else {
        return;
    };
    page.type_into("#explain-key", "hero:1").await;
    page.click("#explain-form button").await;
    page.shows("#explained .verdict", "answered from this process")
        .await;
    page.shows("#explained", "served, loaded ").await;
    page.shows("#explained", "hero:1").await;
    page.click("#explained summary").await;
    page.shows("#explained pre", "\"verdict\": \"served\"")
        .await;
    page.is_accessible().await;

    page.click("[name=explain-mode][value=row]").await;
    page.type_into("#explain-id", "9").await;
    page.click("#explain-form button").await;
    page.shows("#explained .verdict", "is a miss").await;
    page.shows("#explained", "hero:9").await;

    page.click("[name=explain-mode][value=list]").await;
    page.with("#explain-index", "element.value = 'lang'").await;
    let changed = "element.dispatchEvent(new Event('input', { bubbles: true }))";
    page.with("#explain-index", changed).await;
    page.type_into("#explain-form [name=language]", "ru").await;
    page.click("#explain-form button").await;
    page.shows("#explained", "hero:lang:ru").await;
    page.is_clean().await;

    page.click("[name=explain-mode][value=key]").await;
    page.type_into("#explain-key", "other:1").await;
    page.click("#explain-form button").await;
    page.shows("#explained", "No kind that is cached here has this key")
        .await;
    page.is_clean().await;
}

#[tokio::test]
async fn an_invalidation_by_another_instance_appears_with_its_sender() {
    let redis = RedisServer::start().unwrap();
    let here = instance(&redis).await;
    let there = instance(&redis).await;
    let Some(page) = Page::open(&here).await else {
        return;
    };
    there.cache.delete("hero:1").await;
    page.shows("#events", "hero:1").await;
    let sender = format!("{:016x}", there.cache.instance());
    page.shows("#events tbody tr td:last-child", "").await;
    here.cache.delete("hero:2").await;
    page.shows("#events", "(this)").await;
    assert!(!sender.is_empty());
    page.click("#events-pause").await;
    page.shows("#events-note", "paused").await;
    page.is_clean().await;
}
