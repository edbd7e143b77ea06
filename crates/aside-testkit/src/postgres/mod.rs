//! A private PostgreSQL for one test.

mod programs;
mod template;
mod wire;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use self::template::create_cluster;
pub use self::wire::Rows;
use crate::directory;
use crate::error::StartError;
use crate::port::free_port;
use crate::process::{Launch, ServerProcess, User};
use crate::wait::poll_until;

/// How long a server may take until its first reply.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How long one statement may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// How many ports to try if other processes take them first.
const ATTEMPTS: usize = 5;

/// Fast and small. A commit survives [`PostgresServer::kill`], because without
/// `fsync` it is safe from the death of the server, only not of the machine.
const SETTINGS: &[&str] = &[
    "fsync=off",
    "full_page_writes=off",
    "listen_addresses=127.0.0.1",
    "shared_buffers=16MB",
    "max_wal_size=64MB",
    "min_wal_size=2MB",
    "jit=off",
];

/// Settings of a [`PostgresServer`].
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// More settings, for example `max_connections=10`. Default: none.
    pub config: Vec<String>,
    /// The directory of `postgres` and `initdb`. Default: the one on the
    /// `PATH`, else the highest version in the directories of Debian, Fedora or
    /// Homebrew.
    pub programs: Option<PathBuf>,
}

/// A private PostgreSQL cluster, on a free port of the loopback interface and
/// on a unix socket.
///
/// Every user of this machine may connect as `postgres` without a password. It
/// ends when this value is dropped, and when the process that started it ends,
/// even by SIGKILL. PostgreSQL refuses to run as root; if the process is root,
/// the server runs as `postgres` or `nobody`.
///
/// ```no_run
/// use aside_testkit::PostgresServer;
///
/// let postgres = PostgresServer::start()?;
/// let url = postgres.create_database("tales");
/// postgres.query("tales", "CREATE TABLE hero (name text)");
/// # Ok::<(), aside_testkit::StartError>(())
/// ```
#[derive(Debug)]
pub struct PostgresServer {
    settings: Settings,
    // Before the directory, because fields are dropped in order, and the server
    // must have ended before its directory is removed.
    process: Mutex<ServerProcess>,
    directory: TempDir,
}

/// The settings needed to start the server again.
#[derive(Debug)]
struct Settings {
    programs: PathBuf,
    user: Option<User>,
    port: u16,
    config: Vec<String>,
}

impl PostgresServer {
    /// Starts a server and waits until it accepts statements.
    ///
    /// # Errors
    ///
    /// [`StartError::Missing`] if PostgreSQL is not installed.
    pub fn start() -> Result<Self, StartError> {
        Self::start_with(PostgresOptions::default())
    }

    /// Starts a server with these settings and waits until it accepts
    /// statements.
    ///
    /// # Errors
    ///
    /// [`StartError::Missing`] if PostgreSQL is not installed,
    /// [`StartError::Failed`] if the server refuses its settings.
    pub fn start_with(options: PostgresOptions) -> Result<Self, StartError> {
        let programs = options.programs.map_or_else(programs::find, Ok)?;
        let user = programs::unprivileged_user()?;
        let directory = directory::create_for_database("postgres", user)?;
        create_cluster(&programs, user, &directory.path().join("data"))?;
        let mut settings = Settings {
            programs,
            user,
            port: 0,
            config: options.config,
        };
        let mut attempt = 1;
        loop {
            settings.port = free_port()?;
            match launch(&settings, directory.path()) {
                Ok(process) => {
                    return Ok(Self {
                        settings,
                        process: Mutex::new(process),
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

    /// Returns the URL of the database `postgres` over TCP.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Returns the URL of a database over TCP.
    pub fn url_of(&self, database: &str) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/{database}",
            self.settings.port
        )
    }

    /// Returns the URL of a database over the unix socket.
    pub fn unix_url_of(&self, database: &str) -> String {
        let (host, port) = (self.directory.path().display(), self.settings.port);
        format!("postgres:///{database}?host={host}&port={port}&user=postgres")
    }

    /// Returns the TCP port. It stays the same over restarts.
    pub fn port(&self) -> u16 {
        self.settings.port
    }

    /// Returns the TCP address.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.settings.port).into()
    }

    /// Returns the directory of the cluster's files and of the unix socket.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Creates an empty database and returns its URL.
    ///
    /// This is much cheaper than a server, for tests that only need isolation.
    ///
    /// # Panics
    ///
    /// If there is a database of that name, or the server does not reply.
    #[track_caller]
    pub fn create_database(&self, name: &str) -> String {
        self.query(
            "postgres",
            &format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\"")),
        );
        self.url_of(name)
    }

    /// Runs statements over a fresh connection and returns all their rows.
    ///
    /// # Panics
    ///
    /// If a statement fails, or the server does not reply within twenty
    /// seconds.
    #[track_caller]
    pub fn query(&self, database: &str, sql: &str) -> Rows {
        self.try_query(database, sql)
            .unwrap_or_else(|error| panic!("{error}, in: {sql}"))
    }

    /// Runs statements, which may fail, on a server that may be down.
    ///
    /// # Errors
    ///
    /// If a statement fails, with its SQLSTATE in the message, or the server
    /// does not reply within twenty seconds.
    pub fn try_query(&self, database: &str, sql: &str) -> io::Result<Rows> {
        let socket = socket(self.directory.path(), self.settings.port);
        wire::query(&socket, database, sql, ANSWERS_WITHIN)
    }

    /// Cuts all connections of clients. Returns how many there were.
    ///
    /// # Panics
    ///
    /// If the server does not reply.
    #[track_caller]
    pub fn cut_connections(&self) -> usize {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        self.query("postgres", sql).len()
    }

    /// Kills the server and all its processes (SIGKILL).
    ///
    /// Committed transactions survive.
    ///
    /// # Panics
    ///
    /// If the system refuses the signal.
    pub fn kill(&self) {
        self.process()
            .end(Signal::KILL)
            .expect("a private server can be killed");
    }

    /// Freezes the server and all its processes (SIGSTOP): connections stay,
    /// and no statement gets a reply.
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

    /// Starts the server again: same port, same data, same settings.
    ///
    /// A running server is shut down first (SIGINT, which cuts connections).
    ///
    /// # Panics
    ///
    /// If it does not start again.
    #[track_caller]
    pub fn restart(&self) {
        let mut process = self.process();
        process
            .end(Signal::INT)
            .expect("a private server can be ended");
        let restarted = launch(&self.settings, self.directory.path());
        *process = restarted.unwrap_or_else(|error| panic!("{error}"));
    }

    fn process(&self) -> MutexGuard<'_, ServerProcess> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the server and waits until it accepts statements.
fn launch(settings: &Settings, directory: &Path) -> Result<ServerProcess, StartError> {
    let log = directory.join("postgres.log");
    // The output of an earlier attempt must not be mistaken for this one's.
    fs::write(&log, "")?;
    let mut command = vec![settings.programs.join("postgres").into(), "-D".into()];
    command.push(directory.join("data").into());
    let port = format!("port={}", settings.port);
    let sockets = format!("unix_socket_directories={}", directory.display());
    let given = settings.config.iter().map(String::as_str);
    for setting in SETTINGS
        .iter()
        .copied()
        .chain([port.as_str(), &sockets])
        .chain(given)
    {
        command.extend(["-c".into(), setting.into()]);
    }
    let mut process = ServerProcess::start(&Launch {
        command,
        user: settings.user,
        directory,
        log: &log,
        // It ends at once, and releases its shared memory.
        end_signal: Signal::QUIT,
    })?;
    // The socket is in a private directory, so a server that replies is this
    // one. By then it also has the TCP port.
    let socket = socket(directory, settings.port);
    let answered = poll_until(READY_WITHIN, || match process.exited() {
        Ok(None) => wire::query(&socket, "postgres", "SELECT 1", READY_WITHIN).map(|_| Ok(())),
        Ok(Some(status)) => Ok(Err(format!("it ended at once ({status})"))),
        Err(error) => Err(error),
    });
    match answered {
        Ok(Ok(())) => Ok(process),
        Ok(Err(reason)) | Err(reason) => Err(StartError::failed("PostgreSQL", reason, &log)),
    }
}

fn socket(directory: &Path, port: u16) -> PathBuf {
    directory.join(format!(".s.PGSQL.{port}"))
}
