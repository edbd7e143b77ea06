//! Attacks by clients that can only reach the port, and their effect on others.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use aside_testkit::eventually_blocking;
use rustix::process::Signal;
use tempfile::TempDir;

use super::{Service, signal, tales};
use crate::http::hero;

const SERVE: &[&str] = &["serve", "--listen", "127.0.0.1:0"];
const BEGUN_BODY: &str = "POST /heroes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
    Content-Length: 100\r\n\r\n{";
const BEGUN_HEADER: &str = "GET / HTTP/1.1\r\nHost: a\r\nX: ";

fn serve(directory: &TempDir) -> Command {
    let mut command = tales(directory.path(), SERVE);
    command.env("REDIS_URL", "memory://");
    command
}

/// Returns the same command with this limit of open files.
fn serve_with_files(directory: &TempDir, files: u32) -> Command {
    serve_within(directory, &format!("ulimit -n {files}"))
}

/// Returns the same command, run after this shell command.
fn serve_within(directory: &TempDir, limit: &str) -> Command {
    let plain = serve(directory);
    let mut command = Command::new("sh");
    let limited = format!("{limit}; exec \"$0\" \"$@\"");
    command.arg("-c").arg(limited).arg(plain.get_program());
    command.args(plain.get_args()).current_dir(directory.path());
    command.env_clear();
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command
}

/// Opens connections, each of which sends this text.
fn crowd(service: &Service, count: usize, sent: &str) -> Vec<TcpStream> {
    let connect = || {
        let mut stream = service.connect();
        // A refused connection already has its response.
        let _ = stream.write_all(sent.as_bytes());
        stream
    };
    (0..count).map(|_| connect()).collect()
}

fn seconds(asked: impl FnOnce() -> String) -> (String, f64) {
    let begun = Instant::now();
    let answer = asked();
    (answer, begun.elapsed().as_secs_f64())
}

#[test]
fn bodies_sent_byte_by_byte_delay_no_read() {
    let directory = TempDir::new().unwrap();
    let service = Service::start(&mut serve(&directory));
    let added = service.ask("POST /heroes HTTP/1.1", &hero("Ada").to_string());
    let path = added.split("location: ").nth(1).unwrap();
    let path = path.split("\r\n").next().unwrap();
    service.get(path);
    let mut slow = crowd(&service, 300, BEGUN_BODY);
    for _ in 0..3 {
        for stream in &mut slow {
            stream.write_all(b" ").unwrap();
        }
        let (answer, elapsed) = seconds(|| service.get(path));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(elapsed < 2.0, "{elapsed} s");
    }
    let created = service.ask("POST /heroes HTTP/1.1", &hero("Eve").to_string());
    assert!(created.starts_with("HTTP/1.1 201"), "{created}");
}

#[test]
fn endless_headers_exclude_no_other_client() {
    exclude_no_other_client(BEGUN_HEADER);
}

#[test]
fn endless_bodies_exclude_no_other_client() {
    exclude_no_other_client(BEGUN_BODY);
}

/// Opens more connections than there are seats, and reads meanwhile.
fn exclude_no_other_client(begun: &str) {
    let directory = TempDir::new().unwrap();
    let service = Service::start(&mut serve_with_files(&directory, 256));
    let mut slow = crowd(&service, 300, begun);
    for _ in 0..3 {
        for stream in &mut slow {
            let _ = stream.write_all(b"a");
        }
        for path in ["/health", "/heroes"] {
            let (answer, elapsed) = seconds(|| service.get(path));
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert!(elapsed < 5.0, "{elapsed} s");
        }
    }
}

#[test]
fn two_thousand_idle_connections_exclude_no_client() {
    let directory = TempDir::new().unwrap();
    let service = Service::start(&mut serve_with_files(&directory, 1024));
    // This process has a limit of open files, and runs other tests meanwhile.
    let (mut open, mut count) = (Vec::new(), 0);
    while count < 2000 {
        let Ok(stream) = TcpStream::connect(&service.address) else {
            break;
        };
        open.push(stream);
        count += 1;
    }
    assert!(900 < count, "{count}");
    let (answer, elapsed) = seconds(|| service.get("/health"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(elapsed < 5.0, "{elapsed} s");
}

#[test]
fn an_unfinished_header_does_not_delay_the_stop() {
    for begun in [BEGUN_HEADER, ""] {
        let directory = TempDir::new().unwrap();
        let mut service = Service::start(&mut serve(&directory));
        let _slow = crowd(&service, 3, begun);
        service.get("/health/live");
        let told = Instant::now();
        signal(&service.child, Signal::TERM);
        assert_eq!(service.child.wait().unwrap().code(), Some(0));
        assert!(told.elapsed() < Duration::from_secs(8), "{begun}");
    }
}

#[test]
fn a_token_in_a_query_is_not_logged() {
    let directory = TempDir::new().unwrap();
    let log = directory.path().join("log");
    let mut command = serve(&directory);
    command.env("LOG_LEVEL", "trace");
    command.env("ADMIN_TOKEN", "open-sesame-open-sesame");
    let service = Service::start_with_log(&mut command, File::create(&log).unwrap());
    for path in ["/cache/stats", "/heroes", "/no/such/route"] {
        let answer = service.get(&format!("{path}?token=open-sesame-open-sesame"));
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    eventually_blocking(Duration::from_secs(10), "the requests in the log", || {
        let log = fs::read_to_string(&log).unwrap();
        log.contains("GET /cache/stats") && log.contains("GET /no/such/route")
    });
    assert!(!fs::read_to_string(&log).unwrap().contains("sesame"));
}

/// Sends a request like nginx with only `proxy_pass http://127.0.0.1:PORT;`.
fn as_nginx(address: &str, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\
         User-Agent: curl/8\r\nAccept: */*\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn without_a_token_the_public_listener_has_no_admin_routes() {
    let directory = TempDir::new().unwrap();
    let service = Service::start(&mut serve(&directory));
    for (method, path) in [
        ("GET", "/cache/stats"),
        ("GET", "/cache/explain?key=hero:all"),
        ("GET", "/cache/events"),
        ("DELETE", "/cache/hero"),
        ("POST", "/cache/warm"),
    ] {
        for answer in [
            service.ask(&format!("{method} {path} HTTP/1.1"), ""),
            as_nginx(&service.address, method, path),
        ] {
            assert!(answer.contains(" 403 "), "{method} {path}: {answer}");
            assert!(answer.contains("ADMIN_TOKEN") && answer.contains("ADMIN_LISTEN"));
        }
    }
}

#[test]
fn the_admin_listener_serves_local_clients_but_no_proxy() {
    let directory = TempDir::new().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let mut command = serve(&directory);
    let _service = Service::start(command.env("ADMIN_LISTEN", &address));
    let ask = |head: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "{head}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let host = format!("Host: {address}");
    let stats = format!("GET /cache/stats HTTP/1.1\r\n{host}");
    assert!(ask(&stats).starts_with("HTTP/1.1 200"));
    for refused in [
        format!("{stats}\r\nX-Forwarded-For: 10.0.0.1"),
        format!("{stats}\r\nX-Envoy-External-Address: 10.0.0.1"),
        format!("{stats}\r\nOrigin: https://evil.example"),
        "GET /cache/stats HTTP/1.1\r\nHost: shop.example".to_owned(),
    ] {
        let answer = ask(&refused);
        assert!(answer.starts_with("HTTP/1.1 403"), "{refused}: {answer}");
    }
    let proxied = as_nginx(&address, "DELETE", "/cache/hero");
    assert!(proxied.contains(" 403 "), "{proxied}");
    // The listener serves nothing else.
    let tales = ask(&format!("GET /heroes HTTP/1.1\r\n{host}"));
    assert!(tales.starts_with("HTTP/1.1 404"), "{tales}");
}

#[test]
fn the_admin_socket_is_private_and_removed_at_the_end() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("admin.sock");
    // A killed service left this socket.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let mut command = serve(&directory);
    let mut service = Service::start(command.env("ADMIN_LISTEN", &path));
    let mode = fs::metadata(&path).unwrap().permissions();
    let mode = std::os::unix::fs::PermissionsExt::mode(&mode);
    assert_eq!(mode & 0o777, 0o600);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream
        .write_all(b"GET /cache/stats HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    signal(&service.child, Signal::TERM);
    assert_eq!(service.child.wait().unwrap().code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn an_admin_socket_replaces_nothing_but_a_dead_socket() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "precious").unwrap();
    std::os::unix::fs::symlink("file", directory.path().join("link")).unwrap();
    for listen in ["unix:file", "unix:link"] {
        // The listeners come before the database, which it cannot open.
        let serve = ["serve", "--listen", "127.0.0.1:0", "--database", "sqlite:/"];
        let mut command = tales(directory.path(), &serve);
        command.env("REDIS_URL", "memory://");
        let (code, _, said) = super::run(command.env("ADMIN_LISTEN", listen));
        assert_eq!(code, 1);
        assert!(said.contains("is no socket: name another path"), "{said}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    }
}

#[test]
fn a_public_admin_listener_is_refused_at_start() {
    let directory = TempDir::new().unwrap();
    for listen in ["0.0.0.0:9090", "[::]:9090", "10.0.0.1:9090", "9090"] {
        let mut command = serve(&directory);
        let (code, _, err) = super::run(command.env("ADMIN_LISTEN", listen));
        assert_eq!(code, 2, "{err}");
        assert!(
            err.contains("ADMIN_LISTEN") && err.contains("loopback"),
            "{err}"
        );
    }
}

#[test]
fn a_database_that_is_full_is_logged_once() {
    let directory = TempDir::new().unwrap();
    let log = directory.path().join("log");
    // No file may exceed a megabyte; a longer write fails.
    let mut command = serve_within(&directory, "trap '' XFSZ; ulimit -f 2048");
    let service = Service::start_with_log(&mut command, File::create(&log).unwrap());
    let mut body = crate::http::story("A story");
    body["content"] = "x".repeat(200_000).into();
    let add = || service.ask("POST /stories HTTP/1.1", &body.to_string());
    let (mut stored, mut failed) = (0, 0);
    while failed < 5 {
        match add() {
            answer if answer.starts_with("HTTP/1.1 201") => stored += 1,
            answer if answer.starts_with("HTTP/1.1 500") => failed += 1,
            answer => panic!("{answer}"),
        }
        assert!(stored < 100, "it never gets full");
        // Reads continue, and do not restart the logging.
        let read = service.get("/stories?limit=1");
        assert!(read.starts_with("HTTP/1.1 200"), "{read}");
    }
    let log = fs::read_to_string(&log).unwrap();
    let errors = log.lines().filter(|line| line.contains("ERROR")).count();
    assert_eq!(errors, 1, "{log}");
    assert!(log.contains("the database failed"), "{log}");
}
