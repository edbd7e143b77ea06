//! The pool: connections to one Redis, each kept open by a task. The connections are
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

use aside_redis::{Call, Connection, Error, Refusal, Script, WireReply};
use parking_lot::RwLock;
use tokio::sync::Notify;

use crate::protocol::commands;
use crate::protocol::{BoxFuture, Op, Replies, SharedTier, Traffic, Unanswered, scripts};
use crate::trust::link::Link;

/// If this many bytes arrive within one timeout, a large value is in transit
/// and the server is healthy.
const BYTES_OF_LARGE_VALUE: u64 = 64 * 1024;

/// One Redis, over several connections.
pub(crate) struct RedisTier {
    link: Arc<Link>,
    connections: Vec<Arc<PooledConnection>>,
    /// The connection of the watcher, which keeps it open.
    watched: Arc<PooledConnection>,
    next: AtomicUsize,
    channel: String,
    deadline: Duration,
    /// True for a node of a cluster.
    is_node: bool,
}

/// One connection, open or not.
pub(crate) struct PooledConnection {
    connection: RwLock<Option<Arc<Connection>>>,
    /// True if the last call on it got a reply.
    answering: AtomicBool,
    /// The history that its server was last seen in.
    history: AtomicU64,
    trouble: Notify,
}

impl RedisTier {
    pub(crate) fn new(
        connections: usize,
        channel: String,
        deadline: Duration,
        link: Arc<Link>,
    ) -> Self {
        let pooled = || PooledConnection {
            connection: RwLock::new(None),
            answering: AtomicBool::new(false),
            history: AtomicU64::new(0),
            trouble: Notify::new(),
        };
        Self {
            link,
            connections: (0..connections.max(1))
                .map(|_| Arc::new(pooled()))
                .collect(),
            watched: Arc::new(pooled()),
            next: AtomicUsize::new(0),
            channel,
            deadline,
            is_node: false,
        }
    }

    /// The same for a node of a cluster.
    pub(crate) fn of_node(self) -> Self {
        Self {
            is_node: true,
            ..self
        }
    }

    /// Returns the connections, for the tasks that keep them open.
    pub(crate) fn connections(&self) -> &[Arc<PooledConnection>] {
        &self.connections
    }

    /// Returns the pooled of the watcher's connection.
    pub(crate) fn watched(&self) -> &Arc<PooledConnection> {
        &self.watched
    }

    fn connection_for(&self, traffic: Traffic) -> &PooledConnection {
        let others = self.connections.len() - 1;
        match traffic {
            Traffic::Writes if self.watched.usable(self.link.server_history()).is_some() => {
                &self.watched
            }
            Traffic::Lists if 0 < others => self.connection_from(1 + self.turn() % others),
            Traffic::Rows | Traffic::Lists => self.connection_from(0),
            Traffic::Writes | Traffic::Others => self.connection_from(self.turn()),
        }
    }

    /// Returns a different number each time.
    fn turn(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns the first pooled from `first` on that replies.
    fn connection_from(&self, first: usize) -> &PooledConnection {
        let pooled =
            |offset: usize| &*self.connections[first.wrapping_add(offset) % self.connections.len()];
        let answering = (0..self.connections.len())
            .map(pooled)
            .find(|pooled| pooled.answering.load(Ordering::Acquire));
        answering.unwrap_or_else(|| pooled(0))
    }

    /// Returns the number of open connections, without the watcher's.
    pub(crate) fn open(&self) -> usize {
        self.connections
            .iter()
            .filter(|pooled| pooled.connection.read().is_some())
            .count()
    }

    async fn run(
        &self,
        traffic: Traffic,
        ops: Vec<Op>,
        asking: bool,
    ) -> Result<Replies, Unanswered> {
        let pooled = self.connection_for(traffic);
        let Some(connection) = pooled.usable(self.link.server_history()) else {
            return Err(Unanswered::NotSent);
        };
        let before = connection.received();
        let mut calls = commands::encode(&ops, &self.channel, !self.is_node);
        if asking {
            calls = calls.into_iter().map(Call::asking).collect();
        }
        match tokio::time::timeout(self.deadline, with_scripts(&connection, &calls)).await {
            Ok(Ok(replies)) => Ok(commands::decode(&ops, &calls, replies)),
            Ok(Err(_)) => {
                pooled.lost(&connection);
                Err(Unanswered::Disconnected)
            }
            Err(_) => {
                let unanswered = still_travelling(&connection, before, &ops);
                if unanswered == Unanswered::TimedOut {
                    pooled.silent(&connection);
                }
                Err(unanswered)
            }
        }
    }
}

/// Returns the meaning of a timeout of `ops`, on a connection that had received
/// `before` bytes when they were sent.
fn still_travelling(connection: &Connection, before: u64, ops: &[Op]) -> Unanswered {
    let read = |op: &Op| matches!(op, Op::Get { .. } | Op::GetMany { .. });
    let arrived = connection.received() - before;
    // Also for operations behind a large value: only an invalidation that other
    // instances may have missed leaves a doubt.
    let arriving = !ops.iter().any(Op::invalidates) && BYTES_OF_LARGE_VALUE <= arrived;
    let leaving = ops.iter().all(Op::only_reads_or_fills) && connection.is_carrying_much();
    if arriving || leaving {
        Unanswered::Travelling
    } else if ops.iter().all(read) && 0 < arrived {
        Unanswered::Late
    } else {
        Unanswered::TimedOut
    }
}

impl PooledConnection {
    /// Returns the connection, if it leads to the server that the watcher
    /// listens to. Failover. For a while they may be different servers, and a
    /// key invalidated on one is still on the other.
    fn usable(&self, history: u64) -> Option<Arc<Connection>> {
        let agrees = self.history.load(Ordering::Acquire) == history;
        (agrees && self.answering.load(Ordering::Acquire))
            .then(|| self.connection.read().clone())
            .flatten()
    }

    /// Records a connection that leads to a server in this history.
    pub(crate) fn answers(&self, connection: &Arc<Connection>, history: u64) {
        self.history.store(history, Ordering::Release);
        let mut current = self.connection.write();
        if current.is_none() {
            *current = Some(Arc::clone(connection));
        }
        self.answering.store(true, Ordering::Release);
    }

    /// Takes the connection out of rotation until it answers again, unless it
    /// has been replaced.
    fn silent(&self, connection: &Arc<Connection>) {
        let current = self.connection.read();
        if current
            .as_ref()
            .is_some_and(|one| Arc::ptr_eq(one, connection))
        {
            self.answering.store(false, Ordering::Release);
            self.trouble.notify_one();
        }
    }

    /// Waits for a call without a reply.
    pub(crate) async fn trouble(&self) {
        self.trouble.notified().await;
    }

    /// Drops a connection, unless it has been replaced.
    fn lost(&self, connection: &Arc<Connection>) {
        let mut current = self.connection.write();
        if current
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, connection))
        {
            *current = None;
            self.answering.store(false, Ordering::Release);
            self.trouble.notify_one();
        }
    }
}

impl SharedTier for RedisTier {
    fn send(&self, traffic: Traffic, ops: Vec<Op>) -> BoxFuture<'_, Result<Replies, Unanswered>> {
        Box::pin(self.run(traffic, ops, false))
    }

    fn send_asking(&self, op: Op) -> BoxFuture<'_, Result<Replies, Unanswered>> {
        Box::pin(self.run(Traffic::Others, vec![op], true))
    }

    #[cfg(feature = "ops")]
    fn ask<'a>(&'a self, calls: Vec<Call<'a>>) -> BoxFuture<'a, Option<Vec<WireReply>>> {
        Box::pin(async move {
            let pooled = self.connection_for(Traffic::Others);
            let connection = pooled.usable(self.link.server_history())?;
            let replies = tokio::time::timeout(self.deadline, connection.call(&calls));
            replies.await.ok()?.ok()
        })
    }

    fn takes_many_keys(&self) -> bool {
        !self.is_node
    }

    fn doubt(&self) {
        self.watched.trouble.notify_one();
    }

    fn is_reachable(&self) -> bool {
        self.connections
            .iter()
            .any(|pooled| pooled.answering.load(Ordering::Acquire))
    }

    fn reconnect(&self) {
        for pooled in &self.connections {
            let current = pooled.connection.read().clone();
            if let Some(connection) = current {
                pooled.lost(&connection);
            }
        }
    }

    fn max_connections(&self) -> usize {
        self.connections.len()
    }

    fn connections(&self) -> usize {
        self.open()
    }
}

/// Makes the calls. If the server has lost the scripts they are loaded again,
/// and the refused calls are repeated, because they did nothing.
pub(crate) async fn with_scripts(
    connection: &Connection,
    calls: &[Call<'_>],
) -> Result<Vec<WireReply>, Error> {
    let mut replies = connection.call(calls).await?;
    let unknown = |reply: &WireReply| reply.error_code() == Some("NOSCRIPT");
    let again: Vec<usize> = replies
        .iter()
        .enumerate()
        .filter(|(_, reply)| unknown(reply))
        .map(|(at, _)| at)
        .collect();
    if !again.is_empty() {
        if let Some(refusal) = load_scripts(connection).await? {
            // Its error names the cause, unlike the errors about unknown
            // scripts.
            for at in again {
                replies[at] = WireReply::Error(refusal.clone());
            }
            return Ok(replies);
        }
        let repeated: Vec<Call<'_>> = again.iter().map(|at| calls[*at].clone()).collect();
        for (at, reply) in again.into_iter().zip(connection.call(&repeated).await?) {
            replies[at] = reply;
        }
    }
    Ok(replies)
}

/// Loads all scripts. Returns the error if the server refuses one.
async fn load_scripts(connection: &Connection) -> Result<Option<Refusal>, Error> {
    let load = |script: &'static Script| Call::command("SCRIPT").text("LOAD").text(script.source());
    let calls: Vec<Call<'_>> = scripts::all().into_iter().map(load).collect();
    let replies = connection.call(&calls).await?;
    Ok(replies.iter().find_map(WireReply::refusal))
}

impl fmt::Debug for RedisTier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RedisTier")
            .field("connections", &self.connections.len())
            .field("open", &self.open())
            .finish_non_exhaustive()
    }
}
