//! The promises that hold, and the failure that each rule prevents.

use super::{Bumps, Epochs, Journal, Left, Stamp};
use crate::{breaks, holds, holds_near};

/// One write of the whole kind on instance 1, two readers on instance 0, and no
/// fault.
const WHOLE: Epochs = Epochs {
    bumps: Bumps::BeforeAndAfter,
    journal: Journal::BumpThenDelete,
    fill: Stamp::Early,
    release: Stamp::Early,
    entry: Stamp::Early,
    watcher_reads: true,
    clock: true,
    beyond_known: true,
    known: [1, 1],
    writes: 1,
    single: false,
    homes: &[0, 0],
    pings: 2,
    left: Left {
        crashes: 0,
        lost: 0,
        evictions: 0,
    },
};

const ONE_CRASH: Left = Left {
    crashes: 1,
    ..WHOLE.left
};

const ONE_LOSS: Left = Left {
    lost: 1,
    ..WHOLE.left
};

const ONE_EVICTION: Left = Left {
    evictions: 1,
    ..WHOLE.left
};

#[test]
fn reads_see_kind_writes_settled_before_the_last_ping() {
    holds(&WHOLE);
}

#[test]
fn two_concurrent_kind_writes_both_count_near_start() {
    holds_near(&Epochs {
        journal: Journal::None,
        pings: 1,
        writes: 2,
        ..WHOLE
    });
}

#[test]
fn a_value_stamped_at_its_fill_survives_a_kind_write() {
    breaks(&Epochs {
        fill: Stamp::Late,
        ..WHOLE
    });
}

#[test]
fn an_entry_stamped_at_its_insert_survives_a_kind_write() {
    breaks(&Epochs {
        entry: Stamp::Late,
        ..WHOLE
    });
}

#[test]
fn bumping_only_before_commit_caches_an_old_row() {
    breaks(&Epochs {
        bumps: Bumps::BeforeOnly,
        ..WHOLE
    });
}

#[test]
fn a_bump_only_after_commit_is_lost_if_the_writer_crashes() {
    breaks(&Epochs {
        bumps: Bumps::AfterOnly,
        journal: Journal::None,
        left: ONE_CRASH,
        ..WHOLE
    });
}

/// The old row may have been filled between the first bump and the commit.
#[test]
fn the_first_bump_cannot_replace_a_lost_second_bump() {
    breaks(&Epochs {
        journal: Journal::None,
        left: ONE_CRASH,
        ..WHOLE
    });
}

#[test]
fn a_journal_row_replaces_a_bump_lost_in_a_crash() {
    holds(&Epochs {
        left: ONE_CRASH,
        ..WHOLE
    });
}

/// The bump before the commit only narrows a window that the row closes.
#[test]
fn with_a_journal_row_one_bump_after_commit_suffices() {
    holds(&Epochs {
        bumps: Bumps::AfterOnly,
        left: ONE_CRASH,
        ..WHOLE
    });
}

#[test]
fn a_row_deleted_before_its_bump_is_lost_if_the_poller_crashes() {
    breaks(&Epochs {
        journal: Journal::DeleteThenBump,
        left: Left {
            crashes: 2,
            ..WHOLE.left
        },
        ..WHOLE
    });
}

#[test]
fn the_next_poller_finishes_after_a_crash_before_deletion() {
    holds(&Epochs {
        left: Left {
            crashes: 2,
            ..WHOLE.left
        },
        ..WHOLE
    });
}

#[test]
fn the_watcher_recovers_a_lost_message() {
    holds(&Epochs {
        left: ONE_LOSS,
        ..WHOLE
    });
}

#[test]
fn a_watcher_that_reads_no_epoch_misses_a_lost_bump() {
    breaks(&Epochs {
        left: ONE_LOSS,
        watcher_reads: false,
        ..WHOLE
    });
}

#[test]
fn evicted_epochs_restart_above_every_earlier_epoch() {
    holds(&Epochs {
        left: ONE_EVICTION,
        ..WHOLE
    });
}

#[test]
fn eviction_plus_a_lost_message_is_harmless_near_start() {
    holds_near(&Epochs {
        left: Left {
            lost: 1,
            ..ONE_EVICTION
        },
        ..WHOLE
    });
}

/// The writer has missed two bumps that the readers know of.
const BEHIND: Epochs = Epochs {
    known: [3, 1],
    left: ONE_EVICTION,
    ..WHOLE
};

#[test]
fn evicted_epochs_restart_above_epochs_the_writer_missed() {
    holds(&BEHIND);
}

#[test]
fn evicted_epochs_without_the_clock_fall_behind_readers() {
    breaks(&Epochs {
        clock: false,
        ..BEHIND
    });
}

#[test]
fn evicted_epochs_that_restart_at_zero_invalidate_no_entry() {
    breaks(&Epochs {
        clock: false,
        beyond_known: false,
        left: ONE_EVICTION,
        ..WHOLE
    });
}

#[test]
fn a_row_left_by_a_single_write_dies_with_a_kind_write() {
    holds(&Epochs {
        single: true,
        ..WHOLE
    });
}

#[test]
fn a_row_stamped_at_its_release_survives_a_kind_write() {
    breaks(&Epochs {
        single: true,
        release: Stamp::Late,
        ..WHOLE
    });
}
