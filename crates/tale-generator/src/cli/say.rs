//! What the program says, and to whom it does not matter if nobody listens.
//!
//! Lines hold foreign text: fields of a file that is imported, what a server
//! answered, names of files. So whatever a terminal would obey is written as
//! an escape, and so are the characters that turn the direction of a text.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Write as _, stderr, stdout};

use super::failure::Failure;

/// Says on standard output what came of a command that is done.
///
/// # Errors
/// When it cannot be written, as on a disk that is full. A reader that has
/// gone away had enough, and that is no failure.
pub(super) fn result(line: &str) -> Result<(), Failure> {
    match write_to_stdout(line) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(
            "it is done, but standard output cannot be written",
            error,
        )),
        _ => Ok(()),
    }
}

fn write_to_stdout(line: &str) -> io::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{}", printable(line))?;
    out.flush()
}

/// Says on standard error what a person may want to know; it can be closed.
pub(super) fn beside(line: &str) {
    let _ = writeln!(stderr(), "{}", printable(line));
}

/// The line without anything that a terminal obeys.
pub(super) fn printable(line: &str) -> Cow<'_, str> {
    // Only ASCII that is printed as it is needs no look at each character.
    if line.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return line.into();
    }
    let mut printable = String::with_capacity(line.len());
    for character in line.chars() {
        match character {
            '\'' | '"' | '\\' => printable.push(character),
            other => printable.extend(other.escape_debug()),
        }
    }
    printable.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_written_as_an_escape() {
        for (line, said) in [
            ("cannot read \"a\\b\": 'no'", "cannot read \"a\\b\": 'no'"),
            ("Маша, 日本", "Маша, 日本"),
            (
                "\u{1b}]0;pwned\u{7}\u{1b}[31m\r\n",
                "\\u{1b}]0;pwned\\u{7}\\u{1b}[31m\\r\\n",
            ),
            (
                "a\u{202e}b\u{2066}c\u{200f}",
                "a\\u{202e}b\\u{2066}c\\u{200f}",
            ),
            ("\u{9b}31m\u{7f}\u{2028}", "\\u{9b}31m\\u{7f}\\u{2028}"),
        ] {
            assert_eq!(printable(line), said);
        }
    }
}
