//! Tables, as Markdown and as JSON.

use serde::Serialize;

use crate::rounds::Measured;

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
        println!("| | median | least to most | beside {beside} |\n|---|---|---|---|");
        let base = self.rows.iter().find(|row| row.name == *beside);
        for row in &self.rows {
            let ratio = base.map_or(f64::NAN, |base| row.median / base.median);
            println!(
                "| {} | {} | {} to {} | {ratio:.2} |",
                row.name,
                time(row.median),
                time(row.least),
                time(row.most),
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
