//! An instance in a separate process, which can be stopped and killed.

use std::env;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// The variable with the role and the Redis of the child process.
const ROLE: &str = "ASIDE_TEST_ANOTHER_PROCESS";

/// A process that does not outlive its test.
pub(crate) struct AnotherProcess {
    child: Child,
    stdin: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl AnotherProcess {
    /// Starts this test program with the test of that name, which reads `role`.
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

    /// Returns the role of this process, if it was started like that.
    pub(crate) fn role() -> Option<String> {
        env::var(ROLE).ok()
    }

    /// Returns its next output line that begins with this word.
    pub(crate) fn hear(&mut self, word: &str) -> String {
        let mut lines = self.said.by_ref().lines().map_while(Result::ok);
        let line = lines.find(|line| line.starts_with(word));
        line.unwrap_or_else(|| panic!("the other process never printed {word}"))
    }

    /// Continues it when it waits for a line.
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

    /// Waits until it has exited.
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
