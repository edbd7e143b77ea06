//! Tracing spans: a statement belongs to the request that needed it.

use std::sync::{Arc, Mutex};

use aside::repository::{Id, Index, Overloaded, Row};
use aside::{CachedQuery, CachedRepository, Deps, Repository, Rows, Source, Write};
use tracing::{Instrument as _, Metadata, Span, Subscriber, info_span, span};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

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

/// Remembers which span follows which.
#[derive(Clone, Default)]
struct Links(Arc<Mutex<Vec<[&'static str; 2]>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Links {
    fn on_follows_from(&self, id: &span::Id, follows: &span::Id, context: Context<'_, S>) {
        let name = |id| context.span(id).map_or("a closed span", |span| span.name());
        self.0.lock().unwrap().push([name(id), name(follows)]);
    }
}

/// Runs a read in two spans at once. Returns their names, that of the reader that waited
/// first.
async fn twice(read: impl AsyncFn(), spied: &Spied) -> [&'static str; 2] {
    spied.seen();
    let one = read().instrument(info_span!("one"));
    let other = read().instrument(info_span!("other"));
    tokio::join!(one, other);
    match spied.seen()[..] {
        [Some("one")] => ["other", "one"],
        [Some("other")] => ["one", "other"],
        ref seen => panic!("one statement, and not {seen:?}"),
    }
}

#[tokio::test]
async fn the_span_of_a_reader_that_waits_follows_that_of_the_load() {
    let links = Links::default();
    let subscriber = tracing_subscriber::registry().with(links.clone());
    let _installed = tracing::subscriber::set_default(subscriber);
    let world = World::new();
    let instance = world.instance().await;
    let row = hero("Mia", "en");
    world.heroes.insert(&row);
    let spied = Spied {
        heroes: world.heroes.clone(),
        seen: Arc::default(),
    };
    let heroes = CachedRepository::new(spied.clone(), &instance.cache);
    let linked = || std::mem::take(&mut *links.0.lock().unwrap());

    let read = async || drop(heroes.find_by_id(&row.id).await.unwrap());
    let expected = twice(read, &spied).await;
    assert_eq!(linked(), [expected], "a row");

    let english = speaking("en");
    let read = async || drop(heroes.find_by(&english).await.unwrap());
    let expected = twice(read, &spied).await;
    assert_eq!(linked(), [expected], "a list");

    let names: CachedQuery<u8, usize> = CachedQuery::new("names", &instance.cache);
    let read = async || {
        let source = spied.clone();
        let load = move || async move { Ok::<_, DatabaseError>(source.list_all().await?.len()) };
        let result = names.get(&1, Deps::new().list::<Hero>(&english), load);
        result.await.unwrap();
    };
    let expected = twice(read, &spied).await;
    assert_eq!(linked(), [expected], "a query");
}
