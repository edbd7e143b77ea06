//! The minimal cost of a Redis command: one blocking socket, no client library,
//! no runtime.

use std::io::{self, Read, Write};

/// A connection that sends one command at a time.
pub(crate) struct Socket<S> {
    stream: S,
    request: Vec<u8>,
    reply: Vec<u8>,
    /// How many bytes of the reply have arrived, and how many have been read.
    arrived: usize,
    at: usize,
}

impl<S: Read + Write> Socket<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            request: Vec::new(),
            reply: vec![0; 64 * 1024],
            arrived: 0,
            at: 0,
        }
    }

    /// Returns the value of a key, which must exist.
    pub(crate) fn get(&mut self, key: &str) -> io::Result<&[u8]> {
        self.send("GET", &[key])?;
        let value = self.bulk()?;
        Ok(&self.reply[value])
    }

    /// Returns the values of many keys, which must all exist, one after the
    /// other.
    pub(crate) fn get_many(
        &mut self,
        keys: &[&str],
        mut each: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        self.send("MGET", keys)?;
        let count = self.line(b'*')?;
        for _ in 0..count {
            let value = self.bulk()?;
            each(&self.reply[value]);
        }
        Ok(())
    }

    fn send(&mut self, command: &str, arguments: &[&str]) -> io::Result<()> {
        self.request.clear();
        write!(self.request, "*{}\r\n", arguments.len() + 1)?;
        for word in std::iter::once(&command).chain(arguments) {
            write!(self.request, "${}\r\n{word}\r\n", word.len())?;
        }
        (self.arrived, self.at) = (0, 0);
        self.stream.write_all(&self.request)
    }

    /// Returns the range of the next bulk string.
    fn bulk(&mut self) -> io::Result<std::ops::Range<usize>> {
        let length = self.line(b'$')?;
        let begin = self.at;
        while self.arrived < begin + length + 2 {
            self.more(begin + length + 2)?;
        }
        self.at = begin + length + 2;
        Ok(begin..begin + length)
    }

    /// Returns the number in the next line, which begins with `mark`.
    fn line(&mut self, mark: u8) -> io::Result<usize> {
        loop {
            let line = &self.reply[self.at..self.arrived];
            if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                let number = std::str::from_utf8(&line[1..end])
                    .unwrap_or_default()
                    .trim();
                if line[0] != mark {
                    return Err(io::Error::other("the reply is of another type"));
                }
                self.at += end + 1;
                return match number.parse() {
                    Ok(number) => Ok(number),
                    Err(_) => Err(io::Error::other("there is no value")),
                };
            }
            self.more(self.at + 1)?;
        }
    }

    fn more(&mut self, wanted: usize) -> io::Result<()> {
        if self.reply.len() <= wanted {
            self.reply.resize(wanted * 2, 0);
        }
        match self.stream.read(&mut self.reply[self.arrived..])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.arrived += read;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn values_are_returned_intact_across_several_reads() {
        let redis = aside_testkit::RedisServer::start().unwrap();
        let long = "x".repeat(1_000_000);
        redis.command(&["SET", "long", &long]);
        redis.command(&["SET", "short", "1\r\n2"]);
        let mut socket = Socket::over(TcpStream::connect(redis.address()).unwrap());
        assert_eq!(socket.get("short").unwrap(), b"1\r\n2");
        assert_eq!(socket.get("long").unwrap(), long.as_bytes());
        let mut lengths = Vec::new();
        socket
            .get_many(&["short", "long", "short"], |value| {
                lengths.push(value.len())
            })
            .unwrap();
        assert_eq!(lengths, [4, 1_000_000, 4]);
        assert!(socket.get("none").is_err());
    }
}
