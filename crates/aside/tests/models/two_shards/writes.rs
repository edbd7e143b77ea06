//! The two writers, shard by shard.

use super::{
    A, B, Commits, FORGET, Holds, Journals, OtherStage, OwnStage, Quarantining, State, TwoShards,
};
use crate::explore::Steps;
use crate::scripts::WITHOUT_VALUES;

impl TwoShards {
    pub(super) fn publish(&self, to: &mut State, shard: usize) {
        for instance in [A, B] {
            if self.readers.contains(&(instance, shard)) {
                to.instances[instance].links[shard].channel.push(FORGET);
            }
        }
    }

    pub(super) fn before_commit(&self, at: &State, steps: &mut Steps<State>) {
        for shard in 0..2 {
            if at.quarantining[shard] == Quarantining::Waiting {
                self.quarantine(at, shard, steps);
            }
        }
        let is_answered = |quarantining: &Quarantining| *quarantining != Quarantining::Waiting;
        let acknowledged = at.quarantining.contains(&Quarantining::Acknowledged);
        let may_commit = match self.commits {
            Commits::AfterEach => at.quarantining.iter().all(is_answered),
            Commits::AfterFirst => acknowledged,
        };
        if may_commit {
            let mut to = *at;
            to.own = OwnStage::Committed;
            to.row += 1;
            to.own_version = to.row;
            for shard in 0..2 {
                if at.quarantining[shard] == Quarantining::Unacknowledged {
                    to.shards[shard].is_journalled =
                        self.journals == Journals::EachUnacknowledged || !acknowledged;
                } else {
                    to.tell(shard, to.row);
                }
            }
            steps.to("w0: commits v#", [to.row], to);
        }
    }

    fn quarantine(&self, at: &State, shard: usize, steps: &mut Steps<State>) {
        let s = shard as u8;
        let mut to = *at;
        to.quarantining[shard] = Quarantining::Acknowledged;
        to.shards[shard].key = WITHOUT_VALUES.quarantine(at.shards[shard].key, 0);
        self.publish(&mut to, shard);
        to.forget(A, shard);
        steps.to("w0: QUARANTINE on s# acknowledged", [s], to);

        let mut to = *at;
        to.quarantining[shard] = Quarantining::Unacknowledged;
        to.instances[A].links[shard].is_suspect = true;
        to.forget(A, shard);
        if at.left.lost > 0 {
            let mut to = to;
            to.left.lost -= 1;
            steps.to("w0: QUARANTINE on s# lost", [s], to);
        }
        if at.left.stalled > 0 {
            to.left.stalled -= 1;
            to.shards[shard].stalled_quarantine = true;
            steps.to("w0: QUARANTINE on s# stalls", [s], to);
        }
    }

    pub(super) fn after_commit(&self, at: &State, steps: &mut Steps<State>) {
        for shard in 0..2 {
            let s = shard as u8;
            let mut to = *at;
            to.quarantining[shard] = Quarantining::Released;
            to.shards[shard].key = WITHOUT_VALUES.release(at.shards[shard].key, 0, None);
            match at.quarantining[shard] {
                Quarantining::Waiting => self.quarantine(at, shard, steps),
                Quarantining::Acknowledged => {
                    if self.holds == Holds::UntilAnyRelease {
                        to.quarantining = [Quarantining::Released; 2];
                    }
                    steps.to("w0: RELEASE on s#", [s], to);
                }
                // The RELEASE is postponed until the shard may be used again.
                Quarantining::Unacknowledged if !at.instances[A].links[shard].is_suspect => {
                    self.publish(&mut to, shard);
                    to.forget(A, shard);
                    to.tell(shard, at.own_version);
                    steps.to("w0: RELEASE on s#, postponed until now", [s], to);
                }
                Quarantining::Unacknowledged | Quarantining::Released => {}
            }
        }
        let owes = |quarantining: &Quarantining| {
            matches!(
                quarantining,
                Quarantining::Waiting | Quarantining::Acknowledged
            )
        };
        if at.own == OwnStage::Committed && !at.quarantining.iter().any(owes) {
            let mut to = *at;
            to.own = OwnStage::Returned;
            to.returned = at.returned.max(at.own_version);
            for shard in 0..2 {
                // Only the writer announces a version that is in no journal.
                if !at.shards[shard].is_journalled {
                    to.tell(shard, at.own_version);
                }
            }
            steps.to("w0: returns", [], to);
        }
    }

    pub(super) fn write_other(&self, at: &State, steps: &mut Steps<State>) {
        let mut to = *at;
        let (shard, stage) = match at.other {
            OtherStage::Idle => (0, OtherStage::OneQuarantined),
            OtherStage::OneQuarantined => (1, OtherStage::Quarantined),
            OtherStage::Quarantined => (0, OtherStage::Committed),
            OtherStage::Committed => (0, OtherStage::OneReleased),
            OtherStage::OneReleased => (1, OtherStage::Returned),
            OtherStage::Returned => return,
        };
        to.other = stage;
        let key = at.shards[shard].key;
        match stage {
            OtherStage::Committed => {
                to.row += 1;
                to.other_version = to.row;
                to.tell(0, to.row);
                to.tell(1, to.row);
                steps.to("w1: commits v#", [to.row], to);
            }
            OtherStage::OneReleased | OtherStage::Returned => {
                to.shards[shard].key = WITHOUT_VALUES.release(key, 1, None);
                if stage == OtherStage::Returned {
                    to.returned = at.returned.max(at.other_version);
                }
                steps.to("w1: RELEASE on s#", [shard as u8], to);
            }
            OtherStage::Idle | OtherStage::OneQuarantined | OtherStage::Quarantined => {
                to.shards[shard].key = WITHOUT_VALUES.quarantine(key, 1);
                self.publish(&mut to, shard);
                to.forget(B, shard);
                steps.to("w1: QUARANTINE on s#", [shard as u8], to);
            }
        }
    }
}
