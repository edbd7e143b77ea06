//! `tales serve`

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::failure::Failure;
use super::opened;
use super::say;
use crate::AppSettings;
use crate::http;

pub(super) async fn serve(listen: SocketAddr, settings: AppSettings) -> Result<(), Failure> {
    let stop = stop_signal()?;
    // Before the database is opened: a taken port is noticed at once, and
    // clients that come early wait instead of being refused.
    let cannot_listen = |error| Failure::new(&format!("cannot listen on {listen}"), error);
    let listener = TcpListener::bind(listen).await.map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;
    let tales = opened::open(&settings).await?;
    let router = http::router(&tales, settings.admin_token)
        .map_err(|error| Failure::new("ADMIN_TOKEN is refused", error))?;
    // It serves as well where nobody can be told.
    if let Err(unsaid) = say::result(&format!("listening on http://{address}")) {
        tracing::warn!(?unsaid, "the line that it is ready could not be written");
    }
    tracing::info!(%address, database = tales.database.name(), "serving");
    let served = http::serve(listener, router, stop).await;
    tracing::info!("stopping");
    opened::close(&tales).await;
    served.map_err(|error| Failure::new("serving failed", error))
}

/// Completes when somebody wants the program to end. A second signal ends it
/// at once.
fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let unheard = |error| Failure::new("signals cannot be heard", error);
    let mut terminate = signal(SignalKind::terminate()).map_err(unheard)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(1);
        });
    })
}
