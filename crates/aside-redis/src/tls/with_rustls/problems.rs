//! The failures that rustls reports, by their remedies.

use std::io;

use rustls::{AlertDescription, CertificateError};

use crate::error::{TlsProblem, printable};

/// Returns the failure of TLS in an error of a stream, if it is one.
pub(crate) fn of_stream(error: &io::Error) -> Option<TlsProblem> {
    let inner = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(of(inner))
}

/// Returns the failure of a handshake.
pub(crate) fn of_handshake(error: &io::Error) -> TlsProblem {
    of_stream(error).unwrap_or_else(|| match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => TlsProblem::Closed,
        _ => TlsProblem::Other(printable(&error.to_string())),
    })
}

fn of(error: &rustls::Error) -> TlsProblem {
    match error {
        rustls::Error::InvalidMessage(_) => TlsProblem::NotTls,
        rustls::Error::InvalidCertificate(refusal) => of_certificate(refusal),
        rustls::Error::AlertReceived(alert) => of_alert(*alert),
        other => TlsProblem::Other(printable(&other.to_string())),
    }
}

fn of_certificate(refusal: &CertificateError) -> TlsProblem {
    match refusal {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsProblem::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            TlsProblem::NotValidYet
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            TlsProblem::UnknownAuthority
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => TlsProblem::OtherName {
            expected: printable(&expected.to_str()),
            presented: names(presented),
        },
        other => TlsProblem::Other(printable(&other.to_string())),
    }
}

/// Of TLS 1.3, a client learns only behind its handshake that the server refuses
/// its certificate.
fn of_alert(alert: AlertDescription) -> TlsProblem {
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            TlsProblem::NoClientCertificate
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => TlsProblem::ClientCertificate(format!("{alert:?}")),
        other => TlsProblem::Other(format!("the server sent the alert {other:?}")),
    }
}

/// Returns the names of a certificate for a log. Rustls writes them as
/// `DnsName("a")` and `IpAddress(1.2.3.4)`.
fn names(presented: &[String]) -> String {
    const MAX_NAMES: usize = 5;
    let bare = |name: &String| {
        let name = name.split_once('(').map_or(&**name, |(_, name)| name);
        format!("`{}`", name.trim_matches(['"', ')']))
    };
    let mut shown: Vec<String> = presented.iter().take(MAX_NAMES).map(bare).collect();
    if presented.len() > MAX_NAMES {
        shown.push("others".to_owned());
    }
    match shown.is_empty() {
        true => "no name".to_owned(),
        false => printable(&shown.join(", ")),
    }
}
