//! Triggers as the first step of a service: its reads go through the cache, and
//! no write was touched.

use std::time::Duration;

use aside_testkit::{PostgresServer, RedisServer, eventually};

use super::blog::{Ask, Blog};

const POLL: Duration = Duration::from_millis(150);
const STALE: Duration = Duration::from_millis(150);

/// P + H, plus one second for a busy machine.
const WITHIN: Duration = Duration::from_millis(150 + 150 + 1000);

const ROUNDS: usize = 20;
const ARTICLES: i64 = 6;
const USERS: i64 = 3;
const AUTHORS: [&str; 3] = ["Ann", "ann", "Боб: 100%"];

/// Returns all questions that the blog can be asked.
fn all_asks() -> Vec<Ask> {
    let mut asks: Vec<Ask> = AUTHORS.map(Ask::Author).to_vec();
    for id in 1..=ARTICLES {
        asks.extend([Ask::Article(id), Ask::Count(id)]);
        asks.extend((1..=USERS).map(|user| Ask::Favorite(user, id)));
    }
    asks
}

/// Returns a statement of a handler, as it was before there was a cache.
fn random_statement() -> String {
    let (id, user) = (fastrand::i64(1..=ARTICLES), fastrand::i64(1..=USERS));
    let author = AUTHORS[fastrand::usize(..AUTHORS.len())];
    let title = fastrand::u32(..);
    match fastrand::u8(..8) {
        0 => format!(
            "INSERT INTO articles VALUES ({id}, '{author}', '{title}')
             ON CONFLICT (id) DO UPDATE SET author = excluded.author, title = excluded.title"
        ),
        1 => format!("UPDATE articles SET title = '{title}' WHERE id = {id}"),
        2 => format!("UPDATE articles SET author = '{author}' WHERE id = {id}"),
        3 => format!("UPDATE articles SET views = views + 1 WHERE id = {id}"),
        4 => format!("DELETE FROM articles WHERE id = {id}"),
        5 => format!("UPDATE articles SET title = title || '!' WHERE author = '{author}'"),
        6 => format!("INSERT INTO favorites VALUES ({user}, {id}) ON CONFLICT DO NOTHING"),
        _ => format!("DELETE FROM favorites WHERE (user_id, article_id) = ({user}, {id})"),
    }
}

/// Runs a handler as it was before there was a cache.
async fn run_statement(blog: &Blog) {
    let statement = sqlx::AssertSqlSafe(random_statement());
    sqlx::query(statement).execute(&blog.pool).await.unwrap();
}

/// Runs a handler whose write has moved to the library.
async fn run_transaction(blog: &Blog) {
    let (id, user) = (fastrand::i64(1..=ARTICLES), fastrand::i64(1..=USERS));
    let author = || AUTHORS[fastrand::usize(..AUTHORS.len())];
    let written = match fastrand::u8(..3) {
        0 => blog.move_articles(author(), author()).await,
        1 => blog.write_article(id, author()).await,
        _ => blog.toggle_favorite(user, id).await,
    };
    written.expect("a committed transaction");
}

/// Counts the answers that differ from the database.
async fn wrong_answers(blog: &Blog, asks: &[Ask]) -> usize {
    let mut wrong = 0;
    for ask in asks {
        wrong += usize::from(blog.cached(*ask).await != blog.stored(*ask).await);
    }
    wrong
}

/// Runs random writes on the first instances of two. Each sees all of them
/// within P + H.
async fn write_and_compare(writers: usize, write: impl AsyncFn(&Blog)) {
    let server = PostgresServer::start().expect("postgres and initdb");
    let redis = RedisServer::start().expect("redis-server or valkey-server");
    Blog::create(&server.url()).await;
    let mut blogs = Vec::new();
    for _ in 0..2 {
        blogs.push(Blog::start(&server.url(), &redis.url(), POLL, STALE).await);
    }
    let asks = all_asks();
    for _ in 0..ROUNDS {
        for blog in &blogs {
            for ask in &asks {
                blog.cached(*ask).await;
            }
        }
        for _ in 0..10 {
            write(&blogs[fastrand::usize(..writers)]).await;
        }
        for blog in &blogs {
            eventually(WITHIN, "the answers of the database", async || {
                wrong_answers(blog, &asks).await == 0
            })
            .await;
        }
    }
    for blog in &blogs {
        let statistics = blog.cache.stats();
        let hits: u64 = statistics.kinds.iter().map(|kind| kind.l1_hits).sum();
        assert!(hits > 0, "nothing came from a cache");
    }
}

#[tokio::test]
async fn with_triggers_alone_every_write_is_seen_within_p_and_h() {
    write_and_compare(2, run_statement).await;
}

#[tokio::test]
async fn handlers_can_move_to_the_library_one_by_one() {
    write_and_compare(2, async |blog| match fastrand::bool() {
        true => run_statement(blog).await,
        false => run_transaction(blog).await,
    })
    .await;
}

#[tokio::test]
async fn a_moved_write_is_read_at_once_by_its_instance() {
    let asks = all_asks();
    write_and_compare(1, async |blog| {
        run_transaction(blog).await;
        assert_eq!(wrong_answers(blog, &asks).await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_counter_of_views_is_not_recorded() {
    let server = PostgresServer::start().expect("postgres and initdb");
    let redis = RedisServer::start().expect("redis-server or valkey-server");
    Blog::create(&server.url()).await;
    let blog = Blog::start(&server.url(), &redis.url(), Duration::from_secs(60), STALE).await;
    for statement in [
        "INSERT INTO articles VALUES (1, 'Ann', 'title')",
        "DELETE FROM cache_journal",
        "UPDATE articles SET views = views + 1",
    ] {
        sqlx::query(statement).execute(&blog.pool).await.unwrap();
    }
    let rows = "SELECT count(*) FROM cache_journal";
    let rows: i64 = sqlx::query_scalar(rows)
        .fetch_one(&blog.pool)
        .await
        .unwrap();
    assert_eq!(rows, 0);
}
