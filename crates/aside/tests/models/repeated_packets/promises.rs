//! What may be repeated, and what must not.

use super::{Left, Packets};
use crate::{breaks, holds};

const ONCE: Packets = Packets {
    fresh: false,
    unacknowledged: None,
    left: Left {
        quarantines: 0,
        releases: 0,
        acquires: 0,
    },
};

const TWO_QUARANTINES: Left = Left {
    quarantines: 1,
    ..ONCE.left
};

const TWO_ACQUIRES: Left = Left {
    acquires: 1,
    ..ONCE.left
};

const TWO_RELEASES: Left = Left {
    releases: 1,
    ..ONCE.left
};

#[test]
fn packets_that_are_sent_once_lead_to_no_old_read() {
    holds(&ONCE);
}

#[test]
fn a_quarantine_and_its_release_repeated_under_one_id_store_an_older_row() {
    breaks(&Packets {
        left: Left {
            releases: 1,
            ..TWO_QUARANTINES
        },
        ..ONCE
    });
}

#[test]
fn an_acquire_repeated_under_one_token_lets_an_older_row_be_filled() {
    breaks(&Packets {
        left: TWO_ACQUIRES,
        ..ONCE
    });
}

#[test]
fn the_release_of_a_quarantine_without_a_reply_stores_an_older_row_if_it_carries_one() {
    breaks(&Packets {
        left: TWO_QUARANTINES,
        unacknowledged: Some(true),
        ..ONCE
    });
}

#[test]
fn the_release_of_a_quarantine_without_a_reply_does_no_harm_without_a_value() {
    holds(&Packets {
        left: TWO_QUARANTINES,
        unacknowledged: Some(false),
        ..ONCE
    });
}

/// It takes both repeats to go wrong: this one alone finds its mark.
#[test]
fn a_quarantine_alone_may_come_twice() {
    holds(&Packets {
        left: TWO_QUARANTINES,
        ..ONCE
    });
}

#[test]
fn a_release_alone_may_come_twice() {
    holds(&Packets {
        left: TWO_RELEASES,
        ..ONCE
    });
}

#[test]
fn everything_may_come_twice_if_names_are_new_and_repeated_releases_carry_nothing() {
    holds(&Packets {
        fresh: true,
        unacknowledged: Some(false),
        left: Left {
            quarantines: 1,
            releases: 1,
            acquires: 1,
        },
    });
}
