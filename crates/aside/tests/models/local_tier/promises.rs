//! The promises that hold, and the failure that each rule prevents.

use super::{LocalTier, Publish};
use crate::{breaks, holds};

/// The bound, without the three rules that only the order needs.
const BOUND: LocalTier = LocalTier {
    writers: 2,
    readers: 3,
    disconnections: 0,
    publish: Publish::AtQuarantine,
    generations: true,
    in_order: false,
    one_in_flight: false,
    forget_on_miss: false,
    forget_on_clash: false,
    forget_on_late_insert: false,
};

/// The bound with all of the rules.
const BOUND_AND_MORE: LocalTier = LocalTier {
    forget_on_miss: true,
    forget_on_clash: true,
    ..BOUND
};

const ORDER: LocalTier = LocalTier {
    writers: 1,
    readers: 4,
    disconnections: 1,
    in_order: true,
    one_in_flight: true,
    ..BOUND
};

#[test]
fn entries_are_as_new_as_the_row_at_the_last_answered_ping() {
    holds(&BOUND_AND_MORE);
}

#[test]
fn entries_keep_that_bound_after_a_lost_connection() {
    holds(&LocalTier {
        writers: 1,
        disconnections: 1,
        ..BOUND_AND_MORE
    });
}

#[test]
fn the_bound_holds_without_the_rules_for_order() {
    holds(&BOUND);
}

#[test]
fn an_entry_without_a_prior_generation_survives_a_message() {
    breaks(&LocalTier {
        generations: false,
        ..BOUND_AND_MORE
    });
}

#[test]
fn publishing_at_the_release_is_too_late_for_the_proof() {
    breaks(&LocalTier {
        publish: Publish::AtRelease,
        ..BOUND_AND_MORE
    });
}

#[test]
fn one_read_in_flight_per_key_keeps_reads_in_order() {
    holds(&ORDER);
}

#[test]
fn one_read_in_flight_keeps_order_under_two_writers() {
    holds(&LocalTier {
        writers: 2,
        disconnections: 0,
        ..ORDER
    });
}

#[test]
fn several_reads_in_flight_need_three_more_rules_for_order() {
    holds(&LocalTier {
        disconnections: 0,
        one_in_flight: false,
        forget_on_miss: true,
        forget_on_clash: true,
        forget_on_late_insert: true,
        ..ORDER
    });
}

#[test]
fn several_reads_in_flight_with_two_of_three_rules_go_back() {
    breaks(&LocalTier {
        readers: 3,
        one_in_flight: false,
        forget_on_miss: true,
        forget_on_clash: true,
        ..ORDER
    });
}

#[test]
fn several_reads_in_flight_with_none_of_the_rules_go_back() {
    breaks(&LocalTier {
        readers: 3,
        disconnections: 0,
        one_in_flight: false,
        ..ORDER
    });
}
