//! A minimal client for operations on a real server.
//!
//! It blocks, and has no deadlines or reconnection: the promises are about the
//! server, and the production client has its own tests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use parking_lot::Mutex;

use crate::protocol::commands::{Call, WireReply, decode, encode};
use crate::protocol::{BoxFuture, Lane, Op, Replies, SharedTier, Unanswered, scripts};

/// A connection.
#[derive(Debug)]
pub(super) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(super) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a server");
        stream.set_nodelay(true).expect("a socket option");
        Self(BufReader::new(stream))
    }

    pub(super) fn send(&mut self, calls: &[Call<'_>]) {
        let mut request = Vec::new();
        for call in calls {
            let (mut count, mut words) = (0, Vec::new());
            call.words(|word| {
                count += 1;
                words.extend(format!("${}\r\n", word.len()).bytes());
                words.extend_from_slice(word);
                words.extend(b"\r\n");
            });
            request.extend(format!("*{count}\r\n").bytes());
            request.extend(words);
        }
        let stream = self.0.get_mut();
        stream.write_all(&request).expect("a server that reads");
    }

    pub(super) fn receive(&mut self) -> WireReply {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).expect("a reply");
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let (kind, rest) = line.split_at(1);
        let number = || rest.parse::<i64>().expect("a number");
        match kind {
            "+" => WireReply::Text(rest.to_owned()),
            "-" => WireReply::Error(rest.to_owned()),
            ":" => WireReply::Int(number()),
            "$" => match usize::try_from(number()) {
                Ok(length) => {
                    let mut bytes = vec![0; length + 2];
                    self.0.read_exact(&mut bytes).expect("a string");
                    bytes.truncate(length);
                    WireReply::Bytes(bytes.into())
                }
                Err(_) => WireReply::Nil,
            },
            "*" => WireReply::Array((0..number()).map(|_| self.receive()).collect()),
            _ => panic!("not a reply: {line}"),
        }
    }

    pub(super) fn ask(&mut self, command: &'static str, words: &[&str]) -> WireReply {
        let call = Call::command(command);
        self.send(&[words.iter().fold(call, |call, word| call.text(word))]);
        self.receive()
    }
}

/// A real server as a shared tier.
#[derive(Debug)]
pub(super) struct Client {
    connection: Mutex<Connection>,
    channel: String,
}

impl Client {
    /// Connects and loads the scripts. Panics if the server computes other
    /// hashes for them.
    pub(super) fn open(address: SocketAddr, channel: &str) -> Self {
        let mut connection = Connection::open(address);
        for script in scripts::all() {
            let loaded = connection.ask("SCRIPT", &["LOAD", script.source]);
            assert_eq!(loaded, WireReply::Bytes(script.sha1.clone().into()));
        }
        Self {
            connection: Mutex::new(connection),
            channel: channel.to_owned(),
        }
    }
}

impl SharedTier for Client {
    fn lane(&self) -> Lane {
        Lane(0)
    }

    fn send(&self, _: Lane, ops: Vec<Op>) -> BoxFuture<'_, Result<Replies, Unanswered>> {
        Box::pin(async move {
            let mut connection = self.connection.lock();
            let calls = encode(&ops, &self.channel);
            connection.send(&calls);
            let replies = calls.iter().map(|_| connection.receive()).collect();
            Ok(decode(&ops, &calls, replies))
        })
    }
}
