use std::time::Duration;

use super::*;
use crate::entity::example::Hero;

struct Stage {
    generations: Arc<Generations>,
    store: Arc<LocalTier<Hero>>,
    shares: Shares,
}

fn stage(capacity_bytes: usize) -> Stage {
    let generations = Arc::new(Generations::of_memory());
    let store = Arc::new(LocalTier::new(Arc::clone(&generations), Arc::default()));
    let shares = Shares::new(capacity_bytes);
    shares.admit(Hero::KIND, 1, &store);
    Stage {
        generations,
        store,
        shares,
    }
}

impl Stage {
    fn keep(&self, id: u32, payload_bytes: u32) {
        let entry = Entry {
            found: Found::Row(Some(Arc::new(Hero(id)))),
            stamp: self.generations.stamp(u64::from(id), 0),
            epoch: 0,
            deadline: Moment::now().plus(Duration::from_secs(60)),
            loaded_at: 0,
            fill: u64::from(id),
            payload_bytes,
        };
        self.store.insert(Lookup::Id(id), entry);
    }

    fn holds(&self, id: u32) -> bool {
        self.store.get(LookupRef::Id(&id), |_| ()).is_some()
    }
}

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
fn entries_never_exceed_their_share() {
    let stage = stage(64 * 1024);
    for id in 0..10_000 {
        stage.keep(id, 400);
        assert!(stage.store.bytes() <= 64 * 1024);
    }
    assert!(
        stage.store.evictions() > 9_000,
        "{}",
        stage.store.evictions()
    );
    let other = Arc::new(LocalTier::<Hero>::new(
        Arc::clone(&stage.generations),
        Arc::default(),
    ));
    stage.shares.admit(Hero::KIND, 1, &other);
    assert!(stage.store.bytes() <= 32 * 1024);
}

#[test]
fn a_new_store_of_a_kind_takes_over_its_share() {
    let generations = Arc::new(Generations::of_memory());
    let store = || {
        Arc::new(LocalTier::<Hero>::new(
            Arc::clone(&generations),
            Arc::default(),
        ))
    };
    let shares = Shares::new(1 << 20);
    let (first, second) = (store(), store());
    shares.admit(Hero::KIND, 100, &first);
    shares.admit(Hero::KIND, 100, &second);
    let capacity = |store: &LocalTier<Hero>| -> u64 {
        let shards = store.shards.iter();
        shards.map(|shard| read(shard).capacity()).sum()
    };
    assert_eq!((capacity(&first), capacity(&second)), (0, 1 << 20));
}
