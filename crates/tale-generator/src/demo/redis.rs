//! A private Redis, which never outlives the example.
//!
//! A small shell script starts it and waits on a pipe whose other end only this
//! process holds. When this process ends, even by SIGKILL, the kernel closes
//! that end. The shell then reads the end of the file and kills the server.

use std::env;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

const KEEPER: &str = r#""$@" & server=$!; read -r never; kill -KILL "$server"; wait"#;

/// The longest path that every system allows for a unix socket.
const MAX_SOCKET: usize = 100;

/// The maximum time until a started server replies.
const STARTS_WITHIN: Duration = Duration::from_secs(5);

/// A running server in a private directory.
#[derive(Debug)]
pub(super) struct PrivateRedis {
    program: PathBuf,
    socket: PathBuf,
    keeper: Option<Child>,
}

impl PrivateRedis {
    /// Starts the server, or returns the reason why it cannot.
    pub(super) async fn start(directory: &Path) -> Result<Self, String> {
        let program = ["redis-server", "valkey-server"]
            .into_iter()
            .find_map(on_the_path);
        let mut redis = Self {
            program: program.ok_or("there is no redis-server on the PATH")?,
            socket: directory.join("redis.sock"),
            keeper: None,
        };
        if MAX_SOCKET < redis.socket.as_os_str().len() {
            return Err("the temporary directory has too long a name for a socket".to_owned());
        }
        match redis.start_again().await {
            Ok(()) => Ok(redis),
            Err(error) => Err(format!("{} did not start ({error})", redis.program())),
        }
    }

    /// Returns the name of the program.
    pub(super) fn program(&self) -> String {
        let name = self.program.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Returns the value for `REDIS_URL`.
    pub(super) fn url(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Kills the server as an outage would: without warning and without saving.
    pub(super) fn kill(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }

    /// Starts the server, empty, and waits until it replies.
    pub(super) async fn start_again(&mut self) -> io::Result<()> {
        self.kill();
        let directory = self.socket.parent().unwrap_or(Path::new("/"));
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(&self.program)
            .args(["--port", "0", "--save", "", "--appendonly", "no"])
            .arg("--unixsocket")
            .arg(&self.socket)
            .arg("--dir")
            .arg(directory)
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in a terminal signals the whole process group. The example
            // ends the server itself, at the end of an act.
            .process_group(0)
            .spawn()?;
        self.keeper = Some(keeper);
        let answers = timeout(STARTS_WITHIN, async {
            while self.ping().await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        });
        answers.await.map_err(|_| io::ErrorKind::TimedOut.into())
    }

    async fn ping(&self) -> io::Result<()> {
        let mut stream = UnixStream::connect(&self.socket).await?;
        stream.write_all(b"PING\r\n").await?;
        let mut reply = [0; 5];
        stream.read_exact(&mut reply).await?;
        if &reply == b"+PONG" {
            Ok(())
        } else {
            Err(io::ErrorKind::NotConnected.into())
        }
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn on_the_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_absolute() && candidate.is_file())
}
