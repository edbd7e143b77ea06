//! Private Redis or Valkey servers for one test: a single one, a cluster, and a
//! primary under Sentinels.

mod resp;
mod options;
mod launch;
mod server;
mod cluster;
mod sentinel;

pub use self::cluster::{ClusterOptions, Failover, RedisCluster, SlotMigration};
pub(crate) use self::launch::on_path;
pub use self::options::{RedisOptions, RedisTls};
pub use self::resp::Reply;
pub use self::sentinel::{RedisSentinel, SentinelOptions};
pub use self::server::RedisServer;
