//! Exit codes, and the failures that end a command.

use std::fmt;

use aside::ops::OpsError;

/// The exit code of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Code {
    /// Done, and the answer is good.
    Good = 0,
    /// Done, and the answer is bad.
    Bad = 1,
    /// Wrong arguments or settings; nothing was tried.
    Usage = 2,
    /// Redis or the instance did not answer in time.
    Unreachable = 3,
    /// The user or the token is refused.
    NotPermitted = 4,
    /// Begun, and not confirmed.
    Unconfirmed = 5,
}

impl Code {
    /// Returns its name in `--json`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Usage => "usage",
            Self::Unreachable => "unreachable",
            Self::NotPermitted => "not_permitted",
            Self::Unconfirmed => "unconfirmed",
        }
    }
}

/// The reason why a command ends without an answer.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl From<OpsError> for Failure {
    fn from(error: OpsError) -> Self {
        let (code, hint) = match &error {
            OpsError::Unreachable { .. } => (
                Code::Unreachable,
                "try: --at http://HOST:PORT with ADMIN_TOKEN, or check REDIS_URL",
            ),
            OpsError::NotPermitted { .. } => (
                Code::NotPermitted,
                "compare the user with `A Redis user for aside` in docs/operations.md",
            ),
            _ => (Code::Usage, "see docs/settings.md"),
        };
        Self::new(code, error.to_string()).with_hint(hint)
    }
}
