//! The contents of the query's key and of its dependencies' keys.

use crate::nibbles::{Nibbles, Tape};

/// A dependency's key. A row and a mark are the same here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Dependency {
    #[default]
    Absent,
    Lease {
        stamp: u8,
    },
    Mark {
        stamp: u8,
        epoch: u8,
    },
    Quarantine {
        writers: u8,
        clean: bool,
    },
}

/// The query's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Query {
    #[default]
    Absent,
    Lease(u8),
    Value(Value),
}

/// A value of the query; zero is no stamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Value {
    pub(super) versions: [u8; 2],
    pub(super) stamps: [u8; 2],
    pub(super) epoch: u8,
}

impl Dependency {
    /// Its stamp, zero without one.
    pub(super) fn stamp(&self) -> u8 {
        match *self {
            Self::Lease { stamp } | Self::Mark { stamp, .. } => stamp,
            Self::Absent | Self::Quarantine { .. } => 0,
        }
    }

    /// Its stamp if a header of this epoch is required, zero without one.
    pub(super) fn stamp_of(&self, epoch: u8) -> u8 {
        match *self {
            Self::Mark { epoch: older, .. } if older < epoch => 0,
            _ => self.stamp(),
        }
    }

    pub(super) fn has_record(&self, writer: usize) -> bool {
        matches!(self, Self::Quarantine { writers, .. } if writers & 1 << writer != 0)
    }

    /// The key after INVALIDATE.
    pub(super) fn invalidated(self) -> Self {
        match self {
            Self::Quarantine { writers, .. } => Self::Quarantine {
                writers,
                clean: false,
            },
            _ => Self::Absent,
        }
    }

    /// The key without one writer's record, dirty if others are left.
    pub(super) fn without(self, writer: usize) -> Self {
        match self {
            Self::Quarantine { writers, .. } => match writers & !(1 << writer) {
                0 => Self::Absent,
                writers => Self::Quarantine {
                    writers,
                    clean: false,
                },
            },
            other => other,
        }
    }
}

impl Query {
    /// The greatest name in it.
    pub(super) fn greatest(&self) -> u8 {
        match self {
            Self::Absent => 0,
            Self::Lease(token) => *token,
            Self::Value(value) => value.stamps[0].max(value.stamps[1]),
        }
    }
}

impl Nibbles for Dependency {
    fn write(&self, tape: &mut Tape) {
        match *self {
            Self::Absent => [0, 0, 0],
            Self::Lease { stamp } => [1, stamp, 0],
            Self::Mark { stamp, epoch } => [2, stamp, epoch],
            Self::Quarantine { writers, clean } => [3, writers, u8::from(clean)],
        }
        .write(tape);
    }

    fn read(tape: &mut Tape) -> Self {
        match <[u8; 3]>::read(tape) {
            [0, ..] => Self::Absent,
            [1, stamp, _] => Self::Lease { stamp },
            [2, stamp, epoch] => Self::Mark { stamp, epoch },
            [_, writers, clean] => Self::Quarantine {
                writers,
                clean: clean == 1,
            },
        }
    }
}

impl Nibbles for Query {
    fn write(&self, tape: &mut Tape) {
        match *self {
            Self::Absent => [0; 6],
            Self::Lease(token) => [1, token, 0, 0, 0, 0],
            Self::Value(value) => {
                let ([one, other], [first, second]) = (value.versions, value.stamps);
                [2, one, other, first, second, value.epoch]
            }
        }
        .write(tape);
    }

    fn read(tape: &mut Tape) -> Self {
        match <[u8; 6]>::read(tape) {
            [0, ..] => Self::Absent,
            [1, token, ..] => Self::Lease(token),
            [_, one, other, first, second, epoch] => Self::Value(Value {
                versions: [one, other],
                stamps: [first, second],
                epoch,
            }),
        }
    }
}
