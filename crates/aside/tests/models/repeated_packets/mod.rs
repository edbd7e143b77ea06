//! Commands that are executed twice, or long after they were given up.
//!
//! A packet may stall on a connection whose reply is no longer awaited, and be
//! executed after its write or read is over. This model decides which commands
//! may be sent again under the same name, and which need a new name.

use crate::explore::{Model, Steps};
use crate::nibbles::{Queue, nibbles, stages};
use crate::scripts::{Key, SCRIPTS};

mod promises;

/// The commands that are sent twice, and how.
#[derive(Clone, Copy, Debug)]
struct Packets {
    /// A second packet gets a new name, and carries no value.
    fresh: bool,
    /// A write whose QUARANTINE got no reply still commits. The boolean says if
    /// its queued RELEASE carries the value.
    unacknowledged: Option<bool>,
    left: Left,
}

/// Readers and writers; the first of each sends commands twice.
const EACH: usize = 2;

/// The name of a second packet, if it gets a new one.
const SECOND_NAME: u8 = 2;

stages! {
    enum WriterStage { Idle, Quarantined, Unacknowledged, Committed, CommittedAlone, Returned, }
    enum ReaderStage { Idle, Leased, Loaded, Done, }
    enum Command { Nothing, Quarantine, Release, ReleaseValue, Acquire, Fill, }
}

nibbles! {
    struct Writer {
        stage: WriterStage,
        version: u8,
    }
    struct Reader {
        stage: ReaderStage,
        loaded: u8,
    }
    struct Packet {
        command: Command,
        name: u8,
        version: u8,
    }
    /// Packets that may still be sent twice.
    struct Left {
        quarantines: u8,
        releases: u8,
        acquires: u8,
    }
    struct State {
        row: u8,
        key: Key,
        writers: [Writer; EACH],
        readers: [Reader; EACH],
        /// Packets on the connection that was given up.
        stalled: Queue<Packet, 6>,
        left: Left,
        returned: u8,
    }
}

impl Model for Packets {
    type State = State;

    fn start(&self) -> State {
        State {
            left: self.left,
            ..State::default()
        }
    }

    fn steps(&self, at: &State, steps: &mut Steps<State>) {
        for i in 0..EACH {
            self.write(at, i, steps);
            self.read(at, i, steps);
        }
        if let Some(packet) = at.stalled.first() {
            let mut to = *at;
            to.stalled = at.stalled.without_first();
            to.key = executed(at.key, packet);
            let words = match packet.command {
                Command::Quarantine => "the stalled QUARANTINE of w# is executed",
                Command::Release => "the stalled RELEASE of w# is executed",
                Command::ReleaseValue => "the stalled RELEASE of w# with v# is executed",
                Command::Acquire => "the stalled ACQUIRE of r# is executed",
                Command::Fill | Command::Nothing => "the stalled FILL of r# with v# is executed",
            };
            steps.to(words, [packet.name, packet.version], to);
        }
        if at.key.is_lease() {
            let mut to = *at;
            to.key = Key::Absent;
            steps.to("the lease expires", [], to);
        }
    }
}

/// The key after the packet is executed, at any time.
fn executed(key: Key, packet: Packet) -> Key {
    let Packet { name, version, .. } = packet;
    match packet.command {
        Command::Nothing => key,
        Command::Quarantine => SCRIPTS.quarantine(key, name),
        Command::Release => SCRIPTS.release(key, name, None),
        Command::ReleaseValue => SCRIPTS.release(key, name, Some((version, 0))),
        Command::Acquire if key == Key::Absent => Key::Lease {
            token: name,
            mark: 0,
        },
        Command::Acquire => key,
        Command::Fill => key.filled(name, version, 0).unwrap_or(key),
    }
}

impl State {
    /// Sends a packet that arrives.
    fn run(mut self, command: Command, name: u8, version: u8) -> Self {
        let packet = Packet {
            command,
            name,
            version,
        };
        self.key = executed(self.key, packet);
        self
    }

    /// Sends a packet that stalls.
    fn stall(mut self, command: Command, name: u8, version: u8) -> Self {
        self.stalled.push(Packet {
            command,
            name,
            version,
        });
        self
    }
}

impl Packets {
    /// The other name under which the same command may be sent.
    fn other_name(&self, name: u8) -> u8 {
        if self.fresh { SECOND_NAME } else { name }
    }

    fn write(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, Writer { stage, version }) = (i as u8, at.writers[i]);
        let mut to = *at;
        match stage {
            WriterStage::Idle => {
                to.writers[i].stage = WriterStage::Quarantined;
                steps.to("w#: QUARANTINE", [n], to.run(Command::Quarantine, n, 0));
                if at.left.quarantines > 0 && i == 0 {
                    to.left.quarantines -= 1;
                    let twice = to.run(Command::Quarantine, n, 0).stall(
                        Command::Quarantine,
                        self.other_name(n),
                        0,
                    );
                    steps.to("w#: QUARANTINE twice, the first stalls", [n], twice);
                    if self.unacknowledged.is_some() {
                        to.writers[i].stage = WriterStage::Unacknowledged;
                        let to = to.stall(Command::Quarantine, n, 0);
                        steps.to("w#: QUARANTINE stalls", [n], to);
                    }
                }
            }
            WriterStage::Quarantined | WriterStage::Unacknowledged => {
                to.row += 1;
                to.writers[i].version = to.row;
                to.writers[i].stage = match stage {
                    WriterStage::Unacknowledged => WriterStage::CommittedAlone,
                    _ => WriterStage::Committed,
                };
                steps.to("w#: commits v#", [n, to.row], to);
            }
            WriterStage::Committed => {
                to.writers[i].stage = WriterStage::Returned;
                to.returned = at.returned.max(version);
                let once = to.run(Command::ReleaseValue, n, version);
                steps.to("w#: RELEASE with v#, returns", [n, version], once);
                if at.left.releases > 0 && i == 0 {
                    to.left.releases -= 1;
                    let again = match self.fresh {
                        true => Command::Release,
                        false => Command::ReleaseValue,
                    };
                    let to = to
                        .run(again, n, version)
                        .stall(Command::ReleaseValue, n, version);
                    steps.to(
                        "w#: RELEASE with v# stalls and is repeated",
                        [n, version],
                        to,
                    );
                }
            }
            // Other instances learn of it from the journal. The promised bound
            // is checked after they have.
            WriterStage::CommittedAlone => {
                to.writers[i].stage = WriterStage::Returned;
                to.returned = at.returned.max(version);
                to.key = SCRIPTS.invalidate(at.key);
                let release = match self.unacknowledged {
                    Some(true) => Command::ReleaseValue,
                    _ => Command::Release,
                };
                let to = to.stall(release, n, version);
                steps.to("w#: INVALIDATE from the journal, RELEASE queued", [n], to);
            }
            WriterStage::Returned => {}
        }
    }

    fn read(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, Reader { stage, loaded }) = (i as u8, at.readers[i]);
        let mut to = *at;
        match stage {
            ReaderStage::Idle => match at.key {
                Key::Value { version, .. } => {
                    if version < at.returned {
                        let numbers = [n, version, at.returned];
                        steps.broken("r# is served v#, and v# has returned", numbers);
                    }
                    to.readers[i].stage = ReaderStage::Done;
                    steps.to("r#: is served v#", [n, version], to);
                }
                Key::Absent => {
                    to.readers[i].stage = ReaderStage::Leased;
                    to = to.run(Command::Acquire, n, 0);
                    steps.to("r#: ACQUIRE", [n], to);
                    if at.left.acquires > 0 && i == 0 {
                        to.left.acquires -= 1;
                        let to = to.stall(Command::Acquire, self.other_name(n), 0);
                        steps.to("r#: ACQUIRE twice, the first stalls", [n], to);
                    }
                }
                Key::Lease { .. } | Key::Quarantine { .. } => {}
            },
            ReaderStage::Leased => {
                to.readers[i].stage = ReaderStage::Loaded;
                to.readers[i].loaded = at.row;
                steps.to("r#: loads v#", [n, at.row], to);
            }
            ReaderStage::Loaded => {
                to.readers[i] = Reader {
                    stage: ReaderStage::Done,
                    loaded: 0,
                };
                let filled = to.run(Command::Fill, n, loaded);
                steps.to("r#: FILL v#", [n, loaded], filled);
                if at.stalled.first().is_some() {
                    let to = to.stall(Command::Fill, n, loaded);
                    steps.to("r#: FILL v# stalls too", [n, loaded], to);
                }
            }
            ReaderStage::Done => {}
        }
    }
}
