//! The life of one connection.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::limits::Limits;
use super::patience::Patient;
use super::seats::Seat;

/// The buffer size for reading and for writing. A header of more than twice
/// this size is refused, because its size is checked after each read.
const BUFFER_BYTES: usize = 32 * 1024;

/// The maximum number of headers of one request.
const MAX_HEADERS: usize = 100;

/// Serves requests on `stream`. It ends with the stream, if the peer is too
/// slow, if the seat goes to another connection, or if the service stops.
pub(super) async fn converse<S, A>(
    stream: S,
    peer: A,
    router: Router,
    limits: Limits,
    seat: Arc<Seat>,
    stopping: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Clone + Send + Sync + 'static,
{
    let stream = Patient::new(stream, Arc::clone(&seat), limits.read_within);
    let peer = ConnectInfo(peer);
    let answering = Arc::clone(&seat);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (router, seat) = (router.clone(), Arc::clone(&answering));
        request.extensions_mut().insert(peer.clone());
        async move {
            let whole = request.body().is_end_stream();
            if !seat.is_asked(whole) {
                return Err(io::Error::from(io::ErrorKind::ConnectionAborted));
            }
            let request = request.map(|body| match whole {
                true => Body::empty(),
                false => Body::new(Arriving {
                    body,
                    seat: Arc::clone(&seat),
                }),
            });
            let response: Result<Response<Body>, Infallible> = router.oneshot(request).await;
            let Ok(response) = response;
            Ok(response.map(|body| Answer { body, seat }))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_within)
        .max_buf_size(BUFFER_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        () = seat.given_away() => return,
        _ = connection.as_mut() => return,
        () = until_told(stopping) => {}
    }
    connection.as_mut().graceful_shutdown();
    // A complete request is still served; an incomplete one is not.
    let last = poll_fn(|context| match connection.as_mut().poll(context) {
        Poll::Pending if !seat.is_waiting() => Poll::Pending,
        _ => Poll::Ready(()),
    });
    last.await;
}

/// Completes when the service stops.
pub(super) async fn until_told(mut told: watch::Receiver<bool>) {
    // The sender lives as long as the service.
    let _ = told.wait_for(|told| *told).await;
}

/// The body of a request. It reports to the seat that all of it has arrived.
struct Arriving {
    body: Incoming,
    seat: Arc<Seat>,
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.seat.has_come_whole();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a response. Its drop reports that all of it was taken.
struct Answer {
    body: Body,
    seat: Arc<Seat>,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.seat.has_answered();
    }
}
