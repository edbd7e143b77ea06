//! The routes, behind their guard.

mod events;
mod forget;
mod invalidate;
mod explain;
mod fleet;
mod keys;
mod prefetch;
mod stats;
mod advice;
mod curve;
mod hot;
mod history;
mod dashboard;
mod warm;

use std::future::{Ready, ready};

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, Uri};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::{MethodRouter, delete, get, post};

use self::advice::advice;
use self::curve::curve;
use self::dashboard::{asset, page};
use self::events::events;
use self::explain::explain;
use self::fleet::fleet;
use self::forget::{forget, forget_id, forget_kind, forget_row, unreadable_path};
use self::history::history;
use self::hot::hot;
use self::invalidate::invalidate;
use self::keys::keys;
use self::prefetch::{prefetch, switch};
use self::stats::stats;
use self::warm::warm;
use crate::access::{Access, guard, guard_shell};
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
    let shell = dashboard(&access);
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
            "/cache/curve",
            beside("curve", get(curve), "GET, HEAD, DELETE"),
        )
        .route("/cache/hot", beside("hot", get(hot), "GET, HEAD, DELETE"))
        .route(
            "/cache/advice",
            beside("advice", get(advice), "GET, HEAD, DELETE"),
        )
        .route(
            "/cache/history",
            beside("history", get(history), "GET, HEAD, DELETE"),
        )
        .route(
            "/cache/fleet",
            beside("fleet", get(fleet), "GET, HEAD, DELETE"),
        )
        .route(
            "/cache/invalidate",
            beside("invalidate", post(invalidate), "POST, DELETE"),
        )
        .route(
            "/cache/prefetch",
            beside(
                "prefetch",
                get(prefetch).put(switch),
                "GET, HEAD, PUT, DELETE",
            ),
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
        .merge(shell)
        .with_state(admin)
}

type Segment = Result<Path<String>, PathRejection>;

/// Returns the routes of the dashboard. Its files have a guard that asks for no token,
/// and a kind may be named like it.
fn dashboard(access: &Access) -> Router<Admin> {
    let shell = |files: MethodRouter<Admin>| {
        files.route_layer(from_fn_with_state(access.clone(), guard_shell))
    };
    let guarded = |rest: MethodRouter<Admin>| {
        rest.layer(map_response(uncached))
            .layer(from_fn_with_state(access.clone(), guard))
    };
    let allowed = "GET, HEAD, DELETE";
    let row = async move |State(admin): State<Admin>, id: Segment, uri: Uri| {
        let Path(id) = id.map_err(|_| unreadable_path())?;
        forget_row(&admin, "dashboard", &id, &uri).await
    };
    Router::new()
        .route(
            "/cache/dashboard",
            shell(get(page)).merge(guarded(beside("dashboard", MethodRouter::new(), allowed))),
        )
        .route(
            "/cache/dashboard/{asset}",
            shell(get(asset)).merge(guarded(delete(row).fallback(refusing(allowed)))),
        )
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
