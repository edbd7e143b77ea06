//! `/heroes`

use std::sync::Arc;

use aside::CachedRepository;
use axum::Router;
use uuid::Uuid;

use super::App;
use super::listing::Lists;
use super::problem::Problem;
use super::query;
use super::resource::{self, Resource};
use crate::Tales;
use crate::domain::{Expected, Hero, HeroDraft, HeroIndex, TaleError};
use crate::sql::SqlHeroes;

pub(super) fn routes() -> Router<App> {
    resource::routes::<Hero>()
}

impl Resource for Hero {
    type Source = SqlHeroes;

    const PATH: &'static str = "/heroes";

    const FILTERS: &'static [&'static str] = &["language", "name"];

    fn index(filter: &str, value: &str) -> Result<HeroIndex, Problem> {
        Ok(match filter {
            "language" => HeroIndex::Language(query::word(filter, value)?),
            _ => HeroIndex::Name(query::name(filter, value)?),
        })
    }

    fn rows(tales: &Tales) -> &CachedRepository<SqlHeroes> {
        &tales.heroes
    }

    fn lists(app: &App) -> &Lists<SqlHeroes> {
        &app.heroes
    }

    async fn create(tales: &Tales, draft: HeroDraft) -> Result<Arc<Self>, TaleError> {
        tales.create_hero(draft).await
    }

    async fn replace(
        tales: &Tales,
        id: Uuid,
        draft: HeroDraft,
        expected: Expected,
    ) -> Result<Arc<Self>, TaleError> {
        tales.replace_hero(id, draft, expected).await
    }

    async fn delete(tales: &Tales, id: Uuid, expected: Expected) -> Result<(), TaleError> {
        tales.delete_hero(id, expected).await
    }
}
