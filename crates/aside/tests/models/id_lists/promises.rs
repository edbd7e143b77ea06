//! A list of ids is answered as it was at one moment, and why each rule is needed.

use super::{IdLists, Misfit, Row, Rows};
use crate::{breaks, holds};

const fn inside(rank: u8) -> Row {
    Some((true, rank))
}

const OUTSIDE: Row = Some((false, 1));

/// The value passes from one row to the other in one transaction.
const PASSES: &[Rows] = &[[inside(1), OUTSIDE], [OUTSIDE, inside(1)]];

/// The second row enters, and then the first leaves.
const TWO: &[Rows] = &[
    [inside(1), OUTSIDE],
    [inside(1), inside(2)],
    [OUTSIDE, inside(2)],
];

/// The first row leaves and comes back.
const BACK: &[Rows] = &[
    [inside(1), inside(2)],
    [OUTSIDE, inside(2)],
    [inside(1), inside(2)],
];

/// The first row is deleted, and created again behind the second.
const CREATED_AGAIN: &[Rows] = &[
    [inside(1), inside(2)],
    [None, inside(2)],
    [inside(3), inside(2)],
];

/// Each row gets another rank.
const RANKED: &[Rows] = &[
    [inside(1), inside(2)],
    [inside(3), inside(2)],
    [inside(3), inside(4)],
];

/// The value passes to and fro.
const TO_AND_FRO: &[Rows] = &[
    [inside(1), OUTSIDE],
    [OUTSIDE, inside(1)],
    [inside(1), OUTSIDE],
    [OUTSIDE, inside(1)],
];

const EACH: [&[Rows]; 6] = [PASSES, TWO, BACK, CREATED_AGAIN, RANKED, TO_AND_FRO];

/// The library, with Redis alone.
const fn shared(states: &'static [Rows]) -> IdLists {
    IdLists {
        states,
        misfit: Misfit::Loaded,
        is_local: false,
        is_own: false,
        compares_ranks: true,
        always_touches: false,
    }
}

/// The library with both tiers.
const fn local(states: &'static [Rows]) -> IdLists {
    IdLists {
        is_local: true,
        ..shared(states)
    }
}

/// The instance of the writer.
const fn own(states: &'static [Rows]) -> IdLists {
    IdLists {
        is_own: true,
        ..local(states)
    }
}

/// Asserts that a read goes wrong with Redis alone, and with both tiers.
fn breaks_each(states: &'static [Rows], change: impl Fn(IdLists) -> IdLists) {
    breaks(&change(shared(states)));
    breaks(&change(local(states)));
}

fn with(misfit: Misfit) -> impl Fn(IdLists) -> IdLists {
    move |model| IdLists { misfit, ..model }
}

#[test]
fn a_list_of_ids_is_answered_as_it_was_at_one_moment() {
    for states in EACH {
        holds(&shared(states));
        holds(&local(states));
    }
}

#[test]
fn the_writing_instance_sees_its_lists_of_ids_at_once() {
    for states in EACH {
        holds(&own(states));
    }
}

#[test]
fn a_row_served_because_a_list_names_it_is_not_of_the_list() {
    breaks_each(PASSES, with(Misfit::Served));
}

#[test]
fn a_row_left_out_makes_a_list_that_never_was() {
    breaks_each(PASSES, with(Misfit::LeftOut));
    breaks_each(TWO, with(Misfit::LeftOut));
    breaks(&with(Misfit::LeftOut)(own(PASSES)));
}

#[test]
fn asking_again_for_the_list_alone_is_not_enough() {
    breaks_each(TO_AND_FRO, with(Misfit::ListAgain));
}

#[test]
fn a_row_left_out_after_asking_again_makes_a_list_that_never_was() {
    breaks_each(TO_AND_FRO, with(Misfit::BothAgain));
}

#[test]
fn ranks_that_are_not_compared_give_an_order_that_never_was() {
    let blind = |model| IdLists {
        compares_ranks: false,
        ..model
    };
    breaks_each(CREATED_AGAIN, blind);
}

#[test]
fn a_write_that_moves_no_row_may_leave_the_list_alone() {
    for always_touches in [false, true] {
        holds(&IdLists {
            always_touches,
            ..local(RANKED)
        });
    }
}
