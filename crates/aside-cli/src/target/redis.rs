//! Redis: the admin routes run in this process, over the fleet's keys.

use std::time::Duration;

use aside::ops::Ops;
use aside::{CacheConfig, Secret};
use aside_admin::{Access, Admin, router};
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::Target;
use crate::failure::{Code, Failure};

/// Access to Redis.
pub(crate) struct Redis {
    ops: Ops,
    router: axum::Router,
    token: String,
}

impl Redis {
    pub(crate) async fn connect(patience: Duration) -> Result<Self, Failure> {
        let config = CacheConfig::from_env()
            .map_err(|error| Failure::usage(error.to_string()).with_hint("see docs/settings.md"))?;
        if config.redis_url.expose().starts_with("memory:") {
            let message = "REDIS_URL is memory://, which only the process of the service sees";
            return Err(Failure::usage(message).with_hint("try: --at http://HOST:PORT"));
        }
        let ops = Ops::connect(config, patience).await?;
        // Known to this process alone.
        let token = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let access = Access::token(Secret::new(&token))
            .map_err(|weak| Failure::new(Code::Usage, weak.to_string()))?;
        let router = router(Admin::new(ops.service().clone(), access));
        Ok(Self { ops, router, token })
    }
}

impl Target for Redis {
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), Failure> {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "localhost")
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .body(body)
            .map_err(|error| Failure::usage(error.to_string()))?;
        let Ok(response) = self.router.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.map(|body| body.to_bytes());
        let bytes = bytes.unwrap_or_default();
        Ok((
            parts.status,
            serde_json::from_slice(&bytes).unwrap_or_default(),
        ))
    }

    fn ops(&self) -> Option<&Ops> {
        Some(&self.ops)
    }

    fn shown(&self) -> Value {
        let config = self.ops.service().config();
        json!({
            "redis": self.ops.server(),
            "namespace": config.namespace,
        })
    }
}
