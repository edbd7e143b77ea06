//! A minimal model of the protocol: one key, no time.

use std::mem::take;

use crate::protocol::value::Header;
use crate::protocol::{Acquired, Op, Released, Reply, Stamped, Token};

/// The fill and the refresh field of a header.
const FILL: std::ops::Range<usize> = 50..62;
const REFRESH: std::ops::Range<usize> = 82..114;

/// The state of the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Held {
    #[default]
    Nothing,
    Foreign(Vec<u8>),
    Value(Vec<u8>),
    Lease(Token),
    Writers(Vec<Token>, bool),
}

use Held::{Foreign, Lease, Nothing, Value, Writers};

/// One key and its messages.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) held: Held,
    pub(super) said: Vec<String>,
}

impl Model {
    pub(super) fn run(&mut self, op: &Op) -> Reply {
        let held = take(&mut self.held);
        let (held, reply, said) = match (op, held) {
            (Op::Acquire { observed, .. }, Value(value))
                if !observed
                    .as_ref()
                    .is_some_and(|header| value.starts_with(header)) =>
            {
                let reply = Reply::Acquired(Acquired::Value(value.clone()));
                (Value(value), reply, None)
            }
            (Op::Acquire { .. }, held @ Lease(_)) => (held, Reply::Acquired(Acquired::Wait), None),
            (Op::Acquire { .. }, held @ Writers(..)) => {
                (held, Reply::Acquired(Acquired::Quarantined), None)
            }
            (Op::Acquire { token, .. }, _) => {
                (Lease(*token), Reply::Acquired(Acquired::Granted), None)
            }
            (Op::Stamp { .. }, held @ Writers(..)) => {
                (held, Reply::Stamped(Stamped::Quarantined), None)
            }
            (Op::Stamp { .. }, held @ Lease(token)) => {
                (held, Reply::Stamped(Stamped::At(token.stamp())), None)
            }
            (Op::Stamp { context, stamp, .. }, held) => {
                let there = match &held {
                    Value(value) => Header::parse(value),
                    _ => None,
                };
                match there.and_then(|header| context.stamp_in(&header, 0)) {
                    Some(there) => (held, Reply::Stamped(Stamped::At(there)), None),
                    None => {
                        let mark = Value(context.mark(*stamp, 0));
                        (mark, Reply::Stamped(Stamped::At(*stamp)), None)
                    }
                }
            }
            (Op::Refresh { fill, token, .. }, Value(value)) => {
                let name = token.to_string();
                let claim = match Header::parse(&value) {
                    Some(_) => value[REFRESH].to_vec(),
                    None => Vec::new(),
                };
                let is_free =
                    claim == [b'0'; 32] && value[FILL] == *format!("{fill:012x}").as_bytes();
                match claim == name.as_bytes() {
                    true => (Value(value), Reply::Claimed(true), None),
                    false if is_free => {
                        let mut value = value;
                        value[REFRESH].copy_from_slice(name.as_bytes());
                        (Value(value), Reply::Claimed(true), None)
                    }
                    false => (Value(value), Reply::Claimed(false), None),
                }
            }
            (Op::Refresh { .. }, held) => (held, Reply::Claimed(false), None),
            (Op::Fill { token, value, .. }, held) => match is_held_by(&held, *token) {
                true => (Value(value.clone()), Reply::Filled(true), None),
                false => (held, Reply::Filled(false), None),
            },
            (Op::Abandon { token, .. }, held) => match held == Lease(*token) {
                true => (Nothing, Reply::Done, None),
                false => (held, Reply::Done, None),
            },
            (
                Op::Quarantine {
                    writer, message, ..
                },
                held,
            ) => {
                let (mut writers, clean) = match held {
                    Writers(writers, _) => (writers, false),
                    _ => (Vec::new(), true),
                };
                writers.retain(|other| other != writer);
                writers.push(*writer);
                (Writers(writers, clean), Reply::Done, Some(message))
            }
            (
                Op::Release {
                    writer,
                    value,
                    message,
                    ..
                },
                Writers(mut writers, clean),
            ) => {
                let before = writers.len();
                writers.retain(|other| other != writer);
                let own = writers.len() < before;
                match (own, clean, value) {
                    (true, true, Some((value, _))) if writers.is_empty() => (
                        Value(value.clone()),
                        Reply::Released(Released::Stored),
                        None,
                    ),
                    (true, ..) => (dirty(writers), Reply::Released(Released::Intact), None),
                    (false, ..) => (
                        dirty(writers),
                        Reply::Released(Released::Lost),
                        Some(message),
                    ),
                }
            }
            (Op::Release { message, .. }, _) => {
                (Nothing, Reply::Released(Released::Lost), Some(message))
            }
            (Op::Invalidate { message, .. }, Writers(writers, _)) => {
                (dirty(writers), Reply::Done, Some(message))
            }
            (Op::Invalidate { message, .. }, Value(value)) if value.len() < 48 => {
                (Value(value), Reply::Done, Some(message))
            }
            (Op::Invalidate { message, .. }, held @ Foreign(_)) => {
                (held, Reply::Done, Some(message))
            }
            (Op::Invalidate { message, .. }, _) => (Nothing, Reply::Done, Some(message)),
            (Op::Set { value, .. }, _) if value.starts_with(b"V") => {
                (Value(value.clone()), Reply::Done, None)
            }
            (Op::Set { value, .. }, _) => (Foreign(value.clone()), Reply::Done, None),
            (Op::Delete { .. }, held) => (Nothing, Reply::Existed(held != Nothing), None),
            (other, _) => panic!("not in the model: {other:?}"),
        };
        self.held = held;
        self.said.extend(said.cloned());
        reply
    }
}

/// Returns true if a token may fill: it is the lease, or in the refresh field.
fn is_held_by(held: &Held, token: Token) -> bool {
    match held {
        Lease(lease) => *lease == token,
        Value(value) => value.get(REFRESH) == Some(token.to_string().as_bytes()),
        _ => false,
    }
}

fn dirty(writers: Vec<Token>) -> Held {
    match writers.is_empty() {
        true => Nothing,
        false => Writers(writers, false),
    }
}
