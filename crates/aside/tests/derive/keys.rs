//! The keys of the reference entities, literally.

use aside::{Entity, entity::IndexShape};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{id_key, index_key, lists};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Language {
    En,
    Ru,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Gender {
    Female,
}

#[derive(Clone, Debug, Serialize, Deserialize, Entity)]
#[entity(kind = "hero")]
struct Hero {
    #[entity(id)]
    id: Uuid,
    #[entity(index)]
    name: String,
    #[entity(index = "lang")]
    language: Language,
    age: u32,
    #[entity(version)]
    version: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize, Entity)]
#[entity(kind = "child", index(exact = (name, age, gender)))]
struct Child {
    #[entity(id)]
    id: Uuid,
    #[entity(index)]
    name: String,
    age: u8,
    gender: Gender,
}

#[derive(Clone, Debug, Serialize, Deserialize, Entity)]
#[entity(kind = "story")]
struct Story {
    #[entity(id)]
    id: Uuid,
    title: String,
    #[entity(index = "child")]
    child_id: Option<Uuid>,
    #[entity(index)]
    child_name: Option<String>,
    #[entity(index = "lang")]
    language: Language,
}

fn id() -> Uuid {
    Uuid::from_u128(7)
}

const ID: &str = "00000000-0000-0000-0000-000000000007";

fn story() -> Story {
    Story {
        id: id(),
        title: "The owl".into(),
        child_id: Some(id()),
        child_name: Some("Mia".into()),
        language: Language::Ru,
    }
}

#[test]
fn a_hero_has_the_keys_of_the_contract() {
    assert_eq!(Hero::KIND, "hero");
    const { assert!(Hero::LIST_ALL) };
    assert_eq!(id_key::<Hero>(&id()), format!("hero:{ID}"));
    let language = HeroIndex::Language(Language::En);
    assert_eq!(index_key::<Hero>(&language), "hero:lang:en");
    let name = HeroIndex::Name("Маша: 100%".into());
    assert_eq!(index_key::<Hero>(&name), "hero:name:Маша%3A 100%25");
}

#[test]
fn a_child_has_the_keys_of_the_contract() {
    assert_eq!(id_key::<Child>(&id()), format!("child:{ID}"));
    let name = ChildIndex::Name("Mia".into());
    assert_eq!(index_key::<Child>(&name), "child:name:Mia");
    let exact = ChildIndex::Exact {
        name: "Mia".into(),
        age: 7,
        gender: Gender::Female,
    };
    assert_eq!(index_key::<Child>(&exact), "child:exact:Mia:7:female");
}

#[test]
fn a_story_has_the_keys_of_the_contract() {
    let keys: Vec<String> = lists(&story()).iter().map(index_key::<Story>).collect();
    assert_eq!(
        keys,
        [
            format!("story:child:{ID}"),
            "story:child_name:Mia".into(),
            "story:lang:ru".into()
        ]
    );
    assert_eq!(id_key::<Story>(&id()), format!("story:{ID}"));
}

#[test]
fn a_row_is_in_every_list_of_its_values() {
    let child = Child {
        id: id(),
        name: "Mia".into(),
        age: 7,
        gender: Gender::Female,
    };
    let exact = ChildIndex::Exact {
        name: "Mia".into(),
        age: 7,
        gender: Gender::Female,
    };
    assert_eq!(lists(&child), [ChildIndex::Name("Mia".into()), exact]);
}

#[test]
fn a_row_without_an_optional_value_is_in_no_list_of_it() {
    let story = Story {
        child_id: None,
        child_name: None,
        ..story()
    };
    assert_eq!(lists(&story), [StoryIndex::Language(Language::Ru)]);
}

#[test]
fn the_id_and_the_version_are_those_of_the_row() {
    let hero = Hero {
        id: id(),
        name: "Ida".into(),
        language: Language::En,
        age: 30,
        version: 12,
    };
    assert_eq!(hero.id(), &id());
    assert_eq!(hero.version(), Some(12));
    let negative = Hero {
        version: -1,
        ..hero
    };
    assert_eq!(negative.version(), None);
    assert_eq!(story().version(), None);
}

#[test]
fn programs_without_the_types_see_the_indexes() {
    assert_eq!(
        Child::INDEXES,
        [
            IndexShape::new("name", &["name"], false),
            IndexShape::new("exact", &["name", "age", "gender"], false),
        ]
    );
    assert_eq!(
        Story::INDEXES[0],
        IndexShape::new("child", &["child_id"], false)
    );
}
