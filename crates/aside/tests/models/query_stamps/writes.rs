//! The writers of the dependency, which may die.

use super::{Dependency, QueryStamps, State, Writer, WriterStage};
use crate::explore::Steps;

impl QueryStamps {
    pub(super) fn write(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, Writer { stage, version }) = (i as u8, at.writers[i]);
        let mut to = *at;
        match stage {
            WriterStage::Idle => self.quarantine(at, i, steps),
            WriterStage::Quarantined => {
                to.row += 1;
                to.writers[i].stage = WriterStage::Committed;
                to.writers[i].version = to.row;
                steps.to("w#: commits v#", [n, to.row], to);
            }
            WriterStage::Committed => {
                let (left, found) = at.dependency.without(i);
                let is_mark = matches!(at.dependency, Dependency::Mark(_));
                if !(is_mark && self.release_keeps_marks) {
                    to.dependency = left;
                }
                if !found && !self.silent_release {
                    self.publish(&mut to);
                }
                to.writers[i] = Writer::at(WriterStage::Returned);
                to.returned = at.returned.max(version);
                steps.to("w#: RELEASE, returns", [n], to);
            }
            // The database rolls it back before the quarantine ends.
            WriterStage::DiedQuarantined => {
                to.writers[i].stage = WriterStage::RolledBack;
                steps.to("w#: is rolled back", [n], to);
            }
            WriterStage::Returned | WriterStage::DiedCommitted | WriterStage::RolledBack => {}
        }
        self.die(at, i, steps);
    }

    /// The row's lock admits one writer between its quarantine and its commit.
    fn quarantine(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let is_locked = |writer: &Writer| writer.stage == WriterStage::Quarantined;
        if at.writers.iter().any(is_locked) {
            return;
        }
        let mut to = *at;
        let writers = match at.dependency {
            Dependency::Quarantine(writers) => writers,
            Dependency::Absent | Dependency::Mark(_) => 0,
        };
        to.dependency = Dependency::Quarantine(writers | 1 << i);
        to.writers[i].stage = WriterStage::Quarantined;
        self.publish(&mut to);
        steps.to("w#: QUARANTINE", [i as u8], to);
    }

    fn publish(&self, to: &mut State) {
        to.messages += u8::from(self.local.is_some());
    }

    /// A writer that dies, and the end of its quarantine.
    fn die(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, stage) = (i as u8, at.writers[i].stage);
        let dead = match stage {
            WriterStage::Quarantined => Some(WriterStage::DiedQuarantined),
            WriterStage::Committed => Some(WriterStage::DiedCommitted),
            _ => None,
        };
        if let Some(dead) = dead.filter(|_| at.crashes > 0) {
            let mut to = *at;
            to.crashes -= 1;
            to.writers[i] = Writer::at(dead);
            steps.to("w#: dies", [n], to);
        }
        let is_over = matches!(stage, WriterStage::DiedCommitted | WriterStage::RolledBack);
        if let (left, true) = at.dependency.without(i)
            && is_over
        {
            let mut to = *at;
            to.dependency = left;
            to.writers[i] = Writer::at(WriterStage::Returned);
            steps.to("the quarantine of w# expires", [n], to);
        }
    }
}

impl Dependency {
    /// The key after a RELEASE of this writer, and whether its record was there.
    fn without(self, writer: usize) -> (Self, bool) {
        match self {
            Self::Quarantine(writers) => {
                let left = writers & !(1 << writer);
                let key = match left {
                    0 => Self::Absent,
                    left => Self::Quarantine(left),
                };
                (key, left != writers)
            }
            Self::Absent | Self::Mark(_) => (Self::Absent, false),
        }
    }
}

impl Writer {
    fn at(stage: WriterStage) -> Self {
        Self { stage, version: 0 }
    }
}
