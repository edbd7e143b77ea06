//! The findings of the checker, as numbers and as text.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::event::{Event, Fate, Read, ReadKind, Settled, State, Write};
use super::time::Time;

/// How many violations of each check are kept with their events.
const EXAMPLES: u64 = 5;

/// A property that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Check {
    /// C1: no read returns a state that was overwritten more than the bound
    /// before the read began.
    Stale,
    /// C1 without a bound, for the reads of the instance that wrote.
    OwnWrite,
    /// C2: no read returns a state that never existed, that was rolled back, or
    /// whose write had not begun when the read ended.
    NeverWritten,
    /// C3: no read returns an older state than an earlier read did.
    Backwards,
    /// A read returns the content that was written at its version: the same
    /// members, or no row if the row was deleted.
    Content,
    /// The writes are ordered: versions rise from one returned write to the
    /// next, none is assigned twice, and none is missing at the end. Otherwise
    /// the database or the recording is wrong, and the other checks prove
    /// nothing.
    Order,
}

impl Check {
    /// All checks.
    pub const ALL: [Self; 6] = [
        Self::Stale,
        Self::OwnWrite,
        Self::NeverWritten,
        Self::Backwards,
        Self::Content,
        Self::Order,
    ];

    fn promise(self) -> &'static str {
        match self {
            Self::Stale => "no read is older than its bound",
            Self::OwnWrite => "an instance sees its own writes",
            Self::NeverWritten => "no read returns a version never written",
            Self::Backwards => "no read is older than an earlier one",
            Self::Content => "reads return the written content",
            Self::Order => "writes are ordered",
        }
    }
}

/// A promise that was broken.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Violation {
    /// The check that failed.
    pub check: Check,
    /// The key.
    pub key: Arc<str>,
    /// The violation, as a sentence.
    pub why: String,
    /// The operations that contradict each other; the last one is the culprit.
    pub events: Vec<Event>,
    /// The last events of the key before that, with the faults among them.
    pub recent: Vec<Event>,
}

/// The findings of the checker.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// How many reads returned a result.
    pub reads: u64,
    /// How many reads returned an error.
    pub failed_reads: u64,
    /// How many writes returned.
    pub writes: u64,
    /// How many writes were of unknown fate.
    pub unknown_writes: u64,
    /// How many writes certainly changed nothing.
    pub failed_writes: u64,
    /// How many faults were recorded.
    pub faults: u64,
    /// From the start of the first operation to the end of the last.
    pub span: Duration,
    /// The oldest result of a strict read: how long before its start the first
    /// newer write had returned. This is the smallest bound that would hold.
    pub strict_staleness: Duration,
    /// The oldest result of a lenient read, measured in the same manner.
    pub lenient_staleness: Duration,
    /// How many results could not be checked in full. These are lists whose
    /// members the writer did not record, and absences that a lost writer may
    /// have caused by a deletion.
    pub unverified: u64,
    /// How many keys were read after all writes ended.
    pub settled_keys: u64,
    /// The keys whose cache and database still differed then.
    pub still_stale: Vec<Settled>,
    /// The first violations of each check.
    pub examples: Vec<Violation>,
    pub(super) counts: [u64; Check::ALL.len()],
    /// Times are shown relative to this one.
    pub(super) origin: Time,
}

impl Report {
    /// Returns how often a promise was broken.
    pub fn violations(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns how often this promise was broken.
    pub fn violations_of(&self, check: Check) -> u64 {
        self.counts[check as usize]
    }

    /// Returns how many keys still differed from the database after all writes
    /// ended.
    pub fn still_stale_keys(&self) -> usize {
        let keys: BTreeSet<&str> = self.still_stale.iter().map(|it| &*it.key).collect();
        keys.len()
    }

    /// Returns the number of successful reads and writes per second.
    pub fn operations_per_second(&self) -> f64 {
        if self.span.is_zero() {
            return 0.0;
        }
        (self.reads + self.writes) as f64 / self.span.as_secs_f64()
    }

    /// Returns true if no promise was broken and no key is still stale.
    pub fn is_clean(&self) -> bool {
        self.violations() == 0 && self.still_stale.is_empty()
    }

    /// Fails the test if a promise was broken or a key is still stale.
    ///
    /// # Panics
    ///
    /// If the report is not clean; the message is the report.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(self.is_clean(), "the history breaks a promise\n{self}");
    }

    /// Counts a violation. Returns true if it is to be kept.
    pub(super) fn count(&mut self, check: Check) -> bool {
        let count = &mut self.counts[check as usize];
        *count += 1;
        *count <= EXAMPLES
    }

    pub(super) fn observe_staleness(&mut self, kind: ReadKind, staleness: Duration) {
        let largest = match kind {
            ReadKind::Strict => &mut self.strict_staleness,
            ReadKind::Lenient => &mut self.lenient_staleness,
        };
        *largest = staleness.max(*largest);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} reads and {} that failed; {} writes, {} of unknown fate and {} that failed; \
             {} faults; {:.1?}, {:.0} operations per second",
            self.reads,
            self.failed_reads,
            self.writes,
            self.unknown_writes,
            self.failed_writes,
            self.faults,
            self.span,
            self.operations_per_second(),
        )?;
        writeln!(
            f,
            "oldest reads: strict {:.1?}, lenient {:.1?}; {} not checked in full",
            self.strict_staleness, self.lenient_staleness, self.unverified
        )?;
        let stale = self.still_stale_keys();
        let settled = self.settled_keys;
        writeln!(f, "still stale in the end: {stale} of {settled} keys")?;
        for it in self.still_stale.iter().take(EXAMPLES as usize) {
            let (seen, truth) = (Shown(&it.seen), Shown(&it.truth));
            let (key, instance) = (&it.key, &it.instance);
            writeln!(f, "  {key}: {instance} has {seen}, the database {truth}")?;
        }
        for check in Check::ALL {
            let count = self.violations_of(check);
            writeln!(f, "{count} violations of: {}", check.promise())?;
            for violation in self.examples.iter().filter(|it| it.check == check) {
                writeln!(f, "  {}: {}", violation.key, violation.why)?;
                for event in &violation.events {
                    writeln!(f, "    > {}", Told(event, self.origin))?;
                }
                for event in &violation.recent {
                    writeln!(f, "      {}", Told(event, self.origin))?;
                }
            }
        }
        Ok(())
    }
}

/// Displays a state.
pub(super) struct Shown<'a>(pub(super) &'a State);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            State::Row(version) => write!(f, "version {version}"),
            State::List(version, members) => {
                write!(f, "version {version} [{}]", members.join(" "))
            }
            State::Absent(Some(version)) => write!(f, "nothing (version {version})"),
            State::Absent(None) => f.write_str("nothing"),
        }
    }
}

/// Displays an event, in milliseconds after the first one.
struct Told<'a>(&'a Event, Time);

impl Told<'_> {
    fn ms(&self, time: Time) -> f64 {
        time.since(self.1).as_secs_f64() * 1000.0
    }
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.ms(self.0.start());
        match self.0 {
            Event::Read(Read {
                instance,
                kind,
                end,
                state,
                ..
            }) => {
                let end = self.ms(*end);
                let kind = match kind {
                    ReadKind::Strict => "strictly",
                    ReadKind::Lenient => "leniently",
                };
                let state = Shown(state);
                write!(
                    f,
                    "{start:.3} to {end:.3} ms: {instance} {kind} read {state}"
                )
            }
            Event::Write(write) => self.write(f, write),
            Event::Fault(fault) => write!(f, "{start:.3} ms: {}", fault.what),
        }
    }
}

impl Told<'_> {
    fn write(&self, f: &mut fmt::Formatter<'_>, write: &Write) -> fmt::Result {
        let start = self.ms(write.start);
        let instance = &write.instance;
        match write.fate {
            Fate::Returned(end) => {
                write!(f, "{start:.3} to {:.3} ms: {instance} wrote", self.ms(end))
            }
            Fate::Failed(end) => write!(
                f,
                "{start:.3} to {:.3} ms: {instance} failed to write",
                self.ms(end)
            ),
            Fate::Unknown => write!(f, "{start:.3} ms: {instance} may have written"),
            Fate::Initial => write!(f, "before the first event there was"),
        }?;
        match &write.state {
            Some(state) => write!(f, " {}", Shown(state)),
            None => write!(f, " a version not known"),
        }
    }
}
