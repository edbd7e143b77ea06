//! Tables as a picture: a bar for each row, as long as its median, with a line
//! from the minimum to the maximum.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::error::Wrong;
use crate::rounds::{Measured, spread};
use crate::table::{Body, Table, Unit, ratios};

const WIDTH: i32 = 960;
/// The left end of the bars; the names are to its left.
const BARS_AT: i32 = 240;
/// The right end of the longest median; the figures are to its right.
const BARS_END: i32 = 700;
const TITLE_HEIGHT: i32 = 34;
const ROW_HEIGHT: i32 = 24;
const GAP: i32 = 18;

const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
const SOFT: RGBColor = RGBColor(0x66, 0x66, 0x66);
const OTHERS: RGBColor = RGBColor(0xb4, 0xc0, 0xcc);
const OURS: RGBColor = RGBColor(0x2f, 0x7d, 0x6d);

/// Names of rows that are drawn in the library's colour.
const OUR_NAMES: [&str; 3] = ["aside", "both tiers", "a miss through aside"];

/// One measured table.
struct Panel<'a> {
    title: &'a str,
    beside: &'a str,
    unit: Unit,
    rows: &'a [Measured],
}

/// Draws the tables that were measured round by round.
///
/// On a white background, which is also readable on dark pages.
pub(crate) fn draw(path: &Path, tables: &[Table]) -> Result<(), Wrong> {
    let panels: Vec<Panel<'_>> = tables.iter().filter_map(panel).collect();
    let height = GAP + panels.iter().map(Panel::height).sum::<i32>();
    let size = (WIDTH.unsigned_abs(), height.unsigned_abs());
    let area = SVGBackend::new(path, size).into_drawing_area();
    let drawn = area.fill(&WHITE).and_then(|()| {
        let mut top = GAP;
        for panel in &panels {
            panel.draw(&area, top)?;
            top += panel.height();
        }
        area.present()
    });
    drawn.map_err(|error| Wrong(format!("{}: {error}", path.display())))
}

fn panel(table: &Table) -> Option<Panel<'_>> {
    match &table.body {
        Body::Measured { beside, unit, rows } => Some(Panel {
            title: &table.title,
            beside,
            unit: *unit,
            rows,
        }),
        Body::Counted { .. } => None,
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

impl Panel<'_> {
    fn height(&self) -> i32 {
        let rows = i32::try_from(self.rows.len()).unwrap_or(0);
        TITLE_HEIGHT + rows * ROW_HEIGHT + GAP
    }

    fn draw<'a>(&self, area: &Area<'a>, top: i32) -> Drawn<'a> {
        let title = text(16.0, INK, HPos::Left);
        area.draw(&Text::new(self.title, (GAP, top + TITLE_HEIGHT / 2), title))?;
        let medians = self
            .rows
            .iter()
            .map(|row| spread(row.rounds.iter().copied())[0]);
        let longest = medians.fold(f64::MIN_POSITIVE, f64::max);
        let base = self.rows.iter().find(|row| row.name == self.beside);
        for (at, row) in self.rows.iter().enumerate() {
            let middle = top + TITLE_HEIGHT + ROW_HEIGHT / 2;
            let middle = middle + ROW_HEIGHT * i32::try_from(at).unwrap_or(0);
            self.draw_row(area, middle, row, longest, base)?;
        }
        Ok(())
    }

    fn draw_row<'a>(
        &self,
        area: &Area<'a>,
        middle: i32,
        row: &Measured,
        longest: f64,
        base: Option<&Measured>,
    ) -> Drawn<'a> {
        let [median, least, most] = spread(row.rounds.iter().copied());
        // A line far beyond every median is cut off.
        let place = |figure: f64| {
            let part = (figure / longest).clamp(0.0, 1.1);
            BARS_AT + (f64::from(BARS_END - BARS_AT) * part).round() as i32
        };
        let colour = if OUR_NAMES.contains(&row.name.as_str()) {
            OURS
        } else {
            OTHERS
        };
        let corners = [(BARS_AT, middle - 8), (place(median), middle + 8)];
        area.draw(&Rectangle::new(corners, colour.filled()))?;
        let line = vec![(place(least), middle), (place(most), middle)];
        area.draw(&PathElement::new(line, INK.stroke_width(1)))?;
        let name = text(14.0, INK, HPos::Right);
        area.draw(&Text::new(row.name.as_str(), (BARS_AT - 8, middle), name))?;
        let [ratio, ..] = ratios(row, base);
        let figure = format!("{}   {ratio:.2}", self.unit.show(median));
        let behind = place(most.max(median)) + 8;
        area.draw(&Text::new(
            figure,
            (behind, middle),
            text(13.0, SOFT, HPos::Left),
        ))
    }
}

fn text(size: f64, colour: RGBColor, side: HPos) -> TextStyle<'static> {
    let font = ("sans-serif", size).into_font();
    font.color(&colour).pos(Pos::new(side, VPos::Center))
}
