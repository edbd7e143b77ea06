//! The code that the derive generates for unusual declarations.

use aside::{Entity, entity::IndexShape};
use serde::{Deserialize, Serialize};

use crate::{id_key, index_key, lists};

/// Every name here is also used by the generated code.
mod in_the_way {
    #![allow(dead_code)]

    pub(crate) struct Option;
    pub(crate) struct Result;
    pub(crate) struct Some;
    pub(crate) trait Clone {}
    pub(crate) trait FnMut {}
    pub(crate) mod core {}

    #[derive(
        ::core::clone::Clone,
        ::core::fmt::Debug,
        ::serde::Serialize,
        ::serde::Deserialize,
        ::aside::Entity,
    )]
    #[entity(kind = "parcel", unique("by-key" = (key, each)), index_enum = "ParcelList")]
    pub(crate) struct Parcel {
        #[entity(id)]
        pub(crate) id: ::std::string::String,
        #[entity(unique = "code")]
        pub(crate) r#type: ::core::option::Option<i32>,
        pub(crate) key: ::std::string::String,
        pub(crate) each: ::core::option::Option<u8>,
        #[entity(version)]
        pub(crate) index: u32,
    }
}

use in_the_way::{Parcel, ParcelList};

fn parcel() -> Parcel {
    Parcel {
        id: "all".into(),
        r#type: Some(4),
        key: "k".into(),
        each: Some(5),
        index: 6,
    }
}

#[test]
fn the_generated_code_ignores_names_in_the_users_scope() {
    assert_eq!(
        lists(&parcel()),
        [
            ParcelList::Type(4),
            ParcelList::ByKey {
                key: "k".into(),
                each: 5
            }
        ]
    );
    assert_eq!(parcel().version(), Some(6));
    assert_eq!(id_key::<Parcel>(parcel().id()), "parcel:%61ll");
}

#[test]
fn a_row_without_part_of_a_composite_value_is_in_no_list() {
    let parcel = Parcel {
        each: None,
        r#type: None,
        ..parcel()
    };
    assert_eq!(lists(&parcel), []);
}

#[test]
fn a_composite_index_name_need_not_be_a_rust_name() {
    let index = ParcelList::ByKey {
        key: "a:b".into(),
        each: 5,
    };
    assert_eq!(index_key::<Parcel>(&index), "parcel:by-key:a%3Ab:5");
}

#[test]
fn unique_indexes_are_marked_as_unique() {
    assert_eq!(
        Parcel::INDEXES,
        [
            IndexShape::new("code", &["type"], true),
            IndexShape::new("by-key", &["key", "each"], true),
        ]
    );
}

#[derive(Clone, Debug, Serialize, Deserialize, Entity)]
#[entity(
    kind = "event",
    list_all = false,
    index(by_day = (day, place), by_place = (place, day)),
    unique(ticket = (day, seat)),
    crate = "my_aside"
)]
struct Event {
    #[entity(id, index)]
    id: u64,
    day: u16,
    place: String,
    seat: u16,
    #[entity(version)]
    revision: u64,
}

#[test]
fn one_struct_may_have_several_composite_indexes() {
    let event = Event {
        id: 1,
        day: 2,
        place: "hall".into(),
        seat: 3,
        revision: 4,
    };
    let keys: Vec<String> = lists(&event).iter().map(index_key::<Event>).collect();
    assert_eq!(
        keys,
        [
            "event:id:1",
            "event:by_day:2:hall",
            "event:by_place:hall:2",
            "event:ticket:2:3"
        ]
    );
    assert_eq!(event.version(), Some(4));
}

#[test]
fn a_kind_may_have_no_list_of_all() {
    const { assert!(!Event::LIST_ALL) };
}

#[derive(Clone, Debug, Serialize, Deserialize, Entity)]
#[entity(kind = "note")]
struct Note {
    #[entity(id)]
    id: (u32, String),
}

#[test]
fn an_entity_without_indexes_is_in_no_list() {
    let note = Note {
        id: (1, "x".into()),
    };
    assert_eq!(lists(&note), []);
    assert_eq!(Note::INDEXES, []);
    assert_eq!(std::mem::size_of::<NoteIndex>(), 0);
    assert_eq!(id_key::<Note>(&note.id), r#"note:^%5B1,"x"%5D"#);
}

/// A type that a macro writes reaches the derive in an invisible group.
macro_rules! labelled {
    ($name:ident, $ty:ty, $version:ty) => {
        #[derive(Clone, Debug, Serialize, Deserialize, Entity)]
        #[entity(kind = "labelled")]
        struct $name {
            #[entity(id)]
            id: u8,
            #[entity(index)]
            label: $ty,
            #[entity(version)]
            version: $version,
        }
    };
}

labelled!(Labelled, Option<String>, i32);

#[test]
fn a_macro_may_write_the_entity() {
    let row = Labelled {
        id: 1,
        label: Some("x".into()),
        version: 2,
    };
    assert_eq!(lists(&row), [LabelledIndex::Label("x".into())]);
    assert_eq!(row.version(), Some(2));
}
