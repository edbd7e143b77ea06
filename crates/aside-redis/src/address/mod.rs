//! Addresses of Redis: the forms of its URL.
//!
//! | form | meaning |
//! |---|---|
//! | `redis://[user[:password]@]host[:port][/db]` | one server, by default on port 6379 |
//! | `rediss://...` | the same over TLS |
//! | `unix:///path[?db=N&user=U&pass=P]`, `redis+unix://` | one server on a Unix socket |
//! | `redis+cluster://[user[:password]@]h1:p1,h2:p2` | a Redis Cluster, by some of its nodes, by default on port 6379 |
//! | `redis+sentinel://[user[:password]@]h1:p1,h2:p2/service[/db]` | the primary that Sentinels report, by default on port 26379 |
//! | `rediss+cluster://...`, `rediss+sentinel://...` | the same over TLS |
//! | `memory://`, `memory://NAME` | no server: this process alone |
//!
//! User, password and path are percent-encoded. Nothing is ignored: a part that
//! other libraries interpret (`?ssl_cert_reqs=none`, `#insecure`) is refused,
//! because the operator would expect it to work.

mod error;
mod parts;

use std::fmt;
use std::path::PathBuf;

pub use self::error::UrlError;
use self::parts::{
    db, decode, host_and_port, is_name, secret, user_and_password, user_and_place, without_query,
};
use crate::secret::Secret;

/// A server to connect to, and the user to connect as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where it is.
    pub address: Address,
    /// The user; `None` for the user `default`.
    pub username: Option<Secret>,
    /// The password, if the URL has one.
    pub password: Option<Secret>,
    /// The database; `None` if the URL names none, which means 0.
    pub db: Option<u32>,
}

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Over TCP, unencrypted.
    Tcp {
        /// A name, or an IP address without brackets.
        host: String,
        /// Its port.
        port: u16,
    },
    /// Over TLS.
    Tls {
        /// The name in the server's certificate, or an IP address.
        host: String,
        /// Its port.
        port: u16,
    },
    /// Behind a unix socket at this path.
    Unix(PathBuf),
    /// A Redis Cluster.
    Cluster {
        /// Hosts and ports of some of its nodes.
        nodes: Vec<(String, u16)>,
        /// True if all nodes are reached over TLS.
        tls: bool,
    },
    /// The primary that Sentinels name.
    Sentinel {
        /// Hosts and ports of some Sentinels.
        sentinels: Vec<(String, u16)>,
        /// The name of the primary among them.
        service: String,
        /// True if Sentinels and primary are reached over TLS.
        tls: bool,
    },
    /// No server: a store inside the process. Stores of one name are shared.
    Memory(Option<String>),
}

impl Address {
    /// Returns true if its connections use TLS.
    #[must_use]
    pub fn is_over_tls(&self) -> bool {
        match self {
            Self::Tls { .. } => true,
            Self::Cluster { tls, .. } | Self::Sentinel { tls, .. } => *tls,
            Self::Tcp { .. } | Self::Unix(_) | Self::Memory(_) => false,
        }
    }
}

/// Host and port, or the path; never a user or a password.
impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |places: &[(String, u16)]| {
            let places = places.iter().map(|(host, port)| place(host, *port));
            places.collect::<Vec<_>>().join(",")
        };
        match self {
            Self::Tcp { host, port } | Self::Tls { host, port } => {
                formatter.write_str(&place(host, *port))
            }
            Self::Unix(path) => write!(formatter, "{}", path.display()),
            Self::Cluster { nodes, .. } => write!(formatter, "the cluster of {}", all(nodes)),
            Self::Sentinel {
                sentinels, service, ..
            } => write!(formatter, "{service} of the Sentinels {}", all(sentinels)),
            Self::Memory(name) => {
                write!(
                    formatter,
                    "memory://{}",
                    name.as_deref().unwrap_or_default()
                )
            }
        }
    }
}

fn place(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// The first rule that the URL breaks.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Form)?;
        // Other parsers silently drop some of these.
        if rest.contains(|character: char| character.is_whitespace() || character.is_control()) {
            return Err(UrlError::Space);
        }
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let scheme = scheme.to_ascii_lowercase();
        match scheme.as_str() {
            "redis" => Self::server(rest, |host, port| Address::Tcp { host, port }),
            "rediss" => Self::server(rest, |host, port| Address::Tls { host, port }),
            "unix" | "redis+unix" => Self::socket(rest),
            "redis+cluster" => Self::cluster(rest, false),
            "rediss+cluster" => Self::cluster(rest, true),
            "redis+sentinel" => Self::sentinel(rest, false),
            "rediss+sentinel" => Self::sentinel(rest, true),
            "memory" => Self::memory(rest),
            other if other.contains("cluster") => Err(UrlError::Cluster),
            other if other.contains("sentinel") => Err(UrlError::Sentinel),
            _ => Err(UrlError::Form),
        }
    }

    fn server(rest: &str, address: fn(String, u16) -> Address) -> Result<Self, UrlError> {
        let (authority, path) = without_query(rest)?;
        let (user, place) = user_and_place(authority);
        let (host, port) = host_and_port(place, 6379)?;
        let (username, password) = user_and_password(user.unwrap_or_default())?;
        Ok(Self {
            address: address(host, port),
            username,
            password,
            db: db(path)?,
        })
    }

    fn socket(rest: &str) -> Result<Self, UrlError> {
        if !rest.starts_with('/') {
            return Err(UrlError::Socket);
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = decode(path)?;
        if path.ends_with('/') || path.contains('\0') {
            return Err(UrlError::Socket);
        }
        let mut target = Self::at(Address::Unix(PathBuf::from(path)));
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            // Decoded like the rest of a URL, not like a form: a `+` in a
            // password stays a plus.
            let (name, value) = pair.split_once('=').ok_or(UrlError::SocketQuery)?;
            let repeated = match name {
                "db" => std::mem::replace(&mut target.db, db(value)?).is_some(),
                "user" | "username" => {
                    std::mem::replace(&mut target.username, secret(value)?).is_some()
                }
                "pass" | "password" => {
                    std::mem::replace(&mut target.password, secret(value)?).is_some()
                }
                _ => true,
            };
            if repeated {
                return Err(UrlError::SocketQuery);
            }
        }
        Ok(target)
    }

    fn cluster(rest: &str, tls: bool) -> Result<Self, UrlError> {
        let (authority, path) = without_query(rest)?;
        let address = |nodes| Address::Cluster { nodes, tls };
        let target = Self::nodes(authority, 6379, address)?;
        match db(path)? {
            None | Some(0) => Ok(target),
            Some(_) => Err(UrlError::ClusterDb),
        }
    }

    fn sentinel(rest: &str, tls: bool) -> Result<Self, UrlError> {
        let (authority, path) = without_query(rest)?;
        let (name, number) = path.split_once('/').unwrap_or((path, ""));
        let service = decode(name)?;
        let address = |sentinels| Address::Sentinel {
            sentinels,
            service,
            tls,
        };
        let target = Self::nodes(authority, 26379, address)?;
        // The nodes first, because without them the name is probably one.
        if name.is_empty() {
            return Err(UrlError::Service);
        }
        Ok(Self {
            db: db(number)?,
            ..target
        })
    }

    fn memory(rest: &str) -> Result<Self, UrlError> {
        let name = rest.strip_suffix('/').unwrap_or(rest);
        if name.is_empty() {
            return Ok(Self::at(Address::Memory(None)));
        }
        if !is_name(name) {
            return Err(UrlError::Memory);
        }
        Ok(Self::at(Address::Memory(Some(name.to_owned()))))
    }

    /// Parses `[user[:password]@]h1,h2`.
    ///
    /// User and password stand before the first node, and may be repeated before
    /// others. Different ones are refused, because all nodes have the same users.
    fn nodes(
        authority: &str,
        default_port: u16,
        address: impl FnOnce(Vec<(String, u16)>) -> Address,
    ) -> Result<Self, UrlError> {
        let split: Vec<_> = authority.split(',').map(user_and_place).collect();
        let user = split.first().and_then(|(user, _)| *user);
        if split
            .iter()
            .any(|(other, _)| other.is_some() && *other != user)
        {
            return Err(UrlError::Users);
        }
        let place = |(_, place): (Option<&str>, &str)| host_and_port(place, default_port);
        let nodes = split.into_iter().map(place).collect::<Result<_, _>>()?;
        let (username, password) = user_and_password(user.unwrap_or_default())?;
        Ok(Self {
            username,
            password,
            ..Self::at(address(nodes))
        })
    }

    fn at(address: Address) -> Self {
        Self {
            address,
            username: None,
            password: None,
            db: None,
        }
    }
}

#[cfg(test)]
mod tests;
