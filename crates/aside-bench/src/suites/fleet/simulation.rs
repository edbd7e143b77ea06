//! A simulation of rounds, messages and the bus, event by event.
//!
//! Each server is one thread with a queue. Writes arrive at random, on keys of
//! random primaries. Each subscriber sends its next round a pause after the
//! reply to the last one. The events and their order depend on the seed alone.
//!
//! The deliveries of one message at one server are one event, because a server
//! makes them without a pause. The network has a delay and no limit.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::costs;
use super::designs::{Channels, Fleet};
use super::figures::{Figures, connections};

/// The result of a simulation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) figures: Figures,
    /// The part of a core that the busiest primary used.
    pub(super) core_of_busiest: f64,
    /// The times from sending a round to its reply that 50 and 99 of 100 kept.
    pub(super) round_ms: [f64; 2],
    /// The part of the time in which an instance could not trust a shard,
    /// because its last proof was older than the staleness bound.
    pub(super) untrusted: f64,
}

/// Nanoseconds since the start.
type Time = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Write,
    /// A command that publishes reaches a primary.
    Publish {
        shard: u32,
    },
    /// A copy reaches another primary.
    Copy {
        shard: u32,
    },
    /// A subscriber sends a round to a primary.
    Send {
        pair: u32,
    },
    Round {
        pair: u32,
        sent: Time,
    },
    Reply {
        pair: u32,
        sent: Time,
    },
}

#[derive(Clone, Copy, Default)]
struct Server {
    free_at: Time,
    busy: Time,
    rounds: u64,
    deliveries: u64,
    bus_sent: u64,
}

impl Server {
    /// Returns the time at which work that arrives now is done.
    fn work(&mut self, now: Time, us: f64) -> Time {
        let time = nanos(us);
        self.free_at = self.free_at.max(now) + time;
        self.busy += time;
        self.free_at
    }
}

/// The last proof of a shard.
#[derive(Clone, Copy, Default)]
struct Proof {
    /// When its round was sent.
    date: Time,
    /// When the reply came.
    learnt: Time,
}

struct Simulation<'a> {
    fleet: &'a Fleet,
    random: fastrand::Rng,
    queue: BinaryHeap<Reverse<(Time, u64, Event)>>,
    scheduled: u64,
    servers: Vec<Server>,
    /// By subscriber and shard.
    proofs: Vec<Proof>,
    rounds: Vec<Time>,
    untrusted: Time,
    writes: u64,
    /// Events before this time are not counted.
    begin: Time,
}

/// The time before events are counted, as a part of the counted time.
const WARM_UP: f64 = 0.2;

/// Runs the fleet for `seconds`.
pub(super) fn run(fleet: &Fleet, seconds: f64, seed: u64) -> Outcome {
    let begin = nanos(seconds * WARM_UP * 1e6);
    let end = begin + nanos(seconds * 1e6);
    let mut simulation = Simulation::new(fleet, begin, seed);
    while let Some(Reverse((now, _, event))) = simulation.queue.pop() {
        if end <= now {
            break;
        }
        simulation.step(now, event);
    }
    simulation.outcome(end)
}

impl<'a> Simulation<'a> {
    fn new(fleet: &'a Fleet, begin: Time, seed: u64) -> Self {
        let pairs = fleet.subscribers() * fleet.shards;
        let mut simulation = Self {
            fleet,
            random: fastrand::Rng::with_seed(seed),
            queue: BinaryHeap::new(),
            scheduled: 0,
            servers: vec![Server::default(); fleet.shards as usize],
            proofs: vec![Proof::default(); pairs as usize],
            rounds: Vec::new(),
            untrusted: 0,
            writes: 0,
            begin,
        };
        for pair in 0..pairs {
            let phase = simulation.random.f64() * fleet.pause_ms() * 1e3;
            simulation.schedule(nanos(phase), Event::Send { pair });
        }
        simulation.schedule_write(0);
        simulation
    }

    fn schedule(&mut self, at: Time, event: Event) {
        self.scheduled += 1;
        self.queue.push(Reverse((at, self.scheduled, event)));
    }

    /// Schedules the next write; the pauses between writes are exponential.
    fn schedule_write(&mut self, now: Time) {
        if self.fleet.writes_per_s > 0.0 {
            let pause = -(1.0 - self.random.f64()).ln() / self.fleet.writes_per_s;
            self.schedule(now + nanos(pause * 1e6), Event::Write);
        }
    }

    fn step(&mut self, now: Time, event: Event) {
        let arrival = now + nanos(costs::ONE_WAY_US);
        match event {
            Event::Write => {
                self.writes += u64::from(self.begin <= now);
                for _ in 0..self.fleet.keys_per_write {
                    let shard = self.random.u32(..self.fleet.shards);
                    self.schedule(arrival, Event::Publish { shard });
                }
                self.schedule_write(now);
            }
            Event::Publish { shard } => self.publish(now, shard),
            Event::Copy { shard } => self.deliver(now, shard, costs::BUS_RECEIVE_US),
            Event::Send { pair } => self.schedule(arrival, Event::Round { pair, sent: now }),
            Event::Round { pair, sent } => {
                let work = costs::round_us(self.fleet);
                let server = self.server(now, pair % self.fleet.shards);
                server.rounds += 1;
                let done = server.work(now, work);
                let reply = done + nanos(costs::ONE_WAY_US);
                self.schedule(reply, Event::Reply { pair, sent });
            }
            Event::Reply { pair, sent } => {
                self.prove(now, pair, sent);
                let pause = nanos(self.fleet.pause_ms() * 1e3);
                self.schedule(now + pause, Event::Send { pair });
            }
        }
    }

    /// Returns a server, whose counts begin when the warm-up ends.
    fn server(&mut self, now: Time, shard: u32) -> &mut Server {
        let server = &mut self.servers[shard as usize];
        if now < self.begin {
            let free_at = server.free_at;
            *server = Server {
                free_at,
                ..Server::default()
            };
        }
        server
    }

    fn publish(&mut self, now: Time, shard: u32) {
        let copies = self.fleet.bus_copies();
        let work = costs::PUBLISH_US + costs::BUS_SEND_US * f64::from(copies);
        self.deliver(now, shard, work);
        let server = self.server(now, shard);
        server.bus_sent += u64::from(copies);
        let arrival = server.free_at + nanos(costs::ONE_WAY_US);
        if self.fleet.design.channels == Channels::Classic {
            for other in (0..self.fleet.shards).filter(|other| *other != shard) {
                self.schedule(arrival, Event::Copy { shard: other });
            }
        }
    }

    /// Sends a message to every subscriber of a primary, after `us` of other
    /// work for it.
    fn deliver(&mut self, now: Time, shard: u32, us: f64) {
        let subscribers = self.fleet.subscribers();
        let server = self.server(now, shard);
        server.deliveries += u64::from(subscribers);
        server.work(now, us + costs::DELIVERY_US * f64::from(subscribers));
    }

    fn prove(&mut self, now: Time, pair: u32, sent: Time) {
        let previous = self.proofs[pair as usize];
        self.proofs[pair as usize] = Proof {
            date: sent,
            learnt: now,
        };
        if self.begin <= now {
            self.rounds.push(now - sent);
            self.untrusted += self.without_trust(previous, now);
        }
    }

    /// Returns the time since a proof in which it was too old.
    fn without_trust(&self, proof: Proof, now: Time) -> Time {
        let end = (proof.date + self.oldest()).max(proof.learnt);
        now.saturating_sub(end.max(self.begin))
    }

    /// The age at which a proof ends. Behind a relay, an instance learns it up
    /// to a pause later.
    fn oldest(&self) -> Time {
        let ms = match self.fleet.design.per_relay {
            1 => self.fleet.bound_ms(),
            _ => self.fleet.bound_ms() - self.fleet.pause_ms(),
        };
        nanos(ms * 1e3)
    }

    fn outcome(mut self, end: Time) -> Outcome {
        for pair in 0..self.proofs.len() {
            self.untrusted += self.without_trust(self.proofs[pair], end);
        }
        let seconds = (end - self.begin) as f64 / 1e9;
        let shards = f64::from(self.fleet.shards);
        let sum = |of: fn(&Server) -> u64| self.servers.iter().map(of).sum::<u64>() as f64;
        let [rounds, deliveries, bus_sent] = [
            sum(|server| server.rounds),
            sum(|server| server.deliveries),
            sum(|server| server.bus_sent),
        ];
        let each = |total: f64| total / seconds / shards;
        let bytes = rounds * costs::round_bytes(self.fleet) + deliveries * costs::MESSAGE_BYTES;
        let core = |server: &Server| server.busy as f64 / 1e9 / seconds;
        let figures = Figures {
            connections_per_primary: connections(self.fleet),
            rounds_per_primary: each(rounds),
            copies_per_write: deliveries / self.writes as f64,
            deliveries_per_primary: each(deliveries),
            bytes_per_primary: each(bytes),
            bus_bytes_per_primary: each(bus_sent) * costs::BUS_BYTES,
            bytes_per_subscriber: bytes / seconds / f64::from(self.fleet.subscribers()),
            core_of_primary: self.servers.iter().map(core).sum::<f64>() / shards,
        };
        self.rounds.sort_unstable();
        let within = |percent: usize| {
            let last = self.rounds.len().saturating_sub(1);
            self.rounds
                .get(last * percent / 100)
                .map_or(f64::NAN, |time| *time as f64 / 1e6)
        };
        let counted = (end - self.begin) as f64 * self.proofs.len() as f64;
        Outcome {
            figures,
            core_of_busiest: self.servers.iter().map(core).fold(0.0, f64::max),
            round_ms: [within(50), within(99)],
            untrusted: self.untrusted as f64 / counted,
        }
    }
}

fn nanos(us: f64) -> Time {
    (us * 1e3) as Time
}
