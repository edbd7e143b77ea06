//! The keys are part of the contract, because other programs rely on them.

use aside::{Entity, entity::KeyWriter};
use tale_generator::domain::{
    Child, ChildIndex, Gender, Hero, HeroIndex, Language, Story, StoryIndex,
};
use tale_generator::seed::{Generator, Plan};
use uuid::Uuid;

const ID: Uuid = Uuid::from_u128(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8);

fn row_key<E: Entity<Id = Uuid>>() -> String {
    let mut key = KeyWriter::new("", E::KIND);
    E::write_id(&ID, &mut key);
    key.as_str().to_owned()
}

fn list_key<E: Entity>(index: &E::Index) -> String {
    let mut key = KeyWriter::new("", E::KIND);
    E::write_index(index, &mut key);
    key.as_str().to_owned()
}

#[test]
fn keys_are_those_of_the_contract() {
    let id = ID.to_string();
    let name = || "Маша: 1".to_owned();
    let exact = ChildIndex::Exact {
        name: name(),
        age: 7,
        gender: Gender::Female,
    };
    for (key, expected) in [
        (row_key::<Hero>(), format!("hero:{id}")),
        (row_key::<Child>(), format!("child:{id}")),
        (row_key::<Story>(), format!("story:{id}")),
        (
            list_key::<Hero>(&HeroIndex::Language(Language::En)),
            "hero:lang:en".to_owned(),
        ),
        (
            list_key::<Hero>(&HeroIndex::Name(name())),
            "hero:name:Маша%3A 1".to_owned(),
        ),
        (
            list_key::<Child>(&ChildIndex::Name(name())),
            "child:name:Маша%3A 1".to_owned(),
        ),
        (
            list_key::<Child>(&exact),
            "child:exact:Маша%3A 1:7:female".to_owned(),
        ),
        (
            list_key::<Story>(&StoryIndex::ChildId(ID)),
            format!("story:child:{id}"),
        ),
        (
            list_key::<Story>(&StoryIndex::ChildName(name())),
            "story:child_name:Маша%3A 1".to_owned(),
        ),
        (
            list_key::<Story>(&StoryIndex::Language(Language::Ru)),
            "story:lang:ru".to_owned(),
        ),
    ] {
        assert_eq!(key, expected);
    }
}

#[test]
fn a_story_without_a_child_is_in_no_list_of_a_child() {
    let plan = Plan {
        heroes: 0,
        children: 0,
        stories: 1,
        rng_seed: 1,
    };
    let Some(tale_generator::domain::Record::Story(story)) = Generator::new(plan).next() else {
        panic!("the plan has a story");
    };
    let mut lists = vec![];
    story.indexes(&mut |index| lists.push(index));
    assert_eq!(lists, [StoryIndex::Language(story.language)]);
}
