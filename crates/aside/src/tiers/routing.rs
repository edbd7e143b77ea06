//! Sending of operations to the shards of their keys, and redirections.
//!
//! A node that does not serve a key's slot refuses with `MOVED` or `ASK`, and has
//! done nothing. Reads never follow: they go to the database, so nothing is ever
//! filled through `ASK`, where a cancelled migration would leave it. Writes follow,
//! because a key that is not invalidated stays stale.
//!
//! Migration. A write that followed `ASK` has published at the node that takes over
//! the slot. Readers still trust the node that gave the `ASK`, and hear only that
//! one in order with its PONGs. So the message is published there as well before
//! the write counts as acknowledged.

use std::sync::Arc;
use std::time::Duration;

use aside_redis::cluster::{Redirect, RedirectKind};
use futures_util::future::join_all;
use tokio::time::Instant;

use super::Tiers;
#[cfg(test)]
use crate::protocol::Released;
use crate::protocol::{Failure, Op, Refused, Replies, Reply, Traffic, Unanswered};
#[cfg(test)]
use crate::runtime::simulated::{Rule, without};
use crate::tiers::shard::Shard;
use crate::tiers::shard_map::{Part, ShardMap};

/// The maximum number of redirections that one operation follows.
const MAX_REDIRECTIONS: usize = 3;

type Sent = Result<Reply, Failure>;

impl Tiers {
    /// Runs `ops` on the shards of their keys: one pipeline for each shard, all at the
    /// same time. Returns the result of each, in their order.
    pub(crate) async fn send(&self, traffic: Traffic, ops: Vec<Op>) -> Vec<Sent> {
        let map = self.map();
        let asked = ops.len();
        if let Some(shard) = map.only() {
            return each(shard.send(traffic, ops).await, asked);
        }
        let begun = Instant::now();
        let again: Vec<Option<Op>> = ops.iter().map(Op::to_follow).collect();
        let parts = map.split(ops, |op| op.key().map(|key| map.shard_of(key)));
        let send = |part: Part<Op>| async move {
            let asked = part.items.len();
            let replies = part.shard.send(traffic, part.items).await;
            (part.shard, part.places, each(replies, asked))
        };
        let mut results: Vec<Sent> = vec![Err(Unanswered::NotSent.into()); asked];
        let mut redirected = Vec::new();
        for (shard, places, replies) in join_all(parts.into_iter().map(send)).await {
            for (place, reply) in places.into_iter().zip(replies) {
                if let (Some(redirect), Some(op)) = (redirect_of(&reply), &again[place]) {
                    redirected.push((place, op.clone(), redirect, Arc::clone(&shard)));
                }
                results[place] = reply;
            }
        }
        if redirected.is_empty() {
            return results;
        }
        let left = self
            .config
            .operation_timeout
            .saturating_sub(begun.elapsed());
        let follow = |(place, op, redirect, asker)| {
            let map = &map;
            async move { (place, self.follow(map, op, redirect, asker, left).await) }
        };
        for (place, reply) in join_all(redirected.into_iter().map(follow)).await {
            results[place] = reply;
        }
        results
    }

    /// Follows redirections within the time that is `left`.
    async fn follow(
        &self,
        map: &ShardMap,
        op: Op,
        redirect: Redirect,
        asker: Arc<Shard>,
        left: Duration,
    ) -> Sent {
        let following = self.follow_each(map, op, redirect, asker);
        let followed = tokio::time::timeout(left, following).await;
        followed.unwrap_or_else(|_| Err(Unanswered::TimedOut.into()))
    }

    async fn follow_each(
        &self,
        map: &ShardMap,
        op: Op,
        mut redirect: Redirect,
        mut asker: Arc<Shard>,
    ) -> Sent {
        for _ in 0..MAX_REDIRECTIONS {
            let target = target_of(map, &redirect, &asker);
            let Some(target) = target.cloned() else {
                // A node that is not known yet: its address comes with the next map.
                return Err(Refused::with(redirect.kind.code()).into());
            };
            // Its acknowledgement would count, and it may have been replaced.
            if !target.is_usable() {
                return Err(Unanswered::NotSent.into());
            }
            let replies = match redirect.kind {
                RedirectKind::Moved => target.send(Traffic::Writes, vec![op.clone()]).await,
                RedirectKind::Ask => target.send_asking(op.clone()).await,
            };
            let reply = each(replies, 1)
                .pop()
                .unwrap_or(Err(Unanswered::NotSent.into()));
            match redirect_of(&reply) {
                Some(next) => (redirect, asker) = (next, target),
                None if reply.is_ok() && redirect.kind == RedirectKind::Ask => {
                    #[cfg(test)]
                    if is_untold(&reply) {
                        return reply;
                    }
                    return tell(&op, &asker).await.and(reply);
                }
                None => return reply,
            }
        }
        Err(Refused::with(redirect.kind.code()).into())
    }
}

/// Publishes the message of an operation at the node that gave the `ASK`, also if
/// the operation published nothing itself.
async fn tell(op: &Op, asker: &Shard) -> Result<(), Failure> {
    let Some(message) = op.message() else {
        return Ok(());
    };
    let message = message.to_owned();
    asker
        .send_one(Traffic::Writes, Op::Publish { message })
        .await?;
    Ok(())
}

/// Returns true if the rule is left out by which the asker is told of this reply.
#[cfg(test)]
fn is_untold(reply: &Sent) -> bool {
    let has_found = matches!(reply, Ok(Reply::Released(found)) if *found != Released::Lost);
    without(Rule::TellAsker) || has_found && without(Rule::TellAlways)
}

/// Returns the shard that a redirection names. Without a host it is the asker's.
fn target_of<'a>(map: &'a ShardMap, redirect: &Redirect, asker: &Shard) -> Option<&'a Arc<Shard>> {
    let host = redirect.host.as_deref();
    let host = host.or_else(|| Some(&*asker.node.as_ref()?.host))?;
    map.shard_at(host, redirect.port)
}

fn redirect_of(reply: &Sent) -> Option<Redirect> {
    match reply {
        Err(Failure::Refused(refused)) => refused.redirect.as_deref().cloned(),
        _ => None,
    }
}

/// Returns the result of each of `asked` operations of one pipeline.
fn each(replies: Result<Replies, Unanswered>, asked: usize) -> Vec<Sent> {
    match replies {
        Ok(replies) => {
            let each = replies.into_iter();
            each.map(|reply| reply.map_err(Failure::Refused)).collect()
        }
        Err(unanswered) => vec![Err(Failure::Unanswered(unanswered)); asked],
    }
}
