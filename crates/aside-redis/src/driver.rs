//! The task of a connection: reads the stream, and hands out replies and messages in
//! the order in which they arrive.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::error::Error;
use crate::pipeline::Pipeline;
use crate::reply::WireReply;
use crate::resp::{Incoming, Limits, Malformed, Sent};
use crate::tls;

/// News that a connection reports unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A message on a subscribed channel. Empty if it was longer than the limits
    /// allow.
    Message(&'a str),
    /// The server ended the subscription to this channel unasked, as it does if the
    /// slot of a shard channel moves away. Messages on it are missed from now on.
    Unsubscribed(&'a str),
    /// The connection is gone. It is the last event.
    Disconnected,
}

/// The future that reads the stream of a connection, and writes what its callers
/// could not. It ends with the connection, and dropping it ends the connection.
pub struct Driver<F: Fn(Event<'_>)> {
    pipeline: Arc<Pipeline>,
    incoming: Incoming,
    on_event: F,
}

/// Why a connection has ended.
enum End {
    Socket(io::Error),
    NotRedis,
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Socket(error)
    }
}

impl From<Malformed> for End {
    fn from(_: Malformed) -> Self {
        Self::NotRedis
    }
}

impl<F: Fn(Event<'_>)> Driver<F> {
    pub(crate) fn new(pipeline: Arc<Pipeline>, on_event: F, limits: Limits) -> Self {
        Self {
            pipeline,
            incoming: Incoming::new(limits),
            on_event,
        }
    }

    /// Writes the buffer, and reads until nothing more has arrived.
    fn turn(&mut self, context: &mut Context<'_>) -> Poll<Result<Infallible, End>> {
        loop {
            let read = self.pipeline.poll_read(context, &mut self.incoming);
            if ready!(read)? == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()));
            }
            while let Some(sent) = self.incoming.next_sent()? {
                self.hand_out(sent)?;
            }
        }
    }

    fn hand_out(&self, sent: Sent) -> Result<(), Malformed> {
        match sent {
            Sent::Reply(reply) => self.pipeline.deliver(reply),
            Sent::Push(push) => self.push(&push),
        }
    }

    /// Handles a push. One that no call asked for is never taken for a reply.
    fn push(&self, push: &[WireReply]) -> Result<(), Malformed> {
        let [kind, rest @ ..] = push else {
            return Ok(());
        };
        match text(kind) {
            "message" | "smessage" => match rest {
                [_, WireReply::Bytes(text)] => {
                    (self.on_event)(Event::Message(&String::from_utf8_lossy(text)));
                }
                // No message of aside is as large. Like any that it does not
                // understand, it may be about every key.
                [_, WireReply::Cut(_)] => (self.on_event)(Event::Message("")),
                _ => {}
            },
            kind @ ("subscribe" | "ssubscribe" | "unsubscribe" | "sunsubscribe") => {
                let channel = rest.first().map_or("", text);
                let is_asked = self.pipeline.confirm(kind, channel)?;
                if !is_asked && kind.ends_with("unsubscribe") {
                    (self.on_event)(Event::Unsubscribed(channel));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Returns the text of a part of a push; empty if it is none.
fn text(part: &WireReply) -> &str {
    match part {
        WireReply::Bytes(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
        WireReply::Text(text) => text,
        _ => "",
    }
}

impl<F: Fn(Event<'_>) + Unpin> Future for Driver<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let Err(end) = ready!(this.turn(context));
        let cause = match end {
            // Of TLS 1.3, this is how a client learns that its certificate is refused.
            End::Socket(error) => tls::of_stream(&error).map(Error::Tls),
            End::NotRedis if this.incoming.is_tls() => Some(Error::SpeaksTls),
            End::NotRedis => {
                tracing::debug!("the connection leads to no Redis");
                None
            }
        };
        this.pipeline.explain(cause);
        // Before a call that fails for it tells its caller.
        (this.on_event)(Event::Disconnected);
        this.pipeline.close();
        Poll::Ready(())
    }
}

impl<F: Fn(Event<'_>)> fmt::Debug for Driver<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Driver").finish_non_exhaustive()
    }
}

impl<F: Fn(Event<'_>)> Drop for Driver<F> {
    fn drop(&mut self) {
        self.pipeline.close();
    }
}
