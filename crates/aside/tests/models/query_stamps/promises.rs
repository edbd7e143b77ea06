//! No read of a query is older than its dependency, and why each rule is needed.

use super::{Local, Look, QueryStamps, Sealed};
use crate::{breaks, holds, holds_near};

const ALL: QueryStamps = QueryStamps {
    look: Look::AtOnce,
    local: None,
    readers: 3,
    evictions: 0,
    crashes: 0,
    stamps_after_load: false,
    marks_quarantined: false,
    release_keeps_marks: false,
    silent_release: false,
    stamps_twice: false,
};

const SEALED: Local = Local {
    sealed: Sealed::BeforeTheLook,
    keeps_quarantined: false,
};

const LOCAL: QueryStamps = QueryStamps {
    local: Some(SEALED),
    readers: 2,
    ..ALL
};

const fn local(local: Local) -> QueryStamps {
    QueryStamps {
        local: Some(local),
        ..LOCAL
    }
}

#[test]
fn a_query_shows_every_write_of_its_dependency() {
    holds(&ALL);
    holds(&QueryStamps {
        evictions: 1,
        ..ALL
    });
}

#[test]
fn two_evictions_delay_no_returned_write_near_start() {
    holds_near(&QueryStamps {
        evictions: 2,
        ..ALL
    });
}

#[test]
fn a_dead_writer_leaves_no_old_query_behind() {
    holds(&QueryStamps { crashes: 1, ..ALL });
}

#[test]
fn a_dead_writer_and_an_eviction_are_harmless_near_start() {
    holds_near(&QueryStamps {
        crashes: 1,
        evictions: 1,
        ..ALL
    });
}

#[test]
fn the_keys_may_be_read_in_either_order() {
    for look in [Look::QueryFirst, Look::DependencyFirst] {
        holds(&QueryStamps { look, ..ALL });
    }
}

#[test]
fn in_either_order_with_an_eviction_near_start() {
    for look in [Look::QueryFirst, Look::DependencyFirst] {
        holds_near(&QueryStamps {
            look,
            evictions: 1,
            ..ALL
        });
    }
}

#[test]
fn a_stamp_taken_after_the_load_serves_an_old_query() {
    breaks(&QueryStamps {
        stamps_after_load: true,
        ..ALL
    });
}

#[test]
fn a_mark_in_place_of_a_quarantine_serves_an_old_query() {
    breaks(&QueryStamps {
        marks_quarantined: true,
        ..ALL
    });
}

#[test]
fn a_mark_that_release_does_not_delete_serves_an_old_query() {
    breaks(&QueryStamps {
        release_keeps_marks: true,
        evictions: 1,
        ..ALL
    });
}

#[test]
fn a_stamp_that_comes_back_serves_an_old_query() {
    breaks(&QueryStamps {
        stamps_twice: true,
        ..ALL
    });
}

#[test]
fn a_local_query_shows_every_returned_write_that_was_heard() {
    holds(&LOCAL);
    holds(&QueryStamps {
        evictions: 1,
        ..LOCAL
    });
}

#[test]
fn a_local_query_with_two_evictions_near_start() {
    holds_near(&QueryStamps {
        evictions: 2,
        ..LOCAL
    });
}

#[test]
fn an_entry_sealed_with_the_query_alone_is_never_invalidated() {
    breaks(&local(Local {
        sealed: Sealed::WithTheQueryAlone,
        ..SEALED
    }));
}

#[test]
fn an_entry_sealed_after_its_load_is_old() {
    breaks(&local(Local {
        sealed: Sealed::AfterTheLoad,
        ..SEALED
    }));
}

/// A hit is one step in this model: the stamp that it found is current then.
#[test]
fn an_entry_sealed_after_a_hit_is_as_new() {
    holds(&local(Local {
        sealed: Sealed::AfterTheLook,
        ..SEALED
    }));
}

#[test]
fn an_entry_loaded_under_a_quarantine_is_old() {
    breaks(&local(Local {
        keeps_quarantined: true,
        ..SEALED
    }));
}

#[test]
fn a_lost_quarantine_must_be_announced_by_its_release() {
    let silent = QueryStamps {
        silent_release: true,
        ..LOCAL
    };
    holds(&silent);
    breaks(&QueryStamps {
        evictions: 1,
        ..silent
    });
}
