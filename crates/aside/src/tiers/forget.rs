//! Forgetting: telling others, hearing them, and what Redis must do later.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::time::Instant;

use super::Tiers;
use crate::entity::key::Key;
use crate::insight::audit::Event;
use crate::protocol::message::{self, Message};
use crate::protocol::{Begin, Bump, Era, Op, Reply, Token, Traffic, Unanswered};
use crate::tiers::listeners::Heard;
use crate::tiers::pending::Pending;

/// Keys per pipeline when many are forgotten at once.
const BATCH: usize = 500;

/// Lines of one message that are read. A script tells of fifty keys; what is much
/// longer was sent by none.
const MOST_LINES: usize = 1_000;

impl Tiers {
    /// The message that makes every instance forget `key`.
    pub(crate) fn message(&self, key: &Key) -> String {
        message::forget(key, self.instance)
    }

    /// Applies a message, whoever sent it. What is not understood of it makes
    /// this process forget everything once, however many lines that are.
    pub(crate) fn hear(&self, text: &str) {
        let mut lines = text.split('\n');
        let mut anything = None;
        for line in lines.by_ref().take(MOST_LINES) {
            anything = self.hear_line(line).or(anything);
        }
        if lines.next().is_some() {
            anything = Some(Heard::Unknown);
        }
        if let Some(heard) = anything {
            self.stripes.forget_all();
            self.end_round();
            self.teller.tell(|| heard);
        }
    }

    /// Applies one line; what it says if that may mean any key.
    fn hear_line(&self, text: &str) -> Option<Heard> {
        match Message::parse(text) {
            Some(message) => {
                self.stripes.forget(message.hash);
                if let Some(audit) = &self.audit {
                    audit.note(message.hash, Event::Heard);
                }
                if let Some(lag) = message.lag(self.instance) {
                    self.statistics.invalidation_lag.observe(lag.as_secs_f64());
                }
                self.teller.tell(|| Heard::Key {
                    kind: self.kind_of(message.key),
                    key: message.key.to_owned(),
                });
            }
            // In-process entries carry their epoch: an older one is dead.
            None if let Some((kind, epoch)) = message::epoch(text) => {
                // The watcher reads the hash soon, and what time it is with it.
                if self.epochs.adopt(kind, epoch).is_err() {
                    self.statistics.error("implausible_epoch");
                }
                self.teller.tell(|| Heard::Kind {
                    kind: self.kinds().keys().copied().find(|known| *known == kind),
                });
            }
            // Many keys, or words of a newer version: forget it all.
            None => {
                return Some(match message::prefix(text) {
                    Some(prefix) => Heard::Kind {
                        kind: self.kind_of(prefix),
                    },
                    None => Heard::Unknown,
                });
            }
        }
        None
    }

    /// Makes every copy of some keys forget; answers those that Redis did not
    /// acknowledge.
    pub(crate) async fn invalidate(&self, keys: &[Key]) -> Vec<Key> {
        let mut left = Vec::new();
        for batch in keys.chunks(BATCH) {
            let ops = batch
                .iter()
                .map(|key| Op::Invalidate {
                    key: key.clone(),
                    message: self.message(key),
                })
                .collect();
            let replies = self.ask(Traffic::Writes, ops).await;
            let failed = batch
                .iter()
                .zip(replies)
                .filter(|(_, reply)| reply.is_err());
            left.extend(failed.map(|(key, _)| key.clone()));
            // Farthest first: nothing is refilled from a tier that remembers.
            for key in batch {
                self.stripes.forget(key.hash());
            }
        }
        left
    }

    /// Makes every process forget whatever it holds that begins with
    /// `prefix`, the entries whose value has left Redis included.
    ///
    /// # Errors
    /// Redis did not acknowledge that the others were told.
    pub(crate) async fn forget_in_process(&self, prefix: &str) -> Result<(), Unanswered> {
        self.stripes.forget_all();
        let message = message::forget_all(prefix, self.instance);
        self.ask_one(Traffic::Writes, Op::Publish { message })
            .await?;
        Ok(())
    }

    /// Calls `each` with the keys that match, page by page, and adds up what
    /// it answers.
    pub(crate) async fn scan<F>(
        &self,
        pattern: &str,
        mut each: impl FnMut(Vec<Key>) -> F,
    ) -> Result<u64, Unanswered>
    where
        F: Future<Output = Result<u64, Unanswered>>,
    {
        let (mut cursor, mut total) = (0, 0);
        loop {
            let (next, keys) = self.page(cursor, pattern).await?;
            if !keys.is_empty() {
                total += each(keys.iter().map(|key| Key::new(key)).collect()).await?;
            }
            if next == 0 {
                return Ok(total);
            }
            cursor = next;
        }
    }

    /// One page of the keys that match, after the cursor to go on with.
    pub(super) async fn page(
        &self,
        cursor: u64,
        pattern: &str,
    ) -> Result<(u64, Vec<String>), Unanswered> {
        let op = Op::Scan {
            cursor,
            pattern: pattern.to_owned(),
            count: BATCH,
        };
        match self.ask_one(Traffic::Others, op).await? {
            Reply::Page { cursor, keys } => Ok((cursor, keys)),
            _ => Err(Unanswered::Disconnected),
        }
    }

    /// Raises the epoch of a kind, which makes every copy of it worthless at
    /// once; or sees to it that the kind has one. The epoch it has then.
    ///
    /// # Errors
    /// Redis did not acknowledge it, or gave one that it cannot have given;
    /// repeating it does no harm.
    pub(crate) async fn bump(&self, kind: &str, how: Bump) -> Result<u64, Unanswered> {
        let op = self.bump_op(kind, how);
        match self.ask_one(Traffic::Writes, op).await? {
            Reply::Epoch(epoch) if self.epochs.adopt(kind, epoch).is_ok() => Ok(epoch),
            _ => Err(Unanswered::Disconnected),
        }
    }

    /// Raises the epoch of a kind, whether it is cached here or not. One that is
    /// not and has no epoch gets none: whoever has something of it gives it one
    /// that is greater than any before. The epoch it has then; zero for none.
    ///
    /// # Errors
    /// As of [`bump`](Self::bump).
    pub(crate) async fn raise(&self, kind: &str) -> Result<u64, Unanswered> {
        let how = match self.epochs.known(kind) {
            Some(_) => Bump::Always,
            None => Bump::IfThere,
        };
        self.bump(kind, how).await
    }

    pub(crate) fn bump_op(&self, kind: &str, how: Bump) -> Op {
        Op::Bump {
            key: message::epochs_key(self.namespace()),
            kind: kind.to_owned(),
            known: self.epochs.known(kind).unwrap_or(0),
            how,
            message: message::bump(self.instance),
            era: Era::random(),
        }
    }

    /// Begins another era, in which nothing is served that was filled before.
    ///
    /// # Errors
    /// Redis did not acknowledge it; repeating it does no harm.
    pub(crate) async fn begin_era(&self) -> Result<(), Unanswered> {
        let op = Op::History {
            key: message::epochs_key(self.namespace()),
            era: Some((Era::random(), Begin::Always)),
            known: None,
        };
        match self.ask_one(Traffic::Writes, op).await? {
            Reply::History { era, .. } => self.learn_era(era),
            _ => return Err(Unanswered::Disconnected),
        }
        Ok(())
    }

    /// Learns which era it is.
    pub(crate) fn learn_era(&self, era: Era) {
        let shards = self.shards().iter();
        // Each of them, and not up to the first that did not know.
        if shards.filter(|shard| shard.link.learn_era(era.0)).count() > 0 {
            // Gone before an epoch is lowered: nothing that it made worthless may be
            // looked at afterwards.
            self.shares.empty();
            self.epochs.forget_implausible();
        }
    }

    /// Makes every copy of a kind forget, now or as soon as Redis can be
    /// reached; `None` for later. What it frees in Redis meanwhile is counted
    /// in what it answers.
    pub(crate) async fn forget_kind(self: &Arc<Self>, kind: &str) -> Option<Arc<AtomicU64>> {
        let freed = Arc::new(AtomicU64::new(0));
        if !self.is_enabled() {
            return Some(freed);
        }
        let forgotten = self.raise_epoch(kind).await;
        forgotten.then(|| {
            self.sweep_later(kind, &freed);
            freed
        })
    }

    /// The same, and leaves what Redis holds to whoever forgets the kind next.
    /// False for later.
    pub(crate) async fn raise_epoch(&self, kind: &str) -> bool {
        let raised = self.is_usable() && self.raise(kind).await.is_ok();
        if !raised && self.is_enabled() {
            self.hold_kind(kind);
        }
        raised
    }

    /// Passes Redis by for a kind until Redis has forgotten it.
    pub(crate) fn hold_kind(&self, kind: &str) {
        if self.held.hold_kind(&self.prefix(kind)) {
            self.stripes.forget_all();
            self.later(Pending::Everything {
                kind: kind.to_owned(),
                due: None,
            });
        }
    }

    /// Passes Redis by for this key until its release is acknowledged. Held
    /// first and forgotten second: whoever sees the new generation sees the
    /// key held. False if its kind is held instead, because there are too
    /// many keys: Redis will then forget the kind, and nothing is owed to it
    /// for the key.
    pub(crate) fn hold(&self, key: &Key) -> bool {
        if !self.is_enabled() {
            return false;
        }
        if self.held.is_full()
            && let Some(kind) = self.kind_of(key.as_str())
        {
            self.hold_kind(kind);
            return false;
        }
        self.held.hold(key);
        self.stripes.forget(key.hash());
        true
    }

    /// Holds a key, and releases it as soon as Redis takes that, but not
    /// before `due`.
    pub(crate) fn hold_until_released(&self, key: Key, writer: Token, due: Option<Instant>) {
        // Not held by itself, it must not end what another write holds.
        let held = self.hold(&key);
        self.later(Pending::Release {
            key,
            writer,
            held,
            due,
        });
    }
}
