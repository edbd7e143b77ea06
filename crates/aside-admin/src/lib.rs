//! An axum router to look into and correct a live [`aside`] cache.
//!
//! ```
//! use aside::{CacheService, Secret};
//! use aside_admin::{Access, Admin, router};
//!
//! # fn app(cache: CacheService, token: Secret) -> Result<axum::Router, aside_admin::WeakToken> {
//! // The token comes from ADMIN_TOKEN, say; it has at least 16 bytes.
//! let admin = Admin::new(cache, Access::token(token)?);
//! let app = axum::Router::new().merge(router(admin));
//! # Ok(app)
//! # }
//! ```
//!
//! Without a token, serve them on a listener of their own, at a loopback
//! address that no proxy forwards to:
//!
//! ```
//! # use aside::CacheService;
//! # use aside_admin::{Access, Admin, router};
//! # use std::net::SocketAddr;
//! # async fn serve(cache: CacheService) -> std::io::Result<()> {
//! let admin = router(Admin::new(cache, Access::local_only()));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:9090").await?;
//! axum::serve(listener, admin.into_make_service_with_connect_info::<SocketAddr>()).await
//! # }
//! ```
//!
//! | route | answer |
//! |---|---|
//! | `GET /cache/stats` | the counters of each kind and of the service, and its health |
//! | `GET /cache/explain?key=` | what one key, as it stands in Redis, holds, and why it is or is not read |
//! | `GET /cache/keys` | how many keys of each kind Redis holds; they are counted at most every 30 s |
//! | `DELETE /cache/{kind}` | everything of a kind is forgotten |
//! | `DELETE /cache/{kind}/{id}` | one row is forgotten; lists that hold it are not |
//! | `DELETE /cache/{kind}?{field}={value}` | one list is forgotten; all fields of one index, in any order |
//! | `GET /cache/events` | what is made to be forgotten from now on, as server-sent events |
//! | `POST /cache/warm` | the kinds named in `{"kinds": [...]}`, or all that can be, are read through the cache |
//!
//! The `DELETE`s answer `{"invalidated": n, "pending": false}`: how many keys
//! Redis has forgotten, and whether it could not be reached and will forget
//! when it can. Ids and values are plain texts, as JSON writes a string, a
//! number or a boolean. An id or value of several parts has no plain text:
//! forget its kind.
//!
//! The events are `forgotten` with `{"kind": "hero", "key": "hero:1"}`, without
//! a key for a kind as a whole, and without both for words of a newer version;
//! and `missed` with `{"count": n}`, where a client reads too slowly to be told
//! of all. They end when the cache is closed, so close it before waiting for
//! the last connection of a server.
//!
//! Errors are `application/problem+json` and tell nothing of the inside.
//!
//! # Which requests are answered
//! [`Access`] says it: those with a token, those that are made on this machine
//! directly, those that come through a Unix socket, or none. The others get 401
//! or 403.

mod access;
mod admin;
mod events;
mod explain;
mod forget;
mod keys;
mod problem;
mod query;
mod router;
mod stats;
mod warm;

pub use access::{Access, WeakToken};
pub use admin::Admin;
pub use router::router;
pub use warm::{Progress, WarmUpFailed};
