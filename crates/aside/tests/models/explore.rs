//! A breadth-first search through every reachable state of a model.
//!
//! Breadth first, because the first bad state found is then among the nearest,
//! and the path to it is short enough to read. Paths are not stored. A state
//! records the state it was first reached from. The descriptions of the steps
//! between are built again when a path is printed.

use std::fmt;

use crate::nibbles::{Nibbles, Packed, Tape};

/// A system that steps from state to state.
pub(crate) trait Model {
    type State: Nibbles;

    fn start(&self) -> Self::State;

    /// Every possible next step, and any promise that is broken in this state.
    fn steps(&self, at: &Self::State, steps: &mut Steps<Self::State>);
}

/// A description with a `#` for each number.
#[derive(Clone, Copy)]
pub(crate) struct Told {
    words: &'static str,
    numbers: [u8; 4],
}

impl Told {
    fn new<const N: usize>(words: &'static str, numbers: [u8; N]) -> Self {
        let mut all = [0; 4];
        all[..N].copy_from_slice(&numbers);
        Self {
            words,
            numbers: all,
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut numbers = self.numbers.iter();
        for character in self.words.chars() {
            match character {
                '#' => write!(formatter, "{}", numbers.next().unwrap_or(&0))?,
                other => write!(formatter, "{other}")?,
            }
        }
        Ok(())
    }
}

/// The possible steps in one state.
pub(crate) struct Steps<S> {
    next: Vec<(Told, S)>,
    broken: Option<Told>,
}

impl<S> Steps<S> {
    fn new() -> Self {
        Self {
            next: Vec::new(),
            broken: None,
        }
    }

    /// A step to `state`.
    pub(crate) fn to<const N: usize>(&mut self, words: &'static str, numbers: [u8; N], state: S) {
        self.next.push((Told::new(words, numbers), state));
    }

    /// A promise that is broken in this state.
    pub(crate) fn broken<const N: usize>(&mut self, words: &'static str, numbers: [u8; N]) {
        self.broken = Some(Told::new(words, numbers));
    }
}

/// The result of a search.
pub(crate) enum Found {
    /// No promise is broken, in any state.
    Nothing { states: usize },
    /// No promise is broken in the states nearest to the start.
    NothingNear { states: usize },
    /// The path to the nearest state in which a promise is broken.
    Broken { way: Vec<String>, states: usize },
}

impl fmt::Display for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing { states } => write!(formatter, "{states} states, none unvisited"),
            Self::NothingNear { states } => write!(formatter, "the nearest {states} states"),
            Self::Broken { way, states } => {
                let way = way.join("\n  ");
                write!(formatter, "{states} states seen before\n  {way}")
            }
        }
    }
}

/// Visits every state, or the `most` nearest.
pub(crate) fn explore<M: Model>(model: &M, most: usize) -> Found {
    let mut seen = Seen::new();
    seen.add(pack(&model.start()), 0);
    let mut steps = Steps::new();
    let mut at = 0;
    while at < seen.states.len() {
        steps.next.clear();
        model.steps(&unpack(seen.states[at]), &mut steps);
        if let Some(broken) = steps.broken {
            let mut way = way(model, &seen, at);
            way.push(broken.to_string());
            let states = seen.states.len();
            return Found::Broken { way, states };
        }
        for (_, state) in &steps.next {
            seen.add(pack(state), at);
        }
        if seen.states.len() > most {
            let states = seen.states.len();
            return Found::NothingNear { states };
        }
        at += 1;
    }
    let states = seen.states.len();
    Found::Nothing { states }
}

/// The steps that lead to the state `at`.
fn way<M: Model>(model: &M, seen: &Seen, mut at: usize) -> Vec<String> {
    let mut way = Vec::new();
    while at > 0 {
        let from = seen.from[at] as usize;
        let mut steps = Steps::new();
        model.steps(&unpack(seen.states[from]), &mut steps);
        let taken = steps
            .next
            .iter()
            .find(|(_, state)| pack(state) == seen.states[at]);
        way.push(taken.expect("a model must be deterministic").0.to_string());
        at = from;
    }
    way.reverse();
    way
}

fn pack<S: Nibbles>(state: &S) -> Packed {
    let mut tape = Tape::default();
    state.write(&mut tape);
    tape.words
}

fn unpack<S: Nibbles>(packed: Packed) -> S {
    S::read(&mut Tape::from_start(packed))
}

/// The states seen, in the order in which they were first seen.
struct Seen {
    states: Vec<Packed>,
    /// The state that each was first reached from.
    from: Vec<u32>,
    /// Indices into `states`, plus one, found by hash; at most half the slots
    /// are used.
    table: Vec<u32>,
}

impl Seen {
    fn new() -> Self {
        Self {
            states: Vec::new(),
            from: Vec::new(),
            table: vec![0; 1 << 12],
        }
    }

    fn add(&mut self, state: Packed, from: usize) {
        let place = self.place(state);
        if self.table[place] != 0 {
            return;
        }
        self.states.push(state);
        self.from.push(index(from));
        self.table[place] = index(self.states.len());
        if self.states.len() * 2 > self.table.len() {
            self.table = vec![0; self.table.len() * 4];
            for at in 0..self.states.len() {
                let place = self.place(self.states[at]);
                self.table[place] = index(at + 1);
            }
        }
    }

    /// The slot of a state, or the slot where it would go.
    fn place(&self, state: Packed) -> usize {
        let mask = self.table.len() - 1;
        let mut place = hash(state) & mask;
        loop {
            let taken = self.table[place] as usize;
            if taken == 0 || self.states[taken - 1] == state {
                return place;
            }
            place = (place + 1) & mask;
        }
    }
}

fn index(number: usize) -> u32 {
    u32::try_from(number).expect("fewer than 2^32 states")
}

/// Neighbouring states differ in few bits, so each word is spread over all
/// bits.
fn hash(state: Packed) -> usize {
    let mut hash = 0_u64;
    for word in state {
        hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
    }
    hash as usize
}
