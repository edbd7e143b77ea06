//! The rounds of one connection: each sends a PING, and judges the PONG.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use aside_redis::{Call, Connection, Error, WireReply};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::epochs::{learn_epochs, learn_era, learn_time, refusal_in};
use super::view::{LastLine, view, view_calls};
use super::{ask_server, learn_history, meter};
use crate::entity::key::Key;
use crate::redis::endpoint::Endpoint;
use crate::redis::locator::Found;
use crate::redis::pool::PooledConnection;
use crate::redis::server::{field, info_replication};
use crate::runtime::clock::Moment;
use crate::tiers::Tiers;
use crate::tiers::shard::Shard;
use crate::trust::link::Suspicion;

/// The interval between queries of the server's state.
const ASK_SERVER: Duration = Duration::from_secs(5);

/// The longest pause between two PINGs, regardless of the staleness bound,
/// because a suspicion can only end with the next one.
const MAX_BETWEEN_PINGS: Duration = Duration::from_millis(500);

/// The pause between two PINGs while a cluster elects a primary, or while its epochs
/// are not known.
const HURRIED: Duration = Duration::from_millis(25);

/// The field of the era in the hash of epochs. No kind may have this name.
const ERA: &str = "aside";

/// A connection that proves which messages have been received on it.
pub(super) struct Proof<'a> {
    pub(super) shard: &'a Shard,
    pub(super) pooled: &'a PooledConnection,
    pub(super) connection: &'a Arc<Connection>,
    pub(super) tiers: &'a Weak<Tiers>,
    /// Notified when the connection is lost.
    pub(super) gone: &'a Notify,
    endpoint: &'a Endpoint,
    /// Where the server was found.
    found: &'a Found,
    /// True once the server has accepted a harmless write. Its replies alone
    /// may be those of a proxy.
    tried: bool,
    /// The kinds whose epochs this connection has seen, by copy.
    seen: BTreeMap<usize, BTreeSet<&'static str>>,
    /// When this connection was subscribed.
    subscribed: Moment,
    /// Only in a cluster.
    line: LastLine,
    /// When the server's state was last queried.
    asked: Instant,
}

/// One PING, and the state when it was sent.
struct Ping {
    sent: Moment,
    suspicions: u64,
    kinds: Vec<&'static str>,
    /// The copies of the epochs that the server holds, with their keys.
    copies: Vec<(usize, Key)>,
}

type Pong = Result<Vec<WireReply>, Error>;

/// The next step after a round.
enum Next {
    Rest,
    /// Another round at once.
    Repeat,
    /// The connection is unusable.
    Leave,
}

impl<'a> Proof<'a> {
    pub(super) fn new(
        shard: &'a Shard,
        (pooled, connection): (&'a PooledConnection, &'a Arc<Connection>),
        tiers: &'a Weak<Tiers>,
        gone: &'a Notify,
        (endpoint, found): (&'a Endpoint, &'a Found),
    ) -> Self {
        Self {
            shard,
            pooled,
            connection,
            tiers,
            gone,
            endpoint,
            found,
            tried: false,
            seen: BTreeMap::new(),
            subscribed: Moment::now(),
            line: LastLine::default(),
            asked: Instant::now(),
        }
    }

    /// Returns how long the server may be silent.
    fn socket_timeout(&self) -> Duration {
        self.endpoint.socket_timeout
    }

    /// Sends PINGs until the connection is lost, or silent for too long.
    pub(super) async fn run(&mut self, last: &mut Instant) {
        loop {
            let (suspicions, sent) = (self.shard.link.suspicions(), Moment::now());
            let Some(tiers) = self.tiers.upgrade() else {
                return;
            };
            let ping = Ping {
                sent,
                suspicions,
                kinds: tiers.epochs.kinds(),
                copies: tiers
                    .copies_of(self.shard)
                    .into_iter()
                    .map(|copy| (copy, tiers.epoch_keys[copy].clone()))
                    .collect(),
            };
            drop(tiers);
            let begun = Instant::now();
            let Some(pong) = self.ping(&ping).await else {
                return;
            };
            self.shard.barrier_took(begun.elapsed());
            match self.judge_pong(&ping, pong).await {
                Next::Rest => {}
                Next::Repeat => continue,
                Next::Leave => return,
            }
            meter(self.shard, self.tiers, last);
            let goes_on = self.ask_server().await && self.rest().await;
            if !goes_on {
                return;
            }
        }
    }

    /// Sends a PING with the queries that decide if its PONG is a proof.
    /// Returns `None` if the connection is lost, or silent for too long.
    async fn ping(&self, ping: &Ping) -> Option<Pong> {
        let mut calls = vec![
            Call::command("PING"),
            info_replication(),
            Call::command("TIME"),
        ];
        if self.endpoint.locator.cluster().is_some() {
            calls.extend(view_calls());
        }
        for (_, epochs) in &ping.copies {
            // Field by field, because the hash may contain any number of others.
            let hget = |field| Call::command("HGET").text(epochs.as_str()).text(field);
            calls.push(hget(ERA));
            calls.extend(ping.kinds.iter().map(|kind| hget(kind)));
        }
        let pong = self.connection.call(&calls);
        tokio::pin!(pong);
        let late = (self.shard.link.bound() / 2).min(self.socket_timeout());
        let in_time = tokio::select! {
            biased;
            () = self.gone.notified() => return None,
            pong = tokio::time::timeout(late, &mut pong) => pong,
        };
        if let Ok(pong) = in_time {
            return Some(pong);
        }
        self.shard.link.suspect(&Suspicion::LatePong);
        tokio::select! {
            biased;
            () = self.gone.notified() => None,
            pong = tokio::time::timeout(self.socket_timeout(), pong) => pong.ok(),
        }
    }

    async fn judge_pong(&mut self, ping: &Ping, pong: Pong) -> Next {
        let link = &self.shard.link;
        match pong.as_deref() {
            Ok([WireReply::Text(_), server, time, rest @ ..])
                if field(server, "role") == "master" =>
            {
                match self.found.history(server, self.endpoint.history) {
                    Ok(history) => learn_history(self.shard, self.tiers, history),
                    Err(error) => {
                        link.cannot_connect(&error.to_string());
                        return Next::Leave;
                    }
                }
                match (self.endpoint.locator.cluster(), rest) {
                    (None, epochs) => self.learn(ping, time, epochs).await,
                    (Some(cluster), [info, nodes, epochs @ ..]) => {
                        let view = view(info, nodes, ping.sent);
                        let line = &mut self.line;
                        match view.and_then(|view| line.learn(self.shard, cluster, view)) {
                            Ok(()) => self.learn(ping, time, epochs).await,
                            Err(why) => {
                                link.suspect(&why);
                                match why {
                                    Suspicion::NotPrimary => Next::Leave,
                                    _ => Next::Rest,
                                }
                            }
                        }
                    }
                    _ => Next::Leave,
                }
            }
            // Demoted: its messages are not the primary's.
            Ok(
                [
                    WireReply::Text(_),
                    WireReply::Text(_) | WireReply::Bytes(_),
                    ..,
                ],
            ) => {
                link.suspect(&Suspicion::NotPrimary);
                Next::Leave
            }
            Ok(replies) => {
                link.suspect(&refusal_in(replies));
                Next::Rest
            }
            Err(_) => Next::Leave,
        }
    }

    /// Records the replies of a primary, after which its PONG may be a proof.
    async fn learn(&mut self, ping: &Ping, time: &WireReply, epochs: &[WireReply]) -> Next {
        let Some(tiers) = self.tiers.upgrade() else {
            return Next::Leave;
        };
        let socket_timeout = self.socket_timeout();
        let known = async {
            learn_time(&tiers, time)?;
            self.learn_copies(&tiers, ping, epochs).await
        };
        let known = tokio::time::timeout(socket_timeout, known).await;
        let link = &self.shard.link;
        match known.unwrap_or(Err(Suspicion::TimedOut)) {
            // Another era has begun, and must be recorded first.
            Ok(false) => return Next::Repeat,
            Ok(true) => {
                // Before the harmless write, which uses this connection.
                self.pooled.answers(self.connection, link.server_history());
                let doubted = !self.tried || link.was_refused(ping.suspicions);
                if self.knows_epochs() && tiers.may_trust_pong(self.shard, doubted).await {
                    self.tried = true;
                    self.prove(ping);
                }
            }
            Err(why) => link.suspect(&why),
        }
        Next::Rest
    }

    /// Records the era and the epochs in each copy that the server holds. Returns false
    /// if another era has begun.
    async fn learn_copies(
        &mut self,
        tiers: &Tiers,
        ping: &Ping,
        epochs: &[WireReply],
    ) -> Result<bool, Suspicion> {
        let (mut settled, mut read) = (true, Vec::new());
        let each = epochs.chunks(1 + ping.kinds.len());
        for ((copy, _), replies) in ping.copies.iter().zip(each) {
            let [era, epochs @ ..] = replies else {
                continue;
            };
            // The copy is moving to another node, which shows it.
            if replies
                .iter()
                .any(|reply| matches!(reply, WireReply::Redirect(_)))
            {
                continue;
            }
            let found = ping.kinds.iter().copied().zip(epochs);
            let seen = self.seen.entry(*copy).or_default();
            learn_era(self.connection, tiers, *copy, era).await?;
            settled &= learn_epochs(self.connection, tiers, *copy, found, seen).await?;
            read.push(*copy);
        }
        if let (true, Some(cluster)) = (settled, self.endpoint.locator.cluster()) {
            cluster.read_copies(read, ping.sent);
        }
        Ok(settled)
    }

    /// Returns true if the epochs of all kinds are known. In a cluster this connection
    /// may have missed a bump before it was subscribed, and the copies of the epochs
    /// are on other nodes.
    fn knows_epochs(&self) -> bool {
        let cluster = self.endpoint.locator.cluster();
        cluster.is_none_or(|cluster| cluster.knows_epochs_since(self.subscribed))
    }

    /// Records the proof of a PONG. It is no newer than the time before which no
    /// other server had been promoted.
    fn prove(&self, ping: &Ping) {
        let proved = ping.sent.min(self.endpoint.locator.confirmed(self.found));
        if self.shard.link.bound() < ping.sent.since(proved) {
            let by_nodes = self.endpoint.locator.cluster().is_some();
            self.shard.link.suspect(match by_nodes {
                true => &Suspicion::NoQuorum,
                false => &Suspicion::Unconfirmed,
            });
        } else {
            self.shard.pong(proved, ping.suspicions);
        }
    }

    /// Queries the server's state from time to time. Returns false if it is
    /// unusable.
    async fn ask_server(&mut self) -> bool {
        if self.asked.elapsed() < ASK_SERVER {
            return true;
        }
        self.asked = Instant::now();
        match tokio::time::timeout(
            self.socket_timeout(),
            ask_server(self.connection, self.found, self.endpoint),
        )
        .await
        {
            Ok(Ok(Some((server, _)))) => {
                *self.shard.info.lock() = Some(server);
                true
            }
            Ok(Ok(None)) => {
                self.shard.link.suspect(&Suspicion::NotPrimary);
                false
            }
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Waits until the next PING is due. Returns false if the connection is
    /// lost.
    async fn rest(&self) -> bool {
        let cluster = self.endpoint.locator.cluster();
        let hurries = cluster.is_some_and(|cluster| cluster.is_unsettled() || !self.knows_epochs());
        let every = match hurries {
            true => HURRIED,
            false => (self.shard.link.bound() / 4).min(MAX_BETWEEN_PINGS),
        };
        tokio::select! {
            biased;
            () = self.gone.notified() => false,
            () = self.pooled.trouble() => true,
            () = tokio::time::sleep(every) => true,
        }
    }
}
