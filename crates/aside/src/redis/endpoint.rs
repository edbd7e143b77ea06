//! The configured server, and opening connections to it.

use std::sync::Arc;
use std::time::Duration;

use aside_redis::{
    Address, Connection, Error, Event, Introduction, Limits, Stream, TlsClient, connect,
};
use tokio::time::Instant;

use crate::config::credentials::{Authentication, Credentials};
use crate::config::history::RedisHistory;
use crate::protocol::value::HEADER_BYTES;
use crate::redis::broken::Broken;
use crate::redis::locator::{Found, Locator};
use crate::redis::server;
use crate::redis::tls;
use crate::runtime::task;
use crate::trust::refusal::{NOT_A_SENTINEL, SENTINEL_PASSWORD};

/// The size limit of replies other than values: INFO, a page of keys, a message.
const MIN_STRING_BYTES: usize = 1024 * 1024;

/// The kind of server at the end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A server with values.
    Server,
    /// A node of a cluster.
    Node,
    /// A Sentinel.
    Sentinel,
}

impl Role {
    /// Adds the address of a server. A Sentinel's is in the complaint about it.
    fn unreached(self, error: Error, address: &Address) -> Broken {
        match error {
            Error::NotConnected(reason) if self != Self::Sentinel => {
                Broken::because(&format!("{address}: {reason}"))
            }
            error => error.into(),
        }
    }

    fn refused(self, error: Error, address: &Address) -> Broken {
        match error {
            Error::NotGreeted if matches!(address, Address::Tcp { .. }) => {
                let said = Broken::from(error).to_string();
                Broken::because(&format!("{said}{}", tls::PERHAPS_ENCRYPTED))
            }
            Error::Refused { ref refusal, .. }
                if self == Self::Sentinel && ["NOAUTH", "WRONGPASS"].contains(&refusal.code()) =>
            {
                Broken::refused(SENTINEL_PASSWORD)
            }
            error => error.into(),
        }
    }
}

/// Where and how to connect.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) locator: Locator,
    pub(crate) role: Role,
    /// The number of the database; `None` for the first.
    pub(crate) db: Option<u32>,
    /// Shared by all connections of a service, so that sessions resume.
    pub(crate) tls: Arc<TlsClient>,
    pub(crate) socket_timeout: Duration,
    /// The largest usable value.
    pub(crate) max_value_bytes: usize,
    pub(crate) authentication: Authentication,
    /// How a failover is noticed.
    pub(crate) history: RedisHistory,
}

impl Endpoint {
    /// Waits until a primary is known. Then connects, authenticates and selects
    /// the database, within the timeout. Also returns where it was found.
    ///
    /// `on_event` is called by the task that reads the socket; see
    /// [`Connection::new`].
    pub(crate) async fn open(
        &self,
        on_event: impl Fn(Event<'_>) + Send + Sync + Unpin + 'static,
    ) -> Result<(Connection, Found), Broken> {
        let found = self.locator.find().await;
        let until = Instant::now() + self.socket_timeout;
        let known = tokio::time::timeout_at(until, self.authentication.credentials());
        let known = known
            .await
            .unwrap_or_else(|_| Err("they did not come within the timeout".to_owned()))
            .map_err(|error| Broken::refused(&format!("no credentials for Redis: {error}")))?;
        let opening = async {
            let stream = self.stream(&found.address, until).await;
            let stream = stream.map_err(|error| self.role.unreached(error, &found.address))?;
            let (connection, driver) = Connection::new(stream, self.limits(), on_event);
            task::spawn(driver);
            self.introduce(&connection, known.as_ref(), &found.address)
                .await?;
            Ok(connection)
        };
        let connection = tokio::select! {
            biased;
            () = self.locator.moved(&found) => Err(Broken::because("the primary has moved")),
            opened = tokio::time::timeout_at(until, opening) => opened
                .unwrap_or_else(|_| Err(Broken::because("no connection within the timeout"))),
        };
        Ok((connection?, found))
    }

    async fn introduce(
        &self,
        connection: &Connection,
        known: Option<&Credentials>,
        address: &Address,
    ) -> Result<(), Broken> {
        let introduction = Introduction {
            username: known.and_then(|known| known.username.as_ref()),
            password: known.map(|known| &known.password),
            db: self.db,
            library: ["aside", env!("CARGO_PKG_VERSION")],
        };
        let greeting = connection.introduce(&introduction).await;
        let greeting = greeting.map_err(|error| self.role.refused(error, address))?;
        match self.role {
            Role::Server => server::unusable(&greeting.mode, false).map_or(Ok(()), Err),
            Role::Node => server::unusable(&greeting.mode, true).map_or(Ok(()), Err),
            Role::Sentinel if greeting.mode == "sentinel" => Ok(()),
            Role::Sentinel => Err(Broken::refused(NOT_A_SENTINEL)),
        }
    }

    async fn stream(&self, address: &Address, until: Instant) -> Result<Box<dyn Stream>, Error> {
        #[cfg(test)]
        if let Some(connecting) = crate::runtime::simulated::connect(address) {
            return Ok(Box::new(connecting.await?));
        }
        connect::open(address, None, &self.tls, until).await
    }

    fn limits(&self) -> Limits {
        let value = self.max_value_bytes.saturating_add(HEADER_BYTES);
        Limits {
            max_string_bytes: value.max(MIN_STRING_BYTES),
            cut_bytes: HEADER_BYTES,
        }
    }
}
