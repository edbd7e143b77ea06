//! `aside advise`: changes that would pay, of an instance, or by the reports of the fleet.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::fleet::percent;
use super::members::{Fleet, Member};
use super::times::number;
use crate::failure::Failure;
use crate::output::Answer;
use crate::target::{Target, get};

/// Reports of fewer reads in a minute say nothing.
const MIN_READS: u64 = 1_000;

/// Instances younger than this may belong to a deployment that goes on.
const MIN_AGE_MILLIS: f64 = 3_600_000.0;

/// A shape that is in use is announced again within this time.
const RECENT_SECONDS: f64 = 120.0;

pub(super) async fn run(target: &impl Target) -> Result<Answer, Failure> {
    let advice = match target.ops() {
        None => get(target, "/cache/advice").await?["advice"].clone(),
        Some(_) => Value::Array(of_fleet(&Fleet::of(target).await?)),
    };
    let shown = advice.as_array().into_iter().flatten().enumerate();
    let mut lines: Vec<String> = shown.map(|(at, advice)| text(at + 1, advice)).collect();
    if lines.is_empty() {
        lines.push("nothing to change, or too few reads to know".to_owned());
    }
    if target.ops().is_some() {
        lines.push(
            "(by the last minute of all instances; more with --at http://HOST:PORT)".to_owned(),
        );
    }
    let text = format!("{}\n", lines.join("\n"));
    Ok(Answer::good(text, json!({ "advice": advice })))
}

fn text(number: usize, advice: &Value) -> String {
    let of = |name: &str| advice[name].as_str().unwrap_or_default();
    let mut lines = vec![
        format!("{number}  {}", of("set")),
        format!("   gain      {}", of("gain")),
        format!("   because   {}   ({})", of("evidence"), of("confidence")),
    ];
    if !of("against").is_empty() {
        lines.push(format!("   against   {}", of("against")));
    }
    lines.push(format!("   wrong if  {}", of("wrong_if")));
    lines.join("\n")
}

/// The reports on one kind, summed over the instances.
#[derive(Default)]
struct Kind {
    reads: BTreeMap<String, u64>,
    misses: BTreeMap<String, u64>,
}

impl Kind {
    fn add(&mut self, report: &Value) {
        for (name, sums) in [("reads", &mut self.reads), ("misses", &mut self.misses)] {
            for (label, count) in report[name].as_object().into_iter().flatten() {
                *sums.entry(label.clone()).or_default() += count.as_u64().unwrap_or(0);
            }
        }
    }

    fn all_reads(&self) -> u64 {
        self.reads.values().sum()
    }
}

/// Returns the advice that follows from the reports of all instances.
fn of_fleet(fleet: &Fleet) -> Vec<Value> {
    let members = fleet.members();
    let heard: Vec<&Member<'_>> = members.iter().filter(|it| !it.is_silent()).collect();
    let mut kinds: BTreeMap<&String, Kind> = BTreeMap::new();
    for member in &heard {
        for (name, report) in member.0["kinds"].as_object().into_iter().flatten() {
            kinds.entry(name).or_default().add(report);
        }
    }
    let mut advice = unread_indexes(&heard);
    advice.extend(two_shapes(&fleet.0, &heard));
    for (name, kind) in kinds
        .iter()
        .filter(|(_, kind)| MIN_READS <= kind.all_reads())
    {
        advice.extend(expired(name, kind));
        advice.extend(small_memory(name, kind));
    }
    advice
}

/// Returns true if an instance is older than a deployment takes, by its own clock.
fn is_settled(member: &Member<'_>) -> bool {
    MIN_AGE_MILLIS <= member.number("wall") - member.number("started")
}

/// Names the indexes that no instance reads by, in the time since it began.
fn unread_indexes(members: &[&Member<'_>]) -> Vec<Value> {
    if !members.iter().all(|member| is_settled(member)) {
        return Vec::new();
    }
    let mut unread: BTreeMap<&String, Option<BTreeSet<&str>>> = BTreeMap::new();
    for member in members {
        for (kind, report) in member.0["kinds"].as_object().into_iter().flatten() {
            let here = report["unread_indexes"].as_array().into_iter().flatten();
            let here: BTreeSet<&str> = here.filter_map(Value::as_str).collect();
            let everywhere = unread.entry(kind).or_default();
            let both = everywhere.take().map(|known| &known & &here);
            *everywhere = Some(both.unwrap_or(here));
        }
    }
    let each = unread.into_iter().flat_map(|(kind, indexes)| {
        let indexes = indexes.into_iter().flatten();
        indexes.map(move |index| (kind, index))
    });
    let shown = each.map(|(kind, index)| {
        json!({
            "rule": "unread-index",
            "kind": kind,
            "set": format!("remove the index `{index}` of {kind}"),
            "gain": "fewer keys in each write of a row",
            "evidence": format!(
                "{} instances have read no such list since they began, at least an hour ago, and \
                 invalidated 100 or more each",
                members.len()
            ),
            "confidence": "good",
            "against": "",
            "wrong_if": "the code no longer compiles, because something reads by it",
        })
    });
    shown.collect()
}

/// Names kinds whose values two versions of a service cannot share.
fn two_shapes(fleet: &Value, members: &[&Member<'_>]) -> Vec<Value> {
    if !members.iter().all(|member| is_settled(member)) {
        return Vec::new();
    }
    let kinds = fleet["kinds"].as_object().into_iter().flatten();
    let several = kinds.filter(|(_, kind)| {
        let shapes = kind["shapes"].as_array().into_iter().flatten();
        let announced = shapes.filter_map(|shape| shape["age_seconds"].as_f64());
        1 < announced.filter(|age| *age < RECENT_SECONDS).count()
    });
    let shown = several.map(|(kind, _)| {
        json!({
            "rule": "two-shapes",
            "kind": kind,
            "set": format!("deploy one version of {kind} to all services"),
            "gain": "instances read each other's values instead of replacing them",
            "evidence": "the instances announce more than one shape, and the youngest is older than \
                         an hour",
            "confidence": "good",
            "against": "",
            "wrong_if": "`other_shape` of `aside_misses_total` is zero",
        })
    });
    shown.collect()
}

/// Names kinds that miss mostly because of their TTL.
fn expired(name: &str, kind: &Kind) -> Option<Value> {
    let misses: u64 = kind.misses.values().sum();
    let expired = kind.misses.get("expired").copied().unwrap_or(0);
    (100 <= misses && misses < 2 * expired).then(|| {
        json!({
            "rule": "longer-ttl",
            "kind": name,
            "set": "ask an instance for its `longer-ttl`: aside advise --at http://HOST:PORT",
            "gain": format!("up to {} fewer loads a minute", number(expired)),
            "evidence": format!("{} of the misses are expired values", percent(expired, misses)),
            "confidence": "fair",
            "against": "changes by programs that report none are seen later",
            "wrong_if": "`changed` of `aside_expired_total` is more than a tenth of both",
        })
    })
}

/// Names kinds whose reads pass the local tier although Redis has their rows.
fn small_memory(name: &str, kind: &Kind) -> Option<Value> {
    let (all, shared) = (kind.all_reads(), kind.reads.get("l2_hit").copied()?);
    (all < 3 * shared).then(|| {
        json!({
            "rule": "memory",
            "kind": name,
            "set": "ask an instance for the size: aside advise --at http://HOST:PORT",
            "gain": format!("up to {} fewer reads of Redis a minute", number(shared)),
            "evidence": format!("{} of the reads are served by Redis", percent(shared, all)),
            "confidence": "fair",
            "against": "memory in each instance",
            "wrong_if": "many writes invalidate the local entries: see `aside_invalidations_total`",
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report whose kind has these reads from Redis, of 2,000, and unread indexes.
    fn report(hours: u64, l2_hits: u64, expired: u64, unread: &[&str]) -> Value {
        json!({
            "state": "in-step",
            "started": 0,
            "wall": hours * 3_600_000,
            "kinds": { "hero": {
                "reads": { "l1_hit": 2_000 - l2_hits, "l2_hit": l2_hits },
                "misses": { "expired": expired, "cold": 60 },
                "unread_indexes": unread,
            } },
        })
    }

    fn rules(shape_age: u64, reports: &[Value]) -> Vec<String> {
        let fleet = Fleet(json!({
            "instances": reports,
            "kinds": { "hero": { "shapes": [
                { "age_seconds": 3 },
                { "age_seconds": shape_age },
            ] } },
        }));
        let advice = of_fleet(&fleet).into_iter();
        let rules = advice.map(|advice| advice["rule"].as_str().unwrap().to_owned());
        rules.collect()
    }

    #[test]
    fn a_healthy_fleet_gets_no_advice() {
        let reports = [report(2, 100, 0, &["name"]), report(2, 100, 0, &[])];
        assert_eq!(rules(900, &reports), [""; 0]);
    }

    #[test]
    fn an_index_is_unread_if_no_instance_reads_by_it() {
        let all = [
            report(2, 0, 0, &["name", "lang"]),
            report(2, 0, 0, &["name"]),
        ];
        assert_eq!(rules(900, &all), ["unread-index"]);
        let young = [report(2, 0, 0, &["name"]), report(0, 0, 0, &["name"])];
        assert_eq!(rules(900, &young), [""; 0]);
    }

    #[test]
    fn two_shapes_are_named_while_both_are_announced() {
        assert_eq!(rules(5, &[report(2, 0, 0, &[])]), ["two-shapes"]);
        assert_eq!(rules(5, &[report(0, 0, 0, &[])]), [""; 0]);
    }

    #[test]
    fn the_last_minute_names_expiries_and_small_memory() {
        let both = [report(2, 900, 100, &[]), report(2, 900, 100, &[])];
        assert_eq!(rules(900, &both), ["longer-ttl", "memory"]);
    }
}
