//! The keys, and the names of stamps and tokens in them.

use super::{Node, Reader, ReaderStage, RowStage, State};
use crate::nibbles::{Nibbles, Tape};

/// The dependency's key at one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Key {
    #[default]
    Absent,
    Lease {
        stamp: u8,
    },
    /// A row or a mark, with the history of its node.
    Mark {
        stamp: u8,
        history: Node,
    },
    Quarantine,
}

/// The query's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Query {
    #[default]
    Absent,
    Lease(u8),
    /// With the history of the dependency's node.
    Value {
        version: u8,
        stamp: u8,
        history: Node,
    },
}

impl Nibbles for Key {
    fn write(&self, tape: &mut Tape) {
        match *self {
            Self::Absent => [0, 0, 0],
            Self::Lease { stamp } => [1, stamp, 0],
            Self::Mark { stamp, history } => [2, stamp, history as u8],
            Self::Quarantine => [3, 0, 0],
        }
        .write(tape);
    }

    fn read(tape: &mut Tape) -> Self {
        let [kind, stamp, history] = <[u8; 3]>::read(tape);
        match kind {
            0 => Self::Absent,
            1 => Self::Lease { stamp },
            2 => Self::Mark {
                stamp,
                history: node(history),
            },
            _ => Self::Quarantine,
        }
    }
}

impl Nibbles for Query {
    fn write(&self, tape: &mut Tape) {
        match *self {
            Self::Absent => [0, 0, 0, 0],
            Self::Lease(token) => [1, token, 0, 0],
            Self::Value {
                version,
                stamp,
                history,
            } => [2, version, stamp, history as u8],
        }
        .write(tape);
    }

    fn read(tape: &mut Tape) -> Self {
        let [kind, first, stamp, history] = <[u8; 4]>::read(tape);
        match kind {
            0 => Self::Absent,
            1 => Self::Lease(first),
            _ => Self::Value {
                version: first,
                stamp,
                history: node(history),
            },
        }
    }
}

fn node(number: u8) -> Node {
    match number {
        0 => Node::B,
        _ => Node::C,
    }
}

/// Names in the order of their first use.
#[derive(Default)]
struct Names {
    new: [u8; 16],
    count: u8,
}

impl Names {
    fn of(&mut self, name: &mut u8) {
        if *name == 0 {
            return;
        }
        let new = &mut self.new[usize::from(*name)];
        if *new == 0 {
            self.count += 1;
            *new = self.count;
        }
        *name = *new;
    }

    fn of_key(&mut self, key: &mut Key) {
        match key {
            Key::Lease { stamp } | Key::Mark { stamp, .. } => self.of(stamp),
            Key::Absent | Key::Quarantine => {}
        }
    }

    fn of_query(&mut self, query: &mut Query) {
        match query {
            Query::Absent => {}
            Query::Lease(name) | Query::Value { stamp: name, .. } => self.of(name),
        }
    }

    fn of_reader(&mut self, reader: &mut Reader) {
        if !matches!(reader.stage, ReaderStage::Idle | ReaderStage::Absent) {
            self.of_query(&mut reader.seen);
            self.of(&mut reader.stamp);
            self.of(&mut reader.token);
        }
    }

    fn of_state(&mut self, state: &mut State) {
        state.keys.iter_mut().for_each(|key| self.of_key(key));
        if let Some(key) = &mut state.replica {
            self.of_key(key);
        }
        self.of_query(&mut state.query);
        self.of_reader(&mut state.reader);
        self.of_reader(&mut state.other);
        if state.row_reader.stage == RowStage::Leased {
            self.of(&mut state.row_reader.token);
        }
    }
}

impl State {
    /// The state under new names.
    pub(super) fn renamed(mut self) -> Self {
        Names::default().of_state(&mut self);
        self
    }

    /// A name that nothing has, in a state under such names.
    pub(super) fn fresh(&self) -> u8 {
        let mut names = Names::default();
        names.of_state(&mut self.clone());
        names.count + 1
    }
}
