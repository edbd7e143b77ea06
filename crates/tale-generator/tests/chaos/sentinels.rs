//! A primary, two replicas and three Sentinels: faults around failovers.
//!
//! The dangerous server is a deposed primary. It was stopped, or does not know
//! of its successor yet, and it calls itself a primary for about ten seconds.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use aside_testkit::history::Time;
use aside_testkit::{Mode, RedisSentinel, RedisServer, eventually_blocking};

use crate::fleet::INSTANCES;
use crate::instance::{MAX_STALENESS, command};
use crate::plan::{Faults, LOOKS_EVERY, Plan, Storm};

/// The maximum time for a failover. The Sentinels wait a second before they
/// vote, and ten seconds after an election that failed.
const FAILS_OVER_WITHIN: Duration = Duration::from_secs(60);

/// How long the primary is stopped around a failover.
const STOPS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(20)];

/// The number of the kind that takes longest.
const LONG_STOP: u32 = 10;

impl Faults for Storm<'_, RedisSentinel> {
    const KINDS: u32 = 11;

    async fn inject(&mut self, _: Plan, kind: u32) {
        let primary = self.until_replicated();
        match kind {
            0 => {
                self.note("subscribers cut off", None);
                self.server(primary).client_kill_pubsub();
            }
            1 => self.kill_the_primary(primary),
            2 => self.restart_the_primary(primary),
            3 => self.stop_the_primary(primary, STOPS[0]),
            4 => self.wake_the_primary_when_deposed(primary),
            5 => self.force_a_failover(primary),
            6 => self.force_a_failover_without_a_witness(primary).await,
            7 => self.stop_a_sentinel(),
            8 => {
                self.break_a_way(primary).await;
                self.fleet.all(command::SETTLE);
            }
            9 => self.kill_all_sentinels(),
            LONG_STOP.. => self.stop_the_primary(primary, STOPS[1]),
        }
    }
}

/// Returns a server's state of replication. Sentinels cut off all clients of a
/// server that they reconfigure, so there may be no reply.
fn replication(server: &RedisServer) -> Option<String> {
    if !server.is_running() {
        return None;
    }
    let reply = server.try_command(&["INFO", "replication"]).ok()?;
    reply.text().map(str::to_owned)
}

impl Storm<'_, RedisSentinel> {
    fn server(&self, number: usize) -> &RedisServer {
        &self.servers.servers()[number]
    }

    /// Waits until a replica could become the primary. Returns the primary.
    fn until_replicated(&self) -> usize {
        eventually_blocking(FAILS_OVER_WITHIN, "a replica in step", || {
            let primary = self.servers.primary()?;
            let info = replication(self.server(primary))?;
            let online = info.contains("role:master") && info.contains("state=online");
            online.then_some(primary)
        })
    }

    /// Waits until every instance uses the successor of this primary, and has
    /// no pending keys.
    fn until_followed(&mut self, fault: &'static str, from: Time, before: usize) {
        let successor = self.until_named(before);
        self.until_used(fault, successor, Time::now());
        self.until_settled(from);
    }

    /// Waits until a majority of the Sentinels names another primary.
    fn until_named(&self, before: usize) -> usize {
        let end = Instant::now() + FAILS_OVER_WITHIN;
        loop {
            match self.servers.primary() {
                Some(now) if now != before => return now,
                _ => assert!(Instant::now() < end, "no other primary is named"),
            }
            thread::sleep(LOOKS_EVERY);
        }
    }

    fn kill_the_primary(&mut self, primary: usize) {
        let fault = "primary killed";
        let from = self.note(fault, None);
        self.server(primary).kill();
        self.until_followed(fault, from, primary);
        self.server(primary).restart();
        let Some(successor) = self.servers.primary() else {
            // The Sentinels will make it a replica.
            return;
        };
        let port = self.server(successor).port().to_string();
        let replica = self.server(primary);
        replica.command(&["REPLICAOF", "127.0.0.1", &port]);
    }

    /// Restarts the primary so soon that it stays the primary, without data.
    fn restart_the_primary(&mut self, primary: usize) {
        let from = self.note("primary restarted empty", None);
        self.server(primary).kill();
        self.pause(20..200);
        self.server(primary).restart();
        self.until_settled(from);
    }

    /// Stops the primary until long after its failover. It wakes as a primary.
    fn stop_the_primary(&mut self, primary: usize, time: Duration) {
        let fault = match time {
            time if time == STOPS[0] => "primary stopped for 5 s",
            _ => "primary stopped for 20 s",
        };
        let from = self.note(fault, None);
        let begun = Instant::now();
        self.server(primary).stop();
        self.until_followed(fault, from, primary);
        thread::sleep(time.saturating_sub(begun.elapsed()));
        self.note("deposed primary continued", None);
        self.server(primary).cont();
        self.pause(500..2500);
    }

    /// Lets the stopped primary continue when a replica has been promoted, and
    /// perhaps before a Sentinel says so.
    fn wake_the_primary_when_deposed(&mut self, primary: usize) {
        let fault = "primary continued at its failover";
        // One that was deposed before may still call itself a primary.
        let before = self.self_styled();
        let from = self.note(fault, None);
        self.server(primary).stop();
        let end = Instant::now() + FAILS_OVER_WITHIN;
        while self.self_styled().is_subset(&before) {
            assert!(Instant::now() < end, "no replica is promoted");
            thread::sleep(LOOKS_EVERY);
        }
        self.server(primary).cont();
        self.until_followed(fault, from, primary);
        self.pause(500..2500);
    }

    /// Returns the running servers that call themselves primaries.
    fn self_styled(&self) -> BTreeSet<usize> {
        let servers = self.servers.servers().iter().enumerate();
        let primaries = servers.filter(|(_, server)| {
            replication(server).is_some_and(|info| info.contains("role:master"))
        });
        primaries.map(|(number, _)| number).collect()
    }

    /// The old primary stays up, and learns of its successor seconds later.
    fn force_a_failover(&mut self, primary: usize) {
        let fault = "failover forced";
        let from = self.note(fault, None);
        self.fail_over();
        self.until_followed(fault, from, primary);
        self.pause(500..2500);
    }

    /// One instance reaches the old primary and no Sentinel.
    async fn force_a_failover_without_a_witness(&mut self, primary: usize) {
        let fault = "failover forced, one instance without Sentinels";
        let number = self.rng.usize(..INSTANCES);
        let from = self.note(fault, Some(number));
        let sentinels = self.servers.servers().len()..;
        for proxy in &self.fleet.proxies[number][sentinels.clone()] {
            proxy.set_both(Mode::Blackhole);
        }
        self.pause(0..600);
        self.fail_over();
        self.until_named(primary);
        self.pause(500..2000);
        for proxy in &self.fleet.proxies[number][sentinels] {
            // A swallowed request leaves its connection without a reply.
            proxy.sever();
            proxy.heal().await;
        }
        self.until_followed(fault, from, primary);
    }

    /// Asks a Sentinel for a failover until it accepts: it refuses during
    /// another one, and until it knows a replica in step.
    fn fail_over(&self) {
        let words = ["SENTINEL", "FAILOVER", self.servers.service()];
        eventually_blocking(FAILS_OVER_WITHIN, "a failover", || {
            let reply = self.servers.sentinels()[0].command(&words);
            (reply.text() == Some("OK")).then_some(()).ok_or(reply)
        });
    }

    /// A majority is left, so nothing may change. Shorter than two seconds,
    /// after which a Sentinel takes no part in failovers for half a minute.
    fn stop_a_sentinel(&mut self) {
        let number = self.rng.usize(..self.servers.sentinels().len());
        self.note("Sentinel stopped", None);
        self.servers.sentinels()[number].stop();
        self.pause(600..1600);
        self.servers.sentinels()[number].cont();
    }

    /// No Sentinel confirms the primary, so it is left after H.
    fn kill_all_sentinels(&mut self) {
        self.note("all Sentinels killed", None);
        for sentinel in self.servers.sentinels() {
            sentinel.kill();
        }
        let gone = u64::try_from(MAX_STALENESS.as_millis()).expect("a short time");
        self.pause(gone..gone * 6);
        for sentinel in self.servers.sentinels() {
            sentinel.restart();
        }
        let since = Time::now();
        let primary = self.until_replicated();
        self.until_used("all Sentinels killed", primary, since);
        self.fleet.all(command::SETTLE);
    }
}
