//! The state of a key, encoded in its bytes.
//!
//! ```text
//! V...                                      a value; only its reader knows more
//! L token32                                 a fill in progress
//! Q c|d  n x (writer32 deadline13)          writers in flight, clean or dirty
//! ```
//!
//! Any other bytes, and an `L` or `Q` without a TTL, count as absent.

/// A writer's claim on a key, until its deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The writer's token, in text form.
    pub(crate) writer: String,
    /// In milliseconds, on the clock of the store.
    pub(crate) deadline: u64,
}

/// Writers in progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quarantine {
    /// True if its one writer has been alone since the quarantine began.
    pub(crate) clean: bool,
    pub(crate) records: Vec<Record>,
}

/// The state of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State<'bytes> {
    Absent,
    Value,
    /// The token that may fill.
    Lease(&'bytes str),
    Quarantine(Quarantine),
}

/// The largest plausible difference between two clocks.
const OVERDUE_MILLIS: u64 = 60_000;

/// The longest quarantine that settings allow.
const MAX_DEADLINE_MS: u64 = 600_000;

/// The maximum number of writers of one key; more are malformed. A script
/// visits each record, and blocks the server meanwhile.
pub(crate) const MAX_RECORDS: usize = 4_000;

/// The number of bytes of a value that every script reads.
const READ: usize = 48;

const TOKEN: usize = 32;
const DEADLINE: usize = 13;

impl<'bytes> State<'bytes> {
    /// Parses the bytes of a key; `expires` is true if it has a TTL.
    pub(crate) fn of(bytes: &'bytes [u8], expires: bool) -> Self {
        let read = match bytes.split_first() {
            Some((b'V', _)) => Some(Self::Value),
            Some((b'L', token)) if expires && token.len() == TOKEN => hex(token).map(Self::Lease),
            Some((b'Q', rest)) if expires => Quarantine::read(rest).map(Self::Quarantine),
            _ => None,
        };
        read.unwrap_or(Self::Absent)
    }
}

/// Returns true if this is the beginning of a value of this protocol, by the
/// test of INVALIDATE. Other programs' texts may begin with a `V` as well.
pub(crate) fn is_value(bytes: &[u8]) -> bool {
    let head = bytes.get(..READ).and_then(|head| head.strip_prefix(b"V"));
    head.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

impl Quarantine {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (flag, records) = bytes.split_first()?;
        let clean = match flag {
            b'c' => true,
            b'd' => false,
            _ => return None,
        };
        let (records, rest) = records.as_chunks::<{ TOKEN + DEADLINE }>();
        if !rest.is_empty() || MAX_RECORDS < records.len() {
            return None;
        }
        let records = records.iter().map(|record| Record::read(record));
        Some(Self {
            clean,
            records: records.collect::<Option<_>>()?,
        })
    }

    /// Returns true if its deadline fits no write in progress, for any
    /// plausible difference between two clocks. Its writers are long gone, or
    /// it was never written by one. This also ends a quarantine without a TTL,
    /// which a `GET` does not show.
    pub(crate) fn is_implausible(&self) -> bool {
        let now = crate::runtime::clock::wall().as_millisecond();
        let now = u64::try_from(now).unwrap_or(0);
        let last = self.last_deadline();
        last + OVERDUE_MILLIS < now || now + MAX_DEADLINE_MS + OVERDUE_MILLIS < last
    }

    /// Encodes the bytes that [`State::of`] parses.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = String::with_capacity(2 + self.records.len() * (TOKEN + DEADLINE));
        bytes.push_str(if self.clean { "Qc" } else { "Qd" });
        for record in &self.records {
            bytes.push_str(&record.writer);
            bytes.push_str(&format!("{:013}", record.deadline));
        }
        bytes.into_bytes()
    }

    /// Returns the deadline of the last record to expire, zero without any.
    pub(crate) fn last_deadline(&self) -> u64 {
        let deadlines = self.records.iter().map(|record| record.deadline);
        deadlines.max().unwrap_or_default()
    }
}

impl Record {
    /// Returns true if the writer may still be active. A deadline further ahead
    /// than any quarantine belongs to no writer.
    pub(crate) fn lives_at(&self, now: u64) -> bool {
        now < self.deadline && self.deadline <= now + MAX_DEADLINE_MS + OVERDUE_MILLIS
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (writer, deadline) = bytes.split_at(TOKEN);
        let writer = hex(writer)?.to_owned();
        // Digits only: a number may be parsed with a sign, and the scripts
        // reject signs.
        if !deadline.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let deadline = std::str::from_utf8(deadline).ok()?.parse().ok()?;
        Some(Self { writer, deadline })
    }
}

fn hex(bytes: &[u8]) -> Option<&str> {
    let lowercase = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    bytes
        .iter()
        .all(lowercase)
        .then(|| std::str::from_utf8(bytes).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarantine_survives_a_round_trip() {
        let quarantine = Quarantine {
            clean: false,
            records: vec![
                Record {
                    writer: "0a".repeat(16),
                    deadline: 1_800_000_000_000,
                },
                Record {
                    writer: "f".repeat(32),
                    deadline: 7,
                },
            ],
        };
        let bytes = quarantine.to_bytes();
        assert_eq!(bytes.len(), 2 + 2 * 45);
        assert_eq!(State::of(&bytes, true), State::Quarantine(quarantine));
    }

    #[test]
    fn protocol_state_without_a_ttl_counts_as_absent() {
        let lease = format!("L{}", "0".repeat(32));
        assert_eq!(State::of(lease.as_bytes(), false), State::Absent);
        assert_ne!(State::of(lease.as_bytes(), true), State::Absent);
        assert_eq!(State::of(b"Qc", false), State::Absent);
    }

    #[test]
    fn foreign_bytes_count_as_absent() {
        let record = format!("Qc{}+000000000001", "0".repeat(32));
        for bytes in [
            &b""[..],
            b"L",
            b"Ljunk",
            b"Q",
            b"Qx",
            b"Qcjunk",
            b"v1",
            b"\xff",
            record.as_bytes(),
        ] {
            assert_eq!(State::of(bytes, true), State::Absent, "{bytes:?}");
        }
    }
}
