//! The token of the page: asked for, and kept no longer than its user wants.

use aside::Secret;
use aside_admin::Access;
use aside_testkit::RedisServer;
use aside_testkit::browser::keys;
use serde_json::json;

use crate::heroes::{Heroes, Instance, hero};
use crate::page::Page;

const TOKEN: &str = "0123456789abcdef";
const READING: &str = "fedcba9876543210";

fn access() -> Access {
    let access = Access::token(Secret::new(TOKEN)).unwrap();
    access.with_read_token(Secret::new(READING)).unwrap()
}

/// Returns each place of the browser that could keep a token.
async fn traces(page: &Page) -> String {
    let script = "return JSON.stringify([location.href, document.cookie, {...localStorage}, \
                  {...sessionStorage}, history.state, document.documentElement.outerHTML])";
    let traces = page.browser.run(script, &[]).await;
    traces.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_token_is_asked_for_and_stays_in_memory() {
    let redis = RedisServer::start().unwrap();
    let source = Heroes::with([hero("1", "Ada", "en")]);
    let instance = Instance::start(&redis.url(), &source).await;
    let Some(page) = Page::of(&instance, access()).await else {
        return;
    };
    page.shows("#status", "A token is needed").await;
    assert_eq!(page.text("#content").await, "");
    page.is_accessible().await;

    // The field has the focus.
    page.browser
        .press(format!("not the token{}", keys::ENTER))
        .await;
    page.shows("#token-problem", "not accepted").await;
    page.is_accessible().await;
    page.browser.press(format!("{TOKEN}{}", keys::ENTER)).await;

    page.shows("#kinds", "hero").await;
    page.shows("#purge", "Invalidate").await;
    let traces = traces(&page).await;
    assert!(!traces.contains(TOKEN), "{traces}");
    page.has_only_failed_requests().await;
    page.reload().await;
    page.shows("#status", "A token is needed").await;
}

#[tokio::test]
async fn a_kept_token_outlives_a_reload_until_it_is_forgotten() {
    let redis = RedisServer::start().unwrap();
    let source = Heroes::with([hero("1", "Ada", "en")]);
    let instance = Instance::start(&redis.url(), &source).await;
    let Some(page) = Page::of(&instance, access()).await else {
        return;
    };
    page.shows("#status", "A token is needed").await;
    page.click("#keep").await;
    page.focus("#token").await;
    page.browser.press(format!("{TOKEN}{}", keys::ENTER)).await;
    page.shows("#kinds", "hero").await;
    page.reload().await;
    page.shows("#kinds", "hero").await;

    page.click("#leave").await;

    page.shows("#status", "A token is needed").await;
    assert_eq!(page.text("#content").await, "");
    let kept = page.browser.run("return sessionStorage.length", &[]).await;
    assert_eq!(kept, json!(0));
    page.has_only_failed_requests().await;
}

#[tokio::test]
async fn the_read_token_shows_all_but_the_form_to_invalidate() {
    let redis = RedisServer::start().unwrap();
    let source = Heroes::with([hero("1", "Ada", "en")]);
    let instance = Instance::start(&redis.url(), &source).await;
    let Some(page) = Page::of(&instance, access()).await else {
        return;
    };
    page.shows("#status", "A token is needed").await;
    page.browser
        .press(format!("{READING}{}", keys::ENTER))
        .await;
    page.shows("#kinds", "hero").await;
    assert_eq!(page.text("#purge").await, "");
    page.is_accessible().await;
    page.has_only_failed_requests().await;
}
