//! What holds, and what each rule is there for.

use super::{InProcess, Publish};
use crate::{breaks, holds};

/// The bound, with the three rules that only order needs left out.
const BOUND: InProcess = InProcess {
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

/// The bound with all of them.
const BOUND_AND_MORE: InProcess = InProcess {
    forget_on_miss: true,
    forget_on_clash: true,
    ..BOUND
};

const ORDER: InProcess = InProcess {
    writers: 1,
    readers: 4,
    disconnections: 1,
    in_order: true,
    one_in_flight: true,
    ..BOUND
};

#[test]
fn an_entry_is_never_older_than_the_row_was_at_the_last_answered_ping() {
    holds(&BOUND_AND_MORE);
}

#[test]
fn an_entry_is_never_older_than_that_though_the_connection_was_lost() {
    holds(&InProcess {
        writers: 1,
        disconnections: 1,
        ..BOUND_AND_MORE
    });
}

#[test]
fn the_bound_needs_no_rule_that_order_needs() {
    holds(&BOUND);
}

#[test]
fn an_entry_without_a_generation_from_before_its_get_outlives_the_message() {
    breaks(&InProcess {
        generations: false,
        ..BOUND_AND_MORE
    });
}

#[test]
fn a_message_published_at_the_release_comes_after_the_proof_that_it_came() {
    breaks(&InProcess {
        publish: Publish::AtRelease,
        ..BOUND_AND_MORE
    });
}

#[test]
fn one_read_in_flight_per_key_keeps_the_reads_of_an_instance_in_order() {
    holds(&ORDER);
}

#[test]
fn one_read_in_flight_per_key_keeps_them_in_order_under_two_writers() {
    holds(&InProcess {
        writers: 2,
        disconnections: 0,
        ..ORDER
    });
}

#[test]
fn with_several_reads_in_flight_order_takes_three_rules_more() {
    holds(&InProcess {
        disconnections: 0,
        one_in_flight: false,
        forget_on_miss: true,
        forget_on_clash: true,
        forget_on_late_insert: true,
        ..ORDER
    });
}

#[test]
fn with_several_reads_in_flight_two_of_the_three_rules_are_too_few() {
    breaks(&InProcess {
        readers: 3,
        one_in_flight: false,
        forget_on_miss: true,
        forget_on_clash: true,
        ..ORDER
    });
}

#[test]
fn with_several_reads_in_flight_and_no_rule_reads_go_back() {
    breaks(&InProcess {
        readers: 3,
        disconnections: 0,
        one_in_flight: false,
        ..ORDER
    });
}
