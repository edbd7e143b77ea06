//! Connections, from any pool.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;

use diesel_async::AsyncPgConnection;

use crate::error::Error;

/// A connection, which returns to its pool when it is dropped. It derefs to that of
/// diesel-async.
pub struct Connection(Box<dyn DerefMut<Target = AsyncPgConnection> + Send>);

impl Deref for Connection {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        &self.0
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        &mut self.0
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connection").finish_non_exhaustive()
    }
}

type Connecting = Pin<Box<dyn Future<Output = Result<Connection, Error>> + Send>>;

/// Returns connections: a pool of any kind, or no pool. Cloning shares it.
///
/// A pool must not give a connection with an open transaction to the next caller. Those
/// of diesel-async close it: bb8 when it is returned, deadpool when it is taken next.
#[derive(Clone)]
pub struct Connections(Arc<dyn Fn() -> Connecting + Send + Sync>);

impl Connections {
    /// Takes a function that returns a connection: an object of deadpool, an owned
    /// connection of bb8, or a boxed one.
    pub fn new<C, E, F>(connect: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        C: DerefMut<Target = AsyncPgConnection> + Send + 'static,
        E: StdError + Send + Sync + 'static,
        F: Future<Output = Result<C, E>> + Send + 'static,
    {
        Self(Arc::new(move || {
            let connecting = connect();
            Box::pin(async move {
                match connecting.await {
                    Ok(connection) => Ok(Connection(Box::new(connection))),
                    Err(error) => Err(Error::Connection(Arc::new(error))),
                }
            })
        }))
    }

    /// Returns a connection.
    ///
    /// # Errors
    /// [`Error::Connection`].
    pub async fn get(&self) -> Result<Connection, Error> {
        (self.0)().await
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connections")
            .finish_non_exhaustive()
    }
}
