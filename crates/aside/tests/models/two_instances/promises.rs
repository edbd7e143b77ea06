//! What holds, and what each rule is there for.

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

/// A read that skips the in-process tier, between others that do not.
const SKIP: TwoInstances = TwoInstances { skips: 1, ..ORDER };

#[test]
fn an_instance_reads_its_own_writes() {
    holds(&WHOLE);
}

#[test]
fn forgetting_before_the_quarantine_is_acknowledged_lets_the_old_row_in_again() {
    breaks(&TwoInstances {
        own_forget: OwnForget::BeforeReply,
        readers: 2,
        other_writer: false,
        ..WHOLE
    });
}

#[test]
fn suspicion_alone_ends_too_early_for_a_write_whose_quarantine_was_lost() {
    breaks(&TwoInstances {
        lost: 1,
        holds: false,
        readers: 2,
        other_writer: false,
        ..WHOLE
    });
}

#[test]
fn a_key_held_until_its_release_is_never_read_behind_its_own_write() {
    holds(&TwoInstances { lost: 1, ..WHOLE });
}

#[test]
fn an_instance_that_keeps_the_rows_it_wrote_reads_its_own_writes() {
    holds(&TwoInstances {
        own_insert: OwnInsert::AsOfRelease,
        ..WHOLE
    });
}

#[test]
fn an_instance_that_keeps_the_rows_it_wrote_reads_back_behind_another_write() {
    breaks(&TwoInstances {
        own_insert: OwnInsert::AsOfRelease,
        ..ORDER
    });
}

#[test]
fn an_instance_that_keeps_them_under_a_newer_generation_reads_back_as_well() {
    breaks(&TwoInstances {
        own_insert: OwnInsert::AsOfInsert,
        readers: 2,
        ..ORDER
    });
}

#[test]
fn an_instance_that_leaves_its_rows_to_the_next_read_reads_in_order() {
    holds(&ORDER);
}

#[test]
fn an_instance_reads_in_order_though_a_quarantine_was_lost() {
    holds(&TwoInstances { lost: 1, ..ORDER });
}

#[test]
fn after_a_read_that_skips_the_tier_and_forgets_nothing_reads_go_back() {
    breaks(&TwoInstances {
        skipping: Skipping::Nothing,
        ..SKIP
    });
}

/// It may have found a quarantine, and have loaded what it answers.
#[test]
fn after_a_read_that_skips_the_tier_and_forgets_only_by_what_redis_holds_reads_go_back() {
    breaks(&TwoInstances {
        skipping: Skipping::ForgetsIfRedisDiffers,
        ..SKIP
    });
}

/// The other value may be on its way into the tier, and not be held yet.
#[test]
fn after_a_read_that_skips_the_tier_and_forgets_only_what_it_holds_reads_go_back() {
    breaks(&TwoInstances {
        skipping: Skipping::ForgetsIfOtherHeld,
        ..SKIP
    });
}

/// The same where only a value found in Redis is answered out of turn.
#[test]
fn that_loads_wait_for_the_read_in_flight_does_not_make_up_for_it() {
    breaks(&TwoInstances {
        skipping: Skipping::ForgetsIfOtherHeld,
        skips_in_turn: true,
        ..SKIP
    });
}

#[test]
fn a_read_that_skips_the_tier_and_forgets_unless_it_holds_the_same_keeps_reads_in_order() {
    holds(&SKIP);
}

#[test]
fn such_a_read_keeps_reads_in_order_though_a_quarantine_was_lost() {
    holds(&TwoInstances { lost: 1, ..SKIP });
}
