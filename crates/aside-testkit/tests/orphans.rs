//! No server outlives the process that started it.
//!
//! Each test starts its program again as a second process. That process starts
//! a server, prints the server's address and is then killed by a signal that it
//! cannot handle.

use std::env;
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use aside_testkit::{PostgresServer, RedisServer, eventually_blocking};

const SOON: Duration = Duration::from_secs(20);

/// Set in the second process, which only holds a server.
const HOLDER: &str = "ASIDE_TESTKIT_HOLDS_A_SERVER";

#[test]
fn a_redis_ends_when_its_process_is_killed() {
    if env::var_os(HOLDER).is_some() {
        let redis = start_redis();
        hold(redis.address(), redis.socket().parent().unwrap());
    }
    let mut holder = Holder::start("a_redis_ends_when_its_process_is_killed");
    holder.kill_and_see_the_server_gone();
}

#[test]
fn a_stopped_redis_ends_when_its_process_is_killed() {
    if env::var_os(HOLDER).is_some() {
        let redis = start_redis();
        redis.stop();
        hold(redis.address(), redis.socket().parent().unwrap());
    }
    let mut holder = Holder::start("a_stopped_redis_ends_when_its_process_is_killed");
    holder.kill_and_see_the_server_gone();
}

#[test]
fn a_postgres_ends_when_its_process_is_killed() {
    if env::var_os(HOLDER).is_some() {
        let postgres = start_postgres();
        hold(postgres.address(), postgres.directory());
    }
    let mut holder = Holder::start("a_postgres_ends_when_its_process_is_killed");
    holder.kill_and_see_the_server_gone();
}

#[test]
fn a_stopped_postgres_ends_when_its_process_is_killed() {
    if env::var_os(HOLDER).is_some() {
        let postgres = start_postgres();
        postgres.stop();
        hold(postgres.address(), postgres.directory());
    }
    let mut holder = Holder::start("a_stopped_postgres_ends_when_its_process_is_killed");
    holder.kill_and_see_the_server_gone();
}

#[test]
fn a_server_outlives_the_thread_that_started_it() {
    let redis = start_redis();
    assert_eq!(redis.command(&["PING"]).text(), Some("PONG"));
}

#[test]
fn a_server_ends_when_its_test_panics() {
    let address = thread::spawn(|| {
        let redis = RedisServer::start().unwrap();
        std::panic::panic_any(redis.address());
    })
    .join()
    .unwrap_err();
    let address = address.downcast::<SocketAddr>().unwrap();
    assert!(TcpStream::connect(*address).is_err());
}

/// Starts a server from a thread that has ended when this returns.
fn start_redis() -> RedisServer {
    thread::spawn(|| RedisServer::start().unwrap())
        .join()
        .unwrap()
}

fn start_postgres() -> PostgresServer {
    thread::spawn(|| PostgresServer::start().unwrap())
        .join()
        .unwrap()
}

/// Prints the server's address and keeps the server until the process is
/// killed.
fn hold(address: SocketAddr, directory: &Path) -> ! {
    println!("\nholding {address} {}", directory.display());
    // Ends with an error if the test itself was killed first.
    io::stdin().lock().read_line(&mut String::new()).unwrap();
    std::process::exit(1);
}

/// The second process, and the address of its server.
struct Holder {
    process: Child,
    address: SocketAddr,
    directory: PathBuf,
}

impl Holder {
    fn start(test: &str) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(HOLDER, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("holding ")?.to_owned()))
            .expect("the holder starts a server");
        let (address, directory) = line.split_once(' ').unwrap();
        Self {
            process,
            address: address.parse().unwrap(),
            directory: directory.into(),
        }
    }

    fn kill_and_see_the_server_gone(&mut self) {
        TcpStream::connect(self.address).unwrap();
        assert!(self.directory.exists());
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        eventually_blocking(SOON, "the server to end", || {
            TcpStream::connect(self.address).is_err()
        });
        eventually_blocking(SOON, "its directory to be removed", || {
            !self.directory.exists()
        });
    }
}
