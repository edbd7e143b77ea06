//! The checks of one key, one question each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::bounds::Bounds;
use super::event::{Event, Fate, Fault, Read, ReadKind, State, Write};
use super::explain::{Answer, Answers};
use super::report::{Check, Report, Shown, Violation};
use super::sweep::sweep;
use super::time::Time;
use super::versions::Versions;

/// How many of the last events of a key are shown with a violation.
const RECENT: usize = 12;

/// The events of one key.
#[derive(Debug, Default)]
pub(super) struct KeyHistory<'a> {
    pub(super) reads: Vec<&'a Read>,
    pub(super) writes: Vec<&'a Write>,
    /// The version in the database at the end.
    pub(super) truth: Option<u64>,
}

/// Checks a key, and reports the violations.
pub(super) fn judge(
    name: &Arc<str>,
    key: &KeyHistory<'_>,
    faults: &[Fault],
    bounds: &Bounds,
    report: &mut Report,
) {
    let versions = &Versions::new(&key.writes, key.truth);
    let mut judge = Judge {
        name,
        key,
        faults,
        versions,
        bounds,
        report,
    };
    judge.judge();
}

struct Judge<'a> {
    name: &'a Arc<str>,
    key: &'a KeyHistory<'a>,
    faults: &'a [Fault],
    versions: &'a Versions<'a>,
    bounds: &'a Bounds,
    report: &'a mut Report,
}

impl Judge<'_> {
    fn judge(&mut self) {
        self.order();
        let Answers {
            explained,
            unexplained,
            unverified,
        } = Answers::new(&self.key.reads, self.versions, self.bounds);
        self.report.unverified += unverified;
        // A result without an origin is one violation. Comparing it with other
        // results would add one for each of them.
        for read in unexplained {
            self.never_written(read);
        }
        for answer in &explained {
            self.stale(answer);
            self.content(answer.read);
        }
        self.backwards(explained);
    }

    /// Checks that the versions of writes rise with time, and that each is
    /// assigned once.
    fn order(&mut self) {
        let mut returned: Vec<(u64, Time, &Write)> = (self.key.writes.iter())
            .filter_map(|write| Some((write.version()?, write.returned()?, *write)))
            .collect();
        returned.sort_unstable_by_key(|&(version, end, _)| (version, end));
        for pair in returned.windows(2) {
            if pair[0].0 == pair[1].0 {
                let events = [pair[0].2, pair[1].2].map(|it| Event::Write(it.clone()));
                let why = || format!("version {} was written twice", pair[0].0);
                self.accuse(Check::Order, &events, why);
            }
        }
        for &(version, _, write) in &returned {
            if let Some((end, newer)) = self.versions.overtaken(version)
                && end < write.start
            {
                let events = [newer, write].map(|it| Event::Write(it.clone()));
                let why = || format!("version {version} was written after a newer one");
                self.accuse(Check::Order, &events, why);
            }
        }
        if let Some(truth) = self.key.truth
            && let Some(&(version, _, write)) = returned.last()
            && truth < version
        {
            let why = || format!("version {version} was written, the database has {truth}");
            self.accuse(Check::Order, &[Event::Write(write.clone())], why);
        }
    }

    /// C2.
    fn never_written(&mut self, read: &Read) {
        let version = read.state.version();
        let culprit = (self.key.writes.iter())
            .filter(|write| version.is_some() && write.version() == version)
            .min_by_key(|write| write.start);
        let why = match culprit.map(|write| write.fate) {
            Some(Fate::Failed(_)) => "which was rolled back",
            Some(_) if version.is_some_and(|it| self.versions.is_beyond_truth(it)) => {
                "which was never committed"
            }
            Some(_) => "whose write had not begun",
            None => "which was never written",
        };
        let mut events: Vec<Event> = culprit
            .map(|&write| Event::Write(write.clone()))
            .into_iter()
            .collect();
        events.push(Event::Read(read.clone()));
        let why = || format!("a read returned {}, {why}", Shown(&read.state));
        self.accuse(Check::NeverWritten, &events, why);
    }

    /// Checks C1, with the bound, and without it for an instance's own writes.
    fn stale(&mut self, answer: &Answer<'_>) {
        let &Answer { read, newest, .. } = answer;
        let Some((end, write)) = self.versions.overtaken(newest) else {
            return;
        };
        let staleness = read.start.since(end);
        self.report.observe_staleness(read.kind, staleness);
        let bound = self.bounds.staleness(read.kind);
        if bound < staleness {
            self.missed(Check::Stale, read, write, staleness);
            return;
        }
        if !self.bounds.own_writes {
            return;
        }
        let own = self.versions.overtaken_by_own(&read.instance, newest);
        if let Some((end, write)) = own
            && end < read.start
        {
            self.missed(Check::OwnWrite, read, write, read.start.since(end));
        }
    }

    fn missed(&mut self, check: Check, read: &Read, write: &Write, staleness: Duration) {
        let events = [Event::Write(write.clone()), Event::Read(read.clone())];
        let why = || {
            let newer = write.state.as_ref().map(|state| Shown(state).to_string());
            format!(
                "a read returned {} {staleness:.1?} after {} had been written",
                Shown(&read.state),
                newer.unwrap_or_default()
            )
        };
        self.accuse(check, &events, why);
    }

    /// Checks that the content read at a version is the content written at it.
    fn content(&mut self, read: &Read) {
        let Some(version) = read.state.version() else {
            return;
        };
        let began = || {
            let writes = self.versions.writes_of(version).iter();
            writes
                .map(|&(_, write)| write)
                .filter(|write| write.start <= read.end)
        };
        let mut states = began().filter_map(|write| write.state.as_ref()).peekable();
        let is_list = matches!(read.state, State::List(..));
        // A list whose members the writer did not record.
        let mut is_unverified = is_list && matches!(states.peek(), None | Some(State::Row(_)));
        let agrees = if states.peek().is_some() {
            states.any(|state| read.state.agrees_with(state))
        } else if version == 0 {
            // Before the first write the key is empty, as a list and as a row.
            is_unverified = false;
            !is_list || read.state == State::list(0, [""; 0])
        } else {
            true
        };
        // A lost writer may have produced this version after another one, also
        // of unknown fate, was rolled back.
        let is_certain = began().any(|write| write.returned().is_some());
        if !agrees && !is_certain && self.versions.is_wild(read.end) {
            is_unverified = true;
        } else if !agrees {
            let culprit = began().next().map(|write| Event::Write(write.clone()));
            let events: Vec<Event> = culprit
                .into_iter()
                .chain([Event::Read(read.clone())])
                .collect();
            let why = || format!("a read returned {}", Shown(&read.state));
            self.accuse(Check::Content, &events, why);
        }
        self.report.unverified += u64::from(is_unverified);
    }

    /// Checks C3: strict reads of all instances, and lenient reads of each.
    fn backwards<'a>(&mut self, answers: Vec<Answer<'a>>) {
        let mut strict = Vec::new();
        let mut lenient: BTreeMap<&'a str, Vec<Answer<'a>>> = BTreeMap::new();
        for answer in answers {
            match answer.read.kind {
                ReadKind::Strict => strict.push(answer),
                ReadKind::Lenient => lenient
                    .entry(&answer.read.instance)
                    .or_default()
                    .push(answer),
            }
        }
        self.one_after_another(strict, "strict", self.bounds.strict_backwards);
        for answers in lenient.into_values() {
            self.one_after_another(answers, "lenient", self.bounds.lenient_backwards);
        }
    }

    fn one_after_another(&mut self, mut answers: Vec<Answer<'_>>, kind: &str, slack: Duration) {
        let (versions, bounds) = (self.versions, self.bounds);
        sweep(&mut answers, versions, bounds, slack, |before, read| {
            let events = [before, read].map(|it| Event::Read(it.clone()));
            let why = || {
                let (older, newer) = (Shown(&read.state), Shown(&before.state));
                format!("a {kind} read returned {older} after another had returned {newer}")
            };
            self.accuse(Check::Backwards, &events, why);
        });
    }

    fn accuse(&mut self, check: Check, events: &[Event], why: impl FnOnce() -> String) {
        if !self.report.count(check) {
            return;
        }
        let until = match events.last() {
            Some(Event::Read(read)) => read.end,
            Some(event) => event.start(),
            None => Time::ZERO,
        };
        let violation = Violation {
            check,
            key: Arc::clone(self.name),
            why: why(),
            events: events.to_vec(),
            recent: self.recent(until),
        };
        self.report.examples.push(violation);
    }

    /// Returns the last events of the key until then, with the faults among
    /// them.
    fn recent(&self, until: Time) -> Vec<Event> {
        let reads = self
            .key
            .reads
            .iter()
            .map(|read| (read.start, Event::Read((*read).clone())));
        let writes = self
            .key
            .writes
            .iter()
            .map(|write| (write.start, Event::Write((*write).clone())));
        let faults = self
            .faults
            .iter()
            .map(|fault| (fault.at, Event::Fault(fault.clone())));
        let mut events: Vec<_> = (reads.chain(writes).chain(faults))
            .filter(|(start, _)| *start <= until)
            .collect();
        events.sort_by_key(|(start, _)| *start);
        let skipped = events.len().saturating_sub(RECENT);
        events.drain(skipped..).map(|(_, event)| event).collect()
    }
}
