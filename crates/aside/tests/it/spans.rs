//! Tracing spans: a statement belongs to the request that needed it.

use std::sync::{Arc, Mutex};

use aside::repository::{Id, Index, Overloaded, Row};
use aside::{CachedRepository, Repository, Rows, Source, Write};
use tracing::{Instrument as _, Metadata, Span, info_span};

use crate::database::{DatabaseError, Table};
use crate::entities::{Hero, hero, speaking};
use crate::world::World;

/// Heroes that remember the span of each statement.
#[derive(Clone)]
struct Spied {
    heroes: Table<Hero>,
    seen: Arc<Mutex<Vec<Option<&'static str>>>>,
}

impl Spied {
    fn see(&self) {
        let name = Span::current().metadata().map(Metadata::name);
        self.seen.lock().unwrap().push(name);
    }

    fn seen(&self) -> Vec<Option<&'static str>> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

impl Source for Spied {
    type Entity = Hero;
    type Error = DatabaseError;

    async fn find_by_id(&self, id: &Id<Self>) -> Result<Option<Row<Self>>, DatabaseError> {
        self.see();
        self.heroes.find_by_id(id).await
    }

    async fn find_many(&self, ids: &[Id<Self>]) -> Result<Vec<Option<Row<Self>>>, DatabaseError> {
        self.see();
        self.heroes.find_many(ids).await
    }

    async fn find_by(&self, index: &Index<Self>) -> Result<Rows<Hero>, DatabaseError> {
        self.see();
        self.heroes.find_by(index).await
    }

    async fn list_all(&self) -> Result<Rows<Hero>, DatabaseError> {
        self.see();
        self.heroes.list_all().await
    }

    fn overloaded(&self, why: Overloaded) -> DatabaseError {
        self.heroes.overloaded(why)
    }
}

impl Repository for Spied {
    async fn save_in(&self, row: Hero, write: &mut Write) -> Result<Row<Self>, DatabaseError> {
        self.see();
        self.heroes.save_in(row, write).await
    }

    async fn update_in(
        &self,
        row: Hero,
        write: &mut Write,
    ) -> Result<Option<Row<Self>>, DatabaseError> {
        self.see();
        self.heroes.update_in(row, write).await
    }

    async fn delete_in(&self, id: &Id<Self>, write: &mut Write) -> Result<bool, DatabaseError> {
        self.see();
        self.heroes.delete_in(id, write).await
    }
}

#[tokio::test]
async fn statements_belong_to_the_span_of_their_caller() {
    let _installed = tracing::subscriber::set_default(tracing_subscriber::registry());
    let world = World::new();
    let instance = world.instance().await;
    let spied = Spied {
        heroes: world.heroes.clone(),
        seen: Arc::default(),
    };
    let heroes = CachedRepository::new(spied.clone(), &instance.cache);
    let rows: Vec<Hero> = (0..3).map(|_| hero("Mia", "en")).collect();
    rows.iter().for_each(|row| world.heroes.insert(row));
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let read = heroes.find_by_id(&ids[0]).instrument(info_span!("row"));
    read.await.unwrap();
    let read = heroes.find_many(&ids).instrument(info_span!("batch"));
    read.await.unwrap();
    let index = speaking("en");
    let read = heroes.find_by(&index).instrument(info_span!("list"));
    read.await.unwrap();
    assert_eq!(spied.seen(), ["row", "batch", "list"].map(Some));
    let saving = heroes
        .save(hero("Max", "de"))
        .instrument(info_span!("save"));
    saving.await.unwrap();
    let seen = spied.seen();
    // The write also reads its row back.
    assert!(!seen.is_empty() && seen.iter().all(|span| *span == Some("save")));
    // Without a span there is none.
    heroes.list_all().await.unwrap();
    assert_eq!(spied.seen(), [None]);
}
