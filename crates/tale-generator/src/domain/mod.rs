//! Heroes, children, stories: the rows, the drafts that clients send, and the
//! errors. The rows derive their tables; nothing here talks to a database or over
//! HTTP.

mod error;
mod free_json;
mod kinds;
mod revision;
mod time;
mod rules;
mod input;
mod draft;
mod row;
mod child;
mod hero;
mod story;
mod record;

pub use child::{Child, ChildDraft, ChildIndex};
pub use draft::Draft;
pub use error::{Failure, Invalid, TaleError};
pub use free_json::FreeJson;
pub use hero::{Hero, HeroDraft, HeroIndex};
pub use input::{Echo, Input};
pub use kinds::{Gender, Language, Unknown};
pub use record::Record;
pub use revision::{Expected, Revision, Seen};
pub use row::Row;
pub use rules::Problems;
pub use story::{AudioFile, Rating, Story, StoryDraft, StoryIndex};
pub use time::{now, stored_precision};
