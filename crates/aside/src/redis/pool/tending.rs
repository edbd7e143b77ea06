//! Keeping one connection open.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aside_redis::{Connection, Event, WireReply};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{PooledConnection, load_scripts};
use crate::config::history::RedisHistory;
use crate::redis::broken::Broken;
use crate::redis::endpoint::Endpoint;
use crate::redis::locator::Found;
use crate::redis::server;
use crate::trust::link::{Link, Suspicion};
use crate::trust::refusal::REPLICA;
use crate::trust::refusal::refusal;

/// The range of the pause between two attempts to connect.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// How long a connection may be idle before it is checked. The shortest idle
/// timeout of a server is a second.
const IDLE: Duration = Duration::from_secs(1);

/// A pooled connection under supervision; it ends when dropped.
pub(crate) struct Tended<'a>(
    pub(crate) &'a PooledConnection,
    pub(crate) &'a Arc<Connection>,
);

impl Drop for Tended<'_> {
    fn drop(&mut self) {
        self.0.lost(self.1);
    }
}

/// Keeps one pooled connection open while it is polled.
pub(crate) async fn keep_open(pooled: Arc<PooledConnection>, endpoint: Endpoint, link: Arc<Link>) {
    let socket_timeout = endpoint.socket_timeout;
    let (mut pause, mut changes) = (PAUSE.0, endpoint.locator.changes());
    loop {
        let gone = Arc::new(Notify::new());
        let on_event = {
            let gone = Arc::clone(&gone);
            move |event: Event<'_>| {
                if matches!(event, Event::Disconnected) {
                    gone.notify_one();
                }
            }
        };
        let opened = async {
            let (connection, found) = endpoint.open(on_event).await?;
            let refused = tokio::time::timeout(socket_timeout, load_scripts(&connection))
                .await
                .map_err(|_| Broken::because("the scripts were not taken in time"))??;
            if refused.is_some() {
                return Err(Broken::refused(&refusal("SCRIPT LOAD", refused.as_ref())));
            }
            let history = tokio::time::timeout(
                socket_timeout,
                ask_history(&connection, &found, endpoint.history),
            )
            .await
            .unwrap_or_else(|_| Err(Broken::because("the server does not report its role")))?;
            if !agree(&link, history, &gone, socket_timeout).await {
                return Err(Broken::because("the server is in another history"));
            }
            Ok::<_, Broken>((Arc::new(connection), found, history))
        };
        match opened.await {
            Ok((connection, found, history)) => {
                pause = PAUSE.0;
                let begun = Instant::now();
                let tended = Tended(&pooled, &connection);
                pooled.answers(&connection, history);
                let left = tokio::select! {
                    biased;
                    left = stay_with(&tended, &link, &gone, (&endpoint, &found)) => left,
                    () = endpoint.locator.moved(&found) => Left::Gone,
                };
                drop(tended);
                // A call without a reply may have been a quarantine, so it
                // makes the link suspect. If none was in progress, no outcome
                // is unknown: messages arrive on the watcher's connection,
                // which has its own proofs, and the server's history is checked
                // again before the next call. So a server, or a middlebox, may
                // close an idle connection.
                if connection.end() || left == Left::GivenUp {
                    link.suspect(&Suspicion::Disconnected);
                } else if PAUSE.1 < begun.elapsed() {
                    continue;
                }
            }
            Err(error) if error.is_refusal() => link.cannot_connect(&error.to_string()),
            Err(error) => tracing::debug!(%error, "no connection to Redis"),
        }
        // With jitter, so that instances do not reconnect in step.
        changes
            .rest(pause.mul_f64(0.5 + fastrand::f64() / 2.0))
            .await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// Waits until the watcher's server is known to be in the history `history`.
/// Returns false if it is in another one for as long as a connection may be
/// silent. Meanwhile neither server is trusted.
async fn agree(link: &Link, history: u64, gone: &Notify, socket_timeout: Duration) -> bool {
    let mut histories = link.histories();
    if ![0, history].contains(&*histories.borrow_and_update()) {
        link.suspect(&Suspicion::OtherHistory);
    }
    let agreed = histories.wait_for(|known| [0, history].contains(known));
    tokio::select! {
        biased;
        () = gone.notified() => false,
        agreed = tokio::time::timeout(socket_timeout, agreed) => matches!(agreed, Ok(Ok(_))),
    }
}

/// The reason why supervision ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// The connection was lost.
    Gone,
    /// It was silent for too long, or leads to another server than the
    /// watcher's.
    GivenUp,
}

/// Supervises a connection until it ends or must be closed.
async fn stay_with(
    Tended(pooled, connection): &Tended<'_>,
    link: &Link,
    gone: &Notify,
    (endpoint, found): (&Endpoint, &Found),
) -> Left {
    let socket_timeout = endpoint.socket_timeout;
    let mut histories = link.histories();
    let (mut asked, mut received) = (Instant::now(), connection.received());
    loop {
        tokio::select! {
            biased;
            () = gone.notified() => return Left::Gone,
            () = pooled.trouble() => {}
            // The watcher's server is in another history than this
            // connection's: either the same server changed it, or it is another
            // server.
            _ = histories.wait_for(|history| ![0, pooled.history.load(Ordering::Acquire)].contains(history)) => {}
            // Sent so that the server, or a middlebox, does not close an idle
            // connection.
            () = tokio::time::sleep(socket_timeout.min(IDLE)) => {
                let before = std::mem::replace(&mut received, connection.received());
                if before < received && asked.elapsed() < socket_timeout {
                    continue;
                }
            }
        }
        if pooled.connection.read().is_none() {
            return Left::Gone;
        }
        asked = Instant::now();
        // A server without replies may be suspended: its connections survive,
        // and it will reply to all of this when it continues.
        let begun = Instant::now();
        let history = tokio::select! {
            biased;
            () = gone.notified() => None,
            history = tokio::time::timeout(socket_timeout, ask_history(connection, found, endpoint.history)) => history.ok().and_then(Result::ok),
        };
        let Some(history) = history else {
            tracing::debug!(silent_for = ?begun.elapsed(), "closing a silent connection to Redis");
            return Left::GivenUp;
        };
        pooled.history.store(history, Ordering::Release);
        if !agree(link, history, gone, socket_timeout).await {
            return Left::GivenUp;
        }
        pooled.answers(connection, history);
        received = connection.received();
    }
}

/// Queries the history of a primary.
///
/// Replica reads. A replica has the same history as its primary, but lags
/// behind it.
pub(crate) async fn ask_history(
    connection: &Connection,
    found: &Found,
    noticed: RedisHistory,
) -> Result<u64, Broken> {
    match connection
        .call(&[server::info_replication()])
        .await?
        .first()
    {
        Some(answer @ (WireReply::Text(_) | WireReply::Bytes(_))) => {
            match &*server::role(answer)? {
                "slave" => Err(Broken::refused(REPLICA)),
                _ => found.history(answer, noticed),
            }
        }
        answer => Err(server::refused_info(answer)),
    }
}
