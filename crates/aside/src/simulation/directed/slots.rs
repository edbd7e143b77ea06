//! Plans in which a slot moves, or a connection breaks.

use std::time::Duration;

use tokio::time::sleep;

use super::stage::{READER, Stage, WRITER};
use crate::simulation::MAX_STALENESS;

/// Longer than any delay of a plan.
const A_WHILE: Duration = Duration::from_millis(60);

pub(super) async fn slot_leaves(stage: &mut Stage<'_>) {
    let migration = stage.migration();
    stage.close(READER, |host| host == migration.to);
    migration.hand_over().await;
    stage.note("moved");
    stage.uses(WRITER, migration.to).await;
    stage.write().await;
    stage.read_later().await;
    stage.heal();
}

pub(super) async fn connection_breaks(stage: &mut Stage<'_>) {
    let owner = stage.owner;
    stage.close(READER, |host| host == owner);
    stage.world.network.cut(READER, false, false);
    stage.note("cut off");
    stage.write().await;
    sleep(A_WHILE).await;
    stage.heal();
    stage.settled().await;
    stage.read_later().await;
}

pub(super) async fn ask_followed(stage: &mut Stage<'_>) {
    let migration = stage.migration();
    stage.close(READER, |host| host == migration.to);
    migration.begin().await;
    migration.move_keys(false, true).await;
    stage.note("its key has moved");
    stage.write().await;
    stage.read_later().await;
    stage.heal();
    migration.cancel().await;
}

pub(super) async fn quarantine_hidden(stage: &mut Stage<'_>) {
    let migration = stage.migration();
    let writing = stage.begin_held_write().await;
    migration.begin().await;
    migration.move_keys(false, true).await;
    migration.cancel().await;
    stage.note("the quarantine is out of sight");
    sleep(A_WHILE).await;
    // Fills, and holds a local entry.
    stage.read(READER).await;
    stage.read(READER).await;
    migration.begin().await;
    migration.evict();
    stage.end_held_write(writing).await;
    stage.read_later().await;
    migration.cancel().await;
}

pub(super) async fn fill_by_ask(stage: &mut Stage<'_>) {
    let migration = stage.migration();
    migration.evict();
    // So that the reader asks Redis.
    stage.write().await;
    migration.begin().await;
    migration.evict();
    stage.note("begun");
    stage.read_later().await;
    migration.cancel().await;
    stage.note("cancelled");
    stage.write().await;
    migration.begin().await;
    migration.evict();
    stage.note("begun again");
    stage.read_later().await;
    migration.cancel().await;
}

pub(super) async fn copy_left_behind(stage: &mut Stage<'_>) {
    let migration = stage.migration();
    migration.begin().await;
    migration.move_keys(true, true).await;
    stage.note("both have the key");
    stage.write().await;
    // Until a proof has confirmed the write.
    sleep(MAX_STALENESS).await;
    migration.evict();
    migration.finish(false).await;
    stage.uses(READER, migration.to).await;
    stage.settled().await;
    stage.read_later().await;
}

pub(super) async fn write_redirected(stage: &mut Stage<'_>) {
    let migration = stage.migration();
    migration.begin().await;
    migration.move_keys(false, true).await;
    stage.note("its key has moved");
    stage.write().await;
    let commits = stage.world.database.commits();
    let is_journalled = commits.last().is_some_and(|commit| commit.journalled);
    stage.expect("no key in the journal", !is_journalled);
    stage.read_later().await;
    migration.cancel().await;
}

/// Copies travel between the nodes for much longer than the message to the reader, which
/// should hold the row that it reads in between.
pub(super) async fn copies_are_late(stage: &mut Stage<'_>) {
    for _ in 0..8 {
        stage.write().await;
        // Until the message on its own connection has arrived.
        sleep(Duration::from_millis(10)).await;
        stage.read(READER).await;
        stage.read(READER).await;
        sleep(A_WHILE).await;
        let reader = stage.instance(READER);
        let before = reader.local_hits();
        stage.read(READER).await;
        stage.expect("a local hit", before < reader.local_hits());
    }
}
