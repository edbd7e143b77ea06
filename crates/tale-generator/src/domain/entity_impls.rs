//! What `#[derive(Entity)]` would write for the three kinds.

use aside::{Entity, IndexShape, KeyWriter};
use uuid::Uuid;

use super::child::Child;
use super::hero::Hero;
use super::kinds::{Gender, Language};
use super::story::Story;

/// A list that a hero stands in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HeroIndex {
    /// The heroes of this name.
    Name(String),
    /// The heroes who speak this language.
    Language(Language),
}

/// A list that a child stands in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ChildIndex {
    /// The children of this name.
    Name(String),
    /// The children of this name, age and gender.
    Exact {
        /// The name.
        name: String,
        /// The age in years.
        age: i32,
        /// The gender.
        gender: Gender,
    },
}

/// A list that a story stands in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StoryIndex {
    /// The stories made for this child.
    ChildId(Uuid),
    /// The stories that carry this child's name.
    ChildName(String),
    /// The stories told in this language.
    Language(Language),
}

impl Entity for Hero {
    const KIND: &'static str = "hero";
    const INDEXES: &'static [IndexShape] = &[
        IndexShape::new("name", &["name"], false),
        IndexShape::new("lang", &["language"], false),
    ];
    type Id = Uuid;
    type Index = HeroIndex;

    fn id(&self) -> &Uuid {
        &self.id
    }

    fn indexes(&self, each: &mut dyn FnMut(HeroIndex)) {
        each(HeroIndex::Name(self.name.clone()));
        each(HeroIndex::Language(self.language));
    }

    fn write_id(id: &Uuid, key: &mut KeyWriter) {
        key.segment(id);
    }

    fn write_index(index: &HeroIndex, key: &mut KeyWriter) {
        match index {
            HeroIndex::Name(name) => {
                key.name("name");
                key.segment(name);
            }
            HeroIndex::Language(language) => {
                key.name("lang");
                key.segment(language);
            }
        }
    }

    fn fingerprint() -> u64 {
        0x6865_726f_0000_0001
    }

    fn version(&self) -> Option<u64> {
        Some(self.version)
    }
}

impl Entity for Child {
    const KIND: &'static str = "child";
    const INDEXES: &'static [IndexShape] = &[
        IndexShape::new("name", &["name"], false),
        IndexShape::new("exact", &["name", "age", "gender"], false),
    ];
    type Id = Uuid;
    type Index = ChildIndex;

    fn id(&self) -> &Uuid {
        &self.id
    }

    fn indexes(&self, each: &mut dyn FnMut(ChildIndex)) {
        each(ChildIndex::Name(self.name.clone()));
        each(ChildIndex::Exact {
            name: self.name.clone(),
            age: self.age,
            gender: self.gender,
        });
    }

    fn write_id(id: &Uuid, key: &mut KeyWriter) {
        key.segment(id);
    }

    fn write_index(index: &ChildIndex, key: &mut KeyWriter) {
        match index {
            ChildIndex::Name(name) => {
                key.name("name");
                key.segment(name);
            }
            ChildIndex::Exact { name, age, gender } => {
                key.name("exact");
                key.segment(name);
                key.segment(age);
                key.segment(gender);
            }
        }
    }

    fn fingerprint() -> u64 {
        0x6368_696c_6400_0001
    }

    fn version(&self) -> Option<u64> {
        Some(self.version)
    }
}

impl Entity for Story {
    const KIND: &'static str = "story";
    const INDEXES: &'static [IndexShape] = &[
        IndexShape::new("child", &["child_id"], false),
        IndexShape::new("child_name", &["child_name"], false),
        IndexShape::new("lang", &["language"], false),
    ];
    type Id = Uuid;
    type Index = StoryIndex;

    fn id(&self) -> &Uuid {
        &self.id
    }

    fn indexes(&self, each: &mut dyn FnMut(StoryIndex)) {
        if let Some(child) = self.child_id {
            each(StoryIndex::ChildId(child));
        }
        if let Some(name) = &self.child_name {
            each(StoryIndex::ChildName(name.clone()));
        }
        each(StoryIndex::Language(self.language));
    }

    fn write_id(id: &Uuid, key: &mut KeyWriter) {
        key.segment(id);
    }

    fn write_index(index: &StoryIndex, key: &mut KeyWriter) {
        match index {
            StoryIndex::ChildId(child) => {
                key.name("child");
                key.segment(child);
            }
            StoryIndex::ChildName(name) => {
                key.name("child_name");
                key.segment(name);
            }
            StoryIndex::Language(language) => {
                key.name("lang");
                key.segment(language);
            }
        }
    }

    fn fingerprint() -> u64 {
        0x7374_6f72_7900_0001
    }

    fn version(&self) -> Option<u64> {
        Some(self.version)
    }
}
