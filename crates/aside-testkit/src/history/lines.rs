//! A history as lines of text, so that processes can put theirs together.
//!
//! An event is a line, its parts are separated by tabs:
//!
//! ```text
//! read     INSTANCE  KEY  strict|lenient  START  END  STATE
//! write    ID  INSTANCE  KEY  START  initial|unknown|returned END|failed END  STATE
//! fault    AT  WHAT
//! settled  INSTANCE  KEY  SEEN  TRUTH
//! failed_reads  COUNT
//! ```
//!
//! Times are nanoseconds. A state is `7` for a row, `7=a,b,` for a list, `-` or
//! `-7` for no row, `?` if it is unknown. A write that learns more about itself
//! is written again under the same id, and the last line counts. A killed
//! writer may leave a last line without its end, which is ignored. Any other
//! invalid line is an error, because a history with gaps produces false
//! accusations.

use std::fmt::{self, Write as _};

use super::event::{Fate, Fault, History, Read, ReadKind, Settled, State, Write};

impl History {
    /// Returns the whole history as lines.
    pub fn to_lines(&self) -> String {
        let mut text = String::new();
        for (id, write) in (0..).zip(&self.writes) {
            push(&mut text, &Line::Write(id, write));
        }
        for read in &self.reads {
            push(&mut text, &Line::Read(read));
        }
        for fault in &self.faults {
            push(&mut text, &Line::Fault(fault));
        }
        for settled in &self.settled {
            push(&mut text, &Line::Settled(settled));
        }
        if self.failed_reads > 0 {
            push(&mut text, &Line::FailedReads(self.failed_reads));
        }
        text
    }
}

/// The content of a line.
#[derive(Debug)]
pub(super) enum Line<'a> {
    Read(&'a Read),
    Write(u64, &'a Write),
    Fault(&'a Fault),
    Settled(&'a Settled),
    FailedReads(u64),
}

pub(super) fn to_string(line: &Line<'_>) -> String {
    let mut text = String::new();
    push(&mut text, line);
    text
}

fn push(text: &mut String, line: &Line<'_>) {
    match line {
        Line::Read(read) => {
            let kind = match read.kind {
                ReadKind::Strict => "strict",
                ReadKind::Lenient => "lenient",
            };
            text.push_str("read");
            push_name(text, &read.instance);
            push_name(text, &read.key);
            push_display(text, kind);
            push_display(text, read.start.as_nanos());
            push_display(text, read.end.as_nanos());
            push_state(text, Some(&read.state));
        }
        Line::Write(id, write) => {
            text.push_str("write");
            push_display(text, id);
            push_name(text, &write.instance);
            push_name(text, &write.key);
            push_display(text, write.start.as_nanos());
            match write.fate {
                Fate::Returned(end) => {
                    push_display(text, format_args!("returned {}", end.as_nanos()))
                }
                Fate::Failed(end) => push_display(text, format_args!("failed {}", end.as_nanos())),
                Fate::Unknown => push_display(text, "unknown"),
                Fate::Initial => push_display(text, "initial"),
            }
            push_state(text, write.state.as_ref());
        }
        Line::Fault(fault) => {
            text.push_str("fault");
            push_display(text, fault.at.as_nanos());
            push_name(text, &fault.what);
        }
        Line::Settled(settled) => {
            text.push_str("settled");
            push_name(text, &settled.instance);
            push_name(text, &settled.key);
            push_state(text, Some(&settled.seen));
            push_state(text, Some(&settled.truth));
        }
        Line::FailedReads(count) => {
            text.push_str("failed_reads");
            push_display(text, count);
        }
    }
    text.push('\n');
}

fn push_display(text: &mut String, value: impl fmt::Display) {
    let _ = write!(text, "\t{value}");
}

fn push_name(text: &mut String, name: &str) {
    text.push('\t');
    push_escaped(text, name);
}

fn push_state(text: &mut String, state: Option<&State>) {
    match state {
        None => push_display(text, '?'),
        Some(State::Row(version)) => push_display(text, version),
        Some(State::Absent(None)) => push_display(text, '-'),
        Some(State::Absent(Some(version))) => push_display(text, format_args!("-{version}")),
        Some(State::List(version, members)) => {
            push_display(text, format_args!("{version}="));
            for member in members.iter() {
                push_escaped(text, member);
                text.push(',');
            }
        }
    }
}

fn push_escaped(text: &mut String, name: &str) {
    for character in name.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            ',' => text.push_str("\\c"),
            other => text.push(other),
        }
    }
}
