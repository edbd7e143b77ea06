//! The parameters of a query, as the local tier knows them: an integer, a UUID, or their
//! JSON.
//!
//! A short JSON is kept in place, so that a hit takes no memory.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;

use serde::Serialize;

/// As many bytes as an id of a row and some more have.
const SHORT: usize = 62;

#[derive(Clone)]
pub(super) enum Params {
    /// An integer: its JSON is written only to be shown.
    Integer(i128),
    #[cfg(feature = "uuid")]
    Uuid(uuid::Uuid),
    Short {
        length: u8,
        bytes: [u8; SHORT],
    },
    Long(Box<[u8]>),
}

impl Params {
    /// Returns the parameters in `key`; `None` if it cannot be serialized.
    #[inline]
    pub(super) fn of<K: Serialize + 'static>(key: &K) -> Option<Self> {
        Self::plain(key).or_else(|| Self::text(key))
    }

    /// Returns those of a type that is compared without its text. The compiler leaves
    /// at most one of these comparisons.
    #[inline]
    fn plain<K: 'static>(key: &K) -> Option<Self> {
        let key: &dyn Any = key;
        macro_rules! integers {
            ($($integer:ty),*) => {$(
                if let Some(number) = key.downcast_ref::<$integer>() {
                    return Some(Self::Integer(i128::from(*number)));
                }
            )*};
        }
        integers!(i64, i32, i16, i8, u64, u32, u16, u8);
        #[cfg(feature = "uuid")]
        if let Some(uuid) = key.downcast_ref::<uuid::Uuid>() {
            return Some(Self::Uuid(*uuid));
        }
        None
    }

    #[inline]
    fn text<K: Serialize>(key: &K) -> Option<Self> {
        let mut short = Writer {
            bytes: [0; SHORT],
            length: 0,
        };
        if serde_json::to_writer(&mut short, key).is_ok() {
            return Some(Self::Short {
                length: u8::try_from(short.length).ok()?,
                bytes: short.bytes,
            });
        }
        Self::long(key)
    }

    #[cold]
    fn long<K: Serialize>(key: &K) -> Option<Self> {
        let json = serde_json::to_vec(key).ok()?;
        Some(Self::Long(json.into()))
    }

    #[inline]
    fn json(&self) -> &[u8] {
        match self {
            Self::Short { length, bytes } => &bytes[..usize::from(*length)],
            Self::Long(json) => json,
            Self::Integer(_) => &[],
            #[cfg(feature = "uuid")]
            Self::Uuid(uuid) => uuid.as_bytes(),
        }
    }
}

impl PartialEq for Params {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Integer(one), Self::Integer(other)) => one == other,
            #[cfg(feature = "uuid")]
            (Self::Uuid(one), Self::Uuid(other)) => one == other,
            _ => self.json() == other.json(),
        }
    }
}

impl Eq for Params {}

impl Hash for Params {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Integer(number) => number.hash(state),
            #[cfg(feature = "uuid")]
            Self::Uuid(uuid) => uuid.as_u128().hash(state),
            _ => state.write(self.json()),
        }
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => write!(formatter, "{number}"),
            #[cfg(feature = "uuid")]
            Self::Uuid(uuid) => write!(formatter, "\"{uuid}\""),
            _ => formatter.write_str(&String::from_utf8_lossy(self.json())),
        }
    }
}

impl fmt::Display for Params {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

struct Writer {
    bytes: [u8; SHORT],
    length: usize,
}

impl io::Write for Writer {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let end = self.length + bytes.len();
        let room = self.bytes.get_mut(self.length..end);
        let room = room.ok_or(io::ErrorKind::StorageFull)?;
        room.copy_from_slice(bytes);
        self.length = end;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_equal_if_their_texts_are() {
        let of = |text: &str| Params::of(&text.to_owned()).unwrap();
        assert_eq!(of("a"), of("a"));
        assert_ne!(of("a"), of("b"));
        let (long, longer) = ("x".repeat(100), "x".repeat(101));
        assert_eq!(of(&long), of(&long));
        assert_ne!(of(&long), of(&longer));
        assert_eq!(Params::of(&7_u8), Params::of(&7_u8));
        assert_ne!(Params::of(&7_i64), Params::of(&-7_i64));
        assert_eq!(
            Params::of(&u64::MAX).unwrap().to_string(),
            u64::MAX.to_string()
        );
        assert_eq!(Params::of(&(1, "a")).unwrap().to_string(), "[1,\"a\"]");
        let unwritable = std::collections::HashMap::from([((1, 2), 3)]);
        assert!(Params::of(&unwritable).is_none());
    }
}
