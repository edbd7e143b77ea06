//! A simulated Redis. Its state is a `memory://` tier, which the conformance
//! suite compares with Redis. This module adds a protocol, a history, and ways
//! to lose data.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use aside_redis::{WireReply, resp::Sent};
use bytes::Bytes;
use parking_lot::Mutex;

use super::Trace;
use super::commands::{array, encode, error, integer, operations, status, string};
use crate::entity::key::Key;
use crate::memory::snapshot::Snapshot;
use crate::memory::{MemoryTier, Subscription};
use crate::protocol::{Op, Reply};
use crate::runtime::simulated::{Rule, watch, without};

/// Far more than a run writes.
const LIMIT_BYTES: usize = 1 << 24;

/// Sends a push to one client.
pub(super) type Push = Box<dyn Fn(&Sent) + Send + Sync>;

pub(super) struct Server {
    memory: Arc<MemoryTier>,
    _subscription: Subscription,
    /// The messages published by the current operation.
    published: Arc<Mutex<Vec<String>>>,
    /// False while its process is suspended.
    runs: watch::Sender<bool>,
    /// True if a message precedes the reply on its publisher's connection, as
    /// before Redis 7.2; otherwise it follows.
    tells_ahead: bool,
    state: Mutex<State>,
    trace: Trace,
}

struct State {
    /// The current history; each start begins a new one.
    history: u64,
    knows_scripts: bool,
    subscribers: BTreeMap<u64, Push>,
    /// The states to restore at a crash, oldest first.
    saved: Vec<Snapshot>,
}

impl Server {
    pub(super) fn new(trace: Trace, tells_ahead: bool) -> Arc<Self> {
        let memory = MemoryTier::private(LIMIT_BYTES);
        let published = Arc::new(Mutex::new(Vec::new()));
        let hear = Arc::clone(&published);
        let subscription = memory.subscribe(Arc::new(move |text: &str| {
            hear.lock().push(text.to_owned())
        }));
        Arc::new(Self {
            state: Mutex::new(State {
                history: 1,
                knows_scripts: false,
                subscribers: BTreeMap::new(),
                saved: vec![memory.snapshot()],
            }),
            memory,
            _subscription: subscription,
            published,
            runs: watch::Sender::new(true),
            tells_ahead,
            trace,
        })
    }

    /// Waits while the server is suspended.
    pub(super) async fn running(&self) {
        let _ = self.runs.subscribe().wait_for(|runs| *runs).await;
    }

    pub(super) fn stop(&self) {
        self.runs.send_replace(false);
    }

    pub(super) fn go_on(&self) {
        self.runs.send_replace(true);
    }

    /// Saves the state for the next crash.
    pub(super) fn save(&self) {
        self.state.lock().saved.push(self.memory.snapshot());
    }

    /// Restarts the server, or promotes another: with the state of `back` saves
    /// ago, or empty, in a new history.
    pub(super) fn begin_history(&self, back: Option<usize>) {
        let mut state = self.state.lock();
        let saved = state.saved.len();
        let at = back.map_or(0, |back| saved.saturating_sub(1 + back));
        let snapshot = state.saved[at].clone();
        state.saved.truncate(at + 1);
        state.history += 1;
        state.knows_scripts = false;
        state.subscribers.clear();
        self.memory.restore(snapshot);
    }

    pub(super) fn forget_scripts(&self) {
        self.state.lock().knows_scripts = false;
    }

    /// Removes one key, in any state.
    pub(super) fn evict(&self, key: &str) {
        let _ = self.memory.run(&Op::Delete { key: Key::new(key) });
    }

    pub(super) fn evict_epochs(&self) {
        self.memory.forget_epochs();
    }

    /// Removes all keys without a new history.
    pub(super) fn flush(&self) {
        let empty = self.state.lock().saved[0].clone();
        self.memory.restore(empty);
    }

    pub(super) fn unsubscribe(&self, connection: u64) {
        self.state.lock().subscribers.remove(&connection);
    }

    /// Runs one command of a connection. Returns the reply.
    pub(super) fn execute(
        &self,
        connection: u64,
        words: &[Bytes],
        push: impl FnOnce() -> Push,
    ) -> Sent {
        let text = |at: usize| String::from_utf8_lossy(words.get(at).map_or(b"", |it| it));
        Sent::Reply(match &*text(0) {
            "HELLO" => array([string("proto"), integer(3)]),
            "CLIENT" => status("OK"),
            "PING" => status("PONG"),
            "INFO" => {
                let history = self.state.lock().history;
                string(&format!(
                    "redis_version:7.4.0\r\nrole:master\r\nmaster_replid:{history:040x}\r\n\
                     maxmemory_policy:noeviction\r\n"
                ))
            }
            "TIME" => {
                let now = self.memory.time();
                let micros = format!("{}000", now % 1000);
                array([string(&(now / 1000).to_string()), string(&micros)])
            }
            "HGET" => {
                let field = self.memory.field_under(&Key::new(&text(1)), &text(2));
                field.map_or(WireReply::Nil, |field| string(&field))
            }
            "HSETNX" => {
                let epoch = text(3).parse().unwrap_or(0);
                let put = self.memory.put_epoch(&Key::new(&text(1)), &text(2), epoch);
                integer(u64::from(put))
            }
            "SCRIPT" => {
                self.state.lock().knows_scripts = true;
                string("loaded")
            }
            "SUBSCRIBE" => {
                self.state.lock().subscribers.insert(connection, push());
                let channel = WireReply::Bytes(words[1].clone());
                return Sent::Push(vec![string("subscribe"), channel, integer(1)]);
            }
            "EVALSHA" if !self.state.lock().knows_scripts => {
                error("NOSCRIPT No matching script. Please use EVAL.")
            }
            _ => match operations(words).as_deref() {
                Some(ops) => {
                    let mut replies: Vec<_> =
                        ops.iter().map(|op| self.run(connection, op)).collect();
                    match replies.len() {
                        1 => replies.remove(0),
                        _ => array(replies),
                    }
                }
                None => error(&format!("ERR unknown command {}", text(0))),
            },
        })
    }

    fn run(&self, connection: u64, op: &Op) -> WireReply {
        let reply = match op {
            Op::Fill {
                key, value, ttl, ..
            } if without(Rule::LeaseToFill) => {
                let (key, value, ttl) = (key.clone(), value.clone(), Some(*ttl));
                let set = self.memory.run(&Op::Set { key, value, ttl });
                set.map(|_| Reply::Filled(true))
            }
            op => self.memory.run(op),
        };
        self.trace.note(|text| {
            let _ = write!(text, "redis {connection}: {} -> {}", told(op), told(&reply));
        });
        encode(reply)
    }

    pub(super) fn tells_ahead(&self) -> bool {
        self.tells_ahead
    }

    /// Sends the published messages as one.
    pub(super) fn publish(&self) {
        let lines = std::mem::take(&mut *self.published.lock());
        if lines.is_empty() || without(Rule::Messages) {
            return;
        }
        let message = &lines.join("\n");
        let parts = ["message", "aside:invalidate", message].map(string);
        let pushed = Sent::Push(parts.to_vec());
        for push in self.state.lock().subscribers.values() {
            push(&pushed);
        }
    }
}

/// Formats a value for the trace, with bytes as text.
fn told(what: &impl std::fmt::Debug) -> String {
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
