//! The instances as seen by the parent: processes, each behind a separate
//! proxy. The parent can kill them, stop them and send them commands.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use aside_testkit::history::{History, Time};
use aside_testkit::{Proxy, eventually_blocking};

use crate::instance::{ROLE, Reach, Role, SAYS};
use crate::servers::Servers;
use crate::steps::Step;
use crate::windows::{self, Window};

/// The maximum time for a child to start or reply on a busy machine.
const ANSWERS_WITHIN: Duration = Duration::from_secs(90);

/// The number of instances.
pub(crate) const INSTANCES: usize = 4;

/// All instances, including former ones.
#[derive(Debug)]
pub(crate) struct Fleet {
    test: &'static str,
    directory: PathBuf,
    database_url: String,
    begun: Time,
    /// For each instance the proxies to all servers.
    pub(crate) proxies: Vec<Vec<Proxy>>,
    reaches: Vec<Reach>,
    instances: Vec<Instance>,
    /// The roles of all instances so far; each left a history.
    roles: Vec<Role>,
}

/// One instance; its process ends when this value is dropped.
#[derive(Debug)]
struct Instance {
    process: Child,
    stdin: ChildStdin,
    answers: Receiver<String>,
}

impl Fleet {
    /// Starts the instances, one after the other.
    pub(crate) async fn start(
        test: &'static str,
        servers: &impl Servers,
        database_url: &str,
        directory: &Path,
    ) -> Self {
        let mut fleet = Self {
            test,
            directory: directory.to_owned(),
            database_url: database_url.to_owned(),
            begun: Time::now(),
            proxies: Vec::new(),
            reaches: Vec::new(),
            instances: Vec::new(),
            roles: Vec::new(),
        };
        for number in 0..INSTANCES {
            let mut proxies = Vec::new();
            for address in servers.addresses() {
                proxies.push(Proxy::start(address).await.expect("a port is free"));
            }
            let reach = Reach {
                url: servers.url(&proxies),
                node_map: node_map(&servers.addresses(), &proxies),
            };
            fleet.proxies.push(proxies);
            fleet.reaches.push(reach);
            let instance = fleet.launch(number);
            fleet.instances.push(instance);
        }
        for instance in &fleet.instances {
            instance.hear("ready");
        }
        fleet
    }

    /// Sends a command to this instance and returns its reply.
    pub(crate) fn ask(&mut self, number: usize, command: &str) -> String {
        self.instances[number].tell(command);
        self.instances[number].answer(command)
    }

    /// Sends a command to all instances, and waits until all have done it.
    pub(crate) fn all(&mut self, command: &str) {
        for instance in &mut self.instances {
            instance.tell(command);
        }
        for instance in &self.instances {
            instance.hear(command);
        }
    }

    /// Kills an instance in the middle of its work (SIGKILL).
    pub(crate) fn kill(&mut self, number: usize) {
        self.instances[number].end();
    }

    /// Makes an instance abort when its next write reaches this step, and waits
    /// until it has.
    pub(crate) fn die_at(&mut self, number: usize, step: Step) {
        let instance = &mut self.instances[number];
        instance.tell(&step.command());
        let process = &mut instance.process;
        eventually_blocking(ANSWERS_WITHIN, "an instance to die", || {
            let status = process.try_wait().expect("a child of ours");
            status.is_some_and(|status| {
                assert!(status.signal().is_some(), "it aborts: {status}");
                true
            })
        });
    }

    /// Starts an instance in place of a killed one.
    pub(crate) fn replace(&mut self, number: usize) {
        self.instances[number] = self.launch(number);
        self.instances[number].hear("ready");
    }

    /// Stops an instance (SIGSTOP) for that time.
    ///
    /// A shell does it, because the shell continues if this process is killed
    /// meanwhile. A stopped child would not notice the end of its parent.
    pub(crate) fn stop_for(&self, number: usize, time: Duration) {
        let id = self.instances[number].process.id().to_string();
        let script = r#"kill -STOP "$1"; sleep "$2"; kill -CONT "$1""#;
        let seconds = time.as_secs_f64().to_string();
        let status = Command::new("sh")
            .args(["-c", script, "stop", &id, &seconds])
            .status();
        assert!(status.expect("a shell starts").success());
    }

    /// Returns the records of all instances so far, and their windows.
    pub(crate) fn recorded(&self) -> (History, Vec<Window>) {
        let (mut history, mut noted) = (History::default(), Vec::new());
        for role in &self.roles {
            history.merge(History::read_from(&role.history).expect("a child left a history"));
            noted.extend(windows::read_from(&role.windows, &role.name));
        }
        (history, noted)
    }

    fn launch(&mut self, number: usize) -> Instance {
        let run = self.roles.len() + 1;
        // A restarted process has nothing in memory, so it counts as another
        // instance.
        let name = format!("{} (run {run})", number + 1);
        let role = Role {
            redis: self.reaches[number].clone(),
            database_url: self.database_url.clone(),
            history: self.directory.join(format!("history {run}")),
            windows: self.directory.join(format!("windows {run}")),
            begun: self.begun.as_nanos(),
            name,
        };
        let instance = Instance::start(self.test, &role);
        self.roles.push(role);
        instance
    }
}

/// Returns `REDIS_NODE_MAP` that leads from each address to its proxy.
fn node_map(addresses: &[SocketAddr], proxies: &[Proxy]) -> String {
    let pairs = addresses.iter().zip(proxies);
    let pairs = pairs.map(|(address, proxy)| format!("{address}={}", proxy.address()));
    pairs.collect::<Vec<_>>().join(",")
}

impl Instance {
    fn start(test: &str, role: &Role) -> Self {
        let role = serde_json::to_string(role).expect("a role is JSON");
        let mut process = Command::new(env::current_exe().expect("this program has a path"))
            .args(["--exact", test, "--nocapture", "--include-ignored"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts again");
        let stdin = process.stdin.take().expect("a pipe");
        let stdout = BufReader::new(process.stdout.take().expect("a pipe"));
        let (sender, answers) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Some(answer) = line.strip_prefix(SAYS) {
                    let _ = sender.send(answer.to_owned());
                }
            }
        });
        Self {
            process,
            stdin,
            answers,
        }
    }

    fn tell(&mut self, command: &str) {
        writeln!(self.stdin, "{command}").expect("a child listens");
    }

    fn answer(&self, command: &str) -> String {
        let answer = self.answers.recv_timeout(ANSWERS_WITHIN);
        answer.unwrap_or_else(|_| panic!("an instance did not answer to `{command}`"))
    }

    fn hear(&self, command: &str) {
        assert_eq!(self.answer(command), command);
    }

    fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.end();
    }
}
