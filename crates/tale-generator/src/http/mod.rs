//! The HTTP API.
//!
//! Each resource has a file with its routes; how a body, a query, a
//! precondition is read and how an answer is put together is settled once,
//! beside them. Errors become statuses in `problem.rs` and nowhere else.

mod body;
mod children;
mod guard;
mod health;
mod heroes;
mod id;
mod metrics;
mod precondition;
mod problem;
mod query;
mod reply;
mod resource;
mod server;
mod stories;
mod tags;

use std::sync::Arc;

use aside::Secret;
use aside_admin::{Admin, WeakToken};
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use prometheus_client::registry::Registry;
use tower_http::catch_panic::CatchPanicLayer;

use crate::Tales;

pub use server::serve;

/// What the handlers share.
#[derive(Clone, Debug)]
struct App {
    tales: Tales,
    registry: Arc<Registry>,
}

/// Every route: the tales, the health, the metrics, and the admin routes for
/// whoever has `admin_token`, or is on this machine where there is none.
///
/// Serve it with [`serve`], or with connect info otherwise.
///
/// # Errors
/// The token is too short.
pub fn router(tales: &Tales, admin_token: Option<Secret>) -> Result<Router, WeakToken> {
    let mut registry = Registry::default();
    tales.cache().register_metrics(&mut registry);
    let app = App {
        tales: tales.clone(),
        registry: Arc::new(registry),
    };
    let resources = Router::new()
        .merge(heroes::routes())
        .merge(children::routes())
        .merge(stories::routes())
        .route_layer(from_fn_with_state(guard::Places::new(), guard::limit));
    let admin = Admin::new(tales.cache().clone())
        .with_token(admin_token)?
        .with_repository(tales.heroes.clone())
        .with_repository(tales.children.clone())
        .with_repository(tales.stories.clone());
    Ok(Router::new()
        .merge(resources)
        .merge(health::routes())
        .merge(metrics::routes())
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(app)
        .merge(aside_admin::router(admin))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(from_fn(guard::outermost)))
}
