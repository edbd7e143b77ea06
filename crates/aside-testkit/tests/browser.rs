//! A headless Chromium that tests drive.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aside_testkit::browser::{Browser, Theme, keys};
use aside_testkit::{StartError, eventually};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SOON: Duration = Duration::from_secs(20);

const PAGE: &str = "<!doctype html><title>A page</title><link rel=icon href=data:,>\
                    <input autofocus oninput='console.error(this.value)'>\
                    <img src=http://example.com/x.png>";

/// Serves the page on a free port.
async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let length = PAGE.len();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close";
            let reply = format!("{head}\r\nContent-Length: {length}\r\n\r\n{PAGE}");
            let _ = stream.write_all(reply.as_bytes()).await;
        }
    });
    address
}

/// Starts a browser; `None`, with a line, on a machine without one.
async fn browser() -> Option<Browser> {
    match Browser::start().await {
        Ok(browser) => Some(browser),
        Err(error @ StartError::Missing { .. }) if env::var_os("CI").is_none() => {
            eprintln!("SKIPPED: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_page_is_opened_typed_into_and_reaches_no_other_host() {
    let Some(browser) = browser().await else {
        return;
    };
    browser.open(&format!("http://{}/", serve().await)).await;
    assert_eq!(browser.run("return document.title", &[]).await, "A page");

    browser.press("aб").await;
    browser.press(keys::BACKSPACE.to_string()).await;
    let typed = "return document.querySelector('input').value + arguments[0]";
    assert_eq!(browser.run(typed, &[json!(7)]).await, "a7");

    let mut console = Vec::new();
    eventually(SOON, "a refused host in the console", async || {
        console.extend(browser.console().await);
        console
            .iter()
            .any(|line| line.contains("NAME_NOT_RESOLVED"))
    })
    .await;
    assert!(
        console.iter().any(|line| line.contains("aб")),
        "{console:?}"
    );
}

#[tokio::test]
async fn a_theme_and_a_width_are_emulated() {
    let Some(browser) = browser().await else {
        return;
    };
    browser.open(&format!("http://{}/", serve().await)).await;
    let seen = "return [matchMedia('(prefers-color-scheme: dark)').matches, innerWidth]";
    browser.emulate(Theme::Dark, 320, 640).await;
    assert_eq!(browser.run(seen, &[]).await, json!([true, 320]));
    browser.emulate(Theme::Light, 1024, 640).await;
    assert_eq!(browser.run(seen, &[]).await, json!([false, 1024]));
}

/// Returns the processes whose command line contains the text.
fn processes_with(text: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    all.map(|entry| entry.path())
        .filter(|process| {
            let command = std::fs::read(Path::join(process, "cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&command).contains(text)
        })
        .collect()
}

#[tokio::test]
async fn no_process_of_a_browser_remains_after_it() {
    let Some(browser) = browser().await else {
        return;
    };
    let profile = browser.profile().to_string_lossy().into_owned();
    assert!(!Path::new("/proc").exists() || !processes_with(&profile).is_empty());
    drop(browser);
    eventually(SOON, "the end of all its processes", async || {
        processes_with(&profile).is_empty()
    })
    .await;
}
