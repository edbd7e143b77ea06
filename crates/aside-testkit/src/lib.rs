//! Real servers for tests, and the faults to put them to.
//!
//! A cache is only as good as its behaviour on a bad day, and a bad day cannot
//! be mocked: a mock fails the way its author imagined. This crate starts the
//! real thing, kills it, freezes it and cuts its connections.
//!
//! - [`RedisServer`]: a Redis or Valkey of its own for every test, on a free
//!   port, that can be killed, restarted, stopped and asked what it was asked.
//! - [`PostgresServer`]: a PostgreSQL cluster of its own, ready in a fraction of
//!   a second, with the same faults and with databases for the asking.
//! - [`Proxy`]: stands before any server and delays, swallows, stalls, cuts or
//!   resets, each direction by itself.
//! - [`Impostor`]: listens where a server should be and is none.
//! - [`history`]: records what readers and writers saw, and proves that no
//!   answer was older than promised, or finds the one that was.
//! - [`eventually`]: waits for a condition instead of sleeping for a guess.
//! - `check_entity` (feature `entity`): checks that a type of yours fulfils what
//!   a cached row must.
//!
//! Every server ends with the process that started it, however that ends. The
//! programs come from the system; a missing one is a [`StartError`] that names
//! the package. Without the feature nothing here knows aside: it
//! serves any test, on Linux and macOS, that needs these servers.
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use aside_testkit::{Direction, Mode, Proxy, RedisServer};
//!
//! let redis = RedisServer::start()?;
//! let proxy = Proxy::start(redis.address()).await?;
//! let url = format!("redis://{}/0", proxy.address()); // for the code under test
//!
//! proxy.set(Direction::ToClient, Mode::Blackhole); // replies get lost
//! redis.reset_stats();
//! // ... and now the code under test must degrade as it promised.
//! assert!(redis.calls("get") <= 1);
//! # Ok(()) }
//! ```

mod wait;
pub use wait::{Outcome, eventually, eventually_blocking};

mod error;
pub use error::StartError;

mod directory;
mod port;
mod process;

mod redis;
pub use redis::{RedisOptions, RedisServer, Reply};

mod postgres;
pub use postgres::{PostgresOptions, PostgresServer, Rows};

mod proxy;
pub use proxy::{Direction, Mode, Proxy, ProxyCounts};

mod impostor;
pub use impostor::{Conduct, Impostor};

pub mod history;

#[cfg(feature = "entity")]
mod entity;
#[cfg(feature = "entity")]
pub use entity::{EntityProblem, EntityProblems, check_entity};
