//! Credentials, fetched anew for each connection, so that a password can change
//! while the service runs.
//!
//! Nothing is sent again on an open connection. If a password changes or a
//! token expires, a server either keeps an authenticated connection or closes
//! it. In the second case the next connection uses the new credentials.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use aside_redis::Secret;

/// A user and password for Redis.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub(crate) username: Option<Secret>,
    pub(crate) password: Secret,
}

impl Credentials {
    /// Creates credentials of the user `default` with this password or token.
    pub fn of_default_user(password: impl Into<String>) -> Self {
        Self {
            username: None,
            password: Secret::new(password),
        }
    }

    /// Creates credentials of a user with this password or token.
    pub fn of_user(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            username: Some(Secret::new(username)),
            password: Secret::new(password),
        }
    }
}

/// The reason why there are no credentials. Its text is logged, so it must not
/// contain a secret.
pub type CredentialsError = Box<dyn Error + Send + Sync>;

/// Provides credentials that expire, such as a cloud's tokens; for
/// [`CacheService::connect_with`](crate::CacheService::connect_with).
///
/// ```
/// use aside::settings::{Credentials, CredentialsError, CredentialsProvider};
///
/// struct Tokens;
///
/// impl CredentialsProvider for Tokens {
///     async fn credentials(&self) -> Result<Credentials, CredentialsError> {
///         let token = std::env::var("TOKEN")?; // or a request to a token service
///         Ok(Credentials::of_user("tales", token))
///     }
/// }
/// ```
pub trait CredentialsProvider: Send + Sync + 'static {
    /// Returns the credentials for a new connection. A service opens five at
    /// start, and replaces each that closes.
    ///
    /// The call shares `REDIS_SOCKET_TIMEOUT` with connecting; after that it is
    /// dropped, and the next attempt calls again. An error is logged once and
    /// retried at least once per second; until it succeeds, reads come from the
    /// database.
    ///
    /// # Errors
    /// If there are none now. The text is logged, so it must not contain a
    /// secret.
    fn credentials(&self) -> impl Future<Output = Result<Credentials, CredentialsError>> + Send;
}

type Asking<'a> =
    std::pin::Pin<Box<dyn Future<Output = Result<Credentials, CredentialsError>> + Send + 'a>>;

/// A provider with its type erased.
trait AnyProvider: Send + Sync {
    fn ask(&self) -> Asking<'_>;
}

impl<P: CredentialsProvider> AnyProvider for P {
    fn ask(&self) -> Asking<'_> {
        Box::pin(self.credentials())
    }
}

/// The source of credentials.
#[derive(Clone)]
pub(crate) enum Authentication {
    /// Fixed for the life of the service, or absent.
    Fixed(Option<Credentials>),
    /// A file contains the password.
    File {
        username: Option<Secret>,
        path: PathBuf,
        /// The setting that names the file.
        setting: &'static str,
    },
    Provider(Provider),
}

/// A provider of credentials.
#[derive(Clone)]
pub(crate) struct Provider(Arc<dyn AnyProvider>);

impl Provider {
    pub(crate) fn new(provider: impl CredentialsProvider) -> Self {
        Self(Arc::new(provider))
    }
}

impl Authentication {
    /// Returns the credentials that are valid now, or the reason why there are
    /// none.
    pub(crate) async fn credentials(&self) -> Result<Option<Credentials>, String> {
        match self {
            Self::Fixed(credentials) => Ok(credentials.clone()),
            Self::File {
                username,
                path,
                setting,
            } => {
                let read = tokio::fs::read_to_string(path).await;
                let password = read
                    .map_err(|error| error.to_string())
                    .and_then(password_in);
                let unreadable = |reason| {
                    let path = path.display();
                    format!("{setting} ({path}) holds no password: {reason}")
                };
                Ok(Some(Credentials {
                    username: username.clone(),
                    password: password.map_err(unreadable)?,
                }))
            }
            Self::Provider(Provider(provider)) => {
                let asked = provider.ask().await;
                asked.map(Some).map_err(|error| error.to_string())
            }
        }
    }
}

/// Returns the password in the text of a file: all of it without the final line end.
fn password_in(mut text: String) -> Result<Secret, String> {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    match text.is_empty() {
        true => Err("it is empty".to_owned()),
        false => Ok(Secret::new(text)),
    }
}

impl fmt::Debug for Authentication {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Fixed(None) => "None",
            Self::Fixed(Some(_)) => "Fixed(...)",
            Self::File { .. } => "File(...)",
            Self::Provider(_) => "Provider(...)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_file_loses_only_its_last_line_end() {
        for (text, password) in [
            ("open sesame", "open sesame"),
            ("open sesame\n", "open sesame"),
            ("open sesame\r\n", "open sesame"),
            (" open\nsesame \n\n", " open\nsesame \n"),
        ] {
            let read = password_in(text.to_owned()).unwrap();
            assert_eq!(read.expose(), password);
        }
        for nothing in ["", "\n", "\r\n"] {
            assert!(password_in(nothing.to_owned()).is_err());
        }
    }
}
