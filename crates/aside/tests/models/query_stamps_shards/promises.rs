//! R is never behind its proofs, and why each rule is needed.

use super::{OtherShard, RULES, Rules};
use crate::{breaks, holds, holds_near};

const STILL: OtherShard = OtherShard {
    rules: RULES,
    migrations: 0,
    cancellations: 0,
    copies: false,
    failover: false,
    loses_connection: false,
    lease: true,
    other_reader: false,
};

const FAILOVER: OtherShard = OtherShard {
    failover: true,
    ..STILL
};

const MIGRATION: OtherShard = OtherShard {
    migrations: 1,
    ..STILL
};

const TWICE: OtherShard = OtherShard {
    migrations: 2,
    cancellations: 1,
    ..STILL
};

const LOSS: OtherShard = OtherShard {
    loses_connection: true,
    ..STILL
};

#[test]
fn a_failover_without_the_last_changes_leaves_nothing_stale() {
    holds(&FAILOVER);
}

#[test]
fn a_failover_beside_another_reader_leaves_nothing_stale_near_start() {
    holds_near(&OtherShard {
        lease: false,
        other_reader: true,
        ..FAILOVER
    });
}

#[test]
fn a_migration_leaves_nothing_stale() {
    holds(&MIGRATION);
}

#[test]
fn a_migration_begun_twice_leaves_nothing_stale_near_start() {
    holds_near(&TWICE);
}

#[test]
fn a_copy_that_a_migration_leaves_behind_is_harmless_near_start() {
    holds_near(&OtherShard {
        copies: true,
        ..TWICE
    });
}

#[test]
fn another_reader_may_have_an_older_map_near_start() {
    holds_near(&OtherShard {
        lease: false,
        other_reader: true,
        ..MIGRATION
    });
}

#[test]
fn a_connection_that_dies_unseen_ends_trust_in_time() {
    holds(&LOSS);
}

/// One rule less.
fn without(model: OtherShard, rules: Rules) -> OtherShard {
    OtherShard { rules, ..model }
}

const WITHOUT_HISTORY: Rules = Rules {
    records_history: false,
    ..RULES
};

#[test]
fn a_lease_that_stands_again_serves_an_old_query() {
    breaks(&without(FAILOVER, WITHOUT_HISTORY));
    let copied = OtherShard {
        copies: true,
        ..MIGRATION
    };
    breaks(&without(copied, WITHOUT_HISTORY));
}

#[test]
fn without_leases_the_history_of_the_mark_is_enough() {
    let no_lease = OtherShard {
        lease: false,
        ..FAILOVER
    };
    holds(&without(no_lease, WITHOUT_HISTORY));
    breaks(&without(
        no_lease,
        Rules {
            compares_history: false,
            ..WITHOUT_HISTORY
        },
    ));
}

#[test]
fn a_stamp_that_follows_ask_serves_an_old_query() {
    breaks(&without(
        OtherShard {
            lease: false,
            ..TWICE
        },
        Rules {
            follows_no_ask: false,
            ..RULES
        },
    ));
}

#[test]
fn proving_the_shard_of_the_query_alone_serves_an_old_query() {
    breaks(&without(
        LOSS,
        Rules {
            proves_both: false,
            ..RULES
        },
    ));
}

#[test]
fn an_entry_that_survives_a_new_map_is_old() {
    breaks(&without(
        MIGRATION,
        Rules {
            ends_with_connection: false,
            ..RULES
        },
    ));
}

#[test]
fn an_entry_that_survives_a_message_is_old() {
    breaks(&without(
        STILL,
        Rules {
            hears_dependency: false,
            ..RULES
        },
    ));
}

#[test]
fn a_write_that_followed_ask_publishes_at_the_asker() {
    breaks(&without(
        MIGRATION,
        Rules {
            tells_asker: false,
            ..RULES
        },
    ));
}

#[test]
fn a_release_that_found_its_record_publishes_there_too() {
    breaks(&without(
        TWICE,
        Rules {
            tells_of_release: false,
            ..RULES
        },
    ));
}
