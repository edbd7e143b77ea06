//! What holds, and what each rule is there for.

use super::{A, B, Commits, Holds, Journals, Left, Proves, SuspectUntil, TwoShards};
use crate::{breaks, holds, holds_near};

/// One write, whose quarantine may be lost on a shard, read where it was
/// written.
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

/// The same, read elsewhere.
const ELSEWHERE: TwoShards = TwoShards {
    readers: &[(B, 1), (B, 1)],
    ..OWN
};

#[test]
fn an_instance_reads_its_own_write_though_its_quarantine_was_lost_on_one_shard() {
    holds(&OWN);
}

#[test]
fn an_instance_reads_its_own_write_on_the_one_shard_and_on_the_other_as_far_as_was_looked() {
    holds_near(&TwoShards {
        readers: &[(A, 0), (A, 1)],
        ..OWN
    });
}

#[test]
fn an_instance_reads_its_own_write_though_its_quarantine_comes_late_on_one_shard() {
    holds(&TwoShards {
        left: ONE_STALLED,
        ..OWN
    });
}

#[test]
fn an_instance_reads_its_own_write_after_another_came_in_between_as_far_as_was_looked() {
    holds_near(&TwoShards {
        other_writer: true,
        ..OWN
    });
}

#[test]
fn a_key_let_go_when_a_key_on_the_other_shard_was_released_is_read_behind_its_own_write() {
    breaks(&TwoShards {
        holds: Holds::UntilAnyRelease,
        ..OWN
    });
}

#[test]
fn other_instances_read_what_was_told_of_though_a_quarantine_was_lost_on_one_shard() {
    holds(&ELSEWHERE);
}

#[test]
fn other_instances_read_what_was_told_of_on_the_one_shard_and_on_the_other() {
    holds(&TwoShards {
        readers: &[(B, 0), (B, 1)],
        ..ELSEWHERE
    });
}

#[test]
fn other_instances_read_what_was_told_of_though_a_quarantine_comes_late_on_one_shard() {
    holds(&TwoShards {
        left: ONE_STALLED,
        ..ELSEWHERE
    });
}

#[test]
fn other_instances_that_write_themselves_read_what_was_told_of_as_far_as_was_looked() {
    holds_near(&TwoShards {
        other_writer: true,
        ..ELSEWHERE
    });
}

#[test]
fn a_commit_that_waits_for_one_shard_leaves_the_old_row_on_the_other() {
    breaks(&TwoShards {
        commits: Commits::AfterFirst,
        ..ELSEWHERE
    });
}

#[test]
fn a_key_that_is_not_journalled_because_another_was_acknowledged_stays_old_elsewhere() {
    breaks(&TwoShards {
        journals: Journals::AllOrNone,
        ..ELSEWHERE
    });
}

#[test]
fn a_pong_of_one_shard_proves_nothing_about_messages_of_the_other() {
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
fn an_instance_that_suspects_a_shard_no_longer_reads_every_write_returned_before() {
    holds(&SUSPECT);
}

#[test]
fn a_suspicion_that_a_pong_ends_ends_before_the_journal_was_read() {
    breaks(&TwoShards {
        suspect_until: SuspectUntil::Pong,
        ..SUSPECT
    });
}

#[test]
fn a_suspicion_that_waits_for_the_rows_of_the_other_shard_ends_too_early() {
    breaks(&TwoShards {
        suspect_until: SuspectUntil::OtherRowsAreGone,
        ..SUSPECT
    });
}
