//! Makes a configuration of the files.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use crate::error::{TlsFile, TlsProblem, printable};
use crate::tls::files::Tls;

/// What tells a file from a later one at the same path: device, inode, size and the
/// time of the last change. Of a link, those of the file that it leads to.
type Version = (u64, u64, u64, i64, i64);

/// The version of each file; `None` if it cannot be read.
pub(super) type Versions = [Option<Version>; 3];

impl Tls {
    /// Returns true if a certificate can be for this name or IP address.
    #[must_use]
    pub fn is_possible_name(name: &str) -> bool {
        ServerName::try_from(name).is_ok()
    }

    pub(super) async fn versions(&self) -> Versions {
        let mut versions = Versions::default();
        for (version, path) in versions.iter_mut().zip([&self.ca, &self.cert, &self.key]) {
            if let Some(path) = path {
                *version = version_of(path).await;
            }
        }
        versions
    }

    /// Makes a configuration of the files.
    pub(super) async fn read(&self) -> Result<ClientConfig, TlsProblem> {
        // A program may have chosen another provider.
        let provider = CryptoProvider::get_default().cloned();
        let provider = provider.unwrap_or_else(|| Arc::new(ring::default_provider()));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsProblem::Other(printable(&error.to_string())))?
            .with_root_certificates(self.authorities().await?);
        let (Some(certificate), Some(key)) = (&self.cert, &self.key) else {
            return Ok(config.with_no_client_auth());
        };
        let chain = certificates(TlsFile::Certificate, certificate).await?;
        let secret = PrivateKeyDer::from_pem_slice(&read(TlsFile::Key, key).await?)
            .map_err(|_| unusable(TlsFile::Key, key, "holds no private key in PEM"))?;
        config
            .with_client_auth_cert(chain, secret)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => unusable(
                    TlsFile::Key,
                    key,
                    "does not belong to the client certificate",
                ),
                _ => unusable(TlsFile::Key, key, "holds no usable private key"),
            })
    }

    async fn authorities(&self) -> Result<RootCertStore, TlsProblem> {
        let mut roots = RootCertStore::empty();
        let Some(path) = &self.ca else {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            return Ok(roots);
        };
        for certificate in certificates(TlsFile::Ca, path).await? {
            let added = roots.add(certificate);
            added.map_err(|_| unusable(TlsFile::Ca, path, "holds an unusable certificate"))?;
        }
        Ok(roots)
    }
}

async fn version_of(path: &Path) -> Option<Version> {
    let file = tokio::fs::metadata(path).await.ok()?;
    // The time of the last change of content or metadata, which no program can set.
    let changed = (file.ctime(), file.ctime_nsec());
    Some((file.dev(), file.ino(), file.size(), changed.0, changed.1))
}

/// Returns the certificates in a file, at least one.
async fn certificates(
    file: TlsFile,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsProblem> {
    let pem = read(file, path).await?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let all = all.ok().filter(|all| !all.is_empty());
    all.ok_or_else(|| unusable(file, path, "holds no certificate in PEM"))
}

async fn read(file: TlsFile, path: &Path) -> Result<Vec<u8>, TlsProblem> {
    let read = tokio::fs::read(path).await;
    read.map_err(|error| unusable(file, path, &format!("cannot be read: {error}")))
}

fn unusable(file: TlsFile, path: &Path, reason: &str) -> TlsProblem {
    TlsProblem::File {
        file,
        path: path.to_owned(),
        reason: printable(reason),
    }
}
