//! The stories' statements, and a story to and from its columns.

use super::super::columns::{Columns, FromColumns};
use super::super::statement::{Statement, Value};
use super::super::table::{Statements, Table};
use crate::domain::Story;

impl Table for Story {
    const STATEMENTS: Statements = Statements {
        by_id: Statement::both(select!("stories WHERE id = $1")),
        by_ids: Statement::each(
            select!("stories WHERE id IN (SELECT value FROM json_each($1))"),
            select!("stories WHERE id = ANY ($1)"),
        ),
        all: Statement::both(select!("stories ORDER BY created_at, id")),
        page: Statement::both(select!("stories WHERE $1 < id ORDER BY id LIMIT 500")),
        lock: Statement::each(
            select!("stories WHERE id = $1"),
            select!("stories WHERE id = $1 FOR UPDATE"),
        ),
        insert: Statement::both(returning!(
            "INSERT INTO stories (id, title, content, moral, language, child_id, child_name,
                                  hero_id, rating, story_length, audio_file, model_used,
                                  full_response, generation_info,
                                  created_at, updated_at, version)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
             ON CONFLICT (id) DO NOTHING"
        )),
        update: Statement::both(returning!(
            "UPDATE stories
                SET title = $2, content = $3, moral = $4, language = $5, child_id = $6,
                    child_name = $7, hero_id = $8, rating = $9, story_length = $10,
                    audio_file = $11, model_used = $12, full_response = $13,
                    generation_info = $14,
                    updated_at = CASE WHEN updated_at < $15 THEN $15 ELSE updated_at END,
                    version = version + 1
              WHERE id = $1 AND ($16 IS NULL OR version = $16)"
        )),
        delete: Statement::both(
            "DELETE FROM stories WHERE id = $1 AND ($2 IS NULL OR version = $2) RETURNING id",
        ),
    };

    fn writable(&self) -> Result<Vec<Value>, sqlx::Error> {
        Ok(vec![
            Value::text(&self.title),
            Value::text(&self.content),
            Value::text(&self.moral),
            Value::text(self.language.as_str()),
            Value::Id(self.child_id),
            Value::Text(self.child_name.clone()),
            Value::Id(self.hero_id),
            Value::Int(self.rating),
            Value::Int(self.story_length),
            Value::optional_json(self.audio_file.as_ref())?,
            Value::Text(self.model_used.clone()),
            Value::optional_json(self.full_response.as_ref())?,
            Value::optional_json(self.generation_info.as_ref())?,
        ])
    }
}

impl FromColumns for Story {
    fn from_columns(row: &dyn Columns) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.id("id")?,
            title: row.text("title")?,
            content: row.text("content")?,
            moral: row.text("moral")?,
            language: row.word("language")?,
            child_id: row.optional_id("child_id")?,
            child_name: row.optional_text("child_name")?,
            hero_id: row.optional_id("hero_id")?,
            rating: row.optional_int("rating")?,
            story_length: row.optional_int("story_length")?,
            audio_file: row.optional_json("audio_file")?,
            model_used: row.optional_text("model_used")?,
            full_response: row.optional_json("full_response")?,
            generation_info: row.optional_json("generation_info")?,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
            version: row.version()?,
        })
    }
}
