//! Who may ask.
//!
//! A token settles it. Without one the routes are for whoever sits at this
//! machine, and a request only counts as theirs if nothing speaks against it:
//! a loopback peer alone does not do, since a proxy on this machine brings
//! strangers from there, and a browser on it brings any page's requests. The
//! page of a stranger gives itself away by `Origin` or `Sec-Fetch-Site`, or,
//! where its name was bent to point here, by `Host`.

use std::net::SocketAddr;
use std::sync::Arc;

use aside::Secret;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, FORWARDED, HOST, HeaderName, ORIGIN, VIA};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use crate::problem::Problem;

/// The shortest token that is accepted.
const SHORTEST_TOKEN_BYTES: usize = 16;

/// What proxies add, `X-Forwarded-...` apart.
const PROXY_HEADERS: [HeaderName; 8] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-client-ip"),
    HeaderName::from_static("x-cluster-client-ip"),
    HeaderName::from_static("x-original-forwarded-for"),
    HeaderName::from_static("true-client-ip"),
    HeaderName::from_static("cf-connecting-ip"),
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

/// Lets requests pass or not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    token: Option<Arc<Secret>>,
}

impl Access {
    pub(crate) fn new(token: Option<Secret>) -> Result<Self, WeakToken> {
        match token {
            Some(token) if token.expose().len() < SHORTEST_TOKEN_BYTES => Err(WeakToken),
            token => Ok(Self {
                token: token.map(Arc::new),
            }),
        }
    }

    fn judge(&self, request: &Request) -> Result<(), Problem> {
        let headers = request.headers();
        match &self.token {
            Some(token) if bears(headers, token) => Ok(()),
            Some(_) => Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "Send the token as `Authorization: Bearer`.",
            )),
            None => {
                let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
                let here = peer.is_some_and(|peer| peer.0.ip().to_canonical().is_loopback());
                let direct = here
                    && names_this_machine(request.uri(), headers)
                    && !is_forwarded(headers)
                    && !is_cross_site(headers);
                if direct {
                    return Ok(());
                }
                Err(Problem::new(
                    StatusCode::FORBIDDEN,
                    "Without ADMIN_TOKEN this is answered only to this machine, asked directly.",
                ))
            }
        }
    }
}

/// The guard in front of every route.
pub(crate) async fn guard(State(access): State<Access>, request: Request, next: Next) -> Response {
    match access.judge(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Whether the request carries the token, in a time that does not depend on
/// how much of it is right.
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

/// The value of a header that stands there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

fn names_this_machine(uri: &Uri, headers: &HeaderMap) -> bool {
    let host = only(headers, &HOST).and_then(|host| host.to_str().ok());
    // An absolute request target speaks louder than `Host`, so both count.
    let target = uri.authority().map(|authority| authority.as_str());
    host.is_some_and(is_loopback) && target.is_none_or(is_loopback)
}

/// Whether `host`, perhaps with a port, is a loopback name.
fn is_loopback(host: &str) -> bool {
    // An IPv6 address holds colons, and stands in brackets for that.
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
        name.as_str().starts_with("x-forwarded") || PROXY_HEADERS.iter().any(|known| known == name)
    })
}

/// Whether a page of another site is behind the request.
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
    fn loopback_names_stand_with_and_without_a_port() {
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
    fn names_that_only_look_like_loopback_are_none() {
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
        let refused = Access::new(Some(Secret::new("0123456789abcde"))).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "ADMIN_TOKEN must have at least 16 bytes"
        );
        assert!(Access::new(Some(Secret::new("0123456789abcdef"))).is_ok());
    }
}
