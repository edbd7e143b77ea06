//! The dependencies of a cached query, in its value.
//!
//! ```text
//! header \n count2 \n (stamp16 epoch13 tag16 key \n) x count  payload
//! ```
//!
//! (without the blanks, but one before each key). Each has the stamp that its key had
//! before the query was loaded, with the epoch of its kind and the history of its
//! server that were known before anything was sent. Both are needed, because a lease
//! has neither: a lease that outlives a bump, or stands again after a failover, has a
//! stamp that the query was filled under before the write.

use std::fmt::Write as _;

use super::numbers::{decimal, hex};
use super::{COMPRESSED, HEADER_BYTES, Header, KeyStamp, StampContext, Unacceptable, unpacked};
use std::borrow::Cow;

/// The maximum number of dependencies of a query.
pub(crate) const MAX_DEPENDENCIES: usize = 16;

/// The flag of a value with dependencies.
const DEPENDENT: u8 = 0x04;

/// The digits before the key of a dependency.
const DIGITS: usize = 16 + 13 + 16;

/// A dependency, as a value records it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recorded<'a> {
    pub(crate) key: &'a str,
    pub(crate) stamp: KeyStamp,
    pub(crate) context: StampContext,
}

pub(super) fn flag(dependencies: &[Recorded<'_>]) -> u8 {
    match dependencies {
        [] => 0,
        _ => DEPENDENT,
    }
}

pub(super) fn write(dependencies: &[Recorded<'_>], into: &mut String) {
    if dependencies.is_empty() {
        return;
    }
    let _ = writeln!(into, "{:02}", dependencies.len());
    for Recorded {
        key,
        stamp,
        context,
    } in dependencies
    {
        let StampContext { history, epoch } = context;
        let _ = writeln!(into, "{stamp}{epoch:013}{history:016x} {key}");
    }
}

impl Header {
    /// Returns where the payload begins; `None` for a mark, which has none.
    pub(crate) fn payload_at(&self, value: &[u8]) -> Option<usize> {
        let rest = value.get(HEADER_BYTES..)?;
        match self.flags & !COMPRESSED {
            0 => Some(HEADER_BYTES),
            DEPENDENT => Recorded::read_all(rest).map(|(_, payload)| value.len() - payload.len()),
            _ => None,
        }
    }
}

impl<'a> Recorded<'a> {
    /// Returns the dependencies of a value, and its payload, decompressed.
    pub(crate) fn read(
        header: &Header,
        value: &'a [u8],
        limit: usize,
    ) -> Result<(Vec<Self>, Cow<'a, str>), Unacceptable> {
        let rest = value.get(HEADER_BYTES..).ok_or(Unacceptable::Malformed)?;
        let (dependencies, rest) = match header.flags & !COMPRESSED {
            0 => (Vec::new(), rest),
            DEPENDENT => Self::read_all(rest).ok_or(Unacceptable::Malformed)?,
            _ => return Err(Unacceptable::Malformed),
        };
        Ok((dependencies, unpacked(header, rest, limit)?))
    }

    fn read_all(bytes: &'a [u8]) -> Option<(Vec<Self>, &'a [u8])> {
        let (count, mut rest) = line(bytes)?;
        let count = usize::try_from(decimal(count.as_bytes())?).ok()?;
        (count <= MAX_DEPENDENCIES).then_some(())?;
        let mut dependencies = Vec::with_capacity(count);
        for _ in 0..count {
            let (text, after) = line(rest)?;
            dependencies.push(Self::parse(text)?);
            rest = after;
        }
        Some((dependencies, rest))
    }

    fn parse(line: &'a str) -> Option<Self> {
        let (digits, key) = line.split_at_checked(DIGITS)?;
        let (stamp, digits) = digits.as_bytes().split_at(16);
        let (epoch, history) = digits.split_at(13);
        let context = StampContext {
            history: hex(history)?,
            epoch: decimal(epoch)?,
        };
        Some(Self {
            key: key.strip_prefix(' ')?,
            stamp: KeyStamp::parse(stamp)?,
            context,
        })
    }
}

fn line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = std::str::from_utf8(&bytes[..end]).ok()?;
    Some((line, &bytes[end + 1..]))
}
