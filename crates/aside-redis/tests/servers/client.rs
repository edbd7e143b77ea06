//! An open connection with the events that it reported.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aside_redis::{
    Address, Call, Connection, Error, Event, Introduction, Limits, Secret, Tls, TlsClient,
    WireReply, connect,
};
use parking_lot::Mutex;
use tokio::time::Instant;

/// Longer than any reply takes.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    pub(crate) connection: Connection,
    events: Arc<Mutex<Vec<String>>>,
}

impl Client {
    pub(crate) async fn open(server: SocketAddr) -> Self {
        let address = Address::Tcp {
            host: server.ip().to_string(),
            port: server.port(),
        };
        let tls = TlsClient::new(Tls::default());
        let opened = Self::open_over(&address, &tls, SOON, None).await;
        opened.unwrap_or_else(|error| panic!("{server}: {error}"))
    }

    /// Opens a connection, and introduces itself.
    pub(crate) async fn open_over(
        address: &Address,
        tls: &TlsClient,
        within: Duration,
        password: Option<&Secret>,
    ) -> Result<Self, Error> {
        let stream = connect::open(address, None, tls, Instant::now() + within).await?;
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&events);
        let (connection, driver) = Connection::new(stream, Limits::default(), move |event| {
            heard.lock().push(match event {
                Event::Message(text) => text.to_owned(),
                Event::Unsubscribed(channel) => format!("unsubscribed from {channel}"),
                Event::Disconnected => "disconnected".to_owned(),
            });
        });
        tokio::spawn(driver);
        let introduction = Introduction {
            username: None,
            password,
            db: None,
            library: ["test", "1"],
        };
        connection.introduce(&introduction).await?;
        Ok(Self { connection, events })
    }

    /// Returns the reply to one call.
    pub(crate) async fn call(&self, call: Call<'_>) -> WireReply {
        let replies = self.connection.call(&[call]).await;
        replies.expect("a reply").pop().expect("one reply")
    }

    /// Returns the text of a reply.
    pub(crate) async fn text(&self, call: Call<'_>) -> String {
        match self.call(call).await {
            WireReply::Bytes(bytes) => String::from_utf8(bytes.to_vec()).expect("a text"),
            WireReply::Text(text) => text,
            other => panic!("no text: {other:?}"),
        }
    }

    pub(crate) fn events(&self) -> Vec<String> {
        self.events.lock().clone()
    }
}
