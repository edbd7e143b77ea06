//! One key of the shared tier: leases for readers, quarantines for writers.
//!
//! A read must see the newest row that was committed when it began. Under a
//! fault that is known to break this, it must see the newest row whose write
//! had returned.

use crate::explore::{Model, Steps};
use crate::nibbles::{nibbles, stages};
use crate::scripts::{Key, Scripts};

mod promises;

/// The oldest row that a read may return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Floor {
    Committed,
    Returned,
}

/// When a reader takes over the result of a lease holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Join {
    Never,
    /// Once its FILL was accepted.
    Filled,
    /// Also if its load began only after the other reader had joined.
    FilledOrLoadedAfter,
    Always,
}

/// The source of the history tag of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    None,
    KnownAtFill,
    KnownBeforeAcquire,
}

/// The rules, the faults, and the number of writers and readers.
#[derive(Clone, Copy, Debug)]
struct Leases {
    scripts: Scripts,
    writers: usize,
    readers: usize,
    left: Left,
    floor: Floor,
    /// Readers fill only under a lease.
    lease: bool,
    /// Writers quarantine before they commit.
    quarantine: bool,
    join: Join,
    tag: Tag,
}

stages! {
    enum WriterStage { Idle, Quarantined, Committed, Returned, Crashed, }
    enum ReaderStage { Idle, Started, Missed, Leased, Loaded, Bypassing, Joined, Done, }
}

nibbles! {
    struct Writer {
        stage: WriterStage,
        version: u8,
    }
    struct Reader {
        stage: ReaderStage,
        floor: u8,
        /// The token of its lease; for a reader that joined, the holder it
        /// joined.
        token: u8,
        joined_before_load: bool,
        tag: u8,
        loaded: u8,
    }
    /// Faults that may still happen.
    struct Left {
        crashes: u8,
        expiries: u8,
        evictions: u8,
        failovers: u8,
    }
    struct State {
        row: u8,
        key: Key,
        tokens: u8,
        writers: [Writer; 2],
        readers: [Reader; 3],
        left: Left,
        returned: u8,
        /// The replica's copy when it was last in step.
        replica: Option<Key>,
        history: u8,
    }
}

impl Model for Leases {
    type State = State;

    fn start(&self) -> State {
        State {
            left: self.left,
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
        faults(at, steps);
    }
}

impl State {
    fn writer(mut self, i: usize, stage: WriterStage) -> Self {
        self.writers[i].stage = stage;
        self
    }

    fn reader(mut self, i: usize, stage: ReaderStage) -> Self {
        self.readers[i].stage = stage;
        if stage == ReaderStage::Done {
            self.readers[i] = Reader {
                stage,
                ..Reader::default()
            };
        }
        self
    }
}

impl Leases {
    fn write(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, writer) = (i as u8, at.writers[i]);
        match writer.stage {
            WriterStage::Idle => {
                let mut to = at.writer(i, WriterStage::Quarantined);
                if self.quarantine {
                    to.key = self.scripts.quarantine(at.key, n);
                    steps.to("w#: QUARANTINE", [n], to);
                } else {
                    steps.to("w#: begins", [n], to);
                }
            }
            WriterStage::Quarantined => {
                let mut to = at.writer(i, WriterStage::Committed);
                to.row += 1;
                to.writers[i].version = to.row;
                steps.to("w#: commits v#", [n, to.row], to);
            }
            WriterStage::Committed => {
                let mut to = at.writer(i, WriterStage::Returned);
                to.key = self.scripts.release(at.key, n, None);
                to.returned = at.returned.max(writer.version);
                steps.to("w#: RELEASE, returns", [n], to);
            }
            WriterStage::Returned | WriterStage::Crashed => return,
        }
        if writer.stage != WriterStage::Idle && at.left.crashes > 0 {
            let mut to = at.writer(i, WriterStage::Crashed);
            to.left.crashes -= 1;
            steps.to("w#: crashes", [n], to);
        }
    }

    fn read(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, reader) = (i as u8, at.readers[i]);
        match reader.stage {
            ReaderStage::Idle => {
                let mut to = at.reader(i, ReaderStage::Started);
                to.readers[i].floor = match self.floor {
                    Floor::Committed => at.row,
                    Floor::Returned => at.returned,
                };
                steps.to("r#: starts", [n], to);
                if at.key.is_lease() && self.join != Join::Never {
                    self.join(&to, i, steps);
                }
            }
            ReaderStage::Started => match self.served(at, i, steps) {
                Some(to) => steps.to("r#: GET finds a value", [n], to),
                None if at.key.is_lease() || at.key.is_quarantine() => {
                    let to = at.reader(i, ReaderStage::Bypassing);
                    steps.to("r#: GET finds L or Q", [n], to);
                }
                None => steps.to("r#: GET misses", [n], at.reader(i, ReaderStage::Missed)),
            },
            ReaderStage::Missed if !self.lease => {
                steps.to(
                    "r#: asks for no lease",
                    [n],
                    at.reader(i, ReaderStage::Leased),
                );
            }
            ReaderStage::Missed => match self.served(at, i, steps) {
                Some(to) => steps.to("r#: ACQUIRE finds a value", [n], to),
                None if at.key.is_lease() || at.key.is_quarantine() => {
                    let to = at.reader(i, ReaderStage::Bypassing);
                    steps.to("r#: ACQUIRE finds L or Q", [n], to);
                }
                None => {
                    let mut to = at.reader(i, ReaderStage::Leased);
                    to.tokens += 1;
                    to.readers[i].token = to.tokens;
                    if self.tag == Tag::KnownBeforeAcquire {
                        to.readers[i].tag = at.history;
                    }
                    to.key = Key::Lease {
                        token: to.tokens,
                        mark: 0,
                    };
                    steps.to("r#: ACQUIRE grants t#", [n, to.tokens], to);
                }
            },
            ReaderStage::Leased => {
                let mut to = at.reader(i, ReaderStage::Loaded);
                to.readers[i].loaded = at.row;
                steps.to("r#: loads v#", [n, at.row], to);
            }
            ReaderStage::Loaded => self.fill(at, i, steps),
            ReaderStage::Bypassing => {
                steps.to("r#: loads", [n], at.reader(i, ReaderStage::Done));
            }
            ReaderStage::Joined | ReaderStage::Done => {}
        }
    }

    /// The state after a reader took the value under the key, if there is a
    /// value.
    fn served(&self, at: &State, i: usize, steps: &mut Steps<State>) -> Option<State> {
        let Key::Value { version, mark } = at.key else {
            return None;
        };
        if self.tag != Tag::None && mark != at.history {
            return None;
        }
        if version < at.readers[i].floor {
            let numbers = [i as u8, version, at.readers[i].floor];
            steps.broken("r# is served v#, and must not see less than v#", numbers);
        }
        Some(at.reader(i, ReaderStage::Done))
    }

    fn join(&self, started: &State, i: usize, steps: &mut Steps<State>) {
        for (j, holder) in started.readers.iter().enumerate() {
            if matches!(holder.stage, ReaderStage::Leased | ReaderStage::Loaded) {
                let mut to = started.reader(i, ReaderStage::Joined);
                to.readers[i].token = j as u8;
                to.readers[i].joined_before_load =
                    self.join == Join::FilledOrLoadedAfter && holder.stage == ReaderStage::Leased;
                steps.to("r#: joins r#", [i as u8, j as u8], to);
            }
        }
    }

    fn fill(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, reader) = (i as u8, at.readers[i]);
        let mark = match self.tag {
            Tag::KnownBeforeAcquire => reader.tag,
            Tag::None | Tag::KnownAtFill => at.history,
        };
        let filled = if self.lease {
            at.key.filled(reader.token, reader.loaded, mark)
        } else {
            Some(Key::Value {
                version: reader.loaded,
                mark,
            })
        };
        let mut to = at.reader(i, ReaderStage::Done);
        to.key = filled.unwrap_or(at.key);
        for (j, other) in at.readers.iter().enumerate() {
            if other.stage != ReaderStage::Joined || other.token != n {
                continue;
            }
            let takes = filled.is_some() || other.joined_before_load || self.join == Join::Always;
            if takes {
                if reader.loaded < other.floor {
                    let numbers = [j as u8, reader.loaded, other.floor];
                    steps.broken("r#, after joining, gets v# instead of v#", numbers);
                }
                to = to.reader(j, ReaderStage::Done);
            } else {
                to = to.reader(j, ReaderStage::Bypassing);
                to.readers[j].token = 0;
            }
        }
        let words = match filled {
            Some(_) => "r#: FILL v#",
            None => "r#: FILL v#, refused",
        };
        steps.to(words, [n, reader.loaded], to);
    }
}

/// Faults that change the key without a command of any participant.
fn faults(at: &State, steps: &mut Steps<State>) {
    for writer in at.key.writers() {
        let mut to = *at;
        to.key = at.key.without_record(writer);
        // The quarantine of a crashed writer always expires.
        if at.writers[usize::from(writer)].stage == WriterStage::Crashed {
            steps.to("the quarantine of w#, crashed, expires", [writer], to);
        }
        if at.left.expiries > 0 {
            to.left.expiries -= 1;
            steps.to("the quarantine of w# expires early", [writer], to);
        }
    }
    if at.key.is_lease() {
        let mut to = *at;
        to.key = Key::Absent;
        steps.to("the lease expires", [], to);
    }
    if at.left.evictions > 0 && at.key != Key::Absent {
        let mut to = *at;
        to.key = Key::Absent;
        to.left.evictions -= 1;
        steps.to("the key is evicted", [], to);
    }
    if at.left.failovers > 0 {
        let mut to = *at;
        if let Some(key) = at.replica {
            to.key = key;
            to.replica = None;
            to.history += 1;
            to.left.failovers -= 1;
            steps.to("a replica that lags takes over", [], to);
        } else {
            to.replica = Some(at.key);
            steps.to("a replica is in step", [], to);
        }
    }
}
