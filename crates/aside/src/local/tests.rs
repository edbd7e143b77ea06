use std::time::Duration;

use super::*;
use crate::entity::example::Hero;

struct Stage {
    generations: Arc<Generations>,
    pools: Arc<Pools>,
    store: Arc<LocalTier<Hero>>,
}

fn stage(capacity_bytes: usize) -> Stage {
    let generations = Arc::new(Generations::of_memory());
    let pools = Arc::new(Pools::new(capacity_bytes));
    let store = Arc::new(local_tier(&generations));
    store.join(&pools, Hero::KIND, 1);
    Stage {
        generations,
        pools,
        store,
    }
}

fn local_tier(generations: &Arc<Generations>) -> LocalTier<Hero> {
    let statistics = Arc::new(KindStatistics::new());
    LocalTier::new(Arc::clone(generations), Arc::default(), statistics)
}

impl Stage {
    fn of(&self, name: &'static str, share: u32) -> Self {
        let generations = Arc::clone(&self.generations);
        let store = Arc::new(local_tier(&generations));
        store.join(&self.pools, name, share);
        Self {
            generations,
            pools: Arc::clone(&self.pools),
            store,
        }
    }

    fn keep(&self, id: u32, payload_bytes: u32) {
        let found = Found::Row(Some(Arc::new(Hero(id))));
        self.keep_found(Lookup::Id(id), found, payload_bytes);
    }

    fn keep_list(&self, payload_bytes: u32) {
        let found = Found::List(std::iter::once(Arc::new(Hero(0))).collect());
        self.keep_found(Lookup::All, found, payload_bytes);
    }

    fn keep_found(&self, lookup: Lookup<Hero>, found: Found<Hero>, payload_bytes: u32) {
        let entry = Entry {
            found,
            stamp: match &lookup {
                Lookup::Id(id) => self.generations.stamp(u64::from(*id), 0),
                _ => self.generations.stamp(u64::MAX, 0),
            },
            epoch: 0,
            deadline: Moment::now().plus(Duration::from_secs(60)),
            loaded_at: 0,
            fill: 1,
            payload_bytes,
        };
        self.store.insert(lookup, entry);
    }

    fn holds(&self, id: u32) -> bool {
        self.store.get(LookupRef::Id(&id), |_| ()).is_some()
    }

    fn holds_list(&self) -> bool {
        self.store.get(LookupRef::All, |_| ()).is_some()
    }

    /// Reads a row, and keeps it if it is not held. Returns true if it was.
    fn read(&self, id: u32) -> bool {
        let is_held = self.holds(id);
        if is_held {
            let statistics = &self.store.statistics;
            statistics.read(Operation::FindById, Outcome::L1Hit);
        } else {
            self.keep(id, 96);
        }
        is_held
    }
}

/// The size of an entry of `Stage::read`, without its name.
const ENTRY_BYTES: u64 = 256;

#[test]
fn an_entry_is_served_until_its_key_is_invalidated() {
    let stage = stage(1 << 20);
    stage.keep(1, 100);
    assert!(stage.holds(1));
    stage.generations.invalidate(1);
    assert!(!stage.holds(1));
}

#[test]
fn a_replaced_entry_is_not_an_eviction() {
    let stage = stage(1 << 20);
    for _ in 0..100 {
        stage.keep(1, 100);
        stage.generations.invalidate(1);
    }
    assert_eq!(stage.store.evictions(), 0);
}

#[test]
fn entries_of_all_kinds_never_exceed_the_capacity() {
    let hero = stage(64 * 1024);
    let other = hero.of("other", 1);
    for id in 0..10_000 {
        hero.keep(id, 400 + id % 50);
        if id % 3 == 0 {
            other.keep(id, 1_000);
            other.keep_list(5_000);
        }
        let held = hero.store.bytes() + other.store.bytes();
        assert!(held <= 64 * 1024, "{held}");
    }
    let evictions = hero.store.evictions();
    assert!(evictions > 9_000, "{evictions}");
    let held = hero.store.bytes() + other.store.bytes();
    assert!(held > 60 * 1024, "hardly used: {held}");
}

#[test]
fn a_kind_that_is_read_uses_the_memory_of_one_that_is_not() {
    let hero = stage(256 * ENTRY_BYTES as usize);
    let idle = hero.of("idle", 1);
    for id in 0..1_000 {
        idle.read(id);
    }
    for _ in 0..20 {
        for id in 0..180 {
            hero.read(id);
        }
    }
    let hits = (0..180).filter(|id| hero.read(*id)).count();
    assert!(hits > 170, "{hits} of 180");
    assert!(idle.store.len() < 60, "{}", idle.store.len());
}

#[test]
fn rows_that_are_read_again_survive_a_scan_of_another_kind() {
    let hero = stage(256 * ENTRY_BYTES as usize);
    let scanned = hero.of("scanned", 1);
    let mut next = 0;
    let mut misses = 0;
    for round in 0..100 {
        for id in 0..100 {
            misses += u32::from(!hero.read(id) && round > 20);
            scanned.read(next);
            next += 1;
        }
    }
    assert!(misses < 240, "{misses} of 7,900 reads missed");
}

#[test]
fn a_kind_with_a_share_keeps_it_while_others_need_memory() {
    let hero = stage(512 * ENTRY_BYTES as usize);
    let kept = hero.of("kept", 2);
    for id in 0..2_000 {
        kept.read(id);
    }
    for _ in 0..10 {
        for id in 0..2_000 {
            hero.read(id);
        }
    }
    // Two thirds of what rows have: at least three quarters of the memory.
    let least = 512 * ENTRY_BYTES * 3 / 4 * 2 / 3 * 19 / 20;
    assert!(kept.store.bytes() >= least, "{}", kept.store.bytes());
    assert!(hero.store.len() > 64, "{}", hero.store.len());
}

#[test]
fn kinds_that_all_have_shares_still_replace_their_entries() {
    let hero = stage(512 * ENTRY_BYTES as usize);
    let hero = hero.of(Hero::KIND, 3);
    let other = hero.of("other", 3);
    let refused = (0..3_000).filter(|id| {
        hero.read(*id);
        other.read(*id);
        !hero.holds(*id) || !other.holds(*id)
    });
    // When the memory is full for the first time, a new entry may be the only one of its
    // shard that can be evicted.
    assert!(refused.count() < 30);
}

#[test]
fn a_list_evicts_no_rows_of_another_part() {
    let hero = stage(1 << 20);
    let lists = hero.of("lists", 1);
    for id in 0..5_000 {
        hero.read(id);
    }
    let rows = hero.store.len();
    for _ in 0..100 {
        lists.generations.invalidate(u64::MAX);
        lists.keep_list(30_000);
        assert!(lists.holds_list());
    }
    // As many as the list and the one before it weigh.
    assert!(rows - hero.store.len() < 250, "{}", hero.store.len());
}

#[test]
fn an_entry_above_an_eighth_of_its_pool_is_not_kept() {
    let stage = stage(1 << 20);
    stage.keep_list(200_000);
    assert!(!stage.holds_list());
    assert_eq!(stage.store.evictions(), 1);
    stage.keep_list(100_000);
    assert!(stage.holds_list());
    // Nor the one before it.
    stage.keep_list(200_000);
    assert!(!stage.holds_list());
    assert_eq!(stage.store.bytes(), 0);
}

#[test]
fn a_new_store_of_a_kind_takes_over_its_memory() {
    let first = stage(1 << 20);
    first.keep(1, 100);
    let second = first.of(Hero::KIND, 100);
    assert_eq!(first.store.bytes(), 0);
    first.keep(1, 100);
    assert!(!first.holds(1), "it has no memory any more");
    second.keep(1, 100);
    assert!(second.holds(1));
}

#[test]
fn removed_entries_leave_room_for_others() {
    let stage = stage(64 * 1024);
    for id in 0..1_000 {
        stage.keep(id, 400);
    }
    stage.store.clear();
    assert_eq!(stage.store.len(), 0);
    for id in 0..100 {
        stage.keep(id, 400);
    }
    assert_eq!(stage.store.len(), 100);
}

/// Reads few rows often and many seldom. Returns the part that was held.
fn read_skewed(hero: &Stage, reads: u32) -> f64 {
    let mut random = fastrand::Rng::with_seed(7);
    let hits = (0..reads).filter(|_| {
        let id = random.f64().powi(3) * 40_000.0;
        hero.read(id as u32)
    });
    hits.count() as f64 / f64::from(reads)
}

#[test]
fn the_curve_tells_the_hits_of_another_capacity() {
    let with = |entries: usize| {
        let hero = stage(entries * 300);
        let part = read_skewed(&hero, 120_000);
        (part, hero.pools.curve(Part::Rows).unwrap())
    };
    let ((half, _), (one, curve), (twice, _)) = (with(2_048), with(4_096), with(8_192));
    let at = |size| {
        let point = curve.points.iter().find(|point| point.0 == size);
        point.expect("it has enough entries").1
    };
    // The few hottest keys are in the sample or not. That moves all sizes alike.
    assert!((at(1.0) - curve.hit_ratio).abs() < 0.06, "{curve:?}");
    let more = (at(2.0) - at(1.0)) - (twice - one);
    let less = (at(1.0) - at(0.5)) - (one - half);
    assert!(more.abs() < 0.03, "{more}: {curve:?} {half} {one} {twice}");
    assert!(less.abs() < 0.03, "{less}: {curve:?} {half} {one} {twice}");
}

#[test]
fn reads_that_wait_for_a_miss_are_bounded() {
    let hero = stage(1 << 20);
    for id in 0..2_000 {
        hero.read(id);
    }
    for _ in 0..100 {
        for id in 0..2_000 {
            assert!(hero.read(id));
        }
    }
    let heard = hero.store.rows.take_heard();
    assert!(!heard.is_empty() && heard.len() <= 1_024, "{}", heard.len());
}
