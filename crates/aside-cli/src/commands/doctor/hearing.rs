//! The check that every instance applies invalidations.

use std::time::Duration;

use super::checks::{Checks, Severity};
use crate::commands::members::Fleet;
use crate::commands::probe::probe;
use crate::commands::times::span;
use crate::target::Target;

const LOOK: &str = "docs/operations.md#the-fleet";

pub(super) async fn check(
    target: &impl Target,
    fleet: &Fleet,
    timeout: Duration,
    checks: &mut Checks,
) {
    if !checks.runs("hearing") {
        return;
    }
    let Some(ops) = target.ops() else {
        let summary = "only Redis can be asked which instances hear: run it without --at";
        checks.finds("hearing", Severity::Unknown, summary, LOOK);
        return;
    };
    let Some(probe) = probe(ops, fleet, timeout).await else {
        let summary = "Redis refused the test invalidation";
        checks.finds("hearing", Severity::Error, summary, LOOK);
        return;
    };
    let slowest = probe.heard.iter().max_by_key(|(_, after)| *after);
    let slowest = slowest.map_or_else(String::new, |(id, after)| {
        let after = span(after.as_secs_f64() * 1e3);
        format!(", slowest {} after {after}", fleet.name_of(id))
    });
    let heard = probe.heard.len();
    let all = heard + probe.missing.len();
    let heard = format!("{heard} of {all} heard{slowest}");
    if probe.missing.is_empty() {
        checks.passes("hearing", Some(heard));
        return;
    }
    let missing = probe.missing.iter().map(|id| fleet.name_of(id));
    let missing = missing.collect::<Vec<_>>().join(", ");
    let summary = format!("{missing} did not hear the test invalidation; {heard}");
    checks.finds("hearing", Severity::Error, summary, LOOK);
}
