//! The promises that hold, and the failure that each rule prevents.

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
fn three_writers_without_values_are_read_fresh() {
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
fn three_writers_that_leave_their_rows_are_read_fresh() {
    holds(&ReleaseValue {
        left: ONE_CRASH,
        floor: Floor::Committed,
        ..WHOLE
    });
}

#[test]
fn a_row_left_by_a_merely_sole_writer_may_be_older() {
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

/// The second quarantine has already set the mark. The mark of a RELEASE serves
/// writers without a quarantine; see the tests below.
#[test]
fn a_release_needs_no_mark_if_all_writers_quarantine() {
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
fn a_row_left_after_expiry_hides_no_returned_write() {
    holds(&ReleaseValue {
        left: Left {
            expiries: 1,
            ..WHOLE.left
        },
        ..WHOLE
    });
}

#[test]
fn a_row_left_after_eviction_hides_no_returned_write() {
    holds(&ReleaseValue {
        left: Left {
            evictions: 1,
            ..WHOLE.left
        },
        ..WHOLE
    });
}

#[test]
fn an_invalidation_without_a_mark_lets_an_older_row_stay() {
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
fn an_invalidation_keeps_older_rows_from_being_left() {
    holds(&ReleaseValue {
        writers: 2,
        external: 1,
        ..WHOLE
    });
}

#[test]
fn a_degraded_writer_without_marks_lets_an_older_row_stay() {
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
fn a_release_without_record_or_mark_lets_an_older_row_stay() {
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
fn a_degraded_writer_is_read_fresh_once_it_returned() {
    holds(&ReleaseValue {
        degraded: 1,
        ..WHOLE
    });
}

#[test]
fn a_tag_taken_before_the_quarantine_survives_a_failover() {
    holds(&ReleaseValue {
        writers: 2,
        left: ONE_FAILOVER,
        ..WHOLE
    });
}

#[test]
fn a_tag_taken_at_the_release_restores_an_older_row() {
    breaks(&ReleaseValue {
        early_tag: false,
        writers: 2,
        left: ONE_FAILOVER,
        ..WHOLE
    });
}
