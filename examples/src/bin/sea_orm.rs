//! An entity of SeaORM behind the cache, on SQLite.
//!
//! ```sh
//! cargo run -p examples --bin sea_orm
//! ```
//!
//! DATABASE_URL names another file than `articles.db`. REDIS_URL names the server.

use aside::{CacheConfig, CacheService, CachedRepository, Freshness, Repository as _, Source as _};
use aside_sea_orm::{SeaOrm, SeaOrmJournal};
use sea_orm::{ActiveModelTrait as _, ActiveValue::Set, ConnectionTrait as _, Database};
use sea_orm::{EntityTrait as _, IntoActiveModel as _};

mod article {
    use sea_orm::entity::prelude::*;

    // The name `Entity` is taken here, so the derive is named with its crate.
    #[derive(
        Clone,
        Debug,
        PartialEq,
        DeriveEntityModel,
        serde::Serialize,
        serde::Deserialize,
        aside::Entity,
    )]
    #[sea_orm(table_name = "article")]
    #[entity(kind = "article")]
    pub(crate) struct Model {
        #[sea_orm(primary_key)]
        #[entity(id)]
        pub id: i64,
        #[entity(index)]
        pub author: i64,
        pub title: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}

    aside_sea_orm::lists!(ModelIndex { Author });
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS article \
                     (id INTEGER PRIMARY KEY, author BIGINT NOT NULL, title TEXT NOT NULL)";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::var("DATABASE_URL");
    let db = Database::connect(url.unwrap_or_else(|_| "sqlite:articles.db?mode=rwc".to_owned()));
    let db = db.await?;
    db.execute_unprepared(TABLE).await?;

    let cache = CacheService::connect(CacheConfig::from_env()?).await;
    let journal = SeaOrmJournal::install(&db).await?;
    cache.poll_journal(journal.clone()).await;
    let articles = SeaOrm::<article::Entity>::with_journal(&journal);
    let articles = CachedRepository::new(articles, &cache);

    // A write through the repository.
    let title = "Hello".to_owned();
    articles
        .save(article::Model {
            id: 1,
            author: 7,
            title,
        })
        .await?;
    for _ in 0..2 {
        let read = articles.find_by_id_with(&1, Freshness::Any).await?;
        let title = read.value.as_ref().map(|article| article.title.clone());
        println!("{:?} from {:?}", title.unwrap_or_default(), read.tier);
    }

    // A write in a transaction of the handler's own.
    let mut transaction = cache.begin(&journal).await?;
    let before = article::Entity::find_by_id(1).one(&*transaction).await?;
    let before = before.ok_or("the article is gone")?;
    let mut change = before.clone().into_active_model();
    change.author = Set(8);
    let after = change.update(&*transaction).await?;
    transaction.updated(&before, &after);
    transaction.commit().await?;

    for author in [7, 8] {
        let list = articles
            .find_by(&article::ModelIndex::Author(author))
            .await?;
        println!("articles of author {author}: {}", list.len());
    }
    cache.close().await;
    Ok(())
}
