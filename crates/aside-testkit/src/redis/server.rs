//! A private Redis, or Valkey, for one test.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::launch::{LOG, SOCKET, find_program, launch, write_config};
use super::options::{BUS_DISTANCE, RedisOptions, RedisTls, Role};
use super::resp::{Reply, ask};
use crate::certificates::Certificate;
use crate::directory;
use crate::error::StartError;
use crate::process::ServerProcess;

/// How long one command may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// How many ports to try if other processes take them first.
const ATTEMPTS: usize = 5;

/// A private `redis-server` or `valkey-server`, on a free port of the loopback
/// interface and on a unix socket.
///
/// It ends when this value is dropped, and when the process that started it
/// ends, even by SIGKILL. Its methods block until the server replies, which
/// takes so little time that asynchronous tests may call them.
///
/// ```no_run
/// use aside_testkit::RedisServer;
///
/// let redis = RedisServer::start()?;
/// redis.command(&["SET", "greeting", "hello"]);
/// assert_eq!(redis.command(&["GET", "greeting"]).text(), Some("hello"));
///
/// redis.kill();
/// redis.restart();
/// assert!(redis.command(&["GET", "greeting"]).is_nil());
/// # Ok::<(), aside_testkit::StartError>(())
/// ```
#[derive(Debug)]
pub struct RedisServer {
    program: PathBuf,
    role: Role,
    options: RedisOptions,
    port: u16,
    // Before the directory, because fields are dropped in order, and the server
    // must have ended before its directory is removed.
    process: Mutex<ServerProcess>,
    directory: TempDir,
}

impl RedisServer {
    /// Starts a server and waits until it replies.
    ///
    /// # Errors
    ///
    /// [`StartError::Missing`] if neither Redis nor Valkey is installed.
    pub fn start() -> Result<Self, StartError> {
        Self::start_with(RedisOptions::default())
    }

    /// Starts a server with these settings and waits until it replies.
    ///
    /// # Errors
    ///
    /// [`StartError::Missing`] if neither Redis nor Valkey is installed,
    /// [`StartError::Failed`] if the server refuses its settings.
    pub fn start_with(options: RedisOptions) -> Result<Self, StartError> {
        Self::start_as(Role::Data, options)
    }

    pub(super) fn start_as(role: Role, options: RedisOptions) -> Result<Self, StartError> {
        let program = match &options.program {
            Some(program) => program.clone(),
            None => find_program()?,
        };
        let directory = directory::create("redis")?;
        let mut attempt = 1;
        loop {
            let port = role.free_port()?;
            write_config(directory.path(), port, &role, &options)?;
            match launch(&program, directory.path(), &role, &options) {
                Ok(process) => {
                    let process = Mutex::new(process);
                    return Ok(Self {
                        program,
                        role,
                        options,
                        port,
                        process,
                        directory,
                    });
                }
                Err(StartError::Failed { log, .. })
                    if attempt < ATTEMPTS && log.contains("Address already in use") =>
                {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns the URL of database 0 over TCP, with the password if there is
    /// one.
    pub fn url(&self) -> String {
        let servers = std::slice::from_ref(self);
        format!("{}/0", url(servers, &self.credentials(), "redis"))
    }

    /// Returns the URL of database 0 over the unix socket.
    pub fn unix_url(&self) -> String {
        let password = self.options.password.as_deref();
        let query = password.map(|it| format!("?pass={}", percent_encode(it)));
        format!(
            "unix://{}{}",
            self.socket().display(),
            query.unwrap_or_default()
        )
    }

    /// Returns the TCP port. It stays the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the port of a cluster node's bus.
    pub(super) fn bus_port(&self) -> u16 {
        self.port + BUS_DISTANCE
    }

    /// Returns the TCP address.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Returns the path of the unix socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join(SOCKET)
    }

    /// Sends a command over a fresh connection.
    ///
    /// An error reply is returned as [`Reply::Error`].
    ///
    /// # Panics
    ///
    /// If the server does not reply within ten seconds.
    #[track_caller]
    pub fn command(&self, words: &[&str]) -> Reply {
        self.try_command(words)
            .unwrap_or_else(|error| panic!("no reply to {words:?}: {error}"))
    }

    /// Sends a command over a fresh connection to a server that may be down.
    ///
    /// # Errors
    ///
    /// If the server does not reply within ten seconds.
    pub fn try_command(&self, words: &[&str]) -> io::Result<Reply> {
        ask(
            &self.socket(),
            self.options.password.as_deref(),
            words,
            ANSWERS_WITHIN,
        )
    }

    /// Returns one section of `INFO` as names and values.
    ///
    /// # Panics
    ///
    /// If the server does not reply.
    #[track_caller]
    pub fn info(&self, section: &str) -> BTreeMap<String, String> {
        let reply = self.command(&["INFO", section]);
        let fields = reply.text().unwrap_or_default().lines();
        fields
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    /// Returns how often a command was called since the server started or
    /// [`reset_stats`](Self::reset_stats): `"get"`, `"config|set"`.
    ///
    /// Commands inside scripts count, refused commands do not, and this method
    /// itself calls `info`.
    ///
    /// # Panics
    ///
    /// If the server does not reply.
    #[track_caller]
    pub fn calls(&self, command: &str) -> u64 {
        let name = format!("cmdstat_{}", command.to_lowercase());
        let stats = self.info("commandstats");
        let calls = stats.get(&name).and_then(|fields| {
            fields
                .split(',')
                .find_map(|field| field.strip_prefix("calls="))?
                .parse()
                .ok()
        });
        calls.unwrap_or(0)
    }

    /// Resets the counters of commands.
    ///
    /// # Panics
    ///
    /// If the server does not reply.
    #[track_caller]
    pub fn reset_stats(&self) {
        self.expect_ok(&["CONFIG", "RESETSTAT"]);
    }

    /// Changes a setting of the running server.
    ///
    /// # Panics
    ///
    /// If the server does not reply or refuses.
    #[track_caller]
    pub fn set_config(&self, key: &str, value: &str) {
        self.expect_ok(&["CONFIG", "SET", key, value]);
    }

    /// Cuts the connection of every subscriber. Returns how many there were.
    ///
    /// # Panics
    ///
    /// If the server does not reply.
    #[track_caller]
    pub fn client_kill_pubsub(&self) -> u64 {
        let killed = self
            .command(&["CLIENT", "KILL", "TYPE", "pubsub"])
            .integer();
        killed.and_then(|count| count.try_into().ok()).unwrap_or(0)
    }

    /// Replaces the certificate of a running server with TLS. Connections that
    /// are open keep the old one.
    ///
    /// # Panics
    ///
    /// If the server does not reply or has no TLS.
    #[track_caller]
    pub fn set_certificate(&self, certificate: &Certificate) {
        let files = certificate.write_to(self.directory.path(), RedisTls::NAME);
        let [path, _] = files.expect("the directory of a private server can be written");
        // Makes the server read both files again.
        self.set_config("tls-cert-file", &path.display().to_string());
    }

    /// Returns true if the server is neither killed nor stopped.
    pub fn is_running(&self) -> bool {
        self.process().is_running()
    }

    /// Kills the server (SIGKILL), as a power cut would.
    ///
    /// # Panics
    ///
    /// If the system refuses the signal.
    pub fn kill(&self) {
        self.process()
            .end(Signal::KILL)
            .expect("a private server can be killed");
    }

    /// Freezes the server (SIGSTOP): connections stay, and no command gets a
    /// reply.
    ///
    /// # Panics
    ///
    /// If the server is not running.
    #[track_caller]
    pub fn stop(&self) {
        self.process()
            .stop()
            .expect("only a running server can be stopped");
    }

    /// Continues a stopped server (SIGCONT).
    ///
    /// # Panics
    ///
    /// If the server is not running.
    #[track_caller]
    pub fn cont(&self) {
        self.process()
            .cont()
            .expect("only a running server can be continued");
    }

    /// Starts the server again: same port, same directory, same settings.
    ///
    /// A running server is shut down first (SIGTERM).
    /// [`RedisOptions::appendonly`] says which data survives.
    ///
    /// # Panics
    ///
    /// If it does not start again.
    #[track_caller]
    pub fn restart(&self) {
        let mut process = self.process();
        process
            .end(Signal::TERM)
            .expect("a private server can be ended");
        let restarted = launch(
            &self.program,
            self.directory.path(),
            &self.role,
            &self.options,
        );
        *process = restarted.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Returns the error of a group of servers to which this one belongs.
    pub(super) fn failed(&self, reason: String) -> StartError {
        StartError::failed("redis-server", reason, &self.directory.path().join(LOG))
    }

    /// Returns the scheme of a URL, with an `s` if the server has TLS.
    pub(super) fn scheme(&self, plain: &str) -> String {
        match (&self.options.tls, plain.split_once('+')) {
            (None, _) => plain.into(),
            (Some(_), None) => format!("{plain}s"),
            (Some(_), Some((redis, kind))) => format!("{redis}s+{kind}"),
        }
    }

    pub(super) fn password(&self) -> Option<&str> {
        self.options.password.as_deref()
    }

    /// Returns the password as the part of a URL before the host.
    pub(super) fn credentials(&self) -> String {
        let password = self.options.password.as_deref();
        let credentials = password.map(|it| format!(":{}@", percent_encode(it)));
        credentials.unwrap_or_default()
    }

    #[track_caller]
    pub(super) fn expect_ok(&self, words: &[&str]) {
        let reply = self.command(words);
        assert_eq!(reply, Reply::Status("OK".into()), "{words:?} was refused");
    }

    fn process(&self) -> MutexGuard<'_, ServerProcess> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the URL of several servers, without its path.
pub(super) fn url(servers: &[RedisServer], credentials: &str, scheme: &str) -> String {
    let addresses: Vec<String> = servers.iter().map(|it| it.address().to_string()).collect();
    let scheme = servers[0].scheme(scheme);
    format!("{scheme}://{credentials}{}", addresses.join(","))
}

fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
