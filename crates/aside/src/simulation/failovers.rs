//! Faults of a group under Sentinels, drawn from the seed.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, sleep, sleep_until};

use super::host::Host;
use super::network::Passage;
use super::plan::{deafen, pause, replace, stop};
use super::sentinels::Sentinels;
use super::{INSTANCES, MAX_STALENESS, World};

/// How long no Sentinel may doubt a primary before a failover counts as over.
const CALM: Duration = Duration::from_millis(100);

/// After so long the instances should use a primary that all Sentinels name.
const MAX_OUTAGE: Duration = Duration::from_secs(6);

/// What happens to the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Killed,
    Stopped,
    /// An operator fails over a primary that works.
    Forced,
    /// Sentinels and replicas do not reach it, and all instances do.
    OffTheMesh,
    /// It shares a part of the network with some of the instances.
    Isolated,
}

const CAUSES: [Cause; 5] = [
    Cause::Killed,
    Cause::Stopped,
    Cause::Forced,
    Cause::OffTheMesh,
    Cause::Isolated,
];

/// Causes faults one after the other, with pauses between them.
pub(super) async fn rage(world: &Arc<World>, sentinels: &Arc<Sentinels>, rng: &mut Rng) {
    let peace = rng.u64(100..1500);
    while Instant::now() < world.until {
        pause(rng, 10..peace).await;
        let place = rng.usize(..INSTANCES);
        match rng.u32(..10) {
            0 => deafen(world, place, rng),
            1 => replace(world, place, rng).await,
            2 => stop(world, place, rng).await,
            3 | 4 => without_a_sentinel(world, sentinels, rng).await,
            _ => fail_over(world, sentinels, rng).await,
        }
    }
}

/// Fails over, perhaps, while one of the Sentinels is away.
async fn without_a_sentinel(world: &Arc<World>, sentinels: &Arc<Sentinels>, rng: &mut Rng) {
    let (number, is_killed) = (rng.usize(..sentinels.count()), rng.bool());
    world.fault(&format!("Sentinel {number} away"));
    match is_killed {
        true => sentinels.kill(number),
        false => sentinels.stop(number),
    }
    if rng.bool() {
        fail_over(world, sentinels, rng).await;
    } else {
        pause(rng, 10..1000).await;
    }
    world.fault(&format!("Sentinel {number} back"));
    match is_killed {
        true => sentinels.restart(number),
        false => sentinels.go_on(number),
    }
}

/// A primary in trouble, until it ends.
struct Trouble<'a> {
    world: &'a World,
    sentinels: &'a Sentinels,
    cause: Cause,
    primary: usize,
    /// Instances that do not reach the other servers, or no Sentinel.
    away: Vec<usize>,
    lasts: Duration,
}

async fn fail_over(world: &Arc<World>, sentinels: &Arc<Sentinels>, rng: &mut Rng) {
    let Some(primary) = sentinels.named() else {
        return;
    };
    let from = world.clock.now();
    let cause = *rng.choice(&CAUSES).expect("some");
    let mut trouble = Trouble {
        world,
        sentinels,
        cause,
        primary,
        away: Vec::new(),
        lasts: Duration::from_millis(rng.u64(20..2500)),
    };
    trouble.begin(rng);
    let ends = Instant::now() + trouble.lasts;
    let settled = async {
        trouble.settled().await;
        world.fault("nothing is pending");
        let until = world.clock.now();
        world.records.lock().outages.push((from, until));
    };
    tokio::pin!(settled);
    tokio::select! {
        biased;
        () = &mut settled => sleep_until(ends).await,
        () = sleep_until(ends) => {
            trouble.end();
            settled.await;
            return;
        }
    }
    trouble.end();
}

impl Trouble<'_> {
    fn begin(&mut self, rng: &mut Rng) {
        let (primary, group) = (self.primary, &self.sentinels.group);
        match self.cause {
            Cause::Killed => group.kill(primary),
            Cause::Stopped => group.servers[primary].machine().stop(),
            Cause::Forced => {
                self.sentinels.force(rng);
                // A writer that hears late uses the old primary meanwhile. It
                // is not away: its writes are to be repeated.
                if rng.bool() {
                    self.lasts = MAX_STALENESS.mul_f64(rng.f64());
                    let deaf = rng.usize(..INSTANCES);
                    self.silence_sentinels(deaf, rng);
                }
            }
            Cause::OffTheMesh => {
                group.mesh.isolate(&[primary]);
                if rng.bool() {
                    let deaf = rng.usize(..INSTANCES);
                    self.silence_sentinels(deaf, rng);
                    self.away = vec![deaf];
                }
            }
            Cause::Isolated => {
                let mut hosts = vec![primary];
                if rng.bool() {
                    let sentinel = rng.usize(..self.sentinels.count());
                    hosts.push(self.sentinels.host(sentinel));
                }
                group.mesh.isolate(&hosts);
                self.away = vec![rng.usize(..INSTANCES)];
                let away = self.away.clone();
                let parts = |place, host| away.contains(&place) != hosts.contains(&host);
                self.stall(parts, rng);
            }
        }
        let (cause, away) = (self.cause, &self.away);
        self.world
            .fault(&format!("n{primary} {cause:?} with {away:?}"));
    }

    /// Closes the paths between one instance and the Sentinels.
    fn silence_sentinels(&self, deaf: usize, rng: &mut Rng) {
        let first = self.sentinels.host(0);
        self.stall(|place, host| place == deaf && first <= host, rng);
    }

    /// Closes the paths between some instances and hosts.
    fn stall(&self, is_meant: impl Fn(usize, usize) -> bool, rng: &mut Rng) {
        let passage = match rng.bool() {
            true => Passage::Stalled,
            false => Passage::Loses,
        };
        let hosts = self.sentinels.host(self.sentinels.count());
        for place in 0..INSTANCES {
            for host in (0..hosts).filter(|host| is_meant(place, *host)) {
                self.world.network.change_to(place, host, |way| {
                    (way.to_server, way.to_client) = (passage, passage);
                });
            }
        }
    }

    fn end(&self) {
        let (primary, group) = (self.primary, &self.sentinels.group);
        self.world.fault(&format!("n{primary} is back"));
        match self.cause {
            Cause::Killed => group.restart(primary),
            Cause::Stopped => group.servers[primary].machine().go_on(),
            Cause::Forced => {}
            Cause::OffTheMesh | Cause::Isolated => group.mesh.heal(),
        }
        for place in 0..INSTANCES {
            self.world.network.change(place, |way| {
                (way.to_server, way.to_client) = (Passage::Open, Passage::Open);
            });
        }
    }

    /// Waits until all instances that are not away use the primary that no
    /// Sentinel doubts.
    async fn settled(&self) {
        let begun = Instant::now();
        let mut calm = begun;
        while calm.elapsed() < CALM {
            sleep(Duration::from_millis(5)).await;
            if !self.is_settled() {
                calm = Instant::now();
            }
            if MAX_OUTAGE < begun.elapsed() {
                let cause = self.cause;
                let stuck = format!("no primary is used long after: {cause:?}");
                self.world.records.lock().stuck.push(stuck);
                return;
            }
        }
    }

    fn is_settled(&self) -> bool {
        let Some(primary) = self.sentinels.undoubted() else {
            return false;
        };
        let history = self.sentinels.group.servers[primary].replication_id();
        let present = (0..INSTANCES).filter(|place| !self.away.contains(place));
        let mut instances = present.filter_map(|place| self.world.instance(place));
        instances.all(|instance| instance.is_at_peace() && instance.follows(&history))
    }
}
