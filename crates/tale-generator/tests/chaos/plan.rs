//! The faults of the instances and of Redis, drawn from a seed.

use std::thread;
use std::time::{Duration, Instant};

use aside_testkit::history::{Recorder, Time};
use aside_testkit::{Direction, Mode, Proxy, RedisServer, eventually_blocking};
use fastrand::Rng;

use crate::fleet::{Fleet, INSTANCES};
use crate::instance::{MAX_STALENESS, command};
use crate::steps::Step;

/// The maximum time for a replica to synchronise.
const SYNCHRONIZES_WITHIN: Duration = Duration::from_secs(20);

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
}

/// A time without Redis, until every instance's keys were acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    pub(crate) from: Time,
    pub(crate) until: Time,
}

/// Faults in progress.
pub(crate) struct Storm<'a> {
    pub(crate) fleet: &'a mut Fleet,
    pub(crate) redis: RedisServer,
    pub(crate) recorder: Recorder,
    pub(crate) rng: Rng,
    pub(crate) outages: Vec<Outage>,
}

impl Storm<'_> {
    /// Injects one fault after the other, with pauses in between.
    pub(crate) async fn rage(&mut self, plan: Plan, lasting: Duration) {
        let end = Instant::now() + lasting;
        // Each kind occurs once before any repeats, in an order that the seed
        // decides.
        let mut kinds: Vec<u32> = Vec::new();
        while Instant::now() < end {
            if kinds.is_empty() {
                kinds = (0..12).collect();
                self.rng.shuffle(&mut kinds);
            }
            self.pause(50..250);
            match (plan, kinds.pop().expect("a kind is left")) {
                (_, 0) => {
                    self.note("subscribers cut off", None);
                    self.redis.client_kill_pubsub();
                }
                (_, 1) => {
                    self.note("scripts forgotten", None);
                    self.redis.command(&["SCRIPT", "FLUSH"]);
                }
                (Plan::Instances, 2) => self.kill_an_instance(None),
                (Plan::Instances, step @ 3..=6) => {
                    self.kill_an_instance(Some(Step::ALL[step as usize - 3]));
                }
                (Plan::Instances, 7) => self.stop_an_instance().await,
                (Plan::Instances, _) => self.break_a_way().await,
                (Plan::Redis, 2) => self.stop_redis(),
                (Plan::Redis, 3) => self.kill_redis(),
                (Plan::Redis, 4) => {
                    self.note("everything flushed", None);
                    self.redis.command(&["FLUSHALL"]);
                }
                (Plan::Redis, 5) => self.fill_memory("allkeys-lru"),
                (Plan::Redis, 6) => self.fill_memory("noeviction"),
                (Plan::Redis, 7) => self.fill_memory("volatile-ttl"),
                (Plan::Redis, 8) => self.refuse_writes(),
                (Plan::Redis, 9) => self.demote(),
                (Plan::Redis, _) => self.promote_a_replica(),
            }
        }
    }

    /// Skips an instance with pending keys. `CAVEATS.md` excludes the death of
    /// such a writer, because pending keys are kept only in memory.
    fn kill_an_instance(&mut self, at: Option<Step>) {
        let number = self.rng.usize(..INSTANCES);
        if self.fleet.ask(number, command::OWED) != "0" {
            return;
        }
        match at {
            Some(step) => {
                self.note(step.what(), Some(number));
                self.fleet.die_at(number, step);
            }
            None => {
                self.note("instance killed", Some(number));
                self.fleet.kill(number);
            }
        }
        self.pause(20..300);
        self.fleet.replace(number);
    }

    /// Sometimes the instance receives nothing for a moment after it continues.
    /// Messages usually overtake its first reads, but correctness must not
    /// depend on that.
    async fn stop_an_instance(&mut self) {
        let number = self.rng.usize(..INSTANCES);
        let longer = Duration::from_millis(self.rng.u64(50..400));
        if self.rng.bool() {
            self.note("instance stopped", Some(number));
            self.fleet.stop_for(number, MAX_STALENESS + longer);
        } else {
            self.note("instance stopped, then without replies", Some(number));
            self.fleet.proxies[number].set(Direction::ToClient, Mode::Stall);
            self.fleet.stop_for(number, MAX_STALENESS + longer);
            self.pause(50..150);
            self.fleet.proxies[number].heal().await;
        }
    }

    /// Cuts off one instance while it writes, but not the others. Its writes
    /// are recorded as windows, see `windows`.
    async fn break_a_way(&mut self) {
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
        let proxy: &Proxy = &self.fleet.proxies[number];
        match mode {
            Some(mode) => proxy.set(direction, mode),
            None if name == "connection reset" => drop(proxy.reset()),
            None => drop(proxy.sever()),
        }
        self.pause(50..700);
        self.fleet.proxies[number].heal().await;
    }

    fn stop_redis(&mut self) {
        let from = self.note("redis stopped", None);
        self.redis.stop();
        self.pause(100..900);
        self.redis.cont();
        self.until_settled(from);
    }

    fn kill_redis(&mut self) {
        let from = self.note("redis killed", None);
        self.redis.kill();
        self.pause(50..600);
        self.redis.restart();
        self.until_settled(from);
    }

    fn fill_memory(&mut self, policy: &'static str) {
        self.note(policy, None);
        self.redis.set_config("maxmemory-policy", policy);
        // Less than an empty server needs, so it evicts all it can, or refuses.
        self.redis.set_config("maxmemory", "100000");
        self.pause(100..600);
        self.redis.set_config("maxmemory", "0");
    }

    /// Refuses scripts, like a primary without its replicas. Reads and PINGs
    /// continue.
    fn refuse_writes(&mut self) {
        let from = self.note("writes refused", None);
        self.redis.set_config("min-replicas-to-write", "1");
        self.pause(100..600);
        self.redis.set_config("min-replicas-to-write", "0");
        self.until_settled(from);
    }

    /// Demotes the primary to a replica of an unreachable server, while
    /// subscribers stay connected. Then it becomes a primary again, with
    /// another history.
    fn demote(&mut self) {
        let from = self.note("primary demoted", None);
        self.redis.command(&["REPLICAOF", "127.0.0.1", "1"]);
        self.pause(100..900);
        self.redis.command(&["REPLICAOF", "NO", "ONE"]);
        self.until_settled(from);
    }

    /// Promotes a replica that lacks the primary's last acknowledged writes. No
    /// client reaches both, because the primary is killed first.
    fn promote_a_replica(&mut self) {
        self.redis.set_config("repl-diskless-sync-delay", "0");
        let port = self.redis.port().to_string();
        // Set by a command and not in its configuration, because it restarts as
        // a primary later.
        let replica = RedisServer::start().expect("Redis starts");
        replica.command(&["REPLICAOF", "127.0.0.1", &port]);
        eventually_blocking(SYNCHRONIZES_WITHIN, "a replica in step", || {
            let info = replica.info("replication");
            info.get("master_link_status").is_some_and(|it| it == "up")
        });
        let from = self.note("replica promoted without its tail", None);
        replica.command(&["REPLICAOF", "NO", "ONE"]);
        self.pause(50..300);
        self.redis.kill();
        for proxy in &self.fleet.proxies {
            proxy.lead_to(replica.address());
            proxy.reset();
        }
        self.redis = replica;
        self.until_settled(from);
    }

    /// The outage ends when every instance is in step and has no pending keys.
    /// The wait itself checks that this happens.
    fn until_settled(&mut self, from: Time) {
        self.fleet.all(command::SETTLE);
        let until = Time::now();
        self.outages.push(Outage { from, until });
    }

    fn note(&self, what: &str, instance: Option<usize>) -> Time {
        match instance {
            Some(number) => self.recorder.fault(&format!("{what}: {}", number + 1)),
            None => self.recorder.fault(what),
        }
        Time::now()
    }

    fn pause(&mut self, milliseconds: std::ops::Range<u64>) {
        // The proxies run on other threads meanwhile.
        thread::sleep(Duration::from_millis(self.rng.u64(milliseconds)));
    }
}
