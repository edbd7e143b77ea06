//! The promises of a private PostgreSQL.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use aside_testkit::{PostgresOptions, PostgresServer, StartError};

const SOON: Duration = Duration::from_secs(10);

fn one(text: &str) -> Vec<Vec<Option<String>>> {
    vec![vec![Some(text.into())]]
}

#[test]
fn a_started_server_answers_over_tcp_and_over_its_unix_socket() {
    let postgres = PostgresServer::start().unwrap();
    let port = postgres.port();
    assert_eq!(
        postgres.url(),
        format!("postgres://postgres@127.0.0.1:{port}/postgres")
    );
    assert_eq!(postgres.query("postgres", "SELECT 1 + 1"), one("2"));
    assert_eq!(
        postgres
            .query("postgres", "SELECT NULL; SELECT lower('ЁЖ')")
            .len(),
        2
    );

    let mut client = TcpStream::connect(postgres.address()).unwrap();
    assert_eq!(ask_for_tls(&mut client), "N");
    let socket = postgres.directory().join(format!(".s.PGSQL.{port}"));
    UnixStream::connect(socket).unwrap();
    assert!(postgres.unix_url_of("tales").contains("/tales?host=/"));
}

#[test]
fn a_failed_statement_returns_its_reason() {
    let postgres = PostgresServer::start().unwrap();
    let error = postgres
        .try_query("postgres", "SELECT * FROM nowhere")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("42P01") && error.contains("nowhere"),
        "{error}"
    );
    let error = postgres
        .try_query("atlantis", "SELECT 1")
        .unwrap_err()
        .to_string();
    assert!(error.contains("3D000"), "{error}");
}

#[test]
fn databases_of_one_server_share_no_tables() {
    let postgres = PostgresServer::start().unwrap();
    let url = postgres.create_database("one");
    assert_eq!(url, postgres.url_of("one"));
    postgres.create_database("other");
    postgres.query("one", "CREATE TABLE hero (name text)");
    assert!(postgres.try_query("other", "SELECT * FROM hero").is_err());
}

#[test]
fn settings_reach_the_server() {
    let config = vec!["max_connections=7".into(), "max_wal_senders=0".into()];
    let options = PostgresOptions {
        config,
        ..PostgresOptions::default()
    };
    let postgres = PostgresServer::start_with(options).unwrap();
    assert_eq!(postgres.query("postgres", "SHOW max_connections"), one("7"));
}

#[test]
fn refused_settings_fail_with_the_output_of_the_server() {
    let config = vec!["no_such_setting=1".into()];
    let options = PostgresOptions {
        config,
        ..PostgresOptions::default()
    };
    let error = PostgresServer::start_with(options).unwrap_err();
    assert!(matches!(error, StartError::Failed { .. }));
    assert!(
        format!("{error:?}").contains("no_such_setting"),
        "{error:?}"
    );
}

#[test]
fn a_commit_survives_a_kill_and_the_port_stays() {
    let postgres = PostgresServer::start().unwrap();
    let url = postgres.url();
    postgres.query(
        "postgres",
        "CREATE TABLE hero (name text); INSERT INTO hero VALUES ('Ilya')",
    );
    postgres.kill();
    assert!(TcpStream::connect(postgres.address()).is_err());
    assert!(postgres.try_query("postgres", "SELECT 1").is_err());
    postgres.restart();
    assert_eq!(postgres.url(), url);
    assert_eq!(
        postgres.query("postgres", "SELECT name FROM hero"),
        one("Ilya")
    );
}

#[test]
fn a_running_server_can_be_restarted_under_its_clients() {
    let postgres = PostgresServer::start().unwrap();
    let mut client = TcpStream::connect(postgres.address()).unwrap();
    client.set_read_timeout(Some(SOON)).unwrap();
    assert_eq!(ask_for_tls(&mut client), "N");
    postgres.restart();
    assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
    assert_eq!(postgres.query("postgres", "SELECT 1"), one("1"));
}

#[test]
fn a_stopped_server_keeps_connections_and_replies_later() {
    let postgres = PostgresServer::start().unwrap();
    postgres.stop();
    let mut client = TcpStream::connect(postgres.address()).unwrap();
    client
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    client.write_all(&SSL_REQUEST).unwrap();
    assert!(client.read(&mut [0]).is_err());

    postgres.cont();
    client.set_read_timeout(Some(SOON)).unwrap();
    let mut answer = [0];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"N");
}

#[test]
fn connections_can_be_cut() {
    let postgres = PostgresServer::start().unwrap();
    let mut client = TcpStream::connect(postgres.address()).unwrap();
    client.set_read_timeout(Some(SOON)).unwrap();
    client
        .write_all(b"\0\0\0\x17\0\x03\0\0user\0postgres\0\0")
        .unwrap();
    // Reads up to ReadyForQuery in an idle session.
    let mut seen = Vec::new();
    while !seen.ends_with(b"Z\0\0\0\x05I") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    assert_eq!(postgres.cut_connections(), 1);
    client.read_to_end(&mut seen).unwrap();
}

#[test]
fn dropping_a_server_ends_it_and_removes_its_directory() {
    let postgres = PostgresServer::start().unwrap();
    let (address, directory) = (postgres.address(), postgres.directory().to_owned());
    drop(postgres);
    assert!(TcpStream::connect(address).is_err());
    assert!(!directory.exists());
}

/// An SSLRequest message; the server replies with a single letter.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

fn ask_for_tls(client: &mut TcpStream) -> String {
    client.write_all(&SSL_REQUEST).unwrap();
    let mut answer = [0];
    client.read_exact(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
