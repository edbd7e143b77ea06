//! One instance: its admin routes over HTTP, at an address or a Unix socket.

use std::time::Duration;

use aside::Secret;
use aside::ops::Ops;
use aside::settings::Settings;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{Method, Request, Response};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::Target;
use crate::failure::{Code, Failure};

/// The settings that hold a token, the mightier first.
const TOKENS: [&str; 2] = ["ADMIN_TOKEN", "ADMIN_READ_TOKEN"];

/// The address of an instance.
enum Address {
    /// Host and port.
    Tcp(String),
    /// The path of a socket.
    Unix(String),
}

/// The admin routes of one instance.
pub(crate) struct Router {
    url: String,
    address: Address,
    /// What stands before the routes in a path.
    prefix: String,
    token: Option<Secret>,
    patience: Duration,
}

impl Router {
    pub(crate) fn at(url: &str, patience: Duration) -> Result<Self, Failure> {
        // It may hold a password, so it is not quoted.
        let wrong = "--at must be http://HOST:PORT or unix:///PATH, without a user";
        let (address, prefix) = parse(url).ok_or_else(|| Failure::usage(wrong))?;
        let settings = Settings::load().map_err(|error| Failure::usage(error.to_string()))?;
        let token = settings.read(|reader| TOKENS.map(|name| reader.secret(name)));
        let token = token.map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Self {
            url: url.to_owned(),
            address,
            prefix,
            token: token.into_iter().flatten().next(),
            patience,
        })
    }

    async fn exchange(&self, request: Request<Body>) -> Result<Response<Body>, String> {
        let text = |error: &dyn std::error::Error| error.to_string();
        match &self.address {
            Address::Tcp(host) => {
                let stream = TcpStream::connect(host).await;
                exchange(stream.map_err(|error| text(&error))?, request).await
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                exchange(stream.map_err(|error| text(&error))?, request).await
            }
        }
    }
}

/// Returns the address and the prefix of the paths of a URL.
fn parse(url: &str) -> Option<(Address, String)> {
    if let Some(path) = url.strip_prefix("unix://") {
        return path
            .starts_with('/')
            .then(|| (Address::Unix(path.to_owned()), String::new()));
    }
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if host.is_empty() || host.contains('@') || path.contains(['?', '#']) {
        return None;
    }
    let has_port = host.rsplit_once(':').is_some_and(|(before, port)| {
        port.parse::<u16>().is_ok() && (!before.contains(':') || before.ends_with(']'))
    });
    let host = match has_port {
        true => host.to_owned(),
        false => format!("{host}:80"),
    };
    let path = path.trim_end_matches('/');
    let is_of_routes = |before: &&str| before.is_empty() || before.ends_with('/');
    let path = path
        .strip_suffix("cache")
        .filter(is_of_routes)
        .unwrap_or(path);
    let path = path.trim_end_matches('/');
    let prefix = match path {
        "" => String::new(),
        path => format!("/{path}"),
    };
    Some((Address::Tcp(host), prefix))
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Body>,
) -> Result<Response<Body>, String> {
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    // It ends with the body of the response.
    tokio::spawn(connection);
    let response = sender.send_request(request).await;
    let response = response.map_err(|error| error.to_string())?;
    Ok(response.map(Body::new))
}

impl Target for Router {
    async fn open(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        patience: Duration,
    ) -> Result<Response<Body>, Failure> {
        let host = match &self.address {
            Address::Tcp(host) => host.as_str(),
            Address::Unix(_) => "localhost",
        };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.prefix))
            .header(HOST, host);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = request
            .body(body)
            .map_err(|error| Failure::usage(error.to_string()))?;
        let unreachable = |reason: String| {
            Failure::new(
                Code::Unreachable,
                format!("cannot reach the instance at {}: {reason}", self.url),
            )
            .with_hint("try without --at: the fleet as Redis knows it")
        };
        let exchanged = tokio::time::timeout(patience, self.exchange(request)).await;
        let exchanged = exchanged.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        exchanged.map_err(unreachable)
    }

    fn patience(&self) -> Duration {
        self.patience
    }

    fn ops(&self) -> Option<&Ops> {
        None
    }

    fn shown(&self) -> Value {
        json!({ "at": self.url })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_or_an_absolute_path() {
        for (url, host, prefix) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080", ""),
            ("http://api.internal/", "api.internal:80", ""),
            ("http://[::1]:9090/tales/", "[::1]:9090", "/tales"),
            ("http://api:80/cache", "api:80", ""),
            ("http://api:80/a/cache/", "api:80", "/a"),
            ("http://api:80/hot-cache", "api:80", "/hot-cache"),
        ] {
            match parse(url) {
                Some((Address::Tcp(found), path)) => {
                    assert_eq!((&*found, &*path), (host, prefix), "{url}");
                }
                _ => panic!("{url}"),
            }
        }
        assert!(matches!(
            parse("unix:///run/a.sock"),
            Some((Address::Unix(_), _))
        ));
        for wrong in [
            "",
            "https://host",
            "host:80",
            "unix://run",
            "http://u:p@host",
            "http://",
        ] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }
}
