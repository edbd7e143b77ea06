//! Two builds of this program, measured alternately in one run.
//!
//! A pass is one process that runs a whole suite and writes its figures. Each
//! round makes three passes: this build, the other one, and this build again.
//! Differences of a few percent mean nothing without the third pass: its
//! figures show how much two passes of one build differ. The order changes each
//! round.
//!
//! Passes are whole processes, because the other side may be a build from an
//! older commit. It knows `SUITE`, `--quick` and `--json`, and nothing newer.

mod compare;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::error::Wrong;
use crate::rounds::{Measured, spread};
use crate::table::{Cell, Table, Unit};
use compare::Comparison;

/// The arguments of a pass.
pub(crate) struct Passes<'a> {
    /// The program to compare with.
    pub(crate) other: &'a Path,
    /// The suite's name on the command line.
    pub(crate) suite: &'static str,
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
}

/// The file that a pass writes, without the parts that are not read here.
#[derive(Deserialize)]
struct Page {
    tables: Vec<Figures>,
}

/// A table that was measured round by round, or another one.
#[derive(Deserialize)]
struct Figures {
    title: String,
    #[serde(flatten)]
    measured: Option<Rows>,
}

#[derive(Deserialize)]
struct Rows {
    unit: Unit,
    rows: Vec<Measured>,
}

/// The two builds; this one runs twice in each round.
const SIDES: [&str; 3] = ["this build", "the other build", "this build again"];

/// Runs all passes. Returns a table for each table of the suite.
///
/// # Errors
///
/// If a pass fails, or writes other figures than the first pass did.
pub(crate) fn run(passes: &Passes<'_>) -> Result<Vec<Table>, Wrong> {
    let this = std::env::current_exe()?;
    let programs = [this.as_path(), passes.other, this.as_path()];
    let mut taken: [Vec<Page>; 3] = Default::default();
    for round in 0..passes.rounds {
        for place in 0..SIDES.len() {
            let side = (place + round) % SIDES.len();
            let (number, of) = (round + 1, passes.rounds);
            eprintln!("{}, {}: round {number} of {of}", passes.suite, SIDES[side]);
            taken[side].push(pass(programs[side], passes)?);
        }
    }
    let [this, other, again] = taken;
    let first = this.first().map_or(&[][..], |page| &page.tables);
    let tables = first.iter().filter_map(|table| {
        let rows = table.measured.as_ref()?;
        Some(compared(table, rows, [&this, &other, &again]))
    });
    tables.collect()
}

/// Runs the suite once in a separate process.
fn pass(program: &Path, passes: &Passes<'_>) -> Result<Page, Wrong> {
    let failed = |said: &str| Wrong(format!("{} {}: {said}", program.display(), passes.suite));
    let written = Written::in_temporary_directory();
    let mut command = Command::new(program);
    command.arg(passes.suite).arg("--json").arg(&written.0);
    if passes.quick {
        command.arg("--quick");
    }
    let ended = command.stdin(Stdio::null()).output();
    let ended = ended.map_err(|error| failed(&error.to_string()))?;
    if !ended.status.success() {
        return Err(failed(String::from_utf8_lossy(&ended.stderr).trim()));
    }
    let page = std::fs::read(&written.0)?;
    serde_json::from_slice(&page).map_err(|error| failed(&format!("its --json: {error}")))
}

/// A file that is removed when this is dropped.
struct Written(PathBuf);

impl Written {
    fn in_temporary_directory() -> Self {
        let name = format!("aside-bench-{}.json", uuid::Uuid::new_v4());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // It does not exist if the pass failed.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Compares each row of one table.
fn compared(table: &Figures, rows: &Rows, sides: [&[Page]; 3]) -> Result<Table, Wrong> {
    let title = &table.title;
    let mut cells = Vec::new();
    for row in &rows.rows {
        let medians = sides.map(|pages| medians(pages, title, &row.name));
        let [this, other, again] = medians;
        let (this, again) = match (this, again) {
            (Some(this), Some(again)) => (this, again),
            _ => {
                let said = format!("{title}, {}: not in each pass of this build", row.name);
                return Err(Wrong(said));
            }
        };
        cells.push(match other {
            Some(other) => {
                let judged = Comparison::of(rows.unit, &this, &other, &again);
                in_words(rows.unit, &row.name, &judged)
            }
            None => without_other(rows.unit, &row.name, &this),
        });
    }
    Ok(Table::counted(title.clone(), COLUMNS.to_vec(), cells))
}

/// Returns the median of a row in each pass; `None` if a pass does not have it.
fn medians(pages: &[Page], title: &str, row: &str) -> Option<Vec<f64>> {
    let of_page = |page: &Page| {
        let mut tables = page.tables.iter();
        let rows = tables
            .find(|table| table.title == title)?
            .measured
            .as_ref()?;
        let row = rows.rows.iter().find(|other| other.name == row)?;
        let [median, ..] = spread(row.rounds.iter().copied());
        Some(median)
    };
    pages.iter().map(of_page).collect()
}

const COLUMNS: [&str; 6] = [
    "",
    "this build",
    "the other",
    "time, this / other",
    "time, this / itself",
    "verdict",
];

fn in_words(unit: Unit, name: &str, judged: &Comparison) -> Vec<Cell> {
    let [lowest, highest] = judged.itself;
    vec![
        Cell::Name(name.to_owned()),
        Cell::Name(unit.show(judged.this)),
        Cell::Name(unit.show(judged.other)),
        Cell::Ratio(judged.ratio),
        Cell::Name(format!("{lowest:.3} to {highest:.3}")),
        Cell::Name(judged.verdict.to_string()),
    ]
}

/// Returns the cells of a row that the other build does not measure.
fn without_other(unit: Unit, name: &str, this: &[f64]) -> Vec<Cell> {
    let [median, ..] = spread(this.iter().copied());
    let mut cells = vec![
        Cell::Name(name.to_owned()),
        Cell::Name(unit.show(median)),
        Cell::Name("not measured".to_owned()),
    ];
    cells.resize(COLUMNS.len(), Cell::Name(String::new()));
    cells
}
