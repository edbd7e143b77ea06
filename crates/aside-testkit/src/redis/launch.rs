//! From settings to a running `redis-server` that replies.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use super::options::{RedisOptions, RedisTls, Role};
use super::resp::ask;
use crate::error::StartError;
use crate::process::{Launch, ServerProcess};
use crate::wait::poll_until;

const PROGRAMS: &[&str] = &["redis-server", "valkey-server"];
const INSTALL: &str = "install Redis: `apt-get install redis-server` on Debian and Ubuntu, \
                       `brew install redis` on macOS";

/// How long a server may take until its first reply.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// The name of the unix socket in a server's directory.
pub(super) const SOCKET: &str = "redis.sock";

/// The name of the file of a server's output in its directory.
pub(super) const LOG: &str = "redis.log";

const CONFIG: &str = "redis.conf";

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

/// Writes the configuration file, and the files that it names.
pub(super) fn write_config(
    directory: &Path,
    port: u16,
    role: &Role,
    options: &RedisOptions,
) -> io::Result<()> {
    if let Some(tls) = &options.tls {
        fs::write(directory.join(RedisTls::AUTHORITY), &tls.authority)?;
        tls.certificate.write_to(directory, RedisTls::NAME)?;
    }
    let lines = options.lines(role, directory, port);
    fs::write(directory.join(CONFIG), lines.join("\n") + "\n")
}

/// Starts the server and waits until it replies.
pub(super) fn launch(
    program: &Path,
    directory: &Path,
    role: &Role,
    options: &RedisOptions,
) -> Result<ServerProcess, StartError> {
    let log = directory.join(LOG);
    // The output of an earlier attempt must not be mistaken for this one's.
    fs::write(&log, "")?;
    let mut command = vec![program.into(), directory.join(CONFIG).into()];
    if matches!(role, Role::Sentinel) {
        command.push("--sentinel".into());
    }
    let mut process = ServerProcess::start(&Launch {
        command,
        user: None,
        directory,
        log: &log,
        end_signal: Signal::KILL,
    })?;
    let socket = directory.join(SOCKET);
    let answered = poll_until(READY_WITHIN, || match process.exited() {
        Ok(None) => is_ready(&socket, options).map(Ok),
        Ok(Some(status)) => Ok(Err(format!("it ended at once ({status})"))),
        Err(error) => Ok(Err(error.to_string())),
    });
    match answered {
        Ok(Ok(())) => Ok(process),
        Ok(Err(reason)) | Err(reason) => Err(StartError::failed("redis-server", reason, &log)),
    }
}

/// Succeeds if the server replies; returns the reason if it does not.
///
/// A server that still loads its data replies with an error.
fn is_ready(socket: &Path, options: &RedisOptions) -> Result<(), String> {
    let password = options.password.as_deref();
    match ask(socket, password, &["PING"], READY_WITHIN) {
        Ok(reply) if reply.text() == Some("PONG") => Ok(()),
        Ok(reply) => Err(format!("{reply:?}")),
        Err(error) => Err(error.to_string()),
    }
}
