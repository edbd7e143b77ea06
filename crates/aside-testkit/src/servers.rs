//! The servers that people run, and which of them are on this machine.
//!
//! Versions differ, and a test on one of them says nothing about the others.
//! Programs come from the `PATH` and from the folder that `scripts/servers`
//! fills: `$ASIDE_SERVERS`, by default `~/.cache/aside/servers`. A test skips a
//! missing server and prints its name.
//!
//! ```no_run
//! use aside_testkit::{RedisServer, servers};
//!
//! for server in servers::all() {
//!     let redis = RedisServer::start_with(server.options())?;
//!     println!("{server}: {}", redis.info("server")["process_id"]);
//! }
//! # Ok::<(), aside_testkit::StartError>(())
//! ```

use std::env;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::redis::{RedisOptions, on_path};

/// The names of the servers, and for `scripts/servers` their packages.
const MATRIX: &str = include_str!("../servers.list");

/// A server program on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    name: String,
    program: PathBuf,
}

impl Server {
    /// Returns the name and the version, for example `redis-8.2.3`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the path of the program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Returns the settings that start this server.
    pub fn options(&self) -> RedisOptions {
        RedisOptions {
            program: Some(self.program.clone()),
            ..RedisOptions::default()
        }
    }

    /// Returns true if the name begins with these parts of a version: `redis-8`
    /// and `redis-8.2` are of `redis-8.2.3`, `redis-8.20` is not.
    pub fn is(&self, name: &str) -> bool {
        is_of(&self.name, name)
    }

    /// Returns true if the program was built with TLS.
    pub fn has_tls(&self) -> bool {
        // With TLS it ends because it has no certificate, without TLS because it
        // cannot listen on that port.
        let config = "port 0\ntls-port 1\n";
        output(&self.program, "-", config).contains("Failed to configure TLS")
    }

    fn major(&self) -> &str {
        self.name.split('.').next().unwrap_or_default()
    }

    fn version(&self) -> Vec<u32> {
        let parts = self.name.split(['-', '.']);
        parts.filter_map(|part| part.parse().ok()).collect()
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Returns the servers whose names begin like this, the oldest first, for example
/// those of `redis-8`.
///
/// Prints a line if there is none.
pub fn all_of(name: &str) -> Vec<Server> {
    let mut servers = installed();
    servers.retain(|server| server.is(name));
    if servers.is_empty() {
        print_skipped(name);
    }
    servers
}

/// Returns all servers of this machine, and prints a line for each other one.
pub fn all() -> Vec<Server> {
    let all = installed();
    missing_of(&all).for_each(print_skipped);
    all
}

/// Returns the newest server of each major version on this machine, and prints a
/// line for each major version that is missing.
///
/// For tests that need many processes and seconds per server.
pub fn newest() -> Vec<Server> {
    let newest = newest_of(installed());
    let major = |name: &'static str| name.split('.').next().unwrap_or(name);
    let mut missing: Vec<&str> = missing_of(&newest).map(major).collect();
    missing.retain(|major| newest.iter().all(|server| server.major() != *major));
    missing.dedup();
    missing.into_iter().for_each(print_skipped);
    newest
}

/// Returns all servers of this machine that were built with TLS.
pub fn all_with_tls() -> Vec<Server> {
    let mut servers = installed();
    servers.retain(Server::has_tls);
    if servers.is_empty() {
        eprintln!("skipped: no server on this machine was built with TLS");
    }
    servers
}

/// Returns the newest server of each major version that was built with TLS.
pub fn newest_with_tls() -> Vec<Server> {
    newest_of(all_with_tls())
}

/// Returns the newest of each major version, of servers from old to new.
fn newest_of(servers: Vec<Server>) -> Vec<Server> {
    let mut newest: Vec<Server> = Vec::new();
    for server in servers {
        newest.retain(|other| other.major() != server.major());
        newest.push(server);
    }
    newest
}

/// Returns the names of the servers that are not on this machine.
pub fn missing() -> Vec<&'static str> {
    missing_of(&installed()).collect()
}

fn missing_of(found: &[Server]) -> impl Iterator<Item = &'static str> {
    matrix().filter(|name| found.iter().all(|server| server.name != *name))
}

fn print_skipped(name: &str) {
    eprintln!("skipped: {name} is not on this machine; `scripts/servers {name}` fetches it");
}

fn matrix() -> impl Iterator<Item = &'static str> {
    let lines = MATRIX.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_whitespace().next())
}

/// Returns all servers of this machine, the oldest first.
fn installed() -> Vec<Server> {
    let mut servers: Vec<Server> = fetched().chain(on_path().filter_map(identify)).collect();
    servers.sort_by_key(|server| (server.major().to_owned(), server.version()));
    servers.dedup_by(|one, other| one.name == other.name);
    servers
}

/// Returns the servers in the folder of `scripts/servers`.
fn fetched() -> impl Iterator<Item = Server> {
    let folder = folder().unwrap_or_default();
    matrix().filter_map(move |name| {
        let product = name.split('-').next().unwrap_or(name);
        let program = folder.join(name).join(format!("bin/{product}-server"));
        program.is_file().then(|| Server {
            name: name.into(),
            program,
        })
    })
}

fn folder() -> Option<PathBuf> {
    let cache = || {
        let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))
    };
    let own = env::var_os("ASIDE_SERVERS").map(PathBuf::from);
    own.or_else(|| Some(cache()?.join("aside/servers")))
}

/// Returns the server of a program, if the program says which one it is:
/// `Redis server v=7.0.15 sha=...`.
fn identify(program: PathBuf) -> Option<Server> {
    let text = output(&program, "--version", "").to_lowercase();
    let (product, rest) = text.split_once(" server v=")?;
    let version = rest.split_whitespace().next()?;
    Some(Server {
        name: format!("{product}-{version}"),
        program,
    })
}

/// Returns the output of a program that ends by itself.
fn output(program: &Path, argument: &str, input: &str) -> String {
    let mut command = Command::new(program);
    command.arg(argument).stdin(Stdio::piped());
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let output = child.and_then(|mut child| {
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read ends all the same.
            let _ = stdin.write_all(input.as_bytes());
        }
        child.wait_with_output()
    });
    output.map_or_else(
        |_| String::new(),
        |output| {
            let parts = [output.stdout, output.stderr].concat();
            String::from_utf8_lossy(&parts).into_owned()
        },
    )
}

fn is_of(name: &str, wanted: &str) -> bool {
    name.strip_prefix(wanted)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
