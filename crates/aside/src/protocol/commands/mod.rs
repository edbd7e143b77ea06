//! Encoding of operations as Redis commands, and decoding of replies.
//!
//! Independent of any client library: a command or a script with its arguments
//! goes out, a plain reply comes in.

mod replies;

use std::time::Duration;

use aside_redis::{Call, Script};

pub(crate) use replies::decode;

use super::scripts;
use super::value::HEADER_BYTES;
use super::{Begin, Bump, Op};
use crate::entity::key::Key;

/// The longest TTL that is sent: a century.
///
/// A deadline has 13 digits, which last until the year 2286, and servers refuse
/// times that overflow.
const MAX_TTL_MS: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// Returns a TTL in whole milliseconds, at least one, as every tier counts it.
pub(crate) fn milliseconds(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis())
        .unwrap_or(u64::MAX)
        .clamp(1, MAX_TTL_MS)
}

/// Encodes `ops` as calls in their order; scripts publish on `channel`.
/// Consecutive operations that differ only in their keys share a call if the
/// server takes `many_keys` per call.
///
/// A [`Op::GetMany`] must name at least one key, because servers refuse an
/// empty `MGET`.
pub(crate) fn encode<'op>(ops: &'op [Op], channel: &'op str, many_keys: bool) -> Vec<Call<'op>> {
    let mut calls: Vec<Call<'op>> = Vec::with_capacity(ops.len());
    for op in ops {
        let call = encode_one(op, channel);
        let left = match calls.last_mut() {
            Some(last) if many_keys => last.join(call),
            _ => Err(call),
        };
        calls.extend(left.err());
    }
    calls
}

fn script<'op>(script: &'static Script, key: &'op Key) -> Call<'op> {
    Call::script(script, key.as_str().as_bytes())
}

fn encode_one<'op>(op: &'op Op, channel: &'op str) -> Call<'op> {
    match op {
        Op::Get { key } => Call::command("GET").text(key.as_str()),
        Op::GetMany { keys } => keys
            .iter()
            .fold(Call::command("MGET"), |call, key| call.text(key.as_str())),
        Op::Acquire {
            key,
            token,
            lease,
            observed,
        } => script(&scripts::ACQUIRE, key)
            .shown(token)
            .shown(&milliseconds(*lease))
            .bytes(observed.as_deref().unwrap_or_default()),
        Op::GetHeader { key } => Call::command("GETRANGE")
            .text(key.as_str())
            .text("0")
            .shown(&(HEADER_BYTES - 1)),
        Op::Stamp {
            key,
            context,
            stamp,
            ttl,
        } => script(&scripts::STAMP, key)
            .shown(&format!("{:016x}", context.history))
            .shown(&format!("{:013}", context.epoch))
            .shown(stamp)
            .shown(&milliseconds(*ttl)),
        Op::Refresh { key, fill, token } => script(&scripts::REFRESH, key)
            .shown(&format!("{fill:012x}"))
            .shown(token),
        Op::Fill {
            key,
            token,
            value,
            ttl,
        } => script(&scripts::FILL, key)
            .shown(token)
            .bytes(value)
            .shown(&milliseconds(*ttl)),
        Op::Abandon { key, token } => script(&scripts::ABANDON, key).shown(token),
        Op::Quarantine {
            key,
            writer,
            ttl,
            message,
        } => script(&scripts::QUARANTINE, key)
            .shown(writer)
            .shown(&milliseconds(*ttl))
            .text(channel)
            .for_each_key(|call| call.text(message)),
        Op::Release {
            key,
            writer,
            message,
            value,
        } => {
            let (value, ttl) = match value {
                Some((value, ttl)) => (value.as_slice(), *ttl),
                None => (&[][..], Duration::ZERO),
            };
            script(&scripts::RELEASE, key)
                .shown(writer)
                .text(channel)
                .for_each_key(|call| call.text(message).bytes(value).shown(&milliseconds(ttl)))
        }
        Op::Invalidate { key, message } => script(&scripts::INVALIDATE, key)
            .text(channel)
            .for_each_key(|call| call.text(message)),
        Op::Bump {
            key,
            kind,
            known,
            how,
            message,
            era,
        } => script(&scripts::BUMP, key)
            .text(kind)
            .shown(known)
            .text(match how {
                Bump::IfOlder => "0",
                Bump::Always => "1",
                Bump::IfThere => "2",
                Bump::ToKnown => "3",
            })
            .text(channel)
            .text(message)
            .shown(era),
        Op::History { key, era, known } => {
            let call = script(&scripts::HISTORY, key);
            let call = match era {
                Some((era, begin)) => call.shown(era).text(match begin {
                    Begin::Always => "0",
                    Begin::IfMissing => "1",
                }),
                None => call.text("").text("0"),
            };
            let (expected, new) = known
                .as_ref()
                .map_or(("", ""), |(expected, new)| (expected, new));
            call.text(expected).text(new)
        }
        Op::Set { key, value, ttl } => {
            let call = Call::command("SET").text(key.as_str()).bytes(value);
            match ttl {
                Some(ttl) => call.text("PX").shown(&milliseconds(*ttl)),
                None => call,
            }
        }
        Op::Delete { key } => Call::command("DEL").text(key.as_str()),
        Op::Exists { key } => Call::command("EXISTS").text(key.as_str()),
        Op::Ttl { key } => Call::command("PTTL").text(key.as_str()),
        Op::Type { key } => Call::command("TYPE").text(key.as_str()),
        Op::Announce {
            key,
            field,
            report,
            prunes,
        } => script(&scripts::ANNOUNCE, key)
            .text(field)
            .text(report)
            .text(if *prunes { "1" } else { "0" }),
        Op::Announced { key } => script(&scripts::ANNOUNCED, key),
        Op::Withdraw { key, field } => Call::command("HDEL").text(key.as_str()).text(field),
        Op::Publish { message } => Call::command("PUBLISH").text(channel).text(message),
        Op::Scan {
            cursor,
            pattern,
            count,
        } => Call::command("SCAN")
            .shown(cursor)
            .text("MATCH")
            .text(pattern)
            .text("COUNT")
            .shown(count.max(&1)),
    }
}
