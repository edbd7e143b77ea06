//! The commands that may be repeated, and those that must not be.

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
fn packets_sent_once_lead_to_fresh_reads() {
    holds(&ONCE);
}

#[test]
fn a_write_repeated_under_one_id_stores_an_older_row() {
    breaks(&Packets {
        left: Left {
            releases: 1,
            ..TWO_QUARANTINES
        },
        ..ONCE
    });
}

#[test]
fn an_acquire_repeated_under_one_token_fills_an_older_row() {
    breaks(&Packets {
        left: TWO_ACQUIRES,
        ..ONCE
    });
}

#[test]
fn an_unacknowledged_write_releasing_a_value_stores_an_old_row() {
    breaks(&Packets {
        left: TWO_QUARANTINES,
        unacknowledged: Some(true),
        ..ONCE
    });
}

#[test]
fn an_unacknowledged_write_releasing_no_value_is_harmless() {
    holds(&Packets {
        left: TWO_QUARANTINES,
        unacknowledged: Some(false),
        ..ONCE
    });
}

/// Only both repeats together go wrong, because this one alone finds its mark.
#[test]
fn a_quarantine_alone_may_be_repeated() {
    holds(&Packets {
        left: TWO_QUARANTINES,
        ..ONCE
    });
}

#[test]
fn a_release_alone_may_be_repeated() {
    holds(&Packets {
        left: TWO_RELEASES,
        ..ONCE
    });
}

#[test]
fn repeats_under_new_names_without_values_are_harmless() {
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
