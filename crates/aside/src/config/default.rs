//! The defaults of a configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use aside_redis::{NodeMap, Secret};

use crate::config::CacheConfig;
use crate::config::history::RedisHistory;

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            redis_url: Secret::new("redis://localhost:6379/0"),
            redis_username: None,
            redis_password: None,
            redis_password_file: None,
            redis_tls_ca: None,
            redis_tls_cert: None,
            redis_tls_key: None,
            redis_tls_server_name: None,
            redis_node_map: NodeMap::default(),
            redis_sentinel_username: None,
            redis_sentinel_password: None,
            redis_sentinel_password_file: None,
            redis_history: RedisHistory::Replid,
            redis_db: None,
            redis_enabled: true,
            redis_max_connections: 10,
            redis_socket_timeout: Duration::from_secs(5),
            operation_timeout: Duration::from_millis(250),
            default_ttl: Duration::from_secs(3600),
            ttls: BTreeMap::new(),
            max_staleness: Duration::from_millis(500),
            quarantine_ttl: Duration::from_secs(30),
            lease_ttl: Duration::from_secs(3),
            load_timeout: Duration::from_secs(10),
            journal_poll: Duration::from_millis(500),
            source_concurrency: 64,
            max_value_bytes: 8 * 1024 * 1024,
            compress_above_bytes: None,
            l1_capacity_bytes: 64 * 1024 * 1024,
            namespace: String::new(),
            audit_share: 0.0,
        }
    }
}
