//! Faults of a cluster whose slots move while primaries are replaced, drawn from the seed.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, sleep};

use super::cluster::Cluster;
use super::elections::fail_over_of;
use super::plan::{deafen, pause, replace, stop};
use super::resharding::{draw_one, move_by};
use super::{INSTANCES, World};

/// How long an operator waits before another attempt to repair the cluster.
const REPAIR: Duration = Duration::from_millis(50);

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
            _ => move_during_failover(world, cluster, rng).await,
        }
    }
}

/// Begins a migration and brings a primary into trouble, which often is one of its nodes.
/// The migration goes on meanwhile, as far as it can.
async fn move_during_failover(world: &Arc<World>, cluster: &Arc<Cluster>, rng: &mut Rng) {
    let Some(primaries) = cluster.undoubted(&[]) else {
        return;
    };
    let Some(migration) = draw_one(world, cluster, rng) else {
        return;
    };
    let primary = match rng.u32(..3) {
        0 => migration.from,
        1 => migration.to,
        _ => rng.choice(primaries).expect("some"),
    };
    let (mut steps, is_first) = (rng.fork(), rng.bool());
    let moving = async {
        pause(&mut steps, 0..200).await;
        move_by(world, &migration, &mut steps).await;
        // A node that comes back later has its marks still.
        loop {
            cluster.repair();
            sleep(REPAIR).await;
        }
    };
    let failing = async {
        if !is_first {
            pause(rng, 0..300).await;
        }
        fail_over_of(world, cluster, primary, rng).await;
    };
    tokio::select! {
        biased;
        () = failing => {}
        () = moving => {}
    }
    cluster.repair();
}
