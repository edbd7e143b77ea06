//! Redis: the admin routes run in this process, over the fleet's keys.

use std::time::Duration;

use aside::ops::Ops;
use aside::{CacheConfig, Secret};
use aside_admin::{Access, Admin, router};
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{Method, Request, Response};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::Target;
use crate::failure::{Code, Failure};

/// Access to Redis.
pub(crate) struct Redis {
    ops: Ops,
    router: axum::Router,
    token: String,
    patience: Duration,
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
        Ok(Self {
            ops,
            router,
            token,
            patience,
        })
    }
}

impl Target for Redis {
    async fn open(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        _: Duration,
    ) -> Result<Response<Body>, Failure> {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "localhost")
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .body(body)
            .map_err(|error| Failure::usage(error.to_string()))?;
        // Each operation on Redis has its own time limit.
        let Ok(response) = self.router.clone().oneshot(request).await;
        Ok(response)
    }

    fn patience(&self) -> Duration {
        self.patience
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
