//! Types whose values are equal exactly if their texts are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize, NonZeroU8,
    NonZeroU16, NonZeroU32, NonZeroU64, NonZeroU128, NonZeroUsize,
};
use std::sync::Arc;
use std::time::Duration;

/// A type whose values are equal exactly if serde writes the same JSON for
/// them, and whose JSON decodes to an equal value.
///
/// The local tier must not hold two entries for one key, and `Eq` may disagree
/// with the key: two spellings of one path are equal, and so are names compared
/// without case. So ids and index values are compared by the text of their
/// keys, unless their type implements this trait. Comparing by `Eq` is cheaper
/// because it writes no text.
///
/// Integers, `bool`, `char`, `String`, the times of `jiff` without a zone,
/// `Uuid` (feature `uuid`, on by default), and `Option`s, sequences and tuples
/// of them implement it. Your types need one line:
///
/// ```
/// use aside::entity::ExactText;
/// use serde::{Deserialize, Serialize};
/// use uuid::Uuid;
///
/// #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
/// #[serde(transparent)]
/// struct HeroId(Uuid);
///
/// impl ExactText for HeroId {}
/// ```
///
/// Implement it only if `PartialEq`, `Hash`, `Serialize` and `Deserialize` are
/// derived, without `with` and similar attributes, and every part is such a
/// type. If all fields of a row are, only a sample of its rows is checked
/// before caching; see [`Entity::IS_PLAIN`](crate::Entity::IS_PLAIN).
#[diagnostic::on_unimplemented(
    message = "equal values of `{Self}` are not known to have equal texts",
    note = "if they do, write `impl aside::entity::ExactText for {Self} {{}}`"
)]
pub trait ExactText: PartialEq {
    /// True if the property holds; for a composed type, if it holds for its
    /// parts.
    const IS_EXACT: bool = true;

    /// True if a value may be written as `null`, which an `Option` around it
    /// could not tell from its own `None`.
    const MAY_BE_NULL: bool = false;
}

macro_rules! exact {
    ($($ty:ty),* $(,)?) => {$(
        impl ExactText for $ty {}
    )*};
}

exact! {
    bool, char, str, String,
    u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize,
    NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64, NonZeroU128, NonZeroUsize,
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize,
    Duration, IpAddr, Ipv4Addr, Ipv6Addr,
    jiff::Timestamp, jiff::civil::Date, jiff::civil::Time, jiff::civil::DateTime,
}

#[cfg(feature = "uuid")]
exact!(uuid::Uuid);

macro_rules! as_what_it_holds {
    ($($ty:ident),*) => {$(
        impl<T: ExactText + ?Sized> ExactText for $ty<T> {
            const IS_EXACT: bool = T::IS_EXACT;
            const MAY_BE_NULL: bool = T::MAY_BE_NULL;
        }
    )*};
}

as_what_it_holds!(Box, Arc);

impl<T: ExactText> ExactText for Option<T> {
    const IS_EXACT: bool = T::IS_EXACT && !T::MAY_BE_NULL;
    const MAY_BE_NULL: bool = true;
}

impl<T: ExactText> ExactText for Vec<T> {
    const IS_EXACT: bool = T::IS_EXACT;
}

impl<T: ExactText> ExactText for [T] {
    const IS_EXACT: bool = T::IS_EXACT;
}

impl<T: ExactText, const N: usize> ExactText for [T; N] {
    const IS_EXACT: bool = T::IS_EXACT;
}

macro_rules! tuples {
    ($(($($part:ident),+)),* $(,)?) => {$(
        impl<$($part: ExactText),+> ExactText for ($($part,)+) {
            const IS_EXACT: bool = $($part::IS_EXACT)&&+;
        }
    )*};
}

tuples! {
    (A), (A, B), (A, B, C), (A, B, C, D), (A, B, C, D, E), (A, B, C, D, E, F),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_exact<T: ExactText>() -> bool {
        T::IS_EXACT
    }

    #[test]
    fn a_nested_option_is_not_exact() {
        assert!(is_exact::<Option<String>>());
        assert!(is_exact::<Vec<Option<(u8, Arc<str>)>>>());
        assert!(!is_exact::<Option<Option<u8>>>());
        assert!(!is_exact::<Vec<Option<Box<Option<u8>>>>>());
        assert!(!is_exact::<(u8, [Option<Option<u8>>; 2])>());
    }
}
