//! The program `tales`: its commands and its error reports.
//!
//! Exit codes: 0 success, 1 failure, 2 wrong arguments or settings. Results go
//! to standard output. Progress and logs go to standard error.

mod failure;
mod opened;
mod say;
mod logs;
mod progress;
mod serve;
mod transfer;
mod seed;
mod triggers;
mod warm;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use self::failure::Failure;
use self::logs::Logs;
use crate::AppSettings;
use crate::demo;

/// The Tale Generator: heroes, children and the stories made for them,
/// behind the caches of aside.
#[derive(Debug, Parser)]
#[command(name = "tales", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The guided example: what caching does, measured, in under a minute
    Demo {
        /// Adds an act that kills a primary of a private cluster; takes 10 s more
        #[arg(long)]
        cluster: bool,
    },
    /// Serves the HTTP API
    Serve {
        /// The address to listen on; port 0 takes a free one
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
        #[command(flatten)]
        database: DatabaseArgument,
    },
    /// Fills the database with plausible rows
    Seed {
        #[command(flatten)]
        plan: seed::PlanArguments,
        #[command(flatten)]
        database: DatabaseArgument,
    },
    /// Fills the cache from the database
    Warm {
        /// What to read
        #[arg(long, value_enum, default_value_t = warm::From::Hot)]
        from: warm::From,
        #[command(flatten)]
        database: DatabaseArgument,
    },
    /// Makes the database notify the cache of writes by other programs
    Triggers {
        /// install, or remove
        action: triggers::Action,
        #[command(flatten)]
        database: DatabaseArgument,
    },
    /// Writes every row as one line of JSON
    Export {
        /// The file to write; - is standard output
        #[arg(default_value = "-")]
        file: PathBuf,
        #[command(flatten)]
        database: DatabaseArgument,
    },
    /// Adds the rows of an export; skips rows that are already stored
    Import {
        /// The file to read; - is standard input
        #[arg(default_value = "-")]
        file: PathBuf,
        /// Only checks that every line can be read, and adds nothing
        #[arg(long)]
        check: bool,
        #[command(flatten)]
        database: DatabaseArgument,
    },
}

#[derive(Debug, Args)]
struct DatabaseArgument {
    /// The database: sqlite:FILE or postgres://..., instead of DATABASE_URL
    #[arg(long = "database", value_name = "URL")]
    url: Option<String>,
}

impl DatabaseArgument {
    fn settings(&self, with_a_bar: bool, logs: &mut Logs) -> Result<AppSettings, Failure> {
        let settings = AppSettings::load(self.url.as_deref()).map_err(Failure::Settings)?;
        *logs = logs::begin(&settings, with_a_bar);
        Ok(settings)
    }
}

/// Runs the command that the arguments name.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return exit(Failure::new("no threads could be started", error)),
    };
    let mut logs = Logs::default();
    let done = runtime.block_on(obey(cli.command, &mut logs));
    // A read of standard input and a name lookup cannot be cancelled, and no
    // task waits for them any more.
    runtime.shutdown_background();
    // The final message should follow the log lines.
    drop(logs);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => exit(failure),
    }
}

/// Writes the failure to standard error and returns the exit code.
fn exit(failure: Failure) -> ExitCode {
    match failure {
        Failure::Settings(problems) => {
            for problem in problems.problems() {
                say::beside(&format!("tales: {problem}"));
            }
            ExitCode::from(2)
        }
        Failure::Told(line) => {
            say::beside(&format!("tales: {line}"));
            ExitCode::FAILURE
        }
        Failure::Said => ExitCode::FAILURE,
    }
}

async fn obey(command: Command, logs: &mut Logs) -> Result<(), Failure> {
    match command {
        Command::Demo { cluster } => match demo::run(cluster).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::Said),
            Err(error) => Err(Failure::new("the demo could not be shown", error)),
        },
        Command::Serve { listen, database } => {
            serve::serve(listen, database.settings(false, logs)?).await
        }
        Command::Seed { plan, database } => seed::seed(plan, &database.settings(true, logs)?).await,
        Command::Warm { from, database } => warm::warm(from, database.settings(true, logs)?).await,
        Command::Triggers { action, database } => {
            triggers::change(action, &database.settings(false, logs)?).await
        }
        Command::Export { file, database } => {
            transfer::export(&file, &database.settings(true, logs)?).await
        }
        Command::Import {
            file,
            check,
            database,
        } => {
            let settings = database.settings(true, logs)?;
            if check {
                transfer::check(&file).await
            } else {
                transfer::import(&file, &settings).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_well_formed() {
        Cli::command().debug_assert();
    }
}
