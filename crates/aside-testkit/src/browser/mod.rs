//! A headless Chromium for tests of pages.
//!
//! A small client of WebDriver: a dozen endpoints are all that such tests need. Scripts
//! that a test runs are not subject to the page's own security policy.

mod driver;

use std::env;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use self::driver::{call, capabilities};
use crate::directory;
use crate::error::StartError;
use crate::port::free_port;
use crate::process::{Launch, ServerProcess};

const DRIVER: &str = "chromedriver";

const INSTALL: &str = "install Chromium and its driver: `apt-get install chromium \
                       chromium-driver` on Debian and Ubuntu, `brew install --cask chromium \
                       chromedriver` on macOS";

/// How long the driver may take until it replies.
const READY_WITHIN: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(20);

/// How many ports to try if other processes take them first.
const ATTEMPTS: usize = 5;

/// Keys without a character, for [`Browser::press`].
pub mod keys {
    /// To the next element.
    pub const TAB: char = '\u{E004}';
    /// Activates a button.
    pub const ENTER: char = '\u{E007}';
    /// Closes a dialog.
    pub const ESCAPE: char = '\u{E00C}';
    /// Deletes the character to the left.
    pub const BACKSPACE: char = '\u{E003}';
    /// Towards the beginning.
    pub const LEFT: char = '\u{E012}';
    /// Towards the end.
    pub const RIGHT: char = '\u{E014}';
    /// To the next choice.
    pub const DOWN: char = '\u{E015}';
}

/// The colours that a user prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Dark text on a light page.
    Light,
    /// Light text on a dark page.
    Dark,
}

/// A headless Chromium with one window and an empty profile.
///
/// It reaches no host but 127.0.0.1, and ends when this value is dropped.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use aside_testkit::browser::Browser;
///
/// let browser = Browser::start().await?;
/// browser.open("http://127.0.0.1:8080/").await;
/// let title = browser.run("return document.title", &[]).await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Browser {
    address: SocketAddr,
    session: String,
    // Before the directory, because fields are dropped in order.
    _process: ServerProcess,
    directory: TempDir,
}

impl Browser {
    /// Starts a browser.
    ///
    /// # Errors
    /// [`StartError::Missing`] if Chromium or its driver is not installed.
    pub async fn start() -> Result<Self, StartError> {
        let program = find_driver()?;
        let mut attempt = 1;
        loop {
            match Self::start_at(&program, free_port()?).await {
                Err(StartError::Failed { log, .. })
                    if attempt < ATTEMPTS && log.contains("Address already in use") =>
                {
                    attempt += 1;
                }
                started => return started,
            }
        }
    }

    async fn start_at(program: &PathBuf, port: u16) -> Result<Self, StartError> {
        let directory = directory::create("browser")?;
        let log = directory.path().join("log");
        let mut process = ServerProcess::start(&Launch {
            command: vec![program.into(), format!("--port={port}").into()],
            user: None,
            directory: directory.path(),
            log: &log,
            // The driver leaves its browser behind at any other signal.
            end_signal: Signal::KILL,
        })?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let failed = |reason: String| StartError::failed(DRIVER, reason, &log);
        let deadline = Instant::now() + READY_WITHIN;
        while !is_ready(address).await {
            if process.exited()?.is_some() || deadline < Instant::now() {
                return Err(failed("it did not reply".to_owned()));
            }
            tokio::time::sleep(PAUSE).await;
        }
        let profile = profile_in(&directory);
        let wanted = capabilities(&profile.to_string_lossy());
        let session = call(address, "/session", Some(&wanted)).await;
        let session = session.map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            address,
            session: session["sessionId"].as_str().unwrap_or_default().to_owned(),
            _process: process,
            directory,
        })
    }

    /// Returns the directory of its profile, which is in the command line of each of
    /// its processes.
    pub fn profile(&self) -> PathBuf {
        profile_in(&self.directory)
    }

    /// Opens a page and waits until it is loaded.
    ///
    /// # Panics
    /// If it cannot be loaded.
    pub async fn open(&self, url: &str) {
        self.post("url", &json!({ "url": url })).await;
    }

    /// Runs the body of a function in the page, with these `arguments`. Returns its
    /// value; a promise is awaited.
    ///
    /// # Panics
    /// If it throws.
    pub async fn run(&self, script: &str, arguments: &[Value]) -> Value {
        let body = json!({ "script": script, "args": arguments });
        self.post("execute/sync", &body).await
    }

    /// Presses and releases keys one by one in the focused element: the characters of
    /// a text, or those in [`keys`].
    ///
    /// # Panics
    /// If the driver refuses.
    pub async fn press(&self, text: impl AsRef<str>) {
        let steps = text.as_ref().chars().flat_map(|key| {
            ["keyDown", "keyUp"].map(|step| json!({ "type": step, "value": key.to_string() }))
        });
        let keyboard = json!({
            "type": "key",
            "id": "keyboard",
            "actions": steps.collect::<Vec<_>>(),
        });
        self.post("actions", &json!({ "actions": [keyboard] }))
            .await;
    }

    /// Shows pages as to a user with this preference, in a window of this size.
    ///
    /// # Panics
    /// If the driver refuses.
    pub async fn emulate(&self, theme: Theme, width: u32, height: u32) {
        let scheme = match theme {
            Theme::Light => "light",
            Theme::Dark => "dark",
        };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.tool(
            "Emulation.setEmulatedMedia",
            &json!({ "features": features }),
        )
        .await;
        let size = json!({
            "width": width,
            "height": height,
            "deviceScaleFactor": 1,
            "mobile": false,
        });
        self.tool("Emulation.setDeviceMetricsOverride", &size).await;
    }

    /// Returns the messages of the console since the last call, such as errors of
    /// scripts and violations of a policy.
    ///
    /// # Panics
    /// If the driver refuses.
    pub async fn console(&self) -> Vec<String> {
        let entries = self.post("se/log", &json!({ "type": "browser" })).await;
        let entries = entries.as_array().cloned().unwrap_or_default();
        let text = |entry: &Value| format!("{}: {}", entry["level"], entry["message"]);
        entries.iter().map(text).collect()
    }

    /// Calls Chromium's developer tools.
    async fn tool(&self, command: &str, parameters: &Value) {
        let body = json!({ "cmd": command, "params": parameters });
        self.post("goog/cdp/execute", &body).await;
    }

    async fn post(&self, command: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{command}", self.session);
        match call(self.address, &path, Some(body)).await {
            Ok(value) => value,
            Err(error) => panic!("the browser refuses {command}: {error}"),
        }
    }
}

fn profile_in(directory: &TempDir) -> PathBuf {
    directory.path().join("profile")
}

async fn is_ready(driver: SocketAddr) -> bool {
    let status = call(driver, "/status", None).await;
    status.is_ok_and(|status| status["ready"] == true)
}

fn find_driver() -> Result<PathBuf, StartError> {
    let path = env::var_os("PATH").unwrap_or_default();
    let programs = env::split_paths(&path).map(|directory| directory.join(DRIVER));
    let mut programs = programs.filter(|program| program.is_file());
    programs.next().ok_or(StartError::Missing {
        programs: &[DRIVER],
        install: INSTALL,
    })
}
