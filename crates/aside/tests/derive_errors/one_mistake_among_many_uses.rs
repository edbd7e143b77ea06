use std::convert::Infallible;
use std::sync::Arc;

use aside::repository::Overloaded;
use aside::{CacheService, CachedRepository, Entity, Rows, Source};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "hero")]
struct Hero {
    #[entity(id)]
    id: u64,
    #[entity(index)]
    name: String,
    #[entity(indexed)]
    nick: String,
}

struct Heroes;

impl Source for Heroes {
    type Entity = Hero;
    type Error = Infallible;

    async fn find_by_id(&self, _: &u64) -> Result<Option<Arc<Hero>>, Infallible> {
        Ok(None)
    }

    async fn find_by(&self, index: &HeroIndex) -> Result<Rows<Hero>, Infallible> {
        let HeroIndex::Name(_) = index;
        Ok([].into())
    }

    async fn list_all(&self) -> Result<Rows<Hero>, Infallible> {
        Ok([].into())
    }

    fn overloaded(&self, _: Overloaded) -> Infallible {
        unreachable!()
    }
}

async fn read(cache: &CacheService) {
    let heroes = CachedRepository::new(Heroes, cache);
    let _ = heroes.find_by_id(&1).await;
    let _ = heroes.find_by(&HeroIndex::Name("Mia".into())).await;
    let mut write = cache.write();
    write.invalidate_list::<Hero>(&HeroIndex::Name("Mia".into()));
}

fn main() {}
