//! Keys of index values with several spellings.

use aside::Entity;
use aside_sqlx::Triggers;
use serde::{Deserialize, Serialize};

use super::on_both;
use super::recording::recorded;

#[derive(Clone, Debug, Serialize, Deserialize, Entity)]
#[entity(kind = "user", list_all = false)]
struct User {
    #[entity(id)]
    id: i64,
    #[entity(unique, fold = lowercase)]
    email: Option<String>,
}

#[tokio::test]
async fn triggers_fold_what_the_library_folds() {
    on_both(async |books| {
        let types: &[&str] = match books.is_sqlite() {
            true => &["TEXT COLLATE NOCASE"],
            false => &["text", "citext", "varchar(99)"],
        };
        if !books.is_sqlite() {
            books.pool.run("CREATE EXTENSION citext").await;
        }
        for text in types {
            let table = format!(
                "DROP TABLE IF EXISTS users; CREATE TABLE users (id BIGINT PRIMARY KEY, email {text})"
            );
            books.pool.run(&table).await;
            let triggers = Triggers::of::<User>("users", "");
            books.try_install(&triggers).await.unwrap();
            let run = async |sql: &str| {
                books.other.run(sql).await;
                recorded(&books).await
            };
            let inserted = run("INSERT INTO users VALUES (1, 'Bob:X@Y.org')").await;
            assert_eq!(inserted, ["user:1", "user:email:bob%3Ax@y.org"], "{text}");
            let respelled = run("UPDATE users SET email = 'BOB:X@Y.org'").await;
            assert_eq!(respelled, ["user:1", "user:email:bob%3Ax@y.org"], "{text}");
            assert_eq!(run("UPDATE users SET email = NULL").await.len(), 2, "{text}");
            assert_eq!(run("DELETE FROM users").await, ["user:1"], "{text}");
            // A database may fold other letters by another rule.
            let other = run("INSERT INTO users VALUES (2, 'É@Y.org')").await;
            assert_eq!(other, ["all of user"], "{text}");
        }
    })
    .await;
}
