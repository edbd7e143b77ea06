//! The JSON of a response, written at the client's pace.
//!
//! A client that does not read would hold its whole response in memory as text.
//! So a large one is written twice. The first pass computes its tag and its
//! length and keeps nothing. The second writes it in chunks, each after the
//! previous one was taken. Only the rows are held meanwhile, and the cache
//! holds those too.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use serde::Serialize;

use super::room::Memory;

/// The maximum text of a response held for one client.
const CHUNK_BYTES: usize = 128 * 1024;

/// The contents of a response.
#[derive(Debug)]
pub(super) enum Content<E> {
    One(Arc<E>),
    List(Vec<Arc<E>>),
}

/// A response after the first pass.
#[derive(Debug)]
pub(super) struct Written<E> {
    content: Content<E>,
    length: u64,
    /// The whole text, if it is small.
    text: Option<Vec<u8>>,
}

impl<E: Serialize> Content<E> {
    fn rows(&self) -> &[Arc<E>] {
        match self {
            Self::One(row) => std::slice::from_ref(row),
            Self::List(rows) => rows,
        }
    }

    /// Writes the row at `at`, and its separators in a list.
    fn write(&self, at: usize, out: &mut impl io::Write) -> io::Result<()> {
        let list = matches!(self, Self::List(_));
        if list {
            out.write_all(if at == 0 { b"[" } else { b"," })?;
        }
        if let Some(row) = self.rows().get(at) {
            serde_json::to_writer(&mut *out, row)?;
        }
        if list && self.rows().len() <= at + 1 {
            out.write_all(b"]")?;
        }
        Ok(())
    }

    /// Returns the number of calls of `write`: an empty list still has
    /// brackets.
    fn pieces(&self) -> usize {
        self.rows().len().max(1)
    }

    /// Writes everything once, and passes all bytes to `each`.
    ///
    /// # Errors
    /// If a row has no JSON form.
    pub(super) fn measure(self, each: impl FnMut(&[u8])) -> io::Result<Written<E>> {
        let mut first = First {
            each,
            length: 0,
            text: Vec::new(),
        };
        for at in 0..self.pieces() {
            self.write(at, &mut first)?;
        }
        Ok(Written {
            content: self,
            length: first.length as u64,
            text: (first.length <= CHUNK_BYTES).then_some(first.text),
        })
    }
}

impl<E: Serialize + Send + Sync + 'static> Written<E> {
    /// Returns the body, which holds `memory` until it is written.
    pub(super) fn body(self, memory: Option<Memory>) -> Body {
        match self.text {
            Some(text) => Body::from(text),
            None => Body::new(Chunks {
                content: self.content,
                left: self.length,
                at: 0,
                skip: 0,
                _memory: memory,
            }),
        }
    }
}

/// The first pass: counts, and keeps a small text.
struct First<F> {
    each: F,
    length: usize,
    text: Vec<u8>,
}

impl<F: FnMut(&[u8])> io::Write for First<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.each)(bytes);
        self.length += bytes.len();
        if self.length <= CHUNK_BYTES {
            self.text.extend_from_slice(bytes);
        } else {
            self.text = Vec::new();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The second pass: one chunk after the other.
struct Chunks<E> {
    content: Content<E>,
    left: u64,
    /// The current piece, and how many of its bytes are already written.
    at: usize,
    skip: usize,
    _memory: Option<Memory>,
}

impl<E: Serialize> Chunks<E> {
    fn next(&mut self) -> io::Result<Bytes> {
        let mut chunk = Chunk {
            skip: self.skip,
            text: Vec::with_capacity(CHUNK_BYTES),
        };
        while self.at < self.content.pieces() && chunk.text.len() < CHUNK_BYTES {
            let before = chunk.text.len();
            chunk.skip = self.skip;
            let written = self.content.write(self.at, &mut chunk);
            if chunk.text.len() < CHUNK_BYTES {
                written?;
                (self.at, self.skip) = (self.at + 1, 0);
            } else {
                // The piece may be complete; the next call then writes nothing
                // of it.
                self.skip += chunk.text.len() - before;
            }
        }
        self.left = self.left.saturating_sub(chunk.text.len() as u64);
        Ok(chunk.text.into())
    }
}

/// Keeps a part of the text written to it.
struct Chunk {
    /// The bytes to skip, which were written before.
    skip: usize,
    text: Vec<u8>,
}

impl io::Write for Chunk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        let room = CHUNK_BYTES - self.text.len();
        let taken = room.min(bytes.len() - skipped);
        self.text
            .extend_from_slice(&bytes[skipped..skipped + taken]);
        // Zero means that there is no room, and ends the writing.
        Ok(skipped + taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<E: Serialize + Send + Sync + 'static> HttpBody for Chunks<E> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        // The first pass succeeded, so this cannot fail. If it did, the
        // connection would end before the announced length.
        let chunk = this.next().unwrap_or_default();
        Poll::Ready((!chunk.is_empty()).then(|| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl<E> Unpin for Chunks<E> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(content: Content<String>) -> (Vec<u8>, usize) {
        let mut seen = Vec::new();
        let written = content
            .measure(|bytes| seen.extend_from_slice(bytes))
            .unwrap();
        assert_eq!(written.length, seen.len() as u64);
        if let Some(text) = written.text {
            assert_eq!(text, seen);
            return (seen, 1);
        }
        let mut chunks = Chunks {
            content: written.content,
            left: written.length,
            at: 0,
            skip: 0,
            _memory: None,
        };
        let (mut all, mut count) = (Vec::new(), 0);
        while 0 < chunks.left {
            let chunk = chunks.next().unwrap();
            assert!(!chunk.is_empty() && chunk.len() <= CHUNK_BYTES);
            all.extend_from_slice(&chunk);
            count += 1;
        }
        assert_eq!(all, seen);
        (all, count)
    }

    #[test]
    fn chunks_add_up_to_the_whole_response() {
        let row = |length: usize| Arc::new("\"x\u{416}".repeat(length / 5));
        for lengths in [
            vec![],
            vec![0],
            vec![10, 0, 10],
            vec![CHUNK_BYTES],
            vec![1_000_000],
            vec![3, 1_000_000, 3, CHUNK_BYTES, 0],
            vec![1_000; 900],
        ] {
            let rows: Vec<Arc<String>> = lengths.iter().map(|length| row(*length)).collect();
            let plain: Vec<&String> = rows.iter().map(|row| &**row).collect();
            let expected = serde_json::to_vec(&plain).unwrap();
            let (all, count) = written(Content::List(rows.clone()));
            assert_eq!(all, expected);
            assert_eq!(count, expected.len().div_ceil(CHUNK_BYTES));
        }
        let one = row(500_000);
        let (all, _) = written(Content::One(one.clone()));
        assert_eq!(all, serde_json::to_vec(&*one).unwrap());
    }

    #[test]
    fn a_chunk_that_ends_with_a_row_is_followed_by_the_rest() {
        for short in 0..20 {
            let first = Arc::new("x".repeat(CHUNK_BYTES - 10 - short));
            let rows = vec![first, Arc::new("y".repeat(CHUNK_BYTES))];
            let expected = serde_json::to_vec(&[&*rows[0], &*rows[1]]).unwrap();
            assert_eq!(written(Content::List(rows)).0, expected);
        }
    }
}
