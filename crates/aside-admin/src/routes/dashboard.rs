//! `GET /cache/dashboard`: a page for operators.
//!
//! Its files contain no data: the page calls the other routes with the token that its
//! user gives. The policy forbids every other source, and with `trusted-types 'none'`
//! the browser itself refuses to parse a text as markup. So a key cannot become markup.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file of the page.
struct Asset {
    name: &'static str,
    media_type: &'static str,
    text: &'static str,
}

/// Declares files of the folder `dashboard`.
macro_rules! assets {
    ($($name:literal: $media_type:expr),* $(,)?) => {
        [$(Asset {
            name: $name,
            media_type: $media_type,
            text: include_str!(concat!("../dashboard/", $name)),
        }),*]
    };
}

/// The page itself first.
static ASSETS: [Asset; 16] = assets![
    "index.html": HTML,
    "style.css": CSS,
    "theme.css": CSS,
    "icon.svg": SVG,
    "app.js": JS,
    "api.js": JS,
    "dom.js": JS,
    "chart.js": JS,
    "overview.js": JS,
    "table.js": JS,
    "kinds.js": JS,
    "picker.js": JS,
    "explain.js": JS,
    "purge.js": JS,
    "events.js": JS,
    "fleet.js": JS,
];

pub(crate) async fn page(headers: HeaderMap) -> Response {
    ASSETS[0].respond(&headers)
}

pub(crate) async fn asset(
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let name = name.map_or_else(|_| String::new(), |Path(name)| name);
    let asset = ASSETS[1..].iter().find(|asset| asset.name == name);
    match asset {
        Some(asset) => asset.respond(&headers),
        None => {
            let problem = Problem::new(StatusCode::NOT_FOUND, "The page has no such file.");
            problem.into_response()
        }
    }
}

impl Asset {
    fn respond(&self, request: &HeaderMap) -> Response {
        let tag = self.tag();
        let known = request.get(IF_NONE_MATCH);
        let unchanged = known.is_some_and(|known| known.as_bytes() == tag.as_bytes());
        let mut response = match unchanged {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => self.text.into_response(),
        };
        let headers = response.headers_mut();
        let fixed: [(HeaderName, &'static str); 5] = [
            (CONTENT_TYPE, self.media_type),
            (CONTENT_SECURITY_POLICY, POLICY),
            (CACHE_CONTROL, "no-cache"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
        ];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(ETAG, tag);
        }
        response
    }

    /// Returns a strong tag, which changes with the file.
    fn tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.text.hash(&mut hasher);
        format!("\"{:016x}\"", hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_so_is_each_of_its_files() {
        let bytes: usize = ASSETS.iter().map(|asset| asset.text.len()).sum();
        assert!(bytes < 60 * 1024, "{bytes} bytes");
        for asset in &ASSETS {
            let lines = asset.text.lines().count();
            assert!(lines <= 250, "{}: {lines} lines", asset.name);
        }
    }

    #[test]
    fn the_page_names_no_other_origin() {
        for asset in &ASSETS {
            let text = asset.text.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("://"), "{}", asset.name);
        }
    }
}
