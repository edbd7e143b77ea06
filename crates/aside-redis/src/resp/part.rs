//! One header with its string: the unit in which a reply is scanned and read.

use super::{Limits, Malformed};

/// Longer than any line that a server sends.
pub(super) const MAX_LINE_BYTES: usize = 64 * 1024;

/// The longest string that a server can hold.
pub(super) const MAX_SERVER_STRING_BYTES: usize = 512 * 1024 * 1024;

/// The mark that replaces that of a string when it is cut. No server sends it.
pub(super) const CUT: u8 = b'^';

/// One header, and the string that belongs to it, if one does.
pub(super) struct Part {
    pub(super) mark: u8,
    /// Where the line is, without its mark and its end.
    pub(super) line: (usize, usize),
    /// Where the string begins, if there is one.
    pub(super) string: usize,
    /// Where the next part begins.
    pub(super) end: usize,
    /// How many parts are inside this one.
    pub(super) inside: usize,
    pub(super) nil: bool,
}

impl Part {
    /// Returns the part that begins there, once its header has arrived. Its string
    /// may still be arriving.
    pub(super) fn at(
        bytes: &[u8],
        begin: usize,
        limits: Limits,
    ) -> Result<Option<Self>, Malformed> {
        let Some((mark, rest)) = bytes.get(begin..).and_then(<[u8]>::split_first) else {
            return Ok(None);
        };
        // No further than a line may be long, so that it does not matter how much
        // of a longer one has arrived.
        let line = &rest[..rest.len().min(MAX_LINE_BYTES)];
        let Some(length) = line.iter().position(|byte| *byte == b'\n') else {
            let plausible = line.len() < MAX_LINE_BYTES && b"+-:_,#($=!*~>%".contains(mark);
            return if plausible { Ok(None) } else { Err(Malformed) };
        };
        let Some((b'\r', text)) = line[..length].split_last() else {
            return Err(Malformed);
        };
        let after = begin + length + 2;
        let mut part = Self {
            mark: *mark,
            line: (begin + 1, begin + 1 + text.len()),
            string: after,
            end: after,
            inside: 0,
            nil: text == b"-1",
        };
        match mark {
            b'+' | b'-' | b':' | b',' | b'#' | b'(' => part.nil = false,
            b'_' => part.nil = true,
            b'$' | b'=' | b'!' | b'*' | b'~' | b'>' | b'%' if part.nil => {}
            b'$' | b'=' | b'!' => part.end = after + number(text, MAX_SERVER_STRING_BYTES)? + 2,
            _ if *mark == CUT => part.end = after + limits.cut_bytes,
            b'*' | b'~' | b'>' => part.inside = number(text, usize::MAX)?,
            b'%' => part.inside = number(text, usize::MAX / 2)? * 2,
            _ => return Err(Malformed),
        }
        Ok(Some(part))
    }
}

fn number(text: &[u8], max: usize) -> Result<usize, Malformed> {
    let number = text.iter().try_fold(0_usize, |number, digit| {
        let digit = digit
            .is_ascii_digit()
            .then_some(usize::from(digit & 0x0f))?;
        number.checked_mul(10)?.checked_add(digit)
    });
    number
        .filter(|number| !text.is_empty() && *number <= max)
        .ok_or(Malformed)
}
