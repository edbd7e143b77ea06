//! The watcher: hears what others forgot, and proves that it heard it all.
//!
//! One connection subscribes to the invalidations and carries a PING every
//! quarter of the staleness bound, and twice a second where that is longer. A
//! server answers in the order in which it published, and messages are applied
//! by the task that reads the socket, so when a PONG is seen every message
//! published before its PING was sent has been applied. That date is what
//! in-process hits are measured against.
//!
//! A connection counts only once its subscription is confirmed, and a PONG
//! only together with the server's word that it is a primary: a replica would
//! answer every PING as well, and hear nothing new. The same answer names the
//! history that the server is in.
//!
//! Writes tell Redis on the same connection: what they publish comes back here,
//! and a server sends it in one packet with the reply, ahead of it before Redis
//! 7.2 and behind it since, so that neither stands for the other. Where the
//! connection is not proved they take another.
//!
//! A server may answer every PING and still refuse what matters: one that lost
//! its replicas, whose user may run no scripts, or that is in cluster mode. Where
//! a refusal raised the suspicion, where the circuit breaker is open, and first on
//! each connection, a PONG does not end it before a harmless write on two keys has
//! been taken.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use aside_redis::{Call, Connection, Event, WireReply, printable};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::protocol::commands;
use crate::protocol::message;
use crate::protocol::{Begin, Bump, Era, Op, Reply};
use crate::redis::broken::Broken;
use crate::redis::endpoint::Endpoint;
use crate::redis::pool::{LaneState, Tended, with_scripts};
use crate::redis::server::{self, field, info_replication};
use crate::runtime::clock::Moment;
use crate::tiers::Tiers;
use crate::tiers::shard::{ServerInfo, Shard};
use crate::trust::link::Suspicion;
use crate::trust::refusal::REPLICA;

/// How often the server is asked how it is.
const ASK_SERVER: Duration = Duration::from_secs(5);

/// The longest pause between two PINGs, whatever the staleness bound: a
/// suspicion ends no sooner than with the next one.
const MOST_BETWEEN_PINGS: Duration = Duration::from_millis(500);

/// The field of the era in the hash of the epochs. No kind may have this name.
const ERA: &str = "aside";

/// The pause after a connection that could not be had.
const PAUSE: Duration = Duration::from_millis(250);

/// Watches until the service is gone.
pub(crate) async fn run(
    endpoint: Endpoint,
    shard: Arc<Shard>,
    lane: Arc<LaneState>,
    tiers: Weak<Tiers>,
    silence: Duration,
) {
    let (link, mut last) = (&shard.link, Instant::now());
    loop {
        let Some(channel) = tiers
            .upgrade()
            .map(|tiers| message::channel(tiers.namespace()))
        else {
            return;
        };
        let gone = Arc::new(Notify::new());
        let watch = async {
            let wire = open(&endpoint, &channel, &tiers, &gone).await?;
            let server = tokio::time::timeout(silence, ask_server(&wire));
            let server = server
                .await
                .unwrap_or_else(|_| Err(Broken::because("the server does not say what it is")))?;
            let Some((server, tag)) = server else {
                link.suspect(&Suspicion::NotPrimary);
                return Err(Broken::refused(REPLICA));
            };
            warn_about(&server);
            link.learn_tag(tag);
            *shard.info.lock() = Some(server);
            // After the confirmation and before the first PONG counts: what
            // was published while nobody listened is not coming any more.
            link.unsync();
            Ok(Arc::new(wire))
        };
        match watch.await {
            Ok(wire) => {
                let tended = Tended(&lane, &wire);
                prove(&tended, &shard, &tiers, &gone, silence, &mut last).await;
                drop(tended);
                link.unsync();
                link.suspect(&Suspicion::Disconnected);
            }
            Err(error) => link.cannot_connect(&error.to_string()),
        }
        *shard.info.lock() = None;
        tokio::time::sleep(PAUSE).await;
        meter(&shard, &tiers, &mut last);
    }
}

async fn open(
    endpoint: &Endpoint,
    channel: &str,
    tiers: &Weak<Tiers>,
    gone: &Arc<Notify>,
) -> Result<Connection, Broken> {
    let (tiers, gone) = (tiers.clone(), Arc::clone(gone));
    let open = endpoint.open(move |event| match event {
        // Here and now, never through a queue: a PONG must not overtake it.
        Event::Message(text) => {
            if let Some(tiers) = tiers.upgrade() {
                tiers.hear(text);
            }
        }
        Event::Disconnected => gone.notify_one(),
    });
    let wire = open.await?;
    let subscribed = tokio::time::timeout(endpoint.connect_timeout, wire.subscribe(channel));
    subscribed
        .await
        .map_err(|_| Broken::because("no confirmation of the subscription"))??;
    Ok(wire)
}

/// Sends PINGs until the connection is gone, or silent for too long.
async fn prove(
    Tended(lane, wire): &Tended<'_>,
    shard: &Shard,
    tiers: &Weak<Tiers>,
    gone: &Notify,
    silence: Duration,
    last: &mut Instant,
) {
    let link = &*shard.link;
    let every = (link.bound() / 4).min(MOST_BETWEEN_PINGS);
    let late = (link.bound() / 2).min(silence);
    let mut asked = Instant::now();
    let Some(epochs) = tiers
        .upgrade()
        .map(|tiers| message::epochs_key(tiers.namespace()))
    else {
        return;
    };
    let epochs = epochs.as_str();
    // What a server says of itself may be what a proxy says in its place. So
    // none is trusted before it has taken what it is needed for.
    let mut tried = false;
    let mut seen = BTreeSet::new();
    loop {
        let (suspicions, sent) = (link.suspicions(), Moment::now());
        let Some(kinds) = tiers.upgrade().map(|tiers| tiers.kinds()) else {
            return;
        };
        // Field by field: the hash may hold any number of others.
        let hget = |field| Call::command("HGET").text(epochs).text(field);
        let mut ping = vec![
            Call::command("PING"),
            info_replication(),
            Call::command("TIME"),
            hget(ERA),
        ];
        ping.extend(kinds.keys().map(|kind| hget(kind)));
        let pong = wire.call(&ping);
        tokio::pin!(pong);
        let in_time = tokio::select! {
            biased;
            () = gone.notified() => return,
            pong = tokio::time::timeout(late, &mut pong) => pong,
        };
        let pong = match in_time {
            Ok(pong) => pong,
            Err(_) => {
                link.suspect(&Suspicion::LatePong);
                tokio::select! {
                    biased;
                    () = gone.notified() => return,
                    pong = tokio::time::timeout(silence, pong) => match pong {
                        Ok(pong) => pong,
                        Err(_) => return,
                    },
                }
            }
        };
        match pong.as_deref() {
            Ok([WireReply::Text(_), server, time, era, fields @ ..])
                if field(server, "role") == "master" =>
            {
                let Some(tiers) = tiers.upgrade() else { return };
                link.learn_tag(server::tag(server));
                let found = kinds.keys().copied().zip(fields);
                let known = async {
                    learn_time(&tiers, time)?;
                    learn_era(wire, &tiers, era).await?;
                    learn_epochs(wire, &tiers, found, &mut seen).await
                };
                let known = tokio::time::timeout(silence, known).await;
                let known = known.unwrap_or(Err(Suspicion::TimedOut));
                if let Ok(false) = known {
                    // Another era has begun, and is to be learnt first.
                    continue;
                }
                if let Err(why) = known {
                    link.suspect(&why);
                } else {
                    // Before the harmless write, which goes out on it.
                    lane.answers(wire, link.tag());
                    let doubted = !tried || link.was_refused(suspicions);
                    if tiers.believes_pong(shard, doubted).await {
                        tried = true;
                        link.pong(sent, suspicions);
                    }
                }
            }
            // Demoted: its messages are not those of the primary.
            Ok(
                [
                    WireReply::Text(_),
                    WireReply::Text(_) | WireReply::Bytes(_),
                    ..,
                ],
            ) => {
                return link.suspect(&Suspicion::NotPrimary);
            }
            Ok(replies) => link.suspect(&Suspicion::Refused(code_in(replies))),
            Err(_) => return,
        }
        meter(shard, tiers, last);
        if asked.elapsed() >= ASK_SERVER {
            asked = Instant::now();
            let answer = tokio::time::timeout(silence, ask_server(wire)).await;
            match answer {
                Ok(Ok(Some((server, _)))) => *shard.info.lock() = Some(server),
                Ok(Ok(None)) => return link.suspect(&Suspicion::NotPrimary),
                Ok(Err(_)) | Err(_) => return,
            }
        }
        tokio::select! {
            biased;
            () = gone.notified() => return,
            () = lane.trouble() => {}
            () = tokio::time::sleep(every) => {}
        }
    }
}

/// Learns what time the server has, by which epochs are judged.
fn learn_time(tiers: &Tiers, time: &WireReply) -> Result<(), Suspicion> {
    let millis = server::millis(time);
    let millis = millis.ok_or_else(|| Suspicion::Refused(code_in(std::slice::from_ref(time))))?;
    tiers.epochs.learn_time(millis);
    Ok(())
}

/// Learns which era it is. Where it was lost, with the hash or by itself, another
/// one begins: eras are told by no message, so what is known may be an older one.
async fn learn_era(wire: &Connection, tiers: &Tiers, era: &WireReply) -> Result<(), Suspicion> {
    match era {
        WireReply::Bytes(era) => tiers.learn_era(Era::parse(era)),
        WireReply::Nil if tiers.era() == 0 => {}
        WireReply::Nil => {
            let op = Op::History {
                key: message::epochs_key(tiers.namespace()),
                era: Some((Era::random(), Begin::IfMissing)),
                known: None,
            };
            match ask(wire, tiers, op).await? {
                Reply::History { era, .. } => tiers.learn_era(era),
                _ => return Err(Suspicion::Refused("UNEXPECTED".to_owned())),
            }
        }
        // Of another type; BUMP makes a hash of it.
        WireReply::Error(code) if code == "WRONGTYPE" => {}
        refused => return Err(Suspicion::Refused(code_in(std::slice::from_ref(refused)))),
    }
    Ok(())
}

/// Learns the epochs of the kinds that are cached here, from what was `found` of
/// them. False if another era has begun, and all must be asked once more.
///
/// A kind that has none there, or an older one than is known, is given a new one
/// before this round proves anything: the hash was lost, or came back older, and
/// with it perhaps a bump that nobody here heard of. So is one whose epoch, or what
/// is known of it, no server can have given: the script then begins another era.
///
/// Not so where this connection has `seen` the kind's epoch before, and finds none.
/// Since then each bump was heard on it, ahead of the answer that shows the hash,
/// so what is known is the last one: evicted, it is put back as it was, and the kind
/// stays warm.
async fn learn_epochs(
    wire: &Connection,
    tiers: &Tiers,
    found: impl Iterator<Item = (&'static str, &WireReply)>,
    seen: &mut BTreeSet<&'static str>,
) -> Result<bool, Suspicion> {
    let mut settled = true;
    for (kind, field) in found {
        let epoch = match field {
            WireReply::Bytes(epoch) => std::str::from_utf8(epoch).ok(),
            _ => None,
        };
        let epoch = epoch.filter(|epoch| message::is_epoch(epoch));
        let epoch = epoch.and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
        let believed = tiers.epochs.adopt(kind, epoch).is_ok();
        let known = tiers.epochs.known(kind).unwrap_or(0);
        let plausible = tiers.epochs.is_plausible(known);
        if believed && 0 < epoch && known <= epoch {
            seen.insert(kind);
            continue;
        }
        let is_missing = *field == WireReply::Nil;
        if is_missing
            && plausible
            && seen.contains(kind)
            && put_back(wire, tiers, kind, known).await?
        {
            continue;
        }
        // A missing field is no surprise; whatever else the script does not believe
        // has begun another era.
        settled &= believed && plausible;
        settled &= 0 < epoch || is_missing || matches!(field, WireReply::Error(_));
        match ask(wire, tiers, tiers.bump_op(kind, Bump::IfOlder)).await? {
            Reply::Epoch(epoch) if tiers.epochs.adopt(kind, epoch).is_ok() => {}
            _ => return Err(Suspicion::Refused("UNEXPECTED".to_owned())),
        }
    }
    Ok(settled)
}

/// Asks one thing of the server on the watcher's own connection.
async fn ask(wire: &Connection, tiers: &Tiers, op: Op) -> Result<Reply, Suspicion> {
    let (ops, channel) = ([op], message::channel(tiers.namespace()));
    let calls = commands::encode(&ops, &channel);
    let replies = with_scripts(wire, &calls).await;
    let replies = replies.map_err(|_| Suspicion::Disconnected)?;
    match commands::decode(&ops, &calls, replies).pop() {
        Some(Ok(reply)) => Ok(reply),
        Some(Err(refused)) => Err(Suspicion::Refused(refused.code)),
        None => Err(Suspicion::Refused("UNEXPECTED".to_owned())),
    }
}

/// Puts an epoch back that was evicted; false if the server refuses that, for
/// want of memory or rights. Where another instance was quicker its epoch stays.
async fn put_back(
    wire: &Connection,
    tiers: &Tiers,
    kind: &str,
    known: u64,
) -> Result<bool, Suspicion> {
    let (hash, digits) = (
        message::epochs_key(tiers.namespace()),
        format!("{known:013}"),
    );
    let call = Call::command("HSETNX")
        .text(hash.as_str())
        .text(kind)
        .text(&digits);
    let replies = wire.call(&[call]).await;
    let replies = replies.map_err(|_| Suspicion::Disconnected)?;
    Ok(matches!(replies[..], [WireReply::Int(_)]))
}

/// The code of the first error among some replies.
fn code_in(replies: &[WireReply]) -> String {
    let mut codes = replies.iter().filter_map(|reply| match reply {
        WireReply::Error(code) => Some(code.clone()),
        _ => None,
    });
    codes.next().unwrap_or_else(|| "UNEXPECTED".to_owned())
}

/// Counts the time in which nothing was proved.
fn meter(shard: &Shard, tiers: &Weak<Tiers>, last: &mut Instant) {
    if let Some(tiers) = tiers.upgrade() {
        shard.show_breaker();
        tiers.end_round();
    }
    if !shard.link.is_usable() {
        shard.link.count_unsynced(last.elapsed());
    }
    *last = Instant::now();
}

/// Returns what the server says of itself, and the tag of its history; `None` if it
/// is no primary.
async fn ask_server(wire: &Connection) -> Result<Option<(ServerInfo, u64)>, Broken> {
    let ask = Call::command("INFO");
    let server = match wire.call(&[ask]).await?.into_iter().next() {
        Some(server @ (WireReply::Text(_) | WireReply::Bytes(_))) => server,
        refused => return Err(server::refused_info(refused.as_ref())),
    };
    if let Some(unusable) = server::unusable(&server::mode_by_info(&server)) {
        return Err(unusable);
    }
    let info = || ServerInfo {
        version: printable(&field(&server, "redis_version")),
        used_memory_bytes: field(&server, "used_memory").parse().unwrap_or(0),
        evicted_keys: field(&server, "evicted_keys").parse().unwrap_or(0),
        policy: field(&server, "maxmemory_policy"),
    };
    let is_primary = field(&server, "role") == "master";
    Ok(is_primary.then(|| (info(), server::tag(&server))))
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
