//! Decoding of replies.

use std::time::Duration;

use aside_redis::{Call, Refusal, WireReply, printable};
use bytes::Bytes;

use crate::protocol::value::KeyStamp;
use crate::protocol::{
    Acquired, Era, Lives, Op, Refused, Released, Replies, Reply, Report, Stamped,
};

/// Decodes the replies to `calls` into results of `ops`.
///
/// An operation is refused with the server's error, or with the code
/// `UNEXPECTED` if no Redis would send such a reply to this call.
pub(crate) fn decode(ops: &[Op], calls: &[Call<'_>], replies: Vec<WireReply>) -> Replies {
    let mut ops = ops.iter();
    let mut decoded = Vec::with_capacity(ops.len());
    for (call, reply) in calls.iter().zip(replies) {
        let count = call.operations();
        let each = match reply {
            WireReply::Array(replies) if count > 1 && replies.len() == count => replies,
            reply if count == 1 => vec![reply],
            error if error.error_code().is_some() => vec![error; count],
            _ => vec![WireReply::Nil; count],
        };
        let read = each.into_iter().zip(&mut ops);
        decoded.extend(read.map(|(reply, op)| decode_one(op, reply)));
    }
    decoded
}

fn decode_one(op: &Op, reply: WireReply) -> Result<Reply, Refused> {
    if let WireReply::Redirect(redirect) = reply {
        return Err(Refused::redirected(redirect));
    }
    if let Some(refusal) = reply.refusal() {
        return refused(op, refusal);
    }
    let read = match op {
        Op::Get { .. } => match reply {
            WireReply::Cut(beginning) => Some(Reply::Cut(beginning)),
            reply => value(reply).map(Reply::Value),
        },
        Op::GetMany { keys } => array(reply)
            .filter(|found| found.len() == keys.len())
            .and_then(|found| found.into_iter().map(value).collect())
            .map(Reply::Values),
        // An absent key is an empty text.
        Op::GetHeader { .. } => {
            value(reply).map(|bytes| Reply::Value(bytes.filter(|bytes| !bytes.is_empty())))
        }
        Op::Stamp { .. } => stamped(reply).map(Reply::Stamped),
        Op::Acquire { .. } => acquired(reply).map(Reply::Acquired),
        Op::Refresh { .. } => flag(&reply).map(Reply::Claimed),
        Op::Fill { .. } => flag(&reply).map(Reply::Filled),
        Op::Release { .. } => match reply {
            WireReply::Int(0) => Some(Reply::Released(Released::Lost)),
            WireReply::Int(1) => Some(Reply::Released(Released::Intact)),
            WireReply::Int(2) => Some(Reply::Released(Released::Stored)),
            _ => None,
        },
        Op::Abandon { .. }
        | Op::Quarantine { .. }
        | Op::Invalidate { .. }
        | Op::Announce { .. } => flag(&reply).map(|_| Reply::Done),
        Op::Announced { .. } => announced(reply),
        Op::Set { .. } => matches!(reply, WireReply::Text(_)).then_some(Reply::Done),
        Op::Delete { .. } | Op::Exists { .. } | Op::Withdraw { .. } => {
            flag(&reply).map(Reply::Existed)
        }
        Op::Bump { .. } => match reply {
            WireReply::Int(epoch) => u64::try_from(epoch).ok().map(Reply::Epoch),
            _ => None,
        },
        Op::History { .. } => history(reply),
        Op::Ttl { .. } => lives(&reply).map(Reply::Lives),
        Op::Type { .. } => match reply {
            WireReply::Text(name) => Some(Reply::Type(printable(&name))),
            _ => None,
        },
        Op::Publish { .. } => matches!(reply, WireReply::Int(_)).then_some(Reply::Done),
        Op::Scan { .. } => page(reply),
    };
    read.ok_or_else(|| Refused::with("UNEXPECTED"))
}

/// A key of another type was written by another program and counts as absent;
/// it says nothing about the server's health.
fn refused(op: &Op, refusal: Refusal) -> Result<Reply, Refused> {
    let refused = Refused::from(refusal);
    match op {
        Op::Get { .. } | Op::GetHeader { .. } if refused.is_wrong_type() => Ok(Reply::Value(None)),
        _ => Err(refused),
    }
}

fn value(reply: WireReply) -> Option<Option<Bytes>> {
    match reply {
        WireReply::Nil => Some(None),
        WireReply::Bytes(bytes) | WireReply::Cut(bytes) => Some(Some(bytes)),
        _ => None,
    }
}

fn array(reply: WireReply) -> Option<Vec<WireReply>> {
    match reply {
        WireReply::Array(items) => Some(items),
        _ => None,
    }
}

fn flag(reply: &WireReply) -> Option<bool> {
    match reply {
        WireReply::Int(0) => Some(false),
        WireReply::Int(1) => Some(true),
        _ => None,
    }
}

fn acquired(reply: WireReply) -> Option<Acquired> {
    let [code, detail] = <[WireReply; 2]>::try_from(array(reply)?).ok()?;
    match (code, detail) {
        (WireReply::Int(0), WireReply::Bytes(value) | WireReply::Cut(value)) => {
            Some(Acquired::Value(value.into()))
        }
        (WireReply::Int(1), _) => Some(Acquired::Granted),
        (WireReply::Int(2), _) => Some(Acquired::Wait),
        (WireReply::Int(3), _) => Some(Acquired::Quarantined),
        _ => None,
    }
}

fn stamped(reply: WireReply) -> Option<Stamped> {
    let [code, detail] = <[WireReply; 2]>::try_from(array(reply)?).ok()?;
    match (code, detail) {
        (WireReply::Int(1), WireReply::Bytes(stamp)) => KeyStamp::parse(&stamp).map(Stamped::At),
        (WireReply::Int(3), _) => Some(Stamped::Quarantined),
        _ => None,
    }
}

fn history(reply: WireReply) -> Option<Reply> {
    let [era, known] = <[WireReply; 2]>::try_from(array(reply)?).ok()?;
    let (era, known) = (value(era)??, value(known)??);
    Some(Reply::History {
        era: Era::parse(&era),
        // If it is not UTF-8, no instance wrote it, and the next one to read it
        // replaces it.
        known: String::from_utf8_lossy(&known).into_owned(),
    })
}

/// Skips reports that another program wrote.
fn announced(reply: WireReply) -> Option<Reply> {
    let [now, all] = <[WireReply; 2]>::try_from(array(reply)?).ok()?;
    let WireReply::Int(now) = now else {
        return None;
    };
    let texts = array(all)?.into_iter().map(|text| {
        let bytes = value(text)??;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    });
    let texts: Vec<String> = texts.collect::<Option<_>>()?;
    let pairs = texts.chunks_exact(2);
    Some(Reply::Announced {
        now: u64::try_from(now).ok()?,
        reports: pairs
            .filter_map(|pair| Report::parse(&pair[0], &pair[1]))
            .collect(),
    })
}

fn lives(reply: &WireReply) -> Option<Lives> {
    match reply {
        WireReply::Int(-2) => Some(Lives::Absent),
        WireReply::Int(-1) => Some(Lives::Forever),
        WireReply::Int(left) => u64::try_from(*left)
            .ok()
            .map(|left| Lives::For(Duration::from_millis(left))),
        _ => None,
    }
}

/// Skips keys that are not UTF-8: the library never writes them, and a repaired
/// name would be the name of another key.
fn page(reply: WireReply) -> Option<Reply> {
    let [cursor, keys] = <[WireReply; 2]>::try_from(array(reply)?).ok()?;
    let WireReply::Bytes(cursor) = cursor else {
        return None;
    };
    let cursor = std::str::from_utf8(&cursor).ok()?.parse().ok()?;
    let mut named = Vec::new();
    for key in array(keys)? {
        named.extend(String::from_utf8(value(key)??.into()).ok());
    }
    Some(Reply::Page {
        cursor,
        keys: named,
    })
}
