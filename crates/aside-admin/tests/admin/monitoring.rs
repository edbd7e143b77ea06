//! Everything that `monitoring/` and `docs/operations.md` rely on is published.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::metrics::{LABELS_OF_A_SHARD, OF_EACH_SHARD, Series, after_some_traffic, series};

/// The labels that Prometheus adds.
const OF_THE_SCRAPE: [&str; 2] = ["instance", "job"];

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = std::fs::read_to_string(root.join(path));
    read.unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// One use of a metric: its name and its label matchers.
#[derive(Debug)]
struct Use {
    name: String,
    /// The label, and the values in its matcher.
    labels: Vec<(String, Vec<String>)>,
}

/// Returns every word of `text` that begins like a metric, with its selector.
fn uses(text: &str) -> Vec<Use> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("aside_") {
        let text = &text[at..];
        let end = text
            .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            .unwrap_or(text.len());
        let selector = text[end..]
            .strip_prefix('{')
            .and_then(|rest| rest.split_once('}'))
            .map_or("", |(selector, _)| selector);
        let labels = selector.split(',').filter(|part| !part.is_empty());
        let labels = labels.map(|part| {
            let (label, values) = part.split_once('=').unwrap();
            let values = values.trim_start_matches('~').trim_matches('"');
            let values = values.split('|').map(str::to_owned).collect();
            // Of `label!="value"`.
            (label.trim_end_matches('!').to_owned(), values)
        });
        found.push(Use {
            name: text[..end].to_owned(),
            labels: labels.collect(),
        });
    }
    found
}

/// Fails if `text` uses a metric or label that no scrape has.
fn check(place: &str, text: &str, live: &Series) -> usize {
    let found = uses(text);
    for Use { name, labels } in &found {
        let known = live
            .get(name)
            .unwrap_or_else(|| panic!("{place}: {name} is not published"));
        for (label, values) in labels {
            if OF_THE_SCRAPE.contains(&label.as_str()) {
                continue;
            }
            let known = known
                .get(label)
                .unwrap_or_else(|| panic!("{place}: {name} has no label {label}"));
            for value in values {
                assert!(
                    known.contains(value),
                    "{place}: {name} has no {label}={value}"
                );
            }
        }
    }
    for (_, rest) in text
        .match_indices("by (")
        .map(|(at, by)| (at, &text[at + by.len()..]))
    {
        for label in rest.split_once(')').unwrap().0.split(", ") {
            let of_a_shard = LABELS_OF_A_SHARD.contains(&label)
                && found
                    .iter()
                    .any(|used| OF_EACH_SHARD.contains(&&*used.name));
            let known = OF_THE_SCRAPE.contains(&label)
                || of_a_shard
                || found
                    .iter()
                    .any(|used| live[&used.name].contains_key(label));
            assert!(
                known,
                "{place}: grouped by {label}, which nothing there has"
            );
        }
    }
    found.len()
}

/// Collects every text inside a JSON document.
fn texts<'a>(json: &'a Value, into: &mut Vec<&'a str>) {
    match json {
        Value::String(text) => into.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, into)),
        _ => {}
    }
}

#[tokio::test]
async fn the_dashboard_uses_only_published_metrics() {
    let live = series(&after_some_traffic().await);
    let path = "monitoring/grafana-dashboard.json";
    let dashboard: Value = serde_json::from_str(&read(path)).unwrap();
    let mut all = Vec::new();
    texts(&dashboard, &mut all);
    let used: usize = all.iter().map(|text| check(path, text, &live)).sum();
    assert!(used > 20);
}

#[tokio::test]
async fn the_alerts_use_only_published_metrics() {
    let live = series(&after_some_traffic().await);
    let path = "monitoring/alerts.yml";
    let rules = read(path);
    // The text before the first rule is a title.
    let rules: Vec<&str> = rules.split("- alert: ").skip(1).collect();
    for rule in &rules {
        assert!(check(path, rule, &live) > 0, "{rule}");
    }
    assert!(rules.len() > 5);
}

#[tokio::test]
async fn every_metric_is_described_with_its_labels() {
    let live = series(&after_some_traffic().await);
    let page = read("docs/operations.md");
    let described: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter(|line| line.starts_with("aside_"))
        .collect();
    for (name, labels) in &live {
        // A histogram is described once, under its own name.
        let name = ["_bucket", "_sum", "_count"]
            .iter()
            .fold(name.as_str(), |name, part| {
                name.strip_suffix(part).unwrap_or(name)
            });
        let row = described
            .iter()
            .find(|row| row.starts_with(&format!("{name}`")))
            .unwrap_or_else(|| panic!("{name} is not described"));
        let shown = row.split('|').nth(1).unwrap();
        let mut labels: Vec<&str> = labels.keys().map(String::as_str).collect();
        if OF_EACH_SHARD.contains(&name) {
            labels.extend(LABELS_OF_A_SHARD);
        }
        for label in labels.into_iter().filter(|label| *label != "le") {
            assert!(shown.contains(&format!("`{label}`")), "{name}: {label}");
        }
    }
    let live: BTreeSet<&str> = live.keys().map(String::as_str).collect();
    for row in described {
        let name = row.split('`').next().unwrap();
        let known = live.contains(name) || live.contains(format!("{name}_sum").as_str());
        assert!(known, "{name} is described and not published");
    }
}

/// Returns each rule of the alerts: its name, and its text.
fn rules() -> Vec<(String, String)> {
    let text = read("monitoring/alerts.yml");
    let rules = text.split("- alert: ").skip(1);
    let named = rules.map(|rule| {
        let (name, rest) = rule.split_once('\n').unwrap();
        (name.to_owned(), rest.to_owned())
    });
    named.collect()
}

/// Returns the anchor that a heading has on a page.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.collect::<String>().replace(' ', "-")
}

#[test]
fn every_alert_leads_to_its_part_of_the_runbook() {
    let page = read("docs/operations.md");
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let anchors: BTreeSet<String> = headings
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect();
    for (name, rule) in rules() {
        for part in ["severity: ", "summary: ", "description: "] {
            assert!(rule.contains(part), "{name} has no {part}");
        }
        let (_, url) = rule
            .split_once("runbook_url: docs/operations.md#")
            .expect(&name);
        let part = url.lines().next().unwrap();
        assert!(anchors.contains(part), "{name}: no part {part}");
        let named = format!("`{name}`");
        assert!(page.contains(&named), "{name} is not described");
    }
}

#[test]
fn every_alert_has_a_history_that_fires_it_and_one_that_does_not() {
    let histories = read("monitoring/alerts_test.yml");
    let expectations: Vec<&str> = histories.split("- expr: ").skip(1).collect();
    for (name, _) in rules() {
        let named = format!("alertname=\"{name}\"");
        let of_it = expectations.iter().filter(|text| {
            let line = text.lines().next().unwrap();
            line.contains(&named)
        });
        let silent = of_it
            .clone()
            .filter(|text| text.contains("exp_samples: []"));
        let (all, silent) = (of_it.count(), silent.count());
        assert!(0 < silent && silent < all, "{name}: {silent} of {all}");
    }
}

/// Skipped without promtool, with a line, and never in CI.
#[test]
fn the_histories_of_the_alerts_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let run = Command::new("promtool")
        .args(["test", "rules", "monitoring/alerts_test.yml"])
        .current_dir(root)
        .output();
    match run {
        Ok(run) => assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        ),
        Err(_) => {
            let missing = "there is no promtool on the PATH: run `make setup`";
            assert!(std::env::var_os("CI").is_none(), "{missing}");
            eprintln!("skipped: {missing}");
        }
    }
}
