//! A RELEASE that leaves the new row behind.
//!
//! Storing a value without a lease is safe only if nothing else was written
//! since the writer's own quarantine began. The mark on the quarantine records
//! that. This model contains every party that must set it: other writers,
//! writers that could not quarantine, and programs that never quarantine.

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

/// The rules, the faults, and the number of writers and readers.
#[derive(Clone, Copy, Debug)]
struct ReleaseValue {
    scripts: Scripts,
    /// The tag of the value is the tag known before QUARANTINE.
    early_tag: bool,
    writers: usize,
    /// The number of writers that cannot quarantine. They INVALIDATE first, and
    /// RELEASE without holding a record.
    degraded: usize,
    /// Commits of other programs, each followed by an INVALIDATE.
    external: usize,
    readers: usize,
    left: Left,
    floor: Floor,
}

stages! {
    enum WriterStage { Idle, Quarantined, Committed, Returned, Crashed, }
    enum ExternalStage { Idle, Committed, Told, }
    enum ReaderStage { Idle, Started, Missed, Leased, Loaded, Done, }
}

nibbles! {
    struct Writer {
        stage: WriterStage,
        version: u8,
        tag: u8,
    }
    struct External {
        stage: ExternalStage,
        version: u8,
    }
    struct Reader {
        stage: ReaderStage,
        floor: u8,
        token: u8,
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
        writers: [Writer; 3],
        external: [External; 1],
        readers: [Reader; 2],
        left: Left,
        returned: u8,
        replica: Option<Key>,
        history: u8,
    }
}

impl Model for ReleaseValue {
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
        for i in 0..self.external {
            self.write_elsewhere(at, i, steps);
        }
        for i in 0..self.readers {
            self.read(at, i, steps);
        }
        faults(at, steps);
    }
}

impl State {
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

impl ReleaseValue {
    fn write(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, writer) = (i as u8, at.writers[i]);
        let mut to = *at;
        match writer.stage {
            WriterStage::Idle => {
                to.writers[i].stage = WriterStage::Quarantined;
                to.writers[i].tag = at.history;
                if i < self.degraded {
                    to.key = self.scripts.invalidate(at.key);
                    steps.to("w#: INVALIDATE instead of QUARANTINE", [n], to);
                } else {
                    to.key = self.scripts.quarantine(at.key, n);
                    steps.to("w#: QUARANTINE", [n], to);
                }
            }
            WriterStage::Quarantined => {
                to.row += 1;
                to.writers[i].stage = WriterStage::Committed;
                to.writers[i].version = to.row;
                steps.to("w#: commits v#", [n, to.row], to);
            }
            WriterStage::Committed => {
                let tag = if self.early_tag {
                    writer.tag
                } else {
                    at.history
                };
                to.writers[i].stage = WriterStage::Returned;
                to.returned = at.returned.max(writer.version);
                to.key = self.scripts.release(at.key, n, Some((writer.version, tag)));
                let words = match to.key {
                    Key::Value { .. } => "w#: RELEASE stores v#, returns",
                    _ => "w#: RELEASE of v#, returns",
                };
                steps.to(words, [n, writer.version], to);
            }
            WriterStage::Returned | WriterStage::Crashed => return,
        }
        if writer.stage != WriterStage::Idle && at.left.crashes > 0 {
            let mut to = *at;
            to.left.crashes -= 1;
            to.writers[i].stage = WriterStage::Crashed;
            to.writers[i].tag = 0;
            steps.to("w#: crashes", [n], to);
        }
    }

    fn write_elsewhere(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let mut to = *at;
        match at.external[i].stage {
            ExternalStage::Idle => {
                to.row += 1;
                to.external[i].stage = ExternalStage::Committed;
                to.external[i].version = to.row;
                steps.to("another program commits v#", [to.row], to);
            }
            ExternalStage::Committed => {
                to.external[i].stage = ExternalStage::Told;
                to.key = self.scripts.invalidate(at.key);
                to.returned = at.returned.max(at.external[i].version);
                steps.to("INVALIDATE for that commit", [], to);
            }
            ExternalStage::Told => {}
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
            }
            ReaderStage::Started | ReaderStage::Missed => look(at, i, steps),
            ReaderStage::Leased => {
                let mut to = at.reader(i, ReaderStage::Loaded);
                to.readers[i].loaded = at.row;
                steps.to("r#: loads v#", [n, at.row], to);
            }
            ReaderStage::Loaded => {
                let mut to = at.reader(i, ReaderStage::Done);
                let filled = at.key.filled(reader.token, reader.loaded, reader.tag);
                to.key = filled.unwrap_or(at.key);
                let words = match filled {
                    Some(_) => "r#: FILL v#",
                    None => "r#: FILL v#, refused",
                };
                steps.to(words, [n, reader.loaded], to);
            }
            ReaderStage::Done => {}
        }
    }
}

/// A reader's GET, or the ACQUIRE after it.
fn look(at: &State, i: usize, steps: &mut Steps<State>) {
    let (n, reader) = (i as u8, at.readers[i]);
    match at.key {
        Key::Value { version, mark } if mark == at.history => {
            if version < reader.floor {
                let numbers = [n, version, reader.floor];
                steps.broken("r# is served v#, and must not see less than v#", numbers);
            }
            steps.to("r#: is served", [n], at.reader(i, ReaderStage::Done));
        }
        // The row that it loads next is new enough, and is not shared.
        Key::Lease { .. } | Key::Quarantine { .. } => {
            steps.to("r#: finds L or Q", [n], at.reader(i, ReaderStage::Done));
        }
        _ if reader.stage == ReaderStage::Started => {
            steps.to("r#: GET misses", [n], at.reader(i, ReaderStage::Missed));
        }
        _ => {
            let mut to = at.reader(i, ReaderStage::Leased);
            to.tokens += 1;
            to.readers[i].token = to.tokens;
            to.readers[i].tag = at.history;
            to.key = Key::Lease {
                token: to.tokens,
                mark: 0,
            };
            steps.to("r#: ACQUIRE grants t#", [n, to.tokens], to);
        }
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
    let mut to = *at;
    to.key = Key::Absent;
    if at.key.is_lease() {
        steps.to("the lease expires", [], to);
    }
    if at.left.evictions > 0 && at.key != Key::Absent {
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
