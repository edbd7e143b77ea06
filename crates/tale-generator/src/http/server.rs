//! Serves until it is stopped, and then completes the current requests.
//!
//! Every connection has time limits: for its headers, for pauses between
//! requests and for reading its responses. Their number is limited too. If all
//! are busy, a new connection is refused without reading its request, which
//! costs less than serving it.

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
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connection::{converse, until_told};
use super::limits::Limits;
use super::seats::Seats;

/// The time limit of current requests after the stop.
const DRAINED_WITHIN: Duration = Duration::from_secs(20);

/// The number of connections that may be open beyond those with a seat. They
/// are being refused, or closed for others.
const LEAVING: usize = 32;

/// The time limit to send the refusal to a connection.
const REFUSED_WITHIN: Duration = Duration::from_millis(100);

/// The response to a connection if all others are busy.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\
    Connection: close\r\nContent-Length: 0\r\n\r\n";

/// Serves requests until `stop` completes, and then the current ones, within 20
/// seconds.
///
/// Slower clients are disconnected. Event streams and connections without a
/// complete request end at once.
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
        tracing::warn!("some clients were disconnected: their requests did not end in time");
    }
}

/// Refuses a connection without reading its request.
async fn refuse(mut stream: impl tokio::io::AsyncWrite + Unpin) {
    let _ = timeout(REFUSED_WITHIN, stream.write_all(FULL)).await;
    let _ = stream.shutdown().await;
}

/// Ends event streams with the service, because they have no end and would
/// delay the stop.
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
    async fn an_event_stream_does_not_delay_the_stop() {
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
