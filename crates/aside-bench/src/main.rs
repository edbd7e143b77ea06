//! Workloads that measure aside against the code it replaces.
//!
//! Every figure is a ratio between subjects measured alternately in one run. A
//! suite checks its own results, and fails on a wrong one.

mod error;
mod bare;
mod cores;
mod heroes;
#[cfg(feature = "peers")]
mod peers;
mod record;
mod records;
mod rounds;
mod servers;
mod machine;
mod paused_clock;
mod socket;
mod stories;
mod table;
mod trace;
mod against;
mod plot;
mod zipf;
mod suites;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::json;

use crate::against::Passes;
use crate::error::Wrong;
use crate::machine::Machine;
use crate::table::Table;

#[derive(Parser)]
#[command(about = "Measures aside against the code it replaces")]
struct Arguments {
    #[command(subcommand)]
    suite: Suite,
    /// Also writes the tables to this file, as JSON, with the machine and the
    /// load.
    #[arg(long, global = true)]
    json: Option<PathBuf>,
    /// Also draws the measured tables into this file, as SVG.
    #[arg(long, global = true)]
    svg: Option<PathBuf>,
    /// Takes a few seconds at most, to check that the results are right.
    #[arg(long, global = true)]
    quick: bool,
    /// Also measures another build of this program, alternately, and the spread
    /// of this build.
    #[arg(long, global = true, value_name = "BINARY")]
    against: Option<PathBuf>,
    /// How often each build runs the suite for `--against`.
    #[arg(long, global = true, value_name = "N", default_value_t = 5,
        value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
}

#[derive(Subcommand)]
enum Suite {
    /// Hits in the local tier.
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
    /// The memory of resident entries, and its growth.
    Memory,
    /// Reads the requested records: one of the processes of `miss`.
    #[command(hide = true)]
    Reader {
        #[arg(long)]
        redis: String,
        #[arg(long)]
        postgres: String,
    },
    /// Operations as rows, kinds, indexes, instances and values grow.
    Scale,
    /// Three primaries of a cluster, beside one.
    Cluster,
    /// The cost of many instances on many primaries, by formulae and simulated.
    Fleet(suites::fleet::Options),
    /// One workload through aside and others, under one checker.
    Consistency,
    /// Replays a file of one key per line, `.zst` or plain, over a real Redis.
    Trace {
        file: PathBuf,
        /// Local entries.
        #[arg(long, default_value_t = 10_000)]
        capacity: usize,
    },
    /// Replays a file as several tasks, without Redis, under a paused clock.
    Simulate(suites::simulate::Options),
    /// The first reads after a restart in the middle of a trace: cold, and warmed up from
    /// the hot set, also after Redis was emptied.
    Restart(suites::restart::Options),
    /// Replays a trace of rows with reads of long lists in between.
    Lists(suites::lists::Options),
    /// The hot keys of a sample of the reads, against exact counts.
    Hot {
        file: PathBuf,
        /// Local entries.
        #[arg(long, default_value_t = 10_000)]
        capacity: usize,
    },
    /// The estimated hits of other capacities, against replays with them.
    Curve {
        file: PathBuf,
        /// Local entries.
        #[arg(long, default_value_t = 10_000)]
        capacity: usize,
    },
}

impl Suite {
    /// Returns the name of a suite whose figures are measured round by round.
    fn name(&self) -> Option<&'static str> {
        match self {
            Self::L1 => Some("l1"),
            Self::L2 => Some("l2"),
            Self::Miss => Some("miss"),
            Self::Write => Some("write"),
            Self::Mixed => Some("mixed"),
            Self::Memory => Some("memory"),
            Self::Scale => Some("scale"),
            _ => None,
        }
    }
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
    let (tables, broken) = match &arguments.against {
        Some(other) => (compare(other, &arguments)?, None),
        None => measure(arguments.suite, arguments.quick).await?,
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
    // The error is returned last, because the tables show how the promise was
    // broken.
    broken.map_or(Ok(()), Err)
}

/// Compares two builds; each runs the suite in separate processes.
fn compare(other: &Path, arguments: &Arguments) -> Result<Vec<Table>, Wrong> {
    let suite = arguments.suite.name().ok_or_else(|| {
        Wrong("--against needs a suite that measures round by round, such as l1".to_owned())
    })?;
    against::run(&Passes {
        other,
        suite,
        quick: arguments.quick,
        rounds: usize::from(arguments.rounds),
    })
}

/// Returns the tables of a suite, and the promise that the library broke in it.
async fn measure(suite: Suite, quick: bool) -> Result<(Vec<Table>, Option<Wrong>), Wrong> {
    let tables = match suite {
        Suite::L1 => suites::l1::run(quick).await?,
        Suite::L2 => suites::l2::run(quick)?,
        #[cfg(feature = "peers")]
        Suite::L2Peers => suites::l2_peers::run(quick).await?,
        Suite::Miss => suites::miss::run(quick).await?,
        Suite::Write => suites::write::run(quick)?,
        Suite::Mixed => suites::mixed::run(quick).await?,
        Suite::Memory => suites::memory::run(quick).await?,
        Suite::Scale => suites::scale::run(quick).await?,
        Suite::Cluster => suites::cluster::run(quick).await?,
        Suite::Fleet(options) => suites::fleet::run(&options, quick)?,
        Suite::Consistency => return suites::consistency::run(quick).await,
        Suite::Reader { .. } => Vec::new(),
        Suite::Trace { file, capacity } => {
            let redis = servers::redis()?;
            suites::replay::run(&file, capacity, &redis.url()).await?
        }
        Suite::Simulate(options) if options.kinds => {
            suites::kinds::run(&options.file, options.capacity).await?
        }
        Suite::Simulate(options) => suites::simulate::run(&options)?,
        Suite::Restart(options) => return suites::restart::run(&options).await,
        Suite::Lists(options) => suites::lists::run(&options)?,
        Suite::Hot { file, capacity } => suites::hot::run(&file, capacity).await?,
        Suite::Curve { file, capacity } => suites::curve::run(&file, capacity).await?,
    };
    Ok((tables, None))
}
