//! The cost of many instances on many primaries, by formulae and by a
//! simulation.
//!
//! No library and no server runs here. The costs of single events are measured
//! constants, and docs/scale.md derives the formulae and names the limits.

mod designs;
mod costs;
mod figures;
mod simulation;

#[cfg(test)]
mod tests;

use clap::Args;

use self::designs::{Design, Fleet, LONGER_BOUND, PLAIN, RELAY, SCRIPT_ROUNDS, SHARD_CHANNELS};
use self::figures::{Figures, by_formula, most_instances};
use self::simulation::Outcome;
use crate::error::Wrong;
use crate::table::{Cell, Table};

/// The size of the fleet.
#[derive(Args)]
pub(crate) struct Options {
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    instances: u32,
    /// Primaries that own slots.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=200))]
    shards: u32,
    /// Replicas of each primary.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=5))]
    replicas: u32,
    /// Writes of the whole fleet.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    writes_per_s: u32,
    /// Keys that a write invalidates.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    keys_per_write: u32,
    /// The staleness bound of local hits.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(20..=60_000))]
    max_staleness_ms: u32,
    /// Decides the random times and keys.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const DESIGNS: [Design; 5] = [PLAIN, SHARD_CHANNELS, SCRIPT_ROUNDS, LONGER_BOUND, RELAY];

/// The simulated seconds, usually and with `--quick`.
const SECONDS: f64 = 3.0;
const QUICK_SECONDS: f64 = 0.5;

/// The part of a primary's core that rounds and messages may take.
const CORE: f64 = 0.25;

/// The sizes of the clusters in the table of limits.
const SHARDS: [u32; 5] = [3, 6, 12, 30, 100];

pub(crate) fn run(options: &Options, quick: bool) -> Result<Vec<Table>, Wrong> {
    let seconds = if quick { QUICK_SECONDS } else { SECONDS };
    let mut tables = Vec::new();
    let mut compared = Vec::new();
    for design in DESIGNS {
        let fleet = options.fleet(design);
        let formulae = by_formula(&fleet);
        let outcome = simulation::run(&fleet, seconds, options.seed);
        check(&outcome)?;
        tables.push(beside(&fleet, &formulae, &outcome));
        compared.push(row(&fleet, &formulae, &outcome));
    }
    let columns = vec![
        "design",
        "core of a primary, formula",
        "busiest, simulated",
        "MB/s from a primary",
        "KB/s to an instance or relay",
        "a round, p50",
        "p99",
        "time without trust",
    ];
    tables.push(Table::counted(options.title("designs"), columns, compared));
    tables.push(limits(options));
    Ok(tables)
}

/// Checks that the simulation counted rounds of every server.
fn check(outcome: &Outcome) -> Result<(), Wrong> {
    if outcome.round_ms[0].is_nan() || !(0.0..=1.0).contains(&outcome.untrusted) {
        return Err(Wrong(format!(
            "the simulation counted no round: {outcome:?}"
        )));
    }
    Ok(())
}

impl Options {
    fn fleet(&self, design: Design) -> Fleet {
        Fleet {
            instances: self.instances,
            shards: self.shards,
            replicas: self.replicas,
            writes_per_s: f64::from(self.writes_per_s),
            keys_per_write: self.keys_per_write,
            staleness_ms: f64::from(self.max_staleness_ms),
            design,
        }
    }

    fn title(&self, subject: &str) -> String {
        format!(
            "{} instances on {} primaries, {} writes/s of {} keys: {subject}",
            self.instances, self.shards, self.writes_per_s, self.keys_per_write
        )
    }
}

/// Returns the figures of one design, by the formulae and by the simulation.
fn beside(fleet: &Fleet, formulae: &Figures, outcome: &Outcome) -> Table {
    let pairs = formulae.named().into_iter().zip(outcome.figures.named());
    let rows = pairs.map(|((name, formula), (_, simulated))| {
        let difference = match formula {
            0.0 => 0.0,
            formula => 100.0 * (simulated / formula - 1.0),
        };
        vec![
            Cell::Name(name.to_owned()),
            Cell::Each(formula),
            Cell::Each(simulated),
            Cell::Percent(difference),
        ]
    });
    let title = format!("{} instances, {}", fleet.instances, fleet.design.name);
    let columns = vec!["", "formula", "simulation", "difference"];
    Table::counted(title, columns, rows.collect())
}

fn row(fleet: &Fleet, formulae: &Figures, outcome: &Outcome) -> Vec<Cell> {
    let [median, slowest] = outcome.round_ms;
    vec![
        Cell::Name(fleet.design.name.to_owned()),
        Cell::Each(formulae.core_of_primary),
        Cell::Each(outcome.core_of_busiest),
        Cell::Each(formulae.bytes_per_primary / 1e6),
        Cell::Each(formulae.bytes_per_subscriber / 1e3),
        Cell::Milliseconds(median),
        Cell::Milliseconds(slowest),
        Cell::Percent(100.0 * outcome.untrusted),
    ]
}

/// Returns the most instances for which rounds and messages take a quarter of a
/// primary's core.
fn limits(options: &Options) -> Table {
    let rows = SHARDS.map(|shards| {
        let most = |design| {
            let fleet = Fleet {
                shards,
                ..options.fleet(design)
            };
            Cell::Count(u64::from(most_instances(&fleet, CORE)))
        };
        let mut row = vec![Cell::Count(u64::from(shards))];
        row.extend(DESIGNS.map(most));
        row
    });
    let mut columns = vec!["primaries"];
    columns.extend(DESIGNS.map(|design| design.name));
    let title = format!(
        "Instances at {:.0} % of a primary's core, {} writes/s of {} keys",
        100.0 * CORE,
        options.writes_per_s,
        options.keys_per_write
    );
    Table::counted(title, columns, rows.to_vec())
}
