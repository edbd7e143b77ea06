//! Shapes: the serialized form of a type, as a number.
//!
//! An entity's fingerprint includes the names of its fields' types, not their
//! parts. If a type has a shape, the fingerprint includes that too. When the
//! type changes, so do its shape and the fingerprint, and values cached before
//! are not used.
//!
//! Redis stores shapes as part of fingerprints, so a number defined here never
//! changes.

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

/// A type whose serialized form is part of an entity's fingerprint.
///
/// `#[derive(Shape)]` implements it for types inside an entity; a field
/// includes it with `#[entity(nested)]`. By hand, return a number that changes
/// with the form. A type of another crate needs a wrapper:
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
    message = "`{Self}` has no shape to include in a fingerprint",
    note = "derive it with `#[derive(aside::Shape)]`, or take `nested` away from the field and \
            raise `#[entity(shape = N)]` when the type's serialized form changes"
)]
pub trait Shape {
    /// Returns a number that differs between two serialized forms of the type.
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

/// Shapes of pointers, which serde serializes as their target.
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

/// Shapes of collections, which serde serializes as lists.
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

/// Shapes of tuples, which serde serializes as lists of fixed length.
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

/// Returns the FNV-1a hash of a name.
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

/// Returns the shape of a named type with `parts`. Each step is a bijection in
/// either of its inputs, so one changed part always changes the result.
fn around(name: &str, parts: &[u64]) -> u64 {
    parts.iter().fold(named(name), |shape, part| {
        (shape.rotate_left(5) ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_depends_on_the_container_and_its_parts() {
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
