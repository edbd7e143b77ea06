//! Learning from reads, guessing the next ones, and the fate of guesses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Fetcher;
use super::budget::Budget;
use super::buffer::{Buffer, Held};
use super::contexts::Contexts;
use super::flying::Chosen;
use super::names::{AnyNames, Launch, Names};
use super::table::{Place, ROW_BYTES, Table};
use crate::config::CacheConfig;
use crate::config::prefetch::PrefetchMode;
use crate::entity::Entity;
use crate::entity::key::Key;
use crate::entity::lookup::LookupRef;
use crate::entity::namespace::Namespace;
use crate::insight::statistics::{Guessed, KindStatistics};
use crate::runtime::clock::Moment;

/// The maximum number of rows in a batch, and of lists among them.
const MAX_BATCH: usize = 8;
const MAX_LISTS: usize = 2;

/// The maximum number of keys that a guess goes through, held ones included.
const MAX_STEPS: usize = 32;

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

struct KindOf {
    name: &'static str,
    names: Box<dyn AnyNames>,
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
struct Learnt {
    table: Table,
    contexts: Contexts,
}

pub(super) struct Learner {
    kinds: Vec<KindOf>,
    learnt: Option<Learnt>,
    budget: Budget,
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

    /// Learns from a read of a context, and returns the row of its key.
    pub(super) fn hear<E: Entity>(
        &mut self,
        (context, now): (u64, Moment),
        kind: u8,
        asked: LookupRef<'_, E>,
        key: &Key,
    ) -> Option<u32> {
        self.budget.read();
        let row = self.row_of(kind, asked, key)?;
        let learnt = self.learnt.as_mut()?;
        let before = learnt.contexts.add(context, row, now);
        learnt.table.learn(row, before);
        Some(row)
    }

    /// Returns the row of a key, a new one if it has none. `None` if its name has no
    /// room.
    fn row_of<E: Entity>(&mut self, kind: u8, asked: LookupRef<'_, E>, key: &Key) -> Option<u32> {
        // One half for the rows, the other for their names.
        let half = self.memory_bytes / 2;
        let learnt = self.learnt.get_or_insert_with(|| Learnt {
            table: Table::new(half / ROW_BYTES),
            contexts: Contexts::new(),
        });
        let at = match learnt.table.place(key.hash()) {
            Place::Known(at) => return Some(at),
            Place::Free(at) => at,
            Place::Taken(at) => {
                self.give_up(at);
                at
            }
        };
        if half <= self.names_bytes {
            return None;
        }
        let (name, bytes) = self.names_of::<E>(kind).add(asked);
        self.names_bytes += bytes;
        self.keys += 1;
        let learnt = self.learnt.as_mut()?;
        learnt.table.begin(at, key.hash(), kind, name);
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

    pub(super) fn is_awaited(&self, row: u32) -> bool {
        let mut in_flight = self.in_flight.iter();
        in_flight.any(|flight| flight.row == row && flight.is_awaited)
    }

    /// Guesses the keys after that of a row. Returns the work that fetches them.
    pub(super) fn fire(&mut self, row: u32, mode: PrefetchMode) -> Vec<Launch> {
        let guessed = self.guess(row);
        if guessed.is_empty() {
            return Vec::new();
        }
        let middle = guessed.len() / 2;
        let marked = guessed.iter().enumerate();
        let marked = marked.map(|(place, (row, kind, name))| Chosen {
            row: *row,
            kind: *kind,
            name: *name,
            has_marker: place == middle,
        });
        if mode == PrefetchMode::Names || self.budget.is_spent() {
            let marked: Vec<_> = marked.collect();
            self.keep_names(&marked);
            return Vec::new();
        }
        let mut by_kind: Vec<(u8, Vec<Chosen>)> = Vec::new();
        for chosen in marked {
            match by_kind.iter_mut().find(|(kind, _)| *kind == chosen.kind) {
                Some((_, batch)) => batch.push(chosen),
                None => by_kind.push((chosen.kind, vec![chosen])),
            }
        }
        let launches = by_kind.into_iter().filter_map(|(kind, batch)| {
            let rows: Vec<(u32, bool)> = batch
                .iter()
                .map(|chosen| (chosen.row, chosen.has_marker))
                .collect();
            let launch = self.kinds[usize::from(kind)].names.launch(batch)?;
            for (row, has_marker) in rows {
                self.in_flight.push(InFlight {
                    row,
                    has_marker,
                    is_awaited: false,
                });
                self.set_ahead(row, true);
            }
            Some(launch)
        });
        launches.collect()
    }

    /// Returns the rows, kinds and names of the keys that are likely to be read next
    /// and are not held.
    fn guess(&self, from: u32) -> Vec<(u32, u8, u32)> {
        let Some(learnt) = &self.learnt else {
            return Vec::new();
        };
        let share = self.budget.share();
        let (mut guessed, mut lists): (Vec<(u32, u8, u32)>, usize) = (Vec::new(), 0);
        let (mut at, mut sure) = (from, 1.0);
        for _ in 0..MAX_STEPS {
            let mut likeliest = None;
            for (next, followed) in learnt.table.likely(at, share) {
                likeliest = likeliest.or(Some((next, followed)));
                let row = learnt.table.row(next);
                let names = &self.kinds[usize::from(row.kind)].names;
                let is_new = next != from && guessed.iter().all(|(known, ..)| *known != next);
                let may_fetch = is_new && !row.is_ahead && !row.is_large;
                if guessed.len() < MAX_BATCH && may_fetch && !names.is_held(row.name) {
                    let is_list = names.is_list(row.name);
                    if !is_list || lists < MAX_LISTS {
                        lists += usize::from(is_list);
                        guessed.push((next, row.kind, row.name));
                    }
                }
            }
            let Some((next, followed)) = likeliest else {
                break;
            };
            (at, sure) = (next, sure * followed);
            if guessed.len() == MAX_BATCH || sure < share / 2.0 || at == from {
                break;
            }
        }
        guessed
    }

    /// Keeps guesses as names: whether they are read opens the budget again.
    fn keep_names(&mut self, chosen: &[Chosen]) {
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
