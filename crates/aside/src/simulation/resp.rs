//! The wire of the simulated server: commands in, replies out.

/// Cuts what arrives into commands.
#[derive(Default)]
pub(super) struct Commands(Vec<u8>);

impl Commands {
    pub(super) fn arrived(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next command that has arrived as a whole, in words.
    pub(super) fn next(&mut self) -> Option<Vec<Vec<u8>>> {
        let (count, mut at) = self.number(0, b'*')?;
        let mut words = Vec::with_capacity(count);
        for _ in 0..count {
            let (length, begin) = self.number(at, b'$')?;
            words.push(self.0.get(begin..begin + length)?.to_vec());
            at = begin + length + 2;
        }
        if self.0.len() < at {
            return None;
        }
        self.0.drain(..at);
        Some(words)
    }

    /// The number of a line that begins with `kind`, and where it ends.
    fn number(&self, at: usize, kind: u8) -> Option<(usize, usize)> {
        let rest = self.0.get(at..)?;
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        assert_eq!(rest[0], kind, "the client sends arrays of strings");
        let digits = std::str::from_utf8(&rest[1..end]).expect("digits");
        Some((digits.parse().expect("a number"), at + end + 2))
    }
}

pub(super) fn line(text: &str) -> Vec<u8> {
    format!("{text}\r\n").into_bytes()
}

pub(super) fn integer(number: u64) -> Vec<u8> {
    line(&format!(":{number}"))
}

pub(super) fn nil() -> Vec<u8> {
    line("_")
}

pub(super) fn bulk(bytes: &[u8]) -> Vec<u8> {
    let mut reply = format!("${}\r\n", bytes.len()).into_bytes();
    reply.extend_from_slice(bytes);
    reply.extend_from_slice(b"\r\n");
    reply
}

pub(super) fn bulk_text(text: &str) -> Vec<u8> {
    bulk(text.as_bytes())
}

pub(super) fn array(
    items: impl IntoIterator<Item = Vec<u8>, IntoIter: ExactSizeIterator>,
) -> Vec<u8> {
    let items = items.into_iter();
    let mut reply = line(&format!("*{}", items.len()));
    items.for_each(|item| reply.extend(item));
    reply
}
