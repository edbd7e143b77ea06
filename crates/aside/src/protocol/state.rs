//! What the bytes under a key mean to the protocol.
//!
//! ```text
//! V...                                      a value; only its reader knows more
//! L token32                                 a fill in progress
//! Q c|d  n x (writer32 deadline13)          writers in flight, clean or dirty
//! ```
//!
//! Anything else, and an `L` or `Q` that would never expire, counts as absent.

/// One writer's claim on a key, until its deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The writer, as its token is displayed.
    pub(crate) writer: String,
    /// Milliseconds on the clock of whoever wrote the record.
    pub(crate) deadline: u64,
}

/// Writers in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quarantine {
    /// Whether its one writer has been alone since the quarantine began.
    pub(crate) clean: bool,
    pub(crate) records: Vec<Record>,
}

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State<'bytes> {
    Absent,
    Value,
    /// The token that may fill.
    Lease(&'bytes str),
    Quarantine(Quarantine),
}

/// How far apart two clocks may reasonably be.
const OVERDUE_MILLIS: u64 = 60_000;

/// The longest quarantine that settings allow.
const LONGEST_MILLIS: u64 = 600_000;

/// The most writers of one key. More are malformed: a script looks at each record,
/// and a server does nothing else meanwhile.
pub(crate) const MOST_RECORDS: usize = 4_000;

/// How much of a value every script reads.
const READ: usize = 48;

const TOKEN: usize = 32;
const DEADLINE: usize = 13;

impl<'bytes> State<'bytes> {
    /// Reads the bytes of a key that will expire, or will not.
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

/// Whether this is the beginning of a value of this protocol, as far as INVALIDATE
/// looks. Other programs' texts may begin with a `V` as well.
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
        if !rest.is_empty() || MOST_RECORDS < records.len() {
            return None;
        }
        let records = records.iter().map(|record| Record::read(record));
        Some(Self {
            clean,
            records: records.collect::<Option<_>>()?,
        })
    }

    /// Whether its deadline fits no write under way, whatever the difference
    /// between two clocks: its writers are long gone, or it was never written
    /// by any. One without a TTL, which a `GET` does not show, ends so.
    pub(crate) fn is_implausible(&self) -> bool {
        let now = crate::runtime::clock::wall().as_millisecond();
        let now = u64::try_from(now).unwrap_or(0);
        let last = self.last_deadline();
        last + OVERDUE_MILLIS < now || now + LONGEST_MILLIS + OVERDUE_MILLIS < last
    }

    /// The bytes that [`State::of`] reads.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = String::with_capacity(2 + self.records.len() * (TOKEN + DEADLINE));
        bytes.push_str(if self.clean { "Qc" } else { "Qd" });
        for record in &self.records {
            bytes.push_str(&record.writer);
            bytes.push_str(&format!("{:013}", record.deadline));
        }
        bytes.into_bytes()
    }

    /// When the last record ends, zero without any.
    pub(crate) fn last_deadline(&self) -> u64 {
        let deadlines = self.records.iter().map(|record| record.deadline);
        deadlines.max().unwrap_or_default()
    }
}

impl Record {
    /// Whether its writer is still to be waited for. One further ahead than any
    /// writer's is of none.
    pub(crate) fn lives_at(&self, now: u64) -> bool {
        now < self.deadline && self.deadline <= now + LONGEST_MILLIS + OVERDUE_MILLIS
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (writer, deadline) = bytes.split_at(TOKEN);
        let writer = hex(writer)?.to_owned();
        // Digits only: a number may be parsed with a sign, and a script would
        // not take that.
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
    fn a_quarantine_reads_as_it_was_written() {
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
    fn protocol_state_that_would_stand_forever_counts_as_absent() {
        let lease = format!("L{}", "0".repeat(32));
        assert_eq!(State::of(lease.as_bytes(), false), State::Absent);
        assert_ne!(State::of(lease.as_bytes(), true), State::Absent);
        assert_eq!(State::of(b"Qc", false), State::Absent);
    }

    #[test]
    fn what_the_protocol_did_not_write_counts_as_absent() {
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
