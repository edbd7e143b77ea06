//! What instances tell each other when a key is forgotten.
//!
//! A message is a line, or several about as many keys. A line about a key is:
//! `K`, the key's hash in 16 hex digits, the sending instance in 16, the sender's
//! own clock in microseconds in 16, and the key.
//! Receivers need the hash alone. The key is there for people who watch, and
//! the clock is only ever compared with itself: an instance that hears its own
//! message knows how long messages take, whatever the clocks of others say.

use std::time::Duration;

use crate::entity::key::Key;
use crate::runtime::clock::micros;

/// The channel on which messages travel.
pub(crate) fn channel(namespace: &str) -> String {
    let separator = if namespace.is_empty() { "" } else { ":" };
    format!("{namespace}{separator}aside:invalidate")
}

/// A message as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) hash: u64,
    pub(crate) instance: u64,
    micros: u64,
    pub(crate) key: &'a str,
}

/// The message that makes every instance forget `key`.
pub(crate) fn forget(key: &Key, instance: u64) -> String {
    // A key of somebody else's may hold anything, and what follows the end of a
    // line would be another.
    let shown = key.as_str().split('\n').next().unwrap_or_default();
    format!(
        "K {:016x} {instance:016x} {:016x} {shown}",
        key.hash(),
        micros(),
    )
}

/// The message that makes every instance forget whatever begins so: `A`, the
/// sending instance and the beginning. Who does not understand it forgets
/// everything, which is as right.
pub(crate) fn forget_all(prefix: &str, instance: u64) -> String {
    format!("A {instance:016x} {prefix}")
}

/// The beginning that such a message is about.
pub(crate) fn prefix(text: &str) -> Option<&str> {
    let (instance, prefix) = text.strip_prefix("A ")?.split_once(' ')?;
    u64::from_str_radix(instance, 16).ok()?;
    Some(prefix)
}

/// The beginning of the message that a kind has a new epoch: `E` and the
/// sending instance. The server adds the epoch in 13 digits, and the kind.
pub(crate) fn bump(instance: u64) -> String {
    format!("E {instance:016x}")
}

/// Whether a text has the form of an epoch: 13 digits.
pub(crate) fn is_epoch(text: &str) -> bool {
    text.len() == 13 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The kind and its epoch that such a message is about.
pub(crate) fn epoch(text: &str) -> Option<(&str, u64)> {
    let mut parts = text.strip_prefix("E ")?.splitn(3, ' ');
    u64::from_str_radix(parts.next()?, 16).ok()?;
    let epoch = parts.next().filter(|epoch| is_epoch(epoch))?.parse().ok()?;
    Some((parts.next()?, epoch))
}

/// The key of the hash that holds the epochs.
pub(crate) fn epochs_key(namespace: &str) -> Key {
    let separator = if namespace.is_empty() { "" } else { ":" };
    Key::new(&format!("{namespace}{separator}aside:epochs"))
}

impl<'a> Message<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix("K ")?.splitn(4, ' ');
        let mut number = || u64::from_str_radix(parts.next()?, 16).ok();
        let (hash, instance, micros) = (number()?, number()?, number()?);
        Some(Self {
            hash,
            instance,
            micros,
            key: parts.next()?,
        })
    }

    /// How long the message took, if `instance` sent it itself.
    pub(crate) fn lag(&self, instance: u64) -> Option<Duration> {
        let took = micros().saturating_sub(self.micros);
        (self.instance == instance).then(|| Duration::from_micros(took))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_stripe_the_sender_and_the_key() {
        let key = Key::new("hero:name:Маша и медведь");
        let text = forget(&key, 7);
        let message = Message::parse(&text).unwrap();
        assert_eq!((message.hash, message.instance), (key.hash(), 7));
        assert_eq!(message.key, key.as_str());
        assert!(message.lag(7).is_some() && message.lag(8).is_none());
    }

    #[test]
    fn a_key_that_holds_the_end_of_a_line_says_nothing_else() {
        let key = Key::new("hero:x\nE 0000000000000007 9999999999999 hero");
        let text = forget(&key, 7);
        assert!(!text.contains('\n'));
        let message = Message::parse(&text).unwrap();
        assert_eq!((message.hash, message.key), (key.hash(), "hero:x"));
    }

    #[test]
    fn a_message_about_many_keys_names_their_beginning() {
        let text = forget_all("prod:hero:", 7);
        assert_eq!(prefix(&text), Some("prod:hero:"));
        assert_eq!(Message::parse(&text), None);
        assert_eq!(prefix("A hero: x"), None);
    }

    #[test]
    fn a_message_about_a_kind_names_its_epoch() {
        let text = format!("{} 1700000000000 hero", bump(7));
        assert_eq!(epoch(&text), Some(("hero", 1_700_000_000_000)));
        assert_eq!((prefix(&text), Message::parse(&text)), (None, None));
        assert_eq!(epoch("E 7 x hero"), None);
    }

    #[test]
    fn a_foreign_message_is_not_understood() {
        for text in ["", "K", "K 12", "K zz zz zz k", "X 1 2 3 k"] {
            assert_eq!(Message::parse(text), None, "{text}");
        }
    }
}
