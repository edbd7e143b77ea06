//! A list of ids and its rows, which have separate keys.
//!
//! A reader takes the list and the rows at different moments. Meanwhile rows enter the
//! list, leave it, are ranked otherwise, or are deleted and created again. A list and
//! rows that do not fit are asked again, once, in the shared tier. If they still do not
//! fit, one statement loads the list.
//!
//! The database is a given sequence of states, one transaction each. A write quarantines
//! the rows that it changes, and the list if it changes its members or their order. An
//! answer must be the list at one moment within the bound.

use crate::explore::{Model, Steps};
use crate::nibbles::{Queue, nibbles, stages};

mod promises;
mod reads;

/// A row: true if it is in the list, and its rank there.
type Row = Option<(bool, u8)>;

/// The content of the two rows.
type Rows = [Row; 2];

/// The treatment of a list and rows that do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Misfit {
    /// The rows are answered as the list names them.
    Served,
    /// Rows that do not fit are left out.
    LeftOut,
    /// The list is asked again, and then such rows are left out.
    ListAgain,
    /// The list and its rows are asked again, and then such rows are left out.
    BothAgain,
    /// The list and its rows are asked again, and then the list is loaded.
    Loaded,
}

#[derive(Clone, Copy, Debug)]
struct IdLists {
    states: &'static [Rows],
    misfit: Misfit,
    /// The reader has entries in its process.
    is_local: bool,
    /// It is the process of the writer.
    is_own: bool,
    /// Ranks are compared with the order of the list.
    compares_ranks: bool,
    /// Each write quarantines the list.
    always_touches: bool,
}

/// The keys: the list, and the rows.
const KEYS: usize = 3;
const LIST: usize = 0;

/// The messages and PONGs on their way: one for each write, and a PONG.
const QUEUE: usize = 5;

stages! {
    enum WriterStage { Idle, Quarantined, Committed, }
    enum ReaderStage { Idle, AsksList, AsksRows, }
    enum KeyStage { Absent, Quarantined, Value, }
    enum ItemStage { Nothing, Message, Pong, }
}

nibbles! {
    struct KeyState {
        stage: KeyStage,
        /// The state of the database that it was loaded in.
        version: u8,
    }
    struct Item {
        stage: ItemStage,
        /// The keys of a message, one bit each; the newest returned write of a PONG.
        content: u8,
    }
    struct Reader {
        stage: ReaderStage,
        /// The oldest state that it may answer.
        owed: u8,
        is_again: bool,
        list: u8,
        rows: [Option<u8>; 2],
    }
    struct State {
        /// The number of commits, and of returned writes.
        row: u8,
        returned: u8,
        writer: WriterStage,
        keys: [KeyState; KEYS],
        entries: [Option<u8>; KEYS],
        queue: Queue<Item, QUEUE>,
        /// The newest write that had returned when the last answered PING was sent.
        proved: u8,
        is_pinged: bool,
        reader: Reader,
    }
}

impl Model for IdLists {
    type State = State;

    fn start(&self) -> State {
        let value = KeyState {
            stage: KeyStage::Value,
            version: 0,
        };
        State {
            keys: [value; KEYS],
            ..State::default()
        }
    }

    fn steps(&self, at: &State, steps: &mut Steps<State>) {
        self.write(at, steps);
        self.others(at, steps);
        if self.is_local {
            self.messages(at, steps);
        }
        self.read(at, steps);
    }
}

impl IdLists {
    /// The members of the list in a state, in their order.
    fn members(&self, version: u8) -> Vec<usize> {
        let rows = &self.states[usize::from(version)];
        let rank = |row: &usize| rows[*row].filter(|(is_in, _)| *is_in);
        let mut members: Vec<usize> = (0..2).filter(|row| rank(row).is_some()).collect();
        members.sort_by_key(rank);
        members
    }

    /// The keys of the write from a state to the next one, one bit each.
    fn keys(&self, from: u8) -> u8 {
        let (before, after) = (usize::from(from), usize::from(from) + 1);
        let (before, after) = (&self.states[before], &self.states[after]);
        let mut keys = 0;
        for row in 0..2 {
            if before[row] != after[row] {
                keys |= 2 << row;
            }
            if before[row].is_some() != after[row].is_some() {
                keys |= 1;
            }
        }
        if self.always_touches || self.members(from) != self.members(from + 1) {
            keys |= 1;
        }
        keys
    }

    fn write(&self, at: &State, steps: &mut Steps<State>) {
        let mut to = *at;
        match at.writer {
            WriterStage::Idle if usize::from(at.row) + 1 < self.states.len() => {
                let keys = self.keys(at.row);
                to.writer = WriterStage::Quarantined;
                for key in of(keys) {
                    to.keys[key].stage = KeyStage::Quarantined;
                    to.keys[key].version = 0;
                    if self.is_own {
                        to.entries[key] = None;
                    }
                }
                if self.is_local && !self.is_own {
                    let stage = ItemStage::Message;
                    to.queue.push(Item {
                        stage,
                        content: keys,
                    });
                }
                steps.to("the writer quarantines the keys #", [keys], to);
            }
            WriterStage::Idle => {}
            WriterStage::Quarantined => {
                to.writer = WriterStage::Committed;
                to.row += 1;
                steps.to("the writer commits state #", [to.row], to);
            }
            WriterStage::Committed => {
                to.writer = WriterStage::Idle;
                to.returned = at.row;
                for key in of(self.keys(at.row - 1)) {
                    to.keys[key] = KeyState::default();
                }
                steps.to("the writer releases, and returns", [], to);
            }
        }
    }

    /// Other readers fill keys, and keys and entries are evicted.
    fn others(&self, at: &State, steps: &mut Steps<State>) {
        for key in 0..KEYS {
            let mut to = *at;
            match at.keys[key].stage {
                KeyStage::Absent => {
                    to.keys[key] = KeyState {
                        stage: KeyStage::Value,
                        version: at.row,
                    };
                    steps.to("another reader fills #", [number(key)], to);
                }
                KeyStage::Value => {
                    to.keys[key] = KeyState::default();
                    steps.to("key # is evicted", [number(key)], to);
                }
                KeyStage::Quarantined => {}
            }
            if at.entries[key].is_some() {
                let mut to = *at;
                to.entries[key] = None;
                steps.to("entry # is evicted", [number(key)], to);
            }
        }
    }

    fn messages(&self, at: &State, steps: &mut Steps<State>) {
        let Item { stage, content } = at.queue.first().unwrap_or_default();
        let mut to = *at;
        to.queue = at.queue.without_first();
        match stage {
            ItemStage::Message => {
                for key in of(content) {
                    to.entries[key] = None;
                }
                steps.to("the message about # is applied", [content], to);
            }
            ItemStage::Pong => {
                to.proved = at.proved.max(content);
                to.is_pinged = false;
                steps.to("a PONG proves write #", [content], to);
            }
            ItemStage::Nothing => {}
        }
        if !self.is_own && !at.is_pinged {
            let mut to = *at;
            to.is_pinged = true;
            let (stage, content) = (ItemStage::Pong, at.returned);
            to.queue.push(Item { stage, content });
            steps.to("a PING is sent", [], to);
        }
    }
}

/// The keys of a set.
fn of(keys: u8) -> impl Iterator<Item = usize> {
    (0..KEYS).filter(move |key| keys >> key & 1 == 1)
}

fn number(key: usize) -> u8 {
    u8::try_from(key).expect("there are three")
}
