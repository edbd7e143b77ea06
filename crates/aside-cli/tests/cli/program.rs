//! Runs of the program.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The token of the admin routes of the instances.
pub(crate) const TOKEN: &str = "a token of the tests";

/// The output of a run, and its exit code.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// Returns the envelope of `--json`.
    pub(crate) fn json(&self) -> Value {
        let parsed = serde_json::from_str(&self.out);
        parsed.unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Returns the program with these settings alone.
pub(crate) fn program(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aside"));
    command
        .args(arguments)
        .env_clear()
        .env("REDIS_URL", url)
        .env("ADMIN_TOKEN", TOKEN)
        // Without an `.env` of the workspace.
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(crate) fn aside(url: &str, arguments: &[&str]) -> Run {
    run(&mut program(url, arguments))
}

pub(crate) fn run(command: &mut Command) -> Run {
    let output = command.output();
    let Output {
        status,
        stdout,
        stderr,
    } = output.expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Run {
        code: status.code(),
        out: text(stdout),
        err: text(stderr),
    }
}
