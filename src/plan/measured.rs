//! What of a table is measured, step by step: later cells go on with tables in which some columns are counted.

use crate::report::{Measured, MeasuredRows};

use super::{Agg, AggFunc, BoundOp, Expr, Node, Op, Plan, Step};

impl Plan {
    /// What is measured behind these further steps of a plan, from what is measured before them. `has_read` says
    /// whether one of them has a value in it that was measured.
    pub fn measured_after(before: Measured, steps: &[Step<BoundOp>], has_read: bool) -> Measured {
        let after = |before: Measured, step: &Step<BoundOp>| {
            after(&step.op, &Input { measured: before, has_read }, step.schema.columns.len())
        };
        steps.iter().fold(before, after)
    }
}

/// What flows into a step.
struct Input {
    measured: Measured,
    /// Whether a measured value may be in any expression and any number of the step.
    has_read: bool,
}

impl Input {
    /// Whether an expression uses what is measured.
    fn reaches(&self, expr: &Expr) -> bool {
        self.has_read && !matches!(expr.node, Node::Column(_)) || uses(expr, &self.measured)
    }
}

fn after(op: &BoundOp, input: &Input, width: usize) -> Measured {
    let Input { measured, has_read } = input;
    match op {
        BoundOp::Op(op) => after_op(op, input, width),
        BoundOp::Source(_) | BoundOp::Passed | BoundOp::Rust(_) | BoundOp::Store(_) | BoundOp::Job(_) => {
            Measured::nothing(width)
        }
        BoundOp::Persist(..) | BoundOp::Tee(_) => measured.clone(),
        BoundOp::Iterate(rounds) => {
            let is_measured =
                *has_read || measured.is_anything() || rounds.plans().iter().any(|plan| plan.measured.is_anything());
            if is_measured { Measured::all(width) } else { Measured::nothing(width) }
        }
        // Path, rows and bytes.
        BoundOp::Write(_) => {
            let columns = vec![false, measured.rows.count, measured.is_anything()];
            Measured { columns, rows: MeasuredRows::default() }
        }
    }
}

fn after_op(op: &Op<Plan>, input: &Input, width: usize) -> Measured {
    let Input { measured, has_read } = input;
    let rows = measured.rows;
    // The rows that stand at a place, and the sum of all rows, are others where these come and go.
    let are_moved = rows.count || rows.order;
    let of = |columns: Vec<bool>| Measured { columns, rows };
    let same_or_all = |all: bool| if all { of(vec![true; width]) } else { measured.clone() };
    let with_count =
        |count: bool| Measured { rows: MeasuredRows { count: rows.count || count, ..rows }, ..measured.clone() };
    match op {
        Op::Project(named) => of(named.iter().map(|named| input.reaches(&named.expr)).collect()),
        Op::Filter(condition) => with_count(input.reaches(condition)),
        Op::Explode(named) => {
            let columns: Vec<bool> = named.iter().map(|named| input.reaches(&named.expr)).collect();
            let is_length_measured = columns.first() == Some(&true);
            Measured { rows: MeasuredRows { count: rows.count || is_length_measured, ..rows }, columns }
        }
        Op::Slice { .. } | Op::Sample { .. } => {
            let some = same_or_all(are_moved || *has_read);
            Measured { rows: MeasuredRows { count: rows.count || *has_read, ..rows }, ..some }
        }
        Op::Sort { keys, limit } => {
            let order = keys.iter().any(|key| input.reaches(&key.expr));
            let sorted = same_or_all(limit.is_some() && (order || rows.count));
            let count = rows.count || limit.is_some() && *has_read;
            Measured { rows: MeasuredRows { count, order }, ..sorted }
        }
        Op::Reverse | Op::Peek { .. } | Op::Tally(_) => measured.clone(),
        Op::Number => of([&measured.columns[..], &[are_moved]].concat()),
        Op::Distinct(None) => with_count(measured.columns.contains(&true)),
        Op::Distinct(Some(by)) => {
            let first = same_or_all(are_moved);
            let count = rows.count || by.iter().any(|key| input.reaches(key));
            Measured { rows: MeasuredRows { count, ..rows }, ..first }
        }
        Op::Aggregate { keys, aggs } => {
            let by: Vec<bool> = keys.iter().map(|key| input.reaches(&key.expr)).collect();
            let is_measured = |agg: &Agg| {
                by.contains(&true)
                    || rows.count
                    || rows.order && (agg.func.needs_order() || matches!(agg.func, AggFunc::Reduce(_)))
                    || agg.arg.iter().any(|arg| input.reaches(arg))
                    // Some have a number or a text of their own.
                    || *has_read && !matches!(agg.func, AggFunc::Rows | AggFunc::Count)
            };
            let count = !keys.is_empty() && (rows.count || by.contains(&true));
            let columns = by.iter().copied().chain(aggs.iter().map(is_measured)).collect();
            Measured { columns, rows: MeasuredRows { count, ..rows } }
        }
        Op::Fold { step, each, .. } => {
            let columns = vec![are_moved || input.reaches(&step.expr); width];
            Measured { columns, rows: if *each { rows } else { MeasuredRows::default() } }
        }
        Op::Join { right, on, right_columns, .. } => {
            let other = &right.measured;
            let columns = right_columns.iter().map(|column| is_column(other, *column));
            let count = on.iter().any(|(left, right)| input.reaches(left) || uses(right, other));
            Measured {
                columns: measured.columns.iter().copied().chain(columns).collect(),
                rows: MeasuredRows {
                    count: rows.count || other.rows.count || count,
                    order: rows.order || other.rows.order,
                },
            }
        }
        Op::Concat(plans) => plans.iter().fold(measured.clone(), |all, plan| {
            let other = &plan.measured;
            Measured {
                columns: (0..width).map(|column| is_column(&all, column) || is_column(other, column)).collect(),
                rows: MeasuredRows {
                    count: all.rows.count || other.rows.count,
                    order: all.rows.order || other.rows.order,
                },
            }
        }),
        Op::Zip(plans) => {
            let all = || std::iter::once(measured).chain(plans.iter().map(|plan| &plan.measured));
            let rows = MeasuredRows { count: all().any(|one| one.rows.count), order: all().any(|one| one.rows.order) };
            let columns = all().flat_map(|one| &one.columns).map(|is| *is || rows.count || rows.order).collect();
            Measured { columns, rows }
        }
        // Which of two comes first is a matter of the order.
        Op::Pairs => of(vec![rows.order || measured.columns.contains(&true); width]),
    }
}

/// Whether an expression uses a column that is measured.
fn uses(expr: &Expr, input: &Measured) -> bool {
    expr.columns().into_iter().any(|column| is_column(input, column))
}

fn is_column(measured: &Measured, column: usize) -> bool {
    measured.columns.get(column).copied().unwrap_or(true)
}
