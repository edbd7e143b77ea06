//! Directed plans: the exact interleaving that a rule of a cluster exists for.

mod stage;
mod slots;
mod primaries;

use std::sync::Arc;

use fastrand::Rng;

use self::stage::Stage;
use super::World;
use super::cluster::Cluster;
use super::direction::Direction;

/// Takes the steps of a plan.
pub(super) async fn act(
    world: &Arc<World>,
    cluster: &Arc<Cluster>,
    direction: Direction,
    rng: &mut Rng,
) {
    let mut stage = Stage::prepare(world, cluster, rng.fork()).await;
    match direction {
        Direction::SlotLeaves => slots::slot_leaves(&mut stage).await,
        Direction::ConnectionBreaks => slots::connection_breaks(&mut stage).await,
        Direction::AskFollowed => slots::ask_followed(&mut stage).await,
        Direction::QuarantineHidden => slots::quarantine_hidden(&mut stage).await,
        Direction::FillByAsk => slots::fill_by_ask(&mut stage).await,
        Direction::CopyLeftBehind => slots::copy_left_behind(&mut stage).await,
        Direction::WriteRedirected => slots::write_redirected(&mut stage).await,
        Direction::CopiesAreLate => slots::copies_are_late(&mut stage).await,
        Direction::PrimaryReplaced => primaries::primary_replaced(&mut stage).await,
        Direction::VoterCutOff => primaries::voter_cut_off(&mut stage).await,
        Direction::WriteCompletes => primaries::write_completes(&mut stage).await,
        Direction::UntrustedWriterDies => primaries::untrusted_writer_dies(&mut stage).await,
    }
    stage.settled().await;
    stage.read(stage::READER).await;
}
