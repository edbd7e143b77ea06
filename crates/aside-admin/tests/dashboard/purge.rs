//! Invalidation on the page, by keyboard alone.

use aside_testkit::browser::keys;
use aside_testkit::{RedisServer, eventually};
use serde_json::json;

use crate::SOON;
use crate::heroes::{Heroes, Instance, hero};
use crate::page::Page;

async fn cached(redis: &RedisServer) -> Instance {
    let source = Heroes::with([hero("1", "Ada", "en"), hero("2", "Маша", "ru")]);
    let instance = Instance::start(&redis.url(), &source).await;
    instance.cache_row("1", "hero:1").await;
    instance.cache_row("2", "hero:2").await;
    instance
}

async fn press(page: &Page, key: char) {
    page.browser.press(key.to_string()).await;
}

#[tokio::test]
async fn a_row_is_counted_first_and_invalidated_after_its_kind_was_typed() {
    let redis = RedisServer::start().unwrap();
    let instance = cached(&redis).await;
    let Some(page) = Page::open(&instance).await else {
        return;
    };
    page.focus("#purge-id").await;
    page.browser.press("1").await;
    press(&page, keys::ENTER).await;
    page.shows("#purged", "This invalidates 1 key in Redis")
        .await;
    page.shows("#purged", "Lists that contain the row stay")
        .await;
    assert!(instance.cache.exists("hero:1").await, "only counted");
    page.is_accessible().await;

    // From the result to the field, and with a wrong name no further.
    press(&page, keys::TAB).await;
    page.browser.press("her").await;
    press(&page, keys::ENTER).await;
    let disabled = page.with("#purged button", "return element.disabled").await;
    assert_eq!(disabled, json!(true));
    assert!(instance.cache.exists("hero:1").await, "not confirmed");
    page.browser.press("o").await;
    press(&page, keys::ENTER).await;

    page.shows("#purged", "Invalidated: 1 key in Redis").await;
    assert!(!instance.cache.exists("hero:1").await);
    assert!(instance.cache.exists("hero:2").await);
    page.shows("#events", "hero:1").await;
    page.is_accessible().await;
    page.is_clean().await;
}

#[tokio::test]
async fn a_whole_kind_is_invalidated_and_its_button_is_the_last_stop() {
    let redis = RedisServer::start().unwrap();
    let instance = cached(&redis).await;
    let Some(page) = Page::open(&instance).await else {
        return;
    };
    let chosen = "return document.querySelector('[name=purge-mode]:checked').value";
    assert_eq!(
        page.browser.run(chosen, &[]).await,
        "row",
        "all is no default"
    );
    page.focus("[name=purge-mode]:checked").await;
    press(&page, keys::RIGHT).await;
    press(&page, keys::RIGHT).await;
    assert_eq!(page.browser.run(chosen, &[]).await, "all");
    press(&page, keys::TAB).await;
    press(&page, keys::TAB).await;
    press(&page, keys::ENTER).await;
    page.shows("#purged", "This invalidates 2 keys in Redis")
        .await;
    press(&page, keys::TAB).await;
    page.browser.press("hero").await;
    press(&page, keys::TAB).await;
    press(&page, keys::ENTER).await;

    page.shows("#purged", "Invalidated: ").await;
    eventually(SOON, "no key of the kind", async || {
        !instance.cache.exists("hero:1").await && !instance.cache.exists("hero:2").await
    })
    .await;
    page.shows("#events", "hero (whole kind)").await;
    page.is_clean().await;
}

#[tokio::test]
async fn a_list_is_invalidated_by_the_fields_of_its_index() {
    let redis = RedisServer::start().unwrap();
    let instance = cached(&redis).await;
    let Some(page) = Page::open(&instance).await else {
        return;
    };
    page.click("[name=purge-mode][value=list]").await;
    let choose = "element.value = 'exact'; \
                  element.dispatchEvent(new Event('input', { bubbles: true }))";
    page.with("#purge-index", choose).await;
    page.type_into("#purge-form [name=name]", "Ada").await;
    page.type_into("#purge-form [name=age]", "30").await;
    press(&page, keys::ENTER).await;
    page.shows("#purged", "This invalidates 0 keys in Redis")
        .await;
    press(&page, keys::TAB).await;
    page.browser.press("hero").await;
    press(&page, keys::ENTER).await;
    page.shows("#purged", "Invalidated: 0 keys in Redis").await;
    page.shows("#events", "hero:exact:Ada:30").await;
    assert!(instance.cache.exists("hero:1").await);
    page.is_clean().await;
}

#[tokio::test]
async fn an_invalidation_during_an_outage_is_shown_as_pending() {
    let redis = RedisServer::start().unwrap();
    let instance = cached(&redis).await;
    let Some(page) = Page::open(&instance).await else {
        return;
    };
    redis.kill();
    page.shows("#status", "is not used").await;
    page.focus("#purge-id").await;
    page.browser.press("1").await;
    press(&page, keys::ENTER).await;
    page.shows("#purged", "an unknown number of keys").await;
    press(&page, keys::TAB).await;
    page.browser.press("hero").await;
    press(&page, keys::ENTER).await;
    page.shows("#purged", "it is pending").await;
    page.shows("#facts", "Pending keys\n1").await;
    page.is_clean().await;
}
