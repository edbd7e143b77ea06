//! A row of many fields and about 5 KB, like the Tale Generator's stories.

use aside::Entity;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::heroes::id;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Entity)]
#[entity(kind = "story")]
pub(crate) struct Story {
    #[entity(id)]
    pub(crate) id: Uuid,
    title: String,
    content: String,
    moral: String,
    #[entity(index = "lang")]
    language: String,
    child_id: Option<Uuid>,
    child_name: Option<String>,
    rating: Option<u8>,
    story_length: Option<u32>,
    tags: Vec<String>,
    model_used: Option<String>,
    created_at: String,
    #[entity(version)]
    version: u64,
}

impl Story {
    pub(crate) fn new(number: u64) -> Self {
        Self {
            id: id(number),
            title: format!("How {number} dragons learned to \"share\""),
            content: "Once upon a time a small dragon lived by the sea.\n".repeat(86),
            moral: "What is shared does not become less.".to_owned(),
            language: "en".to_owned(),
            child_id: Some(id(number + 1)),
            child_name: Some("Maria".to_owned()),
            rating: None,
            story_length: Some(7),
            tags: ["dragon", "sea", "sharing"].map(str::to_owned).to_vec(),
            model_used: Some("a-model-2026".to_owned()),
            created_at: "2026-01-01T00:00:00.000000Z".to_owned(),
            version: 1,
        }
    }
}
