//! `tales seed`

use clap::Args;

use super::failure::Failure;
use super::opened;
use super::progress::Progress;
use super::say;
use super::transfer::sum_up;
use crate::AppSettings;
use crate::seed::{Plan, seed as write_rows};

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct PlanArguments {
    /// The number of heroes
    #[arg(long, value_name = "N", default_value_t = 20)]
    heroes: u64,
    /// The number of children
    #[arg(long, value_name = "N", default_value_t = 20)]
    children: u64,
    /// The number of stories
    #[arg(long, value_name = "N", default_value_t = 100)]
    stories: u64,
    /// The seed number; the same number gives the same rows
    #[arg(long, value_name = "S", default_value_t = 1)]
    rng_seed: u64,
}

pub(super) async fn seed(arguments: PlanArguments, settings: &AppSettings) -> Result<(), Failure> {
    let tales = opened::open(settings).await?;
    opened::warn_of_what_is_not_heard(&tales);
    let plan = Plan {
        heroes: arguments.heroes,
        children: arguments.children,
        stories: arguments.stories,
        rng_seed: arguments.rng_seed,
    };
    let mut progress = Progress::new("seeding", Some(plan.rows()));
    let seeded = write_rows(&tales.database, tales.cache(), plan, |sum| {
        progress.reached(sum.added + sum.present);
    });
    let seeded = seeded.await;
    let elapsed = progress.finish();
    opened::close(&tales).await;
    let sum = seeded.map_err(|error| Failure::new("seeding stopped", error))?;
    say::result(&sum_up(sum, elapsed))
}
