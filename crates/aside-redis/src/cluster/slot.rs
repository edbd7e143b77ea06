//! The slot of a key.

use crc::{CRC_16_XMODEM, Crc};

/// The number of slots of every cluster.
pub const SLOTS: u16 = 16_384;

static CHECKSUM: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

/// Returns the slot of a key. If the key has a hash tag, a text in braces, keys with
/// the same tag share a slot.
///
/// ```
/// use aside_redis::cluster::slot_of;
///
/// assert_eq!(slot_of(b"123456789"), 12_739);
/// assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"{user1000}.followers"));
/// ```
#[must_use]
pub fn slot_of(key: &[u8]) -> u16 {
    CHECKSUM.checksum(tag_of(key).unwrap_or(key)) % SLOTS
}

/// Returns the text between the first `{` and the first `}` behind it, unless it is
/// empty.
fn tag_of(key: &[u8]) -> Option<&[u8]> {
    let begin = key.iter().position(|byte| *byte == b'{')? + 1;
    let tag = &key[begin..];
    let length = tag.iter().position(|byte| *byte == b'}')?;
    (length > 0).then(|| &tag[..length])
}

/// Reads a slot.
pub(super) fn parse(digits: &str) -> Option<u16> {
    number(digits).filter(|slot| *slot < SLOTS)
}

/// Reads a number, which must consist of digits: no sign.
pub(super) fn number(digits: &str) -> Option<u16> {
    let only_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| only_digits)
}
