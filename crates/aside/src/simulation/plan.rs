//! The faults of a run, drawn from its seed.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, sleep};

use super::direction::Direction;
use super::hero::KEYS;
use super::host::Host;
use super::network::{Pace, Passage};
use super::{INSTANCES, MAX_STALENESS, World};

/// How long reads, writes and faults last, mostly.
const LASTING: Duration = Duration::from_millis(2500);

/// Among so many worlds, three have slots that move, one has elections, and one is
/// directed.
const RARE: u64 = 80;

/// The faults that occur; each scenario has its own promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scenario {
    /// Messages are lost with their connection; instances die and start.
    Deaths,
    /// Instances are suspended for longer than H, and die.
    Stops,
    /// Redis loses keys: leases, quarantines, values, epochs, everything.
    Evictions,
    /// Paths are cut, stalled, slow or lossy; instances die.
    Ways,
    /// Redis dies and comes back with older data, or is suspended.
    Histories,
    /// A primary under Sentinels is replaced, and may not know.
    Failovers,
    /// Slots of a cluster move between its nodes.
    Slots,
    /// Primaries of a cluster are replaced, and may not know.
    Elections,
    /// As [`Scenario::Deaths`], with values that expire and are refreshed before.
    Refreshes,
    /// Slots move while primaries are replaced.
    Upheavals,
    /// The steps of a plan in a cluster.
    Directed(Direction),
}

impl Scenario {
    /// The scenarios of one server, among which most seeds are shared out.
    pub(super) const ALL: [Self; 5] = [
        Self::Deaths,
        Self::Stops,
        Self::Evictions,
        Self::Ways,
        Self::Histories,
    ];

    /// Returns the scenario of a seed. Worlds with several servers take much longer, so
    /// they are few.
    pub(super) fn of(seed: u64) -> Self {
        match seed % RARE {
            36..39 => Self::Slots,
            39 => Self::Elections,
            41 => Self::Directed(Direction::of(seed / RARE)),
            _ => {
                let kinds = Self::ALL.len() as u64;
                Self::ALL[usize::try_from(seed % kinds).expect("a small number")]
            }
        }
    }

    /// Returns the scenario of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let others = [
            Self::Failovers,
            Self::Slots,
            Self::Elections,
            Self::Refreshes,
            Self::Upheavals,
        ];
        let mut all = Self::ALL.into_iter().chain(others);
        all.find(|scenario| format!("{scenario:?}") == name)
    }

    /// Returns the delay of a path; two delays stay well within a timeout.
    pub(super) fn pace(self, rng: &mut Rng) -> Pace {
        if let Self::Directed(_) = self {
            return Pace::short(rng);
        }
        Pace {
            mostly: rng.u64(0..4),
            sometimes: rng.u64(4..45),
            how_often: rng.u32(0..40),
        }
    }

    /// Returns the delay of messages. They may take much longer than their
    /// operation, but not so long that a PONG behind them is late.
    pub(super) fn message_pace(self, rng: &mut Rng) -> Pace {
        if let Self::Directed(_) = self {
            return Pace::short(rng);
        }
        Pace {
            mostly: rng.u64(0..4),
            sometimes: rng.u64(4..60),
            how_often: rng.u32(0..80),
        }
    }

    /// Returns the delay of the database. Some loads are slow, so that leases
    /// matter.
    pub(super) fn database_pace(self, rng: &mut Rng) -> Pace {
        if let Self::Directed(_) = self {
            return Pace::short(rng);
        }
        Pace {
            mostly: rng.u64(0..4),
            sometimes: rng.u64(8..40),
            how_often: rng.u32(0..40),
        }
    }

    /// Draws the percentage of operations that are writes.
    pub(super) fn writes(self, rng: &mut Rng) -> u32 {
        match self {
            // So few that values live long enough to be refreshed.
            Self::Refreshes => rng.u32(3..35) / 10 + 1,
            _ => rng.u32(3..35),
        }
    }

    /// Returns how long reads, writes and faults last.
    pub(super) fn lasting(self) -> Duration {
        match self {
            Self::Failovers | Self::Elections | Self::Upheavals | Self::Refreshes => 2 * LASTING,
            _ => LASTING,
        }
    }

    /// Returns true if Redis may lose acknowledged writes.
    pub(super) fn loses_data(self) -> bool {
        !matches!(
            self,
            Self::Deaths | Self::Stops | Self::Ways | Self::Refreshes
        )
    }

    /// Returns how often the reply to a COMMIT is lost, in thousandths.
    pub(super) fn loses_answers(self) -> u32 {
        match self {
            Self::Ways => 20,
            _ => 0,
        }
    }
}

/// Causes faults one after the other, with pauses between them.
pub(super) async fn rage(world: &Arc<World>, scenario: Scenario, rng: &mut Rng) {
    // From continuous faults to hardly any.
    let peace = rng.u64(100..1500);
    while Instant::now() < world.until {
        pause(rng, 10..peace).await;
        let place = rng.usize(..INSTANCES);
        match (scenario, rng.u32(..8)) {
            (_, 0) => deafen(world, place, rng),
            (_, 1) => {
                world.fault("scripts forgotten");
                world.server.forget_scripts();
            }
            (Scenario::Deaths | Scenario::Refreshes | Scenario::Ways, 2) => {
                replace(world, place, rng).await;
            }
            (Scenario::Deaths | Scenario::Refreshes, _) => deafen(world, place, rng),
            (Scenario::Stops, 2) => replace(world, place, rng).await,
            (Scenario::Stops, _) => stop(world, place, rng).await,
            (Scenario::Evictions, _) => evict(world, rng),
            (Scenario::Ways, _) => disturb(world, place, rng).await,
            (Scenario::Histories, 2..5) => {
                world.fault("saved");
                world.server.save();
            }
            (Scenario::Histories, _) => outage(world, rng).await,
            // Each has its own plan.
            (
                Scenario::Failovers
                | Scenario::Slots
                | Scenario::Elections
                | Scenario::Upheavals
                | Scenario::Directed(_),
                _,
            ) => {}
        }
    }
    for place in 0..INSTANCES {
        world.network.change(place, |way| {
            (way.to_server, way.to_client) = (Passage::Open, Passage::Open);
        });
    }
}

pub(super) async fn pause(rng: &mut Rng, milliseconds: std::ops::Range<u64>) {
    sleep(Duration::from_millis(rng.u64(milliseconds))).await;
}

/// Cuts the connection on which an instance receives messages, and those in
/// transit.
pub(super) fn deafen(world: &World, place: usize, rng: &mut Rng) {
    world.fault(&format!("cut off from messages: {place}"));
    world.network.cut(place, true, rng.bool());
}

/// Kills a process and starts another in its place.
pub(super) async fn replace(world: &Arc<World>, place: usize, rng: &mut Rng) {
    let Some(instance) = world.instance(place) else {
        return;
    };
    if instance.process.is_dead() {
        return;
    }
    world.fault(&format!("killed: {place}"));
    instance.process.kill();
    drop(instance);
    pause(rng, 0..200).await;
    world.start(place, rng);
}

/// Suspends a process for so long that none of its local entries may be served
/// afterwards.
pub(super) async fn stop(world: &World, place: usize, rng: &mut Rng) {
    let Some(instance) = world.instance(place) else {
        return;
    };
    world.fault(&format!("stopped: {place}"));
    instance.process.stop();
    let most = u64::try_from(MAX_STALENESS.as_millis()).expect("a short time") * 3;
    pause(rng, 1..most).await;
    world.fault(&format!("goes on: {place}"));
    instance.process.go_on(rng);
}

fn evict(world: &World, rng: &mut Rng) {
    match rng.u32(..12) {
        0 => {
            world.fault("everything flushed");
            world.server.flush();
        }
        1 => {
            world.fault("epochs evicted");
            world.server.evict_epochs();
        }
        _ => {
            for _ in 0..rng.u32(1..4) {
                let key = rng.choice(KEYS).expect("some");
                world.fault(&format!("evicted: {key}"));
                world.server.evict(key);
            }
        }
    }
}

/// Disturbs the path of one instance for a while.
async fn disturb(world: &World, place: usize, rng: &mut Rng) {
    let late = rng.bool();
    let passage = match rng.u32(..5) {
        0 => {
            world.fault(&format!("path cut: {place}"));
            return world.network.cut(place, false, late);
        }
        1 | 2 => Passage::Stalled,
        3 => Passage::Loses,
        _ => Passage::Open,
    };
    let (to_server, to_client) = *rng
        .choice([(true, true), (true, false), (false, true)].iter())
        .expect("some");
    let slow = Pace {
        mostly: rng.u64(10..120),
        sometimes: rng.u64(50..300),
        how_often: 30,
    };
    let mut before = None;
    world.network.change(place, |way| {
        before = Some(*way);
        if to_server {
            way.to_server = passage;
        }
        if to_client {
            way.to_client = passage;
        }
        if passage == Passage::Open {
            way.pace = slow;
        }
    });
    world.fault(&format!(
        "path {passage:?} {to_server} {to_client}: {place}"
    ));
    pause(rng, 10..500).await;
    if passage == Passage::Stalled && rng.bool() {
        world.network.cut(place, false, late);
    }
    world
        .network
        .change(place, |way| *way = before.expect("as it was"));
    world.fault(&format!("path open: {place}"));
}

/// Makes Redis unavailable, perhaps with a loss of acknowledged data.
async fn outage(world: &World, rng: &mut Rng) {
    let from = world.clock.now();
    if rng.u32(..4) == 0 {
        world.fault("redis stopped");
        world.server.machine().stop();
        pause(rng, 20..600).await;
        world.server.machine().go_on();
    } else {
        let back = (rng.u32(..4) > 0).then(|| rng.usize(..3));
        world.fault(&format!("redis killed, back to {back:?}"));
        world.network.kill(0);
        world.server.begin_history(back);
        pause(rng, 0..400).await;
        world.network.start(0);
    }
    world.fault("redis is back");
    world.settled().await;
    world.fault("nothing is pending");
    let until = world.clock.now();
    world.records.lock().outages.push((from, until));
}
