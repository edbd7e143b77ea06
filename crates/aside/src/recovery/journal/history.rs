//! The history and position of a database.

/// The history and position of a database. Unknown parts are empty or `None`,
/// and not compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseHistory {
    /// Identifies the history, such as a system and its timeline, without
    /// blanks. Another name is another history.
    pub name: String,
    /// Grows with commits, or with [`Journal::renew`](crate::journal::Journal::renew).
    /// If it is smaller, the database went back.
    pub position: Option<u64>,
    /// Identifies the run of the server, such as the time of its start, without
    /// blanks.
    pub run: String,
    /// A position that the database had reached when this run began, or later
    /// in it. If it is smaller than a position of another run, the database
    /// went back, even if it has grown beyond that position since.
    pub run_began: Option<u64>,
}

/// Splits a stored state into name, position and run; each is empty if unknown.
/// Parts added by a later version are ignored.
fn parts(stored: &str) -> [&str; 3] {
    let mut parts = stored.split(' ');
    [(); 3].map(|()| parts.next().unwrap_or(""))
}

impl DatabaseHistory {
    /// Returns the state to store in place of `stored`. Parts unknown here are
    /// kept, because another instance's database user may see more.
    pub(crate) fn after(&self, stored: &str) -> String {
        let [name, position, run] = parts(stored);
        let name = match self.name.is_empty() {
            true => name,
            false => &self.name,
        };
        // A run applies only to its own positions.
        match self.position {
            Some(position) => format!("{name} {position} {}", self.run),
            None => format!("{name} {position} {run}"),
        }
    }

    /// Returns true if this database is the stored one, or a later state of it.
    pub(crate) fn follows(&self, stored: &str) -> bool {
        let [name, position, run] = parts(stored);
        let behind = |now: Option<u64>| {
            let before = position.parse::<u64>().ok();
            before.zip(now).is_some_and(|(before, now)| now < before)
        };
        let differs =
            |stored: &str, now: &str| !stored.is_empty() && !now.is_empty() && stored != now;
        let other_run = differs(run, &self.run) && behind(self.run_began);
        let went_back = differs(name, &self.name) || behind(self.position) || other_run;
        !went_back
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(name: &str, position: u64, run: &str, run_began: u64) -> DatabaseHistory {
        DatabaseHistory {
            name: name.to_owned(),
            position: Some(position),
            run: run.to_owned(),
            run_began: Some(run_began),
        }
    }

    #[test]
    fn a_database_follows_itself_and_no_later_one() {
        let stored = history("a", 7, "r1", 2).after("");
        assert_eq!(stored, "a 7 r1");
        assert!(history("a", 7, "r1", 2).follows(&stored));
        assert!(history("a", 9, "r1", 8).follows(&stored));
        assert!(history("a", 9, "r2", 7).follows(&stored));
        assert!(history("a", 9, "r2", 7).follows(""));
        assert!(!history("a", 6, "r1", 2).follows(&stored));
        assert!(!history("b", 7, "r1", 2).follows(&stored));
    }

    #[test]
    fn a_database_that_went_back_and_grew_does_not_follow() {
        let stored = history("a", 7, "r1", 2).after("");
        assert!(!history("a", 9, "r2", 6).follows(&stored));
    }

    #[test]
    fn unknown_parts_are_not_compared() {
        let stored = history("a", 7, "r1", 2).after("");
        let nothing = DatabaseHistory::default();
        assert!(nothing.follows(&stored));
        assert_eq!(nothing.after(&stored), stored);
        assert!(history("a", 7, "r1", 2).follows("  "));
        let position = DatabaseHistory {
            position: Some(8),
            ..DatabaseHistory::default()
        };
        // The run does not belong to this position.
        assert_eq!(position.after(&stored), "a 8 ");
        assert!(history("a", 8, "r2", 7).follows("a 8 "));
    }

    #[test]
    fn parts_of_a_later_version_are_ignored() {
        assert!(history("a", 7, "r1", 2).follows("a 7 r1 more"));
        assert!(!history("a", 6, "r1", 2).follows("a 7 r1 more"));
    }
}
