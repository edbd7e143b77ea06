//! Tables, as Markdown and as JSON.

use serde::{Deserialize, Serialize};

use crate::rounds::{Measured, spread};

/// Figures that belong together.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    #[serde(flatten)]
    pub(crate) body: Body,
    /// The project's targets for them.
    targets: Vec<Target>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Body {
    /// Measured round by round.
    Measured {
        /// The row that the others are divided by.
        beside: String,
        unit: Unit,
        rows: Vec<Measured>,
    },
    /// Counted once, because the same work gives the same count in every run.
    Counted {
        columns: Vec<&'static str>,
        rows: Vec<Vec<Cell>>,
    },
}

/// The unit of a table's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Nanoseconds,
    PerSecond,
    Bytes,
}

/// One figure of a counted table.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Cell {
    Name(String),
    Count(u64),
    Percent(f64),
    Seconds(f64),
    Milliseconds(f64),
    /// A count per other item.
    Each(f64),
    /// A ratio of two figures that may differ by less than a percent.
    Ratio(f64),
    /// A count of a total.
    Of(u64, u64),
}

/// The target for one row, relative to another or absolute.
#[derive(Debug, Serialize)]
struct Target {
    row: String,
    /// `None`: the figure itself, in the table's unit.
    beside: Option<String>,
    bound: Bound,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Table {
    /// Creates a table of nanoseconds per operation.
    pub(crate) fn new(title: String, beside: &str, rows: Vec<Measured>) -> Self {
        Self::of(Unit::Nanoseconds, title, beside, rows)
    }

    pub(crate) fn of(unit: Unit, title: String, beside: &str, rows: Vec<Measured>) -> Self {
        let beside = beside.to_owned();
        Self {
            title,
            body: Body::Measured { beside, unit, rows },
            targets: Vec::new(),
        }
    }

    pub(crate) fn counted(title: String, columns: Vec<&'static str>, rows: Vec<Vec<Cell>>) -> Self {
        Self {
            title,
            body: Body::Counted { columns, rows },
            targets: Vec::new(),
        }
    }

    /// Adds a target for a row relative to another.
    pub(crate) fn wanted(self, row: &str, bound: Bound, beside: &str) -> Self {
        self.target(row, bound, Some(beside))
    }

    /// Adds an absolute target for a row.
    pub(crate) fn wanted_alone(self, row: &str, bound: Bound) -> Self {
        self.target(row, bound, None)
    }

    fn target(mut self, row: &str, bound: Bound, beside: Option<&str>) -> Self {
        self.targets.push(Target {
            row: row.to_owned(),
            beside: beside.map(str::to_owned),
            bound,
        });
        self
    }

    pub(crate) fn print(&self) {
        println!("\n### {}\n", self.title);
        match &self.body {
            Body::Measured { beside, unit, rows } => print_measured(beside, *unit, rows),
            Body::Counted { columns, rows } => print_counted(columns, rows),
        }
        for target in &self.targets {
            self.print_target(target);
        }
    }

    fn print_target(&self, target: &Target) {
        let Body::Measured { unit, rows, .. } = &self.body else {
            return;
        };
        let Some(row) = find(rows, &target.row) else {
            return;
        };
        let base = target
            .beside
            .as_deref()
            .and_then(|beside| find(rows, beside));
        let (measured, words) = match (&target.beside, base) {
            (Some(name), Some(base)) => {
                let [ratio, ..] = ratios(row, Some(base));
                (ratio, format!("{ratio:.2} times {name}"))
            }
            (None, _) => {
                let [median, ..] = spread(row.rounds.iter().copied());
                (median, unit.show(median))
            }
            (Some(_), None) => return,
        };
        let (wanted, reached) = match target.bound {
            Bound::AtMost(most) => (format!("at most {most}"), measured <= most),
            Bound::AtLeast(least) => (format!("at least {least}"), least <= measured),
        };
        let verdict = if reached { "reached" } else { "**missed**" };
        println!(
            "\nTarget, {}: {}: {words}, wanted {wanted}: {verdict}",
            self.title, row.name
        );
    }
}

fn find<'a>(rows: &'a [Measured], name: &str) -> Option<&'a Measured> {
    rows.iter().find(|row| row.name == name)
}

/// Returns the ratios of the rounds instead of a ratio of medians, because load
/// that slowed a round down affected both figures.
pub(crate) fn ratios(row: &Measured, base: Option<&Measured>) -> [f64; 3] {
    let base = base.iter().flat_map(|base| &base.rounds);
    let ratios: Vec<f64> = row
        .rounds
        .iter()
        .zip(base)
        .map(|(own, base)| own / base)
        .collect();
    if ratios.is_empty() {
        return [f64::NAN; 3];
    }
    spread(ratios)
}

fn print_measured(beside: &str, unit: Unit, rows: &[Measured]) {
    println!("| | median | least to most | beside {beside}, round by round |");
    println!("|---|---|---|---|");
    let base = find(rows, beside);
    for row in rows {
        let [median, least, most] = spread(row.rounds.iter().copied());
        let [ratio, lowest, highest] = ratios(row, base);
        println!(
            "| {} | {} | {} to {} | {ratio:.2} ({lowest:.2} to {highest:.2}) |",
            row.name,
            unit.show(median),
            unit.show(least),
            unit.show(most),
        );
    }
    let rounds = rows.first().map_or(0, |row| row.rounds.len());
    println!("\n{rounds} rounds.");
}

fn print_counted(columns: &[&str], rows: &[Vec<Cell>]) {
    println!("| {} |", columns.join(" | "));
    println!("|{}", "---|".repeat(columns.len()));
    for row in rows {
        let cells: Vec<String> = row.iter().map(Cell::show).collect();
        println!("| {} |", cells.join(" | "));
    }
}

impl Unit {
    pub(crate) fn show(self, figure: f64) -> String {
        match self {
            Self::Nanoseconds if figure < 1e4 => format!("{figure:.1} ns"),
            Self::Nanoseconds if figure < 1e7 => format!("{:.1} us", figure / 1e3),
            Self::Nanoseconds => format!("{:.1} ms", figure / 1e6),
            Self::PerSecond => format!("{figure:.0} /s"),
            Self::Bytes => format!("{figure:.1} B"),
        }
    }
}

impl Cell {
    fn show(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Count(count) => count.to_string(),
            Self::Percent(percent) => format!("{percent:.2} %"),
            Self::Seconds(seconds) => format!("{seconds:.1} s"),
            Self::Milliseconds(milliseconds) => format!("{milliseconds:.1} ms"),
            Self::Each(figure) => format!("{figure:.2}"),
            Self::Ratio(ratio) => format!("{ratio:.3}"),
            Self::Of(part, all) => format!("{part} of {all}"),
        }
    }
}
