//! Access control of the routes.
//!
//! A valid token is sufficient. Without one the routes are for users of this
//! machine, and a request counts as theirs only if nothing contradicts it. A
//! loopback peer alone is not enough. A proxy on this machine forwards requests
//! of strangers from a loopback address, and a local browser sends the requests
//! of any page. A foreign page is recognised by `Origin` or `Sec-Fetch-Site`.
//! If its name was rebound to this machine, it is recognised by `Host`. A proxy
//! may leave no trace at all: nginx with only `proxy_pass` sends its own `Host`
//! and no header, and differs only by HTTP/1.0. So the listener is the main
//! barrier, and these checks are a second one.

use std::net::SocketAddr;
use std::sync::Arc;

use aside::Secret;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN, VIA};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use crate::problem::Problem;

/// The minimum length of a token.
const SHORTEST_TOKEN_BYTES: usize = 16;

/// Headers that proxies and content networks add.
const PROXY_HEADERS: [HeaderName; 6] = [
    VIA,
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("cdn-loop"),
    HeaderName::from_static("x-host"),
    HeaderName::from_static("x-scheme"),
    HeaderName::from_static("x-varnish"),
];

/// The prefixes of further such headers.
const PROXY_PREFIXES: [&str; 13] = [
    "x-original-",
    "x-originating-",
    "x-envoy-",
    "x-azure-",
    "x-amzn-",
    "x-appengine-",
    "x-arr-",
    "x-vercel-",
    "x-akamai-",
    "x-traefik-",
    "cf-",
    "fastly-",
    "fly-",
];

/// Parts of the names of further such headers, most of which name the client.
const PROXY_PARTS: [&str; 6] = [
    "forwarded",
    "client-ip",
    "clientip",
    "connecting-ip",
    "x-remote-",
    "proxy",
];

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A token that could be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeakToken;

impl std::fmt::Display for WeakToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "ADMIN_TOKEN must have at least {SHORTEST_TOKEN_BYTES} bytes"
        )
    }
}

impl std::error::Error for WeakToken {}

/// Selects the requests that the routes serve.
#[derive(Clone, Debug)]
pub struct Access(Rule);

#[derive(Clone, Debug)]
enum Rule {
    Closed(Arc<str>),
    Local,
    Socket,
    Tokens {
        all: Option<Arc<Secret>>,
        reading: Option<Arc<Secret>>,
    },
}

impl Access {
    /// Serves requests that send this token as `Authorization: Bearer`, from
    /// any address. Serve the routes over TLS then.
    ///
    /// # Errors
    /// If the token has less than 16 bytes.
    pub fn token(token: Secret) -> Result<Self, WeakToken> {
        Ok(Self(Rule::Tokens {
            all: Some(long_enough(token)?),
            reading: None,
        }))
    }

    /// Also serves `GET` requests that send this token.
    ///
    /// Without an earlier token, this is the only one. Access without a token
    /// is then no longer possible.
    ///
    /// # Errors
    /// If the token has less than 16 bytes.
    pub fn with_read_token(self, token: Secret) -> Result<Self, WeakToken> {
        let reading = Some(long_enough(token)?);
        let all = match self.0 {
            Rule::Tokens { all, .. } => all,
            Rule::Closed(_) | Rule::Local | Rule::Socket => None,
        };
        Ok(Self(Rule::Tokens { all, reading }))
    }

    /// Serves direct requests from this machine. Use it for a listener at a
    /// loopback address *to which no proxy forwards*, because nginx with only
    /// `proxy_pass` looks like a user of this machine.
    ///
    /// It refuses peers other than loopback, and other names than loopback ones
    /// in `Host`. It refuses HTTP/1.0, which nginx uses to its upstreams. It
    /// also refuses requests with a header that proxies add, and requests of
    /// other sites' pages.
    ///
    /// Serve with connect info, or every request is refused.
    #[must_use]
    pub fn local_only() -> Self {
        Self(Rule::Local)
    }

    /// Serves requests through a Unix socket, so the permissions of its file
    /// control access. Any `Host` is accepted. Requests from proxies and from
    /// pages of other sites are refused as by [`local_only`](Self::local_only).
    #[must_use]
    pub fn unix_socket() -> Self {
        Self(Rule::Socket)
    }

    /// Refuses every request with 403 and this advice.
    #[must_use]
    pub fn closed(advice: &str) -> Self {
        Self(Rule::Closed(advice.into()))
    }

    /// Returns true if a request with these headers, which was served, may do more
    /// than read.
    pub(crate) fn may_change(&self, headers: &HeaderMap) -> bool {
        match &self.0 {
            Rule::Tokens { all, .. } => all.as_ref().is_some_and(|token| bears(headers, token)),
            Rule::Closed(_) | Rule::Local | Rule::Socket => true,
        }
    }

    /// Decides about a file of the dashboard, which contains no data: a browser loads
    /// it before its user can give a token.
    fn judge_shell(&self, request: &Request) -> Result<(), Problem> {
        match &self.0 {
            Rule::Tokens { .. } => Ok(()),
            Rule::Closed(_) | Rule::Local | Rule::Socket => self.judge(request),
        }
    }

    fn judge(&self, request: &Request) -> Result<(), Problem> {
        let headers = request.headers();
        let direct = match &self.0 {
            Rule::Tokens { all, reading } => {
                let safe = matches!(*request.method(), Method::GET | Method::HEAD);
                let may_all = all.as_ref().is_some_and(|token| bears(headers, token));
                let may_read = reading.as_ref().is_some_and(|token| bears(headers, token));
                return match (may_all, may_read) {
                    (true, _) => Ok(()),
                    (_, true) if safe => Ok(()),
                    (_, true) => Err(Problem::new(
                        StatusCode::FORBIDDEN,
                        "This token permits only GET; send ADMIN_TOKEN.",
                    )),
                    _ => Err(Problem::new(
                        StatusCode::UNAUTHORIZED,
                        "Send the token as `Authorization: Bearer`.",
                    )),
                };
            }
            Rule::Closed(advice) => {
                return Err(Problem::new(StatusCode::FORBIDDEN, advice.to_string()));
            }
            Rule::Local => {
                let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
                let here = peer.is_some_and(|peer| peer.0.ip().to_canonical().is_loopback());
                here && names_this_machine(request.uri(), headers)
            }
            Rule::Socket => true,
        };
        let old = matches!(request.version(), Version::HTTP_09 | Version::HTTP_10);
        if direct && !old && !is_forwarded(headers) && !is_cross_site(headers) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "Only direct HTTP/1.1 requests from this machine are served: through no \
             proxy, under a loopback name, from no page of another site. Elsewhere, set a token.",
        ))
    }
}

fn long_enough(token: Secret) -> Result<Arc<Secret>, WeakToken> {
    if token.expose().len() < SHORTEST_TOKEN_BYTES {
        return Err(WeakToken);
    }
    Ok(Arc::new(token))
}

/// The guard in front of every route.
pub(crate) async fn guard(State(access): State<Access>, request: Request, next: Next) -> Response {
    match access.judge(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// The guard in front of the files of the dashboard.
pub(crate) async fn guard_shell(
    State(access): State<Access>,
    request: Request,
    next: Next,
) -> Response {
    match access.judge_shell(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Returns true if the request carries the token. The time does not depend on
/// how much of the token is right.
fn bears(headers: &HeaderMap, token: &Secret) -> bool {
    let Some(credentials) = only(headers, &AUTHORIZATION) else {
        return false;
    };
    let credentials = credentials.as_bytes();
    let Some((scheme, sent)) = credentials.split_at_checked("Bearer ".len()) else {
        return false;
    };
    scheme.eq_ignore_ascii_case(b"Bearer ") && sent.ct_eq(token.expose().as_bytes()).into()
}

/// Returns the value of a header that occurs exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

fn names_this_machine(uri: &Uri, headers: &HeaderMap) -> bool {
    let host = only(headers, &HOST).and_then(|host| host.to_str().ok());
    // An absolute request target overrides `Host`, so both are checked.
    let target = uri.authority().map(|authority| authority.as_str());
    host.is_some_and(is_loopback) && target.is_none_or(is_loopback)
}

/// Returns true if `host`, with or without a port, is a loopback name.
fn is_loopback(host: &str) -> bool {
    // An IPv6 address contains colons, so it is in brackets.
    let after_bracket = host.rfind(']').map_or(0, |at| at + 1);
    let name = match host[after_bracket..].find(':') {
        None => host,
        Some(at) => {
            let (name, port) = host.split_at(after_bracket + at);
            if port[1..].parse::<u16>().is_err() {
                return false;
            }
            name
        }
    };
    ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let begins = |prefix: &&str| name.as_str().starts_with(*prefix);
        let contains = |part: &&str| name.as_str().contains(*part);
        PROXY_PREFIXES.iter().any(begins)
            || PROXY_PARTS.iter().any(contains)
            || PROXY_HEADERS.iter().any(|known| known == name)
    })
}

/// Returns true if a page of another site caused the request.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let foreign_origin = headers.get_all(ORIGIN).iter().any(|origin| {
        let host = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"));
        !host.is_some_and(|(scheme, host)| matches!(scheme, "http" | "https") && is_loopback(host))
    });
    let foreign_fetch = headers
        .get_all(FETCH_SITE)
        .iter()
        .any(|site| site != "same-origin" && site != "none");
    foreign_origin || foreign_fetch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_are_accepted_with_or_without_a_port() {
        for host in [
            "localhost",
            "LocalHost:8080",
            "127.0.0.1",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:8080",
        ] {
            assert!(is_loopback(host), "{host}");
        }
    }

    #[test]
    fn names_that_resemble_loopback_are_refused() {
        for host in [
            "",
            "localhost.evil.example",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost:8080:1",
            "localhost:",
            "localhost:http",
            "user@localhost",
            "::1",
            "[::1]x",
            "[::1]x:80",
            "]localhost",
            "localhost/..",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_token_of_fifteen_bytes_is_refused_and_not_shown() {
        let refused = Access::token(Secret::new("0123456789abcde")).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "ADMIN_TOKEN must have at least 16 bytes"
        );
        assert!(Access::token(Secret::new("0123456789abcdef")).is_ok());
        let short = Secret::new("0123456789abcde");
        assert!(Access::closed("").with_read_token(short).is_err());
    }
}
