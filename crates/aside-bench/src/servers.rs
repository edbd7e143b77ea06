//! The private servers of a suite, which end with it.

use std::collections::BTreeSet;
use std::sync::Mutex;

use aside_testkit::{PostgresOptions, PostgresServer, RedisOptions, RedisServer};

use crate::error::Wrong;

/// The names and versions of the started servers, as they report them.
static STARTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// A Redis with this suite's configuration lines.
pub(crate) fn redis() -> Result<RedisServer, Wrong> {
    let server = RedisServer::start_with(RedisOptions::default());
    let server = server.map_err(|error| Wrong(error.to_string()))?;
    let info = server.info("server");
    // Valkey also names the version of Redis that it is compatible with.
    let name = ["valkey", "redis"].into_iter().find_map(|name| {
        let version = info.get(&format!("{name}_version"))?;
        Some(format!("{name}-server {version}"))
    });
    note(name.unwrap_or_else(|| "redis-server".to_owned()));
    Ok(server)
}

/// A PostgreSQL that keeps the measured rows in memory, like one on a dedicated
/// machine. Reading rows from files would flatter the cache.
pub(crate) fn postgres() -> Result<PostgresServer, Wrong> {
    let server = PostgresServer::start_with(PostgresOptions {
        config: vec!["shared_buffers=1GB".into(), "max_wal_size=2GB".into()],
        ..PostgresOptions::default()
    });
    let server = server.map_err(|error| Wrong(error.to_string()))?;
    let shown = server.query("postgres", "SHOW server_version");
    let version = shown.first().and_then(|row| row.first().cloned().flatten());
    note(format!("PostgreSQL {}", version.unwrap_or_default()));
    Ok(server)
}

/// Returns all servers that were started in this process.
pub(crate) fn started() -> Vec<String> {
    let started = STARTED.lock().expect("nothing panics under it");
    started.iter().cloned().collect()
}

fn note(name: String) {
    STARTED
        .lock()
        .expect("nothing panics under it")
        .insert(name);
}
