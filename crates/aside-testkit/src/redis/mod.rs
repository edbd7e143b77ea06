//! Private Redis or Valkey servers for one test.

mod resp;
mod options;
mod launch;
mod server;

pub(crate) use self::launch::on_path;
pub use self::options::{RedisOptions, RedisTls};
pub use self::resp::Reply;
pub use self::server::RedisServer;
