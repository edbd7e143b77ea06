//! `aside stats`: reads, hits and misses of each kind in the last minute.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::fleet::{per_second, percent};
use super::members::Fleet;
use super::times::{counted, number};
use crate::failure::Failure;
use crate::output::{Answer, table};
use crate::target::{Target, get};

const HEAD: [&str; 9] = [
    "KIND",
    "READS/S",
    "LOCAL",
    "SHARED",
    "ABSENT",
    "DATABASE",
    "ENTRIES",
    "INVALIDATED/S",
    "WHY MISSED",
];

/// The outcomes of reads, and the counters of `GET /cache/stats` that have them.
const OUTCOMES: [(&str, &str); 6] = [
    ("l1_hit", "l1_hits"),
    ("l2_hit", "l2_hits"),
    ("negative_hit", "negative_hits"),
    ("stale_hit", "stale_hits"),
    ("miss", "misses"),
    ("bypass", "bypasses"),
];

/// The counts of one kind over all instances.
#[derive(Default)]
struct Kind {
    reads: BTreeMap<String, u64>,
    misses: BTreeMap<String, u64>,
    bypasses: BTreeMap<String, u64>,
    invalidations: u64,
    entries: u64,
}

/// The counts of a span of time.
struct Counts {
    kinds: BTreeMap<String, Kind>,
    instances: u64,
    seconds: f64,
    note: &'static str,
}

pub(super) async fn run(target: &impl Target) -> Result<Answer, Failure> {
    let counts = counts(target).await?;
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    let kinds = counts.kinds.iter();
    rows.extend(kinds.map(|(name, kind)| kind.row(name, counts.seconds)));
    let text = format!(
        "(last {:.0} s, {}{})\n{}",
        counts.seconds,
        counted(counts.instances, "instance"),
        counts.note,
        table(&rows)
    );
    let kinds = counts.kinds.iter();
    let shown = kinds.map(|(name, kind)| (name.clone(), kind.shown()));
    let data = json!({
        "seconds": counts.seconds,
        "instances": counts.instances,
        "kinds": shown.collect::<Map<_, _>>(),
    });
    Ok(Answer::good(text, data))
}

async fn counts(target: &impl Target) -> Result<Counts, Failure> {
    let fleet = Fleet::of(target).await?;
    if target.ops().is_none() && fleet.members().is_empty() {
        return of_instance(target).await;
    }
    let mut counts = Counts {
        kinds: BTreeMap::new(),
        instances: 0,
        seconds: 0.0,
        note: "",
    };
    for member in fleet.members().iter().filter(|member| !member.is_silent()) {
        counts.instances += 1;
        counts.seconds = counts.seconds.max(member.number("seconds"));
        for (name, of_kind) in member.0["kinds"].as_object().into_iter().flatten() {
            counts.kinds.entry(name.clone()).or_default().add(of_kind);
        }
    }
    Ok(counts)
}

/// Returns the counts of the instance that is asked, if it knows no others.
async fn of_instance(target: &impl Target) -> Result<Counts, Failure> {
    let stats = get(target, "/cache/stats").await?;
    let mut counts = Counts {
        kinds: BTreeMap::new(),
        instances: 1,
        seconds: 0.0,
        note: ", which knows no others now",
    };
    for (name, of_kind) in stats["kinds"].as_object().into_iter().flatten() {
        let minute = &of_kind["last_minute"];
        let seconds = minute["seconds"].as_f64().unwrap_or(0.0);
        counts.seconds = counts.seconds.max(seconds);
        // In the form of a report to the fleet.
        let reads =
            OUTCOMES.map(|(outcome, counter)| (outcome.to_owned(), minute[counter].clone()));
        counts.kinds.entry(name.clone()).or_default().add(&json!({
            "reads": Map::from_iter(reads),
            "misses": minute["miss_reasons"],
            "bypasses": minute["bypass_reasons"],
            "invalidations": minute["invalidations"],
            "entries": of_kind["l1_entries"],
        }));
    }
    Ok(counts)
}

impl Kind {
    fn add(&mut self, counts: &Value) {
        for (name, sums) in [
            ("reads", &mut self.reads),
            ("misses", &mut self.misses),
            ("bypasses", &mut self.bypasses),
        ] {
            for (label, count) in counts[name].as_object().into_iter().flatten() {
                *sums.entry(label.clone()).or_default() += count.as_u64().unwrap_or(0);
            }
        }
        self.invalidations += counts["invalidations"].as_u64().unwrap_or(0);
        self.entries += counts["entries"].as_u64().unwrap_or(0);
    }

    fn row(&self, name: &str, seconds: f64) -> Vec<String> {
        let all = self.reads.values().sum();
        let share = |labels: &[&str]| {
            let counts = labels.iter().filter_map(|label| self.reads.get(*label));
            percent(counts.sum(), all)
        };
        vec![
            name.to_owned(),
            per_second(all, seconds),
            share(&["l1_hit", "stale_hit"]),
            share(&["l2_hit"]),
            share(&["negative_hit"]),
            share(&["miss", "bypass"]),
            number(self.entries),
            per_second(self.invalidations, seconds),
            self.why(),
        ]
    }

    /// Returns the most frequent reasons of reads from the database.
    fn why(&self) -> String {
        let mut reasons: Vec<(&String, u64)> = self
            .misses
            .iter()
            .chain(&self.bypasses)
            .map(|(reason, count)| (reason, *count))
            .collect();
        let all = reasons.iter().map(|(_, count)| count).sum();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let shown = reasons.iter().take(3);
        let shown: Vec<String> = shown
            .map(|(reason, count)| format!("{reason} {}", percent(*count, all)))
            .collect();
        match shown.is_empty() {
            true => "-".to_owned(),
            false => shown.join(", "),
        }
    }

    fn shown(&self) -> Value {
        json!({
            "reads": self.reads,
            "misses": self.misses,
            "bypasses": self.bypasses,
            "invalidations": self.invalidations,
            "entries": self.entries,
        })
    }
}
