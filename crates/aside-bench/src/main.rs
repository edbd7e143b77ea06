//! Workloads that measure aside beside what it replaces.
//!
//! Every figure is a ratio between things measured alternately in one run. A
//! suite checks its own results, and fails on a wrong one.

mod bare;
mod cores;
mod heroes;
mod machine;
#[cfg(feature = "peers")]
mod peers;
mod plot;
mod records;
mod rounds;
mod servers;
mod socket;
mod stories;
mod suites;
mod table;
mod zipf;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::json;

use crate::machine::Machine;
use crate::table::Table;

/// A result that is not what it must be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Wrong(pub(crate) String);

impl From<std::io::Error> for Wrong {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

#[derive(Parser)]
#[command(about = "Measures aside beside what it replaces")]
struct Arguments {
    #[command(subcommand)]
    suite: Suite,
    /// Writes the tables here as well, as JSON, with the machine and the load.
    #[arg(long, global = true)]
    json: Option<PathBuf>,
    /// Draws what was measured here as well, as SVG.
    #[arg(long, global = true)]
    svg: Option<PathBuf>,
    /// A few seconds at most: to see that the results are right.
    #[arg(long, global = true)]
    quick: bool,
}

#[derive(Subcommand)]
enum Suite {
    /// Hits in process.
    L1,
    /// Hits in Redis.
    L2,
    /// Hits in Redis through other libraries.
    #[cfg(feature = "peers")]
    L2Peers,
    /// Crowds for one cold key.
    Miss,
    /// Updates, over PostgreSQL.
    Write,
    /// Reads and writes as YCSB mixes them, over PostgreSQL.
    Mixed,
    /// What resident entries take, and whether it grows.
    Memory,
    /// Reads what it is told to: one of the processes of `miss`.
    #[command(hide = true)]
    Reader {
        #[arg(long)]
        redis: String,
        #[arg(long)]
        postgres: String,
    },
    /// Operations as rows, kinds, indexes, instances and values grow.
    Scale,
    /// One workload through aside and others, under one checker.
    Consistency,
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
    if let Suite::Reader { redis, postgres } = &arguments.suite {
        return suites::miss::read_in_this_process(redis, postgres).await;
    }
    let machine = Machine::now();
    machine.print();
    let mut broken = None;
    let tables: Vec<Table> = match arguments.suite {
        Suite::L1 => suites::l1::run(arguments.quick).await?,
        Suite::L2 => suites::l2::run(arguments.quick)?,
        #[cfg(feature = "peers")]
        Suite::L2Peers => suites::l2_peers::run(arguments.quick).await?,
        Suite::Miss => suites::miss::run(arguments.quick).await?,
        Suite::Write => suites::write::run(arguments.quick)?,
        Suite::Mixed => suites::mixed::run(arguments.quick).await?,
        Suite::Memory => suites::memory::run(arguments.quick).await?,
        Suite::Scale => suites::scale::run(arguments.quick).await?,
        Suite::Consistency => {
            let tables;
            (tables, broken) = suites::consistency::run(arguments.quick).await?;
            tables
        }
        Suite::Reader { .. } => Vec::new(),
        Suite::Trace { file, capacity } => {
            let redis = servers::redis()?;
            suites::replay::run(&file, capacity, &redis.url()).await?
        }
        Suite::Simulate { file, capacity } => {
            suites::replay::run(&file, capacity, "memory://").await?
        }
    };
    for table in &tables {
        table.print();
    }
    let afterwards = machine.afterwards();
    machine.print_afterwards(&afterwards);
    if let Some(path) = arguments.svg {
        plot::draw(&path, &tables)?;
    }
    if let Some(path) = arguments.json {
        let all = json!({ "machine": machine, "afterwards": afterwards, "tables": tables });
        std::fs::write(&path, format!("{all:#}"))
            .map_err(|error| Wrong(format!("{}: {error}", path.display())))?;
    }
    // Only now: the tables show how it was broken.
    broken.map_or(Ok(()), Err)
}
