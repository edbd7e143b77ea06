//! The changes that affect a fingerprint, and those that do not.

use aside::{Entity, Shape};
use serde::{Deserialize, Serialize};

/// Declares variants of the same entity, each in a separate module.
macro_rules! entities {
    ($($module:ident [$($word:tt)*] $(#[$attribute:meta])* { $($field:tt)* })*) => {$(
        mod $module {
            use super::*;

            #[derive(Clone, Debug, Serialize, Deserialize, Entity)]
            #[entity($($word)*)]
            $(#[$attribute])*
            #[allow(dead_code)]
            pub(super) struct Row { $($field)* }
        }
    )*};
}

#[derive(Clone, Debug, Serialize, Deserialize, Shape)]
struct Short {
    width: u8,
}

#[derive(Clone, Debug, Serialize, Deserialize, Shape)]
struct Long {
    width: u8,
    depth: u8,
}

mod deep {
    use super::*;

    #[derive(Clone, Debug, Serialize, Deserialize, Shape)]
    pub(super) struct Outer {
        #[shape(nested)]
        pub(super) inner: Option<Short>,
    }
}

mod deeper {
    use super::*;

    type Short = super::Long;

    #[derive(Clone, Debug, Serialize, Deserialize, Shape)]
    pub(super) struct Outer {
        #[shape(nested)]
        pub(super) inner: Option<Short>,
    }
}

entities! {
    plain [kind = "row"] { #[entity(id)] id: u64, #[entity(index)] name: String, }
    loose [ kind="row", ] {
        #[doc = "A comment is no part of the form."]
        #[entity(id)] pub(super) id : u64 , #[entity(index)] pub(super) name :
        String
    }
    kind [kind = "rows"] { #[entity(id)] id: u64, #[entity(index)] name: String, }
    renamed [kind = "row"] { #[entity(id)] id: u64, #[entity(index = "name")] title: String, }
    retyped [kind = "row"] { #[entity(id)] id: u32, #[entity(index)] name: String, }
    longer [kind = "row"] { #[entity(id)] id: u64, #[entity(index)] name: String, age: u8, }
    numbered [kind = "row", shape = 1] { #[entity(id)] id: u64, #[entity(index)] name: String, }
    unindexed [kind = "row"] { #[entity(id)] id: u64, name: String, }
    field_serde [kind = "row"] {
        #[entity(id)] id: u64, #[entity(index)] #[serde(rename = "n")] name: String,
    }
    struct_serde [kind = "row"] #[serde(rename_all = "UPPERCASE")] {
        #[entity(id)] id: u64, #[entity(index)] name: String,
    }
    opaque [kind = "row"] { #[entity(id)] id: u64, inner: deep::Outer, }
    nested [kind = "row"] { #[entity(id)] id: u64, #[entity(nested)] inner: deep::Outer, }
}

#[test]
fn everything_that_changes_the_form_changes_the_fingerprint() {
    let fingerprints = [
        plain::Row::fingerprint(),
        kind::Row::fingerprint(),
        renamed::Row::fingerprint(),
        retyped::Row::fingerprint(),
        longer::Row::fingerprint(),
        numbered::Row::fingerprint(),
        unindexed::Row::fingerprint(),
        field_serde::Row::fingerprint(),
        struct_serde::Row::fingerprint(),
        opaque::Row::fingerprint(),
        nested::Row::fingerprint(),
    ];
    let distinct: std::collections::BTreeSet<u64> = fingerprints.into_iter().collect();
    assert_eq!(distinct.len(), fingerprints.len(), "{fingerprints:x?}");
}

#[test]
fn layout_comments_and_visibility_keep_the_fingerprint() {
    assert_eq!(plain::Row::fingerprint(), loose::Row::fingerprint());
}

#[test]
fn a_fingerprint_is_the_same_in_every_build() {
    assert_eq!(plain::Row::fingerprint(), 10_970_929_290_682_536_194);
    assert_eq!(nested::Row::fingerprint(), 6_335_473_465_094_395_675);
}

#[test]
fn a_nested_shape_reaches_the_fingerprint_through_every_level() {
    // The tokens are equal; only the types that they name differ.
    assert_ne!(deep::Outer::shape(), deeper::Outer::shape());
    assert_ne!(Short::shape(), Long::shape());
}

/// Declares a shape in a separate module.
macro_rules! shapes {
    ($($module:ident { $($item:tt)* })*) => {$(
        mod $module {
            use super::*;

            #[derive(Clone, Debug, Serialize, Deserialize, Shape)]
            #[allow(dead_code)]
            $($item)*
        }
    )*};
}

shapes! {
    unit { pub(super) struct Form; }
    tuple { pub(super) struct Form(u8, String); }
    swapped { pub(super) struct Form(String, u8); }
    none { pub(super) enum Form {} }
    one { pub(super) enum Form { A } }
    two { pub(super) enum Form { A, B } }
    held { pub(super) enum Form { A, B(u8) } }
    named { pub(super) enum Form { A, B { b: u8 } } }
    tagged { #[serde(tag = "t")] pub(super) enum Form { A, B { b: u8 } } }
    aliased { pub(super) enum Form { A, #[serde(rename = "b")] B { b: u8 } } }
    numbered_shape { #[shape(shape = 3, crate = "my_aside")] pub(super) enum Form { A, B } }
    within { pub(super) enum Form { A, B(#[shape(nested)] Short) } }
    without { pub(super) enum Form { A, B(Short) } }
}

#[test]
fn every_part_of_a_struct_or_an_enum_belongs_to_its_shape() {
    let shapes = [
        unit::Form::shape(),
        tuple::Form::shape(),
        swapped::Form::shape(),
        none::Form::shape(),
        one::Form::shape(),
        two::Form::shape(),
        held::Form::shape(),
        named::Form::shape(),
        tagged::Form::shape(),
        aliased::Form::shape(),
        numbered_shape::Form::shape(),
        within::Form::shape(),
        without::Form::shape(),
    ];
    let distinct: std::collections::BTreeSet<u64> = shapes.into_iter().collect();
    assert_eq!(distinct.len(), shapes.len(), "{shapes:x?}");
}
