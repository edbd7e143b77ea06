//! The promises that hold, and the failure that each rule prevents.

use super::{A, B, Commits, Holds, Journals, Left, Proves, SuspectUntil, TwoShards};
use crate::{breaks, holds, holds_near};

/// One write, whose quarantine may be lost on a shard, read on the instance
/// that wrote it.
const OWN: TwoShards = TwoShards {
    commits: Commits::AfterEach,
    journals: Journals::EachUnacknowledged,
    holds: Holds::UntilItsRelease,
    suspect_until: SuspectUntil::ItsRowsAreGone,
    proves: Proves::ItsShard,
    other_writer: false,
    readers: &[(A, 1), (A, 1)],
    left: Left {
        lost: 1,
        stalled: 0,
        suspicions: 0,
    },
};

const ONE_STALLED: Left = Left {
    lost: 0,
    stalled: 1,
    ..OWN.left
};

/// The same write, read on the other instance.
const ELSEWHERE: TwoShards = TwoShards {
    readers: &[(B, 1), (B, 1)],
    ..OWN
};

#[test]
fn own_writes_are_read_if_one_shard_loses_the_quarantine() {
    holds(&OWN);
}

#[test]
fn own_writes_are_read_on_both_shards_near_start() {
    holds_near(&TwoShards {
        readers: &[(A, 0), (A, 1)],
        ..OWN
    });
}

#[test]
fn own_writes_are_read_if_one_shard_quarantines_late() {
    holds(&TwoShards {
        left: ONE_STALLED,
        ..OWN
    });
}

#[test]
fn own_writes_are_read_after_another_write_near_start() {
    holds_near(&TwoShards {
        other_writer: true,
        ..OWN
    });
}

#[test]
fn releasing_by_shard_breaks_read_your_writes() {
    breaks(&TwoShards {
        holds: Holds::UntilAnyRelease,
        ..OWN
    });
}

#[test]
fn others_read_announced_writes_if_a_quarantine_is_lost() {
    holds(&ELSEWHERE);
}

#[test]
fn others_read_announced_writes_on_both_shards() {
    holds(&TwoShards {
        readers: &[(B, 0), (B, 1)],
        ..ELSEWHERE
    });
}

#[test]
fn others_read_announced_writes_if_a_quarantine_is_late() {
    holds(&TwoShards {
        left: ONE_STALLED,
        ..ELSEWHERE
    });
}

#[test]
fn others_that_write_read_announced_writes_near_start() {
    holds_near(&TwoShards {
        other_writer: true,
        ..ELSEWHERE
    });
}

#[test]
fn a_commit_after_one_shard_leaves_the_old_row_on_the_other() {
    breaks(&TwoShards {
        commits: Commits::AfterFirst,
        ..ELSEWHERE
    });
}

#[test]
fn a_key_left_out_of_the_journal_stays_old_on_others() {
    breaks(&TwoShards {
        journals: Journals::AllOrNone,
        ..ELSEWHERE
    });
}

#[test]
fn a_pong_of_one_shard_proves_nothing_about_the_other() {
    breaks(&TwoShards {
        proves: Proves::EveryShard,
        readers: &[(B, 1), (B, 1), (B, 0)],
        ..ELSEWHERE
    });
}

const SUSPECT: TwoShards = TwoShards {
    left: Left {
        suspicions: 1,
        ..OWN.left
    },
    ..ELSEWHERE
};

#[test]
fn the_end_of_a_suspicion_reveals_every_returned_write() {
    holds(&SUSPECT);
}

#[test]
fn a_suspicion_ended_by_a_pong_precedes_the_journal() {
    breaks(&TwoShards {
        suspect_until: SuspectUntil::Pong,
        ..SUSPECT
    });
}

#[test]
fn a_suspicion_that_awaits_the_other_shard_ends_too_early() {
    breaks(&TwoShards {
        suspect_until: SuspectUntil::OtherRowsAreGone,
        ..SUSPECT
    });
}
