//! A recorder on the network between an instance and its Redis.
//!
//! It forwards everything and records the client's commands. Commands that were
//! sent without a reply in between are one trip. Scripts are shown by the names
//! under which they were loaded. Commands that open a connection or keep it
//! alive are left out.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// The scripts in the order in which a connection loads them.
const SCRIPTS: [&str; 12] = [
    "ACQUIRE",
    "FILL",
    "ABANDON",
    "QUARANTINE",
    "RELEASE",
    "INVALIDATE",
    "BUMP",
    "HISTORY",
    "STAMP",
    "REFRESH",
    "ANNOUNCE",
    "ANNOUNCED",
];

pub(crate) struct Tap {
    address: SocketAddr,
    heard: Arc<Mutex<Heard>>,
    listening: AbortHandle,
}

#[derive(Default)]
struct Heard {
    /// Trips by connection and number, in the order in which they began.
    trips: Vec<Trip>,
    scripts: HashMap<String, &'static str>,
    /// The connection that has subscribed last.
    listener: Option<usize>,
    /// The connection to which nothing is forwarded any more.
    cut_off: Option<usize>,
}

struct Trip {
    connection: usize,
    commands: Vec<Vec<String>>,
}

impl Trip {
    /// Returns true if it began with a command of a call.
    fn is_asked(&self) -> bool {
        is_asked(&self.commands[0])
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Tap {
    pub(crate) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let heard = Arc::<Mutex<Heard>>::default();
        let ear = Arc::clone(&heard);
        let listening = tokio::spawn(async move {
            for connection in 0.. {
                let Ok((client, _)) = listener.accept().await else {
                    return;
                };
                tokio::spawn(pass_on(client, server, connection, Arc::clone(&ear)));
            }
        });
        Self {
            address,
            heard,
            listening: listening.abort_handle(),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}/0", self.address)
    }

    /// Returns true if the epoch of a kind has been read, and another PING sent
    /// since. The epoch is known then.
    pub(crate) fn has_learnt(&self, kind: &str) -> bool {
        let is_asked_for = |words: &Vec<String>| {
            words[0] == "HGET" && words.last().is_some_and(|field| field == kind)
        };
        let heard = self.heard.lock();
        let commands = heard.trips.iter().flat_map(|trip| &trip.commands);
        1 < commands.filter(|words| is_asked_for(words)).count()
    }

    /// Discards the trips so far.
    pub(crate) fn forget(&self) {
        self.heard.lock().trips.clear();
    }

    /// Returns one line per trip since the last call. Examples are
    /// `GET hero:1`, `ACQUIRE x4` for several commands at once, and
    /// `QUARANTINE of 4 keys` for one command with several keys.
    pub(crate) fn trips(&self) -> Vec<String> {
        self.trips_of(|_, _| true)
    }

    /// Returns the same for the subscribed connection.
    pub(crate) fn trips_of_the_listener(&self) -> Vec<String> {
        self.trips_of(|trip, listener| Some(trip.connection) == listener)
    }

    /// Stops forwarding to the subscribed connection, which stays open.
    pub(crate) fn cut_off_the_listener(&self) {
        let mut heard = self.heard.lock();
        heard.cut_off = heard.listener;
    }

    fn trips_of(&self, which: impl Fn(&Trip, Option<usize>) -> bool) -> Vec<String> {
        let mut heard = self.heard.lock();
        let trips = std::mem::take(&mut heard.trips);
        trips
            .iter()
            .filter(|trip| which(trip, heard.listener))
            .filter_map(|trip| heard.describe(trip))
            .collect()
    }
}

impl Heard {
    fn describe(&self, trip: &Trip) -> Option<String> {
        if !trip.is_asked() {
            return None;
        }
        let name = |words: &Vec<String>| match words[0].as_str() {
            "EVALSHA" => self
                .scripts
                .get(&words[1])
                .copied()
                .unwrap_or("a script")
                .to_owned(),
            other => other.to_owned(),
        };
        let names: Vec<String> = trip.commands.iter().map(name).collect();
        let [words] = &trip.commands[..] else {
            let mut text = names[0].clone();
            let _ = match names.iter().all(|name| *name == names[0]) {
                true => write!(text, " x{}", names.len()),
                false => write!(text, " and others: {names:?}"),
            };
            return Some(text);
        };
        let (keys, first) = match words[0].as_str() {
            "EVALSHA" => (words[2].as_str(), 3),
            _ => ("1", 1),
        };
        Some(match keys {
            "1" => format!("{} {}", names[0], words[first..].first()?),
            several => format!("{} of {several} keys", names[0]),
        })
    }
}

/// Returns true if a call sent the command, and not the connection itself.
fn is_asked(words: &[String]) -> bool {
    let of_connections = [
        "PING",
        "INFO",
        "HGET",
        "TIME",
        "HELLO",
        "CLIENT",
        "SCRIPT",
        "SUBSCRIBE",
    ];
    !of_connections.contains(&words[0].as_str())
}

async fn pass_on(
    mut client: TcpStream,
    server: SocketAddr,
    connection: usize,
    heard: Arc<Mutex<Heard>>,
) {
    let Ok(mut server) = TcpStream::connect(server).await else {
        return;
    };
    let (mut from_client, mut from_server) = ([0; 65_536], [0; 65_536]);
    let (mut pending, mut replied) = (Vec::new(), true);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(length @ 1..) = read else { return };
                pending.extend_from_slice(&from_client[..length]);
                while let Some(words) = take_command(&mut pending) {
                    let mut heard = heard.lock();
                    if words[0] == "SCRIPT" {
                        let loaded = heard.scripts.len().min(SCRIPTS.len() - 1);
                        let name = SCRIPTS[loaded];
                        heard.scripts.entry(sha1_of(&words[2])).or_insert(name);
                    }
                    if words[0] == "SUBSCRIBE" {
                        heard.listener = Some(connection);
                    }
                    let last = heard.trips.iter_mut().rfind(|trip| trip.connection == connection);
                    match last {
                        Some(trip) if !replied && trip.is_asked() == is_asked(&words) => {
                            trip.commands.push(words);
                        }
                        _ => heard.trips.push(Trip { connection, commands: vec![words] }),
                    }
                    replied = false;
                }
                if server.write_all(&from_client[..length]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut from_server) => {
                let Ok(length @ 1..) = read else { return };
                if heard.lock().cut_off == Some(connection) {
                    continue;
                }
                // Before the client can receive the reply and continue.
                replied = true;
                if client.write_all(&from_server[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn sha1_of(source: &str) -> String {
    let mut text = String::new();
    for byte in Sha1::digest(source.as_bytes()) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Removes a whole command, an array of strings, from the front of the bytes.
fn take_command(bytes: &mut Vec<u8>) -> Option<Vec<String>> {
    let mut at = 0;
    let count = take_number(bytes, &mut at, b'*')?;
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        let length = take_number(bytes, &mut at, b'$')?;
        words.push(String::from_utf8_lossy(bytes.get(at..at + length)?).into_owned());
        at += length + 2;
    }
    if bytes.len() < at {
        return None;
    }
    bytes.drain(..at);
    Some(words)
}

fn take_number(bytes: &[u8], at: &mut usize, kind: u8) -> Option<usize> {
    let line = bytes.get(*at..)?;
    let end = line.windows(2).position(|pair| pair == b"\r\n")?;
    assert_eq!(line[0], kind, "commands are arrays of strings");
    *at += end + 2;
    std::str::from_utf8(&line[1..end]).ok()?.parse().ok()
}
