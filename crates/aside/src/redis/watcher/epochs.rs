//! Time, era and epochs, from a server's replies to one round of the watcher.

use std::collections::BTreeSet;

use aside_redis::{Call, Connection, WireReply};

use crate::protocol::commands;
use crate::protocol::message;
use crate::protocol::message::Why;
use crate::protocol::{Begin, Bump, Era, Op, Reply};
use crate::redis::pool::with_scripts;
use crate::redis::server;
use crate::tiers::Tiers;
use crate::tiers::shard::Shard;
use crate::trust::link::Suspicion;

/// Records the server's time, by which epochs are judged.
pub(super) fn learn_time(tiers: &Tiers, time: &WireReply) -> Result<(), Suspicion> {
    let millis = server::millis(time);
    let millis = millis.ok_or_else(|| refusal_in(std::slice::from_ref(time)))?;
    tiers.epochs.learn_time(millis);
    Ok(())
}

/// Records the era in one copy of the epochs. If it was lost, with the hash or
/// alone, another one begins: no message announces eras, so the known one may be
/// outdated.
pub(super) async fn learn_era(
    connection: &Connection,
    tiers: &Tiers,
    copy: usize,
    era: &WireReply,
) -> Result<(), Suspicion> {
    match era {
        WireReply::Bytes(era) => tiers.learn_era(copy, Era::parse(era)),
        WireReply::Nil if tiers.era_in(copy) == 0 => {}
        WireReply::Nil => {
            begin(connection, tiers, copy, Begin::IfMissing).await?;
        }
        // Of another type; BUMP replaces it with a hash.
        WireReply::Error(refusal) if refusal.code() == "WRONGTYPE" => {}
        refused => return Err(refusal_in(std::slice::from_ref(refused))),
    }
    Ok(())
}

/// Begins another era, which invalidates every value: in a copy of the epochs that
/// the shard holds, or else in all of them.
pub(super) async fn begin_era(
    connection: &Connection,
    shard: &Shard,
    tiers: &Tiers,
) -> Result<(), Suspicion> {
    match tiers.copies_of(shard).first() {
        Some(copy) => begin(connection, tiers, *copy, Begin::Always).await,
        None => tiers.begin_era().await.map_err(|_| Suspicion::Disconnected),
    }
}

async fn begin(
    connection: &Connection,
    tiers: &Tiers,
    copy: usize,
    when: Begin,
) -> Result<(), Suspicion> {
    let op = Op::History {
        key: tiers.epoch_keys[copy].clone(),
        era: Some((Era::random(), when)),
        known: None,
    };
    match ask(connection, tiers, op).await? {
        Reply::History { era, .. } => tiers.learn_era(copy, era),
        _ => return Err(Suspicion::unexpected()),
    }
    Ok(())
}

/// Records the epochs of the kinds cached here, as `found` in the hash. Returns
/// false if another era has begun and everything must be read again.
///
/// If a kind's epoch is missing or older than the known one, it is raised
/// before this round proves anything: the hash was lost or restored, perhaps
/// together with a bump that no instance here received. If its epoch, or the
/// known one, is implausible, it is raised as well, and the script begins
/// another era.
///
/// The exception is an epoch that this connection has `seen` before and that is
/// missing now. Every bump since then was received before the reply that shows
/// the hash, so the known epoch is the latest. It was evicted, and is put back
/// unchanged, so the kind's values stay valid. In a cluster a copy is always raised
/// to the known epoch only: the other copies have every bump.
pub(super) async fn learn_epochs(
    connection: &Connection,
    tiers: &Tiers,
    copy: usize,
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
            && put_back(connection, tiers, copy, kind, known).await?
        {
            continue;
        }
        // A missing field is normal; any other implausible epoch has begun
        // another era.
        settled &= believed && plausible;
        settled &= 0 < epoch || is_missing || field.error_code().is_some();
        let how = match tiers.epoch_keys.len() {
            1 => Bump::IfOlder,
            _ if known == 0 => Bump::IfOlder,
            _ => Bump::ToKnown,
        };
        let op = tiers.bump_op(&tiers.epoch_keys[copy], kind, (how, Why::Unknown));
        match ask(connection, tiers, op).await? {
            Reply::Epoch(epoch) if tiers.epochs.adopt(kind, epoch).is_ok() => {}
            _ => return Err(Suspicion::unexpected()),
        }
    }
    Ok(settled)
}

/// Runs one operation on the watcher's own connection.
async fn ask(connection: &Connection, tiers: &Tiers, op: Op) -> Result<Reply, Suspicion> {
    let (ops, channel) = ([op], tiers.namespace().channel());
    let calls = commands::encode(&ops, &channel, true);
    let replies = with_scripts(connection, &calls).await;
    let replies = replies.map_err(|_| Suspicion::Disconnected)?;
    match commands::decode(&ops, &calls, replies).pop() {
        Some(Ok(reply)) => Ok(reply),
        Some(Err(refused)) => Err(Suspicion::Refused(refused.refusal)),
        None => Err(Suspicion::unexpected()),
    }
}

/// Puts an evicted epoch back. Returns false if the server refuses, for lack of
/// memory or rights. If another instance was faster, its epoch stays.
async fn put_back(
    connection: &Connection,
    tiers: &Tiers,
    copy: usize,
    kind: &str,
    known: u64,
) -> Result<bool, Suspicion> {
    let (hash, digits) = (&tiers.epoch_keys[copy], format!("{known:013}"));
    let call = Call::command("HSETNX")
        .text(hash.as_str())
        .text(kind)
        .text(&digits);
    let replies = connection.call(&[call]).await;
    let replies = replies.map_err(|_| Suspicion::Disconnected)?;
    Ok(matches!(replies[..], [WireReply::Int(_)]))
}

/// Returns the suspicion for the first error among some replies.
pub(super) fn refusal_in(replies: &[WireReply]) -> Suspicion {
    let refusal = replies.iter().find_map(WireReply::refusal);
    refusal.map_or_else(Suspicion::unexpected, Suspicion::Refused)
}
