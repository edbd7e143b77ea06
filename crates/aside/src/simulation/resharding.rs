//! Faults of a cluster whose slots move, drawn from the seed.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, sleep};

use super::cluster::{Cluster, Migration, draw};
use super::hero::KEYS;
use super::network::Passage;
use super::plan::{deafen, pause, replace, stop};
use super::{INSTANCES, World};
use crate::entity::key::Key;

/// How long the plan waits for a write of one key.
const WATCHING: Duration = Duration::from_millis(400);

/// Moves slots one after the other, with other faults between them.
pub(super) async fn rage(world: &Arc<World>, cluster: &Arc<Cluster>, rng: &mut Rng) {
    let peace = rng.u64(10..300);
    while Instant::now() < world.until {
        pause(rng, 5..peace).await;
        let place = rng.usize(..INSTANCES);
        match rng.u32(..16) {
            0 => deafen(world, place, rng),
            1 => replace(world, place, rng).await,
            2 => stop(world, place, rng).await,
            3 => evict(world, cluster, rng),
            4 => {
                world.fault("scripts forgotten");
                let node = rng.usize(..cluster.nodes.len());
                cluster.group.servers[node].forget_scripts();
            }
            5..8 => hide_quarantine(world, cluster, rng).await,
            _ => move_slot(world, cluster, rng).await,
        }
    }
}

fn evict(world: &World, cluster: &Cluster, rng: &mut Rng) {
    let key = rng.choice(KEYS).expect("some");
    let node = rng.usize(..cluster.nodes.len());
    world.fault(&format!("n{node} evicts {key}"));
    cluster.group.servers[node].remove(&Key::new(key));
}

/// Draws a migration, and announces it.
fn draw_one<'a>(world: &World, cluster: &'a Arc<Cluster>, rng: &mut Rng) -> Option<Migration<'a>> {
    let migration = draw(cluster, rng)?;
    let (block, from, to) = (migration.block, migration.from, migration.to);
    world.fault(&format!("block {block}: from n{from} to n{to}"));
    Some(migration)
}

/// Moves one slot, perhaps with interruptions, perhaps while an instance does not hear
/// the node that it moves to.
async fn move_slot(world: &World, cluster: &Arc<Cluster>, rng: &mut Rng) {
    let Some(migration) = draw_one(world, cluster, rng) else {
        return;
    };
    if rng.u32(..4) == 0 {
        return migration.hand_over().await;
    }
    if !migration.begin().await {
        return;
    }
    let deaf = (rng.u32(..3) == 0).then(|| rng.usize(..INSTANCES));
    if let Some(place) = deaf {
        world.fault(&format!("{place} does not hear n{}", migration.to));
        let stalled = rng.bool();
        world.network.change_to(place, migration.to, |way| {
            way.to_client = Passage::Stalled;
            if stalled {
                way.to_server = Passage::Stalled;
            }
        });
    }
    let went = move_keys(world, &migration, rng).await;
    if let Some(place) = deaf {
        world.network.change_to(place, migration.to, |way| {
            (way.to_server, way.to_client) = (Passage::Open, Passage::Open);
        });
    }
    if went {
        let block = migration.block;
        world.fault(&format!("block {block}: finished"));
        migration.finish(rng.bool()).await;
    }
    migration.cancel().await;
}

/// Moves the keys of a slot in several attempts, because they appear again until the
/// slot has moved. Returns false if the migration ended.
async fn move_keys(world: &World, migration: &Migration<'_>, rng: &mut Rng) -> bool {
    let block = migration.block;
    for _ in 0..rng.u32(1..6) {
        pause(rng, 0..200).await;
        match rng.u32(..8) {
            0 => {
                world.fault(&format!("block {block}: its acknowledgement is lost"));
                migration.move_keys(true, rng.bool()).await;
            }
            1 | 2 => {
                world.fault(&format!("block {block}: cancelled"));
                migration.cancel().await;
                pause(rng, 0..200).await;
                world.fault(&format!("block {block}: begun again"));
                if !migration.begin().await {
                    return false;
                }
            }
            3 | 4 => {
                world.fault(&format!("block {block}: evicted"));
                migration.evict();
            }
            _ => migration.move_keys(false, rng.bool()).await,
        }
    }
    pause(rng, 0..200).await;
    true
}

/// Moves a quarantine to another node, and cancels the migration: the quarantine is out
/// of sight. The writer, if it is the suspended process, goes on when the migration has
/// begun again.
async fn hide_quarantine(world: &World, cluster: &Arc<Cluster>, rng: &mut Rng) {
    let Some(migration) = draw_one(world, cluster, rng) else {
        return;
    };
    let (begun, block) = (Instant::now(), migration.block);
    while !migration.is_quarantined() {
        if WATCHING < begun.elapsed() {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
    let place = rng.usize(..INSTANCES);
    let stopped = world.instance(place);
    if let Some(instance) = &stopped {
        world.fault(&format!("stopped: {place}"));
        instance.process.stop();
    }
    let went = migration.begin().await;
    if went {
        migration.move_keys(false, true).await;
        world.fault(&format!("block {block}: cancelled"));
        migration.cancel().await;
        pause(rng, 10..200).await;
        world.fault(&format!("block {block}: begun again"));
        if migration.begin().await && rng.bool() {
            migration.evict();
        }
    }
    if let Some(instance) = &stopped {
        world.fault(&format!("goes on: {place}"));
        instance.process.go_on(rng);
    }
    if went {
        pause(rng, 0..300).await;
        world.fault(&format!("block {block}: ended"));
        if rng.bool() {
            migration.move_keys(false, true).await;
            migration.finish(rng.bool()).await;
        }
        migration.cancel().await;
    }
}
