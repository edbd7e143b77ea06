//! Repositories whose loads read from other cached repositories.

use std::sync::Arc;

use aside::{
    Entity, Write,
    repository::{Overloaded, Row},
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::library::Refusal;
use super::*;

/// A row that consists of a row of another repository.
macro_rules! made_of {
    ($name:ident, $repository:ident, $kind:literal, $inner:ty) => {
        #[derive(Clone, Debug, Serialize, Deserialize, Entity)]
        #[entity(kind = $kind, list_all = false)]
        struct $name {
            #[entity(id)]
            id: u32,
        }

        #[derive(Clone)]
        struct $repository(CachedRepository<$inner>);

        impl Source for $repository {
            type Entity = $name;
            type Error = Refusal;

            async fn find_by_id(&self, id: &u32) -> Result<Option<Arc<$name>>, Refusal> {
                let found = self.0.find_by_id(id).await?;
                Ok(found.map(|_| Arc::new($name { id: *id })))
            }

            async fn find_many(&self, ids: &[u32]) -> Result<Vec<Option<Arc<$name>>>, Refusal> {
                let found = self.0.find_many(ids).await?;
                let rows = found.iter().zip(ids);
                Ok(rows
                    .map(|(row, id)| row.as_ref().map(|_| Arc::new($name { id: *id })))
                    .collect())
            }

            fn overloaded(&self, why: Overloaded) -> Refusal {
                Refusal::Overloaded(why)
            }
        }

        impl Repository for $repository {
            async fn save_in(&self, _: $name, _: &mut Write) -> Result<Row<Self>, Refusal> {
                Err(Refusal::Closed)
            }

            async fn update_in(
                &self,
                _: $name,
                _: &mut Write,
            ) -> Result<Option<Row<Self>>, Refusal> {
                Err(Refusal::Closed)
            }

            async fn delete_in(&self, _: &u32, _: &mut Write) -> Result<bool, Refusal> {
                Err(Refusal::Closed)
            }
        }
    };
}

made_of!(Order, Orders, "order", Library);
made_of!(Invoice, Invoices, "invoice", Orders);

/// Three repositories, each over the one before, without Redis.
async fn away(places: usize) -> (Library, Instance, CachedRepository<Invoices>) {
    let library = Library::of(400);
    let config = CacheConfig {
        source_concurrency: places,
        ..at("redis://127.0.0.1:1")
    };
    let instance = Instance::start(config, &library).await;
    let orders = CachedRepository::new(Orders(instance.books.clone()), &instance.cache);
    let invoices = CachedRepository::new(Invoices(orders), &instance.cache);
    (library, instance, invoices)
}

#[tokio::test]
async fn reads_within_loads_need_no_further_permit() {
    let (library, _instance, invoices) = away(64).await;
    let mut reads = JoinSet::new();
    for id in 1..=200 {
        let (one, other) = (invoices.clone(), invoices.source().0.clone());
        reads.spawn(async move { one.find_by_id(&id).await.map(|row| row.is_some()) });
        reads.spawn(async move { other.find_by_id(&id).await.map(|row| row.is_some()) });
    }
    while let Some(read) = reads.join_next().await {
        assert_eq!(read.unwrap(), Ok(true));
    }
    assert!(library.most_loading() <= 64);
}

#[tokio::test]
async fn reads_within_loads_ignore_readers_without_a_permit() {
    let (_library, instance, invoices) = away(2).await;
    let mut reads = JoinSet::new();
    for id in 1..=100 {
        // The same books are read with and without a permit.
        let id = 1 + id % 5;
        let (outer, books) = (invoices.clone(), instance.books.clone());
        reads.spawn(async move { outer.find_by_id(&id).await.map(|row| row.is_some()) });
        reads.spawn(async move { books.find_by_id(&id).await.map(|row| row.is_some()) });
    }
    while let Some(read) = reads.join_next().await {
        assert_eq!(read.unwrap(), Ok(true));
    }
}

#[tokio::test]
async fn batches_within_batches_need_no_further_permit() {
    let (_library, instance, invoices) = away(4).await;
    let mut reads = JoinSet::new();
    for number in 0..100 {
        let ids: Vec<u32> = (1 + number % 3..=5 + number % 3).collect();
        let (outer, books, same) = (invoices.clone(), instance.books.clone(), ids.clone());
        reads.spawn(async move { outer.find_many(&ids).await.map(|rows| rows.len()) });
        reads.spawn(async move { books.find_many(&same).await.map(|rows| rows.len()) });
    }
    while let Some(read) = reads.join_next().await {
        assert_eq!(read.unwrap(), Ok(5));
    }
}
