//! One Redis: faults of the instances, and of the server.

use std::time::Duration;

use aside_testkit::{Direction, Mode, RedisServer, eventually_blocking};

use crate::fleet::INSTANCES;
use crate::instance::{MAX_STALENESS, command};
use crate::plan::{Faults, Plan, Storm};
use crate::steps::Step;

/// The maximum time for a replica to synchronise.
const SYNCHRONIZES_WITHIN: Duration = Duration::from_secs(20);

impl Faults for Storm<'_, RedisServer> {
    const KINDS: u32 = 12;

    async fn inject(&mut self, plan: Plan, kind: u32) {
        match (plan, kind) {
            (_, 0) => {
                self.note("subscribers cut off", None);
                self.servers.client_kill_pubsub();
            }
            (_, 1) => {
                self.note("scripts forgotten", None);
                self.servers.command(&["SCRIPT", "FLUSH"]);
            }
            (Plan::Instances, 2) => self.kill_an_instance(None),
            (Plan::Instances, step @ 3..=6) => {
                self.kill_an_instance(Some(Step::ALL[step as usize - 3]));
            }
            (Plan::Instances, 7) => self.stop_an_instance().await,
            (Plan::Instances, _) => self.break_a_way(0).await,
            (_, 2) => self.stop_redis(),
            (_, 3) => self.kill_redis(),
            (_, 4) => {
                self.note("everything flushed", None);
                self.servers.command(&["FLUSHALL"]);
            }
            (_, 5) => self.fill_memory("allkeys-lru"),
            (_, 6) => self.fill_memory("noeviction"),
            (_, 7) => self.fill_memory("volatile-ttl"),
            (_, 8) => self.refuse_writes(),
            (_, 9) => self.demote(),
            (_, _) => self.promote_a_replica(),
        }
    }
}

impl Storm<'_, RedisServer> {
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
            self.fleet.proxies[number][0].set(Direction::ToClient, Mode::Stall);
            self.fleet.stop_for(number, MAX_STALENESS + longer);
            self.pause(50..150);
            self.fleet.proxies[number][0].heal().await;
        }
    }

    fn stop_redis(&mut self) {
        let from = self.note("redis stopped", None);
        self.servers.stop();
        self.pause(100..900);
        self.servers.cont();
        self.until_settled(from);
    }

    fn kill_redis(&mut self) {
        let from = self.note("redis killed", None);
        self.servers.kill();
        self.pause(50..600);
        self.servers.restart();
        self.until_settled(from);
    }

    fn fill_memory(&mut self, policy: &'static str) {
        self.note(policy, None);
        self.servers.set_config("maxmemory-policy", policy);
        // Less than an empty server needs, so it evicts all it can, or refuses.
        self.servers.set_config("maxmemory", "100000");
        self.pause(100..600);
        self.servers.set_config("maxmemory", "0");
    }

    /// Refuses scripts, like a primary without its replicas. Reads and PINGs
    /// continue.
    fn refuse_writes(&mut self) {
        let from = self.note("writes refused", None);
        self.servers.set_config("min-replicas-to-write", "1");
        self.pause(100..600);
        self.servers.set_config("min-replicas-to-write", "0");
        self.until_settled(from);
    }

    /// Demotes the primary to a replica of an unreachable server, while
    /// subscribers stay connected. Then it becomes a primary again, with
    /// another history.
    fn demote(&mut self) {
        let from = self.note("primary demoted", None);
        self.servers.command(&["REPLICAOF", "127.0.0.1", "1"]);
        self.pause(100..900);
        self.servers.command(&["REPLICAOF", "NO", "ONE"]);
        self.until_settled(from);
    }

    /// Promotes a replica that lacks the primary's last acknowledged writes. No
    /// client reaches both, because the primary is killed first.
    fn promote_a_replica(&mut self) {
        self.servers.set_config("repl-diskless-sync-delay", "0");
        let port = self.servers.port().to_string();
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
        self.servers.kill();
        for proxies in &self.fleet.proxies {
            let proxy = &proxies[0];
            proxy.lead_to(replica.address());
            proxy.reset();
        }
        self.servers = replica;
        self.until_settled(from);
    }
}
