//! A cached query and the one key that it depends on.
//!
//! A value of the query counts only while the stamp that it was filled under is
//! still in its dependency. Readers take that stamp before they load. A write
//! destroys it before its commit, and never writes the query's own key.
//!
//! Two kinds of readers are modelled apart: of Redis alone (`redis`), and with
//! an entry in their process (`local`).

use crate::explore::{Model, Steps};
use crate::nibbles::{Nibbles, Tape, nibbles, stages};

mod local;
mod promises;
mod redis;
mod writes;

/// How a reader looks at the two keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// Both in one step.
    AtOnce,
    QueryFirst,
    DependencyFirst,
}

/// When a reader takes the generation of the entry that it inserts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sealed {
    BeforeTheLook,
    AfterTheLook,
    AfterTheLoad,
    /// With the generation of the query's own key, which no write increments.
    WithTheQueryAlone,
}

/// The readers with entries in their process.
#[derive(Clone, Copy, Debug)]
struct Local {
    sealed: Sealed,
    /// A reader under a quarantine keeps its result.
    keeps_quarantined: bool,
}

#[derive(Clone, Copy, Debug)]
struct QueryStamps {
    look: Look,
    local: Option<Local>,
    readers: usize,
    evictions: u8,
    crashes: u8,
    /// A reader asks for the stamp only after its load.
    stamps_after_load: bool,
    /// A reader replaces a quarantine by its mark.
    marks_quarantined: bool,
    /// RELEASE without its record leaves a mark where it is.
    release_keeps_marks: bool,
    /// RELEASE without its record publishes nothing.
    silent_release: bool,
    /// An earlier STAMP may be executed again.
    stamps_twice: bool,
}

const WRITERS: usize = 2;
const READERS: usize = 3;

stages! {
    enum WriterStage {
        Idle, Quarantined, Committed, Returned,
        DiedQuarantined, DiedCommitted, RolledBack,
    }
    enum ReaderStage {
        Idle, SawQuery, SawDependency, Missed, Looking, Stamping, Loading, Filling, Again, Done,
    }
}

/// The dependency's key. A value and a mark are the same here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Dependency {
    #[default]
    Absent,
    Mark(u8),
    /// The writers, one bit each.
    Quarantine(u8),
}

/// The query's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Query {
    #[default]
    Absent,
    Lease(u8),
    Value {
        version: u8,
        stamp: u8,
    },
}

impl Nibbles for Dependency {
    fn write(&self, tape: &mut Tape) {
        match *self {
            Self::Absent => [0, 0],
            Self::Mark(stamp) => [1, stamp],
            Self::Quarantine(writers) => [2, writers],
        }
        .write(tape);
    }

    fn read(tape: &mut Tape) -> Self {
        match <[u8; 2]>::read(tape) {
            [0, _] => Self::Absent,
            [1, stamp] => Self::Mark(stamp),
            [_, writers] => Self::Quarantine(writers),
        }
    }
}

impl Nibbles for Query {
    fn write(&self, tape: &mut Tape) {
        match *self {
            Self::Absent => [0, 0, 0],
            Self::Lease(token) => [1, token, 0],
            Self::Value { version, stamp } => [2, version, stamp],
        }
        .write(tape);
    }

    fn read(tape: &mut Tape) -> Self {
        match <[u8; 3]>::read(tape) {
            [0, ..] => Self::Absent,
            [1, token, _] => Self::Lease(token),
            [_, version, stamp] => Self::Value { version, stamp },
        }
    }
}

nibbles! {
    struct Writer {
        stage: WriterStage,
        version: u8,
    }
    struct Reader {
        stage: ReaderStage,
        query: Query,
        dependency: Dependency,
        /// The newest commit when the read began, and the newest returned one.
        committed: u8,
        returned: u8,
        token: u8,
        stamp: Option<u8>,
        generation: u8,
        version: u8,
    }
    /// An entry in a process.
    struct Kept {
        version: u8,
        generation: u8,
    }
    struct State {
        row: u8,
        dependency: Dependency,
        query: Query,
        writers: [Writer; WRITERS],
        readers: [Reader; READERS],
        evictions: u8,
        crashes: u8,
        /// The names given to stamps and tokens.
        named: u8,
        returned: u8,
        generation: u8,
        /// Messages about the dependency on their way.
        messages: u8,
        entry: Option<Kept>,
    }
}

impl Model for QueryStamps {
    type State = State;

    fn start(&self) -> State {
        State {
            evictions: self.evictions,
            crashes: self.crashes,
            ..State::default()
        }
    }

    fn steps(&self, at: &State, steps: &mut Steps<State>) {
        for i in 0..WRITERS {
            self.write(at, i, steps);
        }
        self.faults(at, steps);
        for i in 0..self.readers {
            match self.local {
                Some(local) => Self::read_locally(local, at, i, steps),
                None => self.read(at, i, steps),
            }
        }
    }
}

impl QueryStamps {
    fn faults(&self, at: &State, steps: &mut Steps<State>) {
        if at.evictions > 0 {
            let mut to = *at;
            to.evictions -= 1;
            if at.dependency != Dependency::Absent {
                let mut to = to;
                to.dependency = Dependency::Absent;
                steps.to("the dependency is evicted", [], to);
            }
            if at.query != Query::Absent {
                to.query = Query::Absent;
                steps.to("the query is evicted", [], to);
            }
        }
        if self.stamps_twice && at.dependency == Dependency::Absent {
            for stamp in 1..=at.named {
                let mut to = *at;
                to.dependency = Dependency::Mark(stamp);
                steps.to("the stalled STAMP # is executed", [stamp], to);
            }
        }
        if at.messages > 0 {
            let mut to = *at;
            to.messages -= 1;
            to.generation += 1;
            steps.to("a message is applied", [], to);
        }
    }
}

impl State {
    /// Draws a name that nothing has yet.
    fn name(&mut self) -> u8 {
        self.named += 1;
        self.named
    }

    /// Gives back a lease, if it is still there.
    fn abandon(&mut self, token: u8) {
        if self.query == Query::Lease(token) {
            self.query = Query::Absent;
        }
    }

    /// Fills the query, if the lease is still there. Returns true if it was.
    fn fill(&mut self, token: u8, version: u8, stamp: u8) -> bool {
        let leased = self.query == Query::Lease(token);
        if leased {
            self.query = Query::Value { version, stamp };
        }
        leased
    }

    /// The version of the query's value, if its stamp is in the dependency.
    fn hit(query: Query, dependency: Dependency) -> Option<u8> {
        match (query, dependency) {
            (Query::Value { version, stamp }, Dependency::Mark(now)) if now == stamp => {
                Some(version)
            }
            _ => None,
        }
    }
}

impl Reader {
    fn at(stage: ReaderStage) -> Self {
        Self {
            stage,
            ..Self::default()
        }
    }
}
