//! The reads of the one reader.

use super::{ChangedLine, Demoted, Failover, Read, ReadStage, Route, SlotMigration, State};
use crate::explore::Steps;
use crate::scripts::Key;

impl SlotMigration {
    pub(super) fn read(&self, at: &State, steps: &mut Steps<State>) {
        let trusted = self.trust(at, at.link.local_proof);
        if let (Some(entry), Some(date)) = (at.link.entry, trusted)
            && entry < date
        {
            let words = "r: a local hit of v#, and v# had returned";
            steps.broken(words, [entry, date]);
        }
        let read = at.read;
        let mut to = *at;
        match read.stage {
            ReadStage::Idle => {
                if let Some(date) = self.trust(at, at.link.proof) {
                    to.read = Read {
                        stage: ReadStage::Sent,
                        is_current: true,
                        node: at.link.node,
                        version: date,
                    };
                    steps.to("r: GET to n#", [at.link.node], to);
                }
            }
            ReadStage::Sent => self.answer_get(at, steps),
            ReadStage::Answered => {
                let is_waiting = self.changed_line == ChangedLine::EndsEntriesAndWaits
                    && at.link.local_proof.is_none();
                to.read = Read::default();
                if read.is_current && !is_waiting {
                    to.link.entry = Some(read.version);
                    steps.to("r: keeps v#", [read.version], to);
                } else {
                    steps.to("r: does not keep v#", [read.version], to);
                }
            }
        }
    }

    fn answer_get(&self, at: &State, steps: &mut Steps<State>) {
        let read = at.read;
        let mut bypassed = *at;
        bypassed.read = Read::default();
        let is_replica = self.demoted == Demoted::ServesReads
            && at.failover == Failover::Noticed
            && read.node == 0;
        let node = match self.route(at, read.node) {
            Route::Executed => read.node,
            Route::Ask if self.reads_follow => 1 - read.node,
            Route::Moved if is_replica => read.node,
            Route::Ask | Route::Moved => {
                steps.to("r: is redirected, bypasses", [], bypassed);
                return;
            }
        };
        let mut to = *at;
        to.read.stage = ReadStage::Answered;
        match at.key(node) {
            Key::Value { version, mark } if mark == node || !self.has_tags => {
                if version < read.version {
                    let numbers = [node, version, read.version];
                    steps.broken("r: GET at n# finds v#, and v# had returned", numbers);
                }
                to.read.version = version;
                steps.to("r: finds v# at n#", [version, node], to);
            }
            Key::Quarantine { .. } => {
                steps.to("r: finds a quarantine, bypasses", [], bypassed);
            }
            _ if is_replica => {
                steps.to("r: ACQUIRE is refused, bypasses", [], bypassed);
            }
            // Load and FILL are one step, because the leases have a separate
            // model.
            Key::Value { .. } | Key::Absent | Key::Lease { .. } => {
                to.read.version = at.row;
                to.set_key(
                    node,
                    Key::Value {
                        version: at.row,
                        mark: node,
                    },
                );
                steps.to("r: loads and fills v# at n#", [at.row, node], to);
            }
        }
    }
}
