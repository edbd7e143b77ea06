//! Addresses of Redis: the forms of its URL.
//!
//! | form | meaning |
//! |---|---|
//! | `redis://[user[:password]@]host[:port][/db]` | one server, by default on port 6379 |
//! | `rediss://...` | the same over TLS |
//! | `unix:///path[?db=N&user=U&pass=P]`, `redis+unix://` | one server on a Unix socket |
//! | `redis+cluster://h1:p1,h2:p2` | a Redis Cluster, by some of its nodes |
//! | `redis+sentinel://h1:p1,h2:p2/service[/db]` | the primary that Sentinels report |
//! | `memory://`, `memory://NAME` | no server: this process alone |
//!
//! User, password and path are percent-encoded. Nothing is ignored: a part that
//! other libraries interpret (`?ssl_cert_reqs=none`, `#insecure`) is refused,
//! because the operator would expect it to work.

mod error;

use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

pub use self::error::UrlError;
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
    /// A Redis Cluster, by hosts and ports of some of its nodes.
    Cluster(Vec<(String, u16)>),
    /// The primary that Sentinels name.
    Sentinel {
        /// Hosts and ports of some Sentinels.
        sentinels: Vec<(String, u16)>,
        /// The name of the primary among them.
        service: String,
    },
    /// No server: a store inside the process. Stores of one name are shared.
    Memory(Option<String>),
}

/// The highest database number that Redis accepts.
const MAX_DB: u32 = 2_147_483_647;

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// The first rule that the URL breaks.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Form)?;
        // The URL parser would silently drop some of these.
        if rest.contains(|character: char| character.is_whitespace() || character.is_control()) {
            return Err(UrlError::Space);
        }
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        match scheme.to_ascii_lowercase().as_str() {
            "redis" => Self::server(rest, |host, port| Address::Tcp { host, port }),
            "rediss" => Self::server(rest, |host, port| Address::Tls { host, port }),
            "unix" | "redis+unix" => Self::socket(rest),
            "redis+cluster" => Self::cluster(rest),
            "redis+sentinel" => Self::sentinel(rest),
            "memory" => Self::memory(rest),
            _ => Err(UrlError::Form),
        }
    }

    fn server(rest: &str, address: fn(String, u16) -> Address) -> Result<Self, UrlError> {
        let url = parse(rest)?;
        if url.query().is_some() {
            return Err(UrlError::Query);
        }
        Ok(Self {
            address: address(host(&url)?, port(&url, 6379)?),
            username: secret(url.username())?,
            password: secret(url.password().unwrap_or_default())?,
            db: db(url.path().strip_prefix('/').unwrap_or_default())?,
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

    fn cluster(rest: &str) -> Result<Self, UrlError> {
        let (target, path) = Self::nodes(rest, 6379, Address::Cluster)?;
        match db(path)? {
            None | Some(0) => Ok(target),
            Some(_) => Err(UrlError::ClusterDb),
        }
    }

    fn sentinel(rest: &str) -> Result<Self, UrlError> {
        let (target, path) = Self::nodes(rest, 26379, |sentinels| Address::Sentinel {
            sentinels,
            service: String::new(),
        })?;
        let (name, number) = path.split_once('/').unwrap_or((path, ""));
        let name = decode(name)?;
        let Address::Sentinel { sentinels, .. } = target.address else {
            return Err(UrlError::Service);
        };
        if name.is_empty() {
            return Err(UrlError::Service);
        }
        Ok(Self {
            address: Address::Sentinel {
                sentinels,
                service: name,
            },
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

    /// Parses `[user[:password]@]h1,h2`, which the URL parser does not support,
    /// and returns the rest after the slash.
    fn nodes(
        rest: &str,
        default_port: u16,
        address: fn(Vec<(String, u16)>) -> Address,
    ) -> Result<(Self, &str), UrlError> {
        if rest.contains('?') {
            return Err(UrlError::Query);
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let nodes = hosts
            .split(',')
            .map(|node| {
                let url = parse(node)?;
                Ok((host(&url)?, port(&url, default_port)?))
            })
            .collect::<Result<Vec<_>, UrlError>>()?;
        let (username, password) = user.split_once(':').unwrap_or((user, ""));
        let target = Self {
            username: secret(username)?,
            password: secret(password)?,
            ..Self::at(address(nodes))
        };
        Ok((target, path))
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

/// Parses the part after the scheme as a `redis://` URL, because all forms
/// share its syntax.
fn parse(rest: &str) -> Result<Url, UrlError> {
    Url::parse(&format!("redis://{rest}")).map_err(|error| match error {
        url::ParseError::EmptyHost
        | url::ParseError::InvalidIpv6Address
        | url::ParseError::InvalidDomainCharacter => UrlError::Host,
        url::ParseError::InvalidPort => UrlError::Port,
        _ => UrlError::Shape,
    })
}

fn host(url: &Url) -> Result<String, UrlError> {
    match url.host() {
        Some(Host::Domain(name)) if is_name(name) => Ok(name.to_owned()),
        Some(Host::Ipv4(address)) => Ok(address.to_string()),
        Some(Host::Ipv6(address)) => Ok(address.to_string()),
        Some(Host::Domain(_)) | None => Err(UrlError::Host),
    }
}

fn port(url: &Url, default: u16) -> Result<u16, UrlError> {
    match url.port() {
        None => Ok(default),
        Some(0) => Err(UrlError::Port),
        Some(port) => Ok(port),
    }
}

fn db(text: &str) -> Result<Option<u32>, UrlError> {
    if text.is_empty() {
        return Ok(None);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UrlError::Db);
    }
    match text.parse() {
        Ok(number) if number <= MAX_DB => Ok(Some(number)),
        _ => Err(UrlError::Db),
    }
}

/// Decodes a percent-encoded secret; an empty one is `None`.
fn secret(text: &str) -> Result<Option<Secret>, UrlError> {
    let text = decode(text)?;
    Ok((!text.is_empty()).then(|| Secret::new(text)))
}

fn decode(text: &str) -> Result<String, UrlError> {
    percent_decode_str(text)
        .decode_utf8()
        .map(String::from)
        .map_err(|_| UrlError::Encoding)
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

#[cfg(test)]
mod tests;
