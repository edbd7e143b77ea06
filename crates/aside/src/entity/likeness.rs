//! Equality of rows as callers see them.
//!
//! The serialized text cannot decide it. If serde writes a field lossily, such
//! as a masked hash or a time in whole seconds, the decoded value serializes to
//! the same text. So fields are compared by the traits of their types. [`Of`]
//! finds out which of them a type implements: an inherent function takes
//! precedence over that of the trait [`Unable`], but exists only if its bounds
//! hold.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use serde::Serialize;
use serde_json::Value;

use crate::entity::exact::ExactText;

/// The comparison traits of a type, for the code that `#[derive(Entity)]`
/// writes.
#[derive(Debug)]
pub struct Of<T: ?Sized>(PhantomData<T>);

/// Fallback for types that lack a trait.
pub trait Unable<T: ?Sized> {
    /// The type does not implement `ExactText`.
    const IS_EXACT: bool = false;

    /// The type does not implement `PartialEq`.
    fn is_equal(_: &T, _: &T) -> Option<bool> {
        None
    }

    /// The type does not implement `Debug`.
    fn prints(_: &T, _: &T) -> Option<(String, String)> {
        None
    }
}

impl<T: ?Sized> Unable<T> for Of<T> {}

impl<T: ExactText + ?Sized> Of<T> {
    /// True if equality is equality of texts.
    pub const IS_EXACT: bool = T::IS_EXACT;
}

impl<T: PartialEq + ?Sized> Of<T> {
    /// Compares by `PartialEq`.
    pub fn is_equal(one: &T, other: &T) -> Option<bool> {
        Some(one == other)
    }
}

impl<T: Debug + ?Sized> Of<T> {
    /// Returns both as `Debug` prints them.
    pub fn prints(one: &T, other: &T) -> Option<(String, String)> {
        Some((format!("{one:?}"), format!("{other:?}")))
    }
}

/// The result of comparing two values of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// A caller cannot tell them apart.
    Same,
    /// A caller can tell them apart.
    Different,
    /// The type implements no trait that decides it.
    Unknown,
}

/// Compares two values of a field by `PartialEq`, by `Debug`, or by both.
///
/// If the type has both, both must agree, because an equality may ignore case
/// or a zone. `Debug` may print parts in another order, as for the entries of a
/// hash map.
pub fn compare(
    is_exact: bool,
    is_equal: Option<bool>,
    is_equal_to_itself: impl FnOnce() -> bool,
    prints: impl FnOnce() -> Option<(String, String)>,
) -> Likeness {
    let is_equal = match is_equal {
        Some(true) if is_exact => return Likeness::Same,
        // A value that does not equal itself, such as NaN, has no equality.
        Some(false) if is_equal_to_itself() => return Likeness::Different,
        Some(false) => None,
        other => other,
    };
    match prints() {
        Some((one, other)) if one == other => Likeness::Same,
        Some((one, other)) if !has_same_bytes(&one, &other) => Likeness::Different,
        _ if is_equal == Some(true) => Likeness::Same,
        _ => Likeness::Unknown,
    }
}

fn has_same_bytes(one: &str, other: &str) -> bool {
    let mut counts = [0i64; 256];
    for byte in one.bytes() {
        counts[usize::from(byte)] += 1;
    }
    for byte in other.bytes() {
        counts[usize::from(byte)] -= 1;
    }
    counts.iter().all(|count| *count == 0)
}

/// Returns true if serde writes the same for both, in any order.
pub fn is_written_alike<T: Serialize>(one: &T, other: &T) -> bool {
    let texts = (serde_json::to_string(one), serde_json::to_string(other));
    let (Ok(one), Ok(other)) = texts else {
        return false;
    };
    // The second test compares numbers only up to 64 bits.
    one == other
        || has_same_bytes(&one, &other)
            && number_of_text(&one).is_some_and(|one| Some(one) == number_of_text(&other))
}

/// Returns a hash of a JSON text that ignores order; `None` if it is not JSON.
pub(crate) fn number_of_text(text: &str) -> Option<u64> {
    let value: Value = serde_json::from_str(text).ok()?;
    Some(number_of(&value))
}

fn number_of(value: &Value) -> u64 {
    match value {
        Value::Array(items) => unordered(items.iter().map(number_of)),
        Value::Object(fields) => unordered(fields.iter().map(|(name, value)| {
            let mut hasher = DefaultHasher::new();
            (name, number_of(value)).hash(&mut hasher);
            hasher.finish()
        })),
        plain => hash_of(&plain.to_string()),
    }
}

/// Combines hashes regardless of their order.
fn unordered(numbers: impl IntoIterator<Item = u64>) -> u64 {
    let (mut sum, mut count) = (0u64, 0u64);
    for number in numbers {
        // Hash again: otherwise two rows that swapped a field would have the
        // same sum.
        sum = sum.wrapping_add(hash_of(&number));
        count += 1;
    }
    hash_of(&(count, sum))
}

fn hash_of(what: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn content_matters_and_order_does_not() {
        let number = |value: Value| number_of(&value);
        assert_eq!(
            number(json!({"a": [1, 2], "b": 3})),
            number(json!({"b": 3, "a": [2, 1]}))
        );
        for other in [
            json!({"a": [1, 2], "b": 4}),
            json!({"a": [1, 2, 2], "b": 3}),
            json!({"a": [1], "b": 3}),
            json!({"a": 3, "b": [1, 2]}),
            json!({"a": ["1", 2], "b": 3}),
            json!([["a", [1, 2]], ["b", 3]]),
        ] {
            assert_ne!(
                number(json!({"a": [1, 2], "b": 3})),
                number(other.clone()),
                "{other}"
            );
        }
        // Two rows that swap a field have changed.
        assert_ne!(
            number(json!([{"a": 1, "b": 1}, {"a": 2, "b": 2}])),
            number(json!([{"a": 1, "b": 2}, {"a": 2, "b": 1}]))
        );
    }

    /// Compares as the derive does.
    macro_rules! likeness {
        ($ty:ty: $one:expr, $other:expr) => {{
            let (one, other): ($ty, $ty) = ($one, $other);
            compare(
                <Of<$ty>>::IS_EXACT,
                <Of<$ty>>::is_equal(&one, &other),
                || <Of<$ty>>::is_equal(&one, &one).unwrap_or(true),
                || <Of<$ty>>::prints(&one, &other),
            )
        }};
    }

    #[derive(Clone)]
    struct Mute;

    struct Spoken(&'static str);

    impl Debug for Spoken {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str(self.0)
        }
    }

    #[test]
    fn a_type_is_compared_by_every_trait_it_implements() {
        use Likeness::{Different, Same, Unknown};

        assert_eq!(likeness!(String: "a".into(), "a".into()), Same);
        assert_eq!(likeness!(String: "ab".into(), "ba".into()), Different);
        assert_eq!(likeness!(f64: 0.0, -0.0), Different);
        assert_eq!(likeness!(f64: 1.23, 1.32), Different);
        assert_eq!(likeness!(f64: f64::NAN, f64::NAN), Same);
        assert_eq!(likeness!(f64: f64::NAN, 1.0), Different);
        assert_eq!(likeness!(Spoken: Spoken("a"), Spoken("a")), Same);
        assert_eq!(likeness!(Spoken: Spoken("a"), Spoken("A")), Different);
        assert_eq!(likeness!(Spoken: Spoken("ab"), Spoken("ba")), Unknown);
        assert_eq!(likeness!(Mute: Mute, Mute), Unknown);
        let path = |text: &str| std::path::PathBuf::from(text);
        assert_eq!(
            likeness!(std::path::PathBuf: path("a//b"), path("a/b")),
            Different
        );
    }

    #[test]
    fn serialized_order_makes_no_difference() {
        assert!(is_written_alike(&[1, 2], &[2, 1]));
        assert!(!is_written_alike(&["12"], &["21"]));
        assert!(!is_written_alike(&u128::MAX, &(u128::MAX - 1)));
    }
}
