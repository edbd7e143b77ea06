//! A service on a free port, and its page in a browser.

use std::env;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aside_admin::{Access, Admin, router};
use aside_testkit::browser::{Browser, Theme};
use aside_testkit::{StartError, eventually};
use axum::Router;
use axum::extract::Request;
use axum::middleware::map_request;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::SOON;
use crate::heroes::Instance;

/// The rules of WCAG 2.2 AA, and best practice.
const RULES: &str = "const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', \
                     'best-practice']; const found = await axe.run(document, { runOnly: rules }); \
                     return found.violations.map(({ id, nodes }) => \
                     `${id}: ${nodes.map(({ html }) => html).join(' ')}`);";

/// The page of one service.
pub(crate) struct Page {
    pub(crate) browser: Browser,
    url: String,
    requests: Arc<AtomicU64>,
    service: JoinHandle<()>,
}

impl Page {
    /// Opens the page of an instance; `None`, with a line, on a machine without a
    /// browser.
    pub(crate) async fn of(instance: &Instance, access: Access) -> Option<Self> {
        Self::under("", instance, access).await
    }

    /// Opens the page of an instance whose routes have a prefix.
    pub(crate) async fn under(
        prefix: &'static str,
        instance: &Instance,
        access: Access,
    ) -> Option<Self> {
        let browser = browser().await?;
        let requests = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&requests);
        let routes = router(Admin::new(instance.cache.clone(), access));
        let routes = match prefix {
            "" => routes,
            prefix => Router::new().nest(prefix, routes),
        };
        let app = routes.layer(map_request(move |request: Request| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move { request }
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let service = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let page = Self {
            browser,
            url: format!("http://{address}{prefix}/cache/dashboard"),
            requests,
            service,
        };
        page.reload().await;
        Some(page)
    }

    /// Opens the page of an instance that needs no token.
    pub(crate) async fn open(instance: &Instance) -> Option<Self> {
        let page = Self::of(instance, Access::local_only()).await?;
        page.shows("#kinds", "hero").await;
        Some(page)
    }

    pub(crate) async fn reload(&self) {
        self.browser.open(&self.url).await;
    }

    /// Ends the service, and its connections.
    pub(crate) fn end_service(&self) {
        self.service.abort();
    }

    /// Returns the number of requests so far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Returns the visible text of the first element; empty without one.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let script = "const element = document.querySelector(arguments[0]); \
                      return element?.checkVisibility() ? element.innerText : ''";
        let text = self.browser.run(script, &[json!(selector)]).await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an element shows a text.
    pub(crate) async fn shows(&self, selector: &str, text: &str) {
        let what = format!("{text:?} in {selector}");
        eventually(SOON, &what, async || {
            let shown = self.text(selector).await;
            if shown.contains(text) {
                Ok(())
            } else {
                Err(shown)
            }
        })
        .await;
    }

    /// Runs a script with the first element as `element`.
    pub(crate) async fn with(&self, selector: &str, script: &str) -> Value {
        let script = format!("const element = document.querySelector(arguments[0]); {script}");
        self.browser.run(&script, &[json!(selector)]).await
    }

    pub(crate) async fn click(&self, selector: &str) {
        self.with(selector, "element.click()").await;
    }

    pub(crate) async fn focus(&self, selector: &str) {
        self.with(selector, "element.focus()").await;
    }

    /// Types into an element, in place of its text.
    pub(crate) async fn type_into(&self, selector: &str, text: &str) {
        self.with(selector, "element.focus(); element.select()")
            .await;
        self.browser.press(text).await;
    }

    /// Checks the present state in both themes, and in a narrow window.
    pub(crate) async fn is_accessible(&self) {
        let axe = std::fs::read_to_string(axe()).unwrap();
        self.browser.run(&axe, &[]).await;
        let views = [
            (Theme::Light, 1280),
            (Theme::Dark, 1280),
            (Theme::Light, 320),
        ];
        for (theme, width) in views {
            self.browser.emulate(theme, width, 900).await;
            let found = self.browser.run(RULES, &[]).await;
            assert_eq!(found, json!([]), "{theme:?} at {width} pixels");
            let wide = "return document.documentElement.scrollWidth - innerWidth";
            let overflow = self.browser.run(wide, &[]).await;
            assert_eq!(overflow, 0, "{theme:?} at {width} pixels");
        }
        self.browser.emulate(Theme::Light, 1280, 900).await;
    }

    /// Checks that the console has nothing since the last call: no error of a script,
    /// and no violation of the policy.
    pub(crate) async fn is_clean(&self) {
        // The page asks for routes that this version may lack.
        self.is_clean_but_for("405 (Method Not Allowed)").await;
    }

    /// Does the same, apart from requests that were refused or failed.
    pub(crate) async fn has_only_failed_requests(&self) {
        self.is_clean_but_for("Failed to load resource").await;
    }

    async fn is_clean_but_for(&self, expected: &str) {
        let mut console = self.browser.console().await;
        console.retain(|line| !line.contains(expected));
        assert_eq!(console, Vec::<String>::new());
    }
}

/// Returns the path of axe-core.
fn axe() -> &'static Path {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/dashboard/node_modules/axe-core/axe.min.js"
    ))
}

async fn browser() -> Option<Browser> {
    let missing = match Browser::start().await {
        Ok(browser) if axe().is_file() => return Some(browser),
        Ok(_) => "axe-core is missing".to_owned(),
        Err(error @ StartError::Missing { .. }) => error.to_string(),
        Err(error) => panic!("{error}"),
    };
    assert!(env::var_os("CI").is_none(), "{missing}");
    eprintln!("SKIPPED: a test of the dashboard; run scripts/setup: {missing}");
    None
}
