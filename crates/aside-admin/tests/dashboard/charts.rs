//! The figures of the page, and its use without a mouse.

use std::time::Duration;

use aside_admin::Access;
use aside_testkit::browser::keys;
use aside_testkit::{RedisServer, eventually};
use serde_json::json;

use crate::SOON;
use crate::heroes::{Heroes, Instance, hero};
use crate::page::Page;

async fn instance(redis: &RedisServer) -> Instance {
    let source = Heroes::with([hero("1", "Ada", "en"), hero("2", "Маша", "ru")]);
    let instance = Instance::start(&redis.url(), &source).await;
    instance.cache_row("1", "hero:1").await;
    instance
}

#[tokio::test]
async fn the_page_shows_state_and_kinds_and_breaks_no_rule() {
    let redis = RedisServer::start().unwrap();
    let instance = instance(&redis).await;
    let Some(page) = Page::open(&instance).await else {
        return;
    };
    for _ in 0..30 {
        instance.name_of("1").await;
    }

    page.shows("#status", "is used").await;
    page.shows("#facts", "7.").await;
    page.shows("#charts", "from the cache").await;
    page.shows("#kinds", "%").await;
    page.click("#count-keys").await;
    page.shows("#kinds tbody tr td:nth-child(11)", "1").await;
    page.click(".toggle").await;
    page.shows(".details", "lang of language").await;
    page.is_accessible().await;

    let markup = "try { document.body.innerHTML = '<b>'; return 'accepted' } \
                  catch (error) { return error.name }";
    page.is_clean().await;
    assert_eq!(page.browser.run(markup, &[]).await, "TypeError");
}

#[tokio::test]
async fn arrow_keys_move_the_cursor_of_a_chart_and_its_values_are_text() {
    let redis = RedisServer::start().unwrap();
    let instance = instance(&redis).await;
    let Some(page) = Page::open(&instance).await else {
        return;
    };
    eventually(SOON, "three samples", async || {
        page.with(".cursor", "return Number(element.max)")
            .await
            .as_f64()
            >= Some(3.0)
    })
    .await;
    page.click("#pause").await;
    page.focus(".cursor").await;
    page.browser.press(keys::LEFT.to_string()).await;
    let moved = "return [Number(element.max) - Number(element.value), element.ariaValueText]";
    let moved = page.with(".cursor", moved).await;
    assert_eq!(moved[0], 1);
    let value = moved[1].as_str().unwrap();
    assert!(value.contains(':') && value.contains("local "), "{value}");
    page.shows(".when", "at ").await;
    page.click(".chart summary").await;
    page.shows(".chart table", "database").await;
    page.is_accessible().await;
    page.is_clean().await;
}

#[tokio::test]
async fn a_table_is_sorted_by_its_heads_and_keeps_an_opened_row() {
    let redis = RedisServer::start().unwrap();
    let instance = instance(&redis).await;
    let Some(page) = Page::open(&instance).await else {
        return;
    };
    page.focus(".toggle").await;
    page.browser.press(keys::ENTER.to_string()).await;
    page.shows(".details", "Since the start").await;
    let sorted = "const head = document.querySelector('#kinds th[aria-sort]'); \
                  return `${head.innerText} ${head.ariaSort}`";
    assert_eq!(page.browser.run(sorted, &[]).await, "Reads/s descending");
    page.click("#kinds thead th:last-child button").await;
    assert_eq!(page.browser.run(sorted, &[]).await, "TTL descending");
    let before = page.requests();
    eventually(SOON, "two more polls", async || {
        before + 4 < page.requests()
    })
    .await;
    let focused = "return document.activeElement.className";
    assert_eq!(
        page.browser.run(focused, &[]).await,
        "toggle",
        "polls keep the focus"
    );
    page.shows(".details", "Since the start").await;
    page.is_clean().await;
}

#[tokio::test]
async fn a_paused_page_asks_for_nothing_and_goes_on_when_resumed() {
    let redis = RedisServer::start().unwrap();
    let instance = instance(&redis).await;
    let Some(page) = Page::open(&instance).await else {
        return;
    };
    page.focus("#pause").await;
    page.browser.press(" ").await;
    page.shows("#events-note", "paused").await;
    // A request under way may still be counted.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = page.requests();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(page.requests(), before);
    let pressed = "return [element.ariaPressed, element.innerText]";
    assert_eq!(page.with("#pause", pressed).await, json!(["true", "Pause"]));
    page.is_accessible().await;

    page.click("#pause").await;
    eventually(SOON, "more requests", async || before < page.requests()).await;
    page.is_clean().await;
}

#[tokio::test]
async fn the_page_shows_the_last_hour() {
    let redis = RedisServer::start().unwrap();
    let instance = instance(&redis).await;
    let Some(page) = Page::open(&instance).await else {
        return;
    };
    page.click("[name=range][value='1h']").await;
    eventually(SOON, "one step of 15 seconds", async || {
        page.with(".cursor", "return Number(element.max)")
            .await
            .as_f64()
            <= Some(1.0)
    })
    .await;
    page.is_clean().await;
}

#[tokio::test]
async fn a_router_under_a_prefix_serves_a_working_page() {
    let redis = RedisServer::start().unwrap();
    let instance = instance(&redis).await;
    let Some(page) = Page::under("/ops", &instance, Access::local_only()).await else {
        return;
    };
    page.shows("#kinds", "hero").await;
    page.shows("#status", "is used").await;
    page.is_clean().await;
}
