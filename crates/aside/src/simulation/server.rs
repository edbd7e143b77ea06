//! A simulated Redis. Its state is a `memory://` tier, which the conformance
//! suite compares with Redis. This module adds a protocol, a history, and ways
//! to lose data.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aside_redis::{WireReply, resp::Sent};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Trace;
use super::commands::{array, encode, error, integer, operations, reads, status, string, told};
use super::host::{Host, Machine, Push};
use crate::entity::key::Key;
use crate::memory::snapshot::{Exported, Snapshot};
use crate::memory::{MemoryTier, Subscription};
use crate::protocol::value::Header;
use crate::protocol::{Op, Reply};
use crate::runtime::simulated::{Rule, without};

/// Far more than a run writes.
const LIMIT_BYTES: usize = 1 << 24;

const READ_ONLY: &str = "READONLY You can't write against a read only replica.";

/// A state on its way to a replica, and the time of its write.
pub(super) struct Copied {
    pub(super) written: Instant,
    pub(super) snapshot: Snapshot,
}

pub(super) struct Server {
    memory: Arc<MemoryTier>,
    _subscription: Subscription,
    /// The messages published by the current operation.
    published: Arc<Mutex<Vec<String>>>,
    machine: Machine,
    tells_ahead: bool,
    /// The number of histories of all servers of the world.
    histories: Arc<AtomicU64>,
    state: Mutex<State>,
    trace: Trace,
}

struct State {
    /// The current history; each start begins a new one.
    history: u64,
    is_replica: bool,
    /// Where each state goes after a write.
    replicas: Vec<mpsc::UnboundedSender<Copied>>,
    knows_scripts: bool,
    subscribers: BTreeMap<u64, Push>,
    /// The states to restore at a crash, oldest first.
    saved: Vec<Snapshot>,
}

impl Server {
    /// Creates a primary in a history that no other server has.
    pub(super) fn new(trace: Trace, tells_ahead: bool, histories: Arc<AtomicU64>) -> Arc<Self> {
        let memory = MemoryTier::private(LIMIT_BYTES);
        let published = Arc::new(Mutex::new(Vec::new()));
        let hear = Arc::clone(&published);
        let subscription = memory.subscribe(Arc::new(move |text: &str| {
            hear.lock().push(text.to_owned())
        }));
        Arc::new(Self {
            state: Mutex::new(State {
                history: 1 + histories.fetch_add(1, Ordering::Relaxed),
                is_replica: false,
                replicas: Vec::new(),
                knows_scripts: false,
                subscribers: BTreeMap::new(),
                saved: vec![memory.snapshot()],
            }),
            memory,
            _subscription: subscription,
            published,
            machine: Machine::new(),
            tells_ahead,
            histories,
            trace,
        })
    }

    /// Saves the state for the next crash.
    pub(super) fn save(&self) {
        self.state.lock().saved.push(self.memory.snapshot());
    }

    /// Restarts the server, with the state of `back` saves ago, or empty, in a
    /// new history.
    pub(super) fn begin_history(&self, back: Option<usize>) {
        let mut state = self.state.lock();
        let saved = state.saved.len();
        let at = back.map_or(0, |back| saved.saturating_sub(1 + back));
        let snapshot = state.saved[at].clone();
        state.saved.truncate(at + 1);
        state.history = self.next_history();
        state.replicas.clear();
        state.knows_scripts = false;
        state.subscribers.clear();
        self.memory.restore(snapshot);
    }

    fn next_history(&self) -> u64 {
        1 + self.histories.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes a replica the primary of a new history.
    pub(super) fn promote(&self) {
        let mut state = self.state.lock();
        state.is_replica = false;
        state.history = self.next_history();
    }

    /// Makes the server a replica. Its state stays until it is copied to.
    pub(super) fn demote(&self) {
        let mut state = self.state.lock();
        state.is_replica = true;
        state.replicas.clear();
    }

    pub(super) fn is_replica(&self) -> bool {
        self.state.lock().is_replica
    }

    /// Returns `master_replid`.
    pub(super) fn replication_id(&self) -> String {
        format!("{:040x}", self.state.lock().history)
    }

    /// Adds a replica, and returns the state and the history that it begins
    /// with. Every later state is sent to `replica`.
    pub(super) fn attach(&self, replica: mpsc::UnboundedSender<Copied>) -> (Snapshot, u64) {
        let mut state = self.state.lock();
        state.replicas.push(replica);
        (self.memory.snapshot(), state.history)
    }

    /// Takes over the state of the primary, and its history.
    pub(super) fn copy(&self, snapshot: Snapshot, history: u64) {
        self.state.lock().history = history;
        self.memory.restore(snapshot);
    }

    /// Sends the current state to all replicas.
    fn replicate(&self) {
        let mut state = self.state.lock();
        state.replicas.retain(|replica| {
            let copied = Copied {
                written: Instant::now(),
                snapshot: self.memory.snapshot(),
            };
            replica.send(copied).is_ok()
        });
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

    /// Returns the message of the last operation, if it has one.
    pub(super) fn take_published(&self) -> Option<String> {
        let lines = std::mem::take(&mut *self.published.lock());
        let is_sent = !lines.is_empty() && !without(Rule::Messages);
        is_sent.then(|| lines.join("\n"))
    }

    /// Sends a message to all subscribers.
    pub(super) fn push(&self, message: &str) {
        let parts = ["message", "aside:invalidate", message].map(string);
        let pushed = Sent::Push(parts.to_vec());
        for push in self.state.lock().subscribers.values() {
            push(&pushed);
        }
    }

    pub(super) fn has_subscribers(&self) -> bool {
        !self.state.lock().subscribers.is_empty()
    }

    /// Returns true if there is this key.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.memory.export(key).is_some()
    }

    /// Returns true if a writer has quarantined this key.
    pub(super) fn is_quarantined(&self, key: &Key) -> bool {
        let exported = self.memory.export(key);
        exported.is_some_and(|exported| exported.is_quarantine())
    }

    /// Returns what another server needs to have this key.
    pub(super) fn export(&self, key: &Key) -> Option<Exported> {
        self.memory.export(key)
    }

    /// Creates or replaces a key.
    pub(super) fn import(&self, key: &Key, exported: Exported) {
        self.memory.remove_all(key);
        self.memory.import(key, exported);
        self.replicate();
    }

    /// Removes a key, of any type.
    pub(super) fn remove(&self, key: &Key) {
        self.memory.remove_all(key);
        self.replicate();
    }

    /// Notes a command that was not executed.
    pub(super) fn note_refusal(&self, connection: u64, words: &[Bytes], refusal: &WireReply) {
        self.trace.note(|text| {
            let words = words.iter().map(|word| String::from_utf8_lossy(word));
            let words = words.collect::<Vec<_>>().join(" ");
            let _ = write!(text, "redis {connection}: {words} -> {refusal:?}");
        });
    }

    /// Returns the fill of the value under a key; zero without one.
    fn fill_of(&self, key: &Key) -> u64 {
        let got = self.memory.run(&Op::GetHeader { key: key.clone() });
        let header = match got {
            Ok(Reply::Value(Some(bytes))) => Header::parse(&bytes),
            _ => None,
        };
        header.map_or(0, |header| header.fill)
    }

    fn run(&self, connection: u64, op: &Op) -> WireReply {
        if !reads(op) && self.is_replica() {
            return error(READ_ONLY);
        }
        let reply = match op {
            Op::Fill {
                key, value, ttl, ..
            } if without(Rule::LeaseToFill) => {
                let (key, value, ttl) = (key.clone(), value.clone(), Some(*ttl));
                let set = self.memory.run(&Op::Set { key, value, ttl });
                set.map(|_| Reply::Filled(true))
            }
            Op::Fill {
                key, value, ttl, ..
            } if without(Rule::RefreshClaim) && self.fill_of(key) != 0 => {
                let (key, value, ttl) = (key.clone(), value.clone(), Some(*ttl));
                let set = self.memory.run(&Op::Set { key, value, ttl });
                set.map(|_| Reply::Filled(true))
            }
            Op::Refresh { key, token, .. } if without(Rule::RefreshHeader) => {
                let (fill, token) = (self.fill_of(key), *token);
                let key = key.clone();
                self.memory.run(&Op::Refresh { key, fill, token })
            }
            op => self.memory.run(op),
        };
        self.trace.note(|text| {
            let _ = write!(text, "redis {connection}: {} -> {}", told(op), told(&reply));
        });
        if !reads(op) {
            self.replicate();
        }
        encode(reply)
    }
}

impl Host for Server {
    fn machine(&self) -> &Machine {
        &self.machine
    }

    fn tells_ahead(&self) -> bool {
        self.tells_ahead
    }

    fn unsubscribe(&self, connection: u64) {
        self.state.lock().subscribers.remove(&connection);
    }

    fn execute(&self, connection: u64, words: &[Bytes], push: &dyn Fn() -> Push) -> Sent {
        let text = |at: usize| String::from_utf8_lossy(words.get(at).map_or(b"", |it| it));
        Sent::Reply(match &*text(0) {
            "HELLO" => array([string("proto"), integer(3)]),
            "CLIENT" => status("OK"),
            "PING" => status("PONG"),
            "INFO" => {
                let (id, is_replica) = (self.replication_id(), self.is_replica());
                let role = if is_replica { "slave" } else { "master" };
                string(&format!(
                    "redis_version:7.4.0\r\nrole:{role}\r\nmaster_replid:{id}\r\n\
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
            "HSETNX" if self.is_replica() => error(READ_ONLY),
            "HSETNX" => {
                let epoch = text(3).parse().unwrap_or(0);
                let put = self.memory.put_epoch(&Key::new(&text(1)), &text(2), epoch);
                self.replicate();
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

    fn publish(&self) {
        if let Some(message) = self.take_published() {
            self.push(&message);
        }
    }
}
