//! What holds, and what each rule is there for.

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
fn no_read_is_older_than_the_newest_commit_though_a_writer_crashes() {
    holds(&Leases {
        left: ONE_CRASH,
        floor: Floor::Committed,
        ..WHOLE
    });
}

#[test]
fn no_read_is_older_than_the_newest_returned_write_though_a_writer_crashes() {
    holds(&Leases {
        left: ONE_CRASH,
        ..WHOLE
    });
}

#[test]
fn joining_a_lease_holder_whose_fill_was_accepted_is_as_good_as_a_read_of_ones_own() {
    holds(&Leases {
        writers: 1,
        left: ONE_CRASH,
        floor: Floor::Committed,
        join: Join::Filled,
        ..WHOLE
    });
}

#[test]
fn joining_a_lease_holder_before_its_load_is_as_good_though_its_fill_was_refused() {
    holds(&Leases {
        writers: 1,
        left: ONE_CRASH,
        floor: Floor::Committed,
        join: Join::FilledOrLoadedAfter,
        ..WHOLE
    });
}

#[test]
fn joining_a_lease_holder_whose_fill_was_refused_reads_behind_a_returned_write() {
    breaks(&Leases {
        writers: 1,
        join: Join::Always,
        ..WHOLE
    });
}

#[test]
fn a_fill_without_a_lease_brings_back_an_old_row() {
    breaks(&Leases {
        writers: 1,
        readers: 2,
        lease: false,
        quarantine: false,
        ..WHOLE
    });
}

#[test]
fn a_fill_without_a_lease_brings_back_an_old_row_though_writers_quarantine() {
    breaks(&Leases {
        writers: 1,
        readers: 2,
        lease: false,
        ..WHOLE
    });
}

#[test]
fn forgetting_after_the_commit_alone_is_enough_while_nobody_crashes() {
    holds(&Leases {
        quarantine: false,
        ..WHOLE
    });
}

#[test]
fn forgetting_after_the_commit_alone_leaves_an_old_row_for_good_if_the_writer_crashes() {
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
fn a_quarantine_for_one_writer_only_is_enough_while_nobody_crashes() {
    holds(&Leases {
        scripts: ONE_RECORD,
        ..WHOLE
    });
}

#[test]
fn a_quarantine_for_one_writer_only_is_ended_by_the_other_writer() {
    breaks(&Leases {
        scripts: ONE_RECORD,
        left: ONE_CRASH,
        floor: Floor::Committed,
        ..WHOLE
    });
}

#[test]
fn a_quarantine_that_expires_early_costs_no_returned_write() {
    holds(&Leases {
        left: ONE_EXPIRY,
        ..WHOLE
    });
}

/// Two faults at once, which nothing promises to survive.
#[test]
fn a_quarantine_that_expires_early_and_a_crash_leave_an_old_row() {
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
fn a_release_that_spares_what_it_finds_instead_of_its_record_leaves_an_old_row() {
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
fn an_evicted_key_costs_no_returned_write() {
    holds(&Leases {
        left: ONE_EVICTION,
        ..WHOLE
    });
}

#[test]
fn a_failover_without_a_history_tag_brings_back_an_old_row() {
    breaks(&Leases {
        writers: 1,
        left: ONE_FAILOVER,
        ..WHOLE
    });
}

#[test]
fn a_tag_stamped_at_the_fill_lets_a_lease_of_the_old_history_fill_the_new_one() {
    breaks(&Leases {
        writers: 1,
        left: ONE_FAILOVER,
        tag: Tag::KnownAtFill,
        ..WHOLE
    });
}

#[test]
fn a_tag_known_before_the_lease_survives_a_failover_that_loses_commands() {
    holds(&Leases {
        writers: 1,
        left: ONE_FAILOVER,
        tag: Tag::KnownBeforeAcquire,
        ..WHOLE
    });
}

#[test]
fn a_tag_known_before_the_lease_survives_such_a_failover_under_two_writers() {
    holds(&Leases {
        readers: 2,
        left: ONE_FAILOVER,
        tag: Tag::KnownBeforeAcquire,
        ..WHOLE
    });
}
