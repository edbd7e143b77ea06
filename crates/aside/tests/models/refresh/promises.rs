//! The promises that hold, and the failure that each rule prevents.

use super::{Left, PutBack, Refresh};
use crate::{breaks, holds};

/// The protocol: a writer, two refreshers, a reader, and no fault.
const WHOLE: Refresh = Refresh {
    writers: &[true],
    refreshers: 2,
    readers: 1,
    has_local_tier: false,
    expires: false,
    left: Left {
        crashes: 0,
        evictions: 0,
        failovers: 0,
        whole_kind: false,
    },
    load_after: true,
    claim: true,
    known_before: true,
    header: true,
    generations_before: true,
    filled: true,
    flight: true,
    back: PutBack::Never,
};

/// Two readers, and a failover that loses its tail.
const FAILOVER: Refresh = Refresh {
    readers: 2,
    left: Left {
        failovers: 1,
        ..WHOLE.left
    },
    ..WHOLE
};

/// Two readers, and a write of the whole kind.
const WHOLE_KIND: Refresh = Refresh {
    writers: &[],
    readers: 2,
    left: Left {
        whole_kind: true,
        ..WHOLE.left
    },
    ..WHOLE
};

/// A refresher with a local tier, and no other reader.
const LOCAL: Refresh = Refresh {
    refreshers: 1,
    readers: 0,
    has_local_tier: true,
    ..WHOLE
};

const TWO_WRITERS: &[bool] = &[true, true];

#[test]
fn refreshed_values_are_fresh_despite_two_writers() {
    holds(&Refresh {
        writers: TWO_WRITERS,
        ..WHOLE
    });
}

#[test]
fn refreshed_values_are_fresh_if_a_writer_dies() {
    holds(&Refresh {
        writers: TWO_WRITERS,
        left: Left {
            crashes: 1,
            ..WHOLE.left
        },
        ..WHOLE
    });
}

#[test]
fn refreshed_values_are_fresh_if_a_value_expires_at_any_time() {
    holds(&Refresh {
        readers: 2,
        expires: true,
        ..WHOLE
    });
}

#[test]
fn refreshed_values_are_fresh_despite_two_evictions() {
    holds(&Refresh {
        readers: 2,
        left: Left {
            evictions: 2,
            ..WHOLE.left
        },
        ..WHOLE
    });
}

#[test]
fn refreshed_values_are_fresh_after_a_lost_tail() {
    holds(&FAILOVER);
}

#[test]
fn refreshed_values_are_fresh_after_a_write_of_the_whole_kind() {
    holds(&WHOLE_KIND);
}

#[test]
fn a_refreshed_local_entry_is_fresh_despite_two_writers() {
    holds(&Refresh {
        writers: TWO_WRITERS,
        ..LOCAL
    });
}

#[test]
fn a_refreshed_local_entry_is_fresh_despite_another_refresher() {
    holds(&Refresh {
        refreshers: 2,
        expires: true,
        ..LOCAL
    });
}

#[test]
fn an_entry_put_back_in_place_of_itself_is_fresh() {
    holds(&Refresh {
        back: PutBack::InPlaceOfItself,
        ..LOCAL
    });
}

#[test]
fn a_fill_over_any_value_restores_an_old_row() {
    breaks(&Refresh {
        readers: 2,
        claim: false,
        ..WHOLE
    });
}

#[test]
fn stamping_at_fill_is_stale_after_a_lost_tail() {
    breaks(&Refresh {
        known_before: false,
        ..FAILOVER
    });
}

#[test]
fn stamping_at_fill_is_stale_after_a_write_of_the_whole_kind() {
    breaks(&Refresh {
        known_before: false,
        ..WHOLE_KIND
    });
}

#[test]
fn claiming_any_value_suffices_if_the_load_follows() {
    holds(&Refresh {
        writers: TWO_WRITERS,
        expires: true,
        header: false,
        ..WHOLE
    });
}

#[test]
fn claiming_any_value_after_a_lost_tail_suffices_if_the_load_follows() {
    holds(&Refresh {
        header: false,
        ..FAILOVER
    });
}

#[test]
fn loading_at_once_suffices_if_the_claim_wants_the_header() {
    holds(&Refresh {
        writers: TWO_WRITERS,
        expires: true,
        load_after: false,
        ..WHOLE
    });
}

#[test]
fn loading_at_once_and_claiming_any_value_restores_an_old_row() {
    breaks(&Refresh {
        load_after: false,
        header: false,
        ..WHOLE
    });
}

#[test]
fn keeping_under_generations_of_the_fill_is_stale() {
    breaks(&Refresh {
        generations_before: false,
        ..LOCAL
    });
}

/// The message that explains the refusal invalidates the entry.
#[test]
fn a_refused_row_dies_with_its_message() {
    holds(&Refresh {
        writers: TWO_WRITERS,
        filled: false,
        ..LOCAL
    });
}

#[test]
fn keeping_despite_a_read_meanwhile_is_stale() {
    breaks(&Refresh {
        flight: false,
        ..LOCAL
    });
}

#[test]
fn an_entry_put_back_in_place_of_any_is_stale() {
    breaks(&Refresh {
        back: PutBack::InPlaceOfAny,
        ..LOCAL
    });
}

#[test]
fn an_entry_put_back_under_present_generations_is_stale() {
    breaks(&Refresh {
        back: PutBack::UnderPresentGenerations,
        ..LOCAL
    });
}
