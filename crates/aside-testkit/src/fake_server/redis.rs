//! A server that speaks the Redis protocol but lacks something that aside needs.
//!
//! The replies are those that the documents of such services promise. It stores
//! nothing and runs no script.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::broadcast::{Receiver, Sender};

/// A feature of Redis that a server may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Feature {
    /// `master_replid` in INFO: a failover cannot be noticed. Engines that speak
    /// the protocol but replicate in another way.
    ReplicationId,
    /// RESP3: HELLO is unknown. Proxies, and Redis before 6.
    Resp3,
    /// Scripts: the user has no permission. Services that forbid them.
    Scripts,
    /// The order of messages and replies: a message arrives behind the reply to
    /// a PING that was sent after it was published. Engines that queue both apart.
    MessageOrder,
}

/// The channel and the text of a message.
pub(super) type Message = (String, String);

/// The longest request in bytes that it reads.
const MAX_BYTES: usize = 1 << 20;

/// Serves one connection until the client closes it.
///
/// Messages that any connection publishes arrive at a subscriber's next PING.
pub(super) async fn serve(
    client: TcpStream,
    without: Feature,
    published: Sender<Message>,
) -> io::Result<()> {
    let mut connection = Connection {
        stream: BufReader::new(client),
        without,
        resp3: false,
        published,
        messages: None,
        channels: Vec::new(),
    };
    while let Some(request) = connection.request().await? {
        let replies = connection.replies(&request);
        connection.stream.write_all(replies.as_bytes()).await?;
    }
    Ok(())
}

struct Connection {
    stream: BufReader<TcpStream>,
    without: Feature,
    resp3: bool,
    published: Sender<Message>,
    messages: Option<Receiver<Message>>,
    channels: Vec<String>,
}

impl Connection {
    /// Reads an array of strings; `None` at the end of the connection.
    async fn request(&mut self) -> io::Result<Option<Vec<String>>> {
        let Some(count) = self.length('*').await? else {
            return Ok(None);
        };
        let mut words = Vec::new();
        for _ in 0..count {
            let Some(length) = self.length('$').await? else {
                return Ok(None);
            };
            let mut bytes = vec![0; length + 2];
            self.stream.read_exact(&mut bytes).await?;
            bytes.truncate(length);
            words.push(String::from_utf8_lossy(&bytes).into_owned());
        }
        Ok(Some(words))
    }

    async fn length(&mut self, mark: char) -> io::Result<Option<usize>> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let digits = line.trim_end().strip_prefix(mark);
        digits
            .and_then(|digits| digits.parse().ok())
            .filter(|&length| length <= MAX_BYTES)
            .map(Some)
            .ok_or_else(|| io::Error::other("not a request"))
    }

    fn replies(&mut self, request: &[String]) -> String {
        let words: Vec<&str> = request.iter().map(String::as_str).collect();
        let Some((command, rest)) = words.split_first() else {
            return "-ERR empty request\r\n".into();
        };
        match (&*command.to_uppercase(), rest) {
            ("HELLO", _) if self.without == Feature::Resp3 => {
                "-ERR unknown command 'HELLO'\r\n".into()
            }
            ("HELLO", _) => {
                self.resp3 = true;
                hello()
            }
            ("EVAL" | "EVALSHA" | "SCRIPT", _) if self.without == Feature::Scripts => {
                format!(
                    "-NOPERM this user has no permissions to run the '{}' command\r\n",
                    command.to_lowercase()
                )
            }
            ("AUTH" | "SELECT" | "CLIENT" | "SET", _) => "+OK\r\n".into(),
            ("INFO", _) => bulk(&self.info()),
            ("TIME", _) => "*2\r\n$1\r\n1\r\n$1\r\n0\r\n".into(),
            ("SCRIPT", ["LOAD" | "load", _]) => bulk(&"0".repeat(40)),
            ("GET" | "EVAL" | "EVALSHA", _) if self.resp3 => "_\r\n".into(),
            ("GET" | "EVAL" | "EVALSHA", _) => "$-1\r\n".into(),
            ("HGETALL", _) if self.resp3 => "%0\r\n".into(),
            ("HGETALL", _) => "*0\r\n".into(),
            ("PUBLISH", [channel, text]) => {
                let message = ((*channel).into(), (*text).into());
                format!(":{}\r\n", self.published.send(message).unwrap_or(0))
            }
            ("SUBSCRIBE", channels) => self.subscribe(channels),
            ("PING", _) => self.pong(),
            _ => format!("-ERR unknown command '{command}'\r\n"),
        }
    }

    fn info(&self) -> String {
        let replid = match self.without {
            Feature::ReplicationId => String::new(),
            _ => format!("master_replid:{}\r\n", "0123456789".repeat(4)),
        };
        format!(
            "# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\n\
             # Replication\r\nrole:master\r\nconnected_slaves:0\r\n{replid}"
        )
    }

    fn subscribe(&mut self, channels: &[&str]) -> String {
        self.messages
            .get_or_insert_with(|| self.published.subscribe());
        let mut replies = String::new();
        for &channel in channels {
            self.channels.push(channel.into());
            let count = self.channels.len();
            replies += &format!(
                "{}3\r\n{}{}:{count}\r\n",
                self.push(),
                bulk("subscribe"),
                bulk(channel)
            );
        }
        replies
    }

    fn pong(&mut self) -> String {
        let push = self.push();
        let mut messages = String::new();
        while let Some(Ok((channel, text))) = self.messages.as_mut().map(Receiver::try_recv) {
            if self.channels.contains(&channel) {
                let parts = [bulk("message"), bulk(&channel), bulk(&text)].concat();
                messages += &format!("{push}3\r\n{parts}");
            }
        }
        match self.without {
            Feature::MessageOrder => format!("+PONG\r\n{messages}"),
            _ => format!("{messages}+PONG\r\n"),
        }
    }

    /// Returns the mark of a push: in RESP2 it is an array.
    fn push(&self) -> char {
        if self.resp3 { '>' } else { '*' }
    }
}

fn hello() -> String {
    let fields = [
        ("server", "redis"),
        ("version", "7.0.0"),
        ("mode", "standalone"),
    ];
    let fields = fields
        .map(|(name, value)| bulk(name) + &bulk(value))
        .concat();
    let proto = bulk("proto") + ":3\r\n";
    let role = bulk("role") + &bulk("master");
    format!("%5\r\n{fields}{proto}{role}")
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}
