//! Migrations: the promises that hold, and the failure that each rule prevents.

use super::rules::RULES;
use super::{ChangedLine, Left, SlotMigration};
use crate::{breaks, holds};

/// Two writes, one migration, and no fault.
const MIGRATION: SlotMigration = SlotMigration {
    left: Left {
        migrations: 1,
        ..RULES.left
    },
    ..RULES
};

/// A migration that is cancelled, and begins again.
const CANCELLED: SlotMigration = SlotMigration {
    left: Left {
        migrations: 2,
        cancelled: 1,
        ..MIGRATION.left
    },
    ..MIGRATION
};

const COPIED: SlotMigration = SlotMigration {
    left: Left {
        copied: 1,
        ..MIGRATION.left
    },
    ..MIGRATION
};

/// A slot that migrates, and comes back.
const RETURNED: SlotMigration = SlotMigration {
    returns: true,
    left: Left {
        migrations: 2,
        ..MIGRATION.left
    },
    ..MIGRATION
};

#[test]
fn reads_see_writes_returned_before_the_last_round() {
    holds(&MIGRATION);
}

#[test]
fn reads_are_as_new_if_answers_to_rounds_travel() {
    holds(&SlotMigration {
        rounds_travel: true,
        ..MIGRATION
    });
}

#[test]
fn a_load_that_takes_time_is_harmless_in_a_migration() {
    holds(&SlotMigration {
        leases: true,
        ..MIGRATION
    });
    holds(&SlotMigration {
        leases: true,
        left: Left {
            copied: 1,
            ..CANCELLED.left
        },
        ..CANCELLED
    });
}

#[test]
fn a_cancelled_migration_with_a_copy_is_harmless() {
    holds(&SlotMigration {
        left: Left {
            copied: 1,
            ..CANCELLED.left
        },
        ..CANCELLED
    });
}

#[test]
fn a_cancelled_migration_with_an_eviction_is_safe() {
    holds(&SlotMigration {
        left: Left {
            evictions: 1,
            ..CANCELLED.left
        },
        ..CANCELLED
    });
}

#[test]
fn a_slot_that_comes_back_is_harmless() {
    holds(&SlotMigration {
        rounds_travel: true,
        ..RETURNED
    });
}

/// The shard is closed until the map is refreshed, which costs more and
/// prevents nothing more.
#[test]
fn a_changed_line_may_close_the_shared_tier_too() {
    holds(&SlotMigration {
        changed_line: ChangedLine::ClosesShard,
        ..MIGRATION
    });
}

/// A wait for a second round of the same line prevents nothing more either.
#[test]
fn entries_may_wait_for_a_round_of_the_new_line() {
    holds(&SlotMigration {
        changed_line: ChangedLine::EndsEntriesAndWaits,
        rounds_travel: true,
        ..RETURNED
    });
}

#[test]
fn a_round_that_ignores_the_line_proves_a_former_owner() {
    breaks(&SlotMigration {
        changed_line: ChangedLine::Ignored,
        ..MIGRATION
    });
}

#[test]
fn a_line_without_epoch_misses_a_slot_that_came_back() {
    breaks(&SlotMigration {
        line_has_epoch: false,
        ..RETURNED
    });
}

#[test]
fn an_asker_that_is_not_informed_leaves_an_old_entry() {
    breaks(&SlotMigration {
        informs_asker: false,
        ..MIGRATION
    });
}

#[test]
fn a_release_by_ask_must_inform_if_it_finds_its_record() {
    breaks(&SlotMigration {
        informs_after_release: false,
        left: Left {
            writes: 1,
            evictions: 1,
            ..CANCELLED.left
        },
        ..CANCELLED
    });
}

#[test]
fn a_fill_through_an_ask_outlives_a_cancelled_migration() {
    breaks(&SlotMigration {
        reads_follow: true,
        left: Left {
            writes: 1,
            ..CANCELLED.left
        },
        ..CANCELLED
    });
}

#[test]
fn a_copy_left_behind_is_read_again_without_tags() {
    breaks(&SlotMigration {
        has_tags: false,
        left: Left {
            writes: 1,
            ..COPIED.left
        },
        ..COPIED
    });
}

#[test]
fn entries_outlive_a_changed_map_without_a_new_generation() {
    breaks(&SlotMigration {
        raises_generation: false,
        ..MIGRATION
    });
}
