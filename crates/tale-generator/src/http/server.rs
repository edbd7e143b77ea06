//! Serving until told to stop, and then finishing what was begun.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::sleep;

/// How long requests under way may take after the service was told to stop.
const DRAINED_WITHIN: Duration = Duration::from_secs(20);

/// Answers requests until `stop` completes, then those under way, within 20
/// seconds; clients that take longer are cut off.
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
    let (stopping, told) = oneshot::channel();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(async move {
        stop.await;
        let _ = stopping.send(());
    });
    let too_long = async {
        // The server holds the other end for as long as it runs.
        let _ = told.await;
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
