//! Private Redis or Valkey servers for one test: a single one, and a cluster.

mod resp;
mod options;
mod launch;
mod server;
mod cluster;

pub use self::cluster::{ClusterOptions, Failover, RedisCluster, SlotMigration};
pub(crate) use self::launch::on_path;
pub use self::options::{RedisOptions, RedisTls};
pub use self::resp::Reply;
pub use self::server::RedisServer;
