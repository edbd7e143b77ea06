//! The writer, and the repair of a write that it did not finish.

use super::{Route, Settles, SlotMigration, State, WriteStage, Writer};
use crate::explore::Steps;
use crate::scripts::{Key, WITHOUT_VALUES};

impl SlotMigration {
    pub(super) fn write(&self, at: &State, steps: &mut Steps<State>) {
        let asker = 1 - at.writer.node;
        let mut to = *at;
        match at.writer.stage {
            WriteStage::Idle if at.left.writes > 0 => {
                for node in 0..2 {
                    self.quarantine(at, node, steps);
                }
            }
            WriteStage::Idle => {}
            WriteStage::Informing => {
                to.writer.stage = WriteStage::Quarantined;
                to.publish(asker);
                steps.to("w: PUBLISH at n#, which gave the ASK", [asker], to);
            }
            WriteStage::Quarantined => {
                to.row += 1;
                to.writer.stage = WriteStage::Committed;
                to.writer.version = to.row;
                if self.checks_quarantine && !Self::is_trusted(at.writer.node, at.writer.is_late) {
                    to.journalled = to.row;
                }
                steps.to("w: commits v#", [to.row], to);
            }
            WriteStage::Committed => self.release(at, steps),
            WriteStage::Releasing => {
                to.publish(asker);
                let words = "w: PUBLISH at n#, which gave the ASK; returns";
                steps.to(words, [asker], to.after_write());
            }
            WriteStage::Unconfirmed => Self::confirm(at, steps),
        }
    }

    /// Returns true if an instance that has heard of no vote may trust the
    /// node.
    fn is_trusted(node: u8, is_late: bool) -> bool {
        node == 1 || !is_late
    }

    /// Returns the node that executes a command of a write, and true if it does
    /// so after an ASK.
    fn executed_by(&self, at: &State, sent_to: u8) -> (u8, bool) {
        let node = match self.route(at, sent_to) {
            Route::Moved => at.owner(),
            Route::Executed | Route::Ask => sent_to,
        };
        match self.route(at, node) {
            Route::Ask => (1 - node, true),
            Route::Executed | Route::Moved => (node, false),
        }
    }

    fn quarantine(&self, at: &State, sent_to: u8, steps: &mut Steps<State>) {
        let (node, is_asked) = self.executed_by(at, sent_to);
        let mut to = *at;
        to.left.writes -= 1;
        to.set_key(node, WITHOUT_VALUES.quarantine(at.key(node), 0));
        to.publish(node);
        let is_informing = is_asked && self.informs_asker;
        to.writer = Writer {
            stage: if is_informing {
                WriteStage::Informing
            } else {
                WriteStage::Quarantined
            },
            version: 0,
            node,
            is_late: at.is_late,
        };
        let numbers = [sent_to, node];
        if is_asked {
            steps.to("w: QUARANTINE to n#, by ASK at n#", numbers, to);
        } else {
            steps.to("w: QUARANTINE to n#, at n#", numbers, to);
        }
    }

    fn release(&self, at: &State, steps: &mut Steps<State>) {
        let (node, is_asked) = self.executed_by(at, at.writer.node);
        let is_lost = !at.key(node).is_quarantine();
        let mut to = *at;
        to.set_key(node, WITHOUT_VALUES.release(at.key(node), 0, None));
        if is_lost {
            to.publish(node);
        }
        to.writer.node = node;
        if is_asked && self.informs_asker && (is_lost || self.informs_after_release) {
            to.writer.stage = WriteStage::Releasing;
            steps.to("w: RELEASE by ASK at n#", [node], to);
            return;
        }
        let is_over = !self.fails_over
            || match self.settles {
                Settles::Acknowledged => true,
                Settles::Confirmed => false,
                Settles::Trusted => Self::is_trusted(node, at.is_late),
            };
        if is_over {
            steps.to("w: RELEASE at n#, returns", [node], to.after_write());
        } else {
            to.writer.stage = WriteStage::Unconfirmed;
            steps.to("w: RELEASE at n#", [node], to);
        }
    }

    fn confirm(at: &State, steps: &mut Steps<State>) {
        if at.writer.node == 1 || !at.is_promoted() {
            steps.to("w: a round confirms, returns", [], at.after_write());
        } else {
            let mut to = *at;
            to.invalidate(1);
            steps.to("w: INVALIDATE at n1, returns", [], to.after_write());
        }
    }

    /// A crash of the writer, and the poller of the journal.
    pub(super) fn repair(&self, at: &State, steps: &mut Steps<State>) {
        let is_half_way = matches!(
            at.writer.stage,
            WriteStage::Committed | WriteStage::Unconfirmed
        );
        if is_half_way && at.writer.is_late && at.left.crashes > 0 {
            let mut to = at.after_write();
            to.left.crashes -= 1;
            steps.to("w: crashes", [], to);
        }
        if at.journalled > 0 {
            let mut to = *at;
            to.invalidate(at.owner());
            to.returned = at.returned.max(at.journalled);
            to.journalled = 0;
            steps.to("a poller: INVALIDATE, deletes the row", [], to);
        }
        if self.left.crashes > 0 && at.writer.stage == WriteStage::Idle {
            for node in 0..2 {
                if at.key(node).is_quarantine() {
                    let mut to = *at;
                    to.set_key(node, Key::Absent);
                    steps.to("the quarantine at n# expires", [node], to);
                }
            }
        }
    }

    /// The fills of other instances, each a load and a FILL in one step.
    pub(super) fn fill_elsewhere(&self, at: &State, steps: &mut Steps<State>) {
        for node in 0..2 {
            let is_paused = node == 1 && self.pauses && !at.is_late;
            let is_executed = self.route(at, node) == Route::Executed;
            if is_executed && !is_paused && at.key(node) == Key::Absent {
                let mut to = *at;
                to.set_key(
                    node,
                    Key::Value {
                        version: at.row,
                        mark: node,
                    },
                );
                steps.to("another instance fills v# at n#", [at.row, node], to);
            }
        }
    }
}

impl State {
    /// The state after the writer has taken its last step. A write in the
    /// journal has returned, for the judge, when the row is deleted.
    fn after_write(&self) -> Self {
        let mut to = *self;
        if self.journalled != self.writer.version {
            to.returned = self.returned.max(self.writer.version);
        }
        to.writer = Writer::default();
        to
    }
}
