//! The error that a server replies with.

use std::fmt;

use super::printable;
use crate::secret::Secret;

/// The longest code that is kept; real ones have a dozen letters.
const MAX_CODE_CHARS: usize = 32;

/// The longest text that is kept; the longest of Redis has 150 characters.
const MAX_TEXT_CHARS: usize = 200;

/// The replacement of a word that was cut out.
const CUT: &str = "…";

/// An error that a server replied with: its code, and its words behind it.
///
/// Servers quote arguments in their errors, and arguments are keys and values. So
/// of the text only plain words are kept, and names of commands. Everything else
/// that is quoted, and every other word with a digit or a colon, becomes `…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    code: String,
    text: String,
}

impl Refusal {
    /// Reads the line of an error, without its mark.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        let line = line.trim();
        let (code, text) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let code = if code.is_empty() { "ERR" } else { code };
        let code: String = code.chars().take(MAX_CODE_CHARS).collect();
        Self {
            code: printable(&code),
            text: without_arguments(text),
        }
    }

    /// Returns the first word, such as `OOM`.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Returns the words behind the code; empty if there are none.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Drops the text if it contains a secret.
    #[must_use]
    pub(crate) fn without(mut self, secret: Option<&Secret>) -> Self {
        let is_in = |secret: &Secret| self.text.contains(secret.expose());
        if secret.is_some_and(is_in) {
            self.text.clear();
        }
        self
    }

    /// Returns the memory behind it.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.code.capacity() + self.text.capacity()
    }
}

/// The code, and the text in parentheses.
impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.code)?;
        match self.text.is_empty() {
            true => Ok(()),
            false => write!(formatter, " ({})", self.text),
        }
    }
}

/// Returns the words of a text that are no arguments.
fn without_arguments(text: &str) -> String {
    let mut kept = String::new();
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let next = words.peek().copied().unwrap_or_default();
        let shown = match word.chars().next() {
            Some(quote @ ('\'' | '"' | '`')) => {
                let inner = quoted(word, quote);
                // An argument may consist of several words.
                if inner.is_none() {
                    let ends = |word: &&str| is_end(word, quote);
                    let _ = words.by_ref().find(ends);
                }
                let is_name = |inner: &&str| next.starts_with("command") || *inner == "maxmemory";
                inner.filter(is_command).filter(is_name)
            }
            _ => is_plain(word).then_some(word),
        };
        // Cut words that follow each other are one.
        match shown {
            Some(shown) => push(&mut kept, shown),
            None if kept.ends_with(CUT) => {}
            None => push(&mut kept, CUT),
        }
        if MAX_TEXT_CHARS < kept.chars().count() {
            kept = kept.chars().take(MAX_TEXT_CHARS).collect();
            kept.push_str(CUT);
            break;
        }
    }
    let words = kept.trim_end_matches('.');
    match words.contains(char::is_alphabetic) {
        true => words.to_owned(),
        false => String::new(),
    }
}

fn push(kept: &mut String, word: &str) {
    if !kept.is_empty() {
        kept.push(' ');
    }
    kept.push_str(word);
}

/// Returns the text between two quotes, if the word ends with the second.
fn quoted(word: &str, quote: char) -> Option<&str> {
    let inner = word.strip_prefix(quote)?;
    let inner = inner.trim_end_matches([',', '.', ';', ':', ')']);
    inner.strip_suffix(quote)
}

fn is_end(word: &str, quote: char) -> bool {
    let word = word.trim_end_matches([',', '.', ';', ':', ')']);
    word.ends_with(quote)
}

/// Returns true for the form of a command's name, such as `script|load`.
fn is_command(inner: &&str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'|' | b'-' | b'_');
    inner.len() <= MAX_CODE_CHARS && inner.bytes().all(is_of_name)
}

/// Returns true for a word of English.
fn is_plain(word: &str) -> bool {
    let word = word.trim_start_matches('(');
    let word = word.trim_end_matches([',', '.', ';', ':', ')', '?', '!']);
    let is_of_word = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'\'' | b'-' | b'/');
    !word.is_empty() && word.bytes().all(is_of_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_server_stand_behind_its_code() {
        for (line, shown) in [
            (
                "ERR DB index is out of range",
                "ERR (DB index is out of range)",
            ),
            (
                "NOPERM User aside has no permissions to run the 'script|load' command",
                "NOPERM (User aside has no permissions to run the 'script|load' command)",
            ),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                "OOM (command not allowed when used memory … maxmemory)",
            ),
            ("LOADING", "LOADING"),
            ("", "ERR"),
            ("ERR 17 hero:1", "ERR"),
        ] {
            let shown = shown.replace("'script|load'", "script|load");
            assert_eq!(Refusal::parse(line).to_string(), shown, "{line}");
        }
    }

    #[test]
    fn keys_and_values_are_cut_out() {
        for line in [
            "ERR unknown command 'FOO', with args beginning with: 'hero:ada' 'ada lovelace' ",
            "ERR unknown command `FOO`, with args beginning with: `hero:ada`, `ada` ",
            "NOPERM No permissions to access the 'ada' key",
            "WRONGTYPE the key hero:ada holds \"ada lovelace\"",
            "ERR user_script:1: ada:1 x7ada ada=1",
            "ERR Error running script (call to f_0ada1): @user_script:3: 'ada",
        ] {
            let refusal = Refusal::parse(line);
            let lower = refusal.to_string().to_lowercase();
            assert!(!lower.contains("ada"), "{line}: {refusal}");
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        let refusal = Refusal::parse(&"word ".repeat(1_000));
        assert!(refusal.text().chars().count() <= MAX_TEXT_CHARS + 1);
        assert!(refusal.text().ends_with(CUT));
    }

    #[test]
    fn a_text_with_a_secret_is_dropped() {
        let secret = Secret::new("hunter");
        let refusal = Refusal::parse("WRONGPASS hunter is wrong").without(Some(&secret));
        assert_eq!(refusal.to_string(), "WRONGPASS");
    }
}
