//! One write, two keys, two primaries.
//!
//! The state of one primary says nothing about the other: a quarantine may be
//! acknowledged on one and lost, or stall, on the other. Instance A has the
//! writer w0, to which that happens, and instance B the writer w1, to which it
//! does not. Each instance keeps suspicions, proofs and entries per shard, and
//! polls the journal. A third instance also polls; the model contains nothing
//! else of it.
//!
//! Each key has a newest announced version. An acknowledged quarantine
//! announces it, and otherwise the step after the commit. No read of Redis may
//! be older than the announced version. No entry may be older than that version
//! was at the last answered PING. No read at all may be older than its
//! instance's own writes, or than a version that a poll has shown. It must also
//! see the writes that had returned when a suspicion ended.

use crate::explore::{Model, Steps};
use crate::nibbles::{Queue, nibbles, stages};
use crate::scripts::Key;

mod faults;
mod promises;
mod reads;
mod writes;

/// When a write commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Commits {
    /// When each shard has answered or timed out.
    AfterEach,
    /// When one shard has acknowledged; the others are assumed to follow.
    AfterFirst,
}

/// The keys of a write that are stored in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Journals {
    EachUnacknowledged,
    /// All keys if no quarantine was acknowledged, and otherwise none.
    AllOrNone,
}

/// How long reads bypass a key whose quarantine was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    UntilItsRelease,
    /// Until any key of its write was released.
    UntilAnyRelease,
}

/// The event that ends the suspicion of a shard, beside a PONG.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SuspectUntil {
    /// The journal has no row of a key of the shard.
    ItsRowsAreGone,
    /// The journal has no row of a key of the other shard.
    OtherRowsAreGone,
    Pong,
}

/// The entries that a PONG proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proves {
    ItsShard,
    EveryShard,
}

/// The rules, the faults, and the number of readers.
#[derive(Clone, Copy, Debug)]
struct TwoShards {
    commits: Commits,
    journals: Journals,
    holds: Holds,
    suspect_until: SuspectUntil,
    proves: Proves,
    other_writer: bool,
    /// The instance and the shard of each reader. Messages of a shard without
    /// readers are not modelled.
    readers: &'static [(usize, usize)],
    left: Left,
}

const A: usize = 0;
const B: usize = 1;
const FORGET: u8 = 1;

stages! {
    enum Quarantining { Waiting, Acknowledged, Unacknowledged, Released, }
    enum OwnStage { Quarantining, Committed, Returned, }
    enum OtherStage { Idle, OneQuarantined, Quarantined, Committed, OneReleased, Returned, }
    enum ReaderStage { Idle, Sent, Answered, Done, }
}

nibbles! {
    struct Entry {
        version: u8,
        generation: u8,
    }
    /// The state that an instance keeps about one shard.
    struct Link {
        generation: u8,
        entry: Option<Entry>,
        channel: Queue<u8, 5>,
        is_ping_sent: bool,
        /// The version that the last answered PING proved.
        proved: u8,
        is_suspect: bool,
        /// The version promised by a poll or by the end of a suspicion.
        floor: u8,
    }
    struct Instance {
        links: [Link; 2],
        /// The keys that reads bypass because of a journal row.
        holds: [bool; 2],
    }
    struct Shard {
        key: Key,
        /// The newest version that was announced on this shard.
        told: u8,
        /// A stalled QUARANTINE of w0, which may be executed at any time.
        stalled_quarantine: bool,
        /// The journal has a row of w0's key.
        is_journalled: bool,
    }
    struct Reader {
        stage: ReaderStage,
        generation: u8,
        version: u8,
        floor: u8,
    }
    /// Faults that may still happen.
    struct Left {
        lost: u8,
        stalled: u8,
        suspicions: u8,
    }
    struct State {
        row: u8,
        returned: u8,
        shards: [Shard; 2],
        instances: [Instance; 2],
        own: OwnStage,
        own_version: u8,
        quarantining: [Quarantining; 2],
        other: OtherStage,
        other_version: u8,
        readers: [Reader; 3],
        left: Left,
    }
}

impl Model for TwoShards {
    type State = State;

    fn start(&self) -> State {
        State {
            left: self.left,
            ..State::default()
        }
    }

    fn steps(&self, at: &State, steps: &mut Steps<State>) {
        match at.own {
            OwnStage::Quarantining => self.before_commit(at, steps),
            OwnStage::Committed | OwnStage::Returned => self.after_commit(at, steps),
        }
        if self.other_writer {
            self.write_other(at, steps);
        }
        for shard in 0..2 {
            self.poll(at, shard, steps);
            self.stalled(at, shard, steps);
            for instance in [A, B] {
                if self.readers.contains(&(instance, shard)) {
                    self.listen(at, instance, shard, steps);
                    self.suspicion(at, instance, shard, steps);
                }
            }
        }
        for i in 0..self.readers.len() {
            self.read(at, i, steps);
        }
    }
}

impl State {
    /// Raises the version that was announced on a shard.
    fn tell(&mut self, shard: usize, version: u8) {
        let told = &mut self.shards[shard].told;
        *told = (*told).max(version);
    }

    fn forget(&mut self, instance: usize, shard: usize) {
        self.instances[instance].links[shard].generation += 1;
    }

    /// Returns true if A bypasses Redis for the key of w0 on this shard.
    fn is_held_by_writer(&self, shard: usize) -> bool {
        self.quarantining[shard] == Quarantining::Unacknowledged
    }
}
