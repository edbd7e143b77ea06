//! Keeping one connection open, for as long as somebody runs that.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aside_redis::{Connection, Event, WireReply};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{LaneState, load_scripts};
use crate::redis::broken::Broken;
use crate::redis::endpoint::Endpoint;
use crate::redis::server;
use crate::trust::link::{Link, Suspicion};
use crate::trust::refusal::REPLICA;
use crate::trust::refusal::refusal;

/// The shortest and the longest pause between two attempts to connect.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// How long a connection may carry nothing before it is asked something. The
/// shortest idle time that a server can be told is a second.
const IDLE: Duration = Duration::from_secs(1);

/// A lane's connection that somebody looks after; without them it ends.
pub(crate) struct Tended<'a>(pub(crate) &'a LaneState, pub(crate) &'a Arc<Connection>);

impl Drop for Tended<'_> {
    fn drop(&mut self) {
        self.0.lost(self.1);
    }
}

/// Keeps one lane open for as long as it is run.
pub(crate) async fn keep_open(
    lane: Arc<LaneState>,
    endpoint: Endpoint,
    link: Arc<Link>,
    socket_timeout: Duration,
) {
    let mut pause = PAUSE.0;
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
            let wire = endpoint.open(on_event).await?;
            let refused = tokio::time::timeout(socket_timeout, load_scripts(&wire))
                .await
                .map_err(|_| Broken::because("the scripts were not taken in time"))??;
            if let Some(code) = refused {
                return Err(Broken::refused(&refusal("SCRIPT LOAD", &code)));
            }
            let tag = tokio::time::timeout(socket_timeout, ask_tag(&wire))
                .await
                .unwrap_or_else(|_| Err(Broken::because("the server does not say what it is")))?;
            if !agree(&link, tag, &gone, socket_timeout).await {
                return Err(Broken::because("the server is in another history"));
            }
            Ok::<_, Broken>((Arc::new(wire), tag))
        };
        match opened.await {
            Ok((wire, tag)) => {
                pause = PAUSE.0;
                let begun = Instant::now();
                let tended = Tended(&lane, &wire);
                lane.answers(&wire, tag);
                let left = stay_with(&tended, &link, &gone, socket_timeout).await;
                drop(tended);
                // A call without a reply may have been a quarantine, so it makes
                // the link suspect. Where none was under way nothing is of
                // unknown fate: messages come on the watcher's connection, which
                // proves them by itself, and whether the same server answers in
                // the same history is asked again before the next call. So a
                // server, or a box in between, may close what is idle.
                if wire.end() || left == Left::GivenUp {
                    link.suspect(&Suspicion::Disconnected);
                } else if PAUSE.1 < begun.elapsed() {
                    continue;
                }
            }
            Err(error) if error.is_refusal() => link.cannot_connect(&error.to_string()),
            Err(error) => tracing::debug!(%error, "no connection to Redis"),
        }
        // Jittered, so that many instances do not come back in step.
        tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// Waits until the watcher's server is known to be in the history `tag`;
/// false if it is in another one for as long as a connection may be silent.
/// Meanwhile nothing of what either of them says is trusted.
async fn agree(link: &Link, tag: u64, gone: &Notify, patience: Duration) -> bool {
    let mut tags = link.tags();
    if ![0, tag].contains(&*tags.borrow_and_update()) {
        link.suspect(&Suspicion::OtherHistory);
    }
    let agreed = tags.wait_for(|known| [0, tag].contains(known));
    tokio::select! {
        biased;
        () = gone.notified() => false,
        agreed = tokio::time::timeout(patience, agreed) => matches!(agreed, Ok(Ok(_))),
    }
}

/// Why a connection is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// It is gone.
    Gone,
    /// It was silent for too long, or leads to another server than the
    /// watcher's.
    GivenUp,
}

/// Looks after a connection until it is to be left.
async fn stay_with(
    Tended(lane, wire): &Tended<'_>,
    link: &Link,
    gone: &Notify,
    silence: Duration,
) -> Left {
    let mut tags = link.tags();
    let (mut asked, mut received) = (Instant::now(), wire.received());
    loop {
        tokio::select! {
            biased;
            () = gone.notified() => return Left::Gone,
            () = lane.trouble() => {}
            // The watcher's server is in another history than this one was:
            // is it this server's own, or another server?
            _ = tags.wait_for(|tag| ![0, lane.tag.load(Ordering::Acquire)].contains(tag)) => {}
            // Unasked, lest the server, or a box in between, close a
            // connection that is merely idle.
            () = tokio::time::sleep(silence.min(IDLE)) => {
                let before = std::mem::replace(&mut received, wire.received());
                if before < received && asked.elapsed() < silence {
                    continue;
                }
            }
        }
        if lane.wire.read().is_none() {
            return Left::Gone;
        }
        asked = Instant::now();
        // Where a reply is missing the server may be stopped: its connections
        // live on, and it will answer all of this when it goes on.
        let begun = Instant::now();
        let tag = tokio::select! {
            biased;
            () = gone.notified() => None,
            tag = tokio::time::timeout(silence, ask_tag(wire)) => tag.ok().and_then(Result::ok),
        };
        let Some(tag) = tag else {
            tracing::debug!(silent_for = ?begun.elapsed(), "a connection to Redis is given up");
            return Left::GivenUp;
        };
        lane.tag.store(tag, Ordering::Release);
        if !agree(link, tag, gone, silence).await {
            return Left::GivenUp;
        }
        lane.answers(wire, tag);
        received = wire.received();
    }
}

/// Asks a primary for the tag of its history.
///
/// A replica names the same history as its primary, and is behind it.
pub(crate) async fn ask_tag(wire: &Connection) -> Result<u64, Broken> {
    match wire.call(&[server::info_replication()]).await?.first() {
        Some(answer @ (WireReply::Text(_) | WireReply::Bytes(_))) => {
            match &*server::field(answer, "role") {
                "slave" => Err(Broken::refused(REPLICA)),
                _ => Ok(server::tag(answer)),
            }
        }
        answer => Err(server::refused_info(answer)),
    }
}
