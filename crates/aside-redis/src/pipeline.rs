//! Calls that go out on one connection, and the replies that come in.
//!
//! Callers append to one write buffer. On an idle connection the caller writes it to
//! the socket itself. Otherwise the driver does, the task that reads the socket, so
//! everything queued in between goes out in one system call. Replies come in the
//! order of the calls; the driver hands them out, all replies of a pipeline at once.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::call::Call;
use crate::error::Error;
use crate::reply::WireReply;
use crate::resp::{self, Incoming, MAX_KEPT_BUFFER_BYTES, Malformed};

/// The stream under a connection.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Calls of more words are worth their own system call.
const MAX_WORDS_LEFT_TO_DRIVER: usize = 8;

/// Calls of more bytes take a slow network longer than an operation may take.
const MAX_SMALL_CALL_BYTES: usize = 64 * 1024;

/// The speed of the slowest network on which a large call is taken to be still
/// under way. After that time its server may have stopped.
const MIN_BYTES_PER_SECOND: usize = 256 * 1024;

/// One connection, as its callers see it.
pub(crate) struct Pipeline {
    state: Mutex<State>,
    received: AtomicU64,
}

struct State {
    /// `None` once the connection is gone.
    stream: Option<Box<dyn Stream>>,
    /// Why the connection ended, if the server gave a reason.
    cause: Option<Error>,
    outgoing: Vec<u8>,
    /// How many bytes of `outgoing` are written.
    written: usize,
    /// True if the stream may still hold written bytes back.
    unflushed: bool,
    awaited: VecDeque<Awaited>,
    /// True if calls awaited replies when the connection ended.
    left_calls: bool,
    /// Set while the driver waits and is not woken.
    driver: Option<Waker>,
}

/// Calls that were made together.
struct Awaited {
    replies: Vec<WireReply>,
    calls: usize,
    answer: oneshot::Sender<Vec<WireReply>>,
    /// Until when these bytes may be under way, if they are many.
    travels_until: Option<Instant>,
    confirmed_by: Option<Confirmations>,
}

/// The pushes that confirm calls in place of replies.
pub(crate) struct Confirmations {
    pub(crate) kind: &'static str,
    /// The channel that each of them names.
    pub(crate) channels: Vec<String>,
}

impl Pipeline {
    pub(crate) fn over(stream: Box<dyn Stream>) -> Self {
        Self {
            state: Mutex::new(State {
                stream: Some(stream),
                cause: None,
                outgoing: Vec::new(),
                written: 0,
                unflushed: false,
                awaited: VecDeque::new(),
                left_calls: false,
                driver: None,
            }),
            received: AtomicU64::new(0),
        }
    }

    /// Makes the calls. All replies come together, or none because the connection
    /// is lost. Dropping the receiver takes no call back.
    pub(crate) fn call(&self, calls: &[Call<'_>]) -> oneshot::Receiver<Vec<WireReply>> {
        self.send(calls, None)
    }

    /// Makes calls that pushes confirm, each with an empty reply. A refusal is a
    /// reply.
    pub(crate) fn subscribe(
        &self,
        calls: &[Call<'_>],
        confirmed_by: Confirmations,
    ) -> oneshot::Receiver<Vec<WireReply>> {
        self.send(calls, Some(confirmed_by))
    }

    fn send(
        &self,
        calls: &[Call<'_>],
        confirmed_by: Option<Confirmations>,
    ) -> oneshot::Receiver<Vec<WireReply>> {
        let (answer, answered) = oneshot::channel();
        let mut state = self.state.lock();
        if state.stream.is_none() {
            return answered;
        }
        let words: usize = calls.iter().map(|call| call.args.len()).sum();
        let at_once = state.outgoing.is_empty()
            && (state.awaited.is_empty() || words > MAX_WORDS_LEFT_TO_DRIVER);
        let before = state.outgoing.len();
        for call in calls {
            resp::write_call(call, &mut state.outgoing);
        }
        let bytes = state.outgoing.len() - before;
        // Small calls read no clock.
        let travels_until =
            (MAX_SMALL_CALL_BYTES < bytes).then(|| Instant::now() + time_for(bytes));
        state.unflushed = true;
        // Each ASKING has a reply as well.
        let calls = calls.len() + calls.iter().filter(|call| call.is_asking()).count();
        state.awaited.push_back(Awaited {
            replies: Vec::with_capacity(calls),
            calls,
            answer,
            travels_until,
            confirmed_by,
        });
        // The driver writes the rest. If the stream failed, it fails there as well.
        let mut context = Context::from_waker(Waker::noop());
        let gone_out = at_once && matches!(state.write(&mut context), Poll::Ready(Ok(())));
        let driver = if gone_out { None } else { state.driver.take() };
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        answered
    }

    /// Returns why the connection ended, if the server gave a reason.
    pub(crate) fn cause(&self) -> Option<Error> {
        self.state.lock().cause.clone()
    }

    /// Records why the connection is about to end.
    pub(crate) fn explain(&self, cause: Option<Error>) {
        self.state.lock().cause = cause;
    }

    /// Returns how many bytes have arrived.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Returns true if a large call may still be on its way to the server, and
    /// with it all calls after it.
    ///
    /// Its size and its age decide. The socket has taken all of it long before: the
    /// buffers of kernels and routers hold megabytes.
    pub(crate) fn is_carrying_much(&self) -> bool {
        let state = self.state.lock();
        let mut until = state.awaited.iter().filter_map(|calls| calls.travels_until);
        let now = Instant::now();
        until.any(|until| now < until)
    }

    /// Writes the buffer, and reads into `incoming`. Returns how many bytes were
    /// read; 0 at the end of the stream. Until then it wakes the driver, also for
    /// calls that it has to write.
    pub(crate) fn poll_read(
        &self,
        context: &mut Context<'_>,
        incoming: &mut Incoming,
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state.lock();
        let known = state.driver.as_ref();
        if !known.is_some_and(|driver| driver.will_wake(context.waker())) {
            state.driver = Some(context.waker().clone());
        }
        if let Poll::Ready(written) = state.write(context) {
            written?;
        }
        let Some(stream) = &mut state.stream else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let read = {
            // It holds no state between two polls.
            let reading = stream.read_buf(incoming.room());
            std::pin::pin!(reading).poll(context)
        };
        drop(state);
        if let Poll::Ready(Ok(read)) = &read {
            self.received.fetch_add(*read as u64, Ordering::Relaxed);
        }
        read
    }

    /// Hands a reply to the first call that awaits one.
    pub(crate) fn deliver(&self, reply: WireReply) -> Result<(), Malformed> {
        let mut state = self.state.lock();
        // A reply without a call.
        let awaited = state.awaited.front_mut().ok_or(Malformed)?;
        awaited.replies.push(reply);
        if awaited.replies.len() == awaited.calls
            && let Some(whole) = state.awaited.pop_front()
        {
            drop(state);
            // The caller may have dropped its future.
            let _ = whole.answer.send(whole.replies);
        }
        Ok(())
    }

    /// Hands an empty reply to the first call that awaits one, if a push of this kind
    /// about this channel confirms it. Returns false if nothing asked for the push.
    pub(crate) fn confirm(&self, kind: &str, channel: &str) -> Result<bool, Malformed> {
        let state = self.state.lock();
        let is_asked = state.awaited.front().is_some_and(|first| {
            let next = first.replies.len();
            let by = first.confirmed_by.as_ref();
            let by = by.filter(|by| by.kind == kind);
            by.and_then(|by| by.channels.get(next))
                .is_some_and(|it| it == channel)
        });
        drop(state);
        if is_asked {
            // Only the driver, which calls this, takes calls off the queue.
            self.deliver(WireReply::Nil)?;
        }
        Ok(is_asked)
    }

    /// Gives up the stream and the calls that await a reply, and ends the driver.
    /// Returns true if there were such calls, now or when it was given up before.
    pub(crate) fn close(&self) -> bool {
        let mut state = self.state.lock();
        let awaited = std::mem::take(&mut state.awaited);
        state.left_calls |= !awaited.is_empty();
        let left_calls = state.left_calls;
        let said = awaited.front().and_then(|first| first.replies.last());
        if let Some(WireReply::Error(refusal)) = said {
            state.cause = Some(Error::HungUp(refusal.clone()));
        }
        let (stream, driver) = (state.stream.take(), state.driver.take());
        drop(state);
        drop((awaited, stream));
        if let Some(driver) = driver {
            driver.wake();
        }
        left_calls
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
        self.outgoing.shrink_to(MAX_KEPT_BUFFER_BYTES);
        if self.unflushed {
            ready!(Pin::new(stream).poll_flush(context))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

/// Returns how long so many bytes may take to travel.
fn time_for(bytes: usize) -> Duration {
    Duration::from_millis((bytes * 1000 / MIN_BYTES_PER_SECOND) as u64)
}
