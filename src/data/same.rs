//! The one definition of "engines agree".

use crate::data::{Order, Table, Type, Value};

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

impl Table {
    /// Whether two tables are the same: names and types count; ordered tables row by row, others as multisets;
    /// floats within 1e-9 of the larger magnitude, and NaN equals NaN.
    pub fn same(&self, other: &Table) -> Sameness {
        let (a, b) = (self.schema(), other.schema());
        if a.columns != b.columns {
            return Sameness::Different(format!("the columns are `{a}` here and `{b}` there"));
        }
        if a.order == Order::Random || b.order == Order::Random {
            return Sameness::CannotTell("a stage took rows by an order that the table did not have".to_string());
        }
        if self.height() != other.height() {
            return Sameness::Different(format!("{} rows here, {} there", self.height(), other.height()));
        }
        // Most results are: this is quick, and needs no second copy.
        if self.frame().equals_missing(other.frame()) {
            return Sameness::Same;
        }
        let (mut here, mut there) = (rows(self), rows(other));
        let ordered = a.order == Order::Kept && b.order == Order::Kept;
        if !ordered {
            sort(&mut here);
            sort(&mut there);
        }
        let scales = scales(self, &here, &there);
        let first = here.iter().zip(&there).position(|(a, b)| !rows_agree(a, b, &scales));
        match first {
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

/// Exact values first, so that two floats that differ in the last bit do not pair rows wrongly.
fn sort(rows: &mut [Vec<Value>]) {
    let exact = |value: &Value| !matches!(value, Value::Float(_));
    rows.sort_by(|a, b| {
        let pairs = || a.iter().zip(b);
        let by = |exact_ones: bool| {
            let chosen = pairs().filter(move |(x, y)| (exact(x) && exact(y)) == exact_ones);
            chosen.map(|(x, y)| x.compare(y)).find(|order| order.is_ne())
        };
        by(true).or_else(|| by(false)).unwrap_or(std::cmp::Ordering::Equal)
    });
}

/// For each column of floats the largest finite magnitude: a sum of values that cancel is exact only to a share of
/// what was summed, and the result's own column is the nearest witness of that.
fn scales(table: &Table, here: &[Vec<Value>], there: &[Vec<Value>]) -> Vec<f64> {
    let largest = |i: usize| {
        let magnitude = |row: &Vec<Value>| if let Value::Float(x) = row[i] { x.abs() } else { 0.0 };
        here.iter().chain(there).map(magnitude).filter(|x| x.is_finite()).fold(0.0, f64::max)
    };
    let columns = table.schema().columns.iter().enumerate();
    columns.map(|(i, column)| if column.ty == Type::Float { largest(i) } else { 0.0 }).collect()
}

fn rows_agree(a: &[Value], b: &[Value], scales: &[f64]) -> bool {
    a.iter().zip(b).zip(scales).all(|((a, b), scale)| agree(a, b, *scale))
}

fn agree(a: &Value, b: &Value, scale: f64) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => {
            // Where all values are tiny beside the largest of the column, allow a share of the largest a thousand
            // times smaller than the tolerance.
            let slack = TOLERANCE * a.abs().max(b.abs()).max(scale * 1e-3);
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
