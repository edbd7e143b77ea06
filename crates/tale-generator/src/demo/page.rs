//! The demo's output: 80 columns, with colours only in a terminal.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _, stdout};
use std::time::Duration;

const WIDTH: usize = 78;
const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const RED: &str = "1;31";

/// Standard output, and the promises checked so far.
#[derive(Debug)]
pub(super) struct Page {
    coloured: bool,
    held: usize,
    broken: Vec<String>,
}

/// One line of a table: a measurement beside the promise.
#[derive(Debug)]
pub(super) struct Row<'a> {
    /// The operation.
    pub(super) what: &'a str,
    /// The measurement.
    pub(super) measured: String,
    /// The promise of the design.
    pub(super) promised: &'a str,
    /// Reads served by the cache.
    pub(super) hits: u64,
    /// Reads served by the database.
    pub(super) loads: u64,
    /// True if the promise held.
    pub(super) held: bool,
}

impl Page {
    pub(super) fn new() -> Self {
        let refused = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Self {
            coloured: stdout().is_terminal() && !refused("NO_COLOR") && !dumb,
            held: 0,
            broken: Vec::new(),
        }
    }

    /// Prints the title.
    pub(super) fn title(&self, title: &str) {
        self.line("");
        self.line(&self.paint(BOLD, title));
        self.line(&self.paint(DIM, "=".repeat(title.len())));
    }

    /// Begins an act.
    pub(super) fn act(&self, number: u32, name: &str) {
        let title = format!("Act {number}: {name}");
        self.line("");
        self.line(&self.paint(BOLD, &title));
        self.line(&self.paint(DIM, "-".repeat(title.len())));
    }

    /// Prints a paragraph.
    pub(super) fn say(&self, text: &str) {
        let mut line = String::new();
        for word in text.split_whitespace() {
            if WIDTH < line.chars().count() + 1 + word.chars().count() {
                self.line(&line);
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.line(&line);
    }

    /// Prints the head of a table.
    pub(super) fn head(&self) {
        let (what, measured, promised) = ("", "measured", "promised");
        let head = format!(
            "  {what:<25}{measured:>13}  {promised:<15}{:>5}{:>9}",
            "hits", "db reads"
        );
        self.line("");
        self.line(&self.paint(DIM, &head));
    }

    /// Prints a line of a table.
    pub(super) fn row(&mut self, row: &Row<'_>) {
        let Row {
            what,
            measured,
            promised,
            hits,
            loads,
            held,
        } = row;
        let verdict = if *held {
            self.held += 1;
            self.paint(GREEN, "ok")
        } else {
            self.broken
                .push(format!("{what}: {measured}, promised: {promised}"));
            self.paint(RED, "BROKEN")
        };
        self.line(&format!(
            "  {what:<25}{measured:>13}  {promised:<15}{hits:>5}{loads:>9}  {verdict}"
        ));
    }

    /// Prints the last lines.
    pub(super) fn end(&self, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        self.line("");
        if self.broken.is_empty() {
            let all = format!("All {} promises held, in {seconds:.1} s.", self.held);
            self.line(&self.paint(GREEN, &all));
            self.say("Next: `tales seed`, then `tales serve`, then http://127.0.0.1:8080/heroes");
            return;
        }
        let count = self.broken.len();
        let some = format!("{count} of {} promises did not hold:", count + self.held);
        self.line(&self.paint(RED, &some));
        for broken in &self.broken {
            self.line(&format!("  {broken}"));
        }
    }

    pub(super) fn all_held(&self) -> bool {
        self.broken.is_empty()
    }

    fn paint(&self, colour: &str, text: impl Display) -> String {
        if self.coloured {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }

    /// A closed output does not stop the acts, because they have to end the
    /// processes that they started.
    fn line(&self, text: &str) {
        let _ = writeln!(stdout(), "{text}");
    }
}

/// Formats a duration for people, in at most nine characters.
pub(super) fn spoken(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1_000_000.0;
    if micros < 1.0 {
        format!("{} ns", duration.as_nanos())
    } else if micros < 10.0 {
        format!("{micros:.1} us")
    } else if micros < 1_000.0 {
        format!("{micros:.0} us")
    } else if micros < 1_000_000.0 {
        format!("{:.1} ms", micros / 1_000.0)
    } else {
        format!("{:.2} s", micros / 1_000_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_above_zero_never_print_as_zero() {
        let said = [
            (1, "1 ns"),
            (340, "340 ns"),
            (999, "999 ns"),
            (1_000, "1.0 us"),
            (4_260, "4.3 us"),
            (42_600, "43 us"),
            (4_260_000, "4.3 ms"),
            (1_500_000_000, "1.50 s"),
        ];
        for (nanos, text) in said {
            assert_eq!(spoken(Duration::from_nanos(nanos)), text);
        }
    }
}
