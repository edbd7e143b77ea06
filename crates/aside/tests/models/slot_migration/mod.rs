//! One key and two nodes: its slot migrates, or a failover replaces its primary.
//!
//! Node 0 owns the key's slot at first. Node 1 is the target of a migration, or
//! the replica that a majority of witnesses votes for: the other primaries of a
//! cluster, or the Sentinels. One writer, one reader with a local tier, and
//! other instances that only fill. Each node acts atomically, and `SETSLOT` is
//! one step for both.
//!
//! A message is published at the node that executes the command. It reaches the
//! reader on its connection to that node, in order with the answers to its
//! rounds. The reader is subscribed only at the owner in its map. Copies on the
//! bus may be lost, so the model has none.
//!
//! A proof has no time. It has the newest version that had returned when its
//! round was sent, and no read that relies on it may be older. A write whose
//! RELEASE awaits a confirmation returns with the confirmation.
//!
//! The only measure of time is [`State::is_late`]: more than H has passed since
//! the promotion. Until then, an instance that has heard of no vote may still
//! trust the old primary.

use self::rules::{ChangedLine, Demoted, Settles, SlotMigration, Witnesses};
use crate::explore::{Model, Steps};
use crate::nibbles::{Queue, nibbles, stages};
use crate::scripts::{Key, WITHOUT_VALUES};

mod rules;
mod moves;
mod writes;
mod rounds;
mod reads;
mod promises;
mod failovers;

stages! {
    enum Failover { None, Voted, Promoted, Noticed, }
    enum WriteStage {
        Idle,
        /// The asker has not been informed of the QUARANTINE.
        Informing,
        Quarantined,
        Committed,
        /// The asker has not been informed of the RELEASE.
        Releasing,
        Unconfirmed,
    }
    enum ReadStage { Idle, Sent, Leased, Loaded, Answered, }
    enum Kind { None, Forget, Answer, }
}

nibbles! {
    struct Slot {
        owner: u8,
        is_migrating: bool,
        /// How often it changed its owner.
        changes: u8,
    }
    struct Writer {
        stage: WriteStage,
        version: u8,
        /// The node that executed the last command.
        node: u8,
        /// The QUARANTINE was sent more than H after the promotion.
        is_late: bool,
    }
    /// A message, or a node's answer to a round.
    struct Message {
        kind: Kind,
        /// The newest version that had returned when the round was sent.
        date: u8,
        line: u8,
        is_primary: bool,
    }
    /// The state of the reading instance about the key's shard.
    struct Link {
        /// The owner in its map, where it is subscribed.
        node: u8,
        channel: Queue<Message, 6>,
        is_round_sent: bool,
        /// The date of the node's proof, for reads of the shared tier.
        proof: Option<u8>,
        /// The same for local entries.
        local_proof: Option<u8>,
        /// The date of the last answers of a majority of witnesses.
        witnessed: Option<u8>,
        line: u8,
        /// The version of the local entry, if its generation is current.
        entry: Option<u8>,
    }
    struct Read {
        stage: ReadStage,
        /// No generation was raised since it began.
        is_current: bool,
        node: u8,
        /// First the oldest version allowed, then the version found.
        version: u8,
    }
    /// Steps and faults that may still happen.
    struct Left {
        writes: u8,
        migrations: u8,
        cancelled: u8,
        /// The acknowledgement of MIGRATE is lost, and both nodes have the key.
        copied: u8,
        evictions: u8,
        /// A promoted replica has not received the last commands.
        lost_tails: u8,
        /// Crashes of a writer that began more than H after the promotion.
        crashes: u8,
    }
    struct State {
        row: u8,
        returned: u8,
        slot: Slot,
        failover: Failover,
        /// More than H has passed since the promotion.
        is_late: bool,
        keys: [Key; 2],
        writer: Writer,
        /// The version of the journal's row; zero if there is none.
        journalled: u8,
        link: Link,
        read: Read,
        left: Left,
    }
}

/// The reply of a node to a command on the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Executed,
    Ask,
    Moved,
}

impl Model for SlotMigration {
    type State = State;

    fn start(&self) -> State {
        let filled = Key::Value {
            version: 0,
            mark: 0,
        };
        State {
            keys: [filled, Key::Absent],
            left: self.left,
            ..State::default()
        }
    }

    fn steps(&self, at: &State, steps: &mut Steps<State>) {
        if self.fails_over {
            self.fail_over(at, steps);
        } else {
            self.migrate(at, steps);
        }
        self.write(at, steps);
        self.repair(at, steps);
        self.fill_elsewhere(at, steps);
        self.prove(at, steps);
        self.learn_map(at, steps);
        self.read(at, steps);
        Self::expire_lease(at, steps);
    }
}

impl SlotMigration {
    /// Returns the reply of a node to a command that is sent without ASKING.
    fn route(&self, at: &State, node: u8) -> Route {
        let is_owner = match at.failover {
            Failover::Promoted if node == 0 => self.demoted != Demoted::Gone,
            _ => node == at.owner(),
        };
        let is_absent = at.keys[usize::from(node)] == Key::Absent;
        match is_owner {
            true if at.slot.is_migrating && is_absent => Route::Ask,
            true => Route::Executed,
            false => Route::Moved,
        }
    }

    /// Returns the date of the reader's trust in its node, from the node's own
    /// proof.
    fn trust(&self, at: &State, proof: Option<u8>) -> Option<u8> {
        if !self.fails_over {
            return proof;
        }
        match (at.link.node, self.witnesses) {
            (1, _) if self.pauses && !at.is_late => None,
            (1, _) | (_, Witnesses::None) => proof,
            (_, Witnesses::NoNewerEpoch | Witnesses::NoVote) => {
                Some(proof?.min(at.link.witnessed?))
            }
        }
    }
}

impl State {
    fn is_promoted(&self) -> bool {
        matches!(self.failover, Failover::Promoted | Failover::Noticed)
    }

    fn owner(&self) -> u8 {
        if self.is_promoted() {
            1
        } else {
            self.slot.owner
        }
    }

    fn key(&self, node: u8) -> Key {
        self.keys[usize::from(node)]
    }

    fn set_key(&mut self, node: u8, key: Key) {
        self.keys[usize::from(node)] = key;
    }

    fn publish(&mut self, node: u8) {
        if node == self.link.node {
            self.link.channel.push(Message {
                kind: Kind::Forget,
                ..Message::default()
            });
        }
    }

    fn invalidate(&mut self, node: u8) {
        self.set_key(node, WITHOUT_VALUES.invalidate(self.key(node)));
        self.publish(node);
    }

    /// Invalidates the local entry, and the read that would insert one.
    fn raise_generation(&mut self) {
        self.link.entry = None;
        self.read.is_current = false;
    }
}
