//! Mistakes of an `Entity` that is written by hand.

use aside::{
    Entity,
    entity::{IndexShape, KeyWriter},
};
use aside_testkit::{EntityProblem, check_entity};
use serde::{Deserialize, Serialize};

use super::problems;

/// A handwritten `Entity`, with a mistake that the test chooses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ByHand<const MISTAKE: u8> {
    id: String,
    name: String,
}

const OF_ALL: u8 = 1;
const UNDESCRIBED: u8 = 2;
const TWO_SEGMENTS: u8 = 3;
const FINGERPRINT: u8 = 4;
const NAME: u8 = 5;
const LIKE_A_LIST: u8 = 6;

impl<const MISTAKE: u8> Entity for ByHand<MISTAKE> {
    const KIND: &'static str = "hand";
    const INDEXES: &'static [IndexShape] = match MISTAKE {
        UNDESCRIBED => &[],
        NAME => &[
            IndexShape::new("name", &["name"], false),
            IndexShape::new("all", &["name"], false),
        ],
        _ => &[IndexShape::new("name", &["name"], false)],
    };
    type Id = String;
    type Index = String;

    fn id(&self) -> &String {
        &self.id
    }

    fn indexes(&self, each: &mut dyn FnMut(String)) {
        each(self.name.clone());
    }

    fn write_id(id: &String, key: &mut KeyWriter) {
        match MISTAKE {
            OF_ALL => key.name(id),
            TWO_SEGMENTS => {
                key.segment(id);
                key.segment(id);
            }
            LIKE_A_LIST => {
                key.name("name");
                key.segment(id);
            }
            _ => key.segment(id),
        }
    }

    fn write_index(name: &String, key: &mut KeyWriter) {
        key.name("name");
        key.segment(name);
    }

    fn fingerprint() -> u64 {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        match MISTAKE {
            FINGERPRINT => NEXT.fetch_add(1, Ordering::Relaxed),
            _ => 1,
        }
    }
}

fn by_hand<const MISTAKE: u8>() -> Vec<EntityProblem> {
    let row = |id: &str, name: &str| ByHand::<MISTAKE> {
        id: id.to_owned(),
        name: name.to_owned(),
    };
    problems([row("all", "a"), row("b", "b")])
}

#[test]
fn mistakes_of_a_handwritten_entity_are_named() {
    check_entity([ByHand::<0> {
        id: "all".to_owned(),
        name: "a".to_owned(),
    }])
    .unwrap();
    let key = "hand:all".to_owned();
    assert_eq!(by_hand::<OF_ALL>(), [EntityProblem::TwoLookups { key }]);
    let lists = ["hand:name:a", "hand:name:b"].map(str::to_owned);
    assert_eq!(
        by_hand::<UNDESCRIBED>(),
        lists.map(|key| EntityProblem::UnknownList { key })
    );
    let keys = ["hand:%61ll:all", "hand:b:b"].map(str::to_owned);
    assert_eq!(
        by_hand::<TWO_SEGMENTS>(),
        keys.map(|key| EntityProblem::IdOfSeveralSegments { key })
    );
    assert_eq!(
        by_hand::<FINGERPRINT>(),
        [EntityProblem::FingerprintChanges]
    );
    let name = "all".to_owned();
    assert_eq!(by_hand::<NAME>(), [EntityProblem::Name { name }]);
    let key = "hand:name:b".to_owned();
    assert!(by_hand::<LIKE_A_LIST>().contains(&EntityProblem::TwoLookups { key }));
}
