//! The local tier of one instance: generations, messages, the PING barrier.
//!
//! Two promises are checked. The bound: an entry served is never older than the
//! row was when the last answered PING was sent. The order: no `Any` read of
//! the instance returns an older row than an earlier one did.

use crate::explore::{Model, Steps};
use crate::nibbles::{Queue, nibbles, stages};
use crate::scripts::{Key, Scripts, WITHOUT_VALUES};

mod promises;

/// When a writer publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Publish {
    AtQuarantine,
    AtRelease,
}

/// The rules, and the number of writers and readers.
#[derive(Clone, Copy, Debug)]
struct LocalTier {
    writers: usize,
    readers: usize,
    disconnections: u8,
    publish: Publish,
    /// Entries carry the generation from before their GET. Without this rule, a
    /// message only removes the present entry.
    generations: bool,
    /// Reads must also never go back.
    in_order: bool,
    /// At most one read below this tier at a time.
    one_in_flight: bool,
    /// Three rules that are needed without `one_in_flight`. The generation is
    /// raised if a read finds no value, if an insert finds another value, and
    /// if an insert comes too late.
    forget_on_miss: bool,
    forget_on_clash: bool,
    forget_on_late_insert: bool,
}

const SCRIPTS: Scripts = WITHOUT_VALUES;

/// A message, as it is queued; a PONG is `PONG` plus the row at its PING.
const FORGET: u8 = 1;
const PONG: u8 = 2;

stages! {
    enum WriterStage { Idle, Quarantined, Committed, Released, }
    enum ReaderStage { Idle, Sent, Answered, Done, }
}

nibbles! {
    struct Writer {
        stage: WriterStage,
    }
    struct Reader {
        stage: ReaderStage,
        /// The generation from before its GET.
        generation: u8,
        version: u8,
    }
    struct Entry {
        version: u8,
        generation: u8,
    }
    struct State {
        row: u8,
        key: Key,
        writers: [Writer; 2],
        readers: [Reader; 4],
        generation: u8,
        entry: Option<Entry>,
        /// From the server to this instance, in order.
        channel: Queue<u8, 4>,
        is_connected: bool,
        is_ping_sent: bool,
        /// The row when the last answered PING was sent.
        proved: u8,
        /// The newest row that a read on this instance has seen.
        seen: u8,
        disconnections_left: u8,
    }
}

impl Model for LocalTier {
    type State = State;

    fn start(&self) -> State {
        State {
            key: Key::Value {
                version: 0,
                mark: 0,
            },
            is_connected: true,
            disconnections_left: self.disconnections,
            ..State::default()
        }
    }

    fn steps(&self, at: &State, steps: &mut Steps<State>) {
        for i in 0..self.writers {
            self.write(at, i, steps);
        }
        for i in 0..self.readers {
            self.read(at, i, steps);
        }
        self.messages(at, steps);
        self.connection(at, steps);
        if at.key == Key::Absent {
            let mut to = *at;
            to.key = Key::Value {
                version: at.row,
                mark: 0,
            };
            steps.to("another instance fills v#", [at.row], to);
        }
    }
}

impl State {
    /// Messages published while the instance is disconnected are lost.
    fn publish(mut self) -> Self {
        if self.is_connected {
            self.channel.push(FORGET);
        }
        self
    }

    fn forget(mut self, generations: bool) -> Self {
        self.generation += 1;
        if !generations {
            self.entry = None;
        }
        self
    }

    fn done(mut self, i: usize, version: u8) -> Self {
        self.readers[i] = Reader {
            stage: ReaderStage::Done,
            ..Reader::default()
        };
        self.seen = self.seen.max(version);
        self
    }
}

impl LocalTier {
    fn write(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let n = i as u8;
        let mut to = *at;
        match at.writers[i].stage {
            WriterStage::Idle => {
                to.writers[i].stage = WriterStage::Quarantined;
                to.key = SCRIPTS.quarantine(at.key, n);
                if self.publish == Publish::AtQuarantine {
                    to = to.publish();
                }
                steps.to("w#: QUARANTINE", [n], to);
            }
            WriterStage::Quarantined => {
                to.writers[i].stage = WriterStage::Committed;
                to.row += 1;
                steps.to("w#: commits v#", [n, to.row], to);
            }
            WriterStage::Committed => {
                to.writers[i].stage = WriterStage::Released;
                to.key = SCRIPTS.release(at.key, n, None);
                if self.publish == Publish::AtRelease {
                    to = to.publish();
                }
                steps.to("w#: RELEASE", [n], to);
            }
            WriterStage::Released => {}
        }
    }

    fn read(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, reader) = (i as u8, at.readers[i]);
        match reader.stage {
            ReaderStage::Idle => self.begin(at, i, steps),
            ReaderStage::Sent => match at.key {
                Key::Value { version, .. } => {
                    let mut to = *at;
                    to.readers[i].stage = ReaderStage::Answered;
                    to.readers[i].version = version;
                    steps.to("r#: GET finds v#", [n, version], to);
                }
                // Load and FILL are one step, because the leases have a
                // separate model.
                Key::Absent => {
                    let mut to = *at;
                    to.key = Key::Value {
                        version: at.row,
                        mark: 0,
                    };
                    to.readers[i].stage = ReaderStage::Answered;
                    to.readers[i].version = at.row;
                    if self.forget_on_miss {
                        to.generation += 1;
                        // The generation is taken again, because the ACQUIRE is
                        // sent after it.
                        to.readers[i].generation = to.generation;
                    }
                    steps.to("r#: loads and fills v#", [n, at.row], to);
                }
                Key::Lease { .. } | Key::Quarantine { .. } => {
                    let mut to = at.done(i, at.row);
                    to.generation += u8::from(self.forget_on_miss);
                    steps.to("r#: GET finds Q, loads v#", [n, at.row], to);
                }
            },
            ReaderStage::Answered => self.insert(at, i, steps),
            ReaderStage::Done => {}
        }
    }

    fn begin(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let n = i as u8;
        let current = |entry: &Entry| !self.generations || entry.generation == at.generation;
        match at.entry.filter(current) {
            Some(Entry { version, .. }) if at.is_connected => {
                if version < at.proved {
                    let numbers = [n, version, at.proved];
                    steps.broken("r# is served v#, but v# was proved", numbers);
                }
                if self.in_order && version < at.seen {
                    let numbers = [n, version, at.seen];
                    steps.broken("r# is served v#, but v# had been seen", numbers);
                }
                steps.to(
                    "r#: is served v# locally",
                    [n, version],
                    at.done(i, version),
                );
            }
            _ => {
                let under_way = |reader: &Reader| {
                    matches!(reader.stage, ReaderStage::Sent | ReaderStage::Answered)
                };
                if !self.one_in_flight || !at.readers.iter().any(under_way) {
                    let mut to = *at;
                    to.readers[i].stage = ReaderStage::Sent;
                    to.readers[i].generation = at.generation;
                    steps.to("r#: sends GET under g#", [n, at.generation], to);
                }
            }
        }
    }

    fn insert(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (
            n,
            Reader {
                version,
                generation,
                ..
            },
        ) = (i as u8, at.readers[i]);
        let is_late = generation != at.generation;
        let holds_other = at
            .entry
            .is_some_and(|entry| entry.generation == at.generation && entry.version != version);
        let clashes = self.forget_on_clash
            && self.generations
            && holds_other
            && (!is_late || self.forget_on_late_insert);
        let mut to = at.done(i, version);
        if clashes || (is_late && self.forget_on_late_insert) {
            to.entry = None;
            to.generation += 1;
            steps.to("r#: inserts v#, which forgets", [n, version], to);
        } else if self.generations && is_late {
            steps.to("r#: v# is too late for an insert", [n, version], to);
        } else {
            let generation = if self.generations { generation } else { 0 };
            to.entry = at.is_connected.then_some(Entry {
                version,
                generation,
            });
            steps.to("r#: inserts v#", [n, version], to);
        }
    }

    fn messages(&self, at: &State, steps: &mut Steps<State>) {
        match at.channel.first() {
            Some(FORGET) => {
                let mut to = at.forget(self.generations);
                to.channel = at.channel.without_first();
                steps.to("the message arrives", [], to);
            }
            Some(pong) => {
                let mut to = *at;
                to.channel = at.channel.without_first();
                to.proved = at.proved.max(pong - PONG);
                to.is_ping_sent = false;
                steps.to("the PONG arrives", [], to);
            }
            None => {}
        }
        if at.is_connected && !at.is_ping_sent {
            // PING and PONG are one step; the PONG proves the row at sending.
            let mut to = *at;
            to.channel.push(PONG + at.row);
            to.is_ping_sent = true;
            steps.to("PING", [], to);
        }
    }

    fn connection(&self, at: &State, steps: &mut Steps<State>) {
        if at.is_connected && at.disconnections_left > 0 {
            let mut to = at.forget(self.generations);
            to.is_connected = false;
            to.is_ping_sent = false;
            to.channel = Queue::default();
            to.disconnections_left -= 1;
            steps.to("the connection is lost", [], to);
        }
        if !at.is_connected {
            let mut to = at.forget(self.generations);
            to.is_connected = true;
            steps.to("subscribed again", [], to);
        }
    }
}
