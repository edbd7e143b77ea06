//! One connection to a Redis, and all that is known of what travels on it.
//!
//! It neither reconnects nor resends: a token or a writer id must go out exactly
//! once, and what happens after a loss is the business of who holds the
//! connection.
//!
//! A client library was refused. The crate `redis` sends each command through
//! a channel to a task of its own, and copies each string of a reply twice:
//! that was an eighth of a batch, and a fifth of a list of 1,000.

pub(crate) mod error;
pub(crate) mod connect;
pub(crate) mod resp;
mod pipeline;

use std::sync::Arc;

use self::connect::Stream;
use self::error::Error;
use self::pipeline::{Driver, Exchange};
use self::resp::Limits;
use crate::config::secret::Secret;
use crate::protocol::commands::{Call, WireReply};

/// A buffer that has grown beyond this for a large value is let go.
const MOST_KEPT: usize = 1024 * 1024;

/// What a connection says of its own accord.
pub(crate) enum Event<'a> {
    /// A message on a subscribed channel.
    Message(&'a str),
    /// The connection is gone. It is the last event.
    Disconnected,
}

/// As whom a connection is used, and for which database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Introduction<'a> {
    /// The user; `None` for the user `default`. Without a password none is sent.
    pub(crate) username: Option<&'a Secret>,
    /// The password, or a token.
    pub(crate) password: Option<&'a Secret>,
    /// The number of the database.
    pub(crate) db: u32,
    /// Name and version of the program, which `CLIENT LIST` shows.
    pub(crate) library: [&'a str; 2],
}

/// What a server says of itself in answer to an [`Introduction`].
#[derive(Clone, Debug)]
pub(crate) struct Greeting {
    /// `standalone`, `cluster` or `sentinel`; empty if the server does not say.
    pub(crate) mode: String,
}

/// An open connection.
pub(crate) struct Wire {
    exchange: Arc<Exchange>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.exchange.close();
    }
}

impl Wire {
    /// Makes a connection of a stream, and the future that reads it, which the
    /// caller runs as a task. It ends with the connection.
    ///
    /// `on_event` is called by that task, in the order of the socket: a reply
    /// that follows a message is not delivered before the message was handled.
    /// It must be quick.
    pub(crate) fn new<F: Fn(Event<'_>)>(
        stream: Box<dyn Stream>,
        limits: Limits,
        on_event: F,
    ) -> (Self, Driver<F>) {
        let exchange = Arc::new(Exchange::over(stream));
        let driver = exchange.driver(on_event, limits);
        (Self { exchange }, driver)
    }

    /// Switches to RESP3, authenticates and selects the database.
    pub(crate) async fn introduce(
        &self,
        introduction: &Introduction<'_>,
    ) -> Result<Greeting, Error> {
        let mut hello: Vec<&[u8]> = vec![b"3"];
        if let Some(password) = introduction.password {
            let username = introduction.username.map_or("default", Secret::expose);
            hello.extend([b"AUTH", username.as_bytes(), password.expose().as_bytes()]);
        }
        let db = introduction.db.to_string();
        let [name, version] = introduction.library.map(str::as_bytes);
        let mut calls = vec![call("HELLO", &hello)];
        // A user may be forbidden what is not needed.
        let selects = introduction.db != 0;
        if selects {
            calls.push(call("SELECT", &[db.as_bytes()]));
        }
        calls.push(call("CLIENT", &[b"SETINFO", b"LIB-NAME", name]));
        calls.push(call("CLIENT", &[b"SETINFO", b"LIB-VER", version]));
        // Before 7.2 servers know no SETINFO.
        let replies = match self.exchange.call(&calls).await {
            Ok(replies) => replies,
            Err(_) => return Err(self.lost().unwrap_or(Error::NotGreeted)),
        };
        accepted("HELLO", &replies[0])?;
        let mode = mode(&replies[0]);
        match &replies[1] {
            WireReply::Error(code) if selects => Err(Error::NotSelected {
                code: code.clone(),
                mode,
            }),
            _ => Ok(Greeting { mode }),
        }
    }

    /// Makes the calls as one pipeline; a server's error is a reply.
    pub(crate) async fn call(&self, calls: &[Call<'_>]) -> Result<Vec<WireReply>, Error> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let answered = self.exchange.call(calls);
        let lost = |_| self.lost().unwrap_or(Error::Lost);
        answered.await.map_err(lost)
    }

    /// Subscribes, and waits until the server has confirmed it.
    pub(crate) async fn subscribe(&self, channel: &str) -> Result<(), Error> {
        let subscribe = call("SUBSCRIBE", &[channel.as_bytes()]);
        let replies = self.call(&[subscribe]).await?;
        accepted("SUBSCRIBE", &replies[0])
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

    /// Returns the server's own reason, if it gave one before it closed the
    /// connection.
    fn lost(&self) -> Option<Error> {
        let code = self.exchange.refused()?;
        Some(Error::HungUp { code })
    }
}

fn accepted(command: &'static str, reply: &WireReply) -> Result<(), Error> {
    match reply {
        WireReply::Error(code) => Err(Error::Refused {
            command,
            code: code.clone(),
        }),
        _ => Ok(()),
    }
}

/// Returns the mode in a reply to HELLO, which is a map.
fn mode(hello: &WireReply) -> String {
    let WireReply::Array(pairs) = hello else {
        return String::new();
    };
    let pair = pairs
        .chunks_exact(2)
        .find(|pair| matches!(&pair[0], WireReply::Bytes(name) if name == "mode".as_bytes()));
    match pair.map(|pair| &pair[1]) {
        Some(WireReply::Bytes(mode)) => String::from_utf8_lossy(mode).into_owned(),
        _ => String::new(),
    }
}

fn call<'a>(name: &'static str, args: &[&'a [u8]]) -> Call<'a> {
    let call = Call::command(name);
    args.iter().fold(call, |call, word| call.bytes(word))
}
