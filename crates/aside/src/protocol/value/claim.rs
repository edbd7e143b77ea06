//! The refresh field of a value: the token of the reader that loads it anew before its
//! end.
//!
//! The field is part of the header, so the claim goes with the value: a quarantine, an
//! invalidation, an eviction and the end of the TTL remove both. It has no end besides.
//! If the load fails, the value lives as long as it would have.

use super::{HEADER_BYTES, Header};
use crate::protocol::Token;

/// Where the refresh field and the id of the fill are.
const FIELD: std::ops::Range<usize> = 82..114;
const FILL: std::ops::Range<usize> = 50..62;

/// The refresh field of a value that no reader refreshes.
pub(crate) const NO_CLAIM: &[u8] = &[b'0'; 32];

/// Returns the refresh field of a value of this protocol.
pub(crate) fn claim(bytes: &[u8]) -> Option<&[u8]> {
    let line = bytes.get(..HEADER_BYTES)?;
    let (end, line) = line.split_last()?;
    let digits = line.strip_prefix(b"V")?;
    let is_value = *end == b'\n' && digits.iter().all(u8::is_ascii_hexdigit);
    is_value.then(|| &bytes[FIELD])
}

/// Returns true if a value has this fill, as far as local entries know it.
pub(crate) fn has_fill(bytes: &[u8], fill: u64) -> bool {
    bytes.get(FILL) == Some(format!("{fill:012x}").as_bytes())
}

/// Returns a value with a token in its refresh field.
pub(crate) fn claimed(bytes: &[u8], token: Token) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[FIELD].copy_from_slice(token.to_string().as_bytes());
    bytes
}

impl Header {
    /// Returns true if a reader refreshes the value, or has tried to.
    pub(crate) fn is_claimed(&self) -> bool {
        self.is_claimed
    }
}
