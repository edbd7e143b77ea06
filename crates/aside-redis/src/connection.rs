//! One connection: its calls, its subscription, and its introduction.

use std::fmt;
use std::sync::Arc;

use crate::call::Call;
use crate::driver::{Driver, Event};
use crate::error::{Error, Refusal};
use crate::pipeline::{Confirmations, Pipeline, Stream};
use crate::reply::WireReply;
use crate::resp::Limits;
use crate::secret::Secret;

/// As whom a connection is used, and for which database.
#[derive(Clone, Copy, Debug)]
pub struct Introduction<'a> {
    /// The user; `None` for the user `default`. Without a password none is sent.
    pub username: Option<&'a Secret>,
    /// The password, or a token.
    pub password: Option<&'a Secret>,
    /// The number of the database; `None` for the first, and in a cluster, which has
    /// no other.
    pub db: Option<u32>,
    /// Name and version of the program, which `CLIENT LIST` shows.
    pub library: [&'a str; 2],
}

/// A server's reply to an [`Introduction`].
#[derive(Clone, Debug)]
pub struct Greeting {
    /// `standalone`, `cluster` or `sentinel`; empty if the server does not say.
    pub mode: String,
}

/// One connection. Dropping it ends its driver.
///
/// It neither reconnects nor resends. Calls may be made by any number of tasks at
/// once; they go out in one order, and replies come back in it.
pub struct Connection {
    pipeline: Arc<Pipeline>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.pipeline.close();
    }
}

impl Connection {
    /// Makes a connection of a stream, and its driver, the future that reads the
    /// stream. The caller runs the driver as a task.
    ///
    /// The driver calls `on_event`, in the order of the socket: a reply that follows
    /// a message is delivered after `on_event` has returned. It must be quick, since
    /// no reply is read meanwhile.
    pub fn new<F: Fn(Event<'_>)>(
        stream: Box<dyn Stream>,
        limits: Limits,
        on_event: F,
    ) -> (Self, Driver<F>) {
        let pipeline = Arc::new(Pipeline::over(stream));
        let driver = Driver::new(Arc::clone(&pipeline), on_event, limits);
        (Self { pipeline }, driver)
    }

    /// Switches to RESP3, authenticates and selects the database, in one pipeline.
    ///
    /// # Errors
    ///
    /// The server refuses one of these, or the connection is lost.
    pub async fn introduce(&self, introduction: &Introduction<'_>) -> Result<Greeting, Error> {
        let mut hello: Vec<&[u8]> = vec![b"3"];
        if let Some(password) = introduction.password {
            let username = introduction.username.map_or("default", Secret::expose);
            hello.extend([b"AUTH", username.as_bytes(), password.expose().as_bytes()]);
        }
        // Without need no SELECT: the user may lack the right.
        let db = introduction.db.filter(|number| *number != 0);
        let number = db.unwrap_or_default().to_string();
        let [name, version] = introduction.library.map(str::as_bytes);
        let mut calls = vec![call("HELLO", &hello)];
        if db.is_some() {
            calls.push(call("SELECT", &[number.as_bytes()]));
        }
        calls.push(call("CLIENT", &[b"SETINFO", b"LIB-NAME", name]));
        calls.push(call("CLIENT", &[b"SETINFO", b"LIB-VER", version]));
        // Before 7.2 servers know no SETINFO.
        let replies = match self.pipeline.call(&calls).await {
            Ok(replies) => replies,
            Err(_) => return Err(self.pipeline.cause().unwrap_or(Error::NotGreeted)),
        };
        let shown = |refusal: Refusal| refusal.without(introduction.password);
        if let Some(refusal) = replies[0].refusal() {
            return Err(Error::Refused {
                command: "HELLO",
                refusal: shown(refusal),
            });
        }
        let mode = mode(&replies[0]);
        match replies[1].refusal().filter(|_| db.is_some()) {
            Some(refusal) => Err(Error::NotSelected {
                refusal: shown(refusal),
                mode,
            }),
            None => Ok(Greeting { mode }),
        }
    }

    /// Makes the calls as one pipeline; a server's error is a reply. Dropping the
    /// future takes no call back.
    ///
    /// # Errors
    ///
    /// The connection is lost. Each of the calls may have been executed or not.
    pub async fn call(&self, calls: &[Call<'_>]) -> Result<Vec<WireReply>, Error> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let answered = self.pipeline.call(calls);
        let replies = answered.await.map_err(|_| self.loss())?;
        Ok(match replies.len() == calls.len() {
            true => replies,
            false => without_asking(calls, replies),
        })
    }

    /// Subscribes to a channel, and waits until the server has confirmed it.
    /// Needs RESP3, so [`introduce`](Self::introduce) comes first.
    ///
    /// # Errors
    ///
    /// The server refuses, or the connection is lost.
    pub async fn subscribe(&self, channel: &str) -> Result<(), Error> {
        self.confirmed("SUBSCRIBE", "subscribe", &[channel]).await
    }

    /// Subscribes to shard channels, whose slots the node must own, and waits until it
    /// has confirmed each of them.
    ///
    /// # Errors
    ///
    /// The node refuses one of them, with the code `MOVED` if it does not own its
    /// slot, or the connection is lost.
    pub async fn subscribe_shards(&self, channels: &[&str]) -> Result<(), Error> {
        self.confirmed("SSUBSCRIBE", "ssubscribe", channels).await
    }

    /// Ends subscriptions to shard channels. It causes no
    /// [`Event::Unsubscribed`](crate::Event::Unsubscribed).
    ///
    /// # Errors
    ///
    /// The node refuses, or the connection is lost.
    pub async fn unsubscribe_shards(&self, channels: &[&str]) -> Result<(), Error> {
        self.confirmed("SUNSUBSCRIBE", "sunsubscribe", channels)
            .await
    }

    /// Makes a call for each channel, because channels of one call must share a slot.
    async fn confirmed(
        &self,
        command: &'static str,
        kind: &'static str,
        channels: &[&str],
    ) -> Result<(), Error> {
        if channels.is_empty() {
            return Ok(());
        }
        let calls = channels.iter();
        let calls: Vec<Call<'_>> = calls
            .map(|channel| call(command, &[channel.as_bytes()]))
            .collect();
        let confirmed_by = Confirmations {
            kind,
            channels: channels.iter().copied().map(str::to_owned).collect(),
        };
        let answered = self.pipeline.subscribe(&calls, confirmed_by);
        let replies = answered.await.map_err(|_| self.loss())?;
        replies
            .iter()
            .try_for_each(|reply| accepted(command, reply))
    }

    /// Returns true if a large call may still be on its way to the server, by its
    /// size and age: calls behind it are late without a fault of the server.
    #[must_use]
    pub fn is_carrying_much(&self) -> bool {
        self.pipeline.is_carrying_much()
    }

    /// Ends the connection. Returns true if calls without a reply were under way:
    /// each of them may have been executed or not.
    #[must_use]
    pub fn end(&self) -> bool {
        self.pipeline.close()
    }

    /// Returns how many bytes have arrived.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.pipeline.received()
    }

    /// Returns why the connection is lost.
    fn loss(&self) -> Error {
        self.pipeline.cause().unwrap_or(Error::Lost)
    }
}

/// Drops the replies to ASKING. One that is an error takes the place of an error of
/// its call.
fn without_asking(calls: &[Call<'_>], replies: Vec<WireReply>) -> Vec<WireReply> {
    let mut replies = replies.into_iter();
    let mut own = Vec::with_capacity(calls.len());
    for call in calls {
        let asking = match call.is_asking() {
            true => replies.next(),
            false => None,
        };
        let refusal = asking.filter(|asking| asking.error_code().is_some());
        // As many replies have come as there are calls.
        own.extend(replies.next().map(|reply| match refusal {
            Some(refusal) if reply.error_code().is_some() => refusal,
            _ => reply,
        }));
    }
    own
}

fn accepted(command: &'static str, reply: &WireReply) -> Result<(), Error> {
    match reply.refusal() {
        Some(refusal) => Err(Error::Refused { command, refusal }),
        None => Ok(()),
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
