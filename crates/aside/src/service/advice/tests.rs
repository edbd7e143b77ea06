use super::observed::Lists;
use super::*;
use crate::insight::indexes::LIST_OF_ALL;
use crate::insight::records::Ends;
use crate::service::curve::{Curve, CurvePoint};
use crate::tiers::kind::Policy;
use crate::tiers::shard::ServerInfo;

const HOUR: Duration = Duration::from_secs(3600);

/// A kind that needs no advice: 9 of 10 reads are hits.
fn healthy() -> Observed {
    Observed {
        kind: "hero",
        type_name: "Hero",
        age: 10 * HOUR,
        reads: 100_000,
        hits: 90_000,
        local_hits: 60_000,
        by_part: [80_000, 20_000],
        misses: 10_000,
        expired: 2_000,
        evicted: 0,
        most_expired: 3,
        loads: 10_000,
        empty_loads: 100,
        absence_hits: 500,
        load: Duration::from_millis(5),
        trip: Duration::from_micros(300),
        ttl: HOUR,
        invalidations: 1_000,
        local_list_hits: 9_000,
        reads_of_all: 5_000,
        lists: Vec::new(),
        compared: [0, 0],
        ends: Ends::default(),
        written: (500, 100),
        policy: Some(Policy {
            early_refresh: Some(0.1),
            jitter: 0.1,
            negative_ttl: Duration::from_secs(60),
            cache_on_write: true,
        }),
    }
}

fn lists(name: &'static str, fields: &'static [&'static str]) -> Lists {
    Lists {
        name,
        fields,
        reads: 5_000,
        hits: 4_000,
        invalidations: 500,
        is_warmed: false,
        is_unread: false,
    }
}

fn policy(change: impl FnOnce(&mut Policy)) -> Option<Policy> {
    let mut policy = healthy().policy?;
    change(&mut policy);
    Some(policy)
}

fn of_one(kind: &Observed) -> Vec<&'static str> {
    let mut advice = Vec::new();
    of_kind(kind, &mut advice);
    advice.iter().map(|advice| advice.rule).collect()
}

#[test]
fn a_healthy_kind_gets_no_advice() {
    let kind = Observed {
        lists: vec![lists("name", &["name"]), lists(LIST_OF_ALL, &[])],
        ..healthy()
    };
    assert_eq!(of_one(&kind), [""; 0]);
    assert_eq!(reads::uncached_kind(&kind), None);
}

#[test]
fn a_kind_below_the_break_even_is_not_to_be_cached() {
    // Two trips of 0.3 ms against 5.3 ms: 11 %.
    let with_hits = |hits| Observed {
        hits,
        local_hits: 0,
        ..healthy()
    };
    let advice = reads::uncached_kind(&with_hits(8_000)).unwrap();
    assert_eq!(advice.rule, "uncached-kind");
    assert!(advice.evidence.contains("8.0 % of"), "{}", advice.evidence);
    assert!(
        advice.evidence.contains("below 11 %"),
        "{}",
        advice.evidence
    );
    assert!(reads::uncached_kind(&with_hits(12_000)).is_none());
    let few = Observed {
        reads: 20,
        hits: 2,
        ..with_hits(2)
    };
    assert_eq!(reads::uncached_kind(&few), None, "2 of 20 may be 30 %");
}

#[test]
fn many_loads_of_absent_rows_are_named() {
    let with_empty = |empty_loads| Observed {
        empty_loads,
        ..healthy()
    };
    assert_eq!(of_one(&with_empty(4_000)), ["absences"]);
    assert_eq!(of_one(&with_empty(2_900)), [""; 0]);
    let advice = reads::absences(&with_empty(4_000)).unwrap();
    assert!(advice.set.contains("from_secs(300)"), "{}", advice.set);
    assert!(advice.gain.contains("320 fewer loads"), "{}", advice.gain);
}

#[test]
fn an_index_without_reads_is_to_be_removed() {
    let unread = Lists {
        reads: 0,
        hits: 0,
        is_unread: true,
        ..lists("name", &["name"])
    };
    let kind = |lists: Lists| Observed {
        lists: vec![lists],
        ..healthy()
    };
    let advice = lists::advise(&kind(unread.clone())).remove(0);
    assert_eq!(advice.set, "remove #[entity(index)] of `name` from Hero");
    assert!(advice.gain.starts_with("50 fewer"), "{}", advice.gain);
    let read = Lists {
        is_unread: false,
        ..unread
    };
    assert_eq!(of_one(&kind(read)), [""; 0]);
}

#[test]
fn an_index_is_uncached_only_if_no_hit_may_be_its_own() {
    let kind = |local_list_hits| Observed {
        lists: vec![Lists {
            hits: 50,
            ..lists("name", &["name"])
        }],
        local_list_hits,
        local_hits: 0,
        ..healthy()
    };
    assert_eq!(of_one(&kind(0)), ["uncached-index"]);
    assert_eq!(of_one(&kind(1_000)), [""; 0]);
}

#[test]
fn a_list_invalidated_more_often_than_read_is_named() {
    let kind = |reads_of_all, invalidations| Observed {
        reads_of_all,
        lists: vec![Lists {
            invalidations,
            ..lists(LIST_OF_ALL, &[])
        }],
        ..healthy()
    };
    assert_eq!(of_one(&kind(1_200, 5_400)), ["list-of-all"]);
    assert_eq!(of_one(&kind(5_400, 1_200)), [""; 0]);
    let advice = lists::advise(&kind(1_200, 5_400)).remove(0);
    assert_eq!(
        advice.evidence,
        "hero:all is read 2.0 times a minute and invalidated 9.0 times"
    );
}

#[test]
fn early_refresh_is_advised_where_values_are_read_often() {
    let kind = |expired| Observed {
        expired,
        policy: policy(|policy| policy.early_refresh = None),
        ..healthy()
    };
    // 50 reads between two expiries, and 20,000 expiries with 5.
    assert_eq!(of_one(&kind(2_000)), ["early-refresh"]);
    assert_eq!(of_one(&kind(20_000)), [""; 0]);
    assert_eq!(of_one(&kind(99)), [""; 0]);
}

#[test]
fn jitter_is_advised_where_values_expire_together() {
    let kind = |most_expired, jitter| Observed {
        most_expired,
        policy: policy(|policy| policy.jitter = jitter),
        ..healthy()
    };
    assert_eq!(of_one(&kind(300, 0.0)), ["jitter"]);
    assert_eq!(of_one(&kind(300, 0.1)), [""; 0]);
    assert_eq!(of_one(&kind(9, 0.0)), [""; 0]);
}

fn curve(pool: &'static str, gains: [f64; 2], error: f64) -> Curve {
    let point = |(size, gain_points)| CurvePoint {
        size,
        capacity_bytes: 1 << 20,
        hit_ratio: 0.8,
        gain_points,
    };
    Curve {
        pool,
        capacity_bytes: 1 << 20,
        hit_ratio: 0.8,
        reads: 100_000,
        sampled: 12_000,
        points: [0.5, 2.0].into_iter().zip(gains).map(point).collect(),
        error_points: Some(error),
    }
}

fn size(curves: &[Curve]) -> Option<String> {
    let config = crate::CacheConfig::default();
    memory::advise(curves, &config, &[healthy()]).map(|advice| advice.set)
}

#[test]
fn memory_is_advised_by_the_gain_of_both_parts() {
    // 80 % of the reads are of rows.
    let both = |rows, lists| {
        [
            curve("rows", [-5.0, rows], 1.0),
            curve("lists", [-5.0, lists], 1.0),
        ]
    };
    assert_eq!(size(&both(1.3, 0.0)).unwrap(), "CACHE_L1_CAPACITY=128MiB");
    assert_eq!(size(&both(1.2, 0.0)), None);
    assert_eq!(size(&both(0.8, 2.0)).unwrap(), "CACHE_L1_CAPACITY=128MiB");
}

#[test]
fn memory_that_serves_nothing_is_to_be_given_back() {
    let with_losses = |rows, lists| {
        [
            curve("rows", [rows, 0.1], 1.0),
            curve("lists", [lists, 0.1], 1.0),
        ]
    };
    assert_eq!(
        size(&with_losses(-0.2, -0.2)).unwrap(),
        "CACHE_L1_CAPACITY=32MiB"
    );
    assert_eq!(size(&with_losses(-0.4, -0.4)), None);
    assert_eq!(
        size(&[curve("rows", [0.0, 0.0], 1.0)]),
        None,
        "of lists nothing is known"
    );
}

#[test]
fn a_size_that_is_estimated_badly_gets_no_advice() {
    assert_eq!(size(&[curve("rows", [-5.0, 9.0], 6.5)]), None);
    assert!(size(&[curve("rows", [-5.0, 9.0], -5.5)]).is_some());
}

#[test]
fn evicted_values_that_are_read_again_need_a_larger_redis() {
    let info = ServerInfo {
        evicted_keys: 5_000,
        max_memory_bytes: 1 << 30,
        ..ServerInfo::default()
    };
    let kind = Observed {
        evicted: 1_000,
        ..healthy()
    };
    let advice = server::advise(&info, std::slice::from_ref(&kind)).unwrap();
    assert_eq!(advice.set, "maxmemory 2048mb");
    assert_eq!(server::advise(&info, &[healthy()]), None);
    assert_eq!(server::advise(&ServerInfo::default(), &[kind]), None);
}

/// A kind whose expired values were followed by so many equal and changed ones.
fn expiring(compared: [u64; 2]) -> Observed {
    Observed {
        compared,
        ends: Ends {
            expiries: compared.iter().sum(),
            saved_by_four: 0.5,
            is_journalled: false,
        },
        ..healthy()
    }
}

#[test]
fn a_longer_ttl_is_advised_while_few_values_had_changed() {
    let advice = expiry::longer_ttl(&expiring([412, 20])).unwrap();
    assert_eq!(advice.set, "CACHE_HERO_TTL=14400");
    assert!(
        advice.gain.contains("100 fewer loads an hour"),
        "{}",
        advice.gain
    );
    assert!(
        advice.evidence.contains("412 of 432"),
        "{}",
        advice.evidence
    );
    assert!(
        advice.against.contains("2.3 % -> 9.3 %"),
        "{}",
        advice.against
    );
    // Of 200 with 18 changed, 13.8 % may be.
    for compared in [[182, 18], [30, 0], [200, 200], [0, 0]] {
        assert_eq!(
            expiry::longer_ttl(&expiring(compared)),
            None,
            "{compared:?}"
        );
    }
}

#[test]
fn a_longer_ttl_is_not_advised_where_redis_evicts() {
    let kind = Observed {
        evicted: 500,
        ..expiring([412, 0])
    };
    assert_eq!(expiry::longer_ttl(&kind), None);
}

#[test]
fn a_journalled_kind_needs_no_ttl_for_freshness() {
    let mut kind = expiring([412, 0]);
    kind.ends.is_journalled = true;
    let advice = expiry::longer_ttl(&kind).unwrap();
    assert!(
        advice.against.contains("needs no TTL"),
        "{}",
        advice.against
    );
}

#[test]
fn rows_that_are_seldom_read_after_a_write_are_not_to_be_left() {
    let kind = |written, cache_on_write| Observed {
        written,
        policy: policy(|policy| policy.cache_on_write = cache_on_write),
        ..healthy()
    };
    assert_eq!(of_one(&kind((20, 400), true)), ["cache-on-write"]);
    assert_eq!(of_one(&kind((20, 400), false)), [""; 0]);
    assert_eq!(of_one(&kind((100, 400), true)), [""; 0]);
    assert_eq!(of_one(&kind((1, 90), true)), [""; 0]);
}
