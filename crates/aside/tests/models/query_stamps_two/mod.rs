//! A cached query and two keys of two kinds that it depends on, in one Redis,
//! without entries in processes.
//!
//! Beside row writes there are a write of the whole second kind, which raises
//! its epoch before and after its commit, and a write whose QUARANTINE was lost.
//! A lease under the second key is a stamp as well: readers of rows acquire it,
//! fill it or give it back. A program of another version may depend on the first
//! key alone.
//!
//! A read must show the newest commits when it began, or with evictions the
//! newest returned writes. Of a write of the whole kind it must show the newest
//! returned one that its epoch tells of.

use crate::explore::{Model, Steps};
use crate::nibbles::{nibbles, stages};

mod promises;
mod query;
mod reads;
mod rows;
mod same;
mod writes;

use query::{Dependency, Query, Value};

/// A writer of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writes {
    /// A row under the key `of`; its RELEASE may carry the row.
    Row { of: usize, with_value: bool },
    /// The row under the second key, after a QUARANTINE without a reply.
    Unquarantined,
    /// The whole second kind.
    WholeKind,
}

/// The order in which a reader looks at the query and its dependencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    QueryFirst,
    QueryLast,
}

/// The protocol, each rule of which can be taken away.
#[derive(Clone, Copy, Debug)]
struct Rules {
    /// Stamps are taken before the load.
    stamps_before_load: bool,
    /// Nothing is filled under a quarantined dependency.
    respects_quarantines: bool,
    /// RELEASE without its record deletes a mark.
    release_deletes_marks: bool,
    /// STAMP is sent once under its stamp.
    stamps_once: bool,
    /// A mark is prolonged only where it is, under the stamp that it has.
    prolongs_in_place: bool,
    /// A token's half is drawn anew for each lease.
    fresh_tokens: bool,
    /// All stamps are compared.
    compares_all: bool,
    /// A value counts only for exactly the caller's dependencies.
    same_dependencies: bool,
    /// The epochs in the value are compared with the known ones.
    compares_epochs: bool,
    /// The epoch in a value is the one known when its read began.
    epoch_of_begin: bool,
    /// A dependency's own header must have a known epoch.
    compares_headers: bool,
    /// A query bypasses Redis while a dependency is unreleased.
    respects_unreleased: bool,
    /// Without a local tier a reader joins only before the load began.
    joins_before_load: bool,
}

const RULES: Rules = Rules {
    stamps_before_load: true,
    respects_quarantines: true,
    release_deletes_marks: true,
    stamps_once: true,
    prolongs_in_place: true,
    fresh_tokens: true,
    compares_all: true,
    same_dependencies: true,
    compares_epochs: true,
    epoch_of_begin: true,
    compares_headers: true,
    respects_unreleased: true,
    joins_before_load: true,
};

#[derive(Clone, Copy, Debug)]
struct TwoDependencies {
    rules: Rules,
    writers: &'static [Writes],
    readers: usize,
    /// Readers of rows under the second key.
    rows: usize,
    /// Their FILL draws another id, as an older version's does.
    rows_of_older_version: bool,
    evictions: u8,
    crashes: u8,
    /// Another reader may join the flight of the first.
    joiner: bool,
    /// The second reader depends on the first key alone.
    narrow: bool,
    order: Order,
}

const WRITERS: usize = 2;
const READERS: usize = 3;
const ROWS: usize = 2;

stages! {
    enum WriterStage {
        Idle, Quarantined, Committed, Held, HeldCommitted, HeldReturned, Raised, Died, Returned,
    }
    enum ReaderStage { Idle, First, Second, Third, Missed, Stamping, Loaded, Filling, Done, }
    enum RowStage { Idle, Leased, Done, }
    enum JoinerStage { None, Idle, Joined, Done, }
}

nibbles! {
    struct Writer {
        stage: WriterStage,
        version: u8,
        /// The known epoch before its QUARANTINE.
        epoch: u8,
    }
    struct Reader {
        stage: ReaderStage,
        epoch: u8,
        floor: [u8; 2],
        token: u8,
        seen: Query,
        stamps: [u8; 2],
        loaded: Option<[u8; 2]>,
    }
    struct RowReader {
        stage: RowStage,
        token: u8,
        epoch: u8,
    }
    /// A STAMP that is executed a second time.
    struct Stalled {
        dependency: u8,
        stamp: u8,
        epoch: u8,
    }
    struct Joiner {
        stage: JoinerStage,
        floor: [u8; 2],
    }
    struct State {
        rows: [u8; 2],
        dependencies: [Dependency; 2],
        query: Query,
        /// The second kind's epoch, and the one that readers know.
        epoch: u8,
        known: u8,
        writers: [Writer; WRITERS],
        readers: [Reader; READERS],
        row_readers: [RowReader; ROWS],
        evictions: u8,
        crashes: u8,
        /// The rows that readers must show.
        told: [u8; 2],
        /// The newest write of the whole kind that has returned, and the one
        /// that the known epoch tells of.
        whole: u8,
        whole_known: u8,
        stalled: Option<Stalled>,
        joiner: Joiner,
    }
}

impl Model for TwoDependencies {
    type State = State;

    fn start(&self) -> State {
        let joiner = Joiner {
            stage: match self.joiner {
                true => JoinerStage::Idle,
                false => JoinerStage::None,
            },
            ..Joiner::default()
        };
        State {
            evictions: self.evictions,
            crashes: self.crashes,
            joiner,
            ..State::default()
        }
    }

    fn steps(&self, at: &State, steps: &mut Steps<State>) {
        let mut next = Next {
            steps,
            alike: match self.narrow || self.joiner {
                true => 0,
                false => self.readers,
            },
        };
        for i in 0..self.writers.len() {
            self.write(at, i, &mut next);
        }
        self.faults(at, &mut next);
        for i in 0..self.rows {
            self.read_row(at, i, &mut next);
        }
        for i in 0..self.readers {
            self.read(at, i, &mut next);
        }
        self.join(at, &mut next);
    }
}

/// The next steps; states that differ only in names are one state.
struct Next<'a> {
    steps: &'a mut Steps<State>,
    /// How many readers may change places.
    alike: usize,
}

impl Next<'_> {
    fn to<const N: usize>(&mut self, words: &'static str, numbers: [u8; N], state: State) {
        self.steps.to(words, numbers, state.renamed(self.alike));
    }

    fn broken<const N: usize>(&mut self, words: &'static str, numbers: [u8; N]) {
        self.steps.broken(words, numbers);
    }
}

impl TwoDependencies {
    fn faults(&self, at: &State, next: &mut Next<'_>) {
        let mut to = *at;
        if at.known < at.epoch {
            (to.known, to.whole_known) = (at.epoch, at.whole);
            next.to("the epoch is heard", [], to);
        } else if at.whole_known < at.whole {
            to.whole_known = at.whole;
            next.to("the epoch that is known was the last", [], to);
        }
        for (i, dependency) in at.dependencies.into_iter().enumerate() {
            let n = i as u8;
            let mut to = *at;
            to.dependencies[i] = Dependency::Absent;
            if let Dependency::Lease { .. } = dependency {
                next.to("the lease under d# expires", [n], to);
            }
            if at.evictions > 0 && dependency != Dependency::Absent {
                to.evictions -= 1;
                next.to("d# is evicted", [n], to);
            }
        }
        let mut to = *at;
        to.query = Query::Absent;
        if let Query::Lease(_) = at.query {
            next.to("the lease of the query expires", [], to);
        }
        if at.evictions > 0 && at.query != Query::Absent {
            to.evictions -= 1;
            next.to("the query is evicted", [], to);
        }
        self.stalled(at, next);
    }

    fn stalled(&self, at: &State, next: &mut Next<'_>) {
        let Some(stalled) = at.stalled else {
            return;
        };
        let Stalled {
            dependency,
            stamp,
            epoch,
        } = stalled;
        let replaces = match at.dependencies[usize::from(dependency)] {
            Dependency::Absent => true,
            Dependency::Mark { epoch: older, .. } => {
                self.rules.prolongs_in_place && dependency == 1 && older < epoch
            }
            Dependency::Lease { .. } | Dependency::Quarantine { .. } => false,
        };
        if replaces {
            let mut to = *at;
            to.dependencies[usize::from(dependency)] = Dependency::Mark { stamp, epoch };
            to.stalled = None;
            next.to("the stalled STAMP of d# is executed", [dependency], to);
        }
    }

    fn join(&self, at: &State, next: &mut Next<'_>) {
        let may_join = match at.readers[0].stage {
            ReaderStage::Idle | ReaderStage::Done => false,
            ReaderStage::Filling => !self.rules.joins_before_load,
            _ => true,
        };
        if at.joiner.stage == JoinerStage::Idle && may_join {
            let mut to = *at;
            to.joiner = Joiner {
                stage: JoinerStage::Joined,
                floor: at.floor(),
            };
            next.to("another joins the flight of r0", [], to);
        }
    }
}

impl State {
    /// The versions that a read that begins now must show.
    fn floor(&self) -> [u8; 2] {
        let whole = match self.known == self.epoch {
            true => self.whole_known,
            false => 0,
        };
        [self.told[0], self.told[1].max(whole)]
    }

    /// A name that nothing has.
    fn fresh(&self) -> u8 {
        let in_dependencies = self.dependencies.iter().map(Dependency::stamp);
        let in_readers = self.readers.iter().filter(|reader| reader.is_reading());
        let in_readers = in_readers.map(|reader| {
            let stamps = reader.stamps[0].max(reader.stamps[1]);
            reader.token.max(stamps).max(reader.seen.greatest())
        });
        let in_rows = self.row_readers.iter().map(|row| row.token);
        let stalled = self.stalled.iter().map(|stalled| stalled.stamp);
        let names = in_dependencies.chain(in_readers).chain(in_rows);
        let names = names.chain(stalled).chain([self.query.greatest()]);
        names.max().unwrap_or(0) + 1
    }
}

impl Reader {
    fn is_reading(&self) -> bool {
        !matches!(self.stage, ReaderStage::Idle | ReaderStage::Done)
    }

    fn done() -> Self {
        Self {
            stage: ReaderStage::Done,
            ..Self::default()
        }
    }
}
