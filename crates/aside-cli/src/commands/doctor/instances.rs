//! The checks of the instances, and of their agreement.

use std::collections::BTreeSet;

use super::checks::{Checks, Severity};
use crate::commands::members::{Fleet, Member};
use crate::commands::times::{counted, span};

/// A clock that differs by more is wrong, in milliseconds.
const CLOCK_WITHIN_MS: f64 = 1_000.0;

/// A shape that was reported within this time is deployed, in seconds.
const SHAPE_LASTS: f64 = 120.0;

/// Rows of a journal that wait longer are stuck, in milliseconds.
const JOURNAL_WITHIN_MS: f64 = 30_000.0;

const FLEET: &str = "docs/operations.md#the-fleet";

pub(super) fn check(fleet: &Fleet, checks: &mut Checks) {
    if !fleet.is_known() {
        let summary = "no instance is known: Redis does not reply to this instance";
        checks.finds("fleet", Severity::Unknown, summary, FLEET);
        return;
    }
    if fleet.members().is_empty() {
        let summary = "no instance announces itself: is CACHE_HEARTBEAT_MS zero, or \
                       CACHE_NAMESPACE another?";
        checks.finds("fleet", Severity::Warning, summary, FLEET);
        return;
    }
    members(fleet, checks);
    agreement(fleet, checks);
}

/// Returns the described members for which `is_wrong` is true, as one text.
fn those(
    members: &[Member<'_>],
    is_wrong: impl Fn(&Member<'_>) -> Option<String>,
) -> Option<String> {
    let wrong: Vec<String> = members.iter().filter_map(is_wrong).collect();
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

fn members(fleet: &Fleet, checks: &mut Checks) {
    let members = fleet.members();
    let bad = those(&members, |it| (!it.is_in_step()).then(|| it.described()));
    checks.judge("fleet", Severity::Error, bad, FLEET);
    let alive: Vec<Member<'_>> = members.into_iter().filter(|it| !it.is_silent()).collect();
    let clocks = those(&alive, |it| {
        let ahead = it.number("clock_ahead_ms");
        let way = if ahead < 0.0 { "behind" } else { "ahead of" };
        let by = span(ahead.abs());
        (CLOCK_WITHIN_MS < ahead.abs())
            .then(|| format!("the clock of {} is {by} {way} Redis", it.name()))
    });
    checks.judge("clock", Severity::Warning, clocks, FLEET);
    let breakers = those(&alive, |it| {
        let state = it.0["breaker"].as_str().unwrap_or("closed");
        (state != "closed").then(|| format!("the breaker of {} is {state}", it.name()))
    });
    checks.judge("breaker", Severity::Warning, breakers, FLEET);
    let pending = those(&alive, |it| {
        let held = it.0["held"].as_u64().unwrap_or(0);
        (0 < held).then(|| {
            format!(
                "{} reads {} from the database",
                it.name(),
                counted(held, "key")
            )
        })
    });
    let look = "docs/operations.md#invalidations-are-pending";
    checks.judge("pending", Severity::Warning, pending, look);
    let journals = those(&alive, |it| {
        let oldest = it.0["journal"]["oldest_ms"].as_f64().unwrap_or(0.0);
        (JOURNAL_WITHIN_MS < oldest).then(|| {
            format!(
                "{} has journal rows that wait for {}",
                it.name(),
                span(oldest)
            )
        })
    });
    checks.judge("journal", Severity::Error, journals, look);
}

/// Checks that all instances have the same settings, version and shapes.
fn agreement(fleet: &Fleet, checks: &mut Checks) {
    let members = fleet.members();
    let alive = members.iter().filter(|it| !it.is_silent());
    let differ = |name: &str| {
        let values: BTreeSet<&str> = alive.clone().filter_map(|it| it.0[name].as_str()).collect();
        (1 < values.len()).then(|| values.into_iter().collect::<Vec<_>>().join(", "))
    };
    let settings = differ("settings").map(|_| {
        "instances disagree on CACHE_MAX_STALENESS_MS, CACHE_QUARANTINE_TTL_MS or \
         CACHE_LEASE_TTL_MS"
    });
    checks.judge("settings", Severity::Error, settings, FLEET);
    let versions = differ("version").map(|found| format!("versions of the library: {found}"));
    checks.judge("versions", Severity::Warning, versions, FLEET);
    let kinds = fleet.0["kinds"].as_object().into_iter().flatten();
    let twice = kinds.filter_map(|(kind, known)| {
        let shapes = known["shapes"].as_array()?.iter();
        let fresh = shapes.filter(|it| it["age_seconds"].as_f64() < Some(SHAPE_LASTS));
        (1 < fresh.count()).then(|| kind.clone())
    });
    let twice: Vec<String> = twice.collect();
    let shapes = (!twice.is_empty()).then(|| {
        format!(
            "two shapes are deployed of {}: each misses the other's values",
            twice.join(", ")
        )
    });
    checks.judge("shapes", Severity::Warning, shapes, FLEET);
}
