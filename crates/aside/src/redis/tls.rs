//! Failures of TLS, with advice for the operator.

use aside_redis::{TlsFile, TlsProblem};

use crate::redis::broken::Broken;

/// The advice for a server that replies in TLS.
pub(super) const ENCRYPTED: &str = "; REDIS_URL must begin with rediss://, or name the server's \
     port without TLS";

/// The advice for a server that hangs up on a client without TLS, as Redis does on
/// its TLS port.
pub(super) const PERHAPS_ENCRYPTED: &str = "; if its port requires TLS, REDIS_URL must begin \
     with rediss://";

/// The advice for a server that does not reply in TLS.
const PLAIN: &str = "; REDIS_URL begins with rediss:// and must name the server's TLS port \
     (tls-port); without TLS it begins with redis://";

/// Returns the error for a failure of TLS, with the setting to change.
pub(super) fn broken(problem: &TlsProblem) -> Broken {
    let said = format!("{problem}{}", advice(problem));
    match problem {
        TlsProblem::NoReply | TlsProblem::Closed => Broken::because(&said),
        _ => Broken::refused(&said),
    }
}

fn advice(problem: &TlsProblem) -> &'static str {
    match problem {
        TlsProblem::File { file, .. } => match file {
            TlsFile::Ca => "; REDIS_TLS_CA must name a readable file with certificates in PEM",
            TlsFile::Certificate => {
                "; REDIS_TLS_CERT must name a readable file with a certificate in PEM"
            }
            TlsFile::Key => {
                "; REDIS_TLS_KEY must name a readable file with the key of REDIS_TLS_CERT in PEM"
            }
        },
        TlsProblem::ImpossibleName(_) => {
            "; set REDIS_TLS_SERVER_NAME to a name in the server's certificate"
        }
        TlsProblem::OtherName { .. } => {
            "; use a name of the certificate in REDIS_URL, or set REDIS_TLS_SERVER_NAME to it"
        }
        TlsProblem::NotBuilt => {
            "; REDIS_URL begins with rediss://, which needs the feature `tls` of aside"
        }
        TlsProblem::NoReply | TlsProblem::NotTls | TlsProblem::Closed => PLAIN,
        TlsProblem::Expired => {
            "; renew the certificate in the server's tls-cert-file, or set this machine's clock"
        }
        TlsProblem::NotValidYet => "; set the clock of this machine or of the server's authority",
        TlsProblem::UnknownAuthority => {
            "; REDIS_TLS_CA must name the certificate of the authority that signed it"
        }
        TlsProblem::NoClientCertificate => {
            "; set REDIS_TLS_CERT and REDIS_TLS_KEY, or the server's tls-auth-clients to no"
        }
        TlsProblem::ClientCertificate(_) => {
            "; REDIS_TLS_CERT must name a valid certificate that the server's tls-ca-cert-file \
             trusts"
        }
        _ => "",
    }
}
