//! A table that links two others, with an id of two columns.

use aside::{CachedRepository, Entity, Repository as _, Source as _};
use aside_sqlx::Tables;
use serde::{Deserialize, Serialize};
use sqlx::Pool;

use crate::articles::{cache, on_each_database};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity, aside_sqlx::Table)]
#[entity(kind = "favorite")]
#[table("favorite", postgres, sqlite, mysql, order = "article DESC")]
struct Favorite {
    #[entity(id)]
    #[table(columns(viewer, article))]
    id: (i64, i64),
    #[entity(index)]
    viewer: i64,
}

/// The same table, whose id is a struct.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity, aside_sqlx::Table)]
#[entity(kind = "named-favorite")]
#[table("favorite", postgres, sqlite, mysql)]
struct Named {
    #[entity(id)]
    #[table(columns(viewer, article))]
    pair: Pair,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Pair {
    viewer: i64,
    article: i64,
}

async fn a_link_is_a_row<D>(pool: &Pool<D>)
where
    D: Tables,
    Favorite: aside_sqlx::Table<D>,
    Named: aside_sqlx::Table<D>,
{
    let cache = cache().await;
    let favorites = CachedRepository::new(Favorite::table(pool), &cache);
    for article in [1, 3, 2] {
        let id = (7, article);
        let saved = favorites.save(Favorite { id, viewer: 7 }).await.unwrap();
        assert_eq!(saved.id, id);
        // It has nothing to set.
        let updated = favorites.update((*saved).clone()).await.unwrap();
        assert_eq!(updated.as_deref(), Some(&*saved));
    }
    let pairs = [(7, 3), (7, 9), (7, 1)];
    assert_eq!(
        favorites.present(&pairs).await.unwrap(),
        [true, false, true]
    );
    let of_viewer = favorites.find_by(&FavoriteIndex::Viewer(7)).await.unwrap();
    let articles: Vec<i64> = of_viewer.iter().map(|row| row.id.1).collect();
    assert_eq!(articles, [3, 2, 1], "in the order of the attribute");

    let named = CachedRepository::new(Named::table(pool), &cache);
    let pair = Pair {
        viewer: 7,
        article: 2,
    };
    let found = named.find_by_id(&pair).await.unwrap().expect("it is there");
    assert_eq!(found.pair, pair);
    assert!(favorites.delete(&(7, 2)).await.unwrap());
    assert_eq!(named.source().list_all().await.unwrap().len(), 2);
}

on_each_database! {
    a_link_of_two_rows_is_a_row: a_link_is_a_row,
}
