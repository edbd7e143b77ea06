//! Encoding of operations as Redis commands, and decoding of replies.
//!
//! Independent of any client library: a command or a script with its arguments
//! goes out, a plain reply comes in.

mod replies;

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

pub(crate) use replies::decode;

use super::scripts::{self, Script};
use super::{Begin, Bump, Op};
use crate::entity::key::Key;

/// The longest TTL that is sent: a century.
///
/// A deadline has 13 digits, which last until the year 2286, and servers refuse
/// times that overflow.
const LONGEST_TTL_MS: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// The command or script of a call.
#[derive(Clone, Copy, Debug)]
enum Verb {
    /// A command by name.
    Command(&'static str),
    /// A script, which runs over the keys of the call.
    Script(&'static Script),
}

/// A call, independent of the client.
#[derive(Clone, Debug)]
pub(crate) struct Call<'op> {
    verb: Verb,
    /// The keys of a script; empty for a command, whose keys are in `args`.
    keys: Vec<Cow<'op, [u8]>>,
    pub(crate) args: Vec<Cow<'op, [u8]>>,
    /// The arguments per key, of a script that takes several keys.
    each: Vec<Cow<'op, [u8]>>,
}

/// The maximum number of keys per script call, because a script blocks the
/// server.
const MOST_KEYS: usize = 50;

impl<'op> Call<'op> {
    pub(crate) fn command(name: &'static str) -> Self {
        Self::of(Verb::Command(name))
    }

    fn script(script: &'static Script, key: &'op [u8]) -> Self {
        let mut call = Self::of(Verb::Script(script));
        call.keys.push(Cow::Borrowed(key));
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

    /// Moves the arguments that `rest` appends to `each`.
    fn for_each_key(mut self, rest: impl FnOnce(Self) -> Self) -> Self {
        let args = std::mem::take(&mut self.args);
        let mut call = rest(self);
        call.each = std::mem::replace(&mut call.args, args);
        call
    }

    /// Adds another call's key, if one call can serve both. A script reads all
    /// of its keys before it deletes any.
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

    /// Returns the number of words of the call.
    pub(crate) fn count(&self) -> usize {
        let verb = match self.verb {
            Verb::Command(_) => 1,
            Verb::Script(_) => 3,
        };
        verb + self.keys.len() + self.args.len() + self.each.len()
    }

    /// Calls `word` with each word of the call.
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

    /// Returns the number of operations it runs.
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

/// A reply, independent of the client.
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

/// Returns a TTL in whole milliseconds, at least one, as every tier counts it.
pub(crate) fn milliseconds(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis())
        .unwrap_or(u64::MAX)
        .clamp(1, LONGEST_TTL_MS)
}

/// Encodes `ops` as calls in their order; scripts publish on `channel`.
/// Consecutive operations that differ only in their keys share a call.
///
/// A [`Op::GetMany`] must name at least one key, because servers refuse an
/// empty `MGET`.
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
