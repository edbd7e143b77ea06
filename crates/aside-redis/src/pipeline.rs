//! Calls that go out on one connection, and the replies that come in.
//!
//! Who calls writes into a buffer that all share. Where nothing else is under
//! way it is written to the socket at once, by the caller; where something is,
//! by the task that reads the socket, and whatever has been added until that
//! task gets to it shares a system call. Replies come in the order of the
//! calls; that task hands them out.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::call::Call;
use crate::reply::WireReply;
use crate::resp::{self, Incoming, Limits, MOST_KEPT, Malformed, Sent};

/// The stream under a connection.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// News that a connection reports unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A message on a subscribed channel.
    Message(&'a str),
    /// The connection is gone. It is the last event.
    Disconnected,
}

/// So many words are worth a system call of their own.
const MANY: usize = 8;

/// Calls of more bytes take a slow network longer than an operation may take.
const LARGE: usize = 64 * 1024;

/// The slowest network, in bytes per second, on which a large call is still
/// taken to be under way. A server that has stopped is suspected after that.
const SLOWEST: usize = 256 * 1024;

/// One connection, as its callers see it.
pub(crate) struct Pipeline {
    state: Mutex<State>,
    received: AtomicU64,
}

struct State {
    /// `None` once the connection is gone.
    stream: Option<Box<dyn Stream>>,
    /// The error that a server gave before it closed the connection.
    refused: Option<String>,
    outgoing: Vec<u8>,
    /// How much of that is written.
    written: usize,
    /// Whether something was written that may still be held back.
    unflushed: bool,
    awaited: VecDeque<Awaited>,
    /// Whether somebody waited for a reply when the connection went.
    owed: bool,
    /// Set while the driver waits and nobody has woken it.
    driver: Option<Waker>,
}

/// Calls that were made together.
struct Awaited {
    replies: Vec<WireReply>,
    calls: usize,
    answer: oneshot::Sender<Vec<WireReply>>,
    /// Until when these bytes may be under way, if they are many.
    travels: Option<Instant>,
}

/// The future that reads the stream of a connection, and writes what its callers
/// could not. It ends with the connection, and dropping it ends the connection.
pub struct Driver<F: Fn(Event<'_>)> {
    pipeline: Arc<Pipeline>,
    incoming: Incoming,
    on_event: F,
}

impl Pipeline {
    pub(crate) fn over(stream: Box<dyn Stream>) -> Self {
        Self {
            state: Mutex::new(State {
                stream: Some(stream),
                refused: None,
                outgoing: Vec::new(),
                written: 0,
                unflushed: false,
                awaited: VecDeque::new(),
                owed: false,
                driver: None,
            }),
            received: AtomicU64::new(0),
        }
    }

    pub(crate) fn driver<F: Fn(Event<'_>)>(
        self: &Arc<Self>,
        on_event: F,
        limits: Limits,
    ) -> Driver<F> {
        Driver {
            pipeline: Arc::clone(self),
            incoming: Incoming::new(limits),
            on_event,
        }
    }

    /// Makes the calls; all replies come together, or none because the
    /// connection is gone. Whoever no longer waits has called all the same.
    pub(crate) fn call(&self, calls: &[Call<'_>]) -> oneshot::Receiver<Vec<WireReply>> {
        let (answer, answered) = oneshot::channel();
        let mut state = self.state.lock();
        if state.stream.is_none() {
            return answered;
        }
        let words: usize = calls.iter().map(|call| call.args.len()).sum();
        let at_once = state.outgoing.is_empty() && (state.awaited.is_empty() || words > MANY);
        let before = state.outgoing.len();
        for call in calls {
            resp::write_call(call, &mut state.outgoing);
        }
        let bytes = state.outgoing.len() - before;
        // Small calls look at no clock.
        let travels = (LARGE < bytes).then(|| Instant::now() + time_for(bytes));
        state.unflushed = true;
        state.awaited.push_back(Awaited {
            replies: Vec::with_capacity(calls.len()),
            calls: calls.len(),
            answer,
            travels,
        });
        // What does not go out now, for whatever reason, is the driver's: it
        // will meet the same reason.
        let mut nobody = Context::from_waker(Waker::noop());
        let gone_out = at_once && matches!(state.write(&mut nobody), Poll::Ready(Ok(())));
        let driver = if gone_out { None } else { state.driver.take() };
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        answered
    }

    /// With which error the server closed the connection, if it said one.
    pub(crate) fn refused(&self) -> Option<String> {
        self.state.lock().refused.clone()
    }

    /// How many bytes have arrived.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Returns true if a large call may still be on its way to the server, and
    /// with it all that was called after it.
    ///
    /// Its size and its age decide. That the socket has taken all of it says
    /// nothing: the buffers of kernels and routers hold megabytes.
    pub(crate) fn is_carrying_much(&self) -> bool {
        let state = self.state.lock();
        let mut travels = state.awaited.iter().filter_map(|calls| calls.travels);
        let now = Instant::now();
        travels.any(|until| now < until)
    }

    /// Gives up the stream and the calls that await a reply, and ends the driver.
    /// Returns true if there were such calls, now or when it was given up before.
    pub(crate) fn close(&self) -> bool {
        let mut state = self.state.lock();
        let awaited = std::mem::take(&mut state.awaited);
        state.owed |= !awaited.is_empty();
        let owed = state.owed;
        let said = awaited.front().and_then(|first| first.replies.last());
        if let Some(WireReply::Error(code)) = said {
            state.refused = Some(code.clone());
        }
        let (stream, driver) = (state.stream.take(), state.driver.take());
        drop(state);
        drop((awaited, stream));
        if let Some(driver) = driver {
            driver.wake();
        }
        owed
    }
}

impl State {
    fn write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        while self.written < self.outgoing.len() {
            let rest = &self.outgoing[self.written..];
            match ready!(Pin::new(&mut *stream).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
        }
        self.written = 0;
        self.outgoing.clear();
        self.outgoing.shrink_to(MOST_KEPT);
        if self.unflushed {
            ready!(Pin::new(stream).poll_flush(context))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

/// How long so many bytes may take to travel.
fn time_for(bytes: usize) -> Duration {
    Duration::from_millis((bytes * 1000 / SLOWEST) as u64)
}

/// Why a connection has come to its end.
enum End {
    Socket,
    NotRedis,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Socket
    }
}

impl From<Malformed> for End {
    fn from(_: Malformed) -> Self {
        Self::NotRedis
    }
}

impl<F: Fn(Event<'_>)> Driver<F> {
    /// Writes what is to be written, and reads until there is nothing more.
    fn turn(&mut self, context: &mut Context<'_>) -> Poll<Result<Infallible, End>> {
        loop {
            let mut state = self.pipeline.state.lock();
            let known = state.driver.as_ref();
            if !known.is_some_and(|driver| driver.will_wake(context.waker())) {
                state.driver = Some(context.waker().clone());
            }
            if let Poll::Ready(written) = state.write(context) {
                written?;
            }
            let Some(stream) = &mut state.stream else {
                return Poll::Ready(Err(End::Socket));
            };
            let read = {
                // It holds nothing between one poll and the next.
                let reading = stream.read_buf(self.incoming.room());
                std::pin::pin!(reading).poll(context)
            };
            drop(state);
            match ready!(read)? {
                0 => return Poll::Ready(Err(End::Socket)),
                read => self
                    .pipeline
                    .received
                    .fetch_add(read as u64, Ordering::Relaxed),
            };
            while let Some(sent) = self.incoming.next_sent()? {
                self.hand_out(sent)?;
            }
        }
    }

    fn hand_out(&self, sent: Sent) -> Result<(), Malformed> {
        let reply = match sent {
            Sent::Reply(reply) => reply,
            Sent::Push(push) => match &push[..] {
                [kind, _, WireReply::Bytes(text)] if is(kind, "message") => {
                    (self.on_event)(Event::Message(&String::from_utf8_lossy(text)));
                    return Ok(());
                }
                // No message of ours is as large. It may mean any key, as
                // whatever is not understood may.
                [kind, _, WireReply::Cut(_)] if is(kind, "message") => {
                    (self.on_event)(Event::Message(""));
                    return Ok(());
                }
                // It stands where the reply to SUBSCRIBE would.
                [kind, ..] if is(kind, "subscribe") => WireReply::Nil,
                _ => return Ok(()),
            },
        };
        let mut state = self.pipeline.state.lock();
        // To a reply that nobody waits for there is no call.
        let awaited = state.awaited.front_mut().ok_or(Malformed)?;
        awaited.replies.push(reply);
        if awaited.replies.len() == awaited.calls
            && let Some(whole) = state.awaited.pop_front()
        {
            drop(state);
            // Who called may have gone away.
            let _ = whole.answer.send(whole.replies);
        }
        Ok(())
    }
}

fn is(kind: &WireReply, name: &str) -> bool {
    match kind {
        WireReply::Bytes(bytes) => bytes == name.as_bytes(),
        WireReply::Text(text) => text == name,
        _ => false,
    }
}

impl<F: Fn(Event<'_>) + Unpin> Future for Driver<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let Err(end) = ready!(this.turn(context));
        if matches!(end, End::NotRedis) {
            tracing::debug!("what answers is no Redis");
        }
        // Before anybody learns it from a call that fails.
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
