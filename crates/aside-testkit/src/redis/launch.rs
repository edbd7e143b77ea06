//! From settings to a running `redis-server` that replies.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use super::options::RedisOptions;
use super::resp::ask;
use crate::error::StartError;
use crate::process::{Launch, ServerProcess};
use crate::wait::poll_until;

const PROGRAMS: &[&str] = &["redis-server", "valkey-server"];
const INSTALL: &str = "install Redis: `apt-get install redis-server` on Debian and Ubuntu, \
                       `brew install redis` on macOS";

/// How long a server may take until its first reply.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// Returns the server programs of the `PATH`, the preferred one first.
pub(crate) fn on_path() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = env::split_paths(&path).collect();
    PROGRAMS.iter().filter_map(move |program| {
        let mut places = directories.iter().map(|directory| directory.join(program));
        places.find(|candidate| candidate.is_file())
    })
}

pub(super) fn find_program() -> Result<PathBuf, StartError> {
    on_path().next().ok_or(StartError::Missing {
        programs: PROGRAMS,
        install: INSTALL,
    })
}

pub(super) fn write_config(directory: &Path, port: u16, options: &RedisOptions) -> io::Result<()> {
    let at = directory.display();
    let mut lines = vec![
        "bind 127.0.0.1".into(),
        format!("port {port}"),
        format!("unixsocket \"{at}/redis.sock\""),
        format!("dir \"{at}\""),
        "save \"\"".into(),
    ];
    if options.appendonly {
        lines.extend(["appendonly yes".into(), "appendfsync always".into()]);
    }
    if let Some(password) = &options.password {
        lines.push(format!("requirepass {}", quote(password)));
    }
    if let Some(bytes) = options.maxmemory_bytes {
        lines.push(format!("maxmemory {bytes}"));
    }
    if let Some(policy) = &options.maxmemory_policy {
        lines.push(format!("maxmemory-policy {policy}"));
    }
    lines.extend(options.config.iter().cloned());
    fs::write(directory.join("redis.conf"), lines.join("\n") + "\n")
}

/// Starts the server and waits until it replies.
pub(super) fn launch(
    program: &Path,
    directory: &Path,
    port: u16,
    options: &RedisOptions,
) -> Result<ServerProcess, StartError> {
    let log = directory.join("redis.log");
    // The output of an earlier attempt must not be mistaken for this one's.
    fs::write(&log, "")?;
    let mut process = ServerProcess::start(&Launch {
        command: vec![program.into(), directory.join("redis.conf").into()],
        user: None,
        directory,
        log: &log,
        end_signal: Signal::KILL,
    })?;
    let answered = poll_until(READY_WITHIN, || match process.exited() {
        Ok(None) => is_ready(port, options, process.id()).map(Ok),
        Ok(Some(status)) => Ok(Err(format!("it ended at once ({status})"))),
        Err(error) => Ok(Err(error.to_string())),
    });
    match answered {
        Ok(Ok(())) => Ok(process),
        Ok(Err(reason)) | Err(reason) => Err(StartError::failed("redis-server", reason, &log)),
    }
}

/// Succeeds if the private server replies on `port`; returns the reason if it
/// does not.
///
/// The server of another test may have taken the port first, and would reply
/// too. A server that still loads its data replies with an error.
fn is_ready(port: u16, options: &RedisOptions, id: u32) -> Result<(), String> {
    let password = options.password.as_deref();
    let reply = ask(port, password, &["INFO", "server"], READY_WITHIN);
    let reply = reply.map_err(|error| error.to_string())?;
    let ours = format!("process_id:{id}");
    match reply.text() {
        Some(info) if info.lines().any(|line| line == ours) => {}
        Some(_) => return Err("another server listens on its port".into()),
        None => return Err(format!("{reply:?}")),
    }
    match ask(port, password, &["PING"], READY_WITHIN) {
        Ok(reply) if reply.text() == Some("PONG") => Ok(()),
        Ok(reply) => Err(format!("{reply:?}")),
        Err(error) => Err(error.to_string()),
    }
}

/// Quotes a value of the configuration file; it may contain any bytes.
fn quote(value: &str) -> String {
    let escaped: String = value.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
    format!("\"{escaped}\"")
}
