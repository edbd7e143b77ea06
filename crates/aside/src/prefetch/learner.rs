//! Learning from reads, guessing the next ones, and the fate of guesses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Fetcher;
use super::associations::{Associations, Name};
use super::budget::Budget;
use super::buffer::{Buffer, Held};
use super::contexts::Contexts;
use super::flying::Chosen;
use super::lists::Rest;
use super::names::{AnyNames, Names};
use super::table::{Place, ROW_BYTES, Table};
use crate::config::CacheConfig;
use crate::entity::Entity;
use crate::entity::key::Key;
use crate::entity::lookup::LookupRef;
use crate::entity::namespace::Namespace;
use crate::insight::statistics::{Guessed, KindStatistics};
use crate::runtime::clock::Moment;

/// The buffer's part of the memory for local entries, and the least that it may have.
const BUFFER_PART: usize = 64;
const MIN_BUFFER_BYTES: usize = 512 * 1024;

/// The effect of a read on guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trigger {
    None,
    /// The read has to fetch, and so may its guesses.
    Miss,
    /// The middle of a batch was reached.
    Marker,
}

pub(super) struct KindOf {
    name: &'static str,
    pub(super) names: Box<dyn AnyNames>,
    statistics: Arc<KindStatistics>,
    epoch: Arc<AtomicU64>,
}

/// A row that is being fetched.
struct InFlight {
    row: u32,
    has_marker: bool,
    is_awaited: bool,
}

/// The parts that are made with the first read.
pub(super) struct Learnt {
    pub(super) table: Table,
    pub(super) contexts: Contexts,
}

/// The lessons of a read.
pub(super) struct Heard {
    /// The row of its key.
    pub(super) row: Option<u32>,
    /// The keys of which another is likely to be read for each row of a list.
    pub(super) siblings: Option<(Name, Rest)>,
}

pub(super) struct Learner {
    pub(super) kinds: Vec<KindOf>,
    pub(super) learnt: Option<Learnt>,
    budget: Budget,
    pub(super) associations: Associations,
    pub(super) buffer: Buffer,
    in_flight: Vec<InFlight>,
    namespace: String,
    memory_bytes: usize,
    names_bytes: usize,
    keys: usize,
}

impl Learner {
    pub(super) fn new(config: &CacheConfig) -> Self {
        let buffer_bytes = (config.l1_capacity_bytes / BUFFER_PART).max(MIN_BUFFER_BYTES);
        Self {
            kinds: Vec::new(),
            learnt: None,
            budget: Budget::new(config.prefetch_waste),
            associations: Associations::default(),
            buffer: Buffer::new(config.prefetch_rows, buffer_bytes),
            in_flight: Vec::new(),
            namespace: config.namespace.clone(),
            memory_bytes: config.prefetch_memory_bytes,
            names_bytes: 0,
            keys: 0,
        }
    }

    /// Returns the number of a kind. It has the repository of its last registration.
    pub(super) fn register<E: Entity>(
        &mut self,
        statistics: &Arc<KindStatistics>,
        epoch: &Arc<AtomicU64>,
        fetcher: &Arc<dyn Fetcher<E>>,
    ) -> Option<u8> {
        let known = self.kinds.iter().position(|kind| kind.name == E::KIND);
        let number = u8::try_from(known.unwrap_or(self.kinds.len())).ok()?;
        if known.is_some() {
            self.names_of::<E>(number).fetcher = Arc::clone(fetcher);
        } else {
            self.kinds.push(KindOf {
                name: E::KIND,
                names: Box::new(Names::new(Arc::clone(fetcher))),
                statistics: Arc::clone(statistics),
                epoch: Arc::clone(epoch),
            });
        }
        Some(number)
    }

    pub(super) fn names_of<E: Entity>(&mut self, number: u8) -> &mut Names<E> {
        let names = self.kinds[usize::from(number)].names.as_any_mut();
        let names = names.downcast_mut();
        names.expect("one type has the name of a kind")
    }

    pub(super) fn epoch(&self, kind: u8) -> u64 {
        let kind = &self.kinds[usize::from(kind)];
        kind.epoch.load(Ordering::Acquire)
    }

    pub(super) fn count(&self, kind: u8, guessed: Guessed) {
        self.kinds[usize::from(kind)].statistics.guessed(guessed);
    }

    pub(super) fn share(&self) -> f32 {
        self.budget.share()
    }

    pub(super) fn is_spent(&self) -> bool {
        self.budget.is_spent()
    }

    pub(super) fn keys(&self) -> usize {
        self.keys
    }

    /// Returns the number of a kind.
    pub(super) fn number(&self, kind: &str) -> Option<u8> {
        let at = self.kinds.iter().position(|known| known.name == kind)?;
        u8::try_from(at).ok()
    }

    /// Returns the name of the kind of this number.
    pub(super) fn kind(&self, number: u8) -> &'static str {
        self.kinds[usize::from(number)].name
    }

    pub(super) fn names(&mut self, number: u8) -> &mut dyn AnyNames {
        &mut *self.kinds[usize::from(number)].names
    }

    pub(super) fn learnt(&mut self) -> &mut Learnt {
        // One half of the memory for the rows, the other for their names.
        let rows = self.memory_bytes / 2 / ROW_BYTES;
        self.learnt.get_or_insert_with(|| Learnt {
            table: Table::new(rows),
            contexts: Contexts::new(),
        })
    }

    /// Learns from a read of a context.
    pub(super) fn hear<E: Entity>(
        &mut self,
        (context, now): (u64, Moment),
        kind: u8,
        asked: LookupRef<'_, E>,
        key: &Key,
    ) -> Heard {
        let hash = key.hash();
        self.budget.read();
        self.associations.read(kind, hash);
        let row = self.row_of(kind, hash, |learner| {
            Some(learner.names_of::<E>(kind).add(asked))
        });
        let learnt = self.learnt();
        let slot = learnt.contexts.slot(context, now);
        let list = slot.list.as_mut();
        let siblings = list.and_then(|list| list.read(kind, hash));
        if let Some(row) = row {
            let before = slot.add(row);
            learnt.table.learn(row, before);
        }
        Heard { row, siblings }
    }

    /// Returns the row of a key, a new one with the name that `add` adds if it has none.
    /// `None` if its name has no room.
    pub(super) fn row_of(
        &mut self,
        kind: u8,
        hash: u64,
        add: impl FnOnce(&mut Self) -> Option<(u32, usize)>,
    ) -> Option<u32> {
        let at = match self.learnt().table.place(hash) {
            Place::Known(at) => return Some(at),
            Place::Free(at) => at,
            Place::Taken(at) => {
                self.give_up(at);
                at
            }
        };
        if self.memory_bytes / 2 <= self.names_bytes {
            return None;
        }
        let (name, bytes) = add(self)?;
        self.names_bytes += bytes;
        self.keys += 1;
        self.learnt().table.begin(at, hash, kind, name);
        Some(at)
    }

    /// Frees a row, and its name.
    fn give_up(&mut self, at: u32) {
        let Some(learnt) = &mut self.learnt else {
            return;
        };
        let row = *learnt.table.row(at);
        learnt.table.clear_row(at);
        let names = &mut self.kinds[usize::from(row.kind)].names;
        self.names_bytes -= names.remove(row.name);
        self.keys -= 1;
    }

    /// Joins the flight of a guess, if there is one.
    pub(super) fn join(&mut self, row: u32) -> Trigger {
        let mut in_flight = self.in_flight.iter_mut();
        match in_flight.find(|flight| flight.row == row) {
            None => Trigger::Miss,
            Some(flight) => {
                let is_first = !std::mem::replace(&mut flight.is_awaited, true);
                match is_first && flight.has_marker {
                    true => Trigger::Marker,
                    false => Trigger::None,
                }
            }
        }
    }

    /// Records that a row is being fetched.
    pub(super) fn takes_off(&mut self, row: u32, has_marker: bool) {
        self.in_flight.push(InFlight {
            row,
            has_marker,
            is_awaited: false,
        });
        self.set_ahead(row, true);
    }

    pub(super) fn is_awaited(&self, row: u32) -> bool {
        let mut in_flight = self.in_flight.iter();
        in_flight.any(|flight| flight.row == row && flight.is_awaited)
    }

    /// Keeps guesses as names: whether they are read opens the budget again.
    pub(super) fn keep_names(&mut self, chosen: &[Chosen]) {
        for chosen in chosen {
            let kind = chosen.kind;
            let names = &self.kinds[usize::from(kind)].names;
            let Some(key) = names.key(chosen.name, Namespace(&self.namespace)) else {
                continue;
            };
            self.put(Held::new(key, kind, chosen.has_marker, None), |_, _| true);
        }
    }

    /// Puts a guess into the buffer. Those pushed out were wrong, unless they were
    /// invalidated: `is_valid` returns true if not.
    pub(super) fn put(&mut self, held: Held, is_valid: impl Fn(&Self, &Held) -> bool) {
        let hash = held.key.hash();
        let mut out = Vec::new();
        self.buffer.put(held, |held| out.push(held));
        for held in out {
            self.set_ahead_of(held.key.hash(), false);
            let is_name = held.row.is_none();
            if is_name || is_valid(self, &held) {
                self.budget.wrong();
            }
            match is_name {
                true => {}
                false if is_valid(self, &held) => self.count(held.kind, Guessed::Unused),
                false => self.count(held.kind, Guessed::Void),
            }
        }
        self.set_ahead_of(hash, true);
    }

    /// Takes a guess out of the buffer.
    pub(super) fn take(&mut self, key: &Key) -> Option<Held> {
        let held = self.buffer.take(key)?;
        self.set_ahead_of(key.hash(), false);
        Some(held)
    }

    pub(super) fn clear_buffer(&mut self) {
        self.buffer.clear();
        let flying: Vec<u32> = self.in_flight.iter().map(|flight| flight.row).collect();
        if let Some(learnt) = &mut self.learnt {
            learnt.table.nothing_is_ahead();
        }
        for row in flying {
            self.set_ahead(row, true);
        }
    }

    /// Ends a flight. The key is ahead no longer, unless the buffer has it.
    pub(super) fn landed(&mut self, row: u32) {
        self.in_flight.retain(|flight| flight.row != row);
        let Some(learnt) = &self.learnt else {
            return;
        };
        let (kind, name) = (learnt.table.row(row).kind, learnt.table.row(row).name);
        let names = &self.kinds[usize::from(kind)].names;
        let key = names.key(name, Namespace(&self.namespace));
        let is_there = key.is_some_and(|key| self.buffer.get(&key).is_some());
        self.set_ahead(row, is_there);
    }

    pub(super) fn too_large(&mut self, row: u32) {
        if let Some(learnt) = &mut self.learnt {
            learnt.table.row_mut(row).is_large = true;
        }
    }

    fn set_ahead(&mut self, row: u32, is_ahead: bool) {
        if let Some(learnt) = &mut self.learnt {
            learnt.table.row_mut(row).is_ahead = is_ahead;
        }
    }

    fn set_ahead_of(&mut self, hash: u64, is_ahead: bool) {
        let row = self.learnt.as_ref().and_then(|it| it.table.find(hash));
        if let Some(row) = row {
            self.set_ahead(row, is_ahead);
        }
    }
}
