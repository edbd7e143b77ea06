//! Messages from other instances, applied in the order in which Redis sends them.

use super::Tiers;
use crate::insight::audit::Event;
use crate::protocol::message::{self, Message};
use crate::tiers::listeners::Heard;

/// Lines of one message that are read. A script tells of fifty keys; what is much
/// longer was sent by none.
const MOST_LINES: usize = 1_000;

impl Tiers {
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
}
