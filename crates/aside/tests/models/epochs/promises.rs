//! What holds, and what each rule is there for.

use super::{Bumps, Epochs, Journal, Left, Stamp};
use crate::{breaks, holds, holds_near};

/// One write of the whole kind on instance 1, two readers on instance 0, and
/// no fault.
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
fn no_read_is_older_than_a_write_of_the_whole_kind_that_the_last_ping_followed() {
    holds(&WHOLE);
}

#[test]
fn two_writes_of_the_whole_kind_at_once_both_count_as_far_as_was_looked() {
    holds_near(&Epochs {
        journal: Journal::None,
        pings: 1,
        writes: 2,
        ..WHOLE
    });
}

#[test]
fn a_value_stamped_at_its_fill_outlives_the_write_of_the_whole_kind() {
    breaks(&Epochs {
        fill: Stamp::Late,
        ..WHOLE
    });
}

#[test]
fn an_entry_stamped_when_it_is_kept_outlives_the_write_of_the_whole_kind() {
    breaks(&Epochs {
        entry: Stamp::Late,
        ..WHOLE
    });
}

#[test]
fn a_bump_before_the_commit_alone_lets_the_old_row_in_under_the_new_epoch() {
    breaks(&Epochs {
        bumps: Bumps::BeforeOnly,
        ..WHOLE
    });
}

#[test]
fn a_bump_after_the_commit_alone_is_lost_with_its_writer() {
    breaks(&Epochs {
        bumps: Bumps::AfterOnly,
        journal: Journal::None,
        left: ONE_CRASH,
        ..WHOLE
    });
}

/// The old row may have been filled between the first bump and the commit.
#[test]
fn a_bump_before_the_commit_does_not_make_up_for_the_one_that_was_lost_with_its_writer() {
    breaks(&Epochs {
        journal: Journal::None,
        left: ONE_CRASH,
        ..WHOLE
    });
}

#[test]
fn a_journalled_row_makes_up_for_the_bump_that_was_lost_with_its_writer() {
    holds(&Epochs {
        left: ONE_CRASH,
        ..WHOLE
    });
}

/// The bump before the commit narrows a window that the row closes.
#[test]
fn with_a_journalled_row_the_bump_after_the_commit_is_enough() {
    holds(&Epochs {
        bumps: Bumps::AfterOnly,
        left: ONE_CRASH,
        ..WHOLE
    });
}

#[test]
fn a_journalled_row_deleted_before_its_bump_is_lost_with_its_poller() {
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
fn a_poller_that_dies_between_its_bump_and_the_deletion_is_made_up_for_by_the_next() {
    holds(&Epochs {
        left: Left {
            crashes: 2,
            ..WHOLE.left
        },
        ..WHOLE
    });
}

#[test]
fn a_lost_message_is_made_up_for_by_the_watcher() {
    holds(&Epochs {
        left: ONE_LOSS,
        ..WHOLE
    });
}

#[test]
fn a_watcher_that_proves_only_that_it_hears_misses_a_lost_epoch_for_good() {
    breaks(&Epochs {
        left: ONE_LOSS,
        watcher_reads: false,
        ..WHOLE
    });
}

#[test]
fn evicted_epochs_begin_again_beyond_all_that_were() {
    holds(&Epochs {
        left: ONE_EVICTION,
        ..WHOLE
    });
}

#[test]
fn evicted_epochs_and_a_lost_message_together_are_survived_as_far_as_was_looked() {
    holds_near(&Epochs {
        left: Left {
            lost: 1,
            ..ONE_EVICTION
        },
        ..WHOLE
    });
}

/// The writer has slept through two bumps that the readers know of.
const BEHIND: Epochs = Epochs {
    known: [3, 1],
    left: ONE_EVICTION,
    ..WHOLE
};

#[test]
fn evicted_epochs_begin_again_beyond_what_the_writer_has_not_heard_of() {
    holds(&BEHIND);
}

#[test]
fn evicted_epochs_that_begin_without_the_clock_fall_behind_what_others_know() {
    breaks(&Epochs {
        clock: false,
        ..BEHIND
    });
}

#[test]
fn evicted_epochs_that_begin_again_from_nothing_forget_nothing() {
    breaks(&Epochs {
        clock: false,
        beyond_known: false,
        left: ONE_EVICTION,
        ..WHOLE
    });
}

#[test]
fn a_row_that_a_single_write_leaves_does_not_outlive_a_write_of_the_whole_kind() {
    holds(&Epochs {
        single: true,
        ..WHOLE
    });
}

#[test]
fn a_row_that_is_stamped_as_it_is_left_outlives_a_write_of_the_whole_kind() {
    breaks(&Epochs {
        single: true,
        release: Stamp::Late,
        ..WHOLE
    });
}
