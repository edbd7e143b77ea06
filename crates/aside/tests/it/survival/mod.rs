//! A row is read back as it was written, or is not cached.

mod claims;
mod fields;
mod shapes;

use aside::{CachedRepository, Freshness, Source, Tier};

use crate::database::{Table, Versioned};
use crate::world::{Instance, World};

/// Two instances: the first loads a row, the second reads it.
struct Scene<E: Versioned> {
    world: World,
    table: Table<E>,
    instances: [Instance; 2],
    repositories: [CachedRepository<Table<E>>; 2],
}

impl<E: Versioned<Id = u32>> Scene<E> {
    async fn with(rows: &[E]) -> Self {
        let world = World::new();
        let table = Table::new();
        rows.iter().for_each(|row| table.insert(row));
        let (instances, repositories) = world.two_over(&table).await;
        Self {
            world,
            table,
            instances,
            repositories,
        }
    }

    fn key(&self, id: u32) -> String {
        format!("{}:{id}", E::KIND)
    }

    /// Checks that the second instance serves the database's row, from Redis.
    async fn is_cached(&self, row: &E) {
        let [one, two] = &self.repositories;
        one.find_by_id(row.id()).await.unwrap();
        self.world.filled(&self.key(*row.id())).await;
        let answer = two.find_by_id_with(row.id(), Freshness::Any).await.unwrap();
        assert_eq!(answer.tier, Tier::Shared);
        assert_eq!(answer.value.as_deref(), Some(row));
    }

    /// Checks that both instances serve the database's row, and that Redis
    /// never has it.
    async fn is_answered_alone(&self, row: &E) {
        for repository in self.repositories.iter().chain(&self.repositories) {
            let found = repository.find_by_id(row.id()).await.unwrap();
            // By `Debug`, because the type's own equality may hide the
            // difference.
            assert_eq!(
                format!("{:?}", found.as_deref()),
                format!("{:?}", Some(row))
            );
        }
        assert_eq!(self.instances[1].errors("undecodable_value"), 0);
        assert!(self.instances[0].errors("lossy_row") > 0);
        // The return of a lease may still be in flight.
        assert_ne!(self.world.state(&self.key(*row.id())), 'V');
    }
}
