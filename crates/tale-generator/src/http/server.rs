//! Serving until told to stop, and then finishing what was begun.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::serve::ListenerExt as _;
use futures_util::StreamExt as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;

/// How long requests under way may take after the service was told to stop.
const DRAINED_WITHIN: Duration = Duration::from_secs(20);

/// Answers requests until `stop` completes, then those under way, within 20
/// seconds; clients that take longer are cut off, and streams of events end
/// at once.
///
/// # Errors
/// The listener's own.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let listener = listener.tap_io(|stream| {
        // Answers are written whole, so there is nothing to wait for.
        let _ = stream.set_nodelay(true);
    });
    let (stopping, told) = watch::channel(false);
    let router = router.layer(from_fn_with_state(told.clone(), end_with_the_service));
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(async move {
        stop.await;
        let _ = stopping.send(true);
    });
    let too_long = async {
        until_told(told).await;
        sleep(DRAINED_WITHIN).await;
    };
    tokio::select! {
        served = server.into_future() => served,
        () = too_long => {
            tracing::warn!("some clients did not let go in time and are cut off");
            Ok(())
        }
    }
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

async fn until_told(mut told: watch::Receiver<bool>) {
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
    use tokio::net::TcpStream;
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
        let served = tokio::spawn(serve(listener, router, stopped));
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
        ended.expect("it ended in time").unwrap().unwrap();
    }
}
