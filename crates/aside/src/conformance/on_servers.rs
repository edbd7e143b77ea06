//! The promises on every server of this machine, with the client of these tests and
//! with the production client.
//!
//! One test for each major version: a test for each promise and server would start
//! a thousand servers. The output of a failure ends with the promise that broke.

use aside_testkit::{RedisServer, servers};

use super::on_client::OnClient;
use super::on_redis::OnRedis;
use super::{Case, promises, with_promises};

/// Checks all promises, and returns their number.
macro_rules! keep {
    ($open:expr; $($promise:ident),* $(,)?) => {{
        let mut kept = 0;
        $(
            println!("{}", stringify!($promise));
            Box::pin(promises::$promise(&Case::new($open))).await;
            kept += 1;
        )*
        kept
    }};
}

async fn every_promise_holds_on(name: &str) {
    for server in servers::all_of(name) {
        let redis = RedisServer::start_with(server.options());
        let redis = redis.unwrap_or_else(|error| panic!("{server}: {error}"));
        println!("{server}:");
        let kept = with_promises! { keep OnRedis::open(&redis) };
        println!("{server}, production client:");
        let by_client = with_promises! { keep OnClient::open(&redis).await };
        println!("{server}: kept {kept} + {by_client} promises");
    }
}

#[tokio::test]
async fn every_promise_holds_on_redis_6() {
    every_promise_holds_on("redis-6").await;
}

#[tokio::test]
async fn every_promise_holds_on_redis_7() {
    every_promise_holds_on("redis-7").await;
}

#[tokio::test]
async fn every_promise_holds_on_redis_8() {
    every_promise_holds_on("redis-8").await;
}

#[tokio::test]
async fn every_promise_holds_on_valkey_8() {
    every_promise_holds_on("valkey-8").await;
}

#[tokio::test]
async fn every_promise_holds_on_valkey_9() {
    every_promise_holds_on("valkey-9").await;
}
