//! The part of the Redis protocol (RESP2) that sends a command and reads its
//! reply.
//!
//! It uses no client library, so that a test can check a client without
//! trusting that client.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A reply of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A status, such as `OK`.
    Status(String),
    /// An error, such as `WRONGTYPE Operation against a key ...`.
    Error(String),
    /// A number.
    Integer(i64),
    /// A string of bytes.
    Bytes(Vec<u8>),
    /// The absence of a value.
    Nil,
    /// Several replies.
    Array(Vec<Self>),
}

impl Reply {
    /// Returns the text of a status or of a string, if it is one and is UTF-8.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Status(text) => Some(text),
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            Self::Error(_) | Self::Integer(_) | Self::Nil | Self::Array(_) => None,
        }
    }

    /// Returns the number, if it is one.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns true if it is the absence of a value.
    pub fn is_nil(&self) -> bool {
        *self == Self::Nil
    }
}

/// Sends one command over a fresh connection and reads its reply.
///
/// A unix socket needs no TLS, and no other server can have taken its address.
pub(crate) fn ask(
    socket: &Path,
    password: Option<&str>,
    words: &[&str],
    within: Duration,
) -> io::Result<Reply> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(within))?;
    stream.set_write_timeout(Some(within))?;
    let mut connection = BufReader::new(stream);
    if let Some(password) = password
        && let Reply::Error(refusal) = call(&mut connection, &["AUTH", password])?
    {
        return Err(io::Error::other(refusal));
    }
    call(&mut connection, words)
}

fn call<C: Read + Write>(connection: &mut BufReader<C>, words: &[&str]) -> io::Result<Reply> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        request.extend_from_slice(word.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    connection.get_mut().write_all(&request)?;
    read_reply(connection)
}

fn read_reply(connection: &mut impl BufRead) -> io::Result<Reply> {
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let Some(line) = line
        .strip_suffix("\r\n")
        .filter(|line| line.is_ascii() && !line.is_empty())
    else {
        return Err(malformed(&line));
    };
    let (kind, rest) = line.split_at(1);
    match kind {
        "+" => Ok(Reply::Status(rest.into())),
        "-" => Ok(Reply::Error(rest.into())),
        ":" => Ok(Reply::Integer(number(rest)?)),
        "$" => match usize::try_from(number(rest)?) {
            Err(_) => Ok(Reply::Nil),
            Ok(length) => {
                let mut bytes = vec![0; length + 2];
                connection.read_exact(&mut bytes)?;
                bytes.truncate(length);
                Ok(Reply::Bytes(bytes))
            }
        },
        "*" => match number(rest)? {
            ..0 => Ok(Reply::Nil),
            length => (0..length)
                .map(|_| read_reply(connection))
                .collect::<io::Result<_>>()
                .map(Reply::Array),
        },
        _ => Err(malformed(line)),
    }
}

fn number(text: &str) -> io::Result<i64> {
    text.parse().map_err(|_| malformed(text))
}

fn malformed(line: &str) -> io::Error {
    if line.is_empty() {
        io::ErrorKind::UnexpectedEof.into()
    } else {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("not a Redis reply: {line:?}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Reply> {
        read_reply(&mut io::Cursor::new(bytes))
    }

    #[test]
    fn every_kind_of_reply_is_read() {
        let reply = read(b"*6\r\n+OK\r\n-ERR no\r\n:-7\r\n$4\r\na\r\nb\r\n$-1\r\n*-1\r\n").unwrap();
        assert_eq!(
            reply,
            Reply::Array(vec![
                Reply::Status("OK".into()),
                Reply::Error("ERR no".into()),
                Reply::Integer(-7),
                Reply::Bytes(b"a\r\nb".to_vec()),
                Reply::Nil,
                Reply::Nil,
            ])
        );
    }

    #[test]
    fn a_truncated_or_foreign_reply_is_an_error() {
        assert!(read(b"").is_err());
        assert!(read(b"$5\r\nab").is_err());
        assert!(read(b"HTTP/1.1 400 Bad Request\r\n").is_err());
    }
}
