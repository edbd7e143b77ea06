//! The entity of the tests, as SeaORM's generator writes it.

use sea_orm::entity::prelude::*;

#[derive(
    Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, serde::Deserialize, aside::Entity,
)]
#[sea_orm(table_name = "article")]
#[entity(kind = "article")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    #[entity(id)]
    pub(crate) id: i64,
    #[entity(index)]
    pub(crate) author: i64,
    #[entity(index)]
    pub(crate) title: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

aside_sea_orm::lists!(ModelIndex { Author, Title });

pub(crate) fn article(id: i64, author: i64, title: &str) -> Model {
    let title = title.to_owned();
    Model { id, author, title }
}
