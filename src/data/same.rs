//! The one definition of "engines agree".

use crate::data::{Order, Table, Value};

/// What comparing two tables found.
#[derive(Debug, Clone, PartialEq)]
pub enum Sameness {
    Same,
    /// The first difference, in words.
    Different(String),
    /// A result depended on an order that it did not have: another run of the same engine may differ.
    CannotTell(String),
}

/// Floats agree within this share of the larger magnitude.
const TOLERANCE: f64 = 1e-9;

/// A table with the magnitudes of what was summed in some of its columns: `places` tells for each column of the tables
/// that are compared where its magnitudes are.
pub struct Summed<'a> {
    pub table: &'a Table,
    pub places: &'a [Option<usize>],
}

impl Table {
    /// Whether two tables are the same: names and types count; ordered tables row by row, others as multisets;
    /// floats within 1e-9 of the larger magnitude, and NaN equals NaN.
    pub fn same(&self, other: &Table) -> Sameness {
        self.same_sums(other, &[])
    }

    /// The same, but sums agree within 1e-9 of the sum of the magnitudes, where these are known.
    pub fn same_sums(&self, other: &Table, summed: &[Summed]) -> Sameness {
        let (a, b) = (self.schema(), other.schema());
        if a.columns != b.columns {
            return Sameness::Different(format!("the columns are `{a}` here and `{b}` there"));
        }
        if a.order == Order::Random || b.order == Order::Random {
            return Sameness::CannotTell(
                "a stage depends on the order of the rows, but they have no order there".to_string(),
            );
        }
        if self.height() != other.height() {
            return Sameness::Different(format!("{} rows here, {} there", self.height(), other.height()));
        }
        // Most results are: this is quick, and needs no second copy.
        if self.frame().equals_missing(other.frame()) {
            return Sameness::Same;
        }
        let width = a.columns.len();
        let ordered = a.order == Order::Kept && b.order == Order::Kept;
        let in_order = |table: &Table| {
            let mut rows = rows(table);
            if !ordered {
                sort(&mut rows, width);
            }
            rows
        };
        let (here, there) = (in_order(self), in_order(other));
        // Where there are other rows, these sums are not those of the tables.
        let summed = summed.iter().filter(|summed| summed.table.height() == self.height());
        let summed: Vec<_> = summed.map(|summed| (in_order(summed.table), summed.places)).collect();
        let magnitude = |row: usize, column: usize| {
            let found = summed.iter().filter_map(|(rows, places)| Some(&rows[row][places[column]?]));
            let finite =
                |value: &Value| if let Value::Float(x) = value { Some(*x).filter(|x| x.is_finite()) } else { None };
            found.filter_map(finite).fold(0.0, f64::max)
        };
        let agree = |row: usize| (0..width).all(|i| agree(&here[row][i], &there[row][i], magnitude(row, i)));
        match (0..here.len()).find(|row| !agree(*row)) {
            None => Sameness::Same,
            Some(row) => {
                let place = if ordered { format!("row {row}") } else { "a row".to_string() };
                let (a, b) = (row_text(&here[row]), row_text(&there[row]));
                Sameness::Different(format!("{place} is {a} here and {b} there"))
            }
        }
    }
}

fn rows(table: &Table) -> Vec<Vec<Value>> {
    let width = table.schema().columns.len();
    let columns: Vec<Vec<Value>> = (0..width).map(|i| table.values(i, 0, table.height())).collect();
    (0..table.height()).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect()
}

/// Sorts by the first `width` columns: exact values first, so that two floats that differ in the last bit do not pair
/// rows wrongly.
fn sort(rows: &mut [Vec<Value>], width: usize) {
    let exact = |value: &Value| !matches!(value, Value::Float(_));
    rows.sort_by(|a, b| {
        let pairs = || a.iter().zip(b).take(width);
        let by = |exact_ones: bool| {
            let chosen = pairs().filter(move |(x, y)| (exact(x) && exact(y)) == exact_ones);
            chosen.map(|(x, y)| x.compare(y)).find(|order| order.is_ne())
        };
        by(true).or_else(|| by(false)).unwrap_or(std::cmp::Ordering::Equal)
    });
}

/// Floats may be apart by a share of their magnitudes, or of that of what was summed.
fn agree(a: &Value, b: &Value, summed: f64) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => {
            let slack = TOLERANCE * a.abs().max(b.abs()).max(summed);
            a == b || (a.is_nan() && b.is_nan()) || (a.is_finite() && b.is_finite() && (a - b).abs() <= slack)
        }
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| agree(a, b, 0.0)),
        (a, b) => a == b,
    }
}

fn row_text(row: &[Value]) -> String {
    let cells: Vec<String> = row.iter().map(|value| value.to_string()).collect();
    format!("({})", cells.join(", "))
}
