//! A minimal client for operations on a real server.
//!
//! It blocks, and has no deadlines or reconnection: the promises are about the
//! server, and the production client has its own tests.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use aside_redis::{
    Call, Limits, WireReply,
    resp::{Incoming, Sent, write_call},
};
use parking_lot::Mutex;

use crate::protocol::commands::{decode, encode};
use crate::protocol::{BoxFuture, Op, Replies, SharedTier, Traffic, Unanswered, scripts};

/// Longer strings than any value of these tests.
const LIMITS: Limits = Limits {
    max_string_bytes: 1 << 23,
    cut_bytes: 0,
};

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    incoming: Incoming,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a server");
        stream.set_nodelay(true).expect("a socket option");
        let incoming = Incoming::new(LIMITS);
        Self { stream, incoming }
    }

    pub(super) fn send(&mut self, calls: &[Call<'_>]) {
        let mut request = Vec::new();
        calls.iter().for_each(|call| write_call(call, &mut request));
        self.stream
            .write_all(&request)
            .expect("a server that reads");
    }

    pub(super) fn receive(&mut self) -> WireReply {
        let mut bytes = [0; 4096];
        loop {
            match self.incoming.next_sent().expect("replies of a Redis") {
                Some(Sent::Reply(reply)) => return reply,
                Some(push) => panic!("pushed without HELLO 3: {push:?}"),
                None => {}
            }
            let read = self.stream.read(&mut bytes).expect("a reply");
            assert!(read > 0, "the server hung up");
            self.incoming.room().extend_from_slice(&bytes[..read]);
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
            let loaded = connection.ask("SCRIPT", &["LOAD", script.source()]);
            assert_eq!(loaded, WireReply::Bytes(script.sha1().to_owned().into()));
        }
        Self {
            connection: Mutex::new(connection),
            channel: channel.to_owned(),
        }
    }
}

impl SharedTier for Client {
    fn send(&self, _: Traffic, ops: Vec<Op>) -> BoxFuture<'_, Result<Replies, Unanswered>> {
        Box::pin(async move {
            let mut connection = self.connection.lock();
            let calls = encode(&ops, &self.channel, true);
            connection.send(&calls);
            let replies = calls.iter().map(|_| connection.receive()).collect();
            Ok(decode(&ops, &calls, replies))
        })
    }
}
