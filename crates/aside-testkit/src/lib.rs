//! Real servers for tests, and faults to inject into them.
//!
//! A cache must be judged by its behaviour under faults, and a mock only fails
//! in the modes that its author imagined. This crate starts the real server,
//! kills it, freezes it and cuts its connections.
//!
//! - [`RedisServer`]: a private Redis or Valkey for every test, on a free port.
//!   Tests can kill, restart and stop it, and count the commands it received.
//! - [`RedisCluster`] and [`RedisSentinel`]: several of them, with failovers and
//!   slots that migrate in single steps. [`Authority`] issues certificates for
//!   servers with TLS, and [`servers`] finds the versions on this machine.
//! - [`PostgresServer`]: a private PostgreSQL cluster, ready in a fraction of a
//!   second, with the same faults and with databases on request.
//! - [`MariaDbServer`]: a private MariaDB, for tests of services on MySQL.
//! - [`Proxy`]: a TCP proxy for any server that delays, swallows, stalls, cuts
//!   or resets, each direction separately.
//! - [`FakeServer`]: a listener at a server's address that is not that server, or
//!   lacks a feature of it.
//! - [`history`]: records the results of readers and writers, and proves that
//!   no result was older than promised, or finds the one that was.
//! - [`eventually`]: waits for a condition instead of sleeping for a guess.
//! - `Browser` (feature `browser`): a headless Chromium, for tests of pages.
//! - `check_entity` (feature `entity`): checks that a type meets the
//!   requirements of a cached row.
//!
//! Every server ends with the process that started it, even if that process is
//! killed. The programs come from the system; a missing program is a
//! [`StartError`] that names the package. Without features this crate does
//! not depend on aside. It serves any test, on Linux and macOS, that needs
//! these servers.
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

mod port;
mod process;
mod directory;
mod template;

mod certificates;
pub use certificates::{Authority, Certificate};

mod redis;
pub use redis::{
    ClusterOptions, Failover, RedisCluster, RedisOptions, RedisSentinel, RedisServer, RedisTls,
    Reply, SentinelOptions, SlotMigration,
};

pub mod servers;

mod postgres;
pub use postgres::{PostgresOptions, PostgresServer, Rows};

mod mariadb;
pub use mariadb::MariaDbServer;

mod proxy;
pub use proxy::{Direction, Mode, Proxy, ProxyCounts};

mod fake_server;
pub use fake_server::{Behavior, FakeServer, Feature};

#[cfg(feature = "browser")]
pub mod browser;

pub mod history;

#[cfg(feature = "entity")]
mod strict;
#[cfg(feature = "entity")]
pub use strict::strict;

#[cfg(feature = "entity")]
mod entity;
#[cfg(feature = "entity")]
pub use entity::{EntityProblem, EntityProblems, check_entity, check_entity_with};
