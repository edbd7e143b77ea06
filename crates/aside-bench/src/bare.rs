//! The code that a service would write without a cache library: one multiplexed
//! connection of the Redis client, and a text that is decoded.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::Wrong;

/// Opens a connection with the same options as the library's own.
pub(crate) async fn connect(url: &str) -> Result<MultiplexedConnection, Wrong> {
    let connection = async {
        let info = url.into_connection_info()?;
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        Client::open(info)?
            .get_multiplexed_async_connection_with_config(&config)
            .await
    };
    connection
        .await
        .map_err(|error: redis::RedisError| Wrong(error.to_string()))
}

#[derive(Deserialize)]
struct OfRow<E> {
    entity: E,
}

#[derive(Deserialize)]
struct OfList<E> {
    entities: Vec<E>,
}

/// Returns the row in a value: removes the header, checks the UTF-8, decodes.
pub(crate) fn row<E: DeserializeOwned>(value: &[u8]) -> Arc<E> {
    let decoded: OfRow<E> = serde_json::from_str(payload(value)).expect("the library wrote it");
    Arc::new(decoded.entity)
}

/// Returns the list in a value in the same manner.
pub(crate) fn list<E: DeserializeOwned>(value: &[u8]) -> Arc<[Arc<E>]> {
    let decoded: OfList<E> = serde_json::from_str(payload(value)).expect("the library wrote it");
    decoded.entities.into_iter().map(Arc::new).collect()
}

fn payload(value: &[u8]) -> &str {
    let header = value.iter().position(|byte| *byte == b'\n');
    let payload = &value[header.map_or(0, |end| end + 1)..];
    std::str::from_utf8(payload).expect("values are text")
}
