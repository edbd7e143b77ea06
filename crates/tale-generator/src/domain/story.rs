//! Stories.

use aside::{Entity, Shape};
use aside_sqlx::Table;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::draft::Draft;
use super::free_json::FreeJson;
use super::input::Input;
use super::kinds::Language;
use super::row::Row;
use super::rules::{MAX_DESCRIPTION, MAX_NAME, MAX_PHRASE, Problems};
use super::time::now;
use crate::columns::{Id, JsonText, Time, Version, Word};

/// A story, as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity, Table)]
#[entity(kind = "story")]
#[table("stories", postgres, sqlite, order = "created_at, id")]
pub struct Story {
    /// The id of the story.
    #[entity(id)]
    #[table(as = "Id")]
    pub id: Uuid,
    /// The title.
    pub title: String,
    /// The text.
    pub content: String,
    /// The lesson of the story.
    pub moral: String,
    /// The language it is told in.
    #[entity(index = "lang", nested)]
    #[table(as = "Word")]
    pub language: Language,
    /// The child it was made for; `None` after that child is deleted.
    #[entity(index = "child")]
    #[table(as = "Id")]
    pub child_id: Option<Uuid>,
    /// That child's name; it stays after the child is deleted.
    #[entity(index)]
    pub child_name: Option<String>,
    /// The hero it is about; `None` after that hero is deleted.
    #[table(as = "Id")]
    pub hero_id: Option<Uuid>,
    /// 1 to 10.
    pub rating: Option<i32>,
    /// The time to tell it, in minutes, at least 1.
    pub story_length: Option<i32>,
    /// The recording.
    #[entity(nested)]
    #[table(as = "JsonText")]
    pub audio_file: Option<AudioFile>,
    /// The model that wrote it.
    pub model_used: Option<String>,
    /// The model's full response.
    #[table(as = "JsonText")]
    pub full_response: Option<FreeJson>,
    /// Details of the generation.
    #[table(as = "JsonText")]
    pub generation_info: Option<FreeJson>,
    /// When the story was added, to the microsecond.
    #[table(as = "Time")]
    pub created_at: Timestamp,
    /// When the story last changed, to the microsecond.
    #[table(as = "Time")]
    pub updated_at: Timestamp,
    /// 1, and 1 more with each change; set by the database.
    #[entity(version)]
    #[table(as = "Version")]
    pub version: u64,
}

/// The recording of a story.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Shape)]
pub struct AudioFile {
    /// The address of the recording.
    pub url: String,
    /// The provider that made the recording.
    pub provider: Option<String>,
    /// The provider's metadata.
    pub metadata: Option<FreeJson>,
}

/// The fields of a story that a client may write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoryDraft {
    /// The title, 1 to 200 characters.
    pub title: String,
    /// The text, at most 1 MiB.
    pub content: String,
    /// The lesson of the story.
    pub moral: String,
    /// The language it is told in.
    pub language: Language,
    /// The child it is made for.
    pub child_id: Option<Uuid>,
    /// The child's name. If there is a `child_id`, the name of that child is
    /// stored instead.
    pub child_name: Option<String>,
    /// The hero it is about.
    pub hero_id: Option<Uuid>,
    /// 1 to 10.
    pub rating: Option<i32>,
    /// The time to tell it, in minutes, at least 1.
    pub story_length: Option<i32>,
    /// The recording.
    pub audio_file: Option<AudioFile>,
    /// The model that wrote it.
    pub model_used: Option<String>,
    /// The model's full response.
    pub full_response: Option<FreeJson>,
    /// Details of the generation.
    pub generation_info: Option<FreeJson>,
}

/// The rating of a story alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rating(
    /// 1 to 10.
    pub i32,
);

impl Draft for Rating {
    fn take(input: &mut Input<'_>) -> Self {
        let rating = input.required("rating", "a whole number from 1 to 10");
        Self(rating.unwrap_or_default())
    }

    fn check(&self, problems: &mut Problems) {
        problems.number("rating", self.0, 1, 10);
    }
}

impl Draft for StoryDraft {
    fn take(input: &mut Input<'_>) -> Self {
        Self {
            title: input.required("title", "a text").unwrap_or_default(),
            content: input.required("content", "a text").unwrap_or_default(),
            moral: input.required("moral", "a text").unwrap_or_default(),
            language: input
                .required("language", "one of en, ru")
                .unwrap_or(Language::En),
            child_id: input.optional("child_id", "a UUID"),
            child_name: input.optional("child_name", "a text"),
            hero_id: input.optional("hero_id", "a UUID"),
            rating: input.optional("rating", "a whole number from 1 to 10"),
            story_length: input.optional(
                "story_length",
                "a whole number of minutes, from 1 to 2147483647",
            ),
            audio_file: input.optional("audio_file", "an object with url, provider and metadata"),
            model_used: input.optional("model_used", "a text"),
            full_response: input.optional("full_response", "JSON"),
            generation_info: input.optional("generation_info", "JSON"),
        }
    }

    fn check(&self, problems: &mut Problems) {
        problems.words("title", &self.title, MAX_NAME);
        problems.content("content", &self.content);
        problems.text("moral", &self.moral, MAX_DESCRIPTION);
        if let Some(name) = &self.child_name {
            problems.words("child_name", name, MAX_NAME);
        }
        if let Some(rating) = self.rating {
            Rating(rating).check(problems);
        }
        if let Some(minutes) = self.story_length {
            problems.number("story_length", minutes, 1, i32::MAX);
        }
        if let Some(audio) = &self.audio_file {
            audio.check(problems);
        }
        if let Some(model) = &self.model_used {
            problems.text("model_used", model, MAX_PHRASE);
        }
        if let Some(response) = &self.full_response {
            problems.json("full_response", response);
        }
        if let Some(info) = &self.generation_info {
            problems.json("generation_info", info);
        }
    }
}

impl AudioFile {
    fn check(&self, problems: &mut Problems) {
        problems.words("audio_file.url", &self.url, MAX_DESCRIPTION);
        if let Some(provider) = &self.provider {
            problems.text("audio_file.provider", provider, MAX_PHRASE);
        }
        if let Some(metadata) = &self.metadata {
            problems.json("audio_file.metadata", metadata);
        }
    }
}

impl Row for Story {
    type Draft = StoryDraft;

    fn with_id(id: Uuid, draft: StoryDraft) -> Self {
        let now = now();
        Self {
            id,
            title: draft.title,
            content: draft.content,
            moral: draft.moral,
            language: draft.language,
            child_id: draft.child_id,
            child_name: draft.child_name,
            hero_id: draft.hero_id,
            rating: draft.rating,
            story_length: draft.story_length,
            audio_file: draft.audio_file,
            model_used: draft.model_used,
            full_response: draft.full_response,
            generation_info: draft.generation_info,
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }

    fn draft(&self) -> StoryDraft {
        StoryDraft {
            title: self.title.clone(),
            content: self.content.clone(),
            moral: self.moral.clone(),
            language: self.language,
            child_id: self.child_id,
            child_name: self.child_name.clone(),
            hero_id: self.hero_id,
            rating: self.rating,
            story_length: self.story_length,
            audio_file: self.audio_file.clone(),
            model_used: self.model_used.clone(),
            full_response: self.full_response.clone(),
            generation_info: self.generation_info.clone(),
        }
    }

    fn stamps(&self) -> (Timestamp, Timestamp, u64) {
        (self.created_at, self.updated_at, self.version)
    }

    fn set_stamps(&mut self, stamps: (Timestamp, Timestamp, u64)) {
        (self.created_at, self.updated_at, self.version) = stamps;
    }
}
