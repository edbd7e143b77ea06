//! The writers.

use super::{Dependency, Next, State, TwoDependencies, Writer, WriterStage, Writes};

impl TwoDependencies {
    pub(super) fn write(&self, at: &State, i: usize, next: &mut Next<'_>) {
        match self.writers[i] {
            Writes::Row { of, with_value } => self.write_row(at, i, (of, with_value), next),
            Writes::Unquarantined => self.write_unquarantined(at, i, next),
            Writes::WholeKind => Self::write_kind(at, i, next),
        }
    }

    /// The keys that this instance reads from the database.
    pub(super) fn is_unreleased(&self, at: &State, dependency: usize) -> bool {
        let is_held = |stage| {
            matches!(
                stage,
                WriterStage::Held | WriterStage::HeldCommitted | WriterStage::HeldReturned
            )
        };
        dependency == 1 && at.writers.iter().any(|writer| is_held(writer.stage))
    }

    /// A row's lock admits one writer before its commit.
    fn is_locked(&self, at: &State, of: usize) -> bool {
        let locks = |(i, writer): (usize, &Writer)| match self.writers[i] {
            Writes::Row { of: other, .. } => {
                other == of && writer.stage == WriterStage::Quarantined
            }
            Writes::Unquarantined => of == 1 && writer.stage == WriterStage::Held,
            Writes::WholeKind => false,
        };
        at.writers
            .iter()
            .enumerate()
            .take(self.writers.len())
            .any(locks)
    }

    fn write_row(
        &self,
        at: &State,
        i: usize,
        (of, with_value): (usize, bool),
        next: &mut Next<'_>,
    ) {
        let (n, d) = (i as u8, of as u8);
        let (writer, key) = (at.writers[i], at.dependencies[of]);
        let mut to = *at;
        match writer.stage {
            WriterStage::Idle if !self.is_locked(at, of) => {
                to.dependencies[of] = match key {
                    Dependency::Quarantine { writers, .. } => Dependency::Quarantine {
                        writers: writers | 1 << i,
                        clean: false,
                    },
                    _ => Dependency::Quarantine {
                        writers: 1 << i,
                        clean: true,
                    },
                };
                to.writers[i].stage = WriterStage::Quarantined;
                to.writers[i].epoch = at.known;
                next.to("w#: QUARANTINE d#", [n, d], to);
            }
            WriterStage::Quarantined => {
                to.rows[of] += 1;
                let version = to.rows[of];
                to.writers[i].stage = WriterStage::Committed;
                to.writers[i].version = version;
                if self.evictions == 0 {
                    to.told[of] = at.told[of].max(version);
                }
                next.to("w#: commits d# = v#", [n, d, version], to);
            }
            WriterStage::Committed => {
                let stored = Dependency::Mark {
                    stamp: at.fresh(),
                    epoch: if of == 1 { writer.epoch } else { 0 },
                };
                to.dependencies[of] = match key {
                    Dependency::Quarantine { writers, clean } if key.has_record(i) => {
                        match with_value && clean && writers == 1 << i {
                            true => stored,
                            false => key.without(i),
                        }
                    }
                    Dependency::Quarantine { writers, .. } => Dependency::Quarantine {
                        writers,
                        clean: false,
                    },
                    other if !self.rules.release_deletes_marks => other,
                    _ => Dependency::Absent,
                };
                to.writers[i] = Writer::at(WriterStage::Returned);
                to.told[of] = at.told[of].max(writer.version);
                next.to("w#: RELEASE d#, returns", [n, d], to);
            }
            _ => {}
        }
        Self::die(at, i, of, next);
    }

    fn die(at: &State, i: usize, of: usize, next: &mut Next<'_>) {
        let (n, stage) = (i as u8, at.writers[i].stage);
        let mut to = *at;
        let is_alive = matches!(stage, WriterStage::Quarantined | WriterStage::Committed);
        if is_alive && at.crashes > 0 {
            to.crashes -= 1;
            to.writers[i] = Writer::at(WriterStage::Died);
            next.to("w#: dies", [n], to);
        }
        if stage == WriterStage::Died && at.dependencies[of].has_record(i) {
            to.dependencies[of] = at.dependencies[of].without(i);
            next.to("the quarantine of w# expires", [n], to);
        }
    }

    /// Readers are of the same instance, and know that the key is unreleased.
    fn write_unquarantined(&self, at: &State, i: usize, next: &mut Next<'_>) {
        const OF: usize = 1;
        let (n, writer) = (i as u8, at.writers[i]);
        let mut to = *at;
        match writer.stage {
            WriterStage::Idle if !self.is_locked(at, OF) => {
                to.writers[i].stage = WriterStage::Held;
                next.to("w#: QUARANTINE d1 is lost, the key is unreleased", [n], to);
            }
            WriterStage::Held => {
                to.rows[OF] += 1;
                to.writers[i].stage = WriterStage::HeldCommitted;
                to.writers[i].version = to.rows[OF];
                next.to(
                    "w#: commits d1 = v# and its journal row",
                    [n, to.rows[OF]],
                    to,
                );
            }
            WriterStage::HeldCommitted => {
                to.writers[i] = Writer::at(WriterStage::HeldReturned);
                to.told[OF] = at.told[OF].max(writer.version);
                next.to("w#: returns", [n], to);
            }
            WriterStage::HeldReturned => {
                to.dependencies[OF] = at.dependencies[OF].invalidated();
                to.writers[i] = Writer::at(WriterStage::Returned);
                next.to("w#: INVALIDATE d1, the key is released", [n], to);
            }
            _ => {}
        }
    }

    fn write_kind(at: &State, i: usize, next: &mut Next<'_>) {
        let (n, writer) = (i as u8, at.writers[i]);
        let mut to = *at;
        match writer.stage {
            WriterStage::Idle => {
                to.epoch += 1;
                to.writers[i].stage = WriterStage::Raised;
                next.to("w#: BUMP of the second kind", [n], to);
            }
            WriterStage::Raised => {
                to.rows[1] += 1;
                to.writers[i].stage = WriterStage::Committed;
                to.writers[i].version = to.rows[1];
                next.to(
                    "w#: commits all of the second kind = v#",
                    [n, to.rows[1]],
                    to,
                );
            }
            WriterStage::Committed => {
                to.epoch += 1;
                to.writers[i] = Writer::at(WriterStage::Returned);
                to.whole = at.whole.max(writer.version);
                next.to("w#: BUMP of the second kind, returns", [n], to);
                if at.crashes > 0 {
                    let mut to = *at;
                    to.crashes -= 1;
                    next.to("w#: dies, its journal row raises the epoch later", [n], to);
                }
            }
            _ => {}
        }
    }
}

impl Writer {
    fn at(stage: WriterStage) -> Self {
        Self {
            stage,
            ..Self::default()
        }
    }
}
