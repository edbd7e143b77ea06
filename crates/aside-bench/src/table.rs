//! Tables, as Markdown and as JSON.

use serde::Serialize;

use crate::rounds::{Measured, spread};

/// Measurements that belong beside each other.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    title: String,
    /// The name of the row that the others are divided by.
    beside: String,
    rows: Vec<Measured>,
}

impl Table {
    pub(crate) fn new(title: String, beside: &str, rows: Vec<Measured>) -> Self {
        Self {
            title,
            beside: beside.to_owned(),
            rows,
        }
    }

    pub(crate) fn print(&self) {
        let beside = &self.beside;
        println!("\n### {}\n", self.title);
        println!("| | median | least to most | beside {beside}, round by round |");
        println!("|---|---|---|---|");
        let base = self.rows.iter().find(|row| row.name == *beside);
        for row in &self.rows {
            let [median, least, most] = spread(row.rounds.iter().copied());
            // Of the rounds' ratios, and not a ratio of medians: what slowed a
            // round down slowed down both.
            let pairs = row
                .rounds
                .iter()
                .zip(base.iter().flat_map(|base| &base.rounds));
            let [ratio, lowest, highest] = spread(pairs.map(|(own, base)| own / base));
            println!(
                "| {} | {} | {} to {} | {ratio:.2} ({lowest:.2} to {highest:.2}) |",
                row.name,
                time(median),
                time(least),
                time(most),
            );
        }
    }
}

fn time(nanoseconds: f64) -> String {
    if nanoseconds < 1e4 {
        format!("{nanoseconds:.1} ns")
    } else {
        format!("{:.1} us", nanoseconds / 1e3)
    }
}
