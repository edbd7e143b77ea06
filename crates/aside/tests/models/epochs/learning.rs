//! How instances learn of an epoch, and which step creates a missing one.

use super::{Epochs, Journal, Message, Poll, PollStage, State, Write, WriteStage, over};
use crate::explore::Steps;
use crate::nibbles::Queue;

impl Epochs {
    /// The journal, as instance 1 polls it.
    pub(super) fn poll(&self, at: &State, steps: &mut Steps<State>) {
        let poll = at.poll;
        let mut to = *at;
        let version = at.writes[usize::from(poll.row)].version;
        match poll.stage {
            PollStage::Idle => {
                // A living writer deletes its own row. Both may delete it,
                // which adds no further states of interest.
                let left = |write: &Write| write.is_journalled && write.stage == WriteStage::Over;
                let Some(row) = at.writes.iter().position(left) else {
                    return;
                };
                to.poll.row = row as u8;
                if self.journal == Journal::BumpThenDelete {
                    to.poll.stage = PollStage::Bumped;
                    let to = self.bump(to, 1);
                    steps.to("a poller: bumps to e#", [to.field], to);
                } else {
                    to.poll.stage = PollStage::Deleted;
                    to.writes[row].is_journalled = false;
                    steps.to("a poller: deletes the row", [], to);
                }
                return;
            }
            PollStage::Bumped => {
                to.poll = Poll::default();
                to.settled = at.settled.max(version);
                to.writes[usize::from(poll.row)] = over();
                steps.to("a poller: deletes the row", [], to);
            }
            PollStage::Deleted => {
                let mut to = self.bump(to, 1);
                to.poll = Poll::default();
                to.settled = at.settled.max(version);
                to.writes[usize::from(poll.row)] = over();
                steps.to("a poller: bumps to e#", [to.field], to);
            }
        }
        if at.left.crashes > 0 {
            let mut to = *at;
            to.left.crashes -= 1;
            to.poll = Poll::default();
            // The next poller finds a row that is still there.
            if poll.stage == PollStage::Deleted {
                to.settled = at.settled.max(version);
                to.writes[usize::from(poll.row)] = over();
            }
            steps.to("a poller: crashes", [], to);
        }
    }

    pub(super) fn watch(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, instance) = (i as u8, at.instances[i]);
        if let Some(message) = instance.channel.first() {
            let mut to = *at;
            let heard = &mut to.instances[i];
            heard.channel = instance.channel.without_first();
            heard.known = instance.known.max(message.epoch);
            if message.is_pong {
                heard.is_ping_sent = false;
                heard.proved = instance.proved.max(message.settled);
                steps.to("i#: PONG, with e#", [n, message.epoch], to);
            } else {
                steps.to("i#: learns e#", [n, message.epoch], to);
            }
            if at.left.lost > 0 {
                let mut to = *at;
                to.left.lost -= 1;
                to.instances[i].channel = Queue::default();
                to.instances[i].is_ping_sent = false;
                steps.to("i#: loses its connection and what was on it", [n], to);
            }
        }
        let is_watching = self.homes.contains(&i) && instance.pings_left > 0;
        if is_watching && !instance.is_ping_sent {
            let mut to = *at;
            to.instances[i].pings_left -= 1;
            // A bump creates a missing field.
            if self.watcher_reads && at.field == 0 {
                to = self.bump(to, i);
            }
            let watched = &mut to.instances[i];
            watched.is_ping_sent = true;
            watched.channel.push(Message {
                epoch: if self.watcher_reads { to.field } else { 0 },
                is_pong: true,
                settled: at.settled,
            });
            steps.to("i#: PING, reads e#", [n, to.field], to);
        }
    }
}
