//! Rows of every type that serde supports, through both tiers and two
//! instances. A row is read as it is in the database, or it is not cached.
//!
//! A row must be cached if its JSON alone restores it, according to serde_json.
//! A build that refuses too many rows therefore fails, like one that serves
//! another row.

mod values;
mod draws;
mod rows;

use std::cell::Cell;
use std::sync::Arc;

use aside::{Answer, CachedRepository, Freshness, Repository, Source, Tier};
use aside_testkit::eventually;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::runtime::Runtime;

use crate::database::Table;
use crate::world::{Instance, SOON, World};
use rows::{Drawn, OddRow, Plain, Told};
use values::Odd;

/// Two instances over one table of one kind.
struct Stage<E: Drawn> {
    table: Table<E>,
    instances: [CachedRepository<Table<E>>; 2],
    _services: [Instance; 2],
    /// No two rows share an id, and no two draws share a list.
    next: Cell<u64>,
}

/// Returns true if a caller cannot distinguish two rows.
fn is_same<E: Drawn>(one: &E, other: &E) -> bool {
    let sorted = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.sort_unstable();
        bytes
    };
    let (printed, others) = (format!("{one:?}"), format!("{other:?}"));
    // A row that does not equal itself contains a NaN, so it is compared by
    // `Debug`.
    let has_equality = PartialEq::eq(one, one);
    // A hash map prints its entries in any order.
    match has_equality {
        true => one == other && sorted(&printed) == sorted(&others),
        false => printed == others,
    }
}

/// Returns true if a row's JSON restores it.
fn survives<E: Drawn>(row: &E) -> bool {
    let read = serde_json::to_string(row).and_then(|text| serde_json::from_str::<E>(&text));
    read.is_ok_and(|read| is_same(row, &read))
}

impl<E: Drawn> Stage<E> {
    async fn set(world: &World) -> Self {
        let services = [world.instance().await, world.instance().await];
        let table = Table::new();
        let cached = |instance: &Instance| CachedRepository::new(table.clone(), &instance.cache);
        Self {
            instances: [cached(&services[0]), cached(&services[1])],
            table,
            _services: services,
            next: Cell::new(1),
        }
    }

    /// Stores some rows past the cache and through it, reads them by every
    /// method, changes them, and reads them again.
    async fn play(&self, drawn: Vec<E>) {
        let shelf = u32::try_from(self.next.get()).expect("few");
        let mut ids = Vec::new();
        for row in drawn.iter().cloned() {
            let id = self.next.replace(self.next.get() + 1);
            let row = row.numbered(id, shelf);
            if id.is_multiple_of(2) {
                self.table.insert(&row);
            } else {
                self.instances[0].save(row).await.unwrap();
            }
            ids.push(id);
        }
        self.read(Freshness::Any, shelf, &ids).await;
        for &id in &ids {
            self.is_cached_if_it_survives(id).await;
        }
        self.read(Freshness::Shared, shelf, &ids).await;
        self.read(Freshness::Any, shelf, &ids).await;
        self.read_together(&ids).await;
        let others = drawn.iter().cloned().cycle().skip(1);
        for (&id, row) in ids.iter().zip(others) {
            let updated = self.instances[1].update(row.numbered(id, shelf)).await;
            updated.unwrap().expect("the row exists");
        }
        // The other instance gets the message in a moment, and may lag until
        // then.
        self.read(Freshness::Shared, shelf, &ids).await;
    }

    fn stored(&self, id: u64) -> Arc<E> {
        self.table.row(&id).expect("the row exists")
    }

    /// Reads each row by its id, in its list and with the others.
    async fn read(&self, freshness: Freshness, shelf: u32, ids: &[u64]) {
        for cached in &self.instances {
            for &id in ids {
                let read = cached.find_by_id_with(&id, freshness).await;
                self.compare(id, &read.unwrap());
            }
            let list = cached.find_by_with(&E::shelf(shelf), freshness).await;
            let list = list.unwrap();
            assert_eq!(list.value.len(), ids.len(), "{:?}", list.tier);
            for (id, row) in ids.iter().zip(list.value.iter()) {
                let (stored, tier) = (self.stored(*id), list.tier);
                assert!(is_same(&**row, &stored), "{tier:?}: {row:?} is {stored:?}");
            }
        }
    }

    async fn read_together(&self, ids: &[u64]) {
        for cached in &self.instances {
            let rows = cached.find_many(ids).await.unwrap();
            for (id, row) in ids.iter().zip(&rows) {
                let (row, stored) = (row.as_ref().unwrap(), self.stored(*id));
                assert!(is_same(&**row, &stored), "{row:?} is {stored:?}");
            }
        }
    }

    fn compare(&self, id: u64, read: &Answer<Option<Arc<E>>>) {
        let row = read.value.as_ref().expect("the row exists");
        let stored = self.stored(id);
        assert!(
            is_same(&**row, &stored),
            "from {:?}: {row:?} is {stored:?}",
            read.tier
        );
    }

    async fn is_cached_if_it_survives(&self, id: u64) {
        let read = async || {
            let read = self.instances[1]
                .find_by_id_with(&id, Freshness::Shared)
                .await;
            let read = read.unwrap();
            self.compare(id, &read);
            read.tier == Tier::Shared
        };
        let row = self.stored(id);
        if survives(&*row) {
            eventually(SOON, &format!("a value of {row:?}"), &read).await;
        } else {
            assert!(!read().await && !read().await, "{row:?} is cached");
        }
    }
}

/// Runs `cases` draws of up to four rows of one kind.
fn any_rows<E: Drawn>(world: &World, cases: u32) {
    let runtime = runtime();
    let stage = runtime.block_on(Stage::<E>::set(world));
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        // In milliseconds. Shrinking is slow, because a missing value is
        // awaited.
        max_shrink_time: 30_000,
        ..ProptestConfig::default()
    };
    let played = TestRunner::new(config).run(&vec(E::rows(), 1..4), |rows| {
        runtime.block_on(stage.play(rows));
        Ok(())
    });
    played.unwrap_or_else(|failure| panic!("{}: {failure}", E::KIND));
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

#[test]
fn any_odd_value_is_restored_exactly_or_not_cached() {
    any_rows::<OddRow>(&World::new(), 250);
    any_rows::<OddRow>(&World::in_memory(), 250);
}

#[test]
fn any_plain_value_is_cached_and_restored_exactly() {
    any_rows::<Plain>(&World::new(), 60);
    any_rows::<Plain>(&World::in_memory(), 60);
}

#[test]
fn any_field_with_serde_attributes_is_restored_or_not_cached() {
    any_rows::<Told>(&World::new(), 100);
    any_rows::<Told>(&World::in_memory(), 100);
}

/// The values of the first reports, so that they do not depend on a draw.
#[tokio::test]
async fn a_float_is_restored_bit_by_bit_or_not_cached() {
    let world = World::new();
    let stage = Stage::<OddRow>::set(&world).await;
    for float in [
        117.633_311_394_000_17,
        f64::MAX,
        -0.0,
        f64::NAN,
        f64::INFINITY,
    ] {
        stage.play(vec![OddRow::of(Odd::F64(float))]).await;
        stage
            .play(vec![OddRow::of(Odd::Floats(vec![float, 1.0]))])
            .await;
    }
}
