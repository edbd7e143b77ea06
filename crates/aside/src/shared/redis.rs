//! One connection to a Redis: the only file that knows the client library.
//!
//! The library multiplexes and parses; it neither reconnects nor resends here,
//! because a token or a writer id must go out exactly once, and what happens
//! after a loss is the business of who holds the connection.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, ClientTlsConfig, Cmd, ConnectionAddr, IntoConnectionInfo, Pipeline,
    ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo, RedisError, TlsCertificates, Value,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;

use crate::address::{Address, Target};
use crate::shared::wire_form::{Call, WireReply};
use crate::task;

/// How many commands may wait for the socket before senders wait.
const SEND_QUEUE: usize = 1024;

/// Where and how to connect.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) target: Target,
    pub(crate) tls_ca: Option<PathBuf>,
    pub(crate) tls_cert: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    pub(crate) connect_timeout: Duration,
}

/// What a connection says of its own accord.
pub(crate) enum Event<'a> {
    /// A message on a subscribed channel.
    Message(&'a str),
    /// The connection is gone.
    Disconnected,
}

/// The connection could not be opened, or is gone; the text holds no secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(String);

impl Broken {
    pub(crate) fn because(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

impl From<RedisError> for Broken {
    fn from(error: RedisError) -> Self {
        // A server's own words may quote what was sent; its code does not.
        match error.code() {
            Some(code) => Self(format!("the server answered {code}")),
            None => Self(error.category().to_owned()),
        }
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// An open connection.
pub(crate) struct Wire {
    connection: MultiplexedConnection,
    received: Arc<AtomicU64>,
    driver: Option<AbortHandle>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(driver) = &self.driver {
            driver.abort();
        }
    }
}

impl Wire {
    /// Connects, authenticates and selects the database, within the timeout.
    ///
    /// `on_event` is called by the task that reads the socket, in the order
    /// of the socket: an answer that follows a message is not delivered
    /// before the message was handled. It must be quick.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        on_event: impl Fn(Event<'_>) + Send + Sync + 'static,
    ) -> Result<Self, Broken> {
        tokio::time::timeout(endpoint.connect_timeout, Self::open_now(endpoint, on_event))
            .await
            .unwrap_or_else(|_| Err(Broken::because("no connection within the timeout")))
    }

    async fn open_now(
        endpoint: &Endpoint,
        on_event: impl Fn(Event<'_>) + Send + Sync + 'static,
    ) -> Result<Self, Broken> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(SEND_QUEUE)
            .set_push_sender(move |push: PushInfo| {
                match (&push.kind, &push.data[..]) {
                    (PushKind::Disconnection, _) => on_event(Event::Disconnected),
                    (PushKind::Message, [_, Value::BulkString(text)]) => {
                        on_event(Event::Message(&String::from_utf8_lossy(text)));
                    }
                    _ => {}
                }
                Ok::<(), redis::aio::SendError>(())
            });
        let received = Arc::new(AtomicU64::new(0));
        let settings = settings(&endpoint.target);
        match &endpoint.target.address {
            Address::Tcp { host, port } => {
                #[cfg(test)]
                if let Some(connecting) = crate::simulated::connect() {
                    return Self::over(connecting.await?, &settings, config, received).await;
                }
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Self::over(stream, &settings, config, received).await
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await?;
                Self::over(stream, &settings, config, received).await
            }
            Address::Tls { host, port } => {
                Self::over_tls(endpoint, host, *port, settings, config, received).await
            }
            Address::Cluster(_) | Address::Sentinel { .. } | Address::Memory(_) => {
                Err(Broken::because("not the address of a single server"))
            }
        }
    }

    async fn over<S>(
        stream: S,
        settings: &RedisConnectionInfo,
        config: AsyncConnectionConfig,
        received: Arc<AtomicU64>,
    ) -> Result<Self, Broken>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = Metered {
            stream,
            received: Arc::clone(&received),
        };
        let (connection, driver) =
            MultiplexedConnection::new_with_config(settings, stream, config).await?;
        let driver = task::spawn(driver).abort_handle();
        Ok(Self {
            connection,
            received,
            driver: Some(driver),
        })
    }

    async fn over_tls(
        endpoint: &Endpoint,
        host: &str,
        port: u16,
        settings: RedisConnectionInfo,
        config: AsyncConnectionConfig,
        received: Arc<AtomicU64>,
    ) -> Result<Self, Broken> {
        // The client brings no provider of its own. Whoever installed one
        // before us has chosen, and that is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let read = async |path: &Option<PathBuf>| match path {
            Some(path) => tokio::fs::read(path).await.map(Some),
            None => Ok(None),
        };
        let (certificate, key) = (
            read(&endpoint.tls_cert).await?,
            read(&endpoint.tls_key).await?,
        );
        let certificates = TlsCertificates {
            client_tls: certificate
                .zip(key)
                .map(|(client_cert, client_key)| ClientTlsConfig {
                    client_cert,
                    client_key,
                }),
            root_cert: read(&endpoint.tls_ca).await?,
        };
        let address = ConnectionAddr::TcpTls {
            host: host.to_owned(),
            port,
            insecure: false,
            tls_params: None,
        };
        let nodelay = redis::io::tcp::TcpSettings::default().set_nodelay(true);
        let info = address
            .into_connection_info()?
            .set_redis_settings(settings)
            .set_tcp_settings(nodelay);
        let client = redis::Client::build_with_tls(info, certificates)?;
        let connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        Ok(Self {
            connection,
            received,
            driver: None,
        })
    }

    /// Makes the calls as one pipeline; a server's error is a reply.
    pub(crate) async fn call(&self, calls: &[Call<'_>]) -> Result<Vec<WireReply>, Broken> {
        let mut connection = self.connection.clone();
        if let [call] = calls {
            let reply = connection.send_packed_command(&command(call)).await?;
            return Ok(vec![wire_reply(reply)]);
        }
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = Pipeline::with_capacity(calls.len());
        for call in calls {
            pipeline.add_command(command(call));
        }
        let replies = connection
            .send_packed_commands(&pipeline, 0, calls.len())
            .await?;
        Ok(replies.into_iter().map(wire_reply).collect())
    }

    /// Subscribes, and waits until the server has confirmed it.
    pub(crate) async fn subscribe(&self, channel: &str) -> Result<(), Broken> {
        Ok(self.connection.clone().subscribe(channel).await?)
    }

    /// How many bytes have arrived; over TLS always zero.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

fn settings(target: &Target) -> RedisConnectionInfo {
    let mut settings = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP3)
        .set_lib_name("aside", env!("CARGO_PKG_VERSION"))
        .set_db(i64::from(target.db.unwrap_or(0)));
    if let Some(username) = &target.username {
        settings = settings.set_username(username.expose());
    }
    if let Some(password) = &target.password {
        settings = settings.set_password(password.expose());
    }
    settings
}

fn command(call: &Call<'_>) -> Cmd {
    let (mut words, mut bytes) = (0, 0);
    call.words(|word| {
        words += 1;
        bytes += word.len();
    });
    let mut command = Cmd::with_capacity(words, bytes);
    call.words(|word| {
        command.arg(word);
    });
    command
}

fn wire_reply(value: Value) -> WireReply {
    match value {
        Value::Nil => WireReply::Nil,
        Value::Int(number) => WireReply::Int(number),
        Value::BulkString(bytes) => WireReply::Bytes(bytes),
        Value::Okay => WireReply::Text("OK".to_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => WireReply::Text(text),
        Value::Array(items) => WireReply::Array(items.into_iter().map(wire_reply).collect()),
        Value::Map(pairs) => {
            let items = pairs.into_iter().flat_map(|(field, value)| [field, value]);
            WireReply::Array(items.map(wire_reply).collect())
        }
        Value::ServerError(error) => WireReply::Error(error.code().to_owned()),
        other => WireReply::Text(format!("{other:?}")),
    }
}

/// A stream that counts what arrives: a reply that has begun to arrive is
/// slow, not missing.
struct Metered<S> {
    stream: S,
    received: Arc<AtomicU64>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let arrived = buffer.filled().len() - before;
        self.received.fetch_add(arrived as u64, Ordering::Relaxed);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
