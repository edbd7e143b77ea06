//! `Debug` of a configuration, for logs.

use std::fmt;

use aside_redis::Secret;

use crate::config::CacheConfig;

impl fmt::Debug for CacheConfig {
    /// Prints everything except secrets.
    ///
    /// Not derived, because the user's name is a plain `String` and must not be
    /// printed. The struct is destructured so that a new field cannot be
    /// forgotten.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            redis_url,
            redis_username,
            redis_password,
            redis_password_file,
            redis_tls_ca: _,
            redis_tls_cert: _,
            redis_tls_key: _,
            redis_tls_server_name: _,
            redis_node_map,
            redis_sentinel_username: _,
            redis_sentinel_password: _,
            redis_sentinel_password_file: _,
            redis_history,
            redis_db,
            redis_enabled,
            redis_max_connections,
            redis_socket_timeout,
            operation_timeout,
            default_ttl: _,
            ttls: _,
            max_staleness: _,
            quarantine_ttl: _,
            lease_ttl: _,
            load_timeout: _,
            journal_poll: _,
            source_concurrency: _,
            max_value_bytes: _,
            compress_above_bytes: _,
            l1_capacity_bytes: _,
            namespace: _,
            hot_set: _,
            analytics: _,
            warm_up: _,
            warm_up_deadline: _,
            audit_share: _,
            heartbeat: _,
            instance_name: _,
            prefetch: _,
            prefetch_waste: _,
            prefetch_rows: _,
            prefetch_memory_bytes: _,
            analytics_keys: _,
            warnings: _,
        } = self;
        let mut shown = formatter.debug_struct("CacheConfig");
        self.add_tls_and_sentinels(&mut shown);
        shown
            .field("redis_url", redis_url)
            .field("redis_username", &hidden(redis_username))
            .field("redis_password", redis_password)
            .field("redis_password_file", redis_password_file)
            .field("redis_node_map", redis_node_map)
            .field("redis_history", redis_history)
            .field("redis_db", redis_db)
            .field("redis_enabled", redis_enabled)
            .field("redis_max_connections", redis_max_connections)
            .field("redis_socket_timeout", redis_socket_timeout)
            .field("operation_timeout", operation_timeout);
        self.add_times(&mut shown);
        self.add_values(&mut shown);
        self.add_insight_and_advance_reads(&mut shown);
        shown.finish()
    }
}

impl CacheConfig {
    fn add_tls_and_sentinels(&self, shown: &mut fmt::DebugStruct<'_, '_>) {
        shown
            .field("redis_tls_ca", &self.redis_tls_ca)
            .field("redis_tls_cert", &self.redis_tls_cert)
            .field("redis_tls_key", &self.redis_tls_key)
            .field("redis_tls_server_name", &self.redis_tls_server_name)
            .field(
                "redis_sentinel_username",
                &hidden(&self.redis_sentinel_username),
            )
            .field("redis_sentinel_password", &self.redis_sentinel_password)
            .field(
                "redis_sentinel_password_file",
                &self.redis_sentinel_password_file,
            );
    }

    fn add_times(&self, shown: &mut fmt::DebugStruct<'_, '_>) {
        shown
            .field("default_ttl", &self.default_ttl)
            .field("ttls", &self.ttls)
            .field("max_staleness", &self.max_staleness)
            .field("quarantine_ttl", &self.quarantine_ttl)
            .field("lease_ttl", &self.lease_ttl)
            .field("load_timeout", &self.load_timeout)
            .field("journal_poll", &self.journal_poll)
            .field("source_concurrency", &self.source_concurrency);
    }

    fn add_values(&self, shown: &mut fmt::DebugStruct<'_, '_>) {
        shown
            .field("max_value_bytes", &self.max_value_bytes)
            .field("compress_above_bytes", &self.compress_above_bytes)
            .field("l1_capacity_bytes", &self.l1_capacity_bytes)
            .field("namespace", &self.namespace);
    }

    fn add_insight_and_advance_reads(&self, shown: &mut fmt::DebugStruct<'_, '_>) {
        shown
            .field("hot_set", &self.hot_set)
            .field("analytics", &self.analytics)
            .field("warm_up", &self.warm_up)
            .field("warm_up_deadline", &self.warm_up_deadline)
            .field("audit_share", &self.audit_share)
            .field("heartbeat", &self.heartbeat)
            .field("instance_name", &self.instance_name)
            .field("prefetch", &self.prefetch)
            .field("prefetch_waste", &self.prefetch_waste)
            .field("prefetch_rows", &self.prefetch_rows)
            .field("prefetch_memory_bytes", &self.prefetch_memory_bytes)
            .field("analytics_keys", &self.analytics_keys);
    }
}

fn hidden(username: &Option<String>) -> Option<Secret> {
    username.as_ref().map(Secret::new)
}
