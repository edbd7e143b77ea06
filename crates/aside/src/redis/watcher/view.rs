//! A node's view of its cluster, from its replies to one round of its watcher.

use std::borrow::Cow;

use aside_redis::cluster::{Info, parse_nodes};
use aside_redis::{Call, Refusal, WireReply};

use super::epochs::refusal_in;
use crate::redis::cluster::{Cluster, OwnLine, View};
use crate::runtime::clock::Moment;
#[cfg(test)]
use crate::runtime::simulated::{Rule, without};
use crate::tiers::shard::Shard;
use crate::trust::link::Suspicion;

/// The node's own line, as the last round showed it.
#[derive(Default)]
pub(super) struct LastLine {
    known: Option<OwnLine>,
    /// True if that round showed another line than the one before.
    moved: bool,
}

impl LastLine {
    /// Records a node's view of its cluster.
    ///
    /// Migration. Another node serves a slot that has left this one, and messages
    /// about its keys are published there. So a changed line invalidates all local
    /// entries of the shard, at once and again in the next round. Redis itself stays
    /// in use: the node redirects reads of keys that have left it.
    ///
    /// # Errors
    /// The view proves nothing of this node.
    pub(super) fn learn(
        &mut self,
        shard: &Shard,
        cluster: &Cluster,
        view: View,
    ) -> Result<(), Suspicion> {
        let (line, is_ok) = (view.own_line(), view.info.is_ok);
        let node = shard.node.as_ref();
        cluster.record(view, node.map_or("", |node| &*node.host));
        let Some(line) = line.filter(|line| line.is_primary) else {
            return Err(Suspicion::NotPrimary);
        };
        if !is_ok {
            return Err(Suspicion::Refused(Refusal::parse("CLUSTERDOWN")));
        }
        let is_same = self.known.as_ref().is_none_or(|known| *known == line);
        self.known = Some(line);
        #[cfg(test)]
        let is_same = is_same || without(Rule::OwnLine);
        if !is_same || self.moved {
            shard.link.trust().lose_touch();
        }
        self.moved = !is_same;
        Ok(())
    }
}

/// Returns the calls whose replies [`view`] parses.
pub(in crate::redis) fn view_calls() -> [Call<'static>; 2] {
    ["INFO", "NODES"].map(|about| Call::command("CLUSTER").text(about))
}

/// Parses the replies to `CLUSTER INFO` and `CLUSTER NODES`.
pub(in crate::redis) fn view(
    info: &WireReply,
    nodes: &WireReply,
    sent: Moment,
) -> Result<View, Suspicion> {
    let (Some(info), Some(nodes)) = (text(info), text(nodes)) else {
        let refused = [info.clone(), nodes.clone()];
        return Err(refusal_in(&refused));
    };
    let unreadable = |_| Suspicion::unexpected();
    Ok(View {
        info: Info::parse(&info).map_err(unreadable)?,
        nodes: parse_nodes(&nodes).map_err(unreadable)?,
        sent,
    })
}

fn text(reply: &WireReply) -> Option<Cow<'_, str>> {
    match reply {
        WireReply::Text(text) => Some(text.as_str().into()),
        WireReply::Bytes(bytes) => Some(String::from_utf8_lossy(bytes)),
        _ => None,
    }
}
