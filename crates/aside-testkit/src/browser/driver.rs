//! One request to a driver, as WebDriver defines it: JSON over HTTP/1.1.
//!
//! Written by hand, because an HTTP client would be the largest dependency of this
//! crate. The driver answers each request with a `Content-Length`.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Sends a request on a new connection and returns the value of the reply. A request
/// with a body is a POST, any other a GET.
///
/// # Errors
/// If the driver does not reply, or replies with an error.
pub(super) async fn call(
    address: SocketAddr,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, Failure> {
    let method = if body.is_some() { "POST" } else { "GET" };
    let text = body.map(Value::to_string).unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        text.len(),
    );
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    stream.write_all((head + &text).as_bytes()).await?;
    let mut reply = vec![0; length(&mut stream).await?];
    stream.read_exact(&mut reply).await?;
    let mut reply: Value = serde_json::from_slice(&reply)?;
    let value = reply["value"].take();
    match value["error"].as_str() {
        Some(error) => Err(format!("{error}: {}", value["message"]).into()),
        None => Ok(value),
    }
}

/// Reads the head of a reply, and returns the length of its body.
async fn length(stream: &mut BufReader<TcpStream>) -> Result<usize, Failure> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err("the driver closed the connection".into());
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = Some(value.trim().parse()?);
            }
            None if line.trim_end().is_empty() => {
                return length.ok_or_else(|| "a reply without a length".into());
            }
            _ => {}
        }
    }
}

/// Returns the settings of a session.
pub(super) fn capabilities(profile: &str) -> Value {
    let options = json!({
        "args": [
            "--headless=new",
            // Chromium's own sandbox needs rights that containers lack. The pages of
            // a test are its own.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--hide-scrollbars",
            "--window-size=1280,1000",
            // A page that needs another host than this machine fails.
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
            format!("--user-data-dir={profile}"),
        ],
    });
    json!({ "capabilities": { "alwaysMatch": {
        "goog:chromeOptions": options,
        "goog:loggingPrefs": { "browser": "ALL" },
    } } })
}
