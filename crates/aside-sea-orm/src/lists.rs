//! The lists of an entity, as SeaORM finds them.

use sea_orm::{
    Condition, EntityTrait, Iterable as _, PrimaryKeyToColumn as _, QueryOrder as _, Select,
};

/// An entity whose rows are found by their indexes. [`lists!`](crate::lists!) implements
/// it for indexes of one column each.
pub trait Lists: EntityTrait<Model: aside::Entity> {
    /// Returns the condition for the rows with an index value.
    fn filter(index: &<Self::Model as aside::Entity>::Index) -> Condition;

    /// Sorts the rows of a list. Default: by the primary key.
    fn order(mut select: Select<Self>) -> Select<Self> {
        for key in Self::PrimaryKey::iter() {
            select = select.order_by_asc(key.into_column());
        }
        select
    }
}

/// Implements [`Lists`] in the module of an entity: `lists!(ModelIndex { Slug, Author })`.
///
/// Each variant of the index is found by the column of the same name. For an index of
/// several columns, or of a field that the column is not named like, implement the trait by hand.
///
/// ```
/// # mod article {
/// # use sea_orm::entity::prelude::*;
/// # #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
/// # #[derive(serde::Serialize, serde::Deserialize, aside::Entity)]
/// # #[sea_orm(table_name = "article")]
/// # #[entity(kind = "article", index(by = (author, year)))]
/// # pub struct Model {
/// #     #[sea_orm(primary_key)]
/// #     #[entity(id)]
/// #     pub id: i64,
/// #     pub author: i64,
/// #     pub year: i32,
/// # }
/// # #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
/// # pub enum Relation {}
/// # impl ActiveModelBehavior for ActiveModel {}
/// impl aside_sea_orm::Lists for Entity {
///     fn filter(index: &ModelIndex) -> sea_orm::Condition {
///         match index {
///             ModelIndex::By { author, year } => sea_orm::Condition::all()
///                 .add(Column::Author.eq(*author))
///                 .add(Column::Year.eq(*year)),
///         }
///     }
/// }
/// # }
/// ```
#[macro_export]
macro_rules! lists {
    ($index:ident { $($name:ident),* $(,)? }) => {
        impl $crate::Lists for Entity {
            fn filter(
                index: &<Model as $crate::for_macros::Entity>::Index,
            ) -> $crate::for_macros::Condition {
                #[allow(unused_imports)]
                use $crate::for_macros::{ColumnTrait as _, Condition};
                match *index {
                    $($index::$name(ref value) => {
                        Condition::all().add(Column::$name.eq(value.clone()))
                    })*
                }
            }
        }
    };
}
