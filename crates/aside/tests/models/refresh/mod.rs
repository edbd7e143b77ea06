//! Early refresh: REFRESH puts a token into the empty refresh field of a value, the
//! load runs beside the readers, and FILL takes a value that carries its token.
//!
//! One key, with writers whose RELEASE has a value, a write of the whole kind, expiry,
//! eviction, a failover that loses its tail, two refreshers, and readers that fill.
//! Instance A also has a local tier, into which its own refresh goes.

use crate::explore::{Model, Steps};
use crate::nibbles::{Nibbles, Queue, Tape, nibbles, stages};

mod local;
mod promises;
mod reads;
mod refreshers;
mod writes;

/// How an entry that is past its soft end is put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PutBack {
    Never,
    /// In place of itself, under its own generations.
    InPlaceOfItself,
    /// Under its own generations, in place of any entry.
    InPlaceOfAny,
    UnderPresentGenerations,
}

/// The rules, the faults, and the number of participants.
#[derive(Clone, Copy, Debug)]
struct Refresh {
    /// Whether the RELEASE of each writer has a value.
    writers: &'static [bool],
    refreshers: usize,
    readers: usize,
    has_local_tier: bool,
    expires: bool,
    left: Left,
    /// The load begins after REFRESH has won.
    load_after: bool,
    /// FILL takes only a value that carries its token.
    claim: bool,
    /// The refreshed value has the history and epoch known before REFRESH.
    known_before: bool,
    /// REFRESH wants exactly the header that was judged.
    header: bool,
    /// A keeps the value under generations from before REFRESH.
    generations_before: bool,
    /// A keeps the value only if FILL took it.
    filled: bool,
    /// A keeps the value only if no read of the key from below is in progress, or
    /// has returned since it was judged.
    flight: bool,
    back: PutBack,
}

/// The contents of the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Key {
    #[default]
    Absent,
    Lease(u8),
    Value(Value),
    Quarantine {
        writers: u8,
        clean: bool,
    },
}

impl Nibbles for Key {
    fn write(&self, tape: &mut Tape) {
        let (kind, value) = match *self {
            Self::Absent => (0, Value::default()),
            Self::Value(value) => (1, value),
            Self::Lease(token) => (2, Value::named(token)),
            Self::Quarantine { writers, clean } => {
                let value = Value {
                    version: writers,
                    tag: u8::from(clean),
                    ..Value::default()
                };
                (3, value)
            }
        };
        kind.write(tape);
        value.write(tape);
    }

    fn read(tape: &mut Tape) -> Self {
        let kind = u8::read(tape);
        let value = Value::read(tape);
        match kind {
            0 => Self::Absent,
            1 => Self::Value(value),
            2 => Self::Lease(value.fill),
            _ => Self::Quarantine {
                writers: value.version,
                clean: value.tag == 1,
            },
        }
    }
}

stages! {
    enum WriterStage { Idle, Quarantined, Committed, Returned, Died, }
    enum RefresherStage { Idle, Judged, Won, Loaded, Filled, Done, }
    enum ReaderStage { Idle, Looking, Leased, Loaded, Done, }
    enum TaskStage { Idle, Looking, Found, Done, }
    enum KindStage { Unwritten, Bumped, Committed, Written, }
    enum BackStage { Idle, Taken, Done, }
}

nibbles! {
    struct Value {
        version: u8,
        tag: u8,
        epoch: u8,
        /// The token in the refresh field; zero for none.
        claim: u8,
        fill: u8,
    }
    struct Writer {
        stage: WriterStage,
        version: u8,
        tag: u8,
        epoch: u8,
    }
    struct Refresher {
        stage: RefresherStage,
        /// The fill that was judged, then the token that won.
        name: u8,
        tag: u8,
        epoch: u8,
        generation: u8,
        loaded: Option<u8>,
    }
    /// A reader of another instance.
    struct Reader {
        stage: ReaderStage,
        floor: u8,
        token: u8,
        tag: u8,
        epoch: u8,
        loaded: u8,
    }
    struct LocalEntry {
        version: u8,
        generation: u8,
    }
    /// The local tier of A.
    struct Local {
        generation: u8,
        entry: Option<LocalEntry>,
        /// 1 for an invalidation, 2 and more for a PONG.
        channel: Queue<u8, 6>,
        /// The newest row that had returned before the last answered PING.
        proved: u8,
        /// The newest row that A has returned.
        seen: u8,
        pinged: bool,
        /// Whether a read below has returned since A's refresh began.
        below: bool,
    }
    /// A task of A that reads.
    struct Task {
        stage: TaskStage,
        generation: u8,
        version: u8,
    }
    struct Back {
        stage: BackStage,
        taken: LocalEntry,
    }
    /// Faults that may still happen.
    struct Left {
        crashes: u8,
        evictions: u8,
        failovers: u8,
        whole_kind: bool,
    }
    struct State {
        row: u8,
        returned: u8,
        key: Key,
        replica: Option<Key>,
        history: u8,
        known_history: u8,
        epoch: u8,
        known_epoch: u8,
        kind: KindStage,
        left: Left,
        writers: [Writer; 2],
        refreshers: [Refresher; 2],
        readers: [Reader; 2],
        local: Local,
        tasks: [Task; 2],
        back: Back,
    }
}

impl Value {
    fn named(fill: u8) -> Self {
        Self {
            fill,
            ..Self::default()
        }
    }
}

impl State {
    /// Returns the value, if an instance may serve it.
    fn acceptable(&self) -> Option<Value> {
        match self.key {
            Key::Value(value)
                if value.tag == self.known_history && self.known_epoch <= value.epoch =>
            {
                Some(value)
            }
            _ => None,
        }
    }

    /// Returns true if a read of A from below is in progress.
    fn has_flight(&self) -> bool {
        let in_flight = |task: &Task| matches!(task.stage, TaskStage::Looking | TaskStage::Found);
        self.tasks.iter().any(in_flight)
    }

    /// Returns a value of a row, under a name that nothing has.
    fn new_value(&self, version: u8, (tag, epoch): (u8, u8)) -> Key {
        Key::Value(Value {
            version,
            tag,
            epoch,
            claim: 0,
            fill: self.new_name(),
        })
    }

    /// Returns a name that nothing has.
    fn new_name(&self) -> u8 {
        let mut copy = *self;
        let mut greatest = 0;
        copy.each_name(|name| greatest = greatest.max(*name));
        greatest + 1
    }

    /// Numbers all names in the order of their places, so that states which differ
    /// only in names are one.
    fn renumbered(mut self) -> Self {
        let mut known = vec![0];
        self.each_name(|name| {
            let at = known.iter().position(|other| other == name);
            let at = at.unwrap_or_else(|| {
                known.push(*name);
                known.len() - 1
            });
            *name = at as u8;
        });
        self
    }

    fn each_name(&mut self, mut visit: impl FnMut(&mut u8)) {
        let keys = std::iter::once(&mut self.key).chain(self.replica.as_mut());
        for key in keys {
            match key {
                Key::Value(value) => {
                    visit(&mut value.claim);
                    visit(&mut value.fill);
                }
                Key::Lease(token) => visit(token),
                Key::Absent | Key::Quarantine { .. } => {}
            }
        }
        self.refreshers
            .iter_mut()
            .for_each(|one| visit(&mut one.name));
        self.readers
            .iter_mut()
            .for_each(|one| visit(&mut one.token));
    }
}

/// Adds a step, with its names numbered.
fn step<const N: usize>(
    steps: &mut Steps<State>,
    words: &'static str,
    numbers: [u8; N],
    to: State,
) {
    steps.to(words, numbers, to.renumbered());
}

impl Refresh {
    /// Returns the oldest row that a read of Redis may see, if it begins now.
    fn owed(&self, at: &State) -> u8 {
        let Left {
            evictions,
            failovers,
            whole_kind,
            ..
        } = self.left;
        let is_strict = evictions == 0 && failovers == 0 && !whole_kind;
        match at.known_history == at.history && at.known_epoch == at.epoch {
            true if is_strict => at.row,
            true => at.returned,
            // Nothing is owed until the instance knows of the failover or the bump.
            false => 0,
        }
    }

    /// Sends A the message of a script.
    fn publish(&self, to: &mut State) {
        if self.has_local_tier {
            to.local.channel.push(1);
        }
    }
}

impl Model for Refresh {
    type State = State;

    fn start(&self) -> State {
        State {
            key: Key::Value(Value::named(1)),
            left: self.left,
            ..State::default()
        }
    }

    fn steps(&self, at: &State, steps: &mut Steps<State>) {
        for i in 0..self.writers.len() {
            self.write(at, i, steps);
        }
        self.faults(at, steps);
        for i in 0..self.refreshers {
            self.refresh(at, i, steps);
        }
        for i in 0..self.readers {
            self.read(at, i, steps);
        }
        if self.has_local_tier {
            self.run_local_tier(at, steps);
        }
    }
}
