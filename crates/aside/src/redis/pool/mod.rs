//! The pool: connections to one Redis, each kept open by a task. The lanes are
//! kept open by this module, and one more by the watcher.
//!
//! An operation never waits for a connection: it uses one, or fails at once.
//! Reconnecting continues in the background and never ends. The pause between
//! two attempts stays short, because it also delays the use of the cache after
//! Redis has come back.

mod tending;

#[cfg(test)]
pub(crate) use tending::ask_history;
pub(crate) use tending::{Tended, keep_open};

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use aside_redis::{Call, Connection, Error, Script, WireReply};
use parking_lot::RwLock;
use tokio::sync::Notify;

use crate::protocol::commands;
use crate::protocol::{BoxFuture, Op, Replies, SharedTier, Traffic, Unanswered, scripts};
use crate::trust::link::Link;

/// If this many bytes arrive within one timeout, a large value is in transit
/// and the server is healthy.
const MUCH: u64 = 64 * 1024;

/// One Redis, over several connections.
pub(crate) struct RedisTier {
    link: Arc<Link>,
    lanes: Vec<Arc<LaneState>>,
    /// The connection of the watcher, which keeps it open.
    watched: Arc<LaneState>,
    next: AtomicUsize,
    channel: String,
    deadline: Duration,
}

/// One connection, open or not.
pub(crate) struct LaneState {
    wire: RwLock<Option<Arc<Connection>>>,
    /// True if the last call on it got a reply.
    answering: AtomicBool,
    /// The history that its server was last seen in.
    history: AtomicU64,
    trouble: Notify,
}

impl RedisTier {
    pub(crate) fn new(lanes: usize, channel: String, deadline: Duration, link: Arc<Link>) -> Self {
        let lane = || LaneState {
            wire: RwLock::new(None),
            answering: AtomicBool::new(false),
            history: AtomicU64::new(0),
            trouble: Notify::new(),
        };
        Self {
            link,
            lanes: (0..lanes.max(1)).map(|_| Arc::new(lane())).collect(),
            watched: Arc::new(lane()),
            next: AtomicUsize::new(0),
            channel,
            deadline,
        }
    }

    /// Returns the lanes, for the tasks that keep them open.
    pub(crate) fn lanes(&self) -> &[Arc<LaneState>] {
        &self.lanes
    }

    /// Returns the lane of the watcher's connection.
    pub(crate) fn watched(&self) -> &Arc<LaneState> {
        &self.watched
    }

    fn lane_of(&self, traffic: Traffic) -> &LaneState {
        let others = self.lanes.len() - 1;
        match traffic {
            Traffic::Writes if self.watched.usable(self.link.history()).is_some() => &self.watched,
            Traffic::Lists if 0 < others => self.lane_from(1 + self.turn() % others),
            Traffic::Rows | Traffic::Lists => self.lane_from(0),
            Traffic::Writes | Traffic::Others => self.lane_from(self.turn()),
        }
    }

    /// Returns a different number each time.
    fn turn(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns the first lane from `first` on that replies.
    fn lane_from(&self, first: usize) -> &LaneState {
        let lane = |offset: usize| &*self.lanes[first.wrapping_add(offset) % self.lanes.len()];
        let answering = (0..self.lanes.len())
            .map(lane)
            .find(|lane| lane.answering.load(Ordering::Acquire));
        answering.unwrap_or_else(|| lane(0))
    }

    /// Returns the number of open connections, without the watcher's.
    pub(crate) fn open(&self) -> usize {
        self.lanes
            .iter()
            .filter(|lane| lane.wire.read().is_some())
            .count()
    }

    async fn run(&self, traffic: Traffic, ops: Vec<Op>) -> Result<Replies, Unanswered> {
        let lane = self.lane_of(traffic);
        let Some(wire) = lane.usable(self.link.history()) else {
            return Err(Unanswered::NotSent);
        };
        let before = wire.received();
        let calls = commands::encode(&ops, &self.channel);
        match tokio::time::timeout(self.deadline, with_scripts(&wire, &calls)).await {
            Ok(Ok(replies)) => Ok(commands::decode(&ops, &calls, replies)),
            Ok(Err(_)) => {
                lane.lost(&wire);
                Err(Unanswered::Disconnected)
            }
            Err(_) => {
                let unanswered = still_travelling(&wire, before, &ops);
                if unanswered == Unanswered::TimedOut {
                    lane.silent(&wire);
                }
                Err(unanswered)
            }
        }
    }
}

/// Returns the meaning of a timeout of `ops`, on a connection that had received
/// `before` bytes when they were sent.
fn still_travelling(wire: &Connection, before: u64, ops: &[Op]) -> Unanswered {
    let read = |op: &Op| matches!(op, Op::Get { .. } | Op::GetMany { .. });
    let arrived = wire.received() - before;
    // Also for operations behind a large value: only an invalidation that other
    // instances may have missed leaves a doubt.
    let arriving = !ops.iter().any(Op::makes_forget) && MUCH <= arrived;
    let leaving = ops.iter().all(Op::only_reads_or_fills) && wire.is_carrying_much();
    if arriving || leaving {
        Unanswered::Travelling
    } else if ops.iter().all(read) && 0 < arrived {
        Unanswered::Late
    } else {
        Unanswered::TimedOut
    }
}

impl LaneState {
    /// Returns the connection, if it leads to the server that the watcher
    /// listens to. Failover. For a while they may be different servers, and a
    /// key invalidated on one is still on the other.
    fn usable(&self, history: u64) -> Option<Arc<Connection>> {
        let agrees = self.history.load(Ordering::Acquire) == history;
        (agrees && self.answering.load(Ordering::Acquire))
            .then(|| self.wire.read().clone())
            .flatten()
    }

    /// Records a connection that leads to a server in this history.
    pub(crate) fn answers(&self, wire: &Arc<Connection>, history: u64) {
        self.history.store(history, Ordering::Release);
        let mut current = self.wire.write();
        if current.is_none() {
            *current = Some(Arc::clone(wire));
        }
        self.answering.store(true, Ordering::Release);
    }

    /// Takes the connection out of rotation until it answers again, unless it
    /// has been replaced.
    fn silent(&self, wire: &Arc<Connection>) {
        let current = self.wire.read();
        if current.as_ref().is_some_and(|one| Arc::ptr_eq(one, wire)) {
            self.answering.store(false, Ordering::Release);
            self.trouble.notify_one();
        }
    }

    /// Waits for a call without a reply.
    pub(crate) async fn trouble(&self) {
        self.trouble.notified().await;
    }

    /// Drops a connection, unless it has been replaced.
    fn lost(&self, wire: &Arc<Connection>) {
        let mut current = self.wire.write();
        if current
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, wire))
        {
            *current = None;
            self.answering.store(false, Ordering::Release);
            self.trouble.notify_one();
        }
    }
}

impl SharedTier for RedisTier {
    fn send(&self, traffic: Traffic, ops: Vec<Op>) -> BoxFuture<'_, Result<Replies, Unanswered>> {
        Box::pin(self.run(traffic, ops))
    }

    fn is_reachable(&self) -> bool {
        self.lanes
            .iter()
            .any(|lane| lane.answering.load(Ordering::Acquire))
    }

    fn connections(&self) -> usize {
        self.open()
    }
}

/// Makes the calls. If the server has lost the scripts they are loaded again,
/// and the refused calls are repeated, because they did nothing.
pub(crate) async fn with_scripts(
    wire: &Connection,
    calls: &[Call<'_>],
) -> Result<Vec<WireReply>, Error> {
    let mut replies = wire.call(calls).await?;
    let unknown = |reply: &WireReply| matches!(reply, WireReply::Error(code) if code == "NOSCRIPT");
    let again: Vec<usize> = replies
        .iter()
        .enumerate()
        .filter(|(_, reply)| unknown(reply))
        .map(|(at, _)| at)
        .collect();
    if !again.is_empty() {
        if let Some(code) = load_scripts(wire).await? {
            // Its error names the cause, unlike the errors about unknown
            // scripts.
            for at in again {
                replies[at] = WireReply::Error(code.clone());
            }
            return Ok(replies);
        }
        let repeated: Vec<Call<'_>> = again.iter().map(|at| calls[*at].clone()).collect();
        for (at, reply) in again.into_iter().zip(wire.call(&repeated).await?) {
            replies[at] = reply;
        }
    }
    Ok(replies)
}

/// Loads all scripts. Returns the error's code if the server refuses one.
async fn load_scripts(wire: &Connection) -> Result<Option<String>, Error> {
    let load = |script: &'static Script| Call::command("SCRIPT").text("LOAD").text(script.source());
    let calls: Vec<Call<'_>> = scripts::all().into_iter().map(load).collect();
    let replies = wire.call(&calls).await?.into_iter();
    let mut refused = replies.filter_map(|reply| match reply {
        WireReply::Error(code) => Some(code),
        _ => None,
    });
    Ok(refused.next())
}

impl fmt::Debug for RedisTier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RedisTier")
            .field("lanes", &self.lanes.len())
            .field("open", &self.open())
            .finish_non_exhaustive()
    }
}
