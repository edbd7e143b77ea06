//! The contents of a key in the shared tier, and the scripts that change it.
//!
//! The rules that a model can take away are fields of [`Scripts`]. [`SCRIPTS`]
//! has the library's values for them.

use crate::nibbles::{Nibbles, Tape};

/// The contents of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Key {
    #[default]
    Absent,
    /// `mark` is the history tag or the epoch that the value is stamped with.
    Value {
        version: u8,
        mark: u8,
    },
    Lease {
        token: u8,
        mark: u8,
    },
    /// The writers in flight, one bit each.
    Quarantine {
        writers: u8,
        clean: bool,
    },
}

use Key::{Absent, Lease, Quarantine, Value};

impl Nibbles for Key {
    fn write(&self, tape: &mut Tape) {
        match *self {
            Absent => [0, 0, 0],
            Value { version, mark } => [1, version, mark],
            Lease { token, mark } => [2, token, mark],
            Quarantine { writers, clean } => [3, writers, u8::from(clean)],
        }
        .write(tape);
    }

    fn read(tape: &mut Tape) -> Self {
        match <[u8; 3]>::read(tape) {
            [0, ..] => Absent,
            [1, version, mark] => Value { version, mark },
            [2, token, mark] => Lease { token, mark },
            [_, writers, clean] => Quarantine {
                writers,
                clean: clean == 1,
            },
        }
    }
}

/// When RELEASE stores the value it brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stores {
    Never,
    /// If no other writer is in flight.
    IfSole,
    /// Also only if no other writer was in flight since the quarantine began.
    IfClean,
}

/// The scripts, each rule of which can be taken away.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scripts {
    /// QUARANTINE adds its record to the existing ones.
    pub(crate) many_records: bool,
    /// RELEASE deletes a value or a lease that it finds instead of its record.
    pub(crate) release_deletes_foreign: bool,
    pub(crate) stores: Stores,
    /// RELEASE marks the quarantine that it leaves to others.
    pub(crate) release_marks: bool,
    /// INVALIDATE marks the quarantine that it finds.
    pub(crate) invalidate_marks: bool,
}

/// The scripts of the library.
pub(crate) const SCRIPTS: Scripts = Scripts {
    many_records: true,
    release_deletes_foreign: true,
    stores: Stores::IfClean,
    release_marks: true,
    invalidate_marks: true,
};

/// The scripts if no RELEASE brings a value. The mark is then never read, so it
/// is left out of the states.
pub(crate) const WITHOUT_VALUES: Scripts = Scripts {
    stores: Stores::Never,
    ..SCRIPTS
};

impl Scripts {
    pub(crate) fn quarantine(self, key: Key, writer: u8) -> Key {
        let own = 1 << writer;
        match key {
            Quarantine { writers, .. } if self.many_records => Quarantine {
                writers: writers | own,
                clean: false,
            },
            _ => Quarantine {
                writers: own,
                clean: self.stores != Stores::Never,
            },
        }
    }

    /// `value` is a version and the mark it is stamped with.
    pub(crate) fn release(self, key: Key, writer: u8, value: Option<(u8, u8)>) -> Key {
        let own = 1 << writer;
        match key {
            Quarantine { writers, clean } => {
                let left = writers & !own;
                let stores = match self.stores {
                    Stores::Never => false,
                    Stores::IfSole => true,
                    Stores::IfClean => clean,
                };
                match value {
                    Some((version, mark)) if left == 0 && stores => Value { version, mark },
                    _ if left == 0 => Absent,
                    _ => Quarantine {
                        writers: left,
                        clean: clean && !self.release_marks,
                    },
                }
            }
            _ if self.release_deletes_foreign => Absent,
            other => other,
        }
    }

    pub(crate) fn invalidate(self, key: Key) -> Key {
        match key {
            Quarantine { writers, clean } => Quarantine {
                writers,
                clean: clean && !self.invalidate_marks,
            },
            _ => Absent,
        }
    }
}

impl Key {
    /// Stores a value, if the lease is still there.
    pub(crate) fn filled(self, own_token: u8, version: u8, mark: u8) -> Option<Self> {
        matches!(self, Lease { token, .. } if token == own_token).then_some(Value { version, mark })
    }

    /// Removes the record of a writer whose time is up.
    pub(crate) fn without_record(self, writer: u8) -> Self {
        match self {
            Quarantine { writers, clean } => match writers & !(1 << writer) {
                0 => Absent,
                writers => Quarantine { writers, clean },
            },
            other => other,
        }
    }

    /// The writers in flight.
    pub(crate) fn writers(self) -> impl Iterator<Item = u8> {
        let writers = match self {
            Quarantine { writers, .. } => writers,
            _ => 0,
        };
        (0..4).filter(move |writer| writers & (1 << writer) != 0)
    }

    pub(crate) fn is_lease(self) -> bool {
        matches!(self, Lease { .. })
    }

    pub(crate) fn is_quarantine(self) -> bool {
        matches!(self, Quarantine { .. })
    }
}
