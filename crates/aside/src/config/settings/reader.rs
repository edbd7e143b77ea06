//! Typed getters that collect all problems.

use aside_redis::Secret;

use crate::config::settings::{Settings, units};

/// The allowed values of a boolean.
pub(crate) const FLAG: &str = "true or false (or 1, 0, yes, no, on, off)";

/// Reads settings by name and collects problems; see [`Settings::read`].
///
/// Every getter returns `None` for a setting that is unset, empty or wrong.
#[derive(Debug)]
pub struct SettingsReader<'a> {
    settings: &'a Settings,
    problems: Vec<String>,
}

impl<'a> SettingsReader<'a> {
    pub(super) fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            problems: Vec::new(),
        }
    }

    pub(super) fn into_problems(self) -> Vec<String> {
        self.problems
    }

    pub(crate) fn settings(&self) -> &'a Settings {
        self.settings
    }

    /// Returns a text, without a trailing comment and surrounding whitespace.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.find(name, without_comment).map(str::to_owned)
    }

    /// Returns the result of `parse`. If it is `None`, the problem's message
    /// says `allowed`.
    pub fn parse<T>(
        &mut self,
        name: &str,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.find(name, without_comment)?;
        let value = parse(text);
        if value.is_none() {
            self.problem(wrong(name, &shown(text), allowed));
        }
        value
    }

    /// Returns a whole number, zero or more. The caller checks its limits;
    /// `allowed` is the message for a text that is not such a number.
    pub fn number(&mut self, name: &str, allowed: &str) -> Option<u64> {
        self.parse(name, allowed, units::number)
    }

    /// Returns a boolean: `true` or `false`, also `1` `0`, `yes` `no`, `on`
    /// `off`, in any case.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        self.parse(name, FLAG, units::flag)
    }

    /// Returns a number of bytes: plain, or with a unit, as in `64MiB` or `64
    /// MB`.
    ///
    /// `K`, `M`, `G` and `KiB`, `MiB`, `GiB` are powers of 1024; `KB`, `MB`,
    /// `GB` are powers of 1000.
    pub fn bytes(&mut self, name: &str, allowed: &str) -> Option<usize> {
        self.parse(name, allowed, units::bytes)
    }

    /// Returns a secret, verbatim: a password may contain ` #` and end in a
    /// space.
    ///
    /// Only a value that consists of a comment (`REDIS_PASSWORD=  # none`)
    /// counts as unset.
    pub fn secret(&mut self, name: &str) -> Option<Secret> {
        self.find(name, secret_text).map(Secret::new)
    }

    /// Returns an address; as it may contain a password, all of it is secret.
    ///
    /// A comment after it is dropped, because URLs contain no whitespace. A
    /// hash without whitespace before it belongs to the URL.
    pub fn url(&mut self, name: &str) -> Option<Secret> {
        self.find(name, without_comment).map(Secret::new)
    }

    /// Refuses a setting for a reason that no getter knows, without showing its
    /// value.
    pub fn refuse(&mut self, name: &str, allowed: &str) {
        self.problem(format!("{name} is refused: {allowed}"));
    }

    pub(crate) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Returns the first value, by precedence, that `clean` leaves non-empty.
    fn find(&mut self, name: &str, clean: fn(&str) -> &str) -> Option<&'a str> {
        for layer in &self.settings.layers {
            match layer.get(name) {
                None => {}
                Some(None) => {
                    self.problem(format!("{name} is not UTF-8: a text in UTF-8"));
                    return None;
                }
                Some(Some(value)) => {
                    let value = clean(value);
                    if !value.is_empty() {
                        return Some(value);
                    }
                }
            }
        }
        None
    }
}

fn without_comment(value: &str) -> &str {
    let value = value.trim();
    let mut after_space = true;
    for (at, character) in value.char_indices() {
        if character == '#' && after_space {
            return value[..at].trim_end();
        }
        after_space = character.is_whitespace();
    }
    value
}

fn secret_text(value: &str) -> &str {
    let text = value.trim();
    // A template's `NAME=  # description` arrives with or without the
    // whitespace before the hash, depending on the parser of the file.
    let only_a_comment = text.strip_prefix('#').is_some_and(|rest| {
        value.starts_with(char::is_whitespace) || rest.starts_with(char::is_whitespace)
    });
    if text.is_empty() || only_a_comment {
        ""
    } else {
        value
    }
}

/// Returns the message for a wrong value. `shown` is the value in backquotes, or
/// a reason why it is not shown.
pub(crate) fn wrong(name: &str, shown: &str, allowed: &str) -> String {
    format!("{name} is {shown}: {allowed}")
}

/// Formats a value for a message: short, on one line, and never an address,
/// because it may contain a password.
pub(crate) fn shown(value: &str) -> String {
    if value.contains("://") || value.contains('@') {
        return "not shown because it looks like an address".to_owned();
    }
    let mut shown: String = value
        .chars()
        .take(60)
        .flat_map(char::escape_debug)
        .collect();
    if value.chars().nth(60).is_some() {
        shown.push_str("...");
    }
    format!("`{shown}`")
}
