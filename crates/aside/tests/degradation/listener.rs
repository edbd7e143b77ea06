//! Captures the library's log lines.

use std::fmt;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Captures matching log lines while it is installed.
#[derive(Clone)]
pub(crate) struct Listener {
    heard: Arc<Mutex<Vec<(Level, String)>>>,
    level: Level,
    begins: &'static [&'static str],
}

impl Listener {
    /// Captures messages of `level` and above that begin with one of `begins`.
    pub(crate) fn of(level: Level, begins: &'static [&'static str]) -> Self {
        Self {
            heard: Arc::default(),
            level,
            begins,
        }
    }

    /// Returns the lines since the last call.
    pub(crate) fn heard(&self) -> Vec<(Level, String)> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level && metadata.target().starts_with("aside")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let said = text.0.strip_prefix("message=").unwrap_or(&text.0);
        if self.begins.iter().any(|begin| said.starts_with(begin)) {
            let heard = (*event.metadata().level(), text.0);
            self.heard.lock().unwrap().push(heard);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 += &format!("{field}={value:?} ");
    }
}
