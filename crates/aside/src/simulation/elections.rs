//! Faults of a cluster whose primaries are replaced, drawn from the seed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, sleep, sleep_until};

use super::cluster::Cluster;
use super::host::Host;
use super::instance::Instance;
use super::network::Passage;
use super::plan::{deafen, pause, replace, stop};
use super::{INSTANCES, MAX_STALENESS, World};

/// How long no node may doubt the primaries before a failover counts as over.
const CALM: Duration = Duration::from_millis(100);

/// How long an operator waits for votes.
const MAX_ELECTION: Duration = Duration::from_millis(300);

/// After so long the instances should use the primaries that all nodes name.
const MAX_OUTAGE: Duration = Duration::from_secs(10);

/// What happens to a primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Killed,
    Stopped,
    /// An operator has a replica replace it, by votes. It works, and hears of that
    /// after a while.
    Forced,
    /// The same without votes.
    TakenOver,
    /// The other nodes do not reach it, and all instances do.
    OffTheBus,
    /// It shares a part of the network with some of the instances.
    Isolated,
    /// It is cut off from its successor together with a node that has just voted.
    WithVoter,
    /// A process that was suspended meanwhile uses it, and dies.
    Deceiving,
}

/// Failures, which the nodes notice after their timeout.
const FAILURES: [Cause; 4] = [
    Cause::Killed,
    Cause::Stopped,
    Cause::OffTheBus,
    Cause::Isolated,
];

/// Changes without a failure.
const REPLACEMENTS: [Cause; 4] = [
    Cause::Forced,
    Cause::TakenOver,
    Cause::WithVoter,
    Cause::Deceiving,
];

/// Causes faults one after the other, with pauses between them.
pub(super) async fn rage(world: &Arc<World>, cluster: &Arc<Cluster>, rng: &mut Rng) {
    let peace = rng.u64(100..800);
    while Instant::now() < world.until {
        pause(rng, 10..peace).await;
        let place = rng.usize(..INSTANCES);
        match rng.u32(..10) {
            0 => deafen(world, place, rng),
            1 => replace(world, place, rng).await,
            2 => stop(world, place, rng).await,
            _ => fail_over(world, cluster, rng).await,
        }
    }
}

/// A primary in trouble, until it ends.
struct Trouble<'a> {
    world: &'a Arc<World>,
    cluster: &'a Arc<Cluster>,
    cause: Cause,
    primary: usize,
    /// Instances that do not reach the other nodes.
    away: Vec<usize>,
    /// Nodes on the smaller side of a network in two parts.
    parted: Vec<usize>,
    lasts: Duration,
}

async fn fail_over(world: &Arc<World>, cluster: &Arc<Cluster>, rng: &mut Rng) {
    if let Some(primary) = cluster.undoubted(&[]).and_then(|all| rng.choice(all)) {
        fail_over_of(world, cluster, primary, rng).await;
    }
}

/// Brings a primary into trouble, until all instances use its successor.
pub(super) async fn fail_over_of(
    world: &Arc<World>,
    cluster: &Arc<Cluster>,
    primary: usize,
    rng: &mut Rng,
) {
    let from = world.clock.now();
    let mut trouble = Trouble {
        world,
        cluster,
        cause: match cluster.notices_failures() && rng.bool() {
            true => *rng.choice(&FAILURES).expect("some"),
            false => *rng.choice(&REPLACEMENTS).expect("some"),
        },
        primary,
        away: Vec::new(),
        parted: Vec::new(),
        lasts: Duration::from_millis(rng.u64(20..2000)),
    };
    trouble.begin(rng).await;
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
        () = &mut settled => {
            sleep_until(ends).await;
            trouble.end(rng).await;
        }
        () = sleep_until(ends) => {
            trouble.end(rng).await;
            settled.await;
        }
    }
}

impl Trouble<'_> {
    async fn begin(&mut self, rng: &mut Rng) {
        let (primary, cluster) = (self.primary, self.cluster);
        let replica = rng.choice(cluster.replicas(primary));
        match (self.cause, replica) {
            (Cause::Killed, _) => cluster.kill(primary),
            (Cause::Stopped, _) => {
                cluster.nodes[primary].machine().stop();
                self.away = Vec::from_iter(rng.bool().then(|| rng.usize(..INSTANCES)));
            }
            (Cause::OffTheBus, _) => {
                cluster.group.mesh.isolate(&[primary]);
                self.away = Vec::from_iter(rng.bool().then(|| rng.usize(..INSTANCES)));
            }
            (Cause::Isolated, _) => {
                cluster.group.mesh.isolate(&[primary]);
                self.away = vec![rng.usize(..INSTANCES)];
            }
            (_, None) => self.lasts = Duration::ZERO,
            (Cause::Forced | Cause::TakenOver, Some(replica)) => {
                // A primary and a writer that hear late.
                if rng.u32(..4) > 0 {
                    cluster.group.mesh.isolate(&[primary]);
                    let deaf = rng.usize(..INSTANCES);
                    self.stall(|place, host| place == deaf && host != primary, rng);
                }
                self.lasts = MAX_STALENESS.mul_f64(2.0 * rng.f64());
                match self.cause {
                    Cause::Forced => cluster.force(replica),
                    _ => cluster.take_over(replica),
                }
            }
            (Cause::WithVoter, Some(replica)) => self.part_with_voter(replica, rng).await,
            (Cause::Deceiving, Some(replica)) => self.deceive(replica, rng).await,
        }
        let (cause, away) = (self.cause, self.away.clone());
        let is_parted = |place, host| match away.contains(&place) {
            true => host != primary && !self.parted.contains(&host),
            false => {
                let is_split = matches!(cause, Cause::Isolated | Cause::WithVoter);
                is_split && host == primary
            }
        };
        self.stall(is_parted, rng);
        self.world
            .fault(&format!("n{primary} {cause:?} with {away:?}"));
    }

    /// Has a replica win an election, and parts the network before a voter knows.
    async fn part_with_voter(&mut self, replica: usize, rng: &mut Rng) {
        self.cluster.force(replica);
        let begun = Instant::now();
        while !self.cluster.has_votes(replica) {
            if MAX_ELECTION < begun.elapsed() {
                return;
            }
            sleep(Duration::from_millis(1)).await;
        }
        let all = self.cluster.undoubted(&[replica]).unwrap_or_default();
        let others = all.into_iter().filter(|node| *node != self.primary);
        let voter = rng.choice(others.collect::<Vec<_>>());
        self.parted = std::iter::once(self.primary).chain(voter).collect();
        self.cluster.group.mesh.isolate(&self.parted);
        self.away = vec![rng.usize(..INSTANCES)];
        self.lasts = Duration::from_millis(rng.u64(600..1500));
    }

    /// Suspends a process that writes nothing, has its primary replaced, and lets the
    /// process go on with the old primary alone. Its trust has ended. Then it dies.
    async fn deceive(&mut self, replica: usize, rng: &mut Rng) {
        let (world, primary) = (self.world, self.primary);
        let is_idle = |instance: &Arc<Instance>| {
            instance.writing.load(Ordering::Relaxed) == 0 && instance.is_at_peace()
        };
        let place = rng.usize(..INSTANCES);
        let Some(instance) = world.instance(place).filter(is_idle) else {
            return;
        };
        world.fault(&format!("stopped: {place}"));
        instance.process.stop();
        self.away = vec![place];
        self.cluster.group.mesh.isolate(&[primary]);
        self.stall(|at, host| at == place && host != primary, rng);
        self.cluster.force(replica);
        // Longer than a proof that it had.
        let stopped = MAX_STALENESS + Duration::from_millis(rng.u64(20..150));
        sleep(stopped).await;
        world.fault(&format!("goes on: {place}"));
        instance.process.go_on(rng);
        drop(instance);
        pause(rng, 50..400).await;
        replace(world, place, rng).await;
        self.lasts = Duration::from_millis(rng.u64(..100));
    }

    /// Closes the paths between some instances and nodes.
    fn stall(&self, is_meant: impl Fn(usize, usize) -> bool, rng: &mut Rng) {
        let passage = match rng.bool() {
            true => Passage::Stalled,
            false => Passage::Loses,
        };
        for place in 0..INSTANCES {
            for host in (0..self.cluster.nodes.len()).filter(|host| is_meant(place, *host)) {
                self.world.network.change_to(place, host, |way| {
                    (way.to_server, way.to_client) = (passage, passage);
                });
            }
        }
    }

    async fn end(&self, rng: &mut Rng) {
        let (primary, cluster) = (self.primary, self.cluster);
        self.world.fault(&format!("n{primary} is back"));
        match self.cause {
            Cause::Killed => cluster.restart(primary),
            Cause::Stopped => {
                // It does not know yet that it was replaced.
                cluster.group.mesh.isolate(&[primary]);
                cluster.nodes[primary].machine().go_on();
                pause(rng, 0..300).await;
                cluster.group.mesh.heal();
            }
            _ => cluster.group.mesh.heal(),
        }
        for place in 0..INSTANCES {
            self.world.network.change(place, |way| {
                (way.to_server, way.to_client) = (Passage::Open, Passage::Open);
            });
        }
    }

    /// Waits until all instances that are not away use the primaries that no node
    /// doubts.
    async fn settled(&self) {
        let begun = Instant::now();
        let mut calm = begun;
        while calm.elapsed() < CALM {
            sleep(Duration::from_millis(5)).await;
            if !self.is_settled() {
                calm = Instant::now();
            }
            if MAX_OUTAGE < begun.elapsed() {
                let stuck = format!("no primaries are used long after: {:?}", self.cause);
                self.world.records.lock().stuck.push(stuck);
                return;
            }
        }
    }

    fn is_settled(&self) -> bool {
        let Some(primaries) = self.cluster.undoubted(&self.parted) else {
            return false;
        };
        let present = (0..INSTANCES).filter(|place| !self.away.contains(place));
        let mut instances = present.filter_map(|place| self.world.instance(place));
        instances.all(|instance| instance.is_at_peace() && instance.uses(&primaries))
    }
}
