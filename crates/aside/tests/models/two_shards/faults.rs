//! The faults of one shard, and their repair.

use super::{A, B, FORGET, OwnStage, Proves, State, SuspectUntil, TwoShards};
use crate::explore::Steps;
use crate::scripts::WITHOUT_VALUES;

/// A PONG is this, plus the version announced when its PING was sent.
const PONG: u8 = 2;

impl TwoShards {
    /// The journal, as B polls it, and as an instance without readers does.
    pub(super) fn poll(&self, at: &State, shard: usize, steps: &mut Steps<State>) {
        let s = shard as u8;
        if at.shards[shard].is_journalled {
            let mut to = *at;
            to.shards[shard].key = WITHOUT_VALUES.invalidate(at.shards[shard].key);
            to.shards[shard].is_journalled = false;
            self.publish(&mut to, shard);
            to.tell(shard, at.own_version);
            steps.to("a poller: INVALIDATE on s#, deletes the row", [s], to);
            if !at.instances[B].holds[shard] {
                let mut to = *at;
                to.instances[B].holds[shard] = true;
                to.forget(B, shard);
                let link = &mut to.instances[B].links[shard];
                link.floor = link.floor.max(at.own_version);
                steps.to("B polls, bypasses its key on s#", [s], to);
            }
        } else if at.instances[B].holds[shard] {
            let mut to = *at;
            to.instances[B].holds[shard] = false;
            steps.to("B polls, the row of its key on s# has gone", [s], to);
        }
    }

    /// A QUARANTINE of w0 that was given up.
    pub(super) fn stalled(&self, at: &State, shard: usize, steps: &mut Steps<State>) {
        let (s, key) = (shard as u8, at.shards[shard].key);
        let mut to = *at;
        if at.shards[shard].stalled_quarantine {
            to.shards[shard].stalled_quarantine = false;
            to.shards[shard].key = WITHOUT_VALUES.quarantine(key, 0);
            self.publish(&mut to, shard);
            steps.to("the stalled QUARANTINE on s# is executed", [s], to);
        } else if at.own == OwnStage::Returned && key.writers().any(|writer| writer == 0) {
            to.shards[shard].key = key.without_record(0);
            steps.to("the late quarantine on s# expires", [s], to);
        }
    }

    /// Messages and the PING barrier, per shard.
    pub(super) fn listen(&self, at: &State, i: usize, shard: usize, steps: &mut Steps<State>) {
        let (n, s, link) = (i as u8, shard as u8, at.instances[i].links[shard]);
        let mut to = *at;
        to.instances[i].links[shard].channel = link.channel.without_first();
        match link.channel.first() {
            Some(FORGET) => {
                to.forget(i, shard);
                steps.to("i#: receives a message of s#", [n, s], to);
            }
            Some(pong) => {
                let told = [(pong - PONG) % 3, (pong - PONG) / 3];
                to.instances[i].links[shard].is_ping_sent = false;
                for (other, told) in told.into_iter().enumerate() {
                    if other == shard || self.proves == Proves::EveryShard {
                        let link = &mut to.instances[i].links[other];
                        link.proved = link.proved.max(told);
                    }
                }
                steps.to("i#: PONG from s#", [n, s], to);
            }
            None => {}
        }
        if !link.is_ping_sent {
            let mut to = *at;
            let link = &mut to.instances[i].links[shard];
            link.is_ping_sent = true;
            link.channel
                .push(PONG + at.shards[0].told + 3 * at.shards[1].told);
            steps.to("i#: PING to s#", [n, s], to);
        }
    }

    /// A shard that did not answer in time, and its recovery.
    pub(super) fn suspicion(&self, at: &State, i: usize, shard: usize, steps: &mut Steps<State>) {
        let (n, s, link) = (i as u8, shard as u8, at.instances[i].links[shard]);
        let has_row = |shard: usize| at.shards[shard].is_journalled;
        let is_over = match self.suspect_until {
            SuspectUntil::ItsRowsAreGone => !has_row(shard),
            SuspectUntil::OtherRowsAreGone => !has_row(1 - shard),
            SuspectUntil::Pong => true,
        };
        if link.is_suspect && is_over {
            let mut to = *at;
            let link = &mut to.instances[i].links[shard];
            link.is_suspect = false;
            link.floor = link.floor.max(at.returned);
            steps.to("i#: suspects s# no longer", [n, s], to);
        }
        if !link.is_suspect && i != A && at.left.suspicions > 0 {
            let mut to = *at;
            to.left.suspicions -= 1;
            to.instances[i].links[shard].is_suspect = true;
            to.forget(i, shard);
            steps.to("i#: suspects s#", [n, s], to);
        }
    }
}
