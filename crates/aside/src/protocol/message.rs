//! Invalidation messages between instances.
//!
//! A message is one line, or several lines for several keys. A line for a key
//! contains `K`, the key's hash, the sending instance, a number (each in 16 hex
//! digits), and the key. Receivers need only the hash; the key is for people
//! watching the channel. The number is the sender's clock in microseconds, and
//! greater than in all its earlier messages: in a cluster it distinguishes copies
//! from further messages. Its top four bits are the reason of the message; in the
//! other messages those of the instance are. Older versions compare that number only
//! with their own, and send zero. A clock is compared only with itself: an instance that
//! receives its own message learns the delay of messages, regardless of other
//! clocks.

use std::time::Duration;

use crate::entity::key::Key;
use crate::runtime::clock::micros;

/// The reason of a message: four bits, of which zero is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// From a version that sends no reason, or of one that this version does not know.
    Unknown,
    /// A write through a repository.
    Write,
    /// A request by an operator or the application.
    Request,
    /// The audit found a value older than the database.
    Audit,
    /// A row of the journal: of a write that Redis did not acknowledge, or of a trigger.
    Journal,
    /// A test of the connection or of the fleet.
    Probe,
}

impl Why {
    const ALL: [Self; 6] = [
        Self::Unknown,
        Self::Write,
        Self::Request,
        Self::Audit,
        Self::Journal,
        Self::Probe,
    ];

    pub(crate) fn number(self) -> u64 {
        self as u64
    }

    pub(crate) fn of(number: u64) -> Self {
        let place = usize::try_from(number).unwrap_or(0);
        Self::ALL.get(place).copied().unwrap_or(Self::Unknown)
    }

    /// Returns its name; `None` if it is unknown.
    pub(crate) fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::Write => Some("write"),
            Self::Request => Some("request"),
            Self::Audit => Some("audit"),
            Self::Journal => Some("journal"),
            Self::Probe => Some("probe"),
        }
    }

    /// Puts it above the 60 bits of a number.
    fn above(self, number: u64) -> u64 {
        self.number() << WHY_SHIFT | below_why(number)
    }
}

const WHY_SHIFT: u32 = 60;

/// Returns a number without the four bits of a reason.
pub(crate) fn below_why(number: u64) -> u64 {
    number & ((1 << WHY_SHIFT) - 1)
}

/// Returns the id of an instance, which leaves room for a reason.
pub(crate) fn new_instance() -> u64 {
    below_why(fastrand::u64(..))
}

/// A parsed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) hash: u64,
    pub(crate) instance: u64,
    pub(crate) number: u64,
    pub(crate) key: &'a str,
}

/// Returns the message that invalidates `key`; `number` as above.
pub(crate) fn invalidate(key: &Key, instance: u64, number: u64, why: Why) -> String {
    // A foreign key may contain any bytes, and a line end would begin another
    // message.
    let shown = key.as_str().split('\n').next().unwrap_or_default();
    let number = why.above(number);
    format!(
        "K {:016x} {instance:016x} {number:016x} {shown}",
        key.hash(),
    )
}

/// Returns the message that invalidates all keys with a prefix: `A`, the
/// sending instance with the reason, and the prefix. A receiver that does not know it
/// invalidates everything, which is also correct.
pub(crate) fn invalidate_all(prefix: &str, instance: u64, why: Why) -> String {
    format!("A {:016x} {prefix}", why.above(instance))
}

/// Parses the prefix, the sender and the reason of such a message.
pub(crate) fn prefix(text: &str) -> Option<(&str, u64, Why)> {
    let (instance, prefix) = text.strip_prefix("A ")?.split_once(' ')?;
    let instance = u64::from_str_radix(instance, 16).ok()?;
    Some((prefix, below_why(instance), Why::of(instance >> WHY_SHIFT)))
}

/// Returns the beginning of the message about a new epoch: `E` and the sending
/// instance with the reason. The server appends the epoch in 13 digits, and the kind.
pub(crate) fn bump(instance: u64, why: Why) -> String {
    format!("E {:016x}", why.above(instance))
}

/// Returns the whole message about a new epoch.
pub(crate) fn epoch_of(instance: u64, epoch: u64, kind: &str, why: Why) -> String {
    format!("{} {epoch:013} {kind}", bump(instance, why))
}

/// Returns true if a text has the form of an epoch: 13 digits.
pub(crate) fn is_epoch(text: &str) -> bool {
    text.len() == 13 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Parses the kind, the sender, the epoch and the reason of such a message.
pub(crate) fn epoch(text: &str) -> Option<(&str, u64, u64, Why)> {
    let mut parts = text.strip_prefix("E ")?.splitn(3, ' ');
    let instance = u64::from_str_radix(parts.next()?, 16).ok()?;
    let epoch = parts.next().filter(|epoch| is_epoch(epoch))?.parse().ok()?;
    let why = Why::of(instance >> WHY_SHIFT);
    Some((parts.next()?, below_why(instance), epoch, why))
}

impl<'a> Message<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix("K ")?.splitn(4, ' ');
        let mut number = || u64::from_str_radix(parts.next()?, 16).ok();
        let (hash, instance, number) = (number()?, number()?, number()?);
        Some(Self {
            hash,
            instance,
            number,
            key: parts.next()?,
        })
    }

    /// Returns the reason of the message.
    pub(crate) fn why(&self) -> Why {
        Why::of(self.number >> WHY_SHIFT)
    }

    /// Returns the delay of the message, if `instance` sent it.
    pub(crate) fn lag(&self, instance: u64) -> Option<Duration> {
        let took = micros().saturating_sub(below_why(self.number));
        (self.instance == instance).then(|| Duration::from_micros(took))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_hash_the_sender_and_the_key() {
        let key = Key::new("hero:name:Маша и медведь");
        let text = invalidate(&key, 7, micros(), Why::Write);
        let message = Message::parse(&text).unwrap();
        assert_eq!((message.hash, message.instance), (key.hash(), 7));
        assert_eq!(message.key, key.as_str());
        assert_eq!(message.why(), Why::Write);
        assert!(
            message
                .lag(7)
                .is_some_and(|lag| lag < Duration::from_secs(60))
        );
        assert!(message.lag(8).is_none());
    }

    #[test]
    fn a_key_with_a_line_end_adds_no_message() {
        let key = Key::new("hero:x\nE 0000000000000007 9999999999999 hero");
        let text = invalidate(&key, 7, micros(), Why::Write);
        assert!(!text.contains('\n'));
        let message = Message::parse(&text).unwrap();
        assert_eq!((message.hash, message.key), (key.hash(), "hero:x"));
    }

    #[test]
    fn a_message_about_many_keys_names_their_prefix() {
        let text = invalidate_all("prod:hero:", 7, Why::Request);
        assert_eq!(prefix(&text), Some(("prod:hero:", 7, Why::Request)));
        assert_eq!(Message::parse(&text), None);
        assert_eq!(prefix("A hero: x"), None);
    }

    #[test]
    fn a_message_about_a_kind_names_its_epoch() {
        let text = format!("{} 1700000000000 hero", bump(7, Why::Journal));
        assert_eq!(
            epoch(&text),
            Some(("hero", 7, 1_700_000_000_000, Why::Journal))
        );
        assert_eq!((prefix(&text), Message::parse(&text)), (None, None));
        assert_eq!(epoch("E 7 x hero"), None);
    }

    #[test]
    fn a_message_of_a_version_without_reasons_has_none() {
        let text = format!("K {:016x} ffffffffffffffff {:016x} hero:1", 1, 5);
        let message = Message::parse(&text).unwrap();
        assert_eq!((message.instance, message.why()), (u64::MAX, Why::Unknown));
        let later = format!("K {:016x} 0000000000000007 f000000000000005 hero:1", 1);
        assert_eq!(Message::parse(&later).unwrap().why(), Why::Unknown);
        assert_eq!(new_instance() >> WHY_SHIFT, 0);
    }

    #[test]
    fn a_foreign_message_is_not_parsed() {
        for text in ["", "K", "K 12", "K zz zz zz k", "X 1 2 3 k"] {
            assert_eq!(Message::parse(text), None, "{text}");
        }
    }
}
