//! A private primary with replicas, under Sentinels.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::options::{RedisOptions, Role, quote};
use super::resp::Reply;
use super::server::{RedisServer, url};
use crate::error::StartError;
use crate::wait::poll_until;

/// How long the Sentinels may take to find the replicas and each other. They
/// look for replicas every ten seconds.
const FIND_WITHIN: Duration = Duration::from_secs(40);

/// Settings of a [`RedisSentinel`].
#[derive(Clone, Debug)]
pub struct SentinelOptions {
    /// The number of replicas. Default: 2.
    pub replicas: usize,
    /// The number of Sentinels. Default: 3.
    pub sentinels: usize,
    /// The name of the primary among the Sentinels. Default: `main`.
    pub service: String,
    /// How long the primary must be silent before the Sentinels vote. Default: a
    /// second.
    pub down_after: Duration,
    /// The password of the Sentinels themselves. Default: none.
    pub sentinel_password: Option<String>,
    /// More lines of the Sentinels' configuration file, for example `sentinel
    /// failover-timeout main 60000`.
    pub sentinel_config: Vec<String>,
    /// Settings of primary and replicas; the Sentinels have the same program and
    /// TLS.
    pub server: RedisOptions,
}

impl Default for SentinelOptions {
    fn default() -> Self {
        Self {
            replicas: 2,
            sentinels: 3,
            service: "main".into(),
            down_after: Duration::from_secs(1),
            sentinel_password: None,
            sentinel_config: Vec::new(),
            server: RedisOptions::default(),
        }
    }
}

/// A private primary with replicas, and Sentinels that watch them.
///
/// [`RedisServer`] has the faults: `sentinel.servers()[0].kill()`. The servers
/// are numbered, first the primary; a server keeps its number when its role
/// changes.
///
/// ```no_run
/// use std::time::Duration;
/// use aside_testkit::{RedisSentinel, eventually_blocking};
///
/// let sentinel = RedisSentinel::start()?;
/// sentinel.servers()[0].kill();
/// eventually_blocking(Duration::from_secs(20), "a new primary", || {
///     sentinel.primary().is_some_and(|now| now != 0)
/// });
/// # Ok::<(), aside_testkit::StartError>(())
/// ```
#[derive(Debug)]
pub struct RedisSentinel {
    // Sentinels end first, so that they start no failover while servers end.
    sentinels: Vec<RedisServer>,
    servers: Vec<RedisServer>,
    service: String,
}

impl RedisSentinel {
    /// Starts a primary, two replicas and three Sentinels, and waits until they
    /// know each other.
    ///
    /// # Errors
    ///
    /// [`StartError::Missing`] if neither Redis nor Valkey is installed.
    pub fn start() -> Result<Self, StartError> {
        Self::start_with(SentinelOptions::default())
    }

    /// Starts servers and Sentinels with these settings, and waits until they
    /// know each other.
    ///
    /// # Errors
    ///
    /// [`StartError::Missing`] if neither Redis nor Valkey is installed,
    /// [`StartError::Failed`] if one refuses its settings or they do not find
    /// each other.
    pub fn start_with(options: SentinelOptions) -> Result<Self, StartError> {
        let primary = RedisServer::start_with(options.server.clone())?;
        let mut replica = options.server.clone();
        let follows = format!("replicaof 127.0.0.1 {}", primary.port());
        replica.config.push(follows);
        let sentinel = options.of_a_sentinel(primary.port());

        let mut servers = vec![primary];
        for _ in 0..options.replicas {
            servers.push(RedisServer::start_with(replica.clone())?);
        }
        // Sentinels look for replicas when they start and then every ten seconds.
        let attached = poll_until(FIND_WITHIN, || all_attached(&servers));
        attached.map_err(|reason| servers[0].failed(reason))?;
        let sentinels = (0..options.sentinels)
            .map(|_| RedisServer::start_as(Role::Sentinel, sentinel.clone()))
            .collect::<Result<_, _>>()?;
        let group = Self {
            sentinels,
            servers,
            service: options.service,
        };
        let found = poll_until(FIND_WITHIN, || group.all_found());
        found.map_err(|reason| group.servers[0].failed(reason))?;
        Ok(group)
    }

    /// Returns the URL that names every Sentinel. It has the password of the
    /// servers.
    pub fn url(&self) -> String {
        let credentials = self.servers[0].credentials();
        let url = url(&self.sentinels, &credentials, "redis+sentinel");
        format!("{url}/{}", self.service)
    }

    /// Returns the name of the primary among the Sentinels.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Returns primary and replicas.
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// Returns the Sentinels.
    pub fn sentinels(&self) -> &[RedisServer] {
        &self.sentinels
    }

    /// Returns the server that a majority of all Sentinels names as the primary.
    pub fn primary(&self) -> Option<usize> {
        let mut named = BTreeMap::new();
        let running = self.sentinels.iter().filter(|it| it.is_running());
        for port in running.filter_map(|sentinel| self.named_by(sentinel)) {
            *named.entry(port).or_insert(0) += 1;
        }
        let (port, _) = named
            .into_iter()
            .find(|&(_, count)| self.sentinels.len() < 2 * count)?;
        self.servers.iter().position(|it| it.port() == port)
    }

    /// Returns the address of [`primary`](Self::primary).
    pub fn primary_address(&self) -> Option<SocketAddr> {
        Some(self.servers[self.primary()?].address())
    }

    /// Asks a running Sentinel to promote a replica; returns before it has.
    ///
    /// # Panics
    ///
    /// If no Sentinel is running, or it refuses.
    #[track_caller]
    pub fn failover(&self) {
        let mut running = self.sentinels.iter().filter(|it| it.is_running());
        let sentinel = running.next().expect("a running Sentinel");
        sentinel.expect_ok(&["SENTINEL", "FAILOVER", &self.service]);
    }

    fn named_by(&self, sentinel: &RedisServer) -> Option<u16> {
        let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &self.service];
        match sentinel.try_command(&words).ok()? {
            Reply::Array(parts) => parts.get(1)?.text()?.parse().ok(),
            _ => None,
        }
    }

    /// Succeeds if every Sentinel knows all replicas and all other Sentinels.
    fn all_found(&self) -> Result<(), String> {
        for sentinel in &self.sentinels {
            let words = ["SENTINEL", "MASTER", &self.service];
            let reply = sentinel.try_command(&words);
            let Ok(Reply::Array(parts)) = &reply else {
                return Err(format!("{reply:?}"));
            };
            let expected = [
                ("flags", "master".to_owned()),
                ("num-slaves", (self.servers.len() - 1).to_string()),
                (
                    "num-other-sentinels",
                    (self.sentinels.len() - 1).to_string(),
                ),
            ];
            for (name, value) in expected {
                let mut pairs = parts.chunks(2);
                let pair = pairs.find(|pair| pair[0].text() == Some(name));
                let found = pair.and_then(|pair| pair.get(1)?.text());
                if found != Some(&value) {
                    return Err(format!("a Sentinel says {name}={found:?}, not {value}"));
                }
            }
        }
        Ok(())
    }
}

impl SentinelOptions {
    /// Returns the settings of a Sentinel that watches the primary on this port.
    fn of_a_sentinel(&self, port: u16) -> RedisOptions {
        let name = &self.service;
        let quorum = self.sentinels / 2 + 1;
        let millis = self.down_after.as_millis();
        let mut config = vec![
            format!("sentinel monitor {name} 127.0.0.1 {port} {quorum}"),
            format!("sentinel down-after-milliseconds {name} {millis}"),
            // The default of three minutes is also the pause between failovers.
            format!("sentinel failover-timeout {name} {}", 5 * millis),
        ];
        if let Some(password) = &self.server.password {
            config.push(format!("sentinel auth-pass {name} {}", quote(password)));
        }
        config.extend(self.sentinel_config.iter().cloned());
        RedisOptions {
            password: self.sentinel_password.clone(),
            tls: self.server.tls.clone(),
            program: self.server.program.clone(),
            config,
            ..RedisOptions::default()
        }
    }
}

fn all_attached(servers: &[RedisServer]) -> Result<(), String> {
    for replica in &servers[1..] {
        let reply = replica.try_command(&["INFO", "replication"]);
        let attached = reply.as_ref().ok().and_then(Reply::text);
        if !attached.is_some_and(|text| text.contains("master_link_status:up")) {
            return Err(format!("a replica is not connected: {reply:?}"));
        }
    }
    Ok(())
}
