//! The promises of a private Redis.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use aside_testkit::{RedisOptions, RedisServer, Reply, StartError, eventually_blocking};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_started_server_answers_over_tcp_and_over_its_unix_socket() {
    let redis = RedisServer::start().unwrap();
    assert_eq!(redis.url(), format!("redis://127.0.0.1:{}/0", redis.port()));
    assert_eq!(
        redis.command(&["SET", "k", "v"]),
        Reply::Status("OK".into())
    );
    assert_eq!(redis.command(&["GET", "k"]), Reply::Bytes(b"v".to_vec()));
    assert!(redis.command(&["GET", "absent"]).is_nil());
    assert!(matches!(redis.command(&["NONSENSE"]), Reply::Error(_)));

    let path = redis.unix_url().strip_prefix("unix://").unwrap().to_owned();
    let mut socket = BufReader::new(UnixStream::connect(path).unwrap());
    socket.get_mut().write_all(b"PING\r\n").unwrap();
    let mut line = String::new();
    socket.read_line(&mut line).unwrap();
    assert_eq!(line, "+PONG\r\n");
}

#[test]
fn two_servers_share_nothing() {
    let (one, other) = (RedisServer::start().unwrap(), RedisServer::start().unwrap());
    one.command(&["SET", "k", "v"]);
    assert!(other.command(&["GET", "k"]).is_nil());
}

#[test]
fn dropping_a_server_ends_it_and_removes_its_directory() {
    let redis = RedisServer::start().unwrap();
    let (address, socket) = (redis.address(), redis.socket());
    drop(redis);
    assert!(TcpStream::connect(address).is_err());
    assert!(!socket.parent().unwrap().exists());
}

#[test]
fn a_stopped_server_can_be_dropped() {
    let redis = RedisServer::start().unwrap();
    redis.stop();
    let address = redis.address();
    drop(redis);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn settings_reach_the_server() {
    let redis = RedisServer::start_with(RedisOptions {
        password: Some("p@ss \"word\"".into()),
        maxmemory_bytes: Some(64 << 20),
        maxmemory_policy: Some("allkeys-lru".into()),
        config: vec!["hz 50".into()],
        ..RedisOptions::default()
    })
    .unwrap();
    let setting = |name| match redis.command(&["CONFIG", "GET", name]) {
        Reply::Array(pair) => pair[1].text().unwrap().to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(setting("maxmemory"), (64 << 20).to_string());
    assert_eq!(setting("maxmemory-policy"), "allkeys-lru");
    assert_eq!(setting("hz"), "50");
    redis.set_config("hz", "60");
    assert_eq!(setting("hz"), "60");

    assert!(
        redis
            .url()
            .starts_with("redis://:p%40ss%20%22word%22@127.0.0.1:")
    );
    let mut stranger = TcpStream::connect(redis.address()).unwrap();
    stranger.write_all(b"PING\r\n").unwrap();
    let mut refusal = [0; 7];
    stranger.read_exact(&mut refusal).unwrap();
    assert_eq!(&refusal, b"-NOAUTH");
}

#[test]
fn a_restart_after_a_kill_loses_everything_on_the_same_port() {
    let redis = RedisServer::start().unwrap();
    let url = redis.url();
    redis.command(&["SET", "k", "v"]);
    redis.kill();
    assert!(redis.try_command(&["PING"]).is_err());
    redis.restart();
    assert_eq!(redis.url(), url);
    assert!(redis.command(&["GET", "k"]).is_nil());
}

#[test]
fn with_appendonly_an_acknowledged_write_survives_a_kill() {
    let options = RedisOptions {
        appendonly: true,
        ..RedisOptions::default()
    };
    let redis = RedisServer::start_with(options).unwrap();
    redis.command(&["SET", "k", "v"]);
    redis.kill();
    redis.restart();
    assert_eq!(redis.command(&["GET", "k"]).text(), Some("v"));
}

#[test]
fn a_running_server_can_be_restarted() {
    let redis = RedisServer::start().unwrap();
    let before = redis.info("server")["run_id"].clone();
    redis.restart();
    assert_ne!(redis.info("server")["run_id"], before);
}

#[test]
fn a_stopped_server_keeps_connections_and_replies_later() {
    let redis = RedisServer::start().unwrap();
    redis.stop();
    let mut client = TcpStream::connect(redis.address()).unwrap();
    client
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    client.write_all(b"PING\r\n").unwrap();
    let mut reply = [0; 7];
    assert!(client.read_exact(&mut reply).is_err());

    redis.cont();
    client.set_read_timeout(Some(SOON)).unwrap();
    client.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"+PONG\r\n");
}

#[test]
fn calls_are_counted_by_command() {
    let redis = RedisServer::start().unwrap();
    assert_eq!(redis.calls("get"), 0);
    redis.command(&["GET", "k"]);
    redis.command(&["EVAL", "return redis.call('GET', 'k')", "0"]);
    assert_eq!(redis.calls("GET"), 2);
    assert_eq!(redis.calls("eval"), 1);
    redis.reset_stats();
    assert_eq!(redis.calls("get"), 0);
}

#[test]
fn subscribers_can_be_cut_off_without_other_clients() {
    let redis = RedisServer::start().unwrap();
    let mut other = TcpStream::connect(redis.address()).unwrap();
    let mut subscriber = TcpStream::connect(redis.address()).unwrap();
    subscriber.set_read_timeout(Some(SOON)).unwrap();
    subscriber.write_all(b"SUBSCRIBE news\r\n").unwrap();
    eventually_blocking(SOON, "the subscription", || {
        redis.command(&["PUBSUB", "NUMSUB", "news"])
            == Reply::Array(vec![Reply::Bytes(b"news".to_vec()), Reply::Integer(1)])
    });

    assert_eq!(redis.client_kill_pubsub(), 1);
    let mut rest = Vec::new();
    subscriber.read_to_end(&mut rest).unwrap();
    other.write_all(b"PING\r\n").unwrap();
    let mut reply = [0; 7];
    other.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"+PONG\r\n");
}

#[test]
fn refused_settings_fail_at_once_with_the_servers_output() {
    let options = RedisOptions {
        config: vec!["no-such-setting 1".into()],
        ..Default::default()
    };
    let started = Instant::now();
    let error = RedisServer::start_with(options).unwrap_err();
    assert!(matches!(error, StartError::Failed { .. }));
    assert!(
        format!("{error:?}").contains("no-such-setting"),
        "{error:?}"
    );
    assert!(started.elapsed() < SOON);
}
