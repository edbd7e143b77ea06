//! An instance in a process of its own, which can be stopped and can die.

use std::env;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// Where it finds Redis, and what it has to do.
const ROLE: &str = "ASIDE_TEST_ANOTHER_PROCESS";

/// A process that does not outlive its test.
pub(crate) struct AnotherProcess {
    child: Child,
    stdin: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl AnotherProcess {
    /// Starts this very program as the test of that name, which finds `role`.
    pub(crate) fn start(test: &str, role: &str) -> Self {
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.expect("this very program");
        let stdin = child.stdin.take().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdin, said }
    }

    /// What this process has to do, if it was started like that.
    pub(crate) fn role() -> Option<String> {
        env::var(ROLE).ok()
    }

    /// The next thing it says that begins with this word.
    pub(crate) fn hear(&mut self, word: &str) -> String {
        let mut lines = self.said.by_ref().lines().map_while(Result::ok);
        let line = lines.find(|line| line.starts_with(word));
        line.unwrap_or_else(|| panic!("the other process never said {word}"))
    }

    /// Lets it go on where it waits for a word.
    pub(crate) fn go_on(&mut self) {
        self.stdin.write_all(b"go on\n").expect("it listens");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("our own process");
    }

    /// Waits until it has stopped itself.
    pub(crate) fn has_stopped(&self) {
        let pid = Some(Pid::from_child(&self.child));
        let status = waitpid(pid, WaitOptions::UNTRACED).expect("our own process");
        let (_, status) = status.expect("it stops itself");
        assert!(status.stopped());
    }

    /// Waits until it is over.
    pub(crate) fn has_ended(&mut self) -> ExitStatus {
        self.child.wait().expect("our own process")
    }
}

impl Drop for AnotherProcess {
    fn drop(&mut self) {
        // A stopped process can be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
