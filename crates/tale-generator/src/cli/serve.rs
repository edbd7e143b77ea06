//! `tales serve`

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aside_admin::Access;
use axum::serve::{Listener, ListenerExt as _};
use futures_util::FutureExt as _;
use rustix::fs::Mode;
use rustix::process::umask;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};

use super::failure::Failure;
use super::opened;
use super::say;
use crate::http;
use crate::{AdminListen, AppSettings, Tales};

/// The reply to `/cache/...` on the public listener if there is no token.
const CLOSED: &str = "Set ADMIN_TOKEN and send it as `Authorization: Bearer`, or set ADMIN_LISTEN \
    and send the request there. Without a token, this listener does not serve it.";

pub(super) async fn serve(listen: SocketAddr, settings: AppSettings) -> Result<(), Failure> {
    let stop = stop_signal()?;
    let access = public_access(&settings)?;
    // Bound before the database is opened. So a taken port is noticed at once,
    // and clients that connect meanwhile wait instead of being refused.
    let cannot_listen = |error| Failure::new(&format!("cannot listen on {listen}"), error);
    let listener = TcpListener::bind(listen).await.map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;
    let apart = match &settings.admin_listen {
        Some(listen) => Some(Apart::bind(listen).await?),
        None => None,
    };
    let tales = opened::open(&settings).await?;
    // The service also works if the line cannot be written.
    if let Err(unsaid) = say::result(&format!("listening on http://{address}")) {
        tracing::warn!(
            ?unsaid,
            "standard output cannot be written; the service runs"
        );
    }
    tracing::info!(%address, database = tales.database.name(), "serving");
    let public = http::router(&tales, access);
    let public = http::serve(
        quick(listener),
        public,
        http::Limits::default(),
        stop.clone(),
    );
    match apart {
        None => public.await,
        Some(apart) => drop(tokio::join!(public, apart.serve(&tales, stop))),
    }
    tracing::info!("stopping");
    opened::close(&tales).await;
    Ok(())
}

/// Returns the access control of the admin routes on the public listener.
fn public_access(settings: &AppSettings) -> Result<Access, Failure> {
    let refused = |error| Failure::new("the admin token is refused", error);
    let access = match &settings.admin_token {
        Some(token) => Access::token(token.clone()).map_err(refused)?,
        None => Access::closed(CLOSED),
    };
    match &settings.admin_read_token {
        Some(token) => access.with_read_token(token.clone()).map_err(refused),
        None => Ok(access),
    }
}

/// The separate listener of the admin routes.
enum Apart {
    Loopback(TcpListener),
    Socket(UnixListener, PathBuf),
}

impl Apart {
    async fn bind(listen: &AdminListen) -> Result<Self, Failure> {
        match listen {
            AdminListen::Loopback(address) => {
                let what = format!("ADMIN_LISTEN: cannot listen on {address}");
                let cannot = |error| Failure::new(&what, error);
                let listener = TcpListener::bind(address).await.map_err(cannot)?;
                let address = listener.local_addr().map_err(cannot)?;
                tracing::info!(%address, "the admin routes listen");
                Ok(Self::Loopback(listener))
            }
            AdminListen::Socket(path) => {
                let shown = path.display();
                let what = format!("ADMIN_LISTEN: cannot listen on {shown}");
                let cannot = |error| Failure::new(&what, error);
                remove_if_abandoned(path).await.map_err(cannot)?;
                let listener = bind_privately(path).map_err(cannot)?;
                tracing::info!(path = %shown, "the admin routes listen");
                Ok(Self::Socket(listener, path.clone()))
            }
        }
    }

    async fn serve(self, tales: &Tales, stop: impl Future<Output = ()> + Send) {
        let limits = http::Limits {
            connections: 64,
            ..http::Limits::default()
        };
        match self {
            Self::Loopback(listener) => {
                let router = http::admin_router(tales, Access::local_only());
                http::serve(quick(listener), router, limits, stop).await;
            }
            Self::Socket(listener, path) => {
                let router = http::admin_router(tales, Access::unix_socket());
                // While it still listens: afterwards the path may belong to
                // the next service.
                let stop = stop.map(|()| drop(fs::remove_file(path)));
                http::serve(listener, router, limits, stop).await;
            }
        }
    }
}

/// Binds a socket that no other user can connect to. It has no other
/// permissions at any moment, because a connection outlives a change of them.
fn bind_privately(path: &Path) -> io::Result<UnixListener> {
    // The umask belongs to the whole process. A file or directory that another
    // thread creates meanwhile becomes private too.
    let usual = umask(Mode::RWXG | Mode::RWXO);
    let bound = UnixListener::bind(path);
    umask(usual);
    let listener = bound?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Removes a socket that a killed process left behind.
async fn remove_if_abandoned(path: &Path) -> io::Result<()> {
    // A connection to a regular file is refused as well.
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            let message = "it exists and is no socket: name another path";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        Ok(_) => {}
        Err(_) => return Ok(()),
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Ok(()),
    }
}

/// Responses are written in large pieces, so delaying them saves nothing.
fn quick(listener: TcpListener) -> impl Listener<Io = TcpStream, Addr = SocketAddr> {
    listener.tap_io(|stream| drop(stream.set_nodelay(true)))
}

/// Completes when a signal stops the program. A second signal ends it at once.
fn stop_signal() -> Result<impl Future<Output = ()> + Clone + Send + 'static, Failure> {
    let unheard = |error| Failure::new("signals cannot be received", error);
    let mut terminate = signal(SignalKind::terminate()).map_err(unheard)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
    let signalled = async move {
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
    };
    Ok(signalled.shared())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn the_admin_socket_is_private_from_its_first_moment() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("admin.sock");
        let (open, ended) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|threads| {
            threads.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    let Ok(found) = fs::symlink_metadata(&path) else {
                        continue;
                    };
                    if found.permissions().mode() & 0o077 != 0 {
                        open.store(true, Ordering::Relaxed);
                    }
                }
            });
            let bound = (0..2_000).try_for_each(|_| {
                let _listener = bind_privately(&path)?;
                fs::remove_file(&path)
            });
            ended.store(true, Ordering::Relaxed);
            bound.unwrap();
        });
        assert!(!open.into_inner());
    }
}
