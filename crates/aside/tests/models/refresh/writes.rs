//! Writers, a write of the whole kind, and faults.

use super::{Key, KindStage, Refresh, State, WriterStage, step};
use crate::explore::Steps;

impl Refresh {
    pub(super) fn write(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, own) = (i as u8, 1 << i);
        let mut to = *at;
        let writer = &mut to.writers[i];
        match writer.stage {
            WriterStage::Idle => {
                let is_quarantined =
                    |writer: &super::Writer| writer.stage == WriterStage::Quarantined;
                // The row is locked.
                if at.writers.iter().any(is_quarantined) {
                    return;
                }
                writer.stage = WriterStage::Quarantined;
                (writer.tag, writer.epoch) = (at.known_history, at.known_epoch);
                to.key = match at.key {
                    Key::Quarantine { writers, .. } => Key::Quarantine {
                        writers: writers | own,
                        clean: false,
                    },
                    _ => Key::Quarantine {
                        writers: own,
                        clean: true,
                    },
                };
                self.publish(&mut to);
                step(steps, "w#: QUARANTINE", [n], to);
            }
            WriterStage::Quarantined => {
                to.row += 1;
                writer.stage = WriterStage::Committed;
                writer.version = to.row;
                step(steps, "w#: commits v#", [n, to.row], to);
            }
            WriterStage::Committed => {
                self.release(at, i, steps);
                if at.left.crashes > 0 {
                    *writer = super::Writer {
                        stage: WriterStage::Died,
                        ..super::Writer::default()
                    };
                    to.left.crashes = 0;
                    step(steps, "w#: dies", [n], to);
                }
            }
            WriterStage::Died => {
                if let Some(rest) = without(at.key, own) {
                    to.key = rest;
                    step(steps, "the quarantine of w# expires", [n], to);
                }
            }
            WriterStage::Returned => {}
        }
    }

    fn release(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (own, writer) = (1 << i, at.writers[i]);
        let mut to = *at;
        match (without(at.key, own), at.key) {
            (Some(Key::Absent), Key::Quarantine { clean: true, .. }) if self.writers[i] => {
                to.key = at.new_value(writer.version, (writer.tag, writer.epoch));
            }
            (Some(rest), _) => to.key = rest,
            (None, key) => {
                to.key = match key {
                    Key::Quarantine { writers, .. } => Key::Quarantine {
                        writers,
                        clean: false,
                    },
                    _ => Key::Absent,
                };
                self.publish(&mut to);
            }
        }
        to.returned = at.returned.max(writer.version);
        to.writers[i] = super::Writer {
            stage: WriterStage::Returned,
            ..super::Writer::default()
        };
        step(steps, "w#: RELEASE, returns", [i as u8], to);
    }

    /// A write of the whole kind, and faults that change the key without a command.
    pub(super) fn faults(&self, at: &State, steps: &mut Steps<State>) {
        let mut to = *at;
        match at.kind {
            KindStage::Unwritten if self.left.whole_kind => {
                to.epoch += 1;
                to.kind = KindStage::Bumped;
                step(steps, "BUMP before a write of the whole kind", [], to);
            }
            KindStage::Bumped => {
                to.row += 1;
                to.kind = KindStage::Committed;
                step(steps, "all of the kind: commits v#", [to.row], to);
            }
            KindStage::Committed => {
                to.epoch += 1;
                to.returned = at.row;
                to.kind = KindStage::Written;
                step(steps, "BUMP after it, returns", [], to);
            }
            KindStage::Unwritten | KindStage::Written => {}
        }
        let mut to = *at;
        if at.known_epoch < at.epoch {
            to.known_epoch = at.epoch;
            step(steps, "the epoch is known", [], to);
        }
        let mut to = *at;
        if at.known_history < at.history {
            to.known_history = at.history;
            step(steps, "the history is known", [], to);
        }
        self.losses(at, steps);
    }

    fn losses(&self, at: &State, steps: &mut Steps<State>) {
        let mut to = *at;
        to.key = Key::Absent;
        match at.key {
            Key::Lease(_) => step(steps, "the lease expires", [], to),
            Key::Value(_) if self.expires => step(steps, "the value expires", [], to),
            _ => {}
        }
        if at.left.evictions > 0 && at.key != Key::Absent {
            to.left.evictions -= 1;
            step(steps, "the key is evicted", [], to);
        }
        if at.left.failovers > 0 {
            let mut to = *at;
            match at.replica {
                None => {
                    to.replica = Some(at.key);
                    step(steps, "a replica is in step", [], to);
                }
                Some(key) => {
                    to.key = key;
                    to.replica = None;
                    to.history += 1;
                    to.left.failovers = 0;
                    step(steps, "a replica that lags takes over", [], to);
                }
            }
        }
    }
}

/// Returns the key without the record of a writer, if it has one.
fn without(key: Key, own: u8) -> Option<Key> {
    match key {
        Key::Quarantine { writers, .. } if writers & own != 0 => Some(match writers & !own {
            0 => Key::Absent,
            writers => Key::Quarantine {
                writers,
                clean: false,
            },
        }),
        _ => None,
    }
}
