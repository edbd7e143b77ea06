//! TLS: certificates that are refused, and files that change.

mod failures;
mod rotation;

use std::fs;
use std::path::{Path, PathBuf};

use aside_redis::{Address, Call, Error, Tls, TlsClient};
use aside_testkit::servers::Server;
use aside_testkit::{Authority, Certificate, RedisOptions, RedisServer, RedisTls};
use tempfile::TempDir;

use crate::client::{Client, SOON};

fn start(server: &Server, tls: RedisTls) -> RedisServer {
    let options = RedisOptions {
        tls: Some(tls),
        ..server.options()
    };
    RedisServer::start_with(options).unwrap_or_else(|error| panic!("{server}: {error}"))
}

fn at(host: &str, port: u16) -> Address {
    Address::Tls {
        host: host.to_owned(),
        port,
    }
}

/// Opens a connection and has a PING answered.
async fn ping(address: &Address, tls: &TlsClient) -> Result<(), Error> {
    let client = Client::open_over(address, tls, SOON, None).await?;
    client.connection.call(&[Call::command("PING")]).await?;
    Ok(())
}

/// Files of a client, in a directory that lasts as long as this.
struct Files {
    directory: TempDir,
}

impl Files {
    fn of(authority: &Authority) -> Self {
        let files = Self {
            directory: tempfile::tempdir().expect("a directory"),
        };
        files.write("ca.pem", authority.pem());
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Puts a file in place of another at once, as an operator should.
    fn write(&self, name: &str, text: &str) {
        let new = self.path("new");
        fs::write(&new, text).expect("a file");
        fs::rename(new, self.path(name)).expect("its place");
    }

    /// Returns a client that trusts `ca.pem`.
    fn trusting(&self) -> Tls {
        Tls {
            ca: Some(self.path("ca.pem")),
            ..Tls::default()
        }
    }

    /// Returns a client that also shows a certificate.
    fn showing(&self, certificate: &Certificate) -> Tls {
        let [cert, key] = written(certificate, self.directory.path());
        Tls {
            cert: Some(cert),
            key: Some(key),
            ..self.trusting()
        }
    }
}

fn written(certificate: &Certificate, directory: &Path) -> [PathBuf; 2] {
    certificate
        .write_to(directory, "client")
        .expect("two files")
}
