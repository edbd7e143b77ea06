//! The members of a fleet, as `GET /cache/fleet` lists them.

use std::time::Duration;

use serde_json::Value;

use super::times::span;
use crate::failure::Failure;
use crate::target::{Target, get};

/// The answer of `GET /cache/fleet`.
pub(super) struct Fleet(pub(super) Value);

impl Fleet {
    pub(super) async fn of(target: &impl Target) -> Result<Self, Failure> {
        get(target, "/cache/fleet").await.map(Self)
    }

    /// Returns false if Redis does not reply to the instance that was asked.
    pub(super) fn is_known(&self) -> bool {
        self.0["instances"].is_array()
    }

    /// Returns the largest staleness bound.
    pub(super) fn bound(&self) -> Duration {
        let members = self.members();
        let bound = members.iter().map(|member| member.number("bound_ms"));
        Duration::try_from_secs_f64(bound.fold(0.0, f64::max) / 1e3).unwrap_or_default()
    }

    pub(super) fn members(&self) -> Vec<Member<'_>> {
        let members = self.0["instances"].as_array().into_iter().flatten();
        members.map(Member).collect()
    }

    /// Returns one sentence for the members that are not in step; `None` if all are.
    pub(super) fn trouble(&self) -> Option<String> {
        if !self.is_known() {
            return Some("the instances are not known: Redis does not reply".to_owned());
        }
        let members = self.members();
        let bad: Vec<&Member<'_>> = members.iter().filter(|it| !it.is_in_step()).collect();
        let described = bad.iter().map(|member| member.described());
        let described: Vec<String> = described.collect();
        (!bad.is_empty()).then(|| {
            let verb = if bad.len() == 1 { "is" } else { "are" };
            format!(
                "{} of {} instances {verb} not in step: {}",
                bad.len(),
                members.len(),
                described.join("; ")
            )
        })
    }

    /// Returns the name of an instance, or of a command line, by its id.
    pub(super) fn name_of(&self, id: &str) -> String {
        self.by_id(id, |member| member.name().to_owned())
    }

    /// Describes an instance by its id.
    pub(super) fn described(&self, id: &str) -> String {
        self.by_id(id, |member| member.described())
    }

    fn by_id(&self, id: &str, shown: impl FnOnce(&Member<'_>) -> String) -> String {
        let members = self.members();
        let known = members.iter().find(|member| member.0["id"] == id);
        let line = || {
            self.0["command_lines"][id]
                .as_str()
                .unwrap_or(id)
                .to_owned()
        };
        known.map_or_else(line, shown)
    }
}

/// One instance.
pub(super) struct Member<'a>(pub(super) &'a Value);

impl Member<'_> {
    pub(super) fn name(&self) -> &str {
        self.0["name"].as_str().unwrap_or("?")
    }

    pub(super) fn state(&self) -> &str {
        self.0["state"].as_str().unwrap_or("unknown")
    }

    pub(super) fn is_in_step(&self) -> bool {
        self.state() == "in-step"
    }

    pub(super) fn is_silent(&self) -> bool {
        self.state() == "silent"
    }

    pub(super) fn number(&self, name: &str) -> f64 {
        self.0[name].as_f64().unwrap_or(0.0)
    }

    /// Returns the age of its oldest proof when it reported, in milliseconds.
    pub(super) fn proof(&self) -> Option<f64> {
        let shards = self.0["shards"].as_array()?.iter();
        shards
            .map(|shard| shard["proof_ms"].as_f64())
            .max_by(|one, other| one.partial_cmp(other).unwrap_or(std::cmp::Ordering::Equal))?
    }

    /// Returns the sum of a map of counts in all kinds, such as `reads`.
    pub(super) fn sum(&self, map: &str, label: Option<&str>) -> u64 {
        let kinds = self.0["kinds"].as_object().into_iter().flatten();
        let counts = kinds.flat_map(|(_, kind)| kind[map].as_object().into_iter().flatten());
        let wanted = counts.filter(|(name, _)| label.is_none_or(|label| label == *name));
        wanted.filter_map(|(_, count)| count.as_u64()).sum()
    }

    /// Describes its state: `api-2 silent for 38 s`.
    pub(super) fn described(&self) -> String {
        let (name, state) = (self.name(), self.state());
        if self.is_silent() {
            return format!("{name} silent for {}", span(self.number("age_ms")));
        }
        let since = self.0["unused_ms"].as_f64();
        let since = since.map_or_else(String::new, |time| format!(" for {}", span(time)));
        let why = self.0["why"].as_str();
        let why = why.map_or_else(String::new, |why| format!(" ({why})"));
        format!("{name} {state}{since}{why}")
    }
}
