//! Failovers of a cluster, of Sentinel and of one primary: the promises that
//! hold, and the failure that each rule prevents.
//!
//! Sentinel differs from a cluster only in the witnesses. An old primary that it
//! demotes loses its connections, and on a new one the role is queried first.

use super::rules::RULES;
use super::{Demoted, Left, Settles, SlotMigration, Witnesses};
use crate::{breaks, holds, holds_near};

/// Two writes, and a failover of a cluster. A write awaits its confirmation.
const CLUSTER: SlotMigration = SlotMigration {
    witnesses: Witnesses::NoVote,
    settles: Settles::Confirmed,
    fails_over: true,
    ..RULES
};

const LOST_TAIL: Left = Left {
    lost_tails: 1,
    ..CLUSTER.left
};

/// `REPLICAOF` by hand keeps the connections of the old primary.
const BY_HAND: SlotMigration = SlotMigration {
    demoted: Demoted::ServesReads,
    left: LOST_TAIL,
    ..CLUSTER
};

#[test]
fn reads_are_as_new_as_the_round_that_saw_no_vote() {
    holds(&CLUSTER);
}

#[test]
fn a_failover_that_loses_the_tail_is_harmless() {
    holds(&SlotMigration {
        left: LOST_TAIL,
        ..CLUSTER
    });
}

#[test]
fn a_replica_on_an_old_connection_serves_a_lost_tail() {
    breaks(&BY_HAND);
}

#[test]
fn proofs_hold_if_answers_travel_through_a_failover() {
    holds(&SlotMigration {
        rounds_travel: true,
        left: LOST_TAIL,
        ..CLUSTER
    });
}

#[test]
fn a_load_that_takes_time_is_harmless_in_a_failover() {
    holds(&SlotMigration {
        leases: true,
        left: LOST_TAIL,
        ..CLUSTER
    });
}

#[test]
fn a_lost_tail_is_read_again_without_tags() {
    breaks(&SlotMigration {
        has_tags: false,
        left: LOST_TAIL,
        ..CLUSTER
    });
}

#[test]
fn a_deposed_primary_proves_itself_without_witnesses() {
    breaks(&SlotMigration {
        witnesses: Witnesses::None,
        ..CLUSTER
    });
}

#[test]
fn an_unresolved_epoch_counts_as_a_vote() {
    breaks(&SlotMigration {
        witnesses: Witnesses::NoNewerEpoch,
        ..CLUSTER
    });
}

#[test]
fn a_write_that_a_deposed_primary_acknowledges_is_missed() {
    breaks(&SlotMigration {
        settles: Settles::Acknowledged,
        ..CLUSTER
    });
}

#[test]
fn entries_outlive_a_failover_without_a_new_generation() {
    breaks(&SlotMigration {
        raises_generation: false,
        ..CLUSTER
    });
}

/// A writer crashes before its confirmation, and its write began more than H
/// after the failover.
const CRASH: SlotMigration = SlotMigration {
    checks_quarantine: true,
    left: Left {
        crashes: 1,
        ..LOST_TAIL
    },
    ..CLUSTER
};

#[test]
fn a_quarantine_without_trust_is_journalled() {
    holds(&CRASH);
}

#[test]
fn a_crash_loses_a_write_that_trusted_a_deposed_primary() {
    breaks(&SlotMigration {
        checks_quarantine: false,
        ..CRASH
    });
}

/// A write ends with a RELEASE that was sent with trust, and a new primary is
/// not used in the first H. No write is remembered.
const PAUSED: SlotMigration = SlotMigration {
    settles: Settles::Trusted,
    pauses: true,
    ..CRASH
};

#[test]
fn a_pause_of_h_replaces_the_confirmation() {
    holds(&PAUSED);
}

#[test]
fn a_pause_suffices_if_answers_to_rounds_travel_near_start() {
    holds_near(&SlotMigration {
        rounds_travel: true,
        ..PAUSED
    });
}

#[test]
fn with_the_pause_a_load_may_take_time_near_start() {
    holds_near(&SlotMigration {
        leases: true,
        ..PAUSED
    });
}

#[test]
fn with_the_pause_a_fill_needs_the_tag_from_before_its_get() {
    breaks(&SlotMigration {
        leases: true,
        early_tags: false,
        ..PAUSED
    });
}

#[test]
fn without_the_pause_a_trusted_release_is_not_enough() {
    breaks(&SlotMigration {
        pauses: false,
        ..PAUSED
    });
}

#[test]
fn with_the_pause_a_release_still_needs_trust() {
    breaks(&SlotMigration {
        settles: Settles::Acknowledged,
        ..PAUSED
    });
}

#[test]
fn with_the_pause_a_quarantine_still_needs_trust() {
    breaks(&SlotMigration {
        checks_quarantine: false,
        ..PAUSED
    });
}

#[test]
fn with_the_pause_reads_still_need_witnesses() {
    breaks(&SlotMigration {
        witnesses: Witnesses::None,
        ..PAUSED
    });
}

/// One primary without witnesses, which ends before it begins again.
const RESTART: SlotMigration = SlotMigration {
    demoted: Demoted::Gone,
    witnesses: Witnesses::None,
    settles: Settles::Acknowledged,
    left: LOST_TAIL,
    ..CLUSTER
};

#[test]
fn a_restart_needs_neither_witnesses_nor_confirmation() {
    holds(&RESTART);
}

#[test]
fn a_restart_that_loses_the_tail_needs_tags() {
    breaks(&SlotMigration {
        has_tags: false,
        ..RESTART
    });
}
