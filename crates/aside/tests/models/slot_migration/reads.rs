//! The reads of the one reader.

use super::{ChangedLine, Demoted, Failover, Read, ReadStage, Route, SlotMigration, State};
use crate::explore::Steps;
use crate::scripts::Key;

/// The reader's lease.
const TOKEN: u8 = 1;
const LEASE: Key = Key::Lease {
    token: TOKEN,
    mark: 0,
};

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
            ReadStage::Leased => {
                to.read.stage = ReadStage::Loaded;
                to.read.version = at.row;
                steps.to("r: loads v#", [at.row], to);
            }
            ReadStage::Loaded => self.fill(at, steps),
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
            Key::Lease { .. } => {
                steps.to("r: finds a lease, bypasses", [], bypassed);
            }
            _ if is_replica => {
                steps.to("r: ACQUIRE is refused, bypasses", [], bypassed);
            }
            Key::Value { .. } | Key::Absent if self.leases => {
                to.read.stage = ReadStage::Leased;
                to.set_key(node, LEASE);
                steps.to("r: takes the lease at n#", [node], to);
            }
            Key::Value { .. } | Key::Absent => {
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

    /// A FILL goes to the owner in the reader's map, which may have changed
    /// since the lease was taken, and is not redirected.
    fn fill(&self, at: &State, steps: &mut Steps<State>) {
        let Read { version, node, .. } = at.read;
        let sent_to = at.link.node;
        let mut to = *at;
        to.read.stage = ReadStage::Answered;
        let tag = if self.early_tags { node } else { sent_to };
        let filled = at.key(sent_to).filled(TOKEN, version, tag);
        match filled {
            Some(value) if self.route(at, sent_to) == Route::Executed => {
                to.set_key(sent_to, value);
                steps.to("r: FILL of v# at n#", [version, sent_to], to);
            }
            _ => steps.to("r: FILL of v# finds no lease", [version], to),
        }
    }

    pub(super) fn expire_lease(at: &State, steps: &mut Steps<State>) {
        for node in 0..2 {
            if at.key(node).is_lease() {
                let mut to = *at;
                to.set_key(node, Key::Absent);
                steps.to("the lease at n# expires", [node], to);
            }
        }
    }
}
