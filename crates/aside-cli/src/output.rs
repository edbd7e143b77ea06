//! Results on stdout, failures on stderr, and the envelope of `--json`.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::{Value, json};

use crate::arguments::{Arguments, Color};
use crate::failure::{Code, Failure};

/// The number of the form of `--json`.
const FORM: u32 = 1;

/// Where a command writes, and how.
pub(crate) struct Output {
    is_json: bool,
    is_terminal: bool,
    is_colored: bool,
    command: &'static str,
}

/// The answer of a command.
pub(crate) struct Answer {
    pub(crate) code: Code,
    /// The text for people.
    pub(crate) text: String,
    /// The data of `--json`.
    pub(crate) data: Value,
    /// The problems, for `--json`.
    pub(crate) problems: Vec<Problem>,
}

/// One thing that is wrong.
pub(crate) struct Problem {
    pub(crate) code: String,
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            hint: None,
        }
    }

    fn shown(&self) -> Value {
        json!({ "code": self.code, "message": self.message, "hint": self.hint })
    }
}

impl Answer {
    pub(crate) fn good(text: String, data: Value) -> Self {
        Self {
            code: Code::Good,
            text,
            data,
            problems: Vec::new(),
        }
    }
}

impl Output {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let is_terminal = io::stdout().is_terminal();
        Self {
            is_json: arguments.json,
            is_terminal,
            is_colored: match arguments.color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto => !is_plain && is_terminal,
            },
            command: arguments.command.name(),
        }
    }

    /// Prints an answer, and returns its code.
    pub(crate) fn answer(&self, target: &Value, answer: &Answer) -> u8 {
        let text = match self.is_json {
            true => {
                let problems: Vec<Value> = answer.problems.iter().map(Problem::shown).collect();
                let is_good = answer.code == Code::Good;
                self.envelope(target, is_good, &answer.data, &problems)
            }
            false => self.for_people(&answer.text),
        };
        printed(&text, answer.code)
    }

    /// Prints one line of a stream. Returns false if its reader has closed the pipe.
    pub(crate) fn line(&self, data: &Value, text: &str) -> Result<bool, Failure> {
        let line = match self.is_json {
            true => data.to_string(),
            false => self.for_people(text),
        };
        goes_on(print(&format!("{line}\n")))
    }

    /// Prints a text in the place of the last one if this is a terminal, or else below
    /// it. Returns false if its reader has closed the pipe.
    pub(crate) fn screen(&self, data: &Value, text: &str) -> Result<bool, Failure> {
        if self.is_json || !self.is_terminal {
            return self.line(data, text);
        }
        // Line by line, because an empty screen in between would flicker.
        let text = self.for_people(text).replace('\n', "\x1b[K\n");
        goes_on(print(&format!("\x1b[H{text}\x1b[J")))
    }

    /// Prints a failure, and returns its code.
    pub(crate) fn failure(&self, target: &Value, failure: &Failure) -> u8 {
        let mut text = format!("aside: {}", failure.message);
        if let Some(hint) = &failure.hint {
            text += &format!("\n  {hint}");
        }
        note(&text);
        if !self.is_json {
            return failure.code as u8;
        }
        let problem = Problem {
            code: failure.code.as_str().to_owned(),
            message: failure.message.clone(),
            hint: failure.hint.clone(),
        };
        let envelope = self.envelope(target, false, &Value::Null, &[problem.shown()]);
        printed(&envelope, failure.code)
    }

    fn envelope(&self, target: &Value, ok: bool, data: &Value, problems: &[Value]) -> String {
        let envelope = json!({
            "aside": FORM,
            "command": self.command,
            "at": jiff::Timestamp::now().to_string(),
            "target": target,
            "ok": ok,
            "data": data,
            "problems": problems,
        });
        format!("{envelope}\n")
    }

    /// Makes a text fit for a terminal: without the control characters that a name in
    /// Redis may have, and with colour for the words that begin a line.
    fn for_people(&self, text: &str) -> String {
        let text = match self.is_terminal {
            true => visible(text),
            false => text.to_owned(),
        };
        if !self.is_colored {
            return text;
        }
        let paint = |line: &str| {
            for (word, color) in [
                ("ok ", 32),
                ("NOT WELL ", 31),
                ("error ", 31),
                ("warn ", 33),
                ("unknown ", 36),
            ] {
                if let Some(rest) = line.strip_prefix(word) {
                    return format!("\x1b[{color}m{word}\x1b[0m{rest}");
                }
            }
            line.to_owned()
        };
        text.split('\n').map(paint).collect::<Vec<_>>().join("\n")
    }
}

/// Replaces control characters other than line breaks.
fn visible(text: &str) -> String {
    let shown = |c: char| match c.is_control() && c != '\n' {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    };
    text.chars().map(shown).collect()
}

/// Prints to stdout.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Prints to stdout, and returns the exit code: a reader that has closed the pipe has
/// enough, and any other error is reported.
pub(crate) fn printed(text: &str, code: Code) -> u8 {
    match goes_on(print(text)) {
        Err(failure) => {
            note(&format!("aside: {failure}"));
            Code::Bad.max(code) as u8
        }
        Ok(_) => code as u8,
    }
}

fn goes_on(printed: io::Result<()>) -> Result<bool, Failure> {
    match printed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(
            Code::Bad,
            format!("cannot write the answer: {error}"),
        )),
    }
}

/// Prints to stderr.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{}", visible(text));
}

/// Formats a table: columns as wide as their widest cell, two blanks apart.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_control_the_terminal() {
        assert_eq!(
            visible("api\x1b[2J-1\u{9b}\n"),
            "api\u{fffd}[2J-1\u{fffd}\n"
        );
    }

    #[test]
    fn the_columns_of_a_table_are_aligned() {
        let rows = [["KIND", "READS"], ["hero", "1"]];
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.map(str::to_owned).to_vec())
            .collect();
        assert_eq!(table(&rows), "KIND  READS\nhero  1\n");
    }
}
