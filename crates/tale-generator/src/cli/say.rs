//! Output of the program. It does not fail if the reader has closed it.
//!
//! Lines contain foreign text: fields of an imported file, replies of a server,
//! file names. So control characters are written as escapes, and so are
//! characters that change the direction of text.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Write as _, stderr, stdout};

use super::failure::Failure;

/// Writes the result of a finished command to standard output.
///
/// # Errors
/// If it cannot be written, as on a full disk. A closed pipe is no failure,
/// because its reader has read enough.
pub(super) fn result(line: &str) -> Result<(), Failure> {
    match write_to_stdout(line) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(
            "the command succeeded, but standard output cannot be written",
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

/// Writes a message for people to standard error, which may be closed.
pub(super) fn beside(line: &str) {
    let _ = writeln!(stderr(), "{}", printable(line));
}

/// Escapes every character that a terminal would interpret.
pub(super) fn printable(line: &str) -> Cow<'_, str> {
    // Printable ASCII needs no check of each character.
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
    fn terminal_control_characters_are_escaped() {
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
