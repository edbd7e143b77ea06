//! The steps of the operator and of the cluster.

use super::{Demoted, Failover, Settles, SlotMigration, State};
use crate::explore::Steps;
use crate::scripts::Key;

impl SlotMigration {
    pub(super) fn migrate(&self, at: &State, steps: &mut Steps<State>) {
        let (source, target) = (at.slot.owner, 1 - at.slot.owner);
        if at.slot.is_migrating {
            self.move_key(at, source, target, steps);
        } else if at.left.migrations > 0 && (source == 0 || self.returns) {
            let mut to = *at;
            to.left.migrations -= 1;
            to.slot.is_migrating = true;
            steps.to("the slot begins to migrate to n#", [target], to);
        }
        if at.left.evictions > 0 && matches!(at.key(0), Key::Value { .. }) {
            let mut to = *at;
            to.left.evictions -= 1;
            to.set_key(0, Key::Absent);
            steps.to("n0 evicts the value", [], to);
        }
    }

    fn move_key(&self, at: &State, source: u8, target: u8, steps: &mut Steps<State>) {
        let mut to = *at;
        if at.key(source) == Key::Absent {
            to.slot.is_migrating = false;
            to.slot.owner = target;
            to.slot.changes += 1;
            steps.to("SETSLOT NODE: n# owns the slot", [target], to);
        } else {
            to.set_key(target, at.key(source));
            if at.left.copied > 0 {
                let mut to = to;
                to.left.copied -= 1;
                let numbers = [source, target];
                steps.to("MIGRATE, and n# and n# have the key", numbers, to);
            }
            to.set_key(source, Key::Absent);
            steps.to("MIGRATE: n# has the key", [target], to);
        }
        if at.left.cancelled > 0 {
            let mut to = *at;
            to.left.cancelled -= 1;
            to.slot.is_migrating = false;
            steps.to("the migration is cancelled", [], to);
        }
    }

    pub(super) fn fail_over(&self, at: &State, steps: &mut Steps<State>) {
        let mut to = *at;
        match at.failover {
            Failover::None => {
                to.failover = Failover::Voted;
                steps.to("a majority votes for n1", [], to);
            }
            Failover::Voted => {
                to.failover = match self.demoted {
                    Demoted::Gone => Failover::Noticed,
                    Demoted::Refuses | Demoted::ServesReads => Failover::Promoted,
                };
                to.set_key(1, at.key(0));
                steps.to("n1 is promoted", [], to);
                if at.left.lost_tails > 0 {
                    to.left.lost_tails -= 1;
                    let oldest = Key::Value {
                        version: 0,
                        mark: 0,
                    };
                    to.set_key(1, oldest);
                    steps.to("n1 is promoted, with v0", [], to);
                }
            }
            Failover::Promoted => {
                to.failover = Failover::Noticed;
                steps.to("n0 notices that it was replaced", [], to);
            }
            Failover::Noticed => {
                if self.demoted == Demoted::ServesReads && at.key(0) != at.key(1) {
                    to.set_key(0, at.key(1));
                    steps.to("n0 receives the data of n1", [], to);
                }
            }
        }
        if at.is_promoted() && !at.is_late && self.depends_on_time() {
            let mut to = *at;
            to.is_late = true;
            steps.to("the promotion is more than H ago", [], to);
        }
    }

    /// Returns true if some rule or fault depends on the time since the
    /// promotion.
    fn depends_on_time(&self) -> bool {
        self.pauses
            || self.checks_quarantine
            || self.settles == Settles::Trusted
            || self.left.crashes > 0
    }
}
