//! The watcher: receives invalidations, and proves that none was missed.
//!
//! One connection subscribes to the invalidations and sends a PING every
//! quarter of the staleness bound, and at least twice per second. A server
//! replies in the order in which it publishes, and the task that reads the
//! socket applies messages. So when a PONG arrives, every message published
//! before its PING has been applied. Local hits are checked against the date of
//! that PING.
//!
//! A connection counts only once its subscription is confirmed. A PONG counts
//! only together with the server's report that it is a primary, because
//! a replica would also reply to every PING, without new messages. The same
//! reply identifies the server's history.
//!
//! Writes use the same connection: the server sends their messages back on it,
//! in one packet with the reply, ahead of it before Redis 7.2 and behind it
//! since, so neither stands for the other. While the connection is not proved,
//! writes use another one.
//!
//! A server may reply to every PING and still refuse important operations: one
//! without its replicas, one whose user may not run scripts, or one in cluster
//! mode. So a PONG alone does not end a suspicion on a new connection, after a
//! refusal, or while the circuit breaker is open. The server must first accept
//! a harmless write on two keys.

mod epochs;
mod view;
mod proof;

pub(super) use view::{view, view_calls};

use std::sync::{Arc, Weak};
use std::time::Duration;

use aside_redis::{Call, Connection, Event, WireReply, printable};
use tokio::sync::Notify;
use tokio::time::Instant;

use self::proof::Proof;
use crate::config::history::RedisHistory;
use crate::redis::broken::Broken;
use crate::redis::endpoint::{Endpoint, Role};
use crate::redis::locator::Found;
use crate::redis::pool::{PooledConnection, Tended};
use crate::redis::server::{self, field};
use crate::tiers::Tiers;
use crate::tiers::shard::{ServerInfo, Shard};
use crate::trust::link::Suspicion;
use crate::trust::refusal::REPLICA;

/// The pause after a failed connection.
const PAUSE: Duration = Duration::from_millis(250);

/// Runs until the service ends.
pub(crate) async fn run(
    endpoint: Endpoint,
    shard: Arc<Shard>,
    pooled: Arc<PooledConnection>,
    tiers: Weak<Tiers>,
) {
    let socket_timeout = endpoint.socket_timeout;
    let (link, mut last) = (&shard.link, Instant::now());
    let mut changes = endpoint.locator.changes();
    loop {
        let Some(channel) = tiers.upgrade().map(|tiers| tiers.namespace().channel()) else {
            return;
        };
        let gone = Arc::new(Notify::new());
        let watch = async {
            let (connection, found) = open(&endpoint, &channel, &tiers, &gone).await?;
            let server =
                tokio::time::timeout(socket_timeout, ask_server(&connection, &found, &endpoint));
            let server = server
                .await
                .unwrap_or_else(|_| Err(Broken::because("the server does not report its role")))?;
            let Some((server, history)) = server else {
                link.suspect(&Suspicion::NotPrimary);
                return Err(Broken::refused(REPLICA));
            };
            warn_about(&server);
            // Not a variable of this task, which may be the second one, on another
            // runtime.
            let is_first = link.server_history() == 0;
            learn_history(&shard, &tiers, history);
            *shard.info.lock() = Some(server);
            // After the confirmation and before the first PONG counts, because
            // messages published without a subscription are lost.
            link.unsync();
            if !is_first && endpoint.history == RedisHistory::Reconnect {
                let begun = begin_era(&connection, &shard, &tiers);
                tokio::time::timeout(socket_timeout, begun)
                    .await
                    .unwrap_or_else(|_| {
                        Err(Broken::because("another era did not begin in time"))
                    })?;
            }
            Ok((Arc::new(connection), found))
        };
        match watch.await {
            Ok((connection, found)) => {
                let tended = Tended(&pooled, &connection);
                let (connection, server) = ((&*pooled, &connection), (&endpoint, &found));
                let mut proof = Proof::new(&shard, connection, &tiers, &gone, server);
                let why = tokio::select! {
                    biased;
                    () = endpoint.locator.moved(&found) => Suspicion::PrimaryMoved,
                    () = proof.run(&mut last) => Suspicion::Disconnected,
                };
                drop(proof);
                drop(tended);
                link.unsync();
                link.suspect(&why);
            }
            Err(error) => link.cannot_connect(&error.to_string()),
        }
        *shard.info.lock() = None;
        changes.rest(PAUSE).await;
        meter(&shard, &tiers, &mut last);
    }
}

async fn open(
    endpoint: &Endpoint,
    channel: &str,
    tiers: &Weak<Tiers>,
    gone: &Arc<Notify>,
) -> Result<(Connection, Found), Broken> {
    let (tiers, gone) = (tiers.clone(), Arc::clone(gone));
    let open = endpoint.open(move |event| match event {
        // Applied here, never through a queue, because a PONG must not overtake
        // it.
        Event::Message(text) => {
            if let Some(tiers) = tiers.upgrade() {
                tiers.apply_message(text);
            }
        }
        // Without its subscription it hears nothing, and a PONG proves nothing.
        Event::Disconnected | Event::Unsubscribed(_) => gone.notify_one(),
    });
    let (connection, found) = open.await?;
    let subscribed = tokio::time::timeout(endpoint.socket_timeout, connection.subscribe(channel));
    subscribed
        .await
        .map_err(|_| Broken::because("no confirmation of the subscription"))??;
    Ok((connection, found))
}

/// Records the server's history. Writes that only the server of an earlier
/// history has acknowledged are repeated, before a proof of this one counts.
fn learn_history(shard: &Shard, tiers: &Weak<Tiers>, history: u64) {
    if shard.link.learn_history(history)
        && let Some(tiers) = tiers.upgrade()
    {
        tiers.release_unconfirmed(shard);
    }
}

/// Invalidates every value after the loss of a connection, and repeats recent
/// writes: a failover may have lost both. The other connections may lead to the
/// server before it, and no history would tell.
async fn begin_era(
    connection: &Connection,
    shard: &Shard,
    tiers: &Weak<Tiers>,
) -> Result<(), Broken> {
    if let Some(tiers) = tiers.upgrade() {
        if let Some(tier) = &shard.tier {
            tier.reconnect();
        }
        let begun = epochs::begin_era(connection, shard, &tiers).await;
        begun.map_err(|why| Broken::because(&why.to_string()))?;
        tiers.release_unconfirmed(shard);
    }
    Ok(())
}

/// Counts the time without a valid proof.
fn meter(shard: &Shard, tiers: &Weak<Tiers>, last: &mut Instant) {
    if let Some(tiers) = tiers.upgrade() {
        shard.update_breaker();
        tiers.end_round();
    }
    if !shard.link.is_usable() {
        shard.link.count_unsynced(last.elapsed());
    }
    *last = Instant::now();
}

/// Queries the server's state and its history; `None` if it is not a primary.
async fn ask_server(
    connection: &Connection,
    found: &Found,
    endpoint: &Endpoint,
) -> Result<Option<(ServerInfo, u64)>, Broken> {
    let ask = Call::command("INFO");
    let server = match connection.call(&[ask]).await?.into_iter().next() {
        Some(server @ (WireReply::Text(_) | WireReply::Bytes(_))) => server,
        refused => return Err(server::refused_info(refused.as_ref())),
    };
    if let Some(unusable) =
        server::unusable(&server::mode_by_info(&server), endpoint.role == Role::Node)
    {
        return Err(unusable);
    }
    let info = || ServerInfo {
        version: printable(&field(&server, "redis_version")),
        address: found.address.to_string(),
        used_memory_bytes: field(&server, "used_memory").parse().unwrap_or(0),
        max_memory_bytes: field(&server, "maxmemory").parse().unwrap_or(0),
        evicted_keys: field(&server, "evicted_keys").parse().unwrap_or(0),
        policy: field(&server, "maxmemory_policy"),
    };
    if server::role(&server)? != "master" {
        return Ok(None);
    }
    let history = found.history(&server, endpoint.history);
    let history = history.map_err(|error| error.of(&server::product(&server)))?;
    Ok(Some((info(), history)))
}

fn warn_about(server: &ServerInfo) {
    if server.policy.starts_with("volatile-") {
        tracing::warn!(
            policy = server.policy,
            "this maxmemory-policy may evict quarantines before values: use noeviction, or \
             one that begins with `allkeys-`"
        );
    }
}
