//! One connection to a Redis, and all that is known of what travels on it.
//!
//! It neither reconnects nor resends: a token or a writer id must go out exactly
//! once, and what happens after a loss is the business of who holds the
//! connection.
//!
//! A client library was refused. The crate `redis` sends each command through
//! a channel to a task of its own, and copies each string of a reply twice:
//! that was an eighth of a batch, and a fifth of a list of 1,000.

mod connect;
pub(crate) mod resp;
mod pipeline;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::config::address::Target;
use crate::config::credentials::{Authentication, Credentials};
use crate::protocol::commands::{Call, WireReply};
use crate::protocol::value::HEADER_BYTES;
use crate::redis::broken::Broken;
use crate::redis::connection::pipeline::Exchange;
use crate::redis::server;
use crate::runtime::task;
use crate::trust::refusal::advice;

/// A buffer that has grown beyond this for a large value is let go.
const MOST_KEPT: usize = 1024 * 1024;

/// What a server says beside values is not larger: what it is, a page of keys, a
/// message.
const LEAST_STRING: usize = 1024 * 1024;

/// Where and how to connect.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) target: Target,
    pub(crate) tls_ca: Option<PathBuf>,
    pub(crate) tls_cert: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    pub(crate) connect_timeout: Duration,
    /// The largest value that anybody could use.
    pub(crate) max_value_bytes: usize,
    pub(crate) authentication: Authentication,
}

/// What a connection says of its own accord.
pub(crate) enum Event<'a> {
    /// A message on a subscribed channel.
    Message(&'a str),
    /// The connection is gone.
    Disconnected,
}

/// An open connection.
pub(crate) struct Wire {
    exchange: Arc<Exchange>,
    driver: AbortHandle,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Wire {
    /// Connects, authenticates and selects the database, within the timeout.
    ///
    /// `on_event` is called by the task that reads the socket, in the order
    /// of the socket: an answer that follows a message is not delivered
    /// before the message was handled. It must be quick.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        on_event: impl Fn(Event<'_>) + Send + Sync + Unpin + 'static,
    ) -> Result<Self, Broken> {
        let until = Instant::now() + endpoint.connect_timeout;
        let known = tokio::time::timeout_at(until, endpoint.authentication.credentials());
        let known = known
            .await
            .unwrap_or_else(|_| Err("they did not come within the timeout".to_owned()))
            .map_err(|error| Broken::refused(&format!("no credentials for Redis: {error}")))?;
        let opening = async {
            let exchange = Arc::new(Exchange::over(connect::open(endpoint).await?));
            let most = endpoint.max_value_bytes.saturating_add(HEADER_BYTES);
            let driver = exchange.driver(on_event, most.max(LEAST_STRING));
            let driver = task::spawn(driver).abort_handle();
            let wire = Self { exchange, driver };
            wire.introduce(&endpoint.target, known.as_ref()).await?;
            Ok(wire)
        };
        tokio::time::timeout_at(until, opening)
            .await
            .unwrap_or_else(|_| Err(Broken::because("no connection within the timeout")))
    }

    /// Says which protocol, who asks, and for which database.
    async fn introduce(&self, target: &Target, known: Option<&Credentials>) -> Result<(), Broken> {
        let mut hello: Vec<&[u8]> = vec![b"3"];
        if let Some(Credentials { username, password }) = known {
            let username = username.as_ref();
            let username = username.map_or("default", |username| username.expose());
            hello.extend([b"AUTH", username.as_bytes(), password.expose().as_bytes()]);
        }
        let db = target.db.unwrap_or(0).to_string();
        let version = env!("CARGO_PKG_VERSION").as_bytes();
        let mut calls = vec![call("HELLO", &hello)];
        // A user may be forbidden what is not needed.
        if db != "0" {
            calls.push(call("SELECT", &[db.as_bytes()]));
        }
        let needed = calls.len();
        calls.push(call("CLIENT", &[b"SETINFO", b"LIB-NAME", b"aside"]));
        calls.push(call("CLIENT", &[b"SETINFO", b"LIB-VER", version]));
        // Before 7.2 servers know no SETINFO.
        let replies = match self.exchange.call(&calls).await {
            Ok(replies) => replies,
            Err(_) => {
                return Err(self
                    .exchange
                    .refused()
                    .map_or_else(server::hung_up, |code| gone(&code)));
            }
        };
        server::greeted(&replies[0])?;
        replies[1..needed].iter().try_for_each(accepted)
    }

    /// Makes the calls as one pipeline; a server's error is a reply.
    pub(crate) async fn call(&self, calls: &[Call<'_>]) -> Result<Vec<WireReply>, Broken> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let answered = self.exchange.call(calls);
        answered.await.map_err(|_| match self.exchange.refused() {
            Some(code) => gone(&code),
            None => Broken::because("the connection was lost"),
        })
    }

    /// Subscribes, and waits until the server has confirmed it.
    pub(crate) async fn subscribe(&self, channel: &str) -> Result<(), Broken> {
        let replies = self
            .call(&[call("SUBSCRIBE", &[channel.as_bytes()])])
            .await?;
        replies.iter().try_for_each(accepted)
    }

    /// Returns true if a large call may still be on its way to the server.
    pub(crate) fn is_carrying_much(&self) -> bool {
        self.exchange.is_carrying_much()
    }

    /// Ends the connection; whether calls were under way on it, whose fate is
    /// not known now.
    pub(crate) fn end(&self) -> bool {
        self.exchange.close()
    }

    /// How many bytes have arrived.
    pub(crate) fn received(&self) -> u64 {
        self.exchange.received()
    }
}

fn accepted(reply: &WireReply) -> Result<(), Broken> {
    match reply {
        WireReply::Error(code) => {
            let why = format!("the server answered {code}{}", advice(code));
            Err(Broken::because(&why))
        }
        _ => Ok(()),
    }
}

fn gone(code: &str) -> Broken {
    let advice = match code {
        "ERR" => ": it may have as many clients as its maxclients allows",
        code => advice(code),
    };
    Broken::because(&format!("the server answered {code} and hung up{advice}"))
}

fn call<'a>(name: &'static str, args: &[&'a [u8]]) -> Call<'a> {
    let call = Call::command(name);
    args.iter().fold(call, |call, word| call.bytes(word))
}
