//! How an operation looks on the wire, and how its answer reads.
//!
//! This is all of Redis that the protocol knows, in terms of no client
//! library: a command or a script with its arguments in, a plain reply out.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

use super::scripts::{self, Script};
use super::{Acquired, Lives, Op, Refused, Released, Replies, Reply};
use crate::key::Key;

/// The longest TTL that is sent: a century.
///
/// A deadline has 13 digits, which last until the year 2286, and servers
/// refuse times that overflow.
const LONGEST_TTL_MS: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// What to call.
#[derive(Clone, Copy, Debug)]
enum Verb {
    /// A command of this name.
    Command(&'static str),
    /// A script, over the keys of the call.
    Script(&'static Script),
}

/// One call, without regard to the client that makes it.
#[derive(Clone, Debug)]
pub(crate) struct Call<'op> {
    verb: Verb,
    /// The keys of a script; of a command, none: they are among `args`.
    keys: Vec<Cow<'op, [u8]>>,
    pub(crate) args: Vec<Cow<'op, [u8]>>,
    /// What follows for each key, of a script that takes several.
    each: Vec<Cow<'op, [u8]>>,
}

/// How many keys one call of a script is given: a server does nothing else
/// until it is done.
const MOST_KEYS: usize = 50;

impl<'op> Call<'op> {
    pub(crate) fn command(name: &'static str) -> Self {
        Self::of(Verb::Command(name))
    }

    fn script(script: &'static Script, key: &'op Key) -> Self {
        let mut call = Self::of(Verb::Script(script));
        call.keys.push(Cow::Borrowed(key.as_str().as_bytes()));
        call
    }

    fn of(verb: Verb) -> Self {
        Self {
            verb,
            keys: Vec::new(),
            args: Vec::new(),
            each: Vec::new(),
        }
    }

    /// Ends what is said once, of a script that takes several keys.
    fn for_each_key(mut self, rest: impl FnOnce(Self) -> Self) -> Self {
        let args = std::mem::take(&mut self.args);
        let mut call = rest(self);
        call.each = std::mem::replace(&mut call.args, args);
        call
    }

    /// Takes the key of another call over, if one call can do the work of both.
    fn join(&mut self, other: Self) -> Result<(), Self> {
        let same_script = match (self.verb, other.verb) {
            (Verb::Script(one), Verb::Script(other)) => std::ptr::eq(one, other),
            _ => false,
        };
        let joins = same_script
            && !other.each.is_empty()
            && self.args == other.args
            && self.keys.len() < MOST_KEYS
            // A script looks at all of its keys before it deletes any.
            && !other.keys.iter().any(|key| self.keys.contains(key));
        if !joins {
            return Err(other);
        }
        self.keys.extend(other.keys);
        self.each.extend(other.each);
        Ok(())
    }

    /// How many words the call has.
    pub(crate) fn count(&self) -> usize {
        let verb = match self.verb {
            Verb::Command(_) => 1,
            Verb::Script(_) => 3,
        };
        verb + self.keys.len() + self.args.len() + self.each.len()
    }

    /// The words of the call, one after the other.
    pub(crate) fn words(&self, mut word: impl FnMut(&[u8])) {
        match self.verb {
            Verb::Command(name) => word(name.as_bytes()),
            Verb::Script(script) => {
                word(b"EVALSHA");
                word(script.sha1.as_bytes());
                word(self.keys.len().to_string().as_bytes());
            }
        }
        let words = self.keys.iter().chain(&self.args).chain(&self.each);
        words.for_each(|text| word(text));
    }

    /// How many operations it runs.
    fn operations(&self) -> usize {
        self.keys.len().max(1)
    }

    pub(crate) fn text(mut self, text: &'op str) -> Self {
        self.args.push(Cow::Borrowed(text.as_bytes()));
        self
    }

    pub(crate) fn bytes(mut self, bytes: &'op [u8]) -> Self {
        self.args.push(Cow::Borrowed(bytes));
        self
    }

    fn shown(mut self, value: &impl ToString) -> Self {
        self.args.push(Cow::Owned(value.to_string().into_bytes()));
        self
    }
}

/// A reply, without regard to the client that received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WireReply {
    Nil,
    Int(i64),
    Bytes(Bytes),
    /// The beginning of a string that is too large.
    Cut(Bytes),
    /// A status, such as `OK`.
    Text(String),
    /// The code of an error.
    Error(String),
    Array(Vec<Self>),
}

/// A TTL in whole milliseconds, as every tier counts it: a key that is meant
/// to live for less lives for one.
pub(crate) fn milliseconds(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis())
        .unwrap_or(u64::MAX)
        .clamp(1, LONGEST_TTL_MS)
}

/// The calls that run `ops` in their order; scripts that tell others do so on
/// `channel`. Operations that follow each other and differ in their keys alone
/// share a call.
///
/// A [`Op::GetMany`] must name at least one key: a server refuses an empty
/// `MGET`.
pub(crate) fn encode<'op>(ops: &'op [Op], channel: &'op str) -> Vec<Call<'op>> {
    let mut calls: Vec<Call<'op>> = Vec::with_capacity(ops.len());
    for op in ops {
        let call = encode_one(op, channel);
        let left = match calls.last_mut() {
            Some(last) => last.join(call),
            None => Err(call),
        };
        calls.extend(left.err());
    }
    calls
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
        } => Call::script(&scripts::ACQUIRE, key)
            .shown(token)
            .shown(&milliseconds(*lease))
            .bytes(observed.as_deref().unwrap_or_default()),
        Op::Fill {
            key,
            token,
            value,
            ttl,
        } => Call::script(&scripts::FILL, key)
            .shown(token)
            .bytes(value)
            .shown(&milliseconds(*ttl)),
        Op::Abandon { key, token } => Call::script(&scripts::ABANDON, key).shown(token),
        Op::Quarantine {
            key,
            writer,
            ttl,
            message,
        } => Call::script(&scripts::QUARANTINE, key)
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
            Call::script(&scripts::RELEASE, key)
                .shown(writer)
                .text(channel)
                .for_each_key(|call| call.text(message).bytes(value).shown(&milliseconds(ttl)))
        }
        Op::Invalidate { key, message } => Call::script(&scripts::INVALIDATE, key)
            .text(channel)
            .for_each_key(|call| call.text(message)),
        Op::Bump {
            key,
            kind,
            known,
            raise,
            message,
        } => Call::script(&scripts::BUMP, key)
            .text(kind)
            .shown(known)
            .text(if *raise { "1" } else { "0" })
            .text(channel)
            .text(message),
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

/// What the replies to `calls` say about `ops`, of which they were made.
///
/// An operation is refused with the server's error, or with the code
/// `UNEXPECTED` where a reply has a shape that no server gives to this call:
/// whoever answers is not a Redis.
pub(crate) fn decode(ops: &[Op], calls: &[Call<'_>], replies: Vec<WireReply>) -> Replies {
    let mut ops = ops.iter();
    let mut decoded = Vec::with_capacity(ops.len());
    for (call, reply) in calls.iter().zip(replies) {
        let count = call.operations();
        let each = match reply {
            WireReply::Array(replies) if count > 1 && replies.len() == count => replies,
            reply if count == 1 => vec![reply],
            error @ WireReply::Error(_) => vec![error; count],
            _ => vec![WireReply::Nil; count],
        };
        let read = each.into_iter().zip(&mut ops);
        decoded.extend(read.map(|(reply, op)| decode_one(op, reply)));
    }
    decoded
}

fn decode_one(op: &Op, reply: WireReply) -> Result<Reply, Refused> {
    if let WireReply::Error(line) = reply {
        return refused(op, &line);
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
        Op::Acquire { .. } => acquired(reply).map(Reply::Acquired),
        Op::Fill { .. } => flag(&reply).map(Reply::Filled),
        Op::Release { .. } => match reply {
            WireReply::Int(0) => Some(Reply::Released(Released::Lost)),
            WireReply::Int(1) => Some(Reply::Released(Released::Intact)),
            WireReply::Int(2) => Some(Reply::Released(Released::Stored)),
            _ => None,
        },
        Op::Abandon { .. } | Op::Quarantine { .. } | Op::Invalidate { .. } => {
            flag(&reply).map(|_| Reply::Done)
        }
        Op::Set { .. } => matches!(reply, WireReply::Text(_)).then_some(Reply::Done),
        Op::Delete { .. } | Op::Exists { .. } => flag(&reply).map(Reply::Existed),
        Op::Bump { .. } => match reply {
            WireReply::Int(epoch) => u64::try_from(epoch).ok().map(Reply::Epoch),
            _ => None,
        },
        Op::Ttl { .. } => lives(&reply).map(Reply::Lives),
        Op::Publish { .. } => matches!(reply, WireReply::Int(_)).then_some(Reply::Done),
        Op::Scan { .. } => page(reply),
    };
    read.ok_or_else(|| Refused {
        code: "UNEXPECTED".to_owned(),
    })
}

/// A key of another type was put there by somebody else and counts as absent;
/// it says nothing about the server's health.
fn refused(op: &Op, line: &str) -> Result<Reply, Refused> {
    let code = line.split_whitespace().next().unwrap_or("ERR");
    match op {
        Op::Get { .. } if code == "WRONGTYPE" => Ok(Reply::Value(None)),
        _ => Err(Refused {
            code: code.to_owned(),
        }),
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

/// A key that is not UTF-8 is none of ours, and a repaired name would be the
/// name of another key: such keys are left out.
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
