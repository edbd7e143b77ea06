//! An axum router to inspect and correct a live [`aside`] cache.
//!
//! ```
//! use aside::{CacheService, Secret};
//! use aside_admin::{Access, Admin, router};
//!
//! # fn app(cache: CacheService, token: Secret) -> Result<axum::Router, aside_admin::WeakToken> {
//! // The token comes from ADMIN_TOKEN, for example; it has at least 16 bytes.
//! let admin = Admin::new(cache, Access::token(token)?);
//! let app = axum::Router::new().merge(router(admin));
//! # Ok(app)
//! # }
//! ```
//!
//! Without a token, serve them on a separate listener, at a loopback address
//! that no proxy forwards to:
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
//! | route | effect or response |
//! |---|---|
//! | `GET /cache/stats` | the counters of each kind and of the service, and its health |
//! | `GET /cache/explain?key=` | the contents of one key, as named in Redis, and why it is or is not read |
//! | `GET /cache/explain?kind=&id=`, `?kind=&{field}=` | the same for one row, or one list |
//! | `GET /cache/prefetch` | whether rows are fetched before they are read, and how many of them were read |
//! | `PUT /cache/prefetch` | switches that: `{"state":"auto"}`, `names` or `off` |
//! | `GET /cache/curve?pool=` | the hit ratio of local `rows` or `lists` with another `CACHE_L1_CAPACITY` |
//! | `GET /cache/hot?kind=&limit=` | the keys that this instance reads most often, by a sample of its reads; at most 128, 20 by default |
//! | `GET /cache/advice` | at most ten changes that would pay, each with its gain and its evidence |
//! | `GET /cache/history?range=` | the counters in steps of 1 s for `5m`, or of 15 s for `1h`, with percentiles of times |
//! | `GET /cache/dashboard` | a page that shows all of this, for a browser |
//! | `GET /cache/keys` | the number of keys of each kind in Redis, counted at most every 30 s |
//! | `GET /cache/fleet` | all instances that share this Redis, as they announced themselves, and the kinds that they cache |
//! | `POST /cache/invalidate` | counts the keys of a row with its lists, a list or a kind, and invalidates them |
//! | `DELETE /cache/{kind}` | invalidates a whole kind |
//! | `DELETE /cache/{kind}/{id}` | invalidates one row, but not the lists that contain it |
//! | `DELETE /cache/{kind}?{field}={value}` | invalidates one list; all fields of one index, in any order |
//! | `GET /cache/events` | the latest 100 invalidations, and a stream of those to come, as server-sent events |
//! | `POST /cache/warm` | reads the kinds named in `{"kinds": [...]}` through the cache, or all that can be; all rows, or those that instances held with `{"from": "hot"}` |
//!
//! The `DELETE`s return `{"invalidated": n, "at_least": false, "epoch": null,
//! "pending": false}`. `invalidated` is the number of keys that Redis deleted;
//! zero if there were none. A whole kind gets a new `epoch`: no value from
//! before it is served, even if `at_least` says that keys are still being
//! deleted. `pending` is true if Redis was unavailable and will be told later.
//! If caching is off in this instance, the answer is 409. Ids and values are
//! plain texts, as JSON writes a string, a number or a boolean. An id or value
//! of several parts has no plain text, so invalidate its kind.
//!
//! The `verdict` of an explanation is `served`, `bypassed` or the reason of a
//! miss, as in `aside_misses_total`; `header` and `required` show the
//! compared fields.
//!
//! `local` is the copy in this process, or null: its `verdict` is `served`,
//! `invalidated`, `forgotten` (the kind), `expired`, or `unproved`, if an invalidation
//! may have been missed; `proof_age_seconds` is the age of the proof that none was.
//! `next_read` is where the next read here ends: `local`, `prefetched`, `shared`,
//! `wait`, `load` or `source`.
//!
//! `POST /cache/invalidate` takes `{"kind": "hero", "id": "1", "with_lists": true}`,
//! or in place of `id` either `"index": {"language": "en"}` or `"all": true`; with
//! `"dry_run": true` nothing is invalidated. It returns `keys`, the number of keys in
//! Redis, `at_least`, the `names` of all keys that it concerns, `epoch` and `pending`.
//! `unknown_lists` is true if the row is not cached: its lists follow from its fields.
//!
//! `last` of an explanation has the latest events of the key in this instance, as
//! `{"event": "invalidation heard", "why": "write", "by": "0c5f..", "ago_ms": 1200}`.
//!
//! The events are `forgotten` with `{"kind": "hero", "key": "hero:1", "by":
//! "0c5f..", "own": true, "why": "write", "at": 1764373200417}`: the instance that
//! sent it (in `service.instance` of its statistics), if that is this one, its reason,
//! and the time at which it arrived here. The reason is `write`, `request`, `audit`,
//! `journal`, or null if the sender did not say. `?kind=` and `?why=` with reasons
//! separated by commas select events. For a whole kind, `key` is null. For a message of a
//! newer version, both are null, and the rest is missing.
//! At most 50 events are sent per second, then `missed` with `{"count": n, "reason":
//! "rate"}`, the number of the others. If a client reads too slowly, the reason is
//! `slow`. The stream ends when the cache is closed, so close
//! the cache before waiting for a server's last connection.
//!
//! Errors are `application/problem+json` and reveal no internals.
//!
//! # Access control
//! [`Access`] selects the requests that are served: those with a token, direct
//! ones from this machine, those through a Unix socket, or none. Other requests
//! get 401 or 403.

mod problem;
mod access;
mod query;
mod body;
mod warm_ups;
mod history;
mod admin;
mod routes;

pub use access::{Access, WeakToken};
pub use admin::Admin;
pub use routes::router;
pub use warm_ups::{Progress, WarmUpFailed};
