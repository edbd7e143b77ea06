//! As whom a connection authenticates: asked anew for each one, so that a
//! password can change while the service runs.
//!
//! A connection that is authenticated stays so: servers do not ask again when a
//! password changes or a token expires, or they close the connection, and then
//! the next one authenticates with what is valid by then. So nothing is sent
//! again on a connection that is open.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::secret::Secret;

/// As whom to authenticate at Redis.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub(crate) username: Option<Secret>,
    pub(crate) password: Secret,
}

impl Credentials {
    /// The user `default` with this password, or token.
    pub fn of_default_user(password: impl Into<String>) -> Self {
        Self {
            username: None,
            password: Secret::new(password),
        }
    }

    /// A user with this password, or token.
    pub fn of_user(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            username: Some(Secret::new(username)),
            password: Secret::new(password),
        }
    }
}

/// Why there are no credentials. Its text is logged, so it must hold no secret.
pub type CredentialsError = Box<dyn Error + Send + Sync>;

/// Gives credentials that do not last, such as the tokens of a cloud; for
/// [`CacheService::connect_with`](crate::CacheService::connect_with).
///
/// ```
/// use aside::{Credentials, CredentialsError, CredentialsProvider};
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
    /// Asked at each connection, of which a service opens five, and whenever
    /// one is opened again.
    ///
    /// It has `REDIS_SOCKET_TIMEOUT` together with the connection; then it is
    /// dropped, and asked again by the next attempt. An error is logged once and
    /// tried again at least once a second; reads come from the database
    /// meanwhile.
    ///
    /// # Errors
    /// There are none now. The text is logged, so it must hold no secret.
    fn credentials(&self) -> impl Future<Output = Result<Credentials, CredentialsError>> + Send;
}

type Asked<'a> =
    std::pin::Pin<Box<dyn Future<Output = Result<Credentials, CredentialsError>> + Send + 'a>>;

/// A provider without its type.
trait AnyProvider: Send + Sync {
    fn ask(&self) -> Asked<'_>;
}

impl<P: CredentialsProvider> AnyProvider for P {
    fn ask(&self) -> Asked<'_> {
        Box::pin(self.credentials())
    }
}

/// Where credentials come from.
#[derive(Clone)]
pub(crate) enum Authentication {
    /// They are known once and for all, or there are none.
    Fixed(Option<Credentials>),
    /// The password stands in a file.
    File {
        username: Option<Secret>,
        path: PathBuf,
    },
    Provider(Provider),
}

/// Somebody who is asked for credentials.
#[derive(Clone)]
pub(crate) struct Provider(Arc<dyn AnyProvider>);

impl Provider {
    pub(crate) fn new(provider: impl CredentialsProvider) -> Self {
        Self(Arc::new(provider))
    }
}

impl Authentication {
    /// What is valid now, or why that is not known.
    pub(crate) async fn credentials(&self) -> Result<Option<Credentials>, String> {
        match self {
            Self::Fixed(credentials) => Ok(credentials.clone()),
            Self::File { username, path } => {
                let text = tokio::fs::read_to_string(path)
                    .await
                    .map_err(|error| unreadable(path, &error.to_string()))?;
                Ok(Some(Credentials {
                    username: username.clone(),
                    password: password_of(path, text)?,
                }))
            }
            Self::Provider(Provider(provider)) => {
                let asked = provider.ask().await;
                asked.map(Some).map_err(|error| error.to_string())
            }
        }
    }
}

/// The password that a file holds: all of it, but the end of its last line.
fn password_of(path: &Path, mut text: String) -> Result<Secret, String> {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    match text.is_empty() {
        true => Err(unreadable(path, "it is empty")),
        false => Ok(Secret::new(text)),
    }
}

fn unreadable(path: &Path, reason: &str) -> String {
    let path = path.display();
    format!("REDIS_PASSWORD_FILE ({path}) holds no password: {reason}")
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
    fn a_password_of_a_file_is_all_of_it_but_the_last_line_end() {
        let path = Path::new("password");
        for (text, password) in [
            ("open sesame", "open sesame"),
            ("open sesame\n", "open sesame"),
            ("open sesame\r\n", "open sesame"),
            (" open\nsesame \n\n", " open\nsesame \n"),
        ] {
            let read = password_of(path, text.to_owned()).unwrap();
            assert_eq!(read.expose(), password);
        }
        for nothing in ["", "\n", "\r\n"] {
            assert!(password_of(path, nothing.to_owned()).is_err());
        }
    }
}
