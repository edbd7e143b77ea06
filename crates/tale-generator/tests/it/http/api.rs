//! The router over a fresh database, and its responses.

use aside::{CacheConfig, CacheService, settings::Settings};
use aside_admin::Access;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tale_generator::Tales;
use tale_generator::http::router;
use tale_generator::sql::{Database, DatabaseOptions};
use tower::ServiceExt as _;

use crate::databases::{cache_in_memory, patient, postgres_database};

/// The routes over a database in memory.
pub(crate) struct Api {
    pub(crate) tales: Tales,
    router: Router,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Api {
    /// Returns the API with a cache inside this process.
    pub(crate) async fn in_memory() -> Self {
        Self::over("sqlite::memory:", patient(), cache_in_memory().await).await
    }

    /// Returns the API with the cache that these settings describe.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let settings = Settings::from_pairs(settings.iter().copied());
        let config = CacheConfig::from_settings(&settings).unwrap();
        let cache = CacheService::connect(config).await;
        Self::over("sqlite::memory:", patient(), cache).await
    }

    /// Returns the API on PostgreSQL, if it is installed.
    pub(crate) async fn on_postgres() -> Option<Self> {
        let url = postgres_database()?;
        Some(Self::over(&url, patient(), cache_in_memory().await).await)
    }

    pub(crate) async fn over(url: &str, options: DatabaseOptions, cache: CacheService) -> Self {
        let database = Database::open(url, options).await.unwrap();
        Self::around(&Tales::new(database, &cache))
    }

    pub(crate) fn around(tales: &Tales) -> Self {
        Self {
            tales: tales.clone(),
            router: router(tales, Access::closed("Set a token.")),
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Reply {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask("POST", path, &[], Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Reply {
        self.ask("PUT", path, &[], Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.ask("DELETE", path, &[], None).await
    }

    /// Adds a row from the body and returns it.
    pub(crate) async fn added(&self, path: &str, body: &Value) -> Value {
        let reply = self.post(path, body).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        reply.json()
    }
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// Returns `Cache-Status` without the TTL, which changes.
    pub(crate) fn source(&self) -> &str {
        let status = self.header("cache-status");
        status.split("; ttl=").next().unwrap_or_default()
    }

    /// Asserts a problem document of this status that names each of these
    /// fields.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, named: &[&str]) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("x-content-type-options"), "nosniff");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], "about:blank");
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        let fields: Vec<&str> = problem["errors"]
            .as_array()
            .map(|errors| {
                errors
                    .iter()
                    .filter_map(|error| error["field"].as_str())
                    .collect()
            })
            .unwrap_or_default();
        for name in named {
            assert!(fields.contains(name), "{name} is not in {}", self.text);
        }
    }
}

pub(crate) fn hero(name: &str) -> Value {
    json!({
        "name": name, "age": 30, "gender": "female", "appearance": "A green cloak",
        "personality_traits": ["brave"], "interests": [], "strengths": ["climbs any tree"],
        "language": "en",
    })
}

pub(crate) fn child(name: &str) -> Value {
    json!({ "name": name, "age": 7, "gender": "male", "interests": ["trains"] })
}

pub(crate) fn story(title: &str) -> Value {
    json!({ "title": title, "content": "Once upon a time", "moral": "Be kind.", "language": "ru" })
}
