//! The promises that hold, and the failure that each rule prevents.

use super::{OwnForget, OwnInsert, Skipping, TwoInstances};
use crate::{breaks, holds};

const WHOLE: TwoInstances = TwoInstances {
    own_forget: OwnForget::AfterReply,
    own_insert: OwnInsert::Never,
    lost: 0,
    holds: true,
    skips: 0,
    skipping: Skipping::ForgetsUnlessSameHeld,
    skips_in_turn: false,
    readers: 3,
    other_writer: true,
    in_order: false,
};

const ORDER: TwoInstances = TwoInstances {
    in_order: true,
    ..WHOLE
};

/// A read that skips the local tier, between reads that use it.
const SKIP: TwoInstances = TwoInstances { skips: 1, ..ORDER };

#[test]
fn an_instance_reads_its_own_writes() {
    holds(&WHOLE);
}

#[test]
fn invalidating_before_the_quarantine_readmits_the_old_row() {
    breaks(&TwoInstances {
        own_forget: OwnForget::BeforeReply,
        readers: 2,
        other_writer: false,
        ..WHOLE
    });
}

#[test]
fn suspicion_ends_too_early_for_a_lost_quarantine() {
    breaks(&TwoInstances {
        lost: 1,
        holds: false,
        readers: 2,
        other_writer: false,
        ..WHOLE
    });
}

#[test]
fn a_key_bypassed_until_its_release_reads_its_own_write() {
    holds(&TwoInstances { lost: 1, ..WHOLE });
}

#[test]
fn an_instance_that_inserts_its_rows_reads_its_own_writes() {
    holds(&TwoInstances {
        own_insert: OwnInsert::AsOfRelease,
        ..WHOLE
    });
}

#[test]
fn an_instance_that_inserts_its_rows_may_read_back() {
    breaks(&TwoInstances {
        own_insert: OwnInsert::AsOfRelease,
        ..ORDER
    });
}

#[test]
fn inserting_them_under_a_newer_generation_reads_back_too() {
    breaks(&TwoInstances {
        own_insert: OwnInsert::AsOfInsert,
        readers: 2,
        ..ORDER
    });
}

#[test]
fn an_instance_that_inserts_no_own_rows_reads_in_order() {
    holds(&ORDER);
}

#[test]
fn an_instance_reads_in_order_after_a_lost_quarantine() {
    holds(&TwoInstances { lost: 1, ..ORDER });
}

#[test]
fn a_skipping_read_that_invalidates_nothing_lets_reads_go_back() {
    breaks(&TwoInstances {
        skipping: Skipping::Nothing,
        ..SKIP
    });
}

/// The read may have found a quarantine and returned a row that it loaded.
#[test]
fn a_skipping_read_that_only_compares_redis_lets_reads_go_back() {
    breaks(&TwoInstances {
        skipping: Skipping::ForgetsIfRedisDiffers,
        ..SKIP
    });
}

/// The other value may be about to enter the tier, and have no entry yet.
#[test]
fn a_skipping_read_that_needs_an_entry_lets_reads_go_back() {
    breaks(&TwoInstances {
        skipping: Skipping::ForgetsIfOtherHeld,
        ..SKIP
    });
}

/// As above, if the read out of turn may only return a value found in Redis.
#[test]
fn waiting_for_the_read_in_flight_still_lets_reads_go_back() {
    breaks(&TwoInstances {
        skipping: Skipping::ForgetsIfOtherHeld,
        skips_in_turn: true,
        ..SKIP
    });
}

#[test]
fn a_skipping_read_that_keeps_equal_entries_keeps_order() {
    holds(&SKIP);
}

#[test]
fn such_a_read_keeps_order_after_a_lost_quarantine() {
    holds(&TwoInstances { lost: 1, ..SKIP });
}
