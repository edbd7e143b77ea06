//! No read of a query is older than either of its dependencies, and why each
//! rule is needed.

use super::{Order, RULES, Rules, TwoDependencies, Writes};
use crate::{breaks, holds, holds_near};

const fn row(of: usize, with_value: bool) -> Writes {
    Writes::Row { of, with_value }
}

const WITH_VALUES: &[Writes] = &[row(0, true), row(1, true)];
const ONE: &[Writes] = &[row(1, true)];
const PLAIN: &[Writes] = &[row(1, false)];
const SAME: &[Writes] = &[row(1, true), row(1, false)];
const BOTH_WAYS: &[Writes] = &[Writes::Unquarantined, row(1, true)];
const KIND: &[Writes] = &[Writes::WholeKind];
const KIND_AND_ROW: &[Writes] = &[Writes::WholeKind, row(1, true)];
const UNQUARANTINED: &[Writes] = &[Writes::Unquarantined];

const TWO: TwoDependencies = TwoDependencies {
    rules: RULES,
    writers: WITH_VALUES,
    readers: 2,
    rows: 0,
    rows_of_older_version: false,
    evictions: 0,
    crashes: 0,
    joiner: false,
    narrow: false,
    order: Order::QueryFirst,
};

const WITH_KIND: TwoDependencies = TwoDependencies {
    writers: KIND,
    rows: 1,
    ..TWO
};

const NARROW: TwoDependencies = TwoDependencies {
    writers: ONE,
    narrow: true,
    ..TWO
};

const JOINED: TwoDependencies = TwoDependencies {
    writers: ONE,
    joiner: true,
    ..TWO
};

#[test]
fn a_query_shows_the_writes_of_both_dependencies() {
    holds(&TWO);
    holds(&TwoDependencies {
        order: Order::QueryLast,
        ..TWO
    });
}

#[test]
fn a_dead_writer_beside_leases_of_rows_is_harmless_near_start() {
    holds_near(&TwoDependencies {
        crashes: 1,
        rows: 1,
        ..TWO
    });
}

#[test]
fn two_writes_of_one_dependency_are_both_shown_near_start() {
    holds_near(&TwoDependencies {
        writers: SAME,
        readers: 3,
        ..TWO
    });
}

#[test]
fn a_returned_write_is_shown_despite_evictions_near_start() {
    holds_near(&TwoDependencies {
        writers: ONE,
        readers: 3,
        evictions: 2,
        ..TWO
    });
}

#[test]
fn leases_of_rows_and_an_eviction_are_harmless() {
    holds(&TwoDependencies {
        writers: PLAIN,
        rows: 2,
        evictions: 1,
        ..TWO
    });
}

#[test]
fn an_older_version_may_fill_rows() {
    holds(&TwoDependencies {
        writers: ONE,
        rows: 1,
        rows_of_older_version: true,
        ..TWO
    });
}

#[test]
fn a_write_of_a_whole_kind_is_shown_once_its_epoch_is_known() {
    holds(&WITH_KIND);
}

#[test]
fn a_write_of_a_whole_kind_beside_a_row_is_shown_near_start() {
    holds_near(&TwoDependencies {
        writers: KIND_AND_ROW,
        ..WITH_KIND
    });
}

#[test]
fn an_unreleased_dependency_is_read_from_the_database() {
    holds(&TwoDependencies {
        writers: UNQUARANTINED,
        rows: 1,
        ..TWO
    });
    holds(&TwoDependencies {
        writers: BOTH_WAYS,
        ..TWO
    });
}

#[test]
fn a_reader_may_join_before_the_load_began() {
    holds(&JOINED);
}

#[test]
fn a_program_with_fewer_dependencies_may_run_beside() {
    holds(&NARROW);
}

/// One rule less.
fn without(model: TwoDependencies, rules: Rules) -> TwoDependencies {
    TwoDependencies { rules, ..model }
}

#[test]
fn a_stamp_taken_after_the_load_serves_an_old_query() {
    breaks(&without(
        TwoDependencies {
            writers: ONE,
            ..TWO
        },
        Rules {
            stamps_before_load: false,
            ..RULES
        },
    ));
}

#[test]
fn a_fill_under_a_quarantined_dependency_serves_an_old_query() {
    breaks(&without(
        TwoDependencies {
            writers: ONE,
            ..TWO
        },
        Rules {
            respects_quarantines: false,
            ..RULES
        },
    ));
}

#[test]
fn a_mark_that_release_does_not_delete_serves_an_old_query() {
    breaks(&without(
        TwoDependencies {
            writers: ONE,
            evictions: 1,
            ..TWO
        },
        Rules {
            release_deletes_marks: false,
            ..RULES
        },
    ));
}

#[test]
fn a_stamp_repeated_under_its_name_serves_an_old_query() {
    breaks(&without(
        TwoDependencies {
            writers: PLAIN,
            ..TWO
        },
        Rules {
            stamps_once: false,
            ..RULES
        },
    ));
}

#[test]
fn a_mark_prolonged_by_writing_it_serves_an_old_query() {
    breaks(&without(
        TwoDependencies {
            writers: PLAIN,
            ..TWO
        },
        Rules {
            prolongs_in_place: false,
            ..RULES
        },
    ));
}

#[test]
fn a_token_that_comes_back_serves_an_old_query() {
    breaks(&without(
        TwoDependencies {
            writers: ONE,
            rows: 1,
            ..TWO
        },
        Rules {
            fresh_tokens: false,
            ..RULES
        },
    ));
}

#[test]
fn comparing_one_stamp_of_two_serves_an_old_query() {
    breaks(&without(
        TwoDependencies {
            writers: ONE,
            ..TWO
        },
        Rules {
            compares_all: false,
            ..RULES
        },
    ));
}

#[test]
fn a_value_filled_under_fewer_dependencies_is_an_old_query() {
    breaks(&without(
        NARROW,
        Rules {
            same_dependencies: false,
            ..RULES
        },
    ));
}

#[test]
fn joining_after_the_load_began_serves_an_old_query() {
    breaks(&without(
        TwoDependencies {
            readers: 1,
            ..JOINED
        },
        Rules {
            joins_before_load: false,
            ..RULES
        },
    ));
}

#[test]
fn an_unreleased_dependency_not_asked_about_serves_an_old_query() {
    breaks(&without(
        TwoDependencies {
            writers: UNQUARANTINED,
            ..TWO
        },
        Rules {
            respects_unreleased: false,
            ..RULES
        },
    ));
}

#[test]
fn an_epoch_not_compared_serves_an_old_query() {
    breaks(&without(
        WITH_KIND,
        Rules {
            compares_epochs: false,
            ..RULES
        },
    ));
}

#[test]
fn the_epoch_known_at_the_fill_serves_an_old_query() {
    breaks(&without(
        WITH_KIND,
        Rules {
            epoch_of_begin: false,
            ..RULES
        },
    ));
}

/// Either the epoch in the value or the one in the dependency's header is
/// enough, if there are no leases, which have no header.
#[test]
fn the_epoch_in_the_value_replaces_that_in_the_header_near_start() {
    holds_near(&without(
        TwoDependencies {
            writers: KIND_AND_ROW,
            ..WITH_KIND
        },
        Rules {
            compares_headers: false,
            ..RULES
        },
    ));
}

#[test]
fn without_leases_one_of_the_two_epochs_is_needed() {
    let without_rows = TwoDependencies {
        rows: 0,
        ..WITH_KIND
    };
    let headers = Rules {
        compares_epochs: false,
        ..RULES
    };
    holds(&without(without_rows, headers));
    breaks(&without(
        without_rows,
        Rules {
            compares_headers: false,
            ..headers
        },
    ));
}
