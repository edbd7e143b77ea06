//! One read of a key at a time, shared by those who may share it.
//!
//! The first to ask leads a flight; who comes while it is under way joins it,
//! but only where its answer is as fresh as one of its own would be. A flight
//! counts its observations (a GET, a load, a FILL) as steps, each counted
//! just before it is sent. Who joined before the step that the answer rests on
//! saw the answer made after it asked, and takes it. Who joined later takes it
//! only if the in-process tier would serve it as well: filled or found in
//! Redis, under generations that were still current when the reader came.
//!
//! Everybody else waits for the *next* flight, which starts when this one
//! ends. Joining a load that began before one's own write returned is the bug
//! that most single-flight maps ship.
//!
//! The map holds only flights under way. Remembering answers is the tiers'
//! work; done here as well it would give a row two lifetimes.

use std::collections::HashMap;
use std::collections::hash_map::{Entry as Slotted, VacantEntry};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::super::runtime::sync::Mutex;
use super::super::runtime::sync::atomic::{AtomicU8, AtomicU32, Ordering};
#[cfg(not(test))]
use super::super::runtime::sync::watch;

#[cfg(test)]
use crate::runtime::simulated::{self, Rule, watch};

/// Flights by key. `M` marks the generations a flight runs under.
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
    /// How many observations have begun.
    steps: AtomicU32,
    openness: AtomicU8,
    mark: Mutex<Option<M>>,
    state: watch::Sender<State<M, T>>,
}

/// Anybody whose mark fits may join.
const OPEN: u8 = 0;
/// The FILL is on its way: only who would accept an in-process entry.
const FILLING: u8 = 1;
/// A load that fills nothing has begun: nobody.
const CLOSED: u8 = 2;

#[derive(Clone)]
enum State<M, T> {
    /// Another flight of this key is under way.
    Waiting,
    /// Somebody must lead.
    Ready,
    Led,
    Done(Outcome<M, T>),
}

/// How a follower hears of its flight, by which it is counted as well.
type Place<M, T> = watch::Receiver<State<M, T>>;

/// What a flight brought.
#[derive(Clone, Debug)]
pub(crate) struct Outcome<M, T> {
    pub(crate) value: T,
    /// The step that the value rests on; see the module's introduction.
    pub(crate) step: u32,
    /// The mark under which the in-process tier may hold the value.
    pub(crate) shared_under: Option<M>,
}

/// How a reader takes part.
pub(crate) enum Entered<K: Hash + Eq + Clone, M: Copy + PartialEq, T: Clone> {
    Lead(Leader<K, M, T>),
    Follow(Follower<K, M, T>),
}

/// What waiting for a flight came to.
pub(crate) enum Waited<K: Hash + Eq + Clone, M: Copy + PartialEq, T: Clone> {
    Answer(T),
    /// Its leader went away: it is the reader's turn.
    Lead(Leader<K, M, T>),
    /// Its answer is too old for this reader, who asks again.
    Again,
}

impl<K: Hash + Eq + Clone, M: Copy + PartialEq, T: Clone> Flights<K, M, T> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Mutex::default(),
        }
    }

    /// Leads a flight of `key`, or joins one. `lenient` readers accept what an
    /// in-process entry under `mark` would give them.
    pub(crate) fn enter(self: &Arc<Self>, key: &K, mark: M, lenient: bool) -> Entered<K, M, T> {
        let mut slots = self.slots.lock();
        let slot = match slots.entry(key.clone()) {
            Slotted::Vacant(vacant) => return Entered::Lead(self.begin(vacant)),
            Slotted::Occupied(occupied) => occupied.into_mut(),
        };
        if slot.current.take_lead() {
            return Entered::Lead(self.leader(key, Arc::clone(&slot.current)));
        }
        let flight = if slot.current.admits(mark, lenient) {
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
            mark,
            lenient,
        })
    }

    /// Leads a flight of `key`, if none is under way.
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

    /// How many keys are being read: for tests, here and elsewhere.
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

    /// Makes room for the next flight of the key.
    fn land(&self, key: &K, flight: &Arc<Flight<M, T>>) {
        Self::make_room(&mut self.slots.lock(), key, flight);
    }

    /// The leader has gone without an outcome: somebody who waits leads. As
    /// readers join under the same lock, none joins a flight that is just
    /// being taken away, and then waits for nobody.
    fn give_up(&self, key: &K, flight: &Arc<Flight<M, T>>) {
        let mut slots = self.slots.lock();
        if flight.state.receiver_count() > 0 {
            flight.openness.store(OPEN, Ordering::SeqCst);
            flight.state.send_replace(State::Ready);
        } else {
            Self::make_room(&mut slots, key, flight);
        }
    }

    /// A follower goes: the last one must not leave a flight that nobody will
    /// lead, nor take one away that somebody has just begun to lead. Its place
    /// is given up under the lock, or a leader who gives up meanwhile would
    /// hand the lead to somebody who is no longer there.
    fn leave(&self, key: &K, flight: &Arc<Flight<M, T>>, place: Option<Place<M, T>>) {
        let mut slots = self.slots.lock();
        drop(place);
        // Who has just taken the lead is counted still: its place, too, it can
        // only give up under the lock.
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

impl<M: Copy + PartialEq, T: Clone> Flight<M, T> {
    fn new(state: State<M, T>) -> Self {
        Self {
            steps: AtomicU32::new(0),
            openness: AtomicU8::new(OPEN),
            mark: Mutex::new(None),
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

    fn admits(&self, mark: M, lenient: bool) -> bool {
        #[cfg(test)]
        if simulated::without(Rule::JoinInTime) {
            return true;
        }
        let fits = self.mark.lock().is_none_or(|own| own == mark);
        match self.openness.load(Ordering::SeqCst) {
            OPEN => fits,
            FILLING => fits && lenient,
            _ => false,
        }
    }
}

/// The right and the duty to bring a flight to its end.
///
/// Dropped without one, it passes the lead to somebody who waits.
pub(crate) struct Leader<K: Hash + Eq + Clone, M: Copy + PartialEq, T: Clone> {
    flights: Arc<Flights<K, M, T>>,
    key: K,
    flight: Arc<Flight<M, T>>,
    finished: bool,
}

impl<K: Hash + Eq + Clone, M: Copy + PartialEq, T: Clone> Leader<K, M, T> {
    pub(crate) fn key(&self) -> &K {
        &self.key
    }

    pub(crate) fn has_followers(&self) -> bool {
        self.flight.state.receiver_count() > 0
    }

    /// Says under which generations the flight goes on from here.
    pub(crate) fn mark(&self, mark: M) {
        *self.flight.mark.lock() = Some(mark);
    }

    /// Counts an observation that is about to be sent.
    pub(crate) fn step(&self) -> u32 {
        self.flight.steps.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Counts the FILL that is about to be sent.
    pub(crate) fn step_fill(&self) -> u32 {
        self.flight.openness.store(FILLING, Ordering::SeqCst);
        self.step()
    }

    /// Counts a load that is about to begin and will fill nothing.
    pub(crate) fn step_bypass(&self) -> u32 {
        let step = self.step();
        self.flight.openness.store(CLOSED, Ordering::SeqCst);
        step
    }

    /// Hands the outcome to everybody who waits.
    pub(crate) fn finish(mut self, outcome: Outcome<M, T>) {
        self.finished = true;
        // Who comes from here on waits for the next flight. Joining this one
        // it would be told to ask again, again and again without a pause, for
        // as long as this thread does not get to the landing.
        self.flight.openness.store(CLOSED, Ordering::SeqCst);
        self.flight.state.send_replace(State::Done(outcome));
        self.flights.land(&self.key, &self.flight);
    }
}

impl<K, M, T> Leader<K, M, T>
where
    K: Hash + Eq + Clone + Send + 'static,
    M: Copy + PartialEq + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// Hands out the outcome, and lets the next flight start after a pause.
    pub(crate) async fn finish_and_pause(mut self, outcome: Outcome<M, T>, pause: Duration) {
        self.flight.openness.store(CLOSED, Ordering::SeqCst);
        self.finished = true;
        self.flight.state.send_replace(State::Done(outcome));
        tokio::time::sleep(pause).await;
        self.flights.land(&self.key, &self.flight);
    }
}

impl<K: Hash + Eq + Clone, M: Copy + PartialEq, T: Clone> Drop for Leader<K, M, T> {
    fn drop(&mut self) {
        if self.finished {
            // Ends a pause that was cut short, and is nothing otherwise.
            self.flights.land(&self.key, &self.flight);
        } else {
            self.flights.give_up(&self.key, &self.flight);
        }
    }
}

/// A place among those who wait for a flight.
pub(crate) struct Follower<K: Hash + Eq + Clone, M: Copy + PartialEq, T: Clone> {
    flights: Arc<Flights<K, M, T>>,
    key: K,
    flight: Arc<Flight<M, T>>,
    /// Given up with the follower, and not before.
    place: Option<Place<M, T>>,
    joined_at: u32,
    mark: M,
    lenient: bool,
}

impl<K: Hash + Eq + Clone, M: Copy + PartialEq, T: Clone> Follower<K, M, T> {
    /// Waits for the flight's end.
    pub(crate) async fn wait(mut self) -> Waited<K, M, T> {
        while let Some(place) = &mut self.place {
            let outcome = match &*place.borrow_and_update() {
                State::Done(outcome) => Some(outcome.clone()),
                State::Waiting | State::Ready | State::Led => None,
            };
            if let Some(outcome) = outcome {
                let after_asking = self.joined_at < outcome.step;
                let as_in_process = self.lenient && outcome.shared_under == Some(self.mark);
                #[cfg(test)]
                let as_in_process = as_in_process || simulated::without(Rule::JoinInTime);
                return if after_asking || as_in_process {
                    Waited::Answer(outcome.value)
                } else {
                    Waited::Again
                };
            }
            if self.flight.take_lead() {
                return Waited::Lead(self.flights.leader(&self.key, Arc::clone(&self.flight)));
            }
            if place.changed().await.is_err() {
                break;
            }
        }
        Waited::Again
    }
}

impl<K: Hash + Eq + Clone, M: Copy + PartialEq, T: Clone> Drop for Follower<K, M, T> {
    fn drop(&mut self) {
        if !self.flight.is_over() {
            self.flights
                .leave(&self.key, &self.flight, self.place.take());
        }
    }
}

impl<K, M, T> fmt::Debug for Flights<K, M, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Flights").finish_non_exhaustive()
    }
}

// By its path, so that it is found from `aside-interleavings` as well.
#[cfg(test)]
mod tests;
