//! The HTTP API.
//!
//! Each resource has a file with its filters and its own routes. The routes that
//! all have are in `resource.rs`. Bodies, queries, preconditions and responses
//! are handled once, in the other files. Only `problem.rs` maps
//! errors to statuses.

mod health;
mod limits;
mod problem;
mod guard;
mod id;
mod metrics;
mod query;
mod paging;
mod room;
mod body;
mod listing;
mod seats;
mod patience;
mod connection;
mod server;
mod tags;
mod precondition;
mod change;
mod writing;
mod reply;
mod resource;
mod children;
mod heroes;
mod stories;

use std::sync::Arc;

use aside_admin::{Access, Admin};
use axum::Router;
use axum::middleware::from_fn;
use prometheus_client::registry::Registry;
use tower_http::catch_panic::CatchPanicLayer;

use self::listing::Lists;
use self::room::Room;
use crate::Tales;
use crate::sql::{SqlChildren, SqlHeroes, SqlStories};
use crate::strategies::{ChildCacheStrategy, HeroCacheStrategy, StoryCacheStrategy};

pub use limits::Limits;
pub use server::serve;

/// State shared by the handlers.
#[derive(Clone, Debug)]
struct App {
    tales: Tales,
    heroes: Lists<SqlHeroes>,
    children: Lists<SqlChildren>,
    stories: Lists<SqlStories>,
    room: Room,
    registry: Arc<Registry>,
}

/// Returns every route: the tales, the health, the metrics, and the admin
/// routes for the requests that `access` permits.
///
/// Serve it with [`serve`], or otherwise with connect info.
pub fn router(tales: &Tales, access: Access) -> Router {
    let mut registry = Registry::default();
    let cache = tales.cache();
    cache.register_metrics(&mut registry);
    let app = App {
        tales: tales.clone(),
        heroes: Lists::new(tales.heroes.source().clone(), &HeroCacheStrategy, cache),
        children: Lists::new(tales.children.source().clone(), &ChildCacheStrategy, cache),
        stories: Lists::new(tales.stories.source().clone(), &StoryCacheStrategy, cache),
        room: Room::new(),
        registry: Arc::new(registry),
    };
    let resources = Router::new()
        .merge(heroes::routes())
        .merge(children::routes())
        .merge(stories::routes())
        .route_layer(from_fn(guard::limit));
    let routes = Router::new()
        .merge(resources)
        .merge(health::routes())
        .merge(metrics::routes())
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(app);
    guarded(routes.merge(admin_routes(tales, access)))
}

/// Returns only the admin routes, for a separate listener.
///
/// Serve it with [`serve`], or otherwise with connect info.
pub fn admin_router(tales: &Tales, access: Access) -> Router {
    guarded(admin_routes(tales, access).fallback(problem::no_such_route))
}

fn admin_routes(tales: &Tales, access: Access) -> Router {
    let admin = Admin::new(tales.cache().clone(), access)
        .with_repository(tales.heroes.clone())
        .with_repository(tales.children.clone())
        .with_repository(tales.stories.clone());
    aside_admin::router(admin)
}

fn guarded(routes: Router) -> Router {
    routes
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(from_fn(guard::outermost))
}
