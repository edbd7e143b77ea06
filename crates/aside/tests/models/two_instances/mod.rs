//! One instance's reads after its own writes, with another instance beside it.
//!
//! Instance A has a local tier, readers, and the writer w0, whose QUARANTINE
//! may get no reply. Instance B has the writer w1, fills, and polls the
//! journal. Two promises are checked. After w0 returned, no read on A is older.
//! In some configurations, no `Any` read on A goes back either.

use crate::explore::{Model, Steps};
use crate::nibbles::{Queue, nibbles, stages};
use crate::scripts::{Key, Scripts, Stores, WITHOUT_VALUES};

mod promises;
mod reads;

/// When a writer's instance invalidates its own entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OwnForget {
    BeforeReply,
    AfterReply,
}

/// If and when a writer puts its row into its own instance's tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OwnInsert {
    Never,
    /// Under the generation from before RELEASE.
    AsOfRelease,
    /// Under the generation of the moment of the insert.
    AsOfInsert,
}

/// The effect on the local tier of a read that skips it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skipping {
    Nothing,
    /// It invalidates an entry that differs from a value found in Redis.
    ForgetsIfRedisDiffers,
    /// It invalidates an entry that differs from the row it found in Redis or
    /// the database.
    ForgetsIfOtherHeld,
    /// It invalidates unless the tier has an entry of the row it found.
    ForgetsUnlessSameHeld,
}

/// The rules, and the number of writers and readers.
#[derive(Clone, Copy, Debug)]
struct TwoInstances {
    own_forget: OwnForget,
    own_insert: OwnInsert,
    /// How many times w0's QUARANTINE is lost.
    lost: u8,
    /// If QUARANTINE is lost, reads bypass the key until its RELEASE got
    /// through.
    holds: bool,
    /// How many reads skip the local tier.
    skips: u8,
    skipping: Skipping,
    /// If such a read has to load, it waits for the read in flight.
    skips_in_turn: bool,
    readers: usize,
    other_writer: bool,
    in_order: bool,
}

const FORGET: u8 = 1;

stages! {
    enum OwnStage {
        Idle,
        Sent,
        Acknowledged,
        Committed,
        Returned,
        Lost,
        LostCommitted,
        LostReturned,
        LostReleased,
    }
    enum OtherStage { Idle, Quarantined, Committed, Released, }
    enum ReaderStage { Idle, Sent, Answered, Skipped, Done, }
}

nibbles! {
    struct Reader {
        stage: ReaderStage,
        generation: u8,
        version: u8,
        /// The newest write of the same instance that had returned.
        floor: u8,
        from_redis: bool,
    }
    struct Entry {
        version: u8,
        generation: u8,
    }
    struct State {
        row: u8,
        key: Key,
        own: OwnStage,
        own_version: u8,
        other: OtherStage,
        generation: u8,
        entry: Option<Entry>,
        is_suspect: bool,
        readers: [Reader; 3],
        /// From the server to A.
        channel: Queue<u8, 6>,
        is_journalled: bool,
        returned: u8,
        seen: u8,
        /// The row that w0 is about to put into its own tier.
        pending: Option<Entry>,
        lost_left: u8,
        skips_left: u8,
    }
}

impl Model for TwoInstances {
    type State = State;

    fn start(&self) -> State {
        State {
            lost_left: self.lost,
            skips_left: self.skips,
            ..State::default()
        }
    }

    fn steps(&self, at: &State, steps: &mut Steps<State>) {
        self.write_own(at, steps);
        self.insert_own(at, steps);
        if self.other_writer {
            self.write_other(at, steps);
        }
        if at.is_journalled {
            let mut to = *at;
            to.key = self.scripts().invalidate(at.key);
            to.is_journalled = false;
            to.channel.push(FORGET);
            steps.to("a poller: INVALIDATE, deletes the row", [], to);
        }
        if at.is_suspect && !at.is_journalled {
            let mut to = *at;
            to.is_suspect = false;
            steps.to("PONG to a later PING, the journal is empty", [], to);
        }
        if at.key == Key::Absent {
            let mut to = *at;
            to.key = value(at.row);
            steps.to("B fills v#", [at.row], to);
        }
        if at.channel.first().is_some() {
            let mut to = *at;
            to.channel = at.channel.without_first();
            to.generation += 1;
            steps.to("A receives a message", [], to);
        }
        for i in 0..self.readers {
            self.read(at, i, steps);
        }
    }
}

fn value(version: u8) -> Key {
    Key::Value { version, mark: 0 }
}

impl TwoInstances {
    fn scripts(&self) -> Scripts {
        match self.own_insert {
            OwnInsert::Never => WITHOUT_VALUES,
            // The most permissive rules that an insert could have.
            _ => Scripts {
                stores: Stores::IfSole,
                ..WITHOUT_VALUES
            },
        }
    }

    fn write_own(&self, at: &State, steps: &mut Steps<State>) {
        let version = at.own_version;
        let mut to = *at;
        match at.own {
            OwnStage::Idle => {
                to.own = OwnStage::Sent;
                if self.own_forget == OwnForget::BeforeReply {
                    to.generation += 1;
                    steps.to("w0: forgets, sends QUARANTINE", [], to);
                } else {
                    steps.to("w0: sends QUARANTINE", [], to);
                }
            }
            OwnStage::Sent => {
                to.own = OwnStage::Acknowledged;
                to.key = self.scripts().quarantine(at.key, 0);
                to.channel.push(FORGET);
                if self.own_forget == OwnForget::AfterReply {
                    to.generation += 1;
                    steps.to("w0: QUARANTINE acknowledged, forgets", [], to);
                } else {
                    steps.to("w0: QUARANTINE acknowledged", [], to);
                }
                if at.lost_left > 0 {
                    let mut to = *at;
                    to.own = OwnStage::Lost;
                    to.lost_left -= 1;
                    to.is_suspect = true;
                    to.generation += 1;
                    steps.to("w0: QUARANTINE lost, A is suspect", [], to);
                }
            }
            OwnStage::Acknowledged | OwnStage::Lost => {
                to.row += 1;
                to.own_version = to.row;
                to.is_journalled = at.own == OwnStage::Lost;
                to.own = match at.own {
                    OwnStage::Lost => OwnStage::LostCommitted,
                    _ => OwnStage::Committed,
                };
                steps.to("w0: commits v#", [to.row], to);
            }
            OwnStage::Committed => {
                to.own = OwnStage::Returned;
                let row = (self.own_insert != OwnInsert::Never).then_some((version, 0));
                to.key = self.scripts().release(at.key, 0, row);
                if to.key == value(version) {
                    to.pending = Some(Entry {
                        version,
                        generation: at.generation,
                    });
                }
                steps.to("w0: RELEASE, returns", [], returned(to));
            }
            OwnStage::LostCommitted => {
                to.own = OwnStage::LostReturned;
                steps.to("w0: returns, RELEASE is queued", [], returned(to));
            }
            OwnStage::LostReturned => {
                to.own = OwnStage::LostReleased;
                to.key = self.scripts().release(at.key, 0, None);
                to.channel.push(FORGET);
                to.generation += 1;
                steps.to("w0: RELEASE got through, forgets", [], to);
            }
            OwnStage::Returned | OwnStage::LostReleased => {}
        }
    }

    fn insert_own(&self, at: &State, steps: &mut Steps<State>) {
        let Some(row) = at.pending else { return };
        let mut to = *at;
        to.pending = None;
        let generation = match self.own_insert {
            OwnInsert::AsOfInsert => at.generation,
            _ => row.generation,
        };
        if generation == at.generation {
            to.entry = Some(Entry { generation, ..row });
        }
        steps.to("w0: inserts its row locally", [], to);
    }

    fn write_other(&self, at: &State, steps: &mut Steps<State>) {
        let mut to = *at;
        match at.other {
            OtherStage::Idle => {
                to.other = OtherStage::Quarantined;
                to.key = self.scripts().quarantine(at.key, 1);
                to.channel.push(FORGET);
                steps.to("w1: QUARANTINE", [], to);
            }
            OtherStage::Quarantined => {
                to.other = OtherStage::Committed;
                to.row += 1;
                steps.to("w1: commits v#", [to.row], to);
            }
            OtherStage::Committed => {
                to.other = OtherStage::Released;
                to.key = self.scripts().release(at.key, 1, None);
                steps.to("w1: RELEASE", [], to);
            }
            OtherStage::Released => {}
        }
    }
}

fn returned(mut to: State) -> State {
    to.returned = to.returned.max(to.own_version);
    to.seen = to.seen.max(to.own_version);
    to
}
