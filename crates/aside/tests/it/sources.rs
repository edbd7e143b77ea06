//! Sources that write only the reads that their kind has.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use aside::repository::Overloaded;
use aside::{CacheConfig, CacheService, CachedRepository, Entity, Rows, Secret, Source};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "note", list_all = false)]
struct Note {
    #[entity(id)]
    id: u32,
}

async fn cache() -> CacheService {
    let config = CacheConfig {
        redis_url: Secret::new("memory://"),
        ..CacheConfig::default()
    };
    CacheService::connect(config).await
}

/// Without lists.
struct ById;

impl Source for ById {
    type Entity = Note;
    type Error = Infallible;

    async fn find_by_id(&self, id: &u32) -> Result<Option<Arc<Note>>, Infallible> {
        Ok(Some(Arc::new(Note { id: *id })))
    }

    fn overloaded(&self, why: Overloaded) -> Infallible {
        panic!("{why}")
    }
}

/// With a list that no write invalidates.
#[derive(Default)]
struct Listed(Mutex<Vec<u32>>);

impl Source for Listed {
    type Entity = Note;
    type Error = Infallible;

    async fn find_by_id(&self, id: &u32) -> Result<Option<Arc<Note>>, Infallible> {
        ById.find_by_id(id).await
    }

    async fn list_all(&self) -> Result<Rows<Note>, Infallible> {
        let ids = self.0.lock().unwrap().clone();
        Ok(ids.into_iter().map(|id| Arc::new(Note { id })).collect())
    }

    fn overloaded(&self, why: Overloaded) -> Infallible {
        panic!("{why}")
    }
}

#[tokio::test]
async fn a_source_of_a_kind_without_lists_writes_one_read() {
    let notes = CachedRepository::new(ById, &cache().await);
    for _ in 0..2 {
        let found = notes.find_by_id(&7).await.unwrap();
        assert_eq!(found.as_deref(), Some(&Note { id: 7 }));
    }
    assert_eq!(notes.find_many(&[1, 2]).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_list_that_no_write_invalidates_is_not_cached() {
    let notes = CachedRepository::new(Listed::default(), &cache().await);
    for count in 0..3 {
        let all = notes.list_all().await.unwrap();
        assert_eq!(all.len(), count);
        let next = u32::try_from(count).unwrap();
        notes.source().0.lock().unwrap().push(next);
    }
}

#[tokio::test]
#[should_panic(expected = "note has `list_all = false`")]
async fn a_list_that_no_source_writes_is_refused_with_its_kind() {
    let notes = CachedRepository::new(ById, &cache().await);
    let _ = notes.list_all().await;
}
