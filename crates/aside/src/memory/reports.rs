//! The reports that instances announce. They are never evicted.

use std::collections::{BTreeMap, HashMap};

use crate::entity::key::Key;
use crate::protocol::Report;

/// How long a report is kept.
const REPORTS_LAST_MILLIS: u64 = 60 * 60 * 1000;

/// Reports with their times, by the key of their hash and their field.
#[derive(Default)]
pub(super) struct Reports(HashMap<Key, BTreeMap<String, (u64, String)>>);

impl Reports {
    pub(super) fn announce(
        &mut self,
        key: &Key,
        (field, report): (&str, &str),
        now: u64,
        prunes: bool,
    ) {
        let reports = self.0.entry(key.clone()).or_default();
        reports.insert(field.to_owned(), (now, report.to_owned()));
        if prunes {
            reports.retain(|_, (at, _)| now.abs_diff(*at) <= REPORTS_LAST_MILLIS);
        }
    }

    pub(super) fn withdraw(&mut self, key: &Key, field: &str) -> bool {
        let reports = self.0.get_mut(key);
        reports.is_some_and(|reports| reports.remove(field).is_some())
    }

    pub(super) fn of(&self, key: &Key) -> Vec<Report> {
        let reports = self.0.get(key).into_iter().flatten();
        let report = |(field, (at, text)): (&String, &(u64, String))| Report {
            field: field.clone(),
            at: *at,
            text: text.clone(),
        };
        reports.map(report).collect()
    }
}
