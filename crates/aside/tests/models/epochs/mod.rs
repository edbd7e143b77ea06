//! Epochs: invalidating a whole kind at once.
//!
//! Two instances, each with a local tier, and one key of the kind. A write of
//! the whole kind quarantines nothing. It raises the kind's epoch before its
//! commit and after it. Its transaction journals one row, which is deleted when
//! the second bump has succeeded. Instances learn the epoch from messages, and
//! from the watcher, which reads it with every PING.
//!
//! A write counts as settled once it has returned, or once no poller is left
//! that would repair the steps its writer missed. A read must see everything
//! that was settled when its instance sent the last PING that has been
//! answered.

use crate::explore::{Model, Steps};
use crate::nibbles::{Queue, nibbles, stages};
use crate::scripts::{Key, SCRIPTS};

mod learning;
mod promises;
mod reads;

/// When a write of the whole kind bumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bumps {
    BeforeAndAfter,
    BeforeOnly,
    AfterOnly,
}

/// How the journal row that invalidates the kind is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Journal {
    None,
    /// The poller bumps, and then deletes the row.
    BumpThenDelete,
    DeleteThenBump,
}

/// The epoch that a value or an entry is stamped with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stamp {
    /// Known before the first command was sent.
    Early,
    /// Known when the value is stored.
    Late,
}

/// The rules, the faults, and the number of writers and readers.
#[derive(Clone, Copy, Debug)]
struct Epochs {
    bumps: Bumps,
    journal: Journal,
    /// The stamp of a value that FILL stores.
    fill: Stamp,
    /// The stamp of a value that RELEASE stores.
    release: Stamp,
    /// The stamp of a local entry: its header's, or the instance's.
    entry: Stamp,
    /// The watcher reads the epoch with every PING.
    watcher_reads: bool,
    /// A bump takes the server's clock if the clock is ahead.
    clock: bool,
    /// A bump exceeds the epoch that the caller knew.
    beyond_known: bool,
    /// The epochs that the instances know at first; the newer one is the
    /// kind's.
    known: [u8; 2],
    /// Writes of the whole kind: the first on instance 1, the other on 0.
    writes: usize,
    /// A write of the one key on instance 0, which leaves its value.
    single: bool,
    /// The instances that have readers. An instance without readers receives no
    /// messages, and knows only the epochs that its own bumps returned.
    homes: &'static [usize],
    /// PINGs per instance. Each further PING only proves more.
    pings: u8,
    left: Left,
}

stages! {
    enum WriteStage { Idle, Begun, Committed, Bumped, Over, }
    enum SingleStage { Idle, Quarantined, Committed, Released, }
    enum PollStage { Idle, Bumped, Deleted, }
    enum ReaderStage { Idle, Sent, Missed, Leased, Loaded, Answered, Done, }
}

nibbles! {
    struct Write {
        stage: WriteStage,
        version: u8,
        is_journalled: bool,
    }
    struct Single {
        stage: SingleStage,
        version: u8,
        epoch: u8,
    }
    struct Poll {
        stage: PollStage,
        row: u8,
    }
    /// A bump, or the reply to a watcher.
    struct Message {
        epoch: u8,
        is_pong: bool,
        settled: u8,
    }
    struct Entry {
        version: u8,
        epoch: u8,
    }
    struct Instance {
        known: u8,
        entry: Option<Entry>,
        channel: Queue<Message, 6>,
        is_ping_sent: bool,
        pings_left: u8,
        /// The writes that were settled when the last answered PING was sent.
        proved: u8,
    }
    struct Reader {
        stage: ReaderStage,
        floor: u8,
        /// The epoch known before its GET.
        known: u8,
        token: u8,
        version: u8,
        /// The epoch of the value that it returns.
        epoch: u8,
    }
    /// Faults that may still happen.
    struct Left {
        crashes: u8,
        lost: u8,
        evictions: u8,
    }
    struct State {
        row: u8,
        key: Key,
        tokens: u8,
        /// The kind's field among the epochs; zero if it is missing.
        field: u8,
        /// The server's clock, which advances only when a step needs it to.
        now: u8,
        settled: u8,
        instances: [Instance; 2],
        writes: [Write; 2],
        single: Single,
        poll: Poll,
        readers: [Reader; 3],
        left: Left,
    }
}

impl Model for Epochs {
    type State = State;

    fn start(&self) -> State {
        let instance = |known| Instance {
            known,
            pings_left: self.pings,
            ..Instance::default()
        };
        let newest = self.known[0].max(self.known[1]);
        State {
            field: newest,
            now: newest,
            instances: self.known.map(instance),
            left: self.left,
            ..State::default()
        }
    }

    fn steps(&self, at: &State, steps: &mut Steps<State>) {
        for i in 0..self.writes {
            self.write(at, i, steps);
        }
        if self.single {
            self.write_single(at, steps);
        }
        if self.journal != Journal::None {
            self.poll(at, steps);
        }
        for i in 0..2 {
            self.watch(at, i, steps);
        }
        for i in 0..self.homes.len() {
            self.read(at, i, steps);
        }
        if at.key.is_lease() {
            let mut to = *at;
            to.key = Key::Absent;
            steps.to("the lease expires", [], to);
        }
        if at.left.evictions > 0 && at.field > 0 {
            let mut to = *at;
            to.left.evictions -= 1;
            to.field = 0;
            // Before any instance notices the missing field, the clock has
            // advanced.
            to.now += 1;
            steps.to("the epochs are evicted", [], to);
        }
    }
}

impl Epochs {
    /// The script, called by instance `i`, which adopts the epoch that it
    /// returns.
    fn bump(&self, mut to: State, i: usize) -> State {
        let mut epoch = to.field + 1;
        if self.clock {
            epoch = epoch.max(to.now);
        }
        if self.beyond_known {
            epoch = epoch.max(to.instances[i].known + 1);
        }
        to.field = epoch;
        to.now = to.now.max(epoch);
        to.instances[i].known = to.instances[i].known.max(epoch);
        for (i, instance) in to.instances.iter_mut().enumerate() {
            if self.homes.contains(&i) {
                instance.channel.push(Message {
                    epoch,
                    ..Message::default()
                });
            }
        }
        to
    }

    fn write(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, write, home) = (i as u8, at.writes[i], 1 - i);
        let mut to = *at;
        match write.stage {
            WriteStage::Idle => {
                to.writes[i].stage = WriteStage::Begun;
                if self.bumps == Bumps::AfterOnly {
                    steps.to("w#: begins", [n], to);
                } else {
                    let to = self.bump(to, home);
                    steps.to("w#: bumps to e#", [n, to.field], to);
                }
            }
            WriteStage::Begun => {
                to.writes[i].stage = WriteStage::Committed;
                to.row += 1;
                to.writes[i].version = to.row;
                to.writes[i].is_journalled = self.journal != Journal::None;
                steps.to("w#: commits v#", [n, to.row], to);
            }
            WriteStage::Committed => {
                to.writes[i].stage = WriteStage::Bumped;
                if self.bumps == Bumps::BeforeOnly {
                    steps.to("w#: bumps no more", [n], to);
                } else {
                    let to = self.bump(to, home);
                    steps.to("w#: bumps to e#", [n, to.field], to);
                }
            }
            WriteStage::Bumped => {
                to.settled = at.settled.max(write.version);
                to.writes[i] = over();
                steps.to("w#: deletes its row, returns", [n], to);
            }
            WriteStage::Over => return,
        }
        let is_half_way = matches!(write.stage, WriteStage::Committed | WriteStage::Bumped);
        if is_half_way && at.left.crashes > 0 {
            let mut to = *at;
            to.left.crashes -= 1;
            to.writes[i].stage = WriteStage::Over;
            if !write.is_journalled {
                to.writes[i] = over();
                to.settled = at.settled.max(write.version);
            }
            steps.to("w#: crashes", [n], to);
        }
    }

    fn write_single(&self, at: &State, steps: &mut Steps<State>) {
        let mut to = *at;
        match at.single.stage {
            SingleStage::Idle => {
                to.single.stage = SingleStage::Quarantined;
                to.single.epoch = at.instances[0].known;
                to.key = SCRIPTS.quarantine(at.key, 3);
                steps.to("w3: QUARANTINE", [], to);
            }
            SingleStage::Quarantined => {
                to.single.stage = SingleStage::Committed;
                to.row += 1;
                to.single.version = to.row;
                steps.to("w3: commits v#", [to.row], to);
            }
            SingleStage::Committed => {
                let epoch = match self.release {
                    Stamp::Early => at.single.epoch,
                    Stamp::Late => at.instances[0].known,
                };
                to.key = SCRIPTS.release(at.key, 3, Some((at.single.version, epoch)));
                to.single = Single {
                    stage: SingleStage::Released,
                    ..Single::default()
                };
                let numbers = [at.single.version, epoch];
                steps.to("w3: RELEASE with v# of e#", numbers, to);
            }
            SingleStage::Released => {}
        }
    }
}

/// A write that takes no further steps.
fn over() -> Write {
    Write {
        stage: WriteStage::Over,
        ..Write::default()
    }
}
