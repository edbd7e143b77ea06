//! What holds, and what each rule is there for.

use super::{Floor, Left, ReleaseValue};
use crate::scripts::{SCRIPTS, Scripts, Stores};
use crate::{breaks, holds};

/// The protocol, three writers, two readers, and no fault.
const WHOLE: ReleaseValue = ReleaseValue {
    scripts: SCRIPTS,
    early_tag: true,
    writers: 3,
    degraded: 0,
    external: 0,
    readers: 2,
    left: Left {
        crashes: 0,
        expiries: 0,
        evictions: 0,
        failovers: 0,
    },
    floor: Floor::Returned,
};

const ONE_CRASH: Left = Left {
    crashes: 1,
    ..WHOLE.left
};

const ONE_FAILOVER: Left = Left {
    failovers: 1,
    ..WHOLE.left
};

#[test]
fn three_writers_that_leave_no_value_are_never_read_behind() {
    holds(&ReleaseValue {
        scripts: Scripts {
            stores: Stores::Never,
            ..SCRIPTS
        },
        left: ONE_CRASH,
        floor: Floor::Committed,
        ..WHOLE
    });
}

#[test]
fn three_writers_that_leave_their_rows_are_never_read_behind() {
    holds(&ReleaseValue {
        left: ONE_CRASH,
        floor: Floor::Committed,
        ..WHOLE
    });
}

#[test]
fn a_row_left_whenever_no_other_writer_is_in_flight_may_be_the_older_one() {
    breaks(&ReleaseValue {
        scripts: Scripts {
            stores: Stores::IfSole,
            ..SCRIPTS
        },
        writers: 2,
        readers: 1,
        ..WHOLE
    });
}

/// The second quarantine has marked it already; the mark of a RELEASE is for
/// writers without one, further down.
#[test]
fn among_writers_that_all_quarantine_a_release_need_not_mark_what_it_leaves() {
    holds(&ReleaseValue {
        scripts: Scripts {
            release_marks: false,
            ..SCRIPTS
        },
        left: ONE_CRASH,
        floor: Floor::Committed,
        ..WHOLE
    });
}

#[test]
fn a_row_left_after_a_quarantine_expired_early_costs_no_returned_write() {
    holds(&ReleaseValue {
        left: Left {
            expiries: 1,
            ..WHOLE.left
        },
        ..WHOLE
    });
}

#[test]
fn a_row_left_after_an_eviction_costs_no_returned_write() {
    holds(&ReleaseValue {
        left: Left {
            evictions: 1,
            ..WHOLE.left
        },
        ..WHOLE
    });
}

#[test]
fn an_invalidation_that_leaves_no_mark_lets_an_older_row_be_left() {
    breaks(&ReleaseValue {
        scripts: Scripts {
            invalidate_marks: false,
            ..SCRIPTS
        },
        writers: 1,
        readers: 1,
        external: 1,
        ..WHOLE
    });
}

#[test]
fn an_invalidation_keeps_every_row_older_than_what_it_told_of_from_being_left() {
    holds(&ReleaseValue {
        writers: 2,
        external: 1,
        ..WHOLE
    });
}

#[test]
fn a_degraded_writer_that_leaves_no_marks_lets_an_older_row_be_left() {
    breaks(&ReleaseValue {
        scripts: Scripts {
            invalidate_marks: false,
            release_marks: false,
            ..SCRIPTS
        },
        writers: 2,
        readers: 1,
        degraded: 1,
        ..WHOLE
    });
}

#[test]
fn a_release_without_a_record_that_leaves_no_mark_lets_an_older_row_be_left() {
    breaks(&ReleaseValue {
        scripts: Scripts {
            release_marks: false,
            ..SCRIPTS
        },
        writers: 2,
        readers: 1,
        degraded: 1,
        ..WHOLE
    });
}

#[test]
fn a_degraded_writer_is_never_read_behind_once_it_returned() {
    holds(&ReleaseValue {
        degraded: 1,
        ..WHOLE
    });
}

#[test]
fn a_tag_known_before_the_quarantine_survives_a_failover_that_loses_commands() {
    holds(&ReleaseValue {
        writers: 2,
        left: ONE_FAILOVER,
        ..WHOLE
    });
}

#[test]
fn a_tag_taken_at_the_release_brings_an_older_row_into_the_new_history() {
    breaks(&ReleaseValue {
        early_tag: false,
        writers: 2,
        left: ONE_FAILOVER,
        ..WHOLE
    });
}
