//! `aside watch`: invalidations as they arrive.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::members::Fleet;
use crate::arguments::Watch;
use crate::failure::{Code, Failure};
use crate::output::Output;
use crate::target::{Target, events, query};

/// The least time between two looks for the name of an unknown sender.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// The width of the keys, unless one is longer.
const KEY_WIDTH: usize = 32;

pub(super) async fn run(
    target: &impl Target,
    asked: &Watch,
    output: &Output,
) -> Result<Code, Failure> {
    let mut names = Names::of(target).await;
    let mut events = events(target, &path(asked)).await?;
    let until = asked.lasting.map(|time| Instant::now() + time);
    loop {
        let next = match until {
            Some(until) => tokio::time::timeout_at(until, events.next()).await,
            None => Ok(events.next().await),
        };
        let Ok(next) = next else {
            return Ok(Code::Good);
        };
        let (event, mut data) = next?;
        if let Some(by) = data["by"].as_str() {
            data["name"] = json!(names.name(target, by).await);
        }
        data["event"] = json!(event);
        if !output.line(&data, &text(&data))? {
            return Ok(Code::Good);
        }
    }
}

fn path(asked: &Watch) -> String {
    let why = asked.why.join(",");
    let kind = asked.kind.iter().map(|kind| ("kind", kind.as_str()));
    let why = Some(("why", why.as_str())).filter(|(_, why)| !why.is_empty());
    let parameters: Vec<(&str, &str)> = kind.chain(why).collect();
    match parameters.is_empty() {
        true => "/cache/events".to_owned(),
        false => format!("/cache/events{}", query(&parameters)),
    }
}

/// Describes an event in one line.
fn text(data: &Value) -> String {
    if data["event"] == "missed" {
        let count = data["count"].as_u64().unwrap_or(0);
        return match data["reason"].as_str() {
            Some("rate") => format!("({count} left out: more than 50 in a second)"),
            _ => format!("({count} lost: this program was too slow)"),
        };
    }
    let at = data["at"].as_i64().and_then(time_of_day);
    let key = match (data["key"].as_str(), data["kind"].as_str()) {
        (Some(key), _) => key.to_owned(),
        (None, Some(kind)) => format!("{kind} (all)"),
        (None, None) => "(everything)".to_owned(),
    };
    format!(
        "{}  {key:<KEY_WIDTH$}  {:<7}  {}",
        at.unwrap_or_default(),
        data["why"].as_str().unwrap_or("-"),
        data["name"].as_str().unwrap_or("-"),
    )
}

/// Formats Unix milliseconds as a time of the day in UTC.
fn time_of_day(at: i64) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(at).ok()?;
    Some(at.strftime("%H:%M:%S%.3fZ").to_string())
}

/// The names of instances and command lines by their ids.
struct Names {
    known: BTreeMap<String, String>,
    fleet: Option<Fleet>,
    looked: Instant,
}

impl Names {
    async fn of(target: &impl Target) -> Self {
        Self {
            known: BTreeMap::new(),
            fleet: Fleet::of(target).await.ok(),
            looked: Instant::now(),
        }
    }

    /// Returns the name, or the id if it is unknown. A name is remembered, because a
    /// command line withdraws its own at its end.
    async fn name(&mut self, target: &impl Target, id: &str) -> String {
        if let Some(name) = self.find(id) {
            return name;
        }
        if BETWEEN_LOOKS <= self.looked.elapsed() {
            self.fleet = Fleet::of(target).await.ok();
            self.looked = Instant::now();
        }
        self.find(id).unwrap_or_else(|| id.to_owned())
    }

    fn find(&mut self, id: &str) -> Option<String> {
        if let Some(name) = self.known.get(id) {
            return Some(name.clone());
        }
        let name = self.fleet.as_ref()?.name_of(id);
        (name != id).then(|| {
            self.known.insert(id.to_owned(), name.clone());
            name
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_lines() {
        let row = json!({
            "event": "forgotten", "key": "hero:1", "kind": "hero", "why": "write",
            "name": "api-1", "at": 1_764_373_200_417_i64,
        });
        assert_eq!(
            text(&row),
            "23:40:00.417Z  hero:1                            write    api-1"
        );
        let kind = json!({ "event": "forgotten", "kind": "hero", "why": null, "at": 0 });
        assert!(text(&kind).starts_with("00:00:00.000Z  hero (all) "));
        let missed = json!({ "event": "missed", "count": 3, "reason": "rate" });
        assert_eq!(text(&missed), "(3 left out: more than 50 in a second)");
    }
}
