//! Messages from other instances, applied in the order in which Redis sends
//! them.

use super::Tiers;
use crate::insight::audit::Event;
use crate::protocol::message::{self, Message};
use crate::tiers::broadcaster::Invalidation;

/// The maximum number of lines read per message. A script sends at most fifty,
/// so a much longer message came from none.
const MAX_LINES_PER_MESSAGE: usize = 1_000;

impl Tiers {
    /// Applies a message of any sender. A part that cannot be parsed
    /// invalidates the whole local tier, once for all such lines.
    pub(crate) fn apply_message(&self, text: &str) {
        let mut lines = text.split('\n');
        let mut anything = None;
        for line in lines.by_ref().take(MAX_LINES_PER_MESSAGE) {
            anything = self.apply_line(line).or(anything);
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
    fn apply_line(&self, text: &str) -> Option<Invalidation> {
        match Message::parse(text) {
            Some(message) => {
                self.generations.invalidate(message.hash);
                if let Some(audit) = &self.audit {
                    audit.record_event(message.hash, Event::Heard);
                }
                if let Some(lag) = message.lag(self.instance) {
                    self.statistics.invalidation_lag.observe(lag.as_secs_f64());
                }
                self.broadcaster.send(|| Invalidation::Key {
                    kind: self.kind_of(message.key),
                    key: message.key.to_owned(),
                });
            }
            // Local entries carry their epoch, so older ones become invalid.
            None if let Some((kind, epoch)) = message::epoch(text) => {
                // The watcher will soon read the hash, together with the
                // server's time.
                if self.epochs.adopt(kind, epoch).is_err() {
                    self.statistics.error("implausible_epoch");
                }
                self.broadcaster.send(|| Invalidation::Kind {
                    kind: self.kinds().keys().copied().find(|known| *known == kind),
                });
            }
            // Many keys, or a message of a newer version: invalidate
            // everything.
            None => {
                return Some(match message::prefix(text) {
                    Some(prefix) => Invalidation::Kind {
                        kind: self.kind_of(prefix),
                    },
                    None => Invalidation::Unknown,
                });
            }
        }
        None
    }
}
