//! Real servers for tests, and the faults to put them to.
//!
//! A cache is only as good as its behaviour on a bad day, and a bad day cannot
//! be mocked: a mock fails the way its author imagined. This crate starts the
//! real thing, kills it, freezes it and cuts its connections.
//!
//! - [`RedisServer`]: a Redis or Valkey of its own for every test, on a free
//!   port, that can be killed, restarted, stopped and asked what it was asked.
//! - [`eventually`]: waits for a condition instead of sleeping for a guess.
//!
//! Every server ends with the process that started it, however that ends.
//! Nothing here knows aside; it serves any test that needs these servers.

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
