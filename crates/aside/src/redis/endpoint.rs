//! The configured server, and opening connections to it.

use std::sync::Arc;
use std::time::Duration;

use aside_redis::{
    Address, Connection, Error, Event, Introduction, Limits, Stream, Target, TlsClient, connect,
};
use tokio::time::Instant;

use crate::config::credentials::{Authentication, Credentials};
use crate::protocol::value::HEADER_BYTES;
use crate::redis::broken::Broken;
use crate::redis::server;
use crate::redis::tls;
use crate::runtime::task;

/// The size limit of replies other than values: INFO, a page of keys, a message.
const MIN_STRING_BYTES: usize = 1024 * 1024;

/// Where and how to connect.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) target: Target,
    /// Shared by all connections of a service, so that sessions resume.
    pub(crate) tls: Arc<TlsClient>,
    pub(crate) connect_timeout: Duration,
    /// The largest usable value.
    pub(crate) max_value_bytes: usize,
    pub(crate) authentication: Authentication,
}

impl Endpoint {
    /// Connects, authenticates and selects the database, within the timeout.
    ///
    /// `on_event` is called by the task that reads the socket; see
    /// [`Connection::new`].
    pub(crate) async fn open(
        &self,
        on_event: impl Fn(Event<'_>) + Send + Sync + Unpin + 'static,
    ) -> Result<Connection, Broken> {
        let until = Instant::now() + self.connect_timeout;
        let known = tokio::time::timeout_at(until, self.authentication.credentials());
        let known = known
            .await
            .unwrap_or_else(|_| Err("they did not come within the timeout".to_owned()))
            .map_err(|error| Broken::refused(&format!("no credentials for Redis: {error}")))?;
        let opening = async {
            let (connection, driver) =
                Connection::new(self.stream(until).await?, self.limits(), on_event);
            task::spawn(driver);
            self.introduce(&connection, known.as_ref()).await?;
            Ok(connection)
        };
        tokio::time::timeout_at(until, opening)
            .await
            .unwrap_or_else(|_| Err(Broken::because("no connection within the timeout")))
    }

    async fn introduce(
        &self,
        connection: &Connection,
        known: Option<&Credentials>,
    ) -> Result<(), Broken> {
        let introduction = Introduction {
            username: known.and_then(|known| known.username.as_ref()),
            password: known.map(|known| &known.password),
            db: self.target.db,
            library: ["aside", env!("CARGO_PKG_VERSION")],
        };
        let introduced = connection.introduce(&introduction).await;
        let greeting = introduced.map_err(|error| match error {
            Error::NotGreeted if matches!(self.target.address, Address::Tcp { .. }) => {
                let said = Broken::from(error).to_string();
                Broken::because(&format!("{said}{}", tls::PERHAPS_ENCRYPTED))
            }
            error => Broken::from(error),
        })?;
        server::unusable(&greeting.mode).map_or(Ok(()), Err)
    }

    async fn stream(&self, until: Instant) -> Result<Box<dyn Stream>, Error> {
        #[cfg(test)]
        if let Some(connecting) = crate::runtime::simulated::connect() {
            return Ok(Box::new(connecting.await?));
        }
        connect::open(&self.target.address, None, &self.tls, until).await
    }

    fn limits(&self) -> Limits {
        let value = self.max_value_bytes.saturating_add(HEADER_BYTES);
        Limits {
            max_string_bytes: value.max(MIN_STRING_BYTES),
            cut_bytes: HEADER_BYTES,
        }
    }
}
