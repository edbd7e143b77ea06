//! Certificates for tests of TLS, and the authority that signs them.
//!
//! They are made anew for every test, in milliseconds. Certificates in files
//! expire, and each case (another name, another authority, an expired one)
//! would need its own file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// A certificate authority of one test.
///
/// ```
/// use aside_testkit::Authority;
///
/// let authority = Authority::new();
/// let by_name = authority.issue(&["localhost"]);
/// let by_address = authority.issue(&["127.0.0.1"]);
/// let expired = authority.issue_expired(&["localhost", "127.0.0.1"]);
/// assert_ne!(by_name, by_address);
/// assert_ne!(by_name, expired);
/// ```
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its private key.
///
/// Servers and clients may both use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate, in PEM.
    pub pem: String,
    /// The private key, in PEM.
    pub key: String,
}

impl Authority {
    /// Creates an authority that no client trusts yet.
    ///
    /// # Panics
    ///
    /// If the system has no random numbers.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        // Two authorities of one name would be taken for one with a wrong key.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut params = params(&[], &format!("authority {number} of tests"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("random numbers");
        let certificate = params.self_signed(&key).expect("a valid certificate");
        Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Returns the authority's certificate, in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Issues a certificate for these DNS names and IP addresses.
    ///
    /// # Panics
    ///
    /// If a name is no name that a certificate may have.
    pub fn issue(&self, names: &[&str]) -> Certificate {
        self.sign(&params(names, names.first().unwrap_or(&"a client")))
    }

    /// Issues a certificate that has expired.
    ///
    /// # Panics
    ///
    /// If a name is no name that a certificate may have.
    pub fn issue_expired(&self, names: &[&str]) -> Certificate {
        let mut params = params(names, "expired");
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Certificate {
        let key = KeyPair::generate().expect("random numbers");
        let signed = params.signed_by(&key, &self.issuer);
        Certificate {
            pem: signed.expect("a valid certificate").pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Certificate {
    /// Writes `NAME.pem` and `NAME.key` into a directory, and returns their
    /// paths.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn write_to(&self, directory: &Path, name: &str) -> io::Result<[PathBuf; 2]> {
        let files = ["pem", "key"].map(|kind| directory.join(format!("{name}.{kind}")));
        fs::write(&files[0], &self.pem)?;
        fs::write(&files[1], &self.key)?;
        Ok(files)
    }
}

fn params(names: &[&str], subject: &str) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
    let mut params = CertificateParams::new(names).expect("names of a certificate");
    params.distinguished_name.push(DnType::CommonName, subject);
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}
