//! What is recorded: reads, writes, faults, and how everything ended.

use std::sync::Arc;

use super::time::Time;

/// How much a read was allowed to trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReadKind {
    /// Answered by Redis or the database, never from the memory of a process.
    Strict,
    /// Answered from wherever it was quickest.
    Lenient,
}

/// What a key held.
///
/// Every key has a counter that is raised in the transaction of every write,
/// and goes on counting when the row is deleted and created again: in a table
/// of its own, or in the row if rows are only marked as deleted. That makes
/// the order of all writes of a key known, so that checking is counting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// A row, at this version.
    Row(u64),
    /// A list, at this value of its counter, with its members in order.
    ///
    /// Make one with [`State::list`]. The counter belongs to the index value
    /// and is raised by every write that adds a member, takes one away or
    /// changes one.
    List(u64, Arc<[Box<str>]>),
    /// Nothing.
    ///
    /// A delete knows its version. A read that finds nothing mostly does not;
    /// it is checked against the version that fits it best.
    Absent(Option<u64>),
}

impl State {
    /// A list with these members, in whatever order, at this version.
    pub fn list(version: u64, members: impl IntoIterator<Item = impl ToString>) -> Self {
        let mut members: Vec<Box<str>> = members
            .into_iter()
            .map(|member| member.to_string().into_boxed_str())
            .collect();
        // Only membership is compared: an order is not the cache's affair.
        members.sort_unstable();
        Self::List(version, members.into())
    }

    /// The version, where it is known.
    pub fn version(&self) -> Option<u64> {
        match self {
            Self::Row(version) | Self::List(version, _) => Some(*version),
            Self::Absent(version) => *version,
        }
    }

    /// Whether it is the same as `other`, so far as both are known.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Absent(None), Self::Absent(_)) | (Self::Absent(_), Self::Absent(None)) => true,
            // A list whose members were not written down.
            (Self::Row(row), Self::List(list, _)) | (Self::List(list, _), Self::Row(row)) => {
                row == list
            }
            _ => self == other,
        }
    }
}

impl From<u64> for State {
    /// A row at this version.
    fn from(version: u64) -> Self {
        Self::Row(version)
    }
}

impl From<Option<u64>> for State {
    /// A row at this version, or nothing at a version that is not known.
    fn from(version: Option<u64>) -> Self {
        version.map_or(Self::Absent(None), Self::Row)
    }
}

/// A read that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Who read: a process, or one of several caches in a process.
    pub instance: Arc<str>,
    /// What was read.
    pub key: Arc<str>,
    /// How much the read was allowed to trust.
    pub kind: ReadKind,
    /// A moment before the read was sent.
    pub start: Time,
    /// A moment after its answer was there; never before `start`.
    pub end: Time,
    /// The answer.
    pub state: State,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It returned, at this moment: from now on readers may rely on it.
    Returned(Time),
    /// It certainly changed nothing, and that was known at this moment.
    Failed(Time),
    /// It may have happened, and if so at any time after it started.
    ///
    /// The writer crashed, was dropped, or never heard how the commit ended.
    Unknown,
    /// It happened before the recording began.
    Initial,
}

/// A write of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Who wrote.
    pub instance: Arc<str>,
    /// What was written.
    pub key: Arc<str>,
    /// A moment before the transaction could commit.
    pub start: Time,
    /// How it ended.
    pub fate: Fate,
    /// What the key holds if the write happened; `None` if that was not
    /// learned before the write came to an unknown end.
    pub state: Option<State>,
}

impl Write {
    /// From when on no reader may miss it.
    pub(super) fn returned(&self) -> Option<Time> {
        match self.fate {
            Fate::Returned(end) => Some(end),
            Fate::Initial => Some(Time::ZERO),
            Fate::Failed(_) | Fate::Unknown => None,
        }
    }

    /// Its version, where it is known.
    pub(super) fn version(&self) -> Option<u64> {
        self.state.as_ref()?.version()
    }
}

/// Something that was done to the system under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When it was done.
    pub at: Time,
    /// What was done, for example `redis killed`.
    pub what: Arc<str>,
}

/// What was found when all writes had ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Who looked.
    pub instance: Arc<str>,
    /// Where.
    pub key: Arc<str>,
    /// What the cache said.
    pub seen: State,
    /// What the database said.
    pub truth: State,
}

/// Anything that can be shown in a report.
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
    /// When it began.
    pub fn start(&self) -> Time {
        match self {
            Self::Read(read) => read.start,
            Self::Write(write) => write.start,
            Self::Fault(fault) => fault.at,
        }
    }
}

/// Everything that was recorded, by one process or by many.
///
/// Its parts are public, so that a history can be made by hand, thinned out
/// or added to. Their order does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The reads that were answered.
    pub reads: Vec<Read>,
    /// The writes, however they ended.
    pub writes: Vec<Write>,
    /// What was done to the system meanwhile.
    pub faults: Vec<Fault>,
    /// What was found when all writes had ended.
    pub settled: Vec<Settled>,
    /// How many reads were answered with an error.
    pub failed_reads: u64,
}

impl History {
    /// Adds what another process or instance recorded on this machine.
    pub fn merge(&mut self, other: Self) {
        self.reads.extend(other.reads);
        self.writes.extend(other.writes);
        self.faults.extend(other.faults);
        self.settled.extend(other.settled);
        self.failed_reads += other.failed_reads;
    }
}
