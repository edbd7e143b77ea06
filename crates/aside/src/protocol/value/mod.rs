//! Values in Redis: a header line of fixed width, and a payload.
//! ```text
//! V tag16 epoch13 shape16 fill16 version20 refresh32 flags2 \n payload
//! ```
//!
//! (without the blanks). The header names the server's history, the epoch of
//! the kind, and the shape of the entity at the time of the fill. Nothing read
//! back is trusted: a value that does not fit is a miss with a reason, and the
//! next fill replaces it.
//!
//! The shape field also identifies the key: the key's hash is mixed into its
//! lower 48 bits. Otherwise a value copied to another key, or received as the
//! reply to another GET, could pass wherever its rows are valid. A list of one
//! language, for example, contains only rows that the list of all may contain.
//! The fill was not used for this, because it identifies a fill and must be
//! random.

mod limits;
mod numbers;
mod compression;
mod mark;
mod claim;
mod dependencies;

pub(crate) use self::claim::{NO_CLAIM, claim, claimed, has_fill};
pub(crate) use self::dependencies::{MAX_DEPENDENCIES, Recorded};
pub(crate) use self::limits::{is_cut, swells};
pub(crate) use self::mark::{KeyStamp, StampContext, is_mark};

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use self::numbers::{decimal, hex, time};
use crate::answer::Missed;
use crate::entity::key::Key;
use crate::entity::lookup::Member;
#[cfg(test)]
use crate::runtime::simulated::{self, Rule};

/// `V`, seven fields, newline.
pub(crate) const HEADER_BYTES: usize = 1 + 16 + 13 + 16 + 16 + 20 + 32 + 2 + 1;

/// The payload is an LZ4 block, preceded by its size.
const COMPRESSED: u8 = 0x01;

/// A value further ahead of the server's time is not from a known server.
pub(crate) const EPOCH_AHEAD_MILLIS: u64 = 60_000;

/// The bits of a shape that the key is mixed into. The other bits tell if a
/// value with another shape field has another shape, or another key.
const KEYED: u64 = (1 << 48) - 1;

/// Returns the shape field for a shape under this key; applied to the field,
/// the shape.
pub(crate) fn mixed(shape: u64, key: &Key) -> u64 {
    shape ^ (key.hash() & KEYED)
}

/// The conditions under which a value is filled, or acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct FillContext {
    /// The server's history; zero on `memory://`, which has only one.
    pub(crate) history: u64,
    /// The last invalidation of the whole kind, in milliseconds.
    pub(crate) epoch: u64,
    /// The entity's fingerprint, [`mixed`] with the key.
    pub(crate) shape: u64,
}

#[cfg(test)]
impl FillContext {
    /// Returns the conditions for a header if a rule is left out.
    fn without_rules(self, theirs: Self) -> Self {
        match () {
            () if simulated::without(Rule::HistoryTag) => Self {
                history: theirs.history,
                ..self
            },
            () if simulated::without(Rule::Epoch) => Self {
                epoch: theirs.epoch,
                ..self
            },
            () => self,
        }
    }
}

/// The greatest id of a fill: a local entry keeps six bytes of it.
const MAX_FILL: u64 = (1 << 48) - 1;

/// A parsed header. Random; identifies this fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) fill_context: FillContext,
    /// Random; names this fill.
    pub(crate) fill: u64,
    /// All of its digits, which queries that depend on the key keep.
    pub(crate) stamp: KeyStamp,
    /// The row's version, or zero.
    /// Of a mark, its end by the server's clock.
    pub(crate) version: u64,
    is_claimed: bool,
    flags: u8,
}

/// The reason why a value is a miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unacceptable {
    /// Not a value of this library.
    Malformed,
    OtherHistory,
    Forgotten,
    OtherShape,
    TooLarge,
    Undecodable,
    /// It is compressed, and this program was built without the feature.
    #[cfg_attr(feature = "compression", expect(dead_code))]
    Compressed,
    /// A row that does not belong to the lookup, or a value of another key.
    Misplaced,
    /// Loaded longer ago than the reader accepts.
    TooOld,
}

impl Unacceptable {
    /// Returns the reason of the miss.
    pub(crate) fn missed(self) -> Missed {
        match self {
            Self::Malformed => Missed::Malformed,
            Self::OtherHistory => Missed::OtherHistory,
            Self::Forgotten => Missed::Forgotten,
            Self::OtherShape => Missed::OtherShape,
            Self::TooLarge => Missed::TooLarge,
            Self::Undecodable | Self::Compressed => Missed::Undecodable,
            Self::Misplaced => Missed::Misplaced,
            Self::TooOld => Missed::TooOld,
        }
    }

    /// Returns its label as an error, if it is one: no instance fills such a
    /// value. The others follow from restarts, deployments and invalidations.
    pub(crate) fn error(self) -> Option<&'static str> {
        match self {
            Self::Malformed => Some("malformed_value"),
            Self::Undecodable => Some("undecodable_value"),
            Self::Compressed => Some("compressed_value"),
            Self::Misplaced => Some("misplaced_value"),
            Self::TooLarge => Some("value_too_large"),
            Self::OtherHistory | Self::Forgotten | Self::OtherShape | Self::TooOld => None,
        }
    }
}

/// The payload: the body and its metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Envelope<'a> {
    /// The entity's JSON (`null` for an absence), or the array of a list.
    pub(crate) body: &'a str,
    pub(crate) cached_at: Timestamp,
    pub(crate) ttl: Duration,
}

const CACHED_AT: &str = "\"cached_at\":\"";
const TTL: &str = "\"ttl\":";

/// An encoded value.
pub(crate) struct Written {
    pub(crate) bytes: Vec<u8>,
    /// The id of the fill.
    pub(crate) fill: u64,
    /// Before compression.
    pub(crate) payload_bytes: usize,
}

/// Encodes a value under the stamp that names its fill.
pub(crate) fn encode(
    fill_context: FillContext,
    fill: KeyStamp,
    version: u64,
    member: Member,
    envelope: Envelope<'_>,
    compress_above: Option<usize>,
) -> Written {
    encode_dependent(
        fill_context,
        (fill, version),
        member,
        envelope,
        &[],
        compress_above,
    )
}

/// Encodes a value that depends on keys.
pub(crate) fn encode_dependent(
    fill_context: FillContext,
    (fill, version): (KeyStamp, u64),
    member: Member,
    envelope: Envelope<'_>,
    dependencies: &[Recorded<'_>],
    compress_above: Option<usize>,
) -> Written {
    let mut payload = String::with_capacity(envelope.body.len() + 80);
    payload.push_str(member.opening());
    payload.push_str(envelope.body);
    let (cached_at, ttl) = (envelope.cached_at, envelope.ttl.as_secs());
    let _ = write!(payload, ",{CACHED_AT}{cached_at:.3}\",{TTL}{ttl}}}");

    // If compression makes it larger, it stays uncompressed: readers apply the
    // same limit to the stored value as to the payload.
    let compressed = compress_above
        .filter(|above| payload.len() > *above)
        .and_then(|_| compression::compress(payload.as_bytes()))
        .filter(|compressed| compressed.len() < payload.len());
    let flags = if compressed.is_some() { COMPRESSED } else { 0 };
    let flags = flags | dependencies::flag(dependencies);
    let mut header = String::with_capacity(HEADER_BYTES);
    let FillContext {
        history,
        epoch,
        shape,
    } = fill_context;
    let _ = writeln!(
        header,
        "V{history:016x}{epoch:013}{shape:016x}{fill}{version:020}{:032}{flags:02x}",
        0
    );
    dependencies::write(dependencies, &mut header);
    let mut value = header.into_bytes();
    match compressed {
        Some(compressed) => value.extend(compressed),
        None => value.extend(payload.as_bytes()),
    }
    Written {
        bytes: value,
        fill: fill.fill(),
        payload_bytes: payload.len(),
    }
}

impl Header {
    /// Parses the header of a value of any origin.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let line = value.get(..HEADER_BYTES)?;
        if line[0] != b'V' || line[HEADER_BYTES - 1] != b'\n' {
            return None;
        }
        let (history, rest) = line[1..].split_first_chunk::<16>()?;
        let (epoch, rest) = rest.split_first_chunk::<13>()?;
        let (shape, rest) = rest.split_first_chunk::<16>()?;
        let (fill, rest) = rest.split_first_chunk::<16>()?;
        let (version, rest) = rest.split_first_chunk::<20>()?;
        let (refresh, rest) = rest.split_first_chunk::<32>()?;
        let (flags, _) = rest.split_first_chunk::<2>()?;
        let is_claimed = refresh != NO_CLAIM;
        if is_claimed {
            let (halves, _) = refresh.as_chunks::<16>();
            halves.iter().try_for_each(|half| hex(half).map(drop))?;
        }
        let (history, shape) = (hex(history)?, hex(shape)?);
        let stamp = KeyStamp::from_number(hex(fill)?);
        let (epoch, version) = (decimal(epoch)?, decimal(version)?);
        let flags = u8::try_from(hex(flags)?).ok()?;
        let fill_context = FillContext {
            history,
            epoch,
            shape,
        };
        Some(Self {
            fill_context,
            fill: stamp.fill(),
            stamp,
            version,
            is_claimed,
            flags,
        })
    }

    /// Checks if a value with this header may be served under `ours`.
    pub(crate) fn judge(&self, ours: FillContext, now: Timestamp) -> Result<(), Unacceptable> {
        let theirs = self.fill_context;
        #[cfg(test)]
        let ours = ours.without_rules(theirs);
        if theirs.history != ours.history {
            return Err(Unacceptable::OtherHistory);
        }
        if theirs.shape != ours.shape {
            return Err(match (theirs.shape ^ ours.shape) & !KEYED {
                0 => Unacceptable::Misplaced,
                _ => Unacceptable::OtherShape,
            });
        }
        let now = u64::try_from(now.as_millisecond()).unwrap_or(0);
        let latest = now.max(ours.epoch).saturating_add(EPOCH_AHEAD_MILLIS);
        if theirs.epoch < ours.epoch || latest < theirs.epoch {
            return Err(Unacceptable::Forgotten);
        }
        Ok(())
    }
}

/// Returns the payload after the header, decompressed; `limit` is checked
/// before memory is allocated.
pub(crate) fn payload<'a>(
    header: &Header,
    value: &'a [u8],
    limit: usize,
) -> Result<Cow<'a, str>, Unacceptable> {
    let bytes = value.get(HEADER_BYTES..).ok_or(Unacceptable::Malformed)?;
    if header.flags & !COMPRESSED != 0 {
        return Err(Unacceptable::Malformed);
    }
    unpacked(header, bytes, limit)
}

/// Returns the payload in these bytes, decompressed.
fn unpacked<'a>(
    header: &Header,
    bytes: &'a [u8],
    limit: usize,
) -> Result<Cow<'a, str>, Unacceptable> {
    if bytes.len() > limit {
        return Err(Unacceptable::TooLarge);
    }
    if header.flags & COMPRESSED == 0 {
        return std::str::from_utf8(bytes)
            .map(Cow::Borrowed)
            .map_err(|_| Unacceptable::Malformed);
    }
    let plain = compression::decompress(bytes, limit)?;
    String::from_utf8(plain)
        .map(Cow::Owned)
        .map_err(|_| Unacceptable::Malformed)
}

/// Splits a payload without parsing the body.
///
/// The text after the body has a fixed form, so it is found from the end. A
/// JSON parser would read the body twice.
pub(crate) fn open(payload: &str, member: Member) -> Option<Envelope<'_>> {
    let inside = payload.strip_prefix(member.opening())?.strip_suffix('}')?;
    // Searches for single characters are vectorised.
    let (inside, ttl) = inside.rsplit_once(',')?;
    let (body, cached_at) = inside.rsplit_once(',')?;
    let cached_at = cached_at.strip_prefix(CACHED_AT)?.strip_suffix('"')?;
    let ttl = ttl.strip_prefix(TTL)?;
    Some(Envelope {
        body,
        cached_at: time(cached_at).or_else(|| cached_at.parse().ok())?,
        ttl: Duration::from_secs(ttl.parse().ok()?),
    })
}

#[cfg(test)]
mod tests;
