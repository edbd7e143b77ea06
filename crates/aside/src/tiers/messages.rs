//! Messages from other instances, applied in the order in which Redis sends
//! them.

use std::collections::{HashSet, VecDeque};

use parking_lot::Mutex;

use super::Tiers;
use crate::insight::trail::Event;
use crate::protocol::message::{self, Message};
use crate::runtime::clock;
#[cfg(test)]
use crate::runtime::simulated::{Rule, without};
use crate::tiers::broadcaster::Invalidation;

/// The maximum number of lines read per message. A script sends at most fifty,
/// so a much longer message came from none.
const MAX_LINES_PER_MESSAGE: usize = 1_000;

/// The longest line that is kept for later subscribers: several times a long key.
const MAX_REMEMBERED_BYTES: usize = 4096;
/// How many messages of a cluster are remembered. A copy that comes later is applied
/// again, which costs a miss.
const MAX_REMEMBERED: usize = 4_096;

/// The messages that were received last, in a cluster.
///
/// Each node of a cluster passes a message on to its subscribers. An instance that
/// listens to all primaries hears it once from each. A late copy would invalidate
/// entries read since, so only the first is applied: no read that begins after it
/// can return an older row.
#[derive(Debug)]
pub(super) struct Received(Option<Mutex<Remembered>>);

/// The names of messages: hash, sender and number. In the order of their arrival.
#[derive(Debug, Default)]
struct Remembered {
    names: HashSet<(u64, u64, u64)>,
    order: VecDeque<(u64, u64, u64)>,
}

impl Received {
    pub(super) fn new(is_cluster: bool) -> Self {
        Self(is_cluster.then(Mutex::default))
    }

    /// Remembers a message. Returns true if it was remembered before.
    fn is_copy(&self, message: &Message<'_>) -> bool {
        let Some(remembered) = &self.0 else {
            return false;
        };
        let name = (message.hash, message.instance, message.number);
        let mut remembered = remembered.lock();
        if !remembered.names.insert(name) {
            #[cfg(test)]
            if without(Rule::MessageNames) {
                return false;
            }
            return true;
        }
        remembered.order.push_back(name);
        if MAX_REMEMBERED < remembered.order.len()
            && let Some(oldest) = remembered.order.pop_front()
        {
            remembered.names.remove(&oldest);
        }
        false
    }
}

impl Tiers {
    /// Applies a message of any sender. A part that cannot be parsed
    /// invalidates the whole local tier, once for all such lines.
    pub(crate) fn apply_message(&self, text: &str) {
        let mut lines = text.split('\n');
        let (at, mut anything) = (clock::wall().as_millisecond(), None);
        for line in lines.by_ref().take(MAX_LINES_PER_MESSAGE) {
            anything = self.apply_line(line, at).or(anything);
        }
        if lines.next().is_some() {
            anything = Some(Invalidation::Unknown);
        }
        if let Some(invalidation) = anything {
            self.generations.invalidate_all();
            self.end_round();
            self.broadcaster.send(|| invalidation);
        }
    }

    /// Applies one line. Returns an event if the line may concern any key.
    fn apply_line(&self, text: &str, at: i64) -> Option<Invalidation> {
        // A longer one is foreign, and no text for an operator.
        if text.len() <= MAX_REMEMBERED_BYTES {
            self.broadcaster.remember(at, text);
        }
        match Message::parse(text) {
            Some(message) if self.received.is_copy(&message) => {}
            Some(message) => {
                self.generations.invalidate(message.hash);
                self.presence.hear(message.key);
                let heard = Event::Heard(message.why(), message.instance);
                self.trail.note(message.hash, heard);
                self.records.invalidated(message.hash, message.why());
                if let Some(lag) = message.lag(self.instance) {
                    self.statistics.invalidation_lag.observe(lag);
                }
            }
            None => match message::epoch(text) {
                // Local entries carry their epoch, so older ones become invalid. The
                // watcher will soon read the hash, together with the server's time.
                Some((kind, _, epoch, _)) => {
                    if self.epochs.adopt(kind, epoch).is_err() {
                        self.statistics.error("implausible_epoch");
                    }
                }
                // Many keys, or a message of a newer version: invalidate
                // everything.
                None => return Some(self.event(text, at)),
            },
        }
        self.broadcaster.send(|| self.event(text, at));
        None
    }

    /// Returns the latest invalidations, oldest first, without those of probes.
    pub(crate) fn recent_invalidations(&self) -> Vec<Invalidation> {
        let own = self.prefix("aside");
        let recent = self.broadcaster.recent().into_iter();
        let recent = recent.map(|(at, text)| self.event(&text, at));
        let is_probe = |event: &Invalidation| match event {
            Invalidation::Key { key, .. } => key.starts_with(&own),
            _ => false,
        };
        recent.filter(|event| !is_probe(event)).collect()
    }

    /// Returns the event of one line that was received at `at`.
    fn event(&self, text: &str, at: i64) -> Invalidation {
        if let Some(message) = Message::parse(text) {
            Invalidation::Key {
                kind: self.kind_of(message.key),
                key: message.key.to_owned(),
                by: message.instance,
                why: message.why().as_str(),
                at,
            }
        } else if let Some((kind, by, _, why)) = message::epoch(text) {
            let kind = self.kinds().keys().copied().find(|known| *known == kind);
            let why = why.as_str();
            Invalidation::Kind { kind, by, why, at }
        } else if let Some((prefix, by, why)) = message::prefix(text) {
            let (kind, why) = (self.kind_of(prefix), why.as_str());
            Invalidation::Kind { kind, by, why, at }
        } else {
            Invalidation::Unknown
        }
    }
}
