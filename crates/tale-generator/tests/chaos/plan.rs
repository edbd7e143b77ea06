//! Faults that are drawn from a seed, and those that every topology has.

use std::thread;
use std::time::{Duration, Instant};

use aside_testkit::history::{Recorder, Time};
use aside_testkit::{Direction, Mode, Proxy};
use fastrand::Rng;

use crate::fleet::{Fleet, INSTANCES};
use crate::instance::command;

/// How often the servers are asked while the next fault waits for them.
pub(crate) const LOOKS_EVERY: Duration = Duration::from_millis(5);

/// The kinds of faults in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Instances die, at any moment or at a chosen step of a write. They are
    /// also stopped and cut off, one at a time. Redis keeps its data.
    Instances,
    /// Redis is killed, stopped, flushed, filled up, refuses writes, is
    /// demoted, and is replaced by a replica that lacks its last writes.
    /// Writers stay alive.
    Redis,
    /// A primary under Sentinels is killed, stopped, replaced, and cut off from
    /// an instance. Sentinels are stopped and killed. Writers stay alive.
    Sentinels,
    /// Primaries of a cluster are killed, stopped, replaced, and cut off from an
    /// instance. Slots move, and migrations are cancelled. Writers stay alive.
    Cluster,
}

impl Plan {
    /// Returns the servers that it needs.
    pub(crate) fn topology(self) -> &'static str {
        match self {
            Self::Instances | Self::Redis => "one server",
            Self::Sentinels => "Sentinels",
            Self::Cluster => "a cluster",
        }
    }
}

/// A time without Redis, until every instance's keys were acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    pub(crate) from: Time,
    pub(crate) until: Time,
}

/// Times until instances used Redis again, by the fault.
pub(crate) type Returns = Vec<(&'static str, Duration)>;

/// Faults in progress.
pub(crate) struct Storm<'a, S> {
    pub(crate) fleet: &'a mut Fleet,
    pub(crate) servers: S,
    recorder: Recorder,
    pub(crate) rng: Rng,
    pub(crate) outages: Vec<Outage>,
    pub(crate) returns: Returns,
}

/// Faults of one topology.
pub(crate) trait Faults {
    /// The number of kinds of faults.
    const KINDS: u32;

    /// Injects the fault of this kind.
    async fn inject(&mut self, plan: Plan, kind: u32);
}

impl<'a, S> Storm<'a, S> {
    pub(crate) fn new(fleet: &'a mut Fleet, servers: S, recorder: Recorder, seed: u64) -> Self {
        Self {
            fleet,
            servers,
            recorder,
            rng: Rng::with_seed(seed),
            outages: Vec::new(),
            returns: Vec::new(),
        }
    }

    /// Injects one fault after the other, with pauses in between.
    pub(crate) async fn rage(&mut self, plan: Plan, lasting: Duration)
    where
        Self: Faults,
    {
        let end = Instant::now() + lasting;
        // Each kind occurs once before any repeats, in an order that the seed
        // decides.
        let mut kinds: Vec<u32> = Vec::new();
        while Instant::now() < end {
            if kinds.is_empty() {
                kinds = (0..Self::KINDS).collect();
                self.rng.shuffle(&mut kinds);
            }
            self.pause(50..250);
            self.inject(plan, kinds.pop().expect("a kind is left"))
                .await;
        }
    }

    /// Cuts off one instance from a server while it writes, but not the others.
    /// Its writes are recorded as windows, see `windows`.
    pub(crate) async fn break_a_way(&mut self, server: usize) {
        let number = self.rng.usize(..INSTANCES);
        // Mostly within the deadline, so late replies are used.
        let late = Duration::from_millis(self.rng.u64(20..300));
        let (name, mode) = match self.rng.u32(..9) {
            0 => ("connection closed", None),
            1 => ("connection reset", None),
            2 => ("bytes reset", Some(Mode::Reset)),
            3 => ("connection half-closed", Some(Mode::HalfClose)),
            4 => ("bytes lost", Some(Mode::Blackhole)),
            5 => ("bytes stalled", Some(Mode::Stall)),
            _ => ("bytes late", Some(Mode::Delay(late))),
        };
        let both = [Direction::ToServer, Direction::ToClient];
        let direction = both[self.rng.usize(..2)];
        self.note(name, Some(number));
        let proxy = &self.fleet.proxies[number][server];
        match mode {
            Some(mode) => proxy.set(direction, mode),
            None if name == "connection reset" => drop(proxy.reset()),
            None => drop(proxy.sever()),
        }
        self.pause(50..700);
        self.fleet.proxies[number][server].heal().await;
    }

    /// Waits until every instance trusts this server, and records how long
    /// after `since` that was.
    ///
    /// An instance ends its trust before it connects to another server.
    pub(crate) fn until_used(&mut self, fault: &'static str, server: usize, since: Time) {
        let is_open = |proxies: &Vec<Proxy>| 0 < proxies[server].counts().open_connections;
        while !self.fleet.proxies.iter().all(is_open) {
            thread::sleep(LOOKS_EVERY);
        }
        self.fleet.all(command::TRUST);
        self.returns.push((fault, Time::now().since(since)));
    }

    /// The outage ends when every instance is in step and has no pending keys.
    /// The wait itself checks that this happens.
    pub(crate) fn until_settled(&mut self, from: Time) {
        self.fleet.all(command::SETTLE);
        let until = Time::now();
        self.outages.push(Outage { from, until });
    }

    pub(crate) fn note(&self, what: &str, instance: Option<usize>) -> Time {
        match instance {
            Some(number) => self.recorder.fault(&format!("{what}: {}", number + 1)),
            None => self.recorder.fault(what),
        }
        Time::now()
    }

    pub(crate) fn pause(&mut self, milliseconds: std::ops::Range<u64>) {
        // The proxies run on other threads meanwhile.
        thread::sleep(Duration::from_millis(self.rng.u64(milliseconds)));
    }
}
