//! Plans in which a replica replaces its primary, which does not know.

use std::time::Duration;

use tokio::time::sleep;

use super::stage::{READER, Stage, WRITER};
use crate::simulation::INSTANCES;

/// Cuts the owner off from the other nodes, and an instance off from all but the owner.
fn isolate_with(stage: &Stage<'_>, place: usize) {
    let owner = stage.owner;
    stage.cluster.group.mesh.isolate(&[owner]);
    stage.close(place, |host| host != owner);
    stage.note(&format!("n{owner} is alone with {place}"));
}

pub(super) async fn primary_replaced(stage: &mut Stage<'_>) {
    let (owner, replica) = (stage.owner, stage.replica());
    isolate_with(stage, READER);
    stage.cluster.force(replica);
    stage.promoted(replica, &[owner]).await;
    stage.uses(WRITER, replica).await;
    stage.write().await;
    stage.read_later().await;
    stage.heal();
}

pub(super) async fn voter_cut_off(stage: &mut Stage<'_>) {
    let (owner, replica) = (stage.owner, stage.replica());
    stage.cluster.force(replica);
    let has_votes = || stage.cluster.has_votes(replica);
    stage.until("enough votes", has_votes).await;
    let part = [owner, (owner + 1) % 3];
    stage.cluster.group.mesh.isolate(&part);
    stage.close(READER, |host| !part.contains(&host));
    for place in (0..INSTANCES).filter(|place| *place != READER) {
        stage.close(place, |host| host == owner);
    }
    stage.note(&format!("n{owner} is alone with a voter"));
    stage.promoted(replica, &part).await;
    stage.uses(WRITER, replica).await;
    stage.write().await;
    stage.read_later().await;
    stage.heal();
}

pub(super) async fn write_completes(stage: &mut Stage<'_>) {
    let (owner, replica) = (stage.owner, stage.replica());
    let from = stage.world.clock.now();
    isolate_with(stage, WRITER);
    let writing = stage.begin_held_write().await;
    stage.cluster.force(replica);
    stage.promoted(replica, &[owner]).await;
    stage.uses(READER, replica).await;
    // Fills, and holds a local entry.
    stage.read(READER).await;
    stage.read(READER).await;
    stage.end_held_write(writing).await;
    stage.heal();
    outage_until_settled(stage, from).await;
    stage.read_later().await;
}

pub(super) async fn untrusted_writer_dies(stage: &mut Stage<'_>) {
    let (owner, replica) = (stage.owner, stage.replica());
    let from = stage.world.clock.now();
    isolate_with(stage, WRITER);
    stage.cluster.force(replica);
    stage.promoted(replica, &[owner]).await;
    stage.uses(READER, replica).await;
    stage.doubts(WRITER).await;
    stage.world.database.hold_commits(true);
    drop(stage.begin_write());
    // Until the COMMIT is on its way.
    sleep(Duration::from_millis(150)).await;
    stage.read(READER).await;
    stage.read(READER).await;
    let commits = stage.world.database.commits().len();
    stage.note("the commit arrives");
    stage.world.database.hold_commits(false);
    let has_committed = || commits < stage.world.database.commits().len();
    stage.until("committed", has_committed).await;
    stage.kill(WRITER);
    stage.heal();
    stage.start(WRITER).await;
    outage_until_settled(stage, from).await;
    stage.read_later().await;
}

/// Waits for the end of an outage that began at `from`. Writes in it are excused until
/// then.
async fn outage_until_settled(stage: &Stage<'_>, from: aside_testkit::history::Time) {
    stage.settled().await;
    let until = stage.world.clock.now();
    stage.world.records.lock().outages.push((from, until));
}
