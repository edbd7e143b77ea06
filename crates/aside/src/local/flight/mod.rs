//! Single flight: one read of a key at a time, shared by concurrent readers.
//!
//! The first reader leads a flight. Readers that arrive while it is in progress
//! join it, but only if its result is as fresh as their own read would be. A
//! flight counts its observations (a GET, a load, a FILL) as steps, each just
//! before it is sent. A reader that joined before the step that produced the
//! result may use it, because the result was observed after the reader's
//! request. A reader that joined later may use it only if the local tier would
//! serve it as well: filled or found in Redis, under generations that were
//! still current when the reader arrived.
//!
//! All other readers wait for the *next* flight, which starts when this one
//! ends. Joining a load that began before one's own write returned is the bug
//! that most single-flight maps ship.
//!
//! The map holds only flights in progress. Caching results is the work of the
//! tiers; a second cache here would give a row two lifetimes.

mod leader;
mod follower;

use std::collections::HashMap;
use std::collections::hash_map::{Entry as Slotted, VacantEntry};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use self::follower::Follower;
pub(crate) use self::leader::Leader;
use super::super::runtime::sync::Mutex;
use super::super::runtime::sync::atomic::{AtomicU8, AtomicU32, Ordering};
#[cfg(not(test))]
use super::super::runtime::sync::watch;

#[cfg(test)]
use crate::runtime::simulated::{self, Rule, watch};

/// Flights by key. `M` identifies the generations that a flight runs under.
pub(crate) struct Flights<K, M, T> {
    slots: Mutex<Slots<K, M, T>>,
}

type Slots<K, M, T> = HashMap<K, Slot<M, T>, foldhash::fast::RandomState>;

type Vacant<'a, K, M, T> = VacantEntry<'a, K, Slot<M, T>>;

struct Slot<M, T> {
    current: Arc<Flight<M, T>>,
    next: Option<Arc<Flight<M, T>>>,
}

struct Flight<M, T> {
    /// The number of observations begun.
    steps: AtomicU32,
    openness: AtomicU8,
    context: Mutex<Option<M>>,
    state: watch::Sender<State<M, T>>,
}

/// Any reader with the same context may join.
const OPEN: u8 = 0;
/// The FILL is in progress: only readers that accept a local entry may join.
const FILLING: u8 = 1;
/// A load that fills nothing has begun: no reader may join.
const CLOSED: u8 = 2;

#[derive(Clone)]
enum State<M, T> {
    /// Another flight of this key is in progress.
    Waiting,
    /// A reader must take the lead.
    Ready,
    Led,
    Done(Outcome<M, T>),
}

/// A follower's subscription to its flight; it also counts the follower.
type Place<M, T> = watch::Receiver<State<M, T>>;

/// The result of a flight.
#[derive(Clone, Debug)]
pub(crate) struct Outcome<M, T> {
    pub(crate) value: T,
    /// The step that produced the value; see the head of this module.
    pub(crate) step: u32,
    /// The context under which the local tier may hold the value.
    pub(crate) shared_under: Option<M>,
}

/// The role of a reader.
pub(crate) enum Entered<K: Hash + Eq + Clone, M: Clone + PartialEq, T: Clone> {
    Lead(Leader<K, M, T>),
    Follow(Follower<K, M, T>),
}

/// The result of waiting for a flight.
pub(crate) enum Waited<K: Hash + Eq + Clone, M: Clone + PartialEq, T: Clone> {
    Answer(T),
    /// Its leader was dropped, and this reader leads now.
    Lead(Leader<K, M, T>),
    /// Its result is too old for this reader, which must enter again.
    Again,
}

impl<K: Hash + Eq + Clone, M: Clone + PartialEq, T: Clone> Flights<K, M, T> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Mutex::default(),
        }
    }

    /// Leads a flight of `key`, or joins one. `lenient` readers accept the
    /// result that a local entry under `context` would give them.
    pub(crate) fn enter(self: &Arc<Self>, key: &K, context: M, lenient: bool) -> Entered<K, M, T> {
        let mut slots = self.slots.lock();
        let slot = match slots.entry(key.clone()) {
            Slotted::Vacant(vacant) => return Entered::Lead(self.begin(vacant)),
            Slotted::Occupied(occupied) => occupied.into_mut(),
        };
        if slot.current.take_lead() {
            return Entered::Lead(self.leader(key, Arc::clone(&slot.current)));
        }
        let flight = if slot.current.admits(&context, lenient) {
            &slot.current
        } else {
            slot.next
                .get_or_insert_with(|| Arc::new(Flight::new(State::Waiting)))
        };
        Entered::Follow(Follower {
            flights: Arc::clone(self),
            key: key.clone(),
            joined_at: flight.steps.load(Ordering::SeqCst),
            place: Some(flight.state.subscribe()),
            flight: Arc::clone(flight),
            context,
            lenient,
        })
    }

    /// Leads a flight of `key`, if none is in progress.
    pub(crate) fn lead(self: &Arc<Self>, key: &K) -> Option<Leader<K, M, T>> {
        match self.slots.lock().entry(key.clone()) {
            Slotted::Vacant(vacant) => Some(self.begin(vacant)),
            Slotted::Occupied(_) => None,
        }
    }

    fn begin(self: &Arc<Self>, vacant: Vacant<'_, K, M, T>) -> Leader<K, M, T> {
        let flight = Arc::new(Flight::new(State::Led));
        let leader = self.leader(vacant.key(), Arc::clone(&flight));
        vacant.insert(Slot {
            current: flight,
            next: None,
        });
        leader
    }

    /// Returns the number of keys being read; for tests here and in other
    /// crates.
    #[allow(dead_code)]
    pub(crate) fn len(&self) -> usize {
        self.slots.lock().len()
    }

    fn leader(self: &Arc<Self>, key: &K, flight: Arc<Flight<M, T>>) -> Leader<K, M, T> {
        Leader {
            flights: Arc::clone(self),
            key: key.clone(),
            flight,
            finished: false,
        }
    }

    /// Removes an ended flight and starts the next one of the key.
    fn land(&self, key: &K, flight: &Arc<Flight<M, T>>) {
        Self::make_room(&mut self.slots.lock(), key, flight);
    }

    /// Passes the lead of a flight without a result to a waiting reader.
    /// Readers join under the same lock, so none can join a flight that is
    /// being removed and wait forever.
    fn give_up(&self, key: &K, flight: &Arc<Flight<M, T>>) {
        let mut slots = self.slots.lock();
        if flight.state.receiver_count() > 0 {
            flight.openness.store(OPEN, Ordering::SeqCst);
            flight.state.send_replace(State::Ready);
        } else {
            Self::make_room(&mut slots, key, flight);
        }
    }

    /// Removes a follower. The last one must not leave a flight without a
    /// leader in the map, nor remove one that another reader has begun to lead.
    ///
    /// The subscription ends under the lock. Otherwise a leader that gives up
    /// meanwhile could pass the lead to a follower that is gone.
    fn leave(&self, key: &K, flight: &Arc<Flight<M, T>>, place: Option<Place<M, T>>) {
        let mut slots = self.slots.lock();
        drop(place);
        // A follower that has just taken the lead still counts, because its
        // subscription, too, can only end under the lock.
        if flight.state.receiver_count() == 0 && flight.is_leaderless() {
            Self::make_room(&mut slots, key, flight);
        }
    }

    fn make_room(slots: &mut Slots<K, M, T>, key: &K, flight: &Arc<Flight<M, T>>) {
        let Slotted::Occupied(mut slot) = slots.entry(key.clone()) else {
            return;
        };
        if !Arc::ptr_eq(&slot.get().current, flight) {
            return;
        }
        match slot.get_mut().next.take() {
            Some(next) if next.state.receiver_count() > 0 => {
                next.state.send_replace(State::Ready);
                slot.get_mut().current = next;
            }
            _ => {
                slot.remove();
            }
        }
    }
}

impl<M: Clone + PartialEq, T: Clone> Flight<M, T> {
    fn new(state: State<M, T>) -> Self {
        Self {
            steps: AtomicU32::new(0),
            openness: AtomicU8::new(OPEN),
            context: Mutex::new(None),
            state: watch::Sender::new(state),
        }
    }

    fn take_lead(&self) -> bool {
        self.state.send_if_modified(|state| {
            let free = matches!(state, State::Ready);
            if free {
                *state = State::Led;
            }
            free
        })
    }

    fn is_leaderless(&self) -> bool {
        matches!(&*self.state.borrow(), State::Ready)
    }

    fn is_over(&self) -> bool {
        matches!(&*self.state.borrow(), State::Done(_))
    }

    fn admits(&self, context: &M, lenient: bool) -> bool {
        #[cfg(test)]
        if simulated::without(Rule::JoinInTime) {
            return true;
        }
        let fits = self
            .context
            .lock()
            .as_ref()
            .is_none_or(|own| own == context);
        match self.openness.load(Ordering::SeqCst) {
            OPEN => fits,
            FILLING => fits && lenient,
            _ => false,
        }
    }
}

impl<K, M, T> fmt::Debug for Flights<K, M, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Flights").finish_non_exhaustive()
    }
}

// With this path so that `aside-interleavings` finds it as well.
#[cfg(test)]
mod tests;
