//! A private MariaDB for one test.

mod programs;

use std::fs;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use self::programs::Programs;
use crate::directory;
use crate::error::StartError;
use crate::port::free_port;
use crate::process::{Launch, ServerProcess};
use crate::template;
use crate::wait::poll_until;

/// How long a server may take until it greets a client.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How many ports to try if other processes take them first.
const ATTEMPTS: usize = 5;

/// Fast and small. A commit survives [`MariaDbServer::kill`], because the log
/// is safe from the death of the server, only not of the machine.
const SETTINGS: &[&str] = &[
    "--no-defaults",
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-size=16M",
    "--innodb-log-file-size=4M",
    "--skip-log-bin",
    "--character-set-server=utf8mb4",
];

/// A private MariaDB, on a free port of the loopback interface and on a unix
/// socket.
///
/// Every user of this machine may connect as `root` without a password. It
/// ends when this value is dropped, and when the process that started it ends,
/// even by SIGKILL.
///
/// ```no_run
/// use aside_testkit::MariaDbServer;
///
/// let mariadb = MariaDbServer::start()?;
/// let url = mariadb.create_database("tales");
/// mariadb.query("tales", "CREATE TABLE hero (name text)");
/// # Ok::<(), aside_testkit::StartError>(())
/// ```
#[derive(Debug)]
pub struct MariaDbServer {
    programs: Programs,
    port: u16,
    // Before the directory, because fields are dropped in order, and the server
    // must have ended before its directory is removed.
    process: Mutex<ServerProcess>,
    directory: TempDir,
}

impl MariaDbServer {
    /// Starts a server and waits until it greets clients.
    ///
    /// # Errors
    ///
    /// [`StartError::Missing`] if MariaDB is not installed.
    pub fn start() -> Result<Self, StartError> {
        let programs = Programs::find()?;
        let directory = directory::create_for_database("mariadb", None)?;
        let data = directory.path().join("data");
        let name = programs.template_name()?;
        template::create(&name, None, &data, |data| programs.init(data))?;
        let mut attempt = 1;
        loop {
            let port = free_port()?;
            match launch(&programs, port, directory.path()) {
                Ok(process) => {
                    return Ok(Self {
                        programs,
                        port,
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

    /// Returns the URL of the database `test`, which is empty, over TCP.
    pub fn url(&self) -> String {
        self.url_of("test")
    }

    /// Returns the URL of a database over TCP.
    pub fn url_of(&self, database: &str) -> String {
        format!("mysql://root@127.0.0.1:{}/{database}", self.port)
    }

    /// Returns the TCP address. It stays the same over restarts.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Returns the directory of the server's files and of the unix socket.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Creates an empty database and returns its URL.
    ///
    /// # Panics
    ///
    /// If there is a database of that name, or the server does not reply.
    #[track_caller]
    pub fn create_database(&self, name: &str) -> String {
        let name = name.replace('`', "``");
        self.query("test", &format!("CREATE DATABASE `{name}`"));
        self.url_of(&name)
    }

    /// Runs statements over a fresh connection. Returns their rows as the client
    /// prints them: a line per row, with tabs between values.
    ///
    /// # Panics
    ///
    /// If a statement fails, or the server does not reply.
    #[track_caller]
    pub fn query(&self, database: &str, sql: &str) -> String {
        self.try_query(database, sql)
            .unwrap_or_else(|error| panic!("{error}, in: {sql}"))
    }

    /// Runs statements, which may fail, on a server that may be down.
    ///
    /// # Errors
    ///
    /// If a statement fails, with the client's message.
    pub fn try_query(&self, database: &str, sql: &str) -> io::Result<String> {
        let output = Command::new(&self.programs.client)
            .arg("--no-defaults")
            .arg(format!("--socket={}", socket(self.directory()).display()))
            .args([
                "--user=root",
                "--batch",
                "--skip-column-names",
                "--connect-timeout=20",
            ])
            .args(["--execute", sql, database])
            .output()?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            false => Err(io::Error::other(
                String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            )),
        }
    }

    /// Kills the server (SIGKILL). Committed transactions survive.
    ///
    /// # Panics
    ///
    /// If the system refuses the signal.
    pub fn kill(&self) {
        self.process()
            .end(Signal::KILL)
            .expect("a private server can be killed");
    }

    /// Starts the server again: same port, same data. A running server is shut
    /// down first.
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
        let restarted = launch(&self.programs, self.port, self.directory.path());
        *process = restarted.unwrap_or_else(|error| panic!("{error}"));
    }

    fn process(&self) -> MutexGuard<'_, ServerProcess> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the server and waits until it greets clients.
fn launch(programs: &Programs, port: u16, directory: &Path) -> Result<ServerProcess, StartError> {
    let log = directory.join("mariadb.log");
    // The output of an earlier attempt must not be mistaken for this one's.
    fs::write(&log, "")?;
    let socket = socket(directory);
    let mut command = vec![programs.server.clone().into_os_string()];
    command.extend(SETTINGS.iter().map(Into::into));
    command.push(format!("--port={port}").into());
    for (setting, path) in [
        ("datadir", directory.join("data")),
        ("tmpdir", directory.to_owned()),
        ("pid-file", directory.join("pid")),
        ("socket", socket.clone()),
    ] {
        command.push(format!("--{setting}={}", path.display()).into());
    }
    // It refuses root unless it is told so.
    if rustix::process::geteuid().is_root() {
        command.push("--user=root".into());
    }
    let mut process = ServerProcess::start(&Launch {
        command,
        user: None,
        directory,
        log: &log,
        // Its directory is removed, so an orderly end would be for nothing.
        end_signal: Signal::KILL,
    })?;
    let greeted = poll_until(READY_WITHIN, || match process.exited() {
        Ok(None) => greeting(&socket).map(Ok),
        Ok(Some(status)) => Ok(Err(format!("it ended at once ({status})"))),
        Err(error) => Err(error),
    });
    match greeted {
        Ok(Ok(())) => Ok(process),
        Ok(Err(reason)) | Err(reason) => Err(StartError::failed("MariaDB", reason, &log)),
    }
}

/// Reads the beginning of a greeting: three bytes of length, a number, the version
/// of the protocol.
fn greeting(socket: &Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(READY_WITHIN))?;
    let mut begin = [0; 5];
    stream.read_exact(&mut begin)?;
    match begin[4] {
        10 => Ok(()),
        _ => Err(io::Error::other("it refuses clients")),
    }
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("mariadb.sock")
}
