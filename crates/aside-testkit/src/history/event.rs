//! The recorded events: reads, writes, faults, and the final states.

use std::sync::Arc;

use super::time::Time;

/// Which tiers a read was allowed to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReadKind {
    /// Served by Redis or the database, never from the memory of a process.
    Strict,
    /// Served by the fastest tier.
    Lenient,
}

/// The state of a key.
///
/// Every key has a counter that is raised in the transaction of every write. It
/// must keep counting when the row is deleted and created again. Keep it in a
/// separate table, or in the row if rows are only marked as deleted. The
/// counter makes the order of all writes of a key known, so that checking is
/// counting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// A row, at this version.
    Row(u64),
    /// A list, at this value of its counter, with its members in order.
    ///
    /// Make one with [`State::list`]. The counter belongs to the index value.
    /// Every write that adds, removes or changes a member raises it.
    List(u64, Arc<[Box<str>]>),
    /// No row.
    ///
    /// A delete knows its version. A read that finds no row mostly does not, so
    /// it is checked against the version that fits it best.
    Absent(Option<u64>),
}

impl State {
    /// Returns a list with these members, in any order, at this version.
    pub fn list(version: u64, members: impl IntoIterator<Item = impl ToString>) -> Self {
        let mut members: Vec<Box<str>> = members
            .into_iter()
            .map(|member| member.to_string().into_boxed_str())
            .collect();
        // Only membership is compared, because the cache does not promise an
        // order.
        members.sort_unstable();
        Self::List(version, members.into())
    }

    /// Returns the version, if it is known.
    pub fn version(&self) -> Option<u64> {
        match self {
            Self::Row(version) | Self::List(version, _) => Some(*version),
            Self::Absent(version) => *version,
        }
    }

    /// Returns true if it equals `other`, as far as both are known.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Absent(None), Self::Absent(_)) | (Self::Absent(_), Self::Absent(None)) => true,
            // A list whose members were not recorded.
            (Self::Row(row), Self::List(list, _)) | (Self::List(list, _), Self::Row(row)) => {
                row == list
            }
            _ => self == other,
        }
    }
}

impl From<u64> for State {
    /// Returns a row at this version.
    fn from(version: u64) -> Self {
        Self::Row(version)
    }
}

impl From<Option<u64>> for State {
    /// Returns a row at this version, or no row at an unknown version.
    fn from(version: Option<u64>) -> Self {
        version.map_or(Self::Absent(None), Self::Row)
    }
}

/// A read that returned a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The reading instance: a process, or one of several caches in a process.
    pub instance: Arc<str>,
    /// The key that was read.
    pub key: Arc<str>,
    /// Which tiers the read was allowed to use.
    pub kind: ReadKind,
    /// A moment before the read was sent.
    pub start: Time,
    /// A moment after its result was received; never before `start`.
    pub end: Time,
    /// The result.
    pub state: State,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It returned at this moment; later reads may rely on it.
    Returned(Time),
    /// It certainly changed nothing, and that was known at this moment.
    Failed(Time),
    /// It may have happened, at any time after it started.
    ///
    /// The writer crashed, was dropped, or never received the result of the
    /// commit.
    Unknown,
    /// It happened before the recording began.
    Initial,
}

/// A write of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The writing instance.
    pub instance: Arc<str>,
    /// The key that was written.
    pub key: Arc<str>,
    /// A moment before the transaction could commit.
    pub start: Time,
    /// How it ended.
    pub fate: Fate,
    /// The state of the key if the write happened; `None` if it was not learned
    /// before the write ended with unknown fate.
    pub state: Option<State>,
}

impl Write {
    /// Returns the moment from which no reader may miss it.
    pub(super) fn returned(&self) -> Option<Time> {
        match self.fate {
            Fate::Returned(end) => Some(end),
            Fate::Initial => Some(Time::ZERO),
            Fate::Failed(_) | Fate::Unknown => None,
        }
    }

    /// Returns its version, if it is known.
    pub(super) fn version(&self) -> Option<u64> {
        self.state.as_ref()?.version()
    }
}

/// A fault injected into the system under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When it was injected.
    pub at: Time,
    /// The fault, for example `redis killed`.
    pub what: Arc<str>,
}

/// The state of a key after all writes had ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The instance that read the key.
    pub instance: Arc<str>,
    /// The key.
    pub key: Arc<str>,
    /// The state according to the cache.
    pub seen: State,
    /// The state according to the database.
    pub truth: State,
}

/// An event that can be shown in a report.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A read.
    Read(Read),
    /// A write.
    Write(Write),
    /// A fault.
    Fault(Fault),
}

impl Event {
    /// Returns when it began.
    pub fn start(&self) -> Time {
        match self {
            Self::Read(read) => read.start,
            Self::Write(write) => write.start,
            Self::Fault(fault) => fault.at,
        }
    }
}

/// All recorded events, of one process or of many.
///
/// Its fields are public, so that a history can be built, filtered or extended
/// by hand. Their order does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The reads that returned a result.
    pub reads: Vec<Read>,
    /// The writes, with every kind of ending.
    pub writes: Vec<Write>,
    /// The faults injected in the meantime.
    pub faults: Vec<Fault>,
    /// The states after all writes had ended.
    pub settled: Vec<Settled>,
    /// How many reads returned an error.
    pub failed_reads: u64,
}

impl History {
    /// Adds the events that another process or instance recorded on this
    /// machine.
    pub fn merge(&mut self, other: Self) {
        self.reads.extend(other.reads);
        self.writes.extend(other.writes);
        self.faults.extend(other.faults);
        self.settled.extend(other.settled);
        self.failed_reads += other.failed_reads;
    }
}
