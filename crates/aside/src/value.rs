//! The form of a value in Redis: a header line of fixed width, and a payload.
//!
//! ```text
//! V tag16 epoch13 shape16 fill16 version20 refresh32 flags2 \n payload
//! ```
//!
//! (without the blanks). The header says in which history of the server, since
//! which forgetting of the whole kind, and in which shape of the entity the
//! value was filled. Nothing read back is trusted: what does not fit is a miss
//! with a reason, and the next fill replaces it.

mod limits;
mod numbers;

pub(crate) use self::limits::{is_cut, swells};

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use self::numbers::{decimal, hex, time};
#[cfg(test)]
use crate::simulated::{self, Rule};

/// `V`, seven fields, newline.
pub(crate) const HEADER_BYTES: usize = 1 + 16 + 13 + 16 + 16 + 20 + 32 + 2 + 1;

/// The payload is an LZ4 block with its size before it.
const COMPRESSED: u8 = 0x01;

/// A value this far ahead of the server's time comes from no server we know.
const EPOCH_AHEAD_MILLIS: u64 = 60_000;

/// In which circumstances a value is filled, or acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Circumstance {
    /// The history of the server; zero on `memory://`, which has but one.
    pub(crate) tag: u64,
    /// When everything of the kind was last forgotten, in milliseconds.
    pub(crate) epoch: u64,
    /// The entity's fingerprint.
    pub(crate) shape: u64,
}

#[cfg(test)]
impl Circumstance {
    /// What a header is measured against where a rule is left out.
    fn without_rules(self, theirs: Self) -> Self {
        match () {
            () if simulated::without(Rule::HistoryTag) => Self {
                tag: theirs.tag,
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

/// A header as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) circumstance: Circumstance,
    /// Random; names this fill.
    pub(crate) fill: u64,
    /// The row's version, or zero.
    pub(crate) version: u64,
    flags: u8,
}

/// Why a value is a miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unacceptable {
    /// Not a value, or not one of ours.
    Malformed,
    OtherHistory,
    Forgotten,
    OtherShape,
    TooLarge,
    Undecodable,
    /// A row that was not asked for.
    Misplaced,
    /// Loaded longer ago than the reader accepts.
    TooOld,
}

impl Unacceptable {
    /// The label it is counted under.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed_value",
            Self::OtherHistory => "other_history",
            Self::Forgotten => "forgotten",
            Self::OtherShape => "other_shape",
            Self::TooLarge => "value_too_large",
            Self::Undecodable => "undecodable_value",
            Self::Misplaced => "misplaced_value",
            Self::TooOld => "too_old",
        }
    }
}

/// The text around what was cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Envelope<'a> {
    /// The entity's JSON (`null` for an absence), or the array of a list.
    pub(crate) body: &'a str,
    pub(crate) cached_at: Timestamp,
    pub(crate) ttl: Duration,
}

/// Which member of the payload holds the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    Entity,
    Entities,
}

impl Member {
    fn opening(self) -> &'static str {
        match self {
            Self::Entity => "{\"entity\":",
            Self::Entities => "{\"entities\":",
        }
    }
}

const CACHED_AT: &str = "\"cached_at\":\"";
const TTL: &str = "\"ttl\":";

/// A whole value, as it was written.
pub(crate) struct Written {
    pub(crate) bytes: Vec<u8>,
    /// The id of the fill.
    pub(crate) fill: u64,
    /// Before compression.
    pub(crate) payload_bytes: usize,
}

/// Writes a whole value.
pub(crate) fn encode(
    circumstance: Circumstance,
    version: u64,
    member: Member,
    envelope: Envelope<'_>,
    compress_above: Option<usize>,
) -> Written {
    let mut payload = String::with_capacity(envelope.body.len() + 80);
    payload.push_str(member.opening());
    payload.push_str(envelope.body);
    let (cached_at, ttl) = (envelope.cached_at, envelope.ttl.as_secs());
    let _ = write!(payload, ",{CACHED_AT}{cached_at:.3}\",{TTL}{ttl}}}");

    // What compression makes larger stays as it is: a reader measures what
    // it is given against the same limit as the payload.
    let compressed = compress_above
        .filter(|above| payload.len() > *above)
        .map(|_| lz4_flex::block::compress_prepend_size(payload.as_bytes()))
        .filter(|compressed| compressed.len() < payload.len());
    let flags = if compressed.is_some() { COMPRESSED } else { 0 };
    let mut header = String::with_capacity(HEADER_BYTES);
    let Circumstance { tag, epoch, shape } = circumstance;
    let fill = fastrand::u64(1..);
    let _ = writeln!(
        header,
        "V{tag:016x}{epoch:013}{shape:016x}{fill:016x}{version:020}{:032}{flags:02x}",
        0
    );
    let mut value = header.into_bytes();
    match compressed {
        Some(compressed) => value.extend(compressed),
        None => value.extend(payload.as_bytes()),
    }
    Written {
        bytes: value,
        fill,
        payload_bytes: payload.len(),
    }
}

impl Header {
    /// Reads the header of a value, whoever wrote it.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let line = value.get(..HEADER_BYTES)?;
        if line[0] != b'V' || line[HEADER_BYTES - 1] != b'\n' {
            return None;
        }
        let (tag, rest) = line[1..].split_first_chunk::<16>()?;
        let (epoch, rest) = rest.split_first_chunk::<13>()?;
        let (shape, rest) = rest.split_first_chunk::<16>()?;
        let (fill, rest) = rest.split_first_chunk::<16>()?;
        let (version, rest) = rest.split_first_chunk::<20>()?;
        let (refresh, rest) = rest.split_first_chunk::<32>()?;
        let (flags, _) = rest.split_first_chunk::<2>()?;
        if *refresh != [b'0'; 32] {
            let (halves, _) = refresh.as_chunks::<16>();
            halves.iter().try_for_each(|half| hex(half).map(drop))?;
        }
        let (tag, shape, fill) = (hex(tag)?, hex(shape)?, hex(fill)?);
        let (epoch, version) = (decimal(epoch)?, decimal(version)?);
        let flags = u8::try_from(hex(flags)?).ok()?;
        let circumstance = Circumstance { tag, epoch, shape };
        Some(Self {
            circumstance,
            fill,
            version,
            flags,
        })
    }

    /// Whether a value filled in its circumstance may be served in `ours`.
    pub(crate) fn judge(&self, ours: Circumstance, now: Timestamp) -> Result<(), Unacceptable> {
        let theirs = self.circumstance;
        #[cfg(test)]
        let ours = ours.without_rules(theirs);
        if theirs.tag != ours.tag {
            return Err(Unacceptable::OtherHistory);
        }
        if theirs.shape != ours.shape {
            return Err(Unacceptable::OtherShape);
        }
        let now = u64::try_from(now.as_millisecond()).unwrap_or(0);
        if theirs.epoch < ours.epoch || theirs.epoch > now.max(ours.epoch) + EPOCH_AHEAD_MILLIS {
            return Err(Unacceptable::Forgotten);
        }
        Ok(())
    }
}

/// The payload after the header, decompressed; `limit` is checked before
/// anything is allocated.
pub(crate) fn payload<'a>(
    header: &Header,
    value: &'a [u8],
    limit: usize,
) -> Result<Cow<'a, str>, Unacceptable> {
    let bytes = value.get(HEADER_BYTES..).ok_or(Unacceptable::Malformed)?;
    if bytes.len() > limit {
        return Err(Unacceptable::TooLarge);
    }
    if header.flags & !COMPRESSED != 0 {
        return Err(Unacceptable::Malformed);
    }
    if header.flags & COMPRESSED == 0 {
        return std::str::from_utf8(bytes)
            .map(Cow::Borrowed)
            .map_err(|_| Unacceptable::Malformed);
    }
    let (size, block) =
        lz4_flex::block::uncompressed_size(bytes).map_err(|_| Unacceptable::Malformed)?;
    if size > limit {
        return Err(Unacceptable::TooLarge);
    }
    let plain = lz4_flex::block::decompress(block, size).map_err(|_| Unacceptable::Malformed)?;
    String::from_utf8(plain)
        .map(Cow::Owned)
        .map_err(|_| Unacceptable::Malformed)
}

/// Takes a payload apart without parsing the body.
///
/// What follows the body has a fixed form, so it is found from the end: a
/// JSON parser would read the body twice.
pub(crate) fn open(payload: &str, member: Member) -> Option<Envelope<'_>> {
    let inside = payload.strip_prefix(member.opening())?.strip_suffix('}')?;
    // By single characters, which are looked for many at a time.
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OURS: Circumstance = Circumstance {
        tag: 0xfeed,
        epoch: 1_700_000_000_000,
        shape: 42,
    };

    fn value(body: &str, compress_above: Option<usize>) -> Vec<u8> {
        let envelope = Envelope {
            body,
            cached_at: "2026-01-02T03:04:05.678Z".parse().unwrap(),
            ttl: Duration::from_secs(3600),
        };
        encode(OURS, 7, Member::Entity, envelope, compress_above).bytes
    }

    #[test]
    fn a_value_reads_as_a_header_line_and_json() {
        let text = String::from_utf8(value("{\"id\":1}", None)).unwrap();
        let (header, payload) = text.split_once('\n').unwrap();
        assert_eq!(header.len() + 1, HEADER_BYTES);
        assert!(header.starts_with("V000000000000feed1700000000000000000000000002a"));
        assert_eq!(
            payload,
            r#"{"entity":{"id":1},"cached_at":"2026-01-02T03:04:05.678Z","ttl":3600}"#
        );
    }

    #[test]
    fn a_compressed_size_beyond_the_limit_is_refused_before_it_is_allocated() {
        let mut bytes = value(&"x".repeat(4096), Some(16));
        bytes[HEADER_BYTES..HEADER_BYTES + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        let header = Header::parse(&bytes).unwrap();
        assert_eq!(
            payload(&header, &bytes, 1 << 20),
            Err(Unacceptable::TooLarge)
        );
    }

    #[test]
    fn a_value_at_the_limit_that_does_not_compress_is_read_back() {
        let body: String = (0..4096).map(|_| fastrand::char('\u{1000}'..)).collect();
        let bytes = value(&body, Some(16));
        let limit = value(&body, None).len() - HEADER_BYTES;
        let header = Header::parse(&bytes).unwrap();
        assert!(payload(&header, &bytes, limit).is_ok());
    }

    #[test]
    fn another_history_shape_or_older_epoch_is_unacceptable_and_a_newer_epoch_is_not() {
        let header = Header::parse(&value("null", None)).unwrap();
        let now = Timestamp::now();
        assert_eq!(header.judge(OURS, now), Ok(()));
        assert_eq!(
            header.judge(Circumstance { tag: 1, ..OURS }, now),
            Err(Unacceptable::OtherHistory)
        );
        assert_eq!(
            header.judge(Circumstance { shape: 1, ..OURS }, now),
            Err(Unacceptable::OtherShape)
        );
        assert_eq!(
            header.judge(
                Circumstance {
                    epoch: OURS.epoch + 1,
                    ..OURS
                },
                now
            ),
            Err(Unacceptable::Forgotten)
        );
        assert_eq!(
            header.judge(
                Circumstance {
                    epoch: OURS.epoch - 1,
                    ..OURS
                },
                now
            ),
            Ok(())
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, flags in 0u8..4) {
            let mut value = value("null", None);
            value[HEADER_BYTES - 2] = b'0' + flags;
            value.truncate(HEADER_BYTES);
            value.extend(&bytes);
            for candidate in [&bytes, &value] {
                if let Some(header) = Header::parse(candidate)
                    && let Ok(text) = payload(&header, candidate, 1 << 16)
                {
                    let _ = open(&text, Member::Entity);
                }
            }
        }

        #[test]
        fn any_body_comes_back_as_it_went(body: String, above: Option<u8>) {
            let bytes = value(&body, above.map(usize::from));
            let header = Header::parse(&bytes).unwrap();
            let text = payload(&header, &bytes, 1 << 20).unwrap();
            let envelope = open(&text, Member::Entity).unwrap();
            prop_assert_eq!(envelope.body, body);
            prop_assert_eq!(envelope.ttl, Duration::from_secs(3600));
        }
    }
}
