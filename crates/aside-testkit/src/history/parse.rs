//! Parses lines of text into a history; `lines` describes the format.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::str::{FromStr, Split};
use std::sync::Arc;

use super::event::{Fate, Fault, History, Read, ReadKind, Settled, State, Write};
use super::time::Time;

/// A line of a history that is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// The number of the line, counted from one.
    pub number: usize,
    /// The line.
    pub line: String,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, line } = self;
        write!(f, "line {number} of the history is invalid: `{line}`")
    }
}

impl std::error::Error for LineError {}

impl History {
    /// Parses the history in these lines, of one process or of many.
    ///
    /// # Errors
    ///
    /// If a line is invalid, except a last line that was cut off.
    pub fn from_lines(text: &str) -> Result<Self, LineError> {
        let mut parser = Parser::default();
        for (number, line) in (1..).zip(text.split_inclusive('\n')) {
            let Some(line) = line.strip_suffix('\n') else {
                break;
            };
            parser.line(line).ok_or_else(|| LineError {
                number,
                line: line.into(),
            })?;
        }
        Ok(parser.history)
    }

    /// Reads the history in a file, for example of a process that was killed.
    ///
    /// # Errors
    ///
    /// If the file cannot be read; an invalid line is `InvalidData`.
    pub fn read_from(path: impl AsRef<Path>) -> io::Result<Self> {
        // A torn last line may end within a character.
        let text = fs::read(path)?;
        Self::from_lines(&String::from_utf8_lossy(&text))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

#[derive(Debug, Default)]
struct Parser {
    history: History,
    names: Names,
    /// The positions of writes of unknown fate, which may have further lines.
    ///
    /// Ids repeat in a file of several processes; ids with their start do not.
    open: HashMap<(u64, Arc<str>, Time), usize>,
}

impl Parser {
    /// Adds a line; returns `None` if it is invalid.
    fn line(&mut self, line: &str) -> Option<()> {
        let mut parts = line.split('\t');
        match parts.next()? {
            "read" => self.read(&mut parts)?,
            "write" => self.write(&mut parts)?,
            "fault" => {
                let at = time(&mut parts)?;
                let what = self.name(&mut parts)?;
                self.history.faults.push(Fault { at, what });
            }
            "settled" => {
                let settled = Settled {
                    instance: self.name(&mut parts)?,
                    key: self.name(&mut parts)?,
                    seen: state(&mut parts)??,
                    truth: state(&mut parts)??,
                };
                self.history.settled.push(settled);
            }
            "failed_reads" => self.history.failed_reads += number::<u64>(&mut parts)?,
            _ => return None,
        }
        parts.next().is_none().then_some(())
    }

    fn read(&mut self, parts: &mut Split<'_, char>) -> Option<()> {
        let read = Read {
            instance: self.name(parts)?,
            key: self.name(parts)?,
            kind: match parts.next()? {
                "strict" => ReadKind::Strict,
                "lenient" => ReadKind::Lenient,
                _ => return None,
            },
            start: time(parts)?,
            end: time(parts)?,
            state: state(parts)??,
        };
        let forward = read.start <= read.end;
        self.history.reads.push(read);
        forward.then_some(())
    }

    fn write(&mut self, parts: &mut Split<'_, char>) -> Option<()> {
        let id = number(parts)?;
        let write = Write {
            instance: self.name(parts)?,
            key: self.name(parts)?,
            start: time(parts)?,
            fate: fate(parts.next()?)?,
            state: state(parts)?,
        };
        let identity = (id, Arc::clone(&write.instance), write.start);
        let ended = write.fate != Fate::Unknown;
        match self.open.get(&identity) {
            Some(&index) => self.history.writes[index] = write,
            None => {
                self.open
                    .insert(identity.clone(), self.history.writes.len());
                self.history.writes.push(write);
            }
        }
        if ended {
            self.open.remove(&identity);
        }
        Some(())
    }

    fn name(&mut self, parts: &mut Split<'_, char>) -> Option<Arc<str>> {
        Some(self.names.intern(&unescaped(parts.next()?)?))
    }
}

fn number<T: FromStr>(parts: &mut Split<'_, char>) -> Option<T> {
    parts.next()?.parse().ok()
}

fn time(parts: &mut Split<'_, char>) -> Option<Time> {
    number(parts).map(Time::from_nanos)
}

fn fate(text: &str) -> Option<Fate> {
    match text.split_once(' ') {
        None if text == "unknown" => Some(Fate::Unknown),
        None if text == "initial" => Some(Fate::Initial),
        Some((what, end)) => {
            let end = Time::from_nanos(end.parse().ok()?);
            match what {
                "returned" => Some(Fate::Returned(end)),
                "failed" => Some(Fate::Failed(end)),
                _ => None,
            }
        }
        None => None,
    }
}

/// Parses a state, which may be unknown; returns `None` if it is invalid.
fn state(parts: &mut Split<'_, char>) -> Option<Option<State>> {
    let text = parts.next()?;
    if text == "?" {
        return Some(None);
    }
    if let Some(version) = text.strip_prefix('-') {
        let known = (!version.is_empty()).then(|| version.parse());
        return Some(Some(State::Absent(known.transpose().ok()?)));
    }
    let Some((version, members)) = text.split_once('=') else {
        return Some(Some(State::Row(text.parse().ok()?)));
    };
    let members: Option<Vec<String>> = members.split_terminator(',').map(unescaped).collect();
    Some(Some(State::list(version.parse().ok()?, members?)))
}

/// Names that are stored once.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<Arc<str>>);

impl Names {
    pub(super) fn intern(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = name.into();
        self.0.insert(Arc::clone(&new));
        new
    }
}

fn unescaped(name: &str) -> Option<String> {
    let mut plain = String::with_capacity(name.len());
    let mut characters = name.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => match characters.next()? {
                '\\' => '\\',
                't' => '\t',
                'n' => '\n',
                'c' => ',',
                _ => return None,
            },
            other => other,
        });
    }
    Some(plain)
}
