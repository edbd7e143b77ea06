//! The routes, behind their guard.

mod events;
mod forget;
mod explain;
mod keys;
mod stats;
mod history;
mod warm;

use std::future::{Ready, ready};

use axum::Router;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, Uri};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::{MethodRouter, delete, get, post};

use self::events::events;
use self::explain::explain;
use self::forget::{forget, forget_id, forget_kind};
use self::history::history;
use self::keys::keys;
use self::stats::stats;
use self::warm::warm;
use crate::access::guard;
use crate::admin::Admin;
use crate::problem::method_not_allowed;

/// Returns the routes under `/cache`, to be merged into the router of a
/// service.
///
/// With [`Access::local_only`](crate::Access::local_only), serve with connect
/// info (`into_make_service_with_connect_info`), or every request is refused.
pub fn router(admin: Admin) -> Router {
    let access = admin.access().clone();
    admin.history().begin();
    Router::new()
        .route(
            "/cache/stats",
            beside("stats", get(stats), "GET, HEAD, DELETE"),
        )
        .route(
            "/cache/explain",
            beside("explain", get(explain), "GET, HEAD, DELETE"),
        )
        .route(
            "/cache/events",
            beside("events", get(events), "GET, HEAD, DELETE"),
        )
        .route(
            "/cache/keys",
            beside("keys", get(keys), "GET, HEAD, DELETE"),
        )
        .route(
            "/cache/history",
            beside("history", get(history), "GET, HEAD, DELETE"),
        )
        .route("/cache/warm", beside("warm", post(warm), "POST, DELETE"))
        .route(
            "/cache/{kind}",
            delete(forget_kind).fallback(refusing("DELETE")),
        )
        .route(
            "/cache/{kind}/{id}",
            delete(forget_id).fallback(refusing("DELETE")),
        )
        .route_layer(map_response(uncached))
        .route_layer(from_fn_with_state(access, guard))
        .with_state(admin)
}

/// Adds a `DELETE` to a route, because a kind may have the same name.
fn beside(
    kind: &'static str,
    route: MethodRouter<Admin>,
    allowed: &'static str,
) -> MethodRouter<Admin> {
    route
        .delete(async move |State(admin): State<Admin>, uri: Uri| forget(&admin, kind, &uri).await)
        .fallback(refusing(allowed))
}

fn refusing(allowed: &'static str) -> impl Fn() -> Ready<Response> + Clone + Send + Sync {
    move || ready(method_not_allowed(allowed))
}

/// Responses are out of date after a moment, so they must not be stored.
async fn uncached(mut response: Response) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}
