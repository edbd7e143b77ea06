//! A server process that does not outlive the process that started it.
//!
//! `Drop` ends the server when a test passes or panics. It does not run when
//! the test process is killed. Therefore a watchdog, a few lines of shell,
//! holds the reading end of a pipe, and only the test process holds the writing
//! end. When the test process dies, the kernel closes that end in every case.
//! The watchdog then reads the end of the file, ends the server and removes its
//! directory.
//!
//! The server itself starts behind a gate: a shell that waits for a line on its
//! standard input before it becomes the server. The line is written once the
//! watchdog runs. If the test process dies before that, the gate reads the end
//! of the file and exits. There is no moment at which an orphan could remain.
//!
//! `PR_SET_PDEATHSIG` was refused. It fires when the *thread* that started the
//! child ends, and test threads end before the test process. It also needs
//! unsafe code.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, test_kill_process, waitid,
};

use crate::wait::poll_until;

/// Becomes the server after it reads a line; the server keeps the shell's
/// process id.
const GATE: &str = r#"read -r open && exec "$@" </dev/null"#;

/// Ends process `$1` and its children by signal `$2`, removes directory `$3`.
///
/// Stopped processes only react to KILL, so it sends CONT as well. A server that is
/// killed at once cannot end its children.
const WATCHDOG: &str = r#"
trap '' HUP INT TERM
read -r never
children=$(cat /proc/"$1"/task/*/children 2>/dev/null || pgrep -P "$1")
kill -CONT "$1" $children
kill -"$2" "$1"
tries=0
while kill -0 "$1" && [ $tries -lt 200 ]; do sleep 0.05; tries=$((tries + 1)); done
kill -0 "$1" && kill -KILL "$1" $children
[ "$2" = KILL ] && kill -KILL $children
rm -rf "$3"
"#;

/// How long a server may take to obey a signal before it is killed.
const OBEYS_WITHIN: Duration = Duration::from_secs(10);

/// A user of this system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    pub(crate) id: u32,
    pub(crate) group: u32,
}

/// How to start a server.
pub(crate) struct Launch<'a> {
    /// The program and its arguments.
    pub(crate) command: Vec<OsString>,
    /// The user that runs it; `None` for the current user.
    pub(crate) user: Option<User>,
    /// The directory it runs in, removed by the watchdog.
    pub(crate) directory: &'a Path,
    /// The file to which its output is appended.
    pub(crate) log: &'a Path,
    /// The signal that ends it quickly, and without leaving anything behind.
    pub(crate) end_signal: Signal,
}

/// A running server and its watchdog.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    server: Child,
    watchdog: Child,
    end_signal: Signal,
    /// Set when the server was reaped: the system may then reuse its process
    /// id.
    status: Option<ExitStatus>,
    stopped: bool,
}

impl ServerProcess {
    pub(crate) fn start(launch: &Launch<'_>) -> io::Result<Self> {
        let log = File::options().create(true).append(true).open(launch.log)?;
        let mut gate = Command::new("sh");
        gate.args(["-c", GATE, "gate"])
            .args(&launch.command)
            .current_dir(launch.directory)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C in a terminal is sent to the whole process group of the
            // test.
            .process_group(0);
        if let Some(user) = launch.user {
            gate.uid(user.id).gid(user.group);
        }
        let mut server = gate.spawn()?;

        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(server.id().to_string())
            .arg(signal_name(launch.end_signal))
            .arg(launch.directory)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let watchdog = match watchdog {
            Ok(watchdog) => watchdog,
            Err(error) => {
                drop(server.stdin.take());
                server.wait()?;
                return Err(error);
            }
        };

        let gate = server.stdin.take();
        let mut process = Self {
            server,
            watchdog,
            end_signal: launch.end_signal,
            status: None,
            stopped: false,
        };
        if let Some(mut gate) = gate
            && let Err(error) = gate.write_all(b"open\n")
        {
            process.end(Signal::KILL)?;
            return Err(error);
        }
        Ok(process)
    }

    /// Returns the exit status, if the server has ended.
    pub(crate) fn exited(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() && has_exited(self.pid())? {
            self.reap()?;
        }
        Ok(self.status)
    }

    /// Returns true if the server has neither ended nor been stopped.
    pub(crate) fn is_running(&mut self) -> bool {
        !self.stopped && matches!(self.exited(), Ok(None))
    }

    /// Stops the server and its children with SIGSTOP.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        if self.exited()?.is_some() {
            return Err(io::Error::other("the server is not running"));
        }
        let pid = self.pid();
        kill_process(pid, Signal::STOP)?;
        self.stopped = true;
        // When `kill` returns, the signal may not have been delivered yet.
        let stopped = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        poll_until(OBEYS_WITHIN, || {
            matches!(waitid(WaitId::Pid(pid), stopped), Ok(Some(_)))
        })
        .map_err(|_| io::Error::other("the server did not stop"))?;
        // A stopped parent starts no further children.
        for child in children(pid) {
            // It may have ended in the meantime, which is as good as stopped.
            let _ = kill_process(child, Signal::STOP);
            let _ = poll_until(OBEYS_WITHIN, || is_still(child));
        }
        Ok(())
    }

    /// Continues a stopped server.
    pub(crate) fn cont(&mut self) -> io::Result<()> {
        if self.exited()?.is_some() {
            return Err(io::Error::other("the server is not running"));
        }
        for process in children(self.pid()).into_iter().chain([self.pid()]) {
            let _ = kill_process(process, Signal::CONT);
        }
        self.stopped = false;
        Ok(())
    }

    /// Ends the server by `signal`, and by SIGKILL if it does not obey.
    pub(crate) fn end(&mut self, signal: Signal) -> io::Result<()> {
        if self.exited()?.is_some() {
            return Ok(());
        }
        let pid = self.pid();
        if signal != Signal::KILL {
            self.cont()?;
            kill_process(pid, signal)?;
            if poll_until(OBEYS_WITHIN, || has_exited(pid).unwrap_or(false)).is_ok() {
                return self.reap();
            }
        }
        let children = children(pid);
        kill_process(pid, Signal::KILL)?;
        // Children of a killed server would end by themselves, but not at once,
        // and stopped children never end.
        for &child in &children {
            let _ = kill_process(child, Signal::KILL);
        }
        self.reap()?;
        // A server does not start again while a child of the last one remains.
        let _ = poll_until(OBEYS_WITHIN, || {
            children.iter().all(|&child| is_gone(child))
        });
        Ok(())
    }

    /// Takes the exit status, which frees the process id.
    fn reap(&mut self) -> io::Result<()> {
        // The watchdog must end first, because it could signal an unrelated
        // process with the same id.
        self.watchdog.kill()?;
        self.watchdog.wait()?;
        self.status = Some(self.server.wait()?);
        Ok(())
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.server)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // A failure here cannot be handled; the watchdog remains.
        let _ = self.end(self.end_signal);
    }
}

/// Returns true if a child process has ended, without reaping it.
fn has_exited(pid: Pid) -> io::Result<bool> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    Ok(waitid(WaitId::Pid(pid), options)?.is_some())
}

/// Returns the children of a process, whichever of its threads started them.
fn children(pid: Pid) -> Vec<Pid> {
    let id = pid.as_raw_nonzero();
    let list = children_of_threads(&format!("/proc/{id}/task")).or_else(|_| {
        let output = Command::new("pgrep")
            .arg("-P")
            .arg(id.to_string())
            .output()?;
        Ok::<_, io::Error>(String::from_utf8_lossy(&output.stdout).into_owned())
    });
    list.unwrap_or_default()
        .split_whitespace()
        .filter_map(|id| Pid::from_raw(id.parse().ok()?))
        .collect()
}

fn children_of_threads(threads: &str) -> io::Result<String> {
    let mut all = String::new();
    for thread in fs::read_dir(threads)? {
        // The thread may have ended in the meantime.
        all += &fs::read_to_string(thread?.path().join("children")).unwrap_or_default();
    }
    Ok(all)
}

/// Returns true if a child of a child process executes no instructions any
/// more.
///
/// Without `/proc` this cannot be observed, so the function returns true.
fn is_still(pid: Pid) -> bool {
    state(pid).is_none_or(|state| matches!(state, 'T' | 'Z' | 'X'))
}

/// Returns true if a child of a child process has ended.
fn is_gone(pid: Pid) -> bool {
    test_kill_process(pid).is_err() || matches!(state(pid), Some('Z' | 'X'))
}

/// Returns the state of a process from `/proc`: the letter after the name,
/// which is in parentheses.
fn state(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

/// Returns the name of a signal for the shell's `kill`.
fn signal_name(signal: Signal) -> &'static str {
    match signal {
        Signal::QUIT => "QUIT",
        Signal::TERM => "TERM",
        _ => "KILL",
    }
}
