//! The usual first cache-aside: GET, on a miss load and SETEX; write, then DEL.
//! Redis's guide for Rust shows the same.

use aside_testkit::history::PendingWrite;
use redis::aio::MultiplexedConnection;

use super::TTL;
use super::database::Database;
use super::workload::{Node, Refused};
use crate::error::Wrong;

pub(super) struct ByHand {
    database: Database,
    redis: MultiplexedConnection,
}

impl ByHand {
    pub(super) async fn connect(database: &Database, url: &str) -> Result<Self, Wrong> {
        let wrong = |error: redis::RedisError| Wrong(error.to_string());
        let client = redis::Client::open(url).map_err(wrong)?;
        let redis = client.get_multiplexed_async_connection().await;
        Ok(Self {
            database: database.clone(),
            redis: redis.map_err(wrong)?,
        })
    }

    async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, Refused> {
        let answer = command.query_async(&mut self.redis.clone()).await;
        answer.map_err(|error| Refused(error.to_string()))
    }
}

impl Node for ByHand {
    async fn read(&self, key: u64) -> Result<u64, Refused> {
        let name = format!("row:{key}");
        if let Some(version) = self.ask(redis::cmd("GET").arg(&name)).await? {
            return Ok(version);
        }
        let version = self.database.read(key).await;
        let mut fill = redis::cmd("SETEX");
        fill.arg(&name).arg(TTL.as_secs()).arg(version);
        self.ask::<()>(&fill).await?;
        Ok(version)
    }

    async fn write(&self, key: u64, write: &PendingWrite) -> Result<(), Refused> {
        self.database.update(key, write).await;
        self.ask(redis::cmd("DEL").arg(format!("row:{key}"))).await
    }
}
