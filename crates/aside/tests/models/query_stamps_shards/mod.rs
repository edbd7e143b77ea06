//! A cached query whose dependency is on another shard.
//!
//! The query's shard never fails. Node B owns the dependency's slot. Node C is the
//! target of a migration, which moves the key, may leave a copy behind, and may be
//! cancelled and begun again. Or C is the replica of B, and is promoted without the last
//! changes. A writer quarantines the dependency at the node that executes it, commits
//! and releases. A reader of the row may hold a lease there. Reader O reads the query
//! with another map. Reader R has a map, proofs and an entry in its process.
//!
//! A round of proofs is dated with the newest write that had returned when it was sent.
//! No read of R may be older than the proofs that it relies on.

use crate::explore::{Model, Steps};
use crate::nibbles::{Queue, nibbles, stages};

mod faults;
mod keys;
mod promises;
mod reads;
mod writes;

use keys::{Key, Query};

/// The protocol, each rule of which can be taken away.
#[derive(Clone, Copy, Debug)]
struct Rules {
    /// A value records the history of its dependency's shard, which is compared.
    records_history: bool,
    /// A mark or a row counts only in the history of the shard that it is at.
    compares_history: bool,
    /// A look or a STAMP that is redirected becomes a bypass.
    follows_no_ask: bool,
    /// An entry needs the proof of the dependency's shard as well.
    proves_both: bool,
    /// A new map, or a lost connection, ends the entry.
    ends_with_connection: bool,
    /// A message of the dependency's shard ends the entry.
    hears_dependency: bool,
    /// A write that followed ASK publishes at the node that gave it.
    tells_asker: bool,
    /// So does each RELEASE, also one that found its record.
    tells_of_release: bool,
}

const RULES: Rules = Rules {
    records_history: true,
    compares_history: true,
    follows_no_ask: true,
    proves_both: true,
    ends_with_connection: true,
    hears_dependency: true,
    tells_asker: true,
    tells_of_release: true,
};

#[derive(Clone, Copy, Debug)]
struct OtherShard {
    rules: Rules,
    migrations: u8,
    cancellations: u8,
    /// MIGRATE may leave a copy behind.
    copies: bool,
    failover: bool,
    /// R's connection may die without notice.
    loses_connection: bool,
    /// A reader of the row acquires a lease.
    lease: bool,
    /// Reader O takes part.
    other_reader: bool,
}

stages! {
    enum Node { B, C, }
    /// The owner of the slot.
    enum Owner { OfB, OfC, Moving, }
    enum Failing { Never, Possible, Promoted, }
    enum WriterStage { Idle, Asked, Quarantined, Committed, Publishing, }
    enum RowStage { Idle, Leased, }
    enum ReaderStage {
        Idle, GetsQuery, LooksFirst, LooksSecond, GetsSecond, Missed, Stamping, Filling,
        Keeping, Absent,
    }
    enum Connection { Sound, MayDie, Dead, }
}

/// The answer of a node to a command on the dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Here(Node),
    Moved,
    Ask,
    NoAnswer,
}

nibbles! {
    struct Writer {
        stage: WriterStage,
        at: Node,
        version: u8,
    }
    struct RowReader {
        stage: RowStage,
        may_begin: bool,
        token: u8,
        at: Node,
    }
    struct Reader {
        stage: ReaderStage,
        /// No generation has ended since it began.
        is_current: bool,
        owed: u8,
        node: Node,
        seen: Query,
        stamp: u8,
        token: u8,
        loaded: u8,
    }
    /// The proofs of one shard; the date of none is older than any.
    struct Proof {
        is_there: bool,
        date: u8,
    }
    struct State {
        row: u8,
        returned: u8,
        owner: Owner,
        failing: Failing,
        /// The dependency's key at each node.
        keys: [Key; 2],
        query: Query,
        writer: Writer,
        writes: u8,
        row_reader: RowReader,
        reader: Reader,
        other: Reader,
        /// The node at which each of the two expects the slot.
        map: Node,
        other_map: Node,
        entry: Option<u8>,
        of_query: Proof,
        of_dependency: Proof,
        channel: Queue<u8, 6>,
        connection: Connection,
        migrations: u8,
        cancellations: u8,
        copies: bool,
        /// The replica's copy of the key.
        replica: Option<Key>,
    }
}

/// A message in R's channel. A PONG is this, plus its date.
const MESSAGE: u8 = 1;
const PONG: u8 = 2;

impl Model for OtherShard {
    type State = State;

    fn start(&self) -> State {
        let other = Reader {
            stage: match self.other_reader {
                true => ReaderStage::Idle,
                false => ReaderStage::Absent,
            },
            ..Reader::default()
        };
        State {
            failing: match self.failover {
                true => Failing::Possible,
                false => Failing::Never,
            },
            connection: match self.loses_connection {
                true => Connection::MayDie,
                false => Connection::Sound,
            },
            row_reader: RowReader {
                may_begin: self.lease,
                ..RowReader::default()
            },
            writes: 1,
            other,
            migrations: self.migrations,
            cancellations: self.cancellations,
            copies: self.copies,
            ..State::default()
        }
    }

    fn steps(&self, at: &State, steps: &mut Steps<State>) {
        let mut next = Next(steps);
        self.fault(at, &mut next);
        self.write(at, &mut next);
        self.read_row(at, &mut next);
        self.listen(at, &mut next);
        self.serve(at, &mut next);
        self.read(at, true, &mut next);
        self.read(at, false, &mut next);
    }
}

/// The next steps; states that differ only in names are one state.
struct Next<'a>(&'a mut Steps<State>);

impl Next<'_> {
    fn to<const N: usize>(&mut self, words: &'static str, numbers: [u8; N], state: State) {
        self.0.to(words, numbers, state.renamed());
    }
}

impl OtherShard {
    /// The date of the proofs that R relies on.
    fn trust(&self, at: &State) -> Option<u8> {
        let dated = |proof: Proof| proof.is_there.then_some(proof.date);
        let of_query = dated(at.of_query)?;
        match self.rules.proves_both {
            true => Some(of_query.min(dated(at.of_dependency)?)),
            false => Some(of_query),
        }
    }

    fn serve(&self, at: &State, next: &mut Next<'_>) {
        if let (Some(version), Some(date)) = (at.entry, self.trust(at))
            && version < date
        {
            next.0
                .broken("R has v# in process, and v# had returned", [version, date]);
        }
    }
}

impl State {
    fn key(&self, node: Node) -> Key {
        self.keys[node as usize]
    }

    fn set_key(&mut self, node: Node, key: Key) {
        self.keys[node as usize] = key;
    }

    /// The node that owns the slot.
    fn node(&self) -> Node {
        match self.owner {
            Owner::OfC => Node::C,
            Owner::OfB | Owner::Moving => Node::B,
        }
    }

    /// The answer of a node.
    fn route(&self, node: Node) -> Route {
        match (node, self.owner) {
            (Node::B, _) if self.failing == Failing::Promoted => Route::NoAnswer,
            (Node::B, Owner::OfB) => Route::Here(Node::B),
            (Node::B, Owner::Moving) => match self.key(Node::B) {
                Key::Absent => Route::Ask,
                _ => Route::Here(Node::B),
            },
            (Node::C, Owner::OfC) => Route::Here(Node::C),
            _ => Route::Moved,
        }
    }

    /// Ends all generations of R.
    fn end_generations(&mut self) {
        self.entry = None;
        if self.reader.stage != ReaderStage::Idle {
            self.reader.is_current = false;
        }
    }
}
