//! The serialized form of a type, as a number.
//!
//! An entity's fingerprint sees the names of its fields' types and not what
//! those types look like inside. A type with a shape lets it look inside:
//! when the type changes, so do the shape, the fingerprint and the verdict on
//! every value that was cached before.
//!
//! Shapes are kept in Redis by way of the fingerprint, so a number given out
//! here never changes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, LinkedList, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize, NonZeroU8,
    NonZeroU16, NonZeroU32, NonZeroU64, NonZeroU128, NonZeroUsize,
};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A type whose serialized form takes part in an entity's fingerprint.
///
/// `#[derive(Shape)]` writes it for types that stand inside an entity; a
/// field asks for it with `#[entity(nested)]`. By hand it is a number that
/// changes with the form; a type of another crate stands in a wrapper for it:
///
/// ```
/// use aside::Shape;
/// use serde::{Deserialize, Serialize};
/// use uuid::Uuid;
///
/// #[derive(Clone, Serialize, Deserialize)]
/// #[serde(transparent)]
/// struct Voice(Uuid);
///
/// impl Shape for Voice {
///     fn shape() -> u64 {
///         1 // raise it when the form changes
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no shape that a fingerprint could take in",
    note = "derive it with `#[derive(aside::Shape)]`, or take `nested` away from the field and \
            raise `#[entity(shape = N)]` when the type's serialized form changes"
)]
pub trait Shape {
    /// A number that differs between two serialized forms of the type.
    fn shape() -> u64;
}

/// Shapes of types that have one form and no parts.
macro_rules! whole {
    ($($ty:ty => $name:literal),* $(,)?) => {$(
        impl Shape for $ty {
            fn shape() -> u64 {
                const { named($name) }
            }
        }
    )*};
}

whole! {
    () => "unit", bool => "bool", char => "char", str => "string", String => "string",
    u8 => "u8", u16 => "u16", u32 => "u32", u64 => "u64", u128 => "u128", usize => "usize",
    i8 => "i8", i16 => "i16", i32 => "i32", i64 => "i64", i128 => "i128", isize => "isize",
    NonZeroU8 => "u8", NonZeroU16 => "u16", NonZeroU32 => "u32", NonZeroU64 => "u64",
    NonZeroU128 => "u128", NonZeroUsize => "usize",
    NonZeroI8 => "i8", NonZeroI16 => "i16", NonZeroI32 => "i32", NonZeroI64 => "i64",
    NonZeroI128 => "i128", NonZeroIsize => "isize",
    f32 => "f32", f64 => "f64",
    Duration => "duration", SystemTime => "system time", PathBuf => "path",
    IpAddr => "ip", Ipv4Addr => "ipv4", Ipv6Addr => "ipv6", SocketAddr => "socket",
    serde_json::Value => "json",
}

/// Shapes of pointers, which serde looks through.
macro_rules! seen_through {
    ($($ty:ty),*) => {$(
        impl<T: Shape + ?Sized> Shape for $ty {
            fn shape() -> u64 {
                T::shape()
            }
        }
    )*};
}

seen_through!(&T, Box<T>, Rc<T>, Arc<T>);

impl<T: Shape + ToOwned + ?Sized> Shape for Cow<'_, T> {
    fn shape() -> u64 {
        T::shape()
    }
}

impl<T: Shape> Shape for Option<T> {
    fn shape() -> u64 {
        around("option", &[T::shape()])
    }
}

impl<T: Shape, E: Shape> Shape for Result<T, E> {
    fn shape() -> u64 {
        around("result", &[T::shape(), E::shape()])
    }
}

impl<T: Shape> Shape for [T] {
    fn shape() -> u64 {
        around("list", &[T::shape()])
    }
}

impl<T: Shape, const N: usize> Shape for [T; N] {
    fn shape() -> u64 {
        around("array", &[T::shape(), N as u64])
    }
}

/// Shapes of collections, which serde writes as lists of their elements.
macro_rules! lists {
    ($($collection:ident),*) => {$(
        impl<T: Shape> Shape for $collection<T> {
            fn shape() -> u64 {
                <[T]>::shape()
            }
        }
    )*};
}

lists!(Vec, VecDeque, LinkedList, BTreeSet);

impl<T: Shape, S> Shape for HashSet<T, S> {
    fn shape() -> u64 {
        <[T]>::shape()
    }
}

impl<K: Shape, V: Shape> Shape for BTreeMap<K, V> {
    fn shape() -> u64 {
        around("map", &[K::shape(), V::shape()])
    }
}

impl<K: Shape, V: Shape, S> Shape for HashMap<K, V, S> {
    fn shape() -> u64 {
        around("map", &[K::shape(), V::shape()])
    }
}

/// Shapes of tuples, which serde writes as lists of fixed length.
macro_rules! tuples {
    ($(($($part:ident),+))*) => {$(
        impl<$($part: Shape),+> Shape for ($($part,)+) {
            fn shape() -> u64 {
                around("tuple", &[$($part::shape()),+])
            }
        }
    )*};
}

tuples! {
    (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F)
    (A, B, C, D, E, F, G) (A, B, C, D, E, F, G, H)
}

/// FNV-1a of a name.
const fn named(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash
}

/// The shape of something named that holds `parts`. Each step is a bijection
/// in either of its inputs, so one changed part always changes the result.
fn around(name: &str, parts: &[u64]) -> u64 {
    parts.iter().fold(named(name), |shape, part| {
        (shape.rotate_left(5) ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_a_type_and_what_it_holds_both_count() {
        let shapes = [
            u8::shape(),
            u16::shape(),
            Option::<u8>::shape(),
            Option::<Option<u8>>::shape(),
            Option::<Vec<u8>>::shape(),
            Vec::<Option<u8>>::shape(),
            Vec::<u8>::shape(),
            <[u8; 2]>::shape(),
            <[u8; 3]>::shape(),
            <(u8, u16)>::shape(),
            <(u16, u8)>::shape(),
            BTreeMap::<String, u8>::shape(),
            Result::<u8, u16>::shape(),
        ];
        let distinct: BTreeSet<u64> = shapes.into_iter().collect();
        assert_eq!(distinct.len(), shapes.len());
    }

    #[test]
    fn types_that_serialize_alike_have_one_shape() {
        assert_eq!(Box::<Arc<str>>::shape(), String::shape());
        assert_eq!(HashSet::<u8>::shape(), Vec::<u8>::shape());
        assert_eq!(
            HashMap::<String, u8>::shape(),
            BTreeMap::<String, u8>::shape()
        );
        assert_eq!(NonZeroU8::shape(), u8::shape());
    }

    #[test]
    fn a_shape_is_the_same_in_every_build() {
        assert_eq!(
            Option::<Vec<(String, u64)>>::shape(),
            4_986_077_701_069_942_675
        );
    }
}
