//! Serving until told to stop, and then finishing what was begun.
//!
//! Every connection has limits: in time for its headers, for pauses between
//! requests and for reading its answers, and in number. Where they all are
//! busy a newcomer is refused without reading what it sends, which costs less
//! than an answer.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::serve::Listener;
use futures_util::StreamExt as _;
use rustix::process::{Resource, getrlimit};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connection::converse;
use super::seats::Seats;

/// How long requests under way may take after the service was told to stop.
const DRAINED_WITHIN: Duration = Duration::from_secs(20);

/// Connections that may be open beyond those that have a seat: they are being
/// refused, or closed for others.
const LEAVING: usize = 32;

/// How long a connection that is refused may take to be told so.
const REFUSED_WITHIN: Duration = Duration::from_millis(100);

/// What a connection hears where all others are busy.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\
    Connection: close\r\nContent-Length: 0\r\n\r\n";

/// What a client may ask of a listener, in time and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a request's header may take, and a pause before it. Default:
    /// 10 seconds. The connection is closed then.
    pub header_within: Duration,
    /// How long a client may take nothing of an answer. Default: 10 seconds,
    /// and a second more for each 16 KiB that it takes. The connection is
    /// closed then.
    pub read_within: Duration,
    /// The most connections. Default: 1,024, and where the process may open
    /// few files less: it leaves 128 of them, or half, to the rest of it.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MOST: u64 = 1024;
        const FOR_THE_REST: u64 = 128;
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let spare = files.saturating_sub(FOR_THE_REST).max(files / 2);
        Self {
            header_within: Duration::from_secs(10),
            read_within: Duration::from_secs(10),
            // At most a thousand.
            connections: spare.min(MOST) as usize,
        }
    }
}

/// Answers requests until `stop` completes, then those under way, within 20
/// seconds.
///
/// Clients that take longer are cut off. Streams of events and connections
/// without a whole request end at once.
pub async fn serve<L>(
    mut listener: L,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()> + Send,
) where
    L: Listener,
    L::Addr: Clone + Sync + 'static,
{
    let (stopping, told) = watch::channel(false);
    let router = router.layer(from_fn_with_state(told.clone(), end_with_the_service));
    let seats = Seats::new(limits.connections);
    let open = Arc::new(Semaphore::new(limits.connections + LEAVING));
    let mut connections = JoinSet::new();
    let accept = async {
        loop {
            // The semaphore is never closed.
            let Ok(descriptor) = Arc::clone(&open).acquire_owned().await else {
                return;
            };
            let (stream, peer) = listener.accept().await;
            while connections.try_join_next().is_some() {}
            match seats.take() {
                Some(seat) => {
                    let (router, told) = (router.clone(), told.clone());
                    connections.spawn(async move {
                        converse(stream, peer, router, limits, seat, told).await;
                        drop(descriptor);
                    });
                }
                None => {
                    connections.spawn(async move {
                        refuse(stream).await;
                        drop(descriptor);
                    });
                }
            }
        }
    };
    tokio::select! {
        () = accept => {}
        () = stop => {}
    }
    drop(listener);
    let _ = stopping.send(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(DRAINED_WITHIN, drained).await.is_err() {
        tracing::warn!("some clients did not let go in time and are cut off");
    }
}

/// Says that there is no seat, without reading what the client sends.
async fn refuse(mut stream: impl tokio::io::AsyncWrite + Unpin) {
    let _ = timeout(REFUSED_WITHIN, stream.write_all(FULL)).await;
    let _ = stream.shutdown().await;
}

/// A stream of events has no end of its own, and would hold up the stop.
async fn end_with_the_service(
    State(told): State<watch::Receiver<bool>>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    let media_type = response.headers().get(CONTENT_TYPE);
    if !media_type.is_some_and(|it| it.as_bytes().starts_with(b"text/event-stream")) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let events = body
        .into_data_stream()
        .take_until(Box::pin(until_told(told)));
    Response::from_parts(parts, Body::from_stream(events))
}

pub(super) async fn until_told(mut told: watch::Receiver<bool>) {
    // The sender goes away only with the service.
    let _ = told.wait_for(|told| *told).await;
}

#[cfg(test)]
mod tests {
    use std::io::Error;

    use axum::body::Bytes;
    use axum::routing::get;
    use futures_util::stream;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_stream_of_events_does_not_hold_up_the_stop() {
        let endless = get(async || {
            let first = stream::iter([Ok::<_, Error>(Bytes::from("data: 1\n\n"))]);
            let body = Body::from_stream(first.chain(stream::pending()));
            ([(CONTENT_TYPE, "text/event-stream")], body)
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async move {
            let _ = stopped.await;
        };
        let router = Router::new().route("/events", endless);
        let served = tokio::spawn(serve(listener, router, Limits::default(), stopped));
        let mut client = TcpStream::connect(address).await.unwrap();
        client
            .write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"data: 1\n\n\r\n") {
            assert_ne!(client.read_buf(&mut answer).await.unwrap(), 0);
        }
        stop.send(()).unwrap();
        let ended = timeout(DRAINED_WITHIN / 2, served).await;
        ended.expect("it ended in time").unwrap();
    }
}
