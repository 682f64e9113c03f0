//! What all rows found out: as a table, and as json.

use comfy_table::{CellAlignment, ContentArrangement, Table as Grid, presets};
use serde_json::{Map, Value, json};

use timelab::engines;
use timelab::show::{bytes_text, duration_text};

use crate::contest::{BY_HAND, IN_MEMORY, Measurement, STREAMING, ways};
use crate::inputs::Scale;
use crate::rows::{Row, Unit};

pub type Line = (&'static Row, Measurement);

/// A line a row: what each way cost, and for each engine the ratios to the loop by hand and to plain polars.
pub fn drawn(lines: &[Line]) -> String {
    let mut grid = Grid::new();
    grid.load_style(presets::NOTHING);
    grid.set_content_arrangement(ContentArrangement::Disabled);
    let mut head = vec!["".to_string()];
    for way in ways() {
        head.push(way.to_string());
        if is_engine(way) {
            head.extend(["÷ hand".to_string(), "÷ plain".to_string()]);
        }
    }
    grid.set_header(head);
    for (row, found) in lines {
        let mut cells = vec![row.name.to_string()];
        for way in ways() {
            cells.push(found.cost(way).map_or("–".to_string(), |cost| row.unit.text(cost)));
            if is_engine(way) {
                let ratios = [found.to_hand(way), found.to_plain(way)];
                cells.extend(ratios.map(|ratio| ratio.map_or("–".to_string(), |ratio| format!("{ratio:.2}"))));
            }
        }
        grid.add_row(cells);
    }
    for column in grid.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let summaries = engines::ALL.iter().filter_map(|engine| {
        let Summary { median, worst, row } = summary(lines, engine.name())?;
        Some(format!("{}: {median:.2} × plain polars in the median, {worst:.2} × at worst ({row})\n", engine.name()))
    });
    format!("{grid}\n\n{}", summaries.collect::<String>())
}

pub fn json(lines: &[Line], scale: Scale, rounds: u32) -> Value {
    let rows = lines.iter().map(|(row, found)| {
        let costs: Map<String, Value> = found.costs.iter().map(|(way, cost)| (way.clone(), json!(cost))).collect();
        let ratios = |ratio: fn(&Measurement, &str) -> Option<f64>| -> Map<String, Value> {
            let names = engines::ALL.iter().map(|engine| engine.name());
            names.map(|name| (name.to_string(), json!(ratio(found, name)))).collect()
        };
        json!({
            "row": row.name,
            "cell": found.cell,
            "unit": row.unit.name(),
            "costs": costs,
            "to_by_hand": ratios(Measurement::to_hand),
            "to_plain_polars": ratios(Measurement::to_plain),
        })
    });
    let summaries: Map<String, Value> = engines::ALL
        .iter()
        .filter_map(|engine| {
            let Summary { median, worst, row } = summary(lines, engine.name())?;
            Some((engine.name().to_string(), json!({ "median": median, "worst": worst, "worst_row": row })))
        })
        .collect();
    json!({
        "scale": scale.name(),
        "rounds": rounds,
        "rows": rows.collect::<Vec<Value>>(),
        "to_plain_polars": summaries,
    })
}

fn is_engine(way: &str) -> bool {
    engines::find(way).is_some()
}

/// An engine's times as ratios to those of plain polars.
struct Summary {
    median: f64,
    worst: f64,
    row: &'static str,
}

fn summary(lines: &[Line], engine: &str) -> Option<Summary> {
    let timed = lines.iter().filter(|(row, _)| row.unit == Unit::Seconds);
    let mut ratios: Vec<(f64, &str)> =
        timed.filter_map(|(row, found)| Some((found.to_plain(engine)?, row.name))).collect();
    ratios.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let (worst, row) = *ratios.last()?;
    let (low, high) = (ratios[(ratios.len() - 1) / 2].0, ratios[ratios.len() / 2].0);
    Some(Summary { median: (low + high) / 2.0, worst, row })
}

impl Measurement {
    fn cost(&self, way: &str) -> Option<f64> {
        self.costs.iter().find(|(name, _)| name == way)?.1
    }

    fn to_hand(&self, way: &str) -> Option<f64> {
        Some(self.cost(way)? / self.cost(BY_HAND)?)
    }

    /// The ratio to plain polars, on the engine that does better.
    fn to_plain(&self, way: &str) -> Option<f64> {
        let plain = [IN_MEMORY, STREAMING].into_iter().filter_map(|engine| self.cost(engine)).reduce(f64::min);
        Some(self.cost(way)? / plain?)
    }
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Unit::Seconds => "seconds",
            Unit::Bytes => "bytes",
        }
    }

    fn text(self, cost: f64) -> String {
        match self {
            Unit::Seconds => duration_text(cost),
            Unit::Bytes => bytes_text(cost),
        }
    }
}
