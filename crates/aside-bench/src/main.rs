//! Workloads that measure aside beside what it replaces.
//!
//! Every figure is a ratio between things measured alternately in one run. A
//! suite checks its own results, and fails on a wrong one.

mod heroes;
mod machine;
mod rounds;
mod suites;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use aside_testkit::RedisServer;
use clap::{Parser, Subcommand};

use crate::table::Table;

/// A result that is not what it must be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Wrong(pub(crate) String);

#[derive(Parser)]
#[command(about = "Measures aside beside what it replaces")]
struct Arguments {
    #[command(subcommand)]
    suite: Suite,
    /// Writes the tables here as well, as JSON.
    #[arg(long, global = true)]
    json: Option<PathBuf>,
    /// A few seconds at most: to see that the results are right.
    #[arg(long, global = true)]
    quick: bool,
}

#[derive(Subcommand)]
enum Suite {
    /// Hits in process.
    L1,
    /// Crowds for one cold key.
    Miss,
    /// Replays a file of one key per line, `.zst` or plain, over a real Redis.
    Trace {
        file: PathBuf,
        /// In-process entries.
        #[arg(long, default_value_t = 10_000)]
        capacity: usize,
    },
    /// The same without Redis.
    Simulate {
        file: PathBuf,
        /// In-process entries.
        #[arg(long, default_value_t = 10_000)]
        capacity: usize,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("aside-bench: {wrong}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Wrong> {
    machine::print();
    let tables: Vec<Table> = match arguments.suite {
        Suite::L1 => suites::l1::run(arguments.quick).await?,
        Suite::Miss => suites::miss::run(arguments.quick).await?,
        Suite::Trace { file, capacity } => {
            let redis = RedisServer::start().map_err(|error| Wrong(error.to_string()))?;
            suites::replay::run(&file, capacity, &redis.url()).await?;
            Vec::new()
        }
        Suite::Simulate { file, capacity } => {
            suites::replay::run(&file, capacity, "memory://").await?;
            Vec::new()
        }
    };
    for table in &tables {
        table.print();
    }
    if let Some(path) = arguments.json {
        let json =
            serde_json::to_string_pretty(&tables).map_err(|error| Wrong(error.to_string()))?;
        std::fs::write(&path, json)
            .map_err(|error| Wrong(format!("{}: {error}", path.display())))?;
    }
    Ok(())
}
