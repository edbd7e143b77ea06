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
            8 | 9 => leave_behind(world, cluster, rng).await,
            10 | 11 => unheard(world, cluster, rng).await,
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
pub(super) fn draw_one<'a>(
    world: &World,
    cluster: &'a Arc<Cluster>,
    rng: &mut Rng,
) -> Option<Migration<'a>> {
    let migration = draw(cluster, rng)?;
    let (block, from, to) = (migration.block, migration.from, migration.to);
    world.fault(&format!("block {block}: from n{from} to n{to}"));
    Some(migration)
}

/// Moves one slot, perhaps with interruptions.
async fn move_slot(world: &World, cluster: &Arc<Cluster>, rng: &mut Rng) {
    if let Some(migration) = draw_one(world, cluster, rng) {
        move_by(world, &migration, rng).await;
    }
}

/// Moves the slot of a migration.
pub(super) async fn move_by(world: &World, migration: &Migration<'_>, rng: &mut Rng) {
    if rng.u32(..4) == 0 {
        return migration.hand_over().await;
    }
    if !migration.begin().await {
        return;
    }
    let went = move_keys(world, migration, rng).await;
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
/// of sight. Its COMMIT arrives when the migration has begun again.
async fn hide_quarantine(world: &World, cluster: &Arc<Cluster>, rng: &mut Rng) {
    let Some(migration) = draw_one(world, cluster, rng) else {
        return;
    };
    let (begun, block) = (Instant::now(), migration.block);
    world.database.hold_commits(true);
    while !migration.is_quarantined() {
        if WATCHING < begun.elapsed() {
            return world.database.hold_commits(false);
        }
        sleep(Duration::from_millis(1)).await;
    }
    world.fault(&format!("block {block}: its quarantine moves"));
    let went = migration.begin().await;
    if went {
        migration.move_keys(false, true).await;
        migration.cancel().await;
        pause(rng, 10..150).await;
        world.fault(&format!("block {block}: begun again"));
        if migration.begin().await && rng.u32(..4) > 0 {
            migration.evict();
        }
    }
    world.fault("commits arrive");
    world.database.hold_commits(false);
    if went {
        pause(rng, 0..300).await;
        world.fault(&format!("block {block}: ended"));
        if rng.bool() {
            migration.move_keys(false, true).await;
            migration.finish(rng.bool()).await;
        }
        migration.cancel().await;
        pause(rng, 0..400).await;
    }
}

/// Cancels a migration, leaves the keys that the target has by then, and begins again
/// after a while.
async fn leave_behind(world: &World, cluster: &Arc<Cluster>, rng: &mut Rng) {
    let Some(migration) = draw_one(world, cluster, rng) else {
        return;
    };
    let block = migration.block;
    if !migration.begin().await {
        return;
    }
    match rng.bool() {
        true => migration.evict(),
        false => migration.move_keys(rng.bool(), true).await,
    }
    pause(rng, 30..200).await;
    world.fault(&format!("block {block}: cancelled"));
    migration.cancel().await;
    pause(rng, 50..300).await;
    world.fault(&format!("block {block}: begun again"));
    if migration.begin().await {
        migration.evict();
        pause(rng, 50..200).await;
        if rng.bool() {
            migration.finish(rng.bool()).await;
        }
    }
    migration.cancel().await;
}

/// Has the keys of a slot moved, and the slot not, while an instance does not hear the
/// node that they moved to.
async fn unheard(world: &World, cluster: &Arc<Cluster>, rng: &mut Rng) {
    let Some(migration) = draw_one(world, cluster, rng) else {
        return;
    };
    let (place, to) = (rng.usize(..INSTANCES), migration.to);
    if !migration.begin().await {
        return;
    }
    world.fault(&format!("{place} does not hear n{to}"));
    world.network.change_to(place, to, |way| {
        (way.to_server, way.to_client) = (Passage::Stalled, Passage::Stalled);
    });
    migration.move_keys(false, true).await;
    pause(rng, 300..700).await;
    world.network.change_to(place, to, |way| {
        (way.to_server, way.to_client) = (Passage::Open, Passage::Open);
    });
    world.fault(&format!("{place} hears n{to}"));
    if rng.bool() {
        migration.finish(rng.bool()).await;
    }
    migration.cancel().await;
}
