//! Settings of a private Redis.

use std::io;
use std::path::{Path, PathBuf};

use crate::certificates::{Authority, Certificate};
use crate::port::{free_pair, free_port};

/// The distance from a node's port to that of its bus.
///
/// Redis 6.2 knows no setting for it.
pub(super) const BUS_DISTANCE: u16 = 10_000;

/// Settings of a [`RedisServer`](crate::RedisServer).
///
/// ```no_run
/// use aside_testkit::{RedisOptions, RedisServer};
///
/// let redis = RedisServer::start_with(RedisOptions {
///     password: Some("secret".into()),
///     appendonly: true,
///     ..RedisOptions::default()
/// })?;
/// # Ok::<(), aside_testkit::StartError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    /// The password of the default user. Default: none.
    pub password: Option<String>,
    /// The memory limit. Default: none.
    pub maxmemory_bytes: Option<u64>,
    /// The policy at the memory limit, for example `allkeys-lru`. Default: that
    /// of the server, `noeviction`.
    pub maxmemory_policy: Option<String>,
    /// If true, every write is on disk before its reply, so that it survives
    /// [`RedisServer::kill`](crate::RedisServer::kill). Default: false; a
    /// restart loses everything.
    pub appendonly: bool,
    /// TLS on the server's TCP port, which then takes no other connections.
    /// Default: none.
    pub tls: Option<RedisTls>,
    /// More lines of the configuration file, for example `hz 100`.
    pub config: Vec<String>,
    /// The program to run. Default: `redis-server`, else `valkey-server`, from
    /// the `PATH`.
    pub program: Option<PathBuf>,
}

/// How a server presents itself over TLS, and which clients it takes.
#[derive(Clone, Debug)]
pub struct RedisTls {
    /// The authority that signed the clients' certificates, in PEM.
    pub authority: String,
    /// The certificate that the server shows.
    pub certificate: Certificate,
    /// If true, a client must show a certificate of the authority.
    pub client_certificates: bool,
}

impl RedisTls {
    /// Returns a server's TLS with a certificate for `localhost` and
    /// `127.0.0.1` that demands none of clients.
    pub fn new(authority: &Authority) -> Self {
        Self::with(authority, authority.issue(&["localhost", "127.0.0.1"]))
    }

    /// Returns a server's TLS with this certificate that demands none of
    /// clients.
    pub fn with(authority: &Authority, certificate: Certificate) -> Self {
        Self {
            authority: authority.pem().into(),
            certificate,
            client_certificates: false,
        }
    }
}

/// The role in which the program is started.
#[derive(Clone, Debug)]
pub(super) enum Role {
    /// One server, or a replica of one.
    Data,
    /// A node of a cluster, with its node timeout in milliseconds.
    Node(u128),
    /// A Sentinel.
    Sentinel,
}

impl Role {
    /// Returns a port for a server of this role.
    pub(super) fn free_port(&self) -> io::Result<u16> {
        match self {
            Self::Data | Self::Sentinel => free_port(),
            Self::Node(_) => free_pair(BUS_DISTANCE),
        }
    }
}

impl RedisOptions {
    /// Returns the lines of the configuration file.
    pub(super) fn lines(&self, role: &Role, directory: &Path, port: u16) -> Vec<String> {
        let at = directory.display();
        let mut lines = vec![
            "bind 127.0.0.1".into(),
            format!("unixsocket \"{at}/redis.sock\""),
            format!("dir \"{at}\""),
        ];
        match &self.tls {
            None => lines.push(format!("port {port}")),
            Some(tls) => lines.extend(tls.lines(directory, port)),
        }
        if let Some(password) = &self.password {
            lines.push(format!("requirepass {}", quote(password)));
        }
        match role {
            Role::Sentinel => {}
            Role::Data => lines.extend(self.data_lines()),
            Role::Node(timeout) => {
                lines.extend(self.data_lines());
                lines.push("cluster-enabled yes".into());
                lines.push(format!("cluster-node-timeout {timeout}"));
            }
        }
        lines.extend(self.config.iter().cloned());
        lines
    }

    fn data_lines(&self) -> Vec<String> {
        let mut lines = vec![
            "save \"\"".into(),
            // A replica that is still waiting for its first copy cannot be
            // promoted.
            "repl-diskless-sync-delay 0".into(),
        ];
        if self.appendonly {
            lines.extend(["appendonly yes".into(), "appendfsync always".into()]);
        }
        if let Some(password) = &self.password {
            lines.push(format!("masterauth {}", quote(password)));
        }
        if let Some(bytes) = self.maxmemory_bytes {
            lines.push(format!("maxmemory {bytes}"));
        }
        if let Some(policy) = &self.maxmemory_policy {
            lines.push(format!("maxmemory-policy {policy}"));
        }
        lines
    }
}

impl RedisTls {
    /// The name of the server's certificate in its directory.
    pub(super) const NAME: &str = "server";
    /// The file of the authority in the server's directory.
    pub(super) const AUTHORITY: &str = "authority.pem";

    fn lines(&self, directory: &Path, port: u16) -> Vec<String> {
        let [at, name] = [directory.display().to_string(), Self::NAME.into()];
        let clients = if self.client_certificates {
            "yes"
        } else {
            "no"
        };
        vec![
            "port 0".into(),
            format!("tls-port {port}"),
            format!("tls-cert-file \"{at}/{name}.pem\""),
            format!("tls-key-file \"{at}/{name}.key\""),
            format!("tls-ca-cert-file \"{at}/{}\"", Self::AUTHORITY),
            format!("tls-auth-clients {clients}"),
            "tls-replication yes".into(),
            "tls-cluster yes".into(),
        ]
    }
}

/// Quotes a value of the configuration file; it may contain any bytes.
pub(super) fn quote(value: &str) -> String {
    let escaped: String = value.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
    format!("\"{escaped}\"")
}
