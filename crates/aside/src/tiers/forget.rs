//! Forgetting: telling others, hearing them, and what Redis must do later.

use tokio::time::Instant;

use super::Tiers;
use crate::heard::Heard;
use crate::key::Key;
use crate::message::{self, Message};
use crate::pending::Pending;
use crate::shared::{Op, Reply, Token, Unanswered};

/// Keys per pipeline when many are forgotten at once.
const BATCH: usize = 500;

impl Tiers {
    /// The message that makes every instance forget `key`.
    pub(crate) fn message(&self, key: &Key) -> String {
        message::forget(key, self.instance)
    }

    /// Applies a message, whoever sent it.
    pub(crate) fn hear(&self, text: &str) {
        match Message::parse(text) {
            Some(message) => {
                self.stripes.forget(message.hash);
                if let Some(lag) = message.lag(self.instance) {
                    self.statistics.invalidation_lag.observe(lag.as_secs_f64());
                }
                self.teller.tell(|| Heard::Key {
                    kind: self.kind_of(message.key),
                    key: message.key.to_owned(),
                });
            }
            // A kind as a whole, or words of a newer version: forget it all.
            None => {
                self.stripes.forget_all();
                self.teller.tell(|| match message::prefix(text) {
                    Some(prefix) => Heard::Kind {
                        kind: self.kind_of(prefix),
                    },
                    None => Heard::Unknown,
                });
            }
        }
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
            match self.ask(self.lane(), ops).await {
                Ok(replies) => {
                    let failed = batch
                        .iter()
                        .zip(replies)
                        .filter(|(_, reply)| reply.is_err());
                    left.extend(failed.map(|(key, _)| key.clone()));
                }
                Err(_) => left.extend_from_slice(batch),
            }
            // Farthest first: nothing is refilled from a tier that remembers.
            for key in batch {
                self.stripes.forget(key.hash());
            }
        }
        left
    }

    /// Makes every copy of every key that begins with `prefix` forget.
    ///
    /// A fill under way holds its key from before the scan to after it, so
    /// the scan finds it. Entries whose value has left Redis are found by no
    /// scan; the message at the end reaches them, and comes last so that
    /// nothing forgotten can be read back from Redis behind it.
    ///
    /// # Errors
    /// Redis did not acknowledge all of it; repeating it does no harm.
    pub(crate) async fn invalidate_all(&self, prefix: &str) -> Result<u64, Unanswered> {
        let pattern = format!("{}*", glob(prefix));
        let forgotten = self.scan(&pattern, |keys| async move {
            match self.invalidate(&keys).await.is_empty() {
                true => Ok(keys.len() as u64),
                false => Err(Unanswered::Disconnected),
            }
        });
        let forgotten = forgotten.await;
        self.forget_in_process(prefix).await?;
        forgotten
    }

    /// Makes every process forget whatever it holds that begins with
    /// `prefix`, the entries whose value has left Redis included.
    ///
    /// # Errors
    /// Redis did not acknowledge that the others were told.
    pub(crate) async fn forget_in_process(&self, prefix: &str) -> Result<(), Unanswered> {
        self.stripes.forget_all();
        let message = message::forget_all(prefix, self.instance);
        self.ask_one(self.lane(), Op::Publish { message }).await?;
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
    async fn page(&self, cursor: u64, pattern: &str) -> Result<(u64, Vec<String>), Unanswered> {
        let op = Op::Scan {
            cursor,
            pattern: pattern.to_owned(),
            count: BATCH,
        };
        match self.ask_one(self.lane(), op).await? {
            Reply::Page { cursor, keys } => Ok((cursor, keys)),
            _ => Err(Unanswered::Disconnected),
        }
    }

    /// Counts the keys that match, for at most so many pages and no longer
    /// than one operation may take; also answers whether it saw them all.
    pub(crate) async fn count(
        &self,
        pattern: &str,
        most_pages: usize,
    ) -> Result<(u64, bool), Unanswered> {
        let deadline = Instant::now() + self.config.operation_timeout;
        let (mut cursor, mut total) = (0, 0);
        for _ in 0..most_pages {
            let (next, keys) = self.page(cursor, pattern).await?;
            total += keys.len() as u64;
            if next == 0 {
                return Ok((total, true));
            }
            if deadline <= Instant::now() {
                break;
            }
            cursor = next;
        }
        Ok((total, false))
    }

    /// Makes every copy of a kind forget, now or as soon as Redis can be
    /// reached; answers how many keys Redis forgot, or `None` for later.
    pub(crate) async fn forget_kind(&self, kind: &str) -> Option<u64> {
        if self.shared.is_none() {
            return Some(0);
        }
        let prefix = self.prefix(kind);
        if self.is_usable()
            && let Ok(forgotten) = self.invalidate_all(&prefix).await
        {
            return Some(forgotten);
        }
        self.hold_kind(prefix);
        None
    }

    /// Passes Redis by for a kind until Redis has forgotten it.
    fn hold_kind(&self, prefix: String) {
        if self.held.hold_kind(&prefix) {
            self.stripes.forget_all();
            self.later(Pending::Everything { prefix, due: None });
        }
    }

    /// Passes Redis by for this key until its release is acknowledged. Held
    /// first and forgotten second: whoever sees the new generation sees the
    /// key held. False if its kind is held instead, because there are too
    /// many keys: Redis will then forget the kind, and nothing is owed to it
    /// for the key.
    pub(crate) fn hold(&self, key: &Key) -> bool {
        if self.shared.is_none() {
            return false;
        }
        if self.held.is_full()
            && let Some(kind) = self.kind_of(key.as_str())
        {
            self.hold_kind(self.prefix(kind));
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

/// Escapes what a glob pattern gives a meaning.
fn glob(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
