//! One connection to one Redis: RESP3, pipelining, pushes, TLS and unix sockets.
//!
//! The cache `aside` is built on it. It is no general client: it knows the
//! commands that a connection needs (HELLO, SELECT, CLIENT SETINFO, SUBSCRIBE and
//! ASKING), and what nodes and Sentinels report ([`cluster`], [`sentinel`]). It knows
//! no types of values: a [`Call`] is a list of words, and a [`WireReply`] is the reply
//! to it. It has no policy: no retries, no redirections followed, no map of slots.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//!
//! use aside_redis::{Call, Connection, Event, Limits, WireReply};
//! # use aside_redis::resp::{Incoming, Sent};
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # /// Replies to a call with its last word, after a message.
//! # async fn serve(mut stream: tokio::io::DuplexStream) {
//! #     let mut incoming = Incoming::new(Limits::default());
//! #     while let Ok(1..) = stream.read_buf(incoming.room()).await {
//! #         while let Ok(Some(sent)) = incoming.next_sent() {
//! #             let last = sent.into_words().unwrap().pop().unwrap();
//! #             let message = ["message", "news", "changed"];
//! #             let mut bytes = Vec::new();
//! #             Sent::Push(message.map(|text| WireReply::Bytes(text.into())).to_vec()).write(&mut bytes);
//! #             Sent::Reply(WireReply::Bytes(last)).write(&mut bytes);
//! #             stream.write_all(&bytes).await.unwrap();
//! #         }
//! #     }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), aside_redis::Error> {
//! # let (stream, server) = tokio::io::duplex(1024);
//! # tokio::spawn(serve(server));
//! # let stream = Box::new(stream);
//! // In a service: let stream = connect::open(&target.address, None, &tls, until).await?;
//! let messages = Arc::new(Mutex::new(Vec::new()));
//! let heard = Arc::clone(&messages);
//! let (connection, driver) = Connection::new(stream, Limits::default(), move |event| {
//!     if let Event::Message(text) = event {
//!         heard.lock().unwrap().push(text.to_owned());
//!     }
//! });
//! tokio::spawn(driver);
//!
//! // Both go out together. The server publishes a message before each reply.
//! let calls = [Call::command("ECHO").text("one"), Call::command("ECHO").text("two")];
//! let replies = connection.call(&calls).await?;
//! assert_eq!(replies, [WireReply::Bytes("one".into()), WireReply::Bytes("two".into())]);
//! assert_eq!(*messages.lock().unwrap(), ["changed", "changed"]);
//! # Ok(())
//! # }
//! ```
//!
//! The caller brings the stream and runs the driver, so a test needs no server: it
//! passes one end of a pipe, and reads and writes RESP at the other with [`resp`].
//!
//! # Why it exists
//!
//! **Order.** aside's bound on staleness rests on it: a PONG proves that every
//! message published before its PING has been applied. A server sends both in that
//! order. The proof holds only if they are also delivered in it, so the driver calls
//! `on_event` for a message before it delivers a reply behind it. A channel for
//! messages would let a PONG overtake one.
//!
//! **No second sending.** A token or a writer id goes out exactly once. A packet that
//! stalled on a connection that was given up may still be executed. Repeated under
//! its old name, it would destroy a newer value. So a connection neither reconnects
//! nor resends: after a loss, its caller draws new names and decides.
//!
//! **Signs of life.** Late replies mean one thing if bytes of them arrive, or if a
//! large call is still on its way, and another if the server is silent.
//! [`Connection::received`] and [`Connection::is_carrying_much`] tell these apart.
//!
//! **Speed.** The crate `redis`, which aside used before, sends each command through
//! a channel to a task, and copies each string of a reply twice. That was an eighth
//! of the time of a batch and a fifth of that of a list of 1,000 rows. Here no
//! channel lies before the socket, and a string of a reply is a slice of the buffer it
//! arrived in. With all of aside on top, a row from Redis takes 1.00 to 1.01 times as
//! long as with that crate alone, and a list of 1,000 rows 0.95 to 0.97 times. The
//! suite `l2` of `aside-bench` measures it (`docs/benchmarks.md`).
//!
//! # When it can go
//!
//! A client library can take its place if it has all of these:
//!
//! - a hook for pushes that runs in the order of the socket, before the replies
//!   behind them, and hears of a lost connection before the calls on it fail;
//! - a mode without reconnecting and without resending, redirections included;
//! - replies as slices of the receive buffer, and no channel on the way of a call;
//! - a limit on the strings it receives, which keeps the beginning of longer ones;
//! - the number of bytes received, and the calls that are still being sent;
//! - a stream from the caller, for simulated worlds.

mod secret;
mod error;
#[cfg(test)]
mod fuzz;
mod address;
mod script;
mod call;
pub mod cluster;
mod node_map;
mod reply;
pub mod resp;
pub mod sentinel;
mod tls;
mod pipeline;
mod driver;
mod connection;
pub mod connect;

pub use address::{Address, Target, UrlError};
pub use call::Call;
pub use connection::{Connection, Greeting, Introduction};
pub use driver::{Driver, Event};
pub use error::{Error, Refusal, TlsFile, TlsProblem, printable};
pub use node_map::{NodeMap, NodeMapError};
pub use pipeline::Stream;
pub use reply::WireReply;
pub use resp::Limits;
pub use script::Script;
pub use secret::Secret;
pub use tls::{Handshakes, Tls, TlsClient};
