//! The promises of a private MariaDB.

use std::net::TcpStream;

use aside_testkit::MariaDbServer;

#[test]
fn a_started_mariadb_runs_statements() {
    let mariadb = MariaDbServer::start().unwrap();
    let address = mariadb.address();
    assert_eq!(mariadb.url(), format!("mysql://root@{address}/test"));
    assert_eq!(mariadb.query("test", "SELECT 1 + 1, NULL"), "2\tNULL");
    TcpStream::connect(address).unwrap();
    let error = mariadb.try_query("test", "SELECT * FROM nowhere");
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("1146") && error.contains("nowhere"),
        "{error}"
    );
}

#[test]
fn databases_of_one_mariadb_share_no_tables() {
    let mariadb = MariaDbServer::start().unwrap();
    let url = mariadb.create_database("one");
    assert_eq!(url, mariadb.url_of("one"));
    mariadb.create_database("other");
    mariadb.query("one", "CREATE TABLE hero (name text)");
    assert!(mariadb.try_query("other", "SELECT * FROM hero").is_err());
}

#[test]
fn a_commit_survives_a_kill_of_mariadb() {
    let mariadb = MariaDbServer::start().unwrap();
    let address = mariadb.address();
    mariadb.query(
        "test",
        "CREATE TABLE hero (name text) ENGINE=InnoDB; INSERT INTO hero VALUES ('Ilya')",
    );
    mariadb.kill();
    assert!(TcpStream::connect(address).is_err());
    mariadb.restart();
    assert_eq!(mariadb.address(), address);
    assert_eq!(mariadb.query("test", "SELECT name FROM hero"), "Ilya");
}

#[test]
fn dropping_a_mariadb_ends_it_and_removes_its_directory() {
    let mariadb = MariaDbServer::start().unwrap();
    let (address, directory) = (mariadb.address(), mariadb.directory().to_owned());
    drop(mariadb);
    assert!(TcpStream::connect(address).is_err());
    assert!(!directory.exists());
}
