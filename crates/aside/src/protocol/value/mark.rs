//! Marks: stamps of keys whose values no reader has cached.
//!
//! The stamp of a key names the time since it was last invalidated: the fill of
//! its value, the first half of its lease's token, or that of a mark. A cached
//! query keeps the stamps of the keys that it depends on, and is valid only while
//! they are still there.
//!
//! A mark is a value with a flag and a payload that no reader reads. So a process
//! of an older version, which does not know marks, destroys one as it destroys a
//! value. It takes a mark for a value of another shape. The payload is not empty,
//! because a value as short as its header would be taken for one that is too large.

use std::fmt;

use jiff::Timestamp;

use super::{EPOCH_AHEAD_MILLIS, HEADER_BYTES, Header, numbers};

/// The flag of a mark.
pub(super) const MARK: u8 = 0x02;

/// The shape field of a mark: that of no entity, so an older version reports a value
/// of another shape.
const NO_SHAPE: u64 = u64::MAX;

/// The payload of a mark.
const PAYLOAD: &str = "mark";

/// The stamp of a key, drawn at random for one fill, one lease or one mark.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct KeyStamp(u64);

impl KeyStamp {
    pub(crate) fn random() -> Self {
        Self(fastrand::u64(1..))
    }

    pub(crate) const fn from_number(number: u64) -> Self {
        Self(number)
    }

    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// Returns the part of it that local entries keep.
    pub(crate) fn fill(self) -> u64 {
        self.0 & super::MAX_FILL
    }

    /// Parses 16 hex digits.
    pub(crate) fn parse(digits: &[u8]) -> Option<Self> {
        (digits.len() == 16).then_some(())?;
        numbers::hex(digits).map(Self)
    }
}

impl fmt::Display for KeyStamp {
    /// Formats 16 hex digits, as scripts compare them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl fmt::Debug for KeyStamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyStamp({self})")
    }
}

/// The conditions under which the stamp of a value of any shape counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StampContext {
    /// The history of the key's server.
    pub(crate) history: u64,
    /// The last invalidation of the key's whole kind, in milliseconds.
    pub(crate) epoch: u64,
}

impl StampContext {
    /// Returns the stamp in a header, if it counts at a time in milliseconds.
    pub(crate) fn stamp_in(self, header: &Header, now: u64) -> Option<KeyStamp> {
        let theirs = header.fill_context;
        let latest = now.max(self.epoch).saturating_add(EPOCH_AHEAD_MILLIS);
        let counts =
            theirs.history == self.history && self.epoch <= theirs.epoch && theirs.epoch <= latest;
        counts.then_some(header.stamp)
    }

    /// Encodes a mark that ends at a time in milliseconds of the server's clock.
    pub(crate) fn mark(self, stamp: KeyStamp, end: u64) -> Vec<u8> {
        let Self { history, epoch } = self;
        format!(
            "V{history:016x}{epoch:013}{NO_SHAPE:016x}{stamp}{end:020}{:032}{MARK:02x}\n{PAYLOAD}",
            0
        )
        .into_bytes()
    }
}

impl Header {
    /// Returns true if it is the header of a mark.
    pub(crate) fn is_mark(&self) -> bool {
        self.flags == MARK
    }

    /// Returns true if a mark has so little time left that it needs another STAMP.
    pub(crate) fn ends_soon(&self, needed_ms: u64, now: Timestamp) -> bool {
        let now = u64::try_from(now.as_millisecond()).unwrap_or(0);
        self.is_mark() && self.version.saturating_sub(now) < needed_ms / 2
    }
}

/// Returns true if the bytes of a key are those of a mark.
pub(crate) fn is_mark(bytes: &[u8]) -> bool {
    bytes.len() == HEADER_BYTES + PAYLOAD.len()
        && Header::parse(bytes).is_some_and(|header| header.is_mark())
}
