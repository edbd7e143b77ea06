//! The commands of the simulated server: calls as operations, results as replies.

use std::time::Duration;

use aside_redis::{Refusal, WireReply};
use bytes::Bytes;

use crate::entity::key::Key;
use crate::protocol::value::{KeyStamp, StampContext};
use crate::protocol::{
    Acquired, Begin, Bump, Era, Op, Refused, Released, Reply, Stamped, Token, scripts,
};

/// Returns the operations of a call: the inverse of `commands::encode`.
pub(super) fn operations(words: &[Bytes]) -> Option<Vec<Op>> {
    let text = |at: usize| std::str::from_utf8(words.get(at)?).ok();
    let number = |at: usize| text(at)?.parse::<u64>().ok();
    let key = |at: usize| text(at).map(Key::new);
    let message = |at: usize| text(at).map(str::to_owned);
    let op = match text(0)? {
        "GET" => Op::Get { key: key(1)? },
        "MGET" => {
            let keys = (1..words.len()).map(key).collect::<Option<_>>()?;
            Op::GetMany { keys }
        }
        "GETRANGE" => Op::GetHeader { key: key(1)? },
        "EXISTS" => Op::Exists { key: key(1)? },
        "PUBLISH" => Op::Publish {
            message: message(2)?,
        },
        "SCAN" => Op::Scan {
            cursor: number(1)?,
            pattern: message(3)?,
            count: usize::try_from(number(5)?).ok()?,
        },
        "EVALSHA" => {
            let script = scripts::all()
                .into_iter()
                .find(|script| Some(script.sha1()) == text(1))?;
            let (keys, args) = words[3..].split_at_checked(usize::try_from(number(2)?).ok()?)?;
            let each = keys.iter().enumerate();
            let ops = each.map(|(at, key)| scripted(script.name(), key, at, args));
            return ops.collect();
        }
        _ => return None,
    };
    Some(vec![op])
}

/// Returns the operation of a script on the key at `at` among its keys.
fn scripted(script: &str, key: &[u8], at: usize, args: &[Bytes]) -> Option<Op> {
    let text = |at: usize| std::str::from_utf8(args.get(at)?).ok();
    let number = |at: usize| text(at)?.parse::<u64>().ok();
    let millis = |at: usize| number(at).map(Duration::from_millis);
    let token = |at: usize| {
        let number = u128::from_str_radix(text(at)?, 16).ok()?;
        Some(Token::from_number(number))
    };
    let message = |at: usize| text(at).map(str::to_owned);
    let key = Key::new(std::str::from_utf8(key).ok()?);
    Some(match script {
        "acquire" => Op::Acquire {
            key,
            token: token(0)?,
            lease: millis(1)?,
            observed: args
                .get(2)
                .filter(|it| !it.is_empty())
                .map(|it| it.to_vec()),
        },
        "stamp" => Op::Stamp {
            key,
            context: StampContext {
                history: u64::from_str_radix(text(0)?, 16).ok()?,
                epoch: number(1)?,
            },
            stamp: KeyStamp::parse(args.get(2)?)?,
            ttl: millis(3)?,
        },
        "fill" => Op::Fill {
            key,
            token: token(0)?,
            value: args.get(1)?.to_vec(),
            ttl: millis(2)?,
        },
        "refresh" => Op::Refresh {
            key,
            fill: u64::from_str_radix(text(0)?, 16).ok()?,
            token: token(1)?,
        },
        "abandon" => Op::Abandon {
            key,
            token: token(0)?,
        },
        "quarantine" => Op::Quarantine {
            key,
            writer: token(0)?,
            ttl: millis(1)?,
            message: message(3 + at)?,
        },
        "release" => Op::Release {
            key,
            writer: token(0)?,
            message: message(2 + 3 * at)?,
            value: match args.get(3 + 3 * at)? {
                empty if empty.is_empty() => None,
                value => Some((value.to_vec(), millis(4 + 3 * at)?)),
            },
        },
        "invalidate" => Op::Invalidate {
            key,
            message: message(1 + at)?,
        },
        "bump" => Op::Bump {
            key,
            kind: message(0)?,
            known: number(1)?,
            how: match text(2)? {
                "0" => Bump::IfOlder,
                "1" => Bump::Always,
                "2" => Bump::IfThere,
                _ => Bump::ToKnown,
            },
            message: message(4)?,
            era: Era::parse(args.get(5)?),
        },
        "history" => Op::History {
            key,
            era: (!text(0)?.is_empty()).then_some((
                Era::parse(args.first()?),
                match text(1)? {
                    "1" => Begin::IfMissing,
                    _ => Begin::Always,
                },
            )),
            known: (!text(3)?.is_empty()).then_some((message(2)?, message(3)?)),
        },
        _ => return None,
    })
}

/// Returns the reply to an operation: the inverse of `commands::decode`.
pub(super) fn encode(reply: Result<Reply, Refused>) -> WireReply {
    let maybe = |bytes: Option<Bytes>| bytes.map_or(WireReply::Nil, WireReply::Bytes);
    match reply {
        Err(refused) => WireReply::Error(refused.refusal),
        Ok(Reply::Done) => integer(1),
        Ok(Reply::Value(bytes)) => maybe(bytes),
        Ok(Reply::Cut(bytes)) => maybe(Some(bytes)),
        Ok(Reply::Values(values)) => array(values.into_iter().map(maybe)),
        Ok(Reply::Acquired(acquired)) => {
            let (code, detail) = match acquired {
                Acquired::Value(bytes) => (0, bytes),
                Acquired::Granted => (1, Vec::new()),
                Acquired::Wait => (2, Vec::new()),
                Acquired::Quarantined => (3, Vec::new()),
            };
            array([integer(code), WireReply::Bytes(detail.into())])
        }
        Ok(Reply::Stamped(stamped)) => match stamped {
            Stamped::At(stamp) => array([integer(1), string(&stamp.to_string())]),
            Stamped::Quarantined => array([integer(3), integer(0)]),
        },
        Ok(Reply::Filled(flag) | Reply::Claimed(flag) | Reply::Existed(flag)) => {
            integer(u64::from(flag))
        }
        Ok(Reply::Released(released)) => integer(match released {
            Released::Lost => 0,
            Released::Intact => 1,
            Released::Stored => 2,
        }),
        Ok(Reply::Epoch(epoch)) => integer(epoch),
        Ok(Reply::History { era, known }) => {
            let era = (era != Era::default()).then(|| era.to_string());
            array([string(&era.unwrap_or_default()), string(&known)])
        }
        Ok(Reply::Lives(_) | Reply::Type(_) | Reply::Announced { .. }) => {
            error("ERR not of this world")
        }
        Ok(Reply::Page { cursor, keys }) => {
            let keys = array(keys.iter().map(|key| string(key)));
            array([string(&cursor.to_string()), keys])
        }
    }
}

/// Returns true for operations that a replica accepts too.
pub(super) fn reads(op: &Op) -> bool {
    matches!(
        op,
        Op::Get { .. }
            | Op::GetMany { .. }
            | Op::GetHeader { .. }
            | Op::Exists { .. }
            | Op::Publish { .. }
            | Op::Scan { .. }
    )
}

/// Formats a value for the trace, with bytes as text.
pub(super) fn told(what: &impl std::fmt::Debug) -> String {
    let mut told = String::new();
    let debug = format!("{what:?}");
    let mut rest = debug.as_str();
    while let Some((before, bytes)) = rest.split_once("[") {
        let (bytes, after) = bytes.split_once(']').unwrap_or((bytes, ""));
        let numbers: Option<Vec<u8>> = bytes.split(", ").map(|byte| byte.parse().ok()).collect();
        told.push_str(before);
        match numbers {
            Some(numbers) => told.push_str(&String::from_utf8_lossy(&numbers)),
            None => told.push_str(bytes),
        }
        rest = after;
    }
    told + rest
}

pub(super) fn string(text: &str) -> WireReply {
    WireReply::Bytes(text.to_owned().into())
}

pub(super) fn status(text: &str) -> WireReply {
    WireReply::Text(text.to_owned())
}

pub(super) fn error(line: &str) -> WireReply {
    WireReply::Error(Refusal::parse(line))
}

/// Numbers of this server are far from the end of their range.
pub(super) fn integer(number: u64) -> WireReply {
    WireReply::Int(number.cast_signed())
}

pub(super) fn array(items: impl IntoIterator<Item = WireReply>) -> WireReply {
    WireReply::Array(items.into_iter().collect())
}
