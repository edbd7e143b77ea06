//! The promises that hold, and the failure that each rule prevents.

use super::{Floor, Join, Leases, Left, Tag};
use crate::scripts::{Scripts, WITHOUT_VALUES};
use crate::{breaks, holds};

/// The protocol, two writers, three readers, and no fault.
const WHOLE: Leases = Leases {
    scripts: WITHOUT_VALUES,
    writers: 2,
    readers: 3,
    left: Left {
        crashes: 0,
        expiries: 0,
        evictions: 0,
        failovers: 0,
    },
    floor: Floor::Returned,
    lease: true,
    quarantine: true,
    join: Join::Never,
    tag: Tag::None,
};

const ONE_CRASH: Left = Left {
    crashes: 1,
    ..WHOLE.left
};

const ONE_EXPIRY: Left = Left {
    expiries: 1,
    ..WHOLE.left
};

const ONE_EVICTION: Left = Left {
    evictions: 1,
    ..WHOLE.left
};

const ONE_FAILOVER: Left = Left {
    failovers: 1,
    ..WHOLE.left
};

#[test]
fn reads_see_the_newest_commit_if_a_writer_crashes() {
    holds(&Leases {
        left: ONE_CRASH,
        floor: Floor::Committed,
        ..WHOLE
    });
}

#[test]
fn reads_see_the_newest_returned_write_if_a_writer_crashes() {
    holds(&Leases {
        left: ONE_CRASH,
        ..WHOLE
    });
}

#[test]
fn joining_a_holder_whose_fill_was_accepted_is_fresh() {
    holds(&Leases {
        writers: 1,
        left: ONE_CRASH,
        floor: Floor::Committed,
        join: Join::Filled,
        ..WHOLE
    });
}

#[test]
fn joining_a_holder_before_its_load_is_fresh() {
    holds(&Leases {
        writers: 1,
        left: ONE_CRASH,
        floor: Floor::Committed,
        join: Join::FilledOrLoadedAfter,
        ..WHOLE
    });
}

#[test]
fn joining_a_holder_whose_fill_was_refused_is_stale() {
    breaks(&Leases {
        writers: 1,
        join: Join::Always,
        ..WHOLE
    });
}

#[test]
fn a_fill_without_a_lease_restores_an_old_row() {
    breaks(&Leases {
        writers: 1,
        readers: 2,
        lease: false,
        quarantine: false,
        ..WHOLE
    });
}

#[test]
fn a_fill_without_a_lease_is_stale_despite_quarantines() {
    breaks(&Leases {
        writers: 1,
        readers: 2,
        lease: false,
        ..WHOLE
    });
}

#[test]
fn invalidating_after_commit_suffices_without_a_crash() {
    holds(&Leases {
        quarantine: false,
        ..WHOLE
    });
}

#[test]
fn invalidating_after_commit_fails_if_the_writer_crashes() {
    breaks(&Leases {
        writers: 1,
        readers: 2,
        left: ONE_CRASH,
        floor: Floor::Committed,
        quarantine: false,
        ..WHOLE
    });
}

const ONE_RECORD: Scripts = Scripts {
    many_records: false,
    ..WITHOUT_VALUES
};

#[test]
fn a_quarantine_of_one_record_suffices_without_a_crash() {
    holds(&Leases {
        scripts: ONE_RECORD,
        ..WHOLE
    });
}

#[test]
fn a_quarantine_of_one_record_is_ended_by_another_writer() {
    breaks(&Leases {
        scripts: ONE_RECORD,
        left: ONE_CRASH,
        floor: Floor::Committed,
        ..WHOLE
    });
}

#[test]
fn an_expired_quarantine_hides_no_returned_write() {
    holds(&Leases {
        left: ONE_EXPIRY,
        ..WHOLE
    });
}

/// Two faults at once, which the protocol does not promise to survive.
#[test]
fn an_expired_quarantine_plus_a_crash_leaves_an_old_row() {
    breaks(&Leases {
        writers: 1,
        readers: 2,
        left: Left {
            crashes: 1,
            ..ONE_EXPIRY
        },
        floor: Floor::Committed,
        ..WHOLE
    });
}

#[test]
fn a_release_that_spares_foreign_values_leaves_an_old_row() {
    breaks(&Leases {
        scripts: Scripts {
            release_deletes_foreign: false,
            ..WITHOUT_VALUES
        },
        writers: 1,
        readers: 2,
        left: ONE_EXPIRY,
        ..WHOLE
    });
}

#[test]
fn an_evicted_key_hides_no_returned_write() {
    holds(&Leases {
        left: ONE_EVICTION,
        ..WHOLE
    });
}

#[test]
fn a_failover_without_a_history_tag_restores_an_old_row() {
    breaks(&Leases {
        writers: 1,
        left: ONE_FAILOVER,
        ..WHOLE
    });
}

#[test]
fn a_tag_taken_at_the_fill_lets_an_old_lease_fill() {
    breaks(&Leases {
        writers: 1,
        left: ONE_FAILOVER,
        tag: Tag::KnownAtFill,
        ..WHOLE
    });
}

#[test]
fn a_tag_taken_before_the_lease_survives_a_failover() {
    holds(&Leases {
        writers: 1,
        left: ONE_FAILOVER,
        tag: Tag::KnownBeforeAcquire,
        ..WHOLE
    });
}

#[test]
fn a_tag_before_the_lease_survives_failover_with_two_writers() {
    holds(&Leases {
        readers: 2,
        left: ONE_FAILOVER,
        tag: Tag::KnownBeforeAcquire,
        ..WHOLE
    });
}
