//! Three primaries with a replica each: faults around failovers.
//!
//! The dangerous node is a deposed primary. It was stopped, or does not know of
//! its successor yet, and it replies as the owner of its slots.
//!
//! `CLUSTER FAILOVER TAKEOVER` is left out. It asks for no votes, so no majority
//! of the primaries can tell of it, and `CAVEATS.md` excludes it from the bound.

use std::thread;
use std::time::{Duration, Instant};

use aside_testkit::history::Time;
use aside_testkit::{ClusterOptions, Failover, Mode, RedisCluster, RedisOptions, StartError};

use crate::fleet::INSTANCES;
use crate::instance::command;
use crate::plan::{Faults, LOOKS_EVERY, Outage, Plan, Storm};

/// The maximum time for a failover. The nodes wait a second before they vote,
/// and some seconds after an election that failed.
const FAILS_OVER_WITHIN: Duration = Duration::from_secs(60);

/// How long a primary is stopped around its failover.
const STOP: Duration = Duration::from_secs(5);

/// The number of the fault in which one instance is alone with a primary.
const ISOLATED: u32 = 12;

/// The type of the packets that carry messages between nodes, and that of none.
const MESSAGES: &str = "4";
const NOTHING: &str = "-1";

/// Starts a cluster whose nodes can be told to drop packets.
pub(crate) fn start() -> Result<RedisCluster, StartError> {
    RedisCluster::start_with(ClusterOptions {
        node: RedisOptions {
            config: vec!["enable-debug-command local".into()],
            ..RedisOptions::default()
        },
        ..ClusterOptions::default()
    })
}

impl Faults for Storm<'_, RedisCluster> {
    const KINDS: u32 = 13;

    async fn inject(&mut self, _: Plan, kind: u32) {
        // Every replica is in step, so that each primary can be replaced.
        self.servers.wait_until_agreed();
        self.drop_messages_between_nodes();
        let (slot, owner) = self.owned_slot();
        match kind {
            0 => {
                self.note("subscribers cut off", None);
                self.servers.node(owner).client_kill_pubsub();
            }
            1 => self.kill_the_owner(slot, owner),
            2 => self.restart_the_owner(owner),
            3 => self.stop_the_owner(slot, owner),
            4 => self.wake_the_owner_when_deposed(slot, owner),
            5 => self.fail_over(slot, owner, Failover::Plain),
            6 => self.fail_over(slot, owner, Failover::Force),
            7 => self.move_slots(),
            8 => self.cancel_a_migration(),
            9 => self.lose_an_acknowledgement().await,
            10 => {
                self.break_a_way(owner).await;
                self.fleet.all(command::SETTLE);
            }
            11 => self.move_slots_out_of_reach().await,
            ISOLATED.. => {
                self.depose_the_owner_of_an_isolated_instance(slot, owner)
                    .await
            }
        }
    }
}

impl Storm<'_, RedisCluster> {
    /// Mostly drops all messages that nodes pass on to each other. Each instance
    /// is subscribed at every primary, so it needs none of them. They would hide
    /// that a message of another node was missed.
    fn drop_messages_between_nodes(&mut self) {
        let dropped = match self.rng.u32(..4) {
            0 => NOTHING,
            _ => MESSAGES,
        };
        for node in self.servers.nodes() {
            let reply = node.command(&["DEBUG", "DROP-CLUSTER-PACKET-FILTER", dropped]);
            assert_eq!(reply.text(), Some("OK"), "{reply:?}");
        }
    }

    /// Waits until another running node owns the slot, and returns it.
    fn until_owned_by_another(&self, slot: u16, before: usize) -> usize {
        let end = Instant::now() + FAILS_OVER_WITHIN;
        loop {
            match self.servers.primary_of(slot) {
                Some(now) if now != before => return now,
                _ => assert!(Instant::now() < end, "no replica is promoted"),
            }
            thread::sleep(LOOKS_EVERY);
        }
    }

    /// Waits until every instance uses the successor of this owner, and has no
    /// pending keys.
    fn until_followed(&mut self, fault: &'static str, from: Time, slot: u16, before: usize) {
        let successor = self.until_owned_by_another(slot, before);
        self.until_used(fault, successor, Time::now());
        self.until_settled(from);
    }

    /// Kills a primary, which returns as the replica of its successor.
    fn kill_the_owner(&mut self, slot: u16, owner: usize) {
        let fault = "node killed";
        let from = self.note(fault, None);
        self.servers.node(owner).kill();
        self.until_followed(fault, from, slot, owner);
        self.servers.node(owner).restart();
    }

    /// Restarts a primary so soon that it stays the primary, without data.
    fn restart_the_owner(&mut self, owner: usize) {
        let from = self.note("node restarted empty", None);
        self.servers.node(owner).kill();
        self.pause(20..200);
        self.servers.node(owner).restart();
        self.until_settled(from);
    }

    /// Stops a primary until long after its failover. It wakes as the owner of
    /// its slots.
    fn stop_the_owner(&mut self, slot: u16, owner: usize) {
        let fault = "node stopped for 5 s";
        let from = self.note(fault, None);
        let begun = Instant::now();
        self.servers.node(owner).stop();
        self.until_followed(fault, from, slot, owner);
        thread::sleep(STOP.saturating_sub(begun.elapsed()));
        self.note("deposed node continued", None);
        self.servers.node(owner).cont();
        self.pause(500..1500);
    }

    /// Lets a stopped primary continue when its replica has been promoted.
    fn wake_the_owner_when_deposed(&mut self, slot: u16, owner: usize) {
        let fault = "node continued at its failover";
        let from = self.note(fault, None);
        self.servers.node(owner).stop();
        self.until_owned_by_another(slot, owner);
        self.servers.node(owner).cont();
        self.until_followed(fault, from, slot, owner);
        self.pause(500..1500);
    }

    /// Promotes the replica of a primary that stays up.
    fn fail_over(&mut self, slot: u16, owner: usize, how: Failover) {
        let fault = match how {
            Failover::Plain => "node replaced",
            _ => "node replaced by force",
        };
        let from = self.note(fault, None);
        let replica = self.servers.replicas_of(owner)[0];
        self.servers.failover(replica, how);
        self.until_followed(fault, from, slot, owner);
        self.pause(100..1000);
    }

    /// One instance reaches a single node, which was stopped and deposed. What
    /// that node replies when it continues is old.
    async fn depose_the_owner_of_an_isolated_instance(&mut self, slot: u16, owner: usize) {
        let isolated = self.rng.usize(..INSTANCES);
        let fault = "node continued, one instance without the others";
        let from = self.note(fault, Some(isolated));
        let others: Vec<usize> = (0..self.servers.nodes().len())
            .filter(|&node| node != owner)
            .collect();
        for &node in &others {
            self.fleet.proxies[isolated][node].set_both(Mode::Blackhole);
        }
        self.servers.node(owner).stop();
        self.until_owned_by_another(slot, owner);
        let others_go_on = self.rng.bool();
        if others_go_on {
            // From here on, the isolated instance has no excuse to be behind.
            for number in (0..INSTANCES).filter(|&number| number != isolated) {
                self.fleet.ask(number, command::SETTLE);
            }
            let until = Time::now();
            self.outages.push(Outage { from, until });
        }
        self.servers.node(owner).cont();
        self.pause(200..1500);
        for &node in &others {
            let proxy = &self.fleet.proxies[isolated][node];
            // A swallowed request leaves its connection without a reply.
            proxy.sever();
            proxy.heal().await;
        }
        if others_go_on {
            self.fleet.all(command::SETTLE);
        } else {
            self.until_settled(from);
        }
    }
}
