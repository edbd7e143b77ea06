//! TLS by rustls.

mod problems;
mod config;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use self::config::Versions;
pub(crate) use self::problems::of_stream;
use super::Handshakes;
use super::files::Tls;
use crate::error::{TlsProblem, printable};

/// The TLS of all connections of a service.
#[derive(Debug)]
pub struct TlsClient {
    files: Tls,
    state: Mutex<State>,
    full: AtomicU64,
    resumed: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// The last configuration that could be built, and the files it was built of.
    built: Option<(Arc<ClientConfig>, Versions)>,
    /// Why the files as they are now cannot be used.
    problem: Option<TlsProblem>,
}

impl TlsClient {
    /// Makes a client of these files. They are read when a connection needs them.
    #[must_use]
    pub fn new(files: Tls) -> Self {
        Self {
            files,
            state: Mutex::default(),
            full: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
        }
    }

    /// Prepares a connection whose server's certificate must be for `host`, a name or
    /// an IP address. [`Tls::server_name`] overrides it.
    pub(crate) async fn prepare(&self, host: &str) -> Result<Handshake<'_>, TlsProblem> {
        let connector = TlsConnector::from(self.config().await?);
        let host = self.files.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| TlsProblem::ImpossibleName(printable(host)))?;
        Ok(Handshake {
            client: self,
            connector,
            name,
        })
    }

    /// Returns why the files cannot be used as they are now; connections are then
    /// opened with the files as they were. `None` if they can be used, or none was
    /// opened since they changed.
    pub async fn problem(&self) -> Option<TlsProblem> {
        self.state.lock().await.problem.clone()
    }

    /// Returns how many handshakes succeeded.
    #[must_use]
    pub fn handshakes(&self) -> Handshakes {
        Handshakes {
            full: self.full.load(Ordering::Relaxed),
            resumed: self.resumed.load(Ordering::Relaxed),
        }
    }

    /// Returns the configuration of the files as they are, or as they last could be
    /// used.
    async fn config(&self) -> Result<Arc<ClientConfig>, TlsProblem> {
        // Held meanwhile, so that connections that open together build it once.
        let mut state = self.state.lock().await;
        // Before they are read: a change in between is seen at the next connection.
        let versions = self.files.versions().await;
        if let Some((config, built)) = &state.built
            && *built == versions
        {
            let config = Arc::clone(config);
            state.problem = None;
            return Ok(config);
        }
        match self.files.read().await {
            Ok(config) => {
                let config = Arc::new(config);
                state.built = Some((Arc::clone(&config), versions));
                state.problem = None;
                Ok(config)
            }
            Err(problem) => {
                let known = state.problem.replace(problem.clone());
                let (config, _) = state.built.as_ref().ok_or_else(|| problem.clone())?;
                if known.as_ref() != Some(&problem) {
                    tracing::warn!(
                        %problem,
                        "TLS files changed and cannot be used; connections keep the old ones"
                    );
                }
                Ok(Arc::clone(config))
            }
        }
    }
}

/// A handshake that lacks only its stream.
pub(crate) struct Handshake<'a> {
    client: &'a TlsClient,
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Handshake<'_> {
    pub(crate) async fn perform<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        stream: S,
        until: Instant,
    ) -> Result<TlsStream<S>, TlsProblem> {
        let connect = self.connector.connect(self.name, stream);
        let stream = tokio::time::timeout_at(until, connect)
            .await
            .map_err(|_| TlsProblem::NoReply)?
            .map_err(|error| problems::of_handshake(&error))?;
        let kind = stream.get_ref().1.handshake_kind();
        let counter = match kind == Some(HandshakeKind::Resumed) {
            true => &self.client.resumed,
            false => &self.client.full,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(stream)
    }
}
