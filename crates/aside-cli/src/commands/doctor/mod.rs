//! `aside doctor`: checks Redis and the fleet, and says what to do.
//!
//! It writes nothing but the keys of a test invalidation and of a test of the user's rights,
//! which last for 30 seconds.

mod checks;
mod server;
mod instances;
mod facts;
mod hearing;

use std::time::Duration;

use self::checks::Checks;
use super::members::Fleet;
use crate::arguments;
use crate::failure::Failure;
use crate::output::Answer;
use crate::target::{Target, get};

pub(super) async fn run(
    target: &impl Target,
    asked: &arguments::Doctor,
    timeout: Duration,
) -> Result<Answer, Failure> {
    let stats = get(target, "/cache/stats").await?;
    let fleet = Fleet::of(target).await?;
    let mut checks = Checks::new(&asked.only);
    server::check(&stats["health"], &mut checks);
    instances::check(&fleet, &mut checks);
    facts::check(target, &fleet, &mut checks).await;
    hearing::check(target, &fleet, timeout, &mut checks).await;
    Ok(checks.answer())
}
