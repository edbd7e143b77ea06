//! Heroes, children, stories: what is stored, what a client may write of it,
//! and what can go wrong. Nothing here knows a database or HTTP.

mod child;
mod error;
mod free_json;
mod hero;
mod input;
mod kinds;
mod record;
mod revision;
mod rules;
mod story;
mod time;

pub use child::{Child, ChildDraft, ChildIndex};
pub use error::{Failure, Invalid, TaleError};
pub use free_json::FreeJson;
pub use hero::{Hero, HeroDraft, HeroIndex};
pub use input::Echo;
pub use kinds::{Gender, Language, Unknown};
pub use record::Record;
pub use revision::{Expected, Revision, Seen};
pub use story::{AudioFile, Story, StoryDraft, StoryIndex, parse_rating, validate_rating};
pub use time::{now, stored_precision};
