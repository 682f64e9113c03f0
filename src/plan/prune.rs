//! Takes out of a plan what nothing uses, so that no engine computes or reads it: columns, and the rows of a sort that
//! a `take` does not want.

use std::sync::Arc;

use crate::data::{Type, Value};
use crate::diagnostic::Span;
use crate::lang::Comparison;

use super::{Basis, Bound, BoundOp, Expr, Format, Kept, Named, Node, Op, Plan, Read, Source, Step};

/// Removes the columns and sorted rows that the result does not need.
pub fn prune(plan: &mut Plan) {
    let all = vec![true; plan.schema().columns.len()];
    keep(plan, &all);
    limit_sorts(plan);
    bound_files(plan);
}

/// Where the expressions stand that nothing uses, so that no engine computes them. One that is as cheap as reading a
/// column is none of them.
pub fn unused(plan: &Plan) -> Vec<Span> {
    let mut pruned = plan.clone();
    prune(&mut pruned);
    let mut used = Vec::new();
    computed(&pruned, &mut used);
    let mut all = Vec::new();
    computed(plan, &mut all);
    all.retain(|span| !used.contains(span));
    all.dedup();
    all
}

/// Where the expressions of a plan stand that compute something, with the plans inside of it.
fn computed(plan: &Plan, spans: &mut Vec<Span>) {
    for step in &plan.steps {
        for expr in step.op.exprs() {
            let mut inner = expr;
            while let Node::Widen(narrow) = &inner.node {
                inner = narrow;
            }
            if !matches!(inner.node, Node::Column(_) | Node::Const(_)) {
                spans.push(inner.span);
            }
        }
        step.op.plans().into_iter().for_each(|plan| computed(plan, spans));
    }
}

/// Tells each source of files which rows the filters behind it leave: a reader may leave out the others.
fn bound_files(plan: &mut Plan) {
    let mut filters = Vec::new();
    for step in &plan.steps[1..] {
        let BoundOp::Op(Op::Filter(condition)) = &step.op else { break };
        let parts = if let Node::And(parts) = &condition.node { parts } else { std::slice::from_ref(condition) };
        let bounds: Vec<_> = parts.iter().map_while(bound).collect();
        let all = bounds.len() == parts.len();
        filters.extend(bounds);
        // What comes after another condition is not reached where that one fails.
        if !all {
            break;
        }
    }
    if let BoundOp::Source(Source::Read(read)) = &mut plan.steps[0].op {
        let bounds = filters.into_iter();
        read.bounds =
            bounds.map(|(column, comparison, value)| Bound { field: read.wanted[column], comparison, value }).collect();
    }
    plan.steps.iter_mut().flat_map(|step| step.op.plans_mut()).for_each(bound_files);
}

/// A condition that compares a column with a value.
fn bound(condition: &Expr) -> Option<(usize, Comparison, Value)> {
    let constant = |expr: &Expr| match &expr.node {
        Node::Const(value) => Some(value.clone()),
        Node::Widen(inner) => match (&inner.node, &expr.ty) {
            (Node::Const(Value::Int(i)), Type::Float) => Some(Value::Float(*i as f64)),
            _ => None,
        },
        _ => None,
    };
    let Node::Compare(left, comparison, right) = &condition.node else { return None };
    match (&left.node, &right.node) {
        (Node::Column(column), _) => Some((*column, *comparison, constant(right)?)),
        (_, Node::Column(column)) => Some((*column, comparison.flipped(), constant(left)?)),
        _ => None,
    }
}

/// Tells each sort how many rows the `take` after it wants.
fn limit_sorts(plan: &mut Plan) {
    let mut wanted = None;
    for step in plan.steps.iter_mut().rev() {
        wanted = match &mut step.op {
            BoundOp::Op(Op::Slice { offset, length: Some(length) }) => Some(offset.saturating_add(*length)),
            BoundOp::Op(Op::Project(_)) => wanted,
            BoundOp::Op(Op::Sort { limit, .. }) => {
                *limit = match (*limit, wanted) {
                    (Some(limit), Some(wanted)) => Some(limit.min(wanted)),
                    (limit, wanted) => limit.or(wanted),
                };
                None
            }
            _ => None,
        };
        step.op.plans_mut().into_iter().for_each(limit_sorts);
    }
}

/// Keeps of the result only the columns that are `wanted`; at least one is left.
fn keep(plan: &mut Plan, wanted: &[bool]) {
    // From the end: which columns of each step's output are needed.
    let mut needs: Vec<Vec<bool>> = vec![Vec::new(); plan.steps.len()];
    let mut after = wanted.to_vec();
    // The column of a file that stays though nothing needs it.
    let mut unused = None;
    let last = plan.steps.len() - 1;
    let widths: Vec<usize> = plan.steps.iter().map(|step| step.schema.columns.len()).collect();
    for (i, step) in plan.steps.iter_mut().enumerate().rev() {
        after.resize(widths[i], false);
        if let (false, BoundOp::Op(Op::Project(named))) = (after.contains(&true), &mut step.op) {
            // Only the number of rows matters.
            named[0].expr = Expr::constant(Value::Null, step.schema.columns[0].ty.clone());
        }
        if let (false, BoundOp::Source(Source::Read(read))) = (after.contains(&true), &mut step.op) {
            // One that can be read, if there is one.
            let can_be_read = |index: &usize| !matches!(read.fields[*index].basis, Basis::Unreadable(_));
            let place = read.wanted.iter().position(can_be_read).unwrap_or(0);
            after[place] = true;
            unused = not_converted(read, place).then_some(place);
        }
        let passes_on = matches!(
            step.op,
            BoundOp::Op(
                Op::Filter(_) | Op::Slice { .. } | Op::Sort { .. } | Op::Reverse | Op::Sample { .. } | Op::Number
            )
        );
        // What only passes rows on needs none of their columns itself.
        if !passes_on || i == last {
            at_least_one(&mut after);
        }
        needs[i] = after.clone();
        if i == 0 {
            break;
        }
        after = match &mut step.op {
            BoundOp::Op(op) => needed_before(op, &after),
            BoundOp::Source(_) | BoundOp::Passed | BoundOp::Rust(_) | BoundOp::Store(_) | BoundOp::Job(_) => after,
            // What is kept is used by later plans in their own ways; all of what is written is; a branch of a `tee` is
            // pruned when it is run.
            BoundOp::Persist(..) | BoundOp::Iterate(_) | BoundOp::Write(_) | BoundOp::Tee(_) => {
                vec![true; widths[i - 1]]
            }
        };
    }
    // From the start: take them out and tell the expressions where their columns went. The columns of a table that
    // flows through stay in it even if only this step needs them.
    let mut flow: Vec<bool> = needs[0].clone();
    for (i, step) in plan.steps.iter_mut().enumerate() {
        let places = places(&flow);
        if let BoundOp::Op(op) = &mut step.op {
            op.input_exprs_mut().into_iter().for_each(|expr| move_columns(expr, &places));
        }
        let kept = match &mut step.op {
            BoundOp::Source(Source::Read(read)) => {
                let mut index = 0;
                read.wanted.retain(|_| {
                    index += 1;
                    needs[i][index - 1]
                });
                needs[i].clone()
            }
            BoundOp::Source(Source::Kept(kept)) => {
                if needs[i].contains(&false) {
                    *kept = Kept::new(Arc::new(kept.table().only(&needs[i])));
                }
                needs[i].clone()
            }
            BoundOp::Source(_) | BoundOp::Passed | BoundOp::Rust(_) | BoundOp::Store(_) | BoundOp::Job(_) => {
                vec![true; needs[i].len()]
            }
            BoundOp::Op(op) => kept_by(op, &needs[i], &flow, step.schema.columns.len()),
            BoundOp::Persist(..) => flow.clone(),
            // A round gets what the one before gave: all columns of it.
            BoundOp::Iterate(rounds) => {
                keep(&mut rounds.block, &flow);
                flow.clone()
            }
            BoundOp::Write(_) | BoundOp::Tee(_) => needs[i].clone(),
        };
        let flows = !matches!(
            step.op,
            BoundOp::Op(Op::Project(_) | Op::Aggregate { .. } | Op::Explode(_) | Op::Fold { .. } | Op::Pairs)
        );
        unused = unused.filter(|_| flows);
        if let Some(column) = unused.and_then(|place: usize| step.schema.columns.get_mut(place)) {
            column.ty = Type::Text;
        }
        retain(&mut step.schema.columns, &kept);
        flow = kept;
    }
    // What flowed through to the end and is not wanted goes now.
    let exact: Vec<bool> = needs[plan.steps.len() - 1].clone();
    if flow != exact {
        let last = plan.steps.last().expect("a plan has a source").clone();
        let mut schema = last.schema.clone();
        let inner: Vec<bool> = flow.iter().zip(&exact).filter(|(kept, _)| **kept).map(|(_, wanted)| *wanted).collect();
        let columns = schema.columns.iter().enumerate();
        let mut named: Vec<Named> = columns
            .map(|(i, column)| Named {
                name: column.name.clone(),
                expr: Expr::new(Node::Column(i), column.ty.clone(), last.span),
            })
            .collect();
        retain(&mut named, &inner);
        retain(&mut schema.columns, &inner);
        plan.steps.push(Step { op: Op::Project(named).into(), schema, span: last.span });
    }
}

/// Takes what nothing needs out of an op. Which columns of its output, of which there are so many, are there then,
/// where `needs` are needed of it and `flow` are there of its input.
fn kept_by(op: &mut Op<Plan>, needs: &[bool], flow: &[bool], width: usize) -> Vec<bool> {
    match op {
        Op::Project(named) => {
            retain(named, needs);
            needs.to_vec()
        }
        Op::Aggregate { keys, aggs } => {
            let mut kept = needs.to_vec();
            kept[..keys.len()].fill(true);
            retain(aggs, &kept[keys.len()..]);
            kept
        }
        Op::Join { right_columns, .. } => {
            let left = width - right_columns.len();
            let mut kept = flow.to_vec();
            kept.extend_from_slice(&needs[left..]);
            retain(right_columns, &needs[left..]);
            kept
        }
        Op::Concat(plans) => {
            for plan in plans {
                keep(plan, flow);
            }
            flow.to_vec()
        }
        Op::Zip(plans) => {
            let mut kept = flow.to_vec();
            for plan in plans {
                let width = plan.schema().columns.len();
                let mut part = needs[kept.len()..kept.len() + width].to_vec();
                at_least_one(&mut part);
                keep(plan, &part);
                kept.extend(part);
            }
            kept
        }
        Op::Number => [flow, &[true]].concat(),
        // The first list says how many rows there are.
        Op::Explode(named) => {
            let mut kept = needs.to_vec();
            kept[0] = true;
            retain(named, &kept);
            kept
        }
        Op::Fold { .. } => vec![true],
        Op::Pairs => vec![true, true],
        Op::Filter(_)
        | Op::Slice { .. }
        | Op::Sort { .. }
        | Op::Reverse
        | Op::Distinct(_)
        | Op::Sample { .. }
        | Op::Peek { .. }
        | Op::Tally(_) => flow.to_vec(),
    }
}

/// Whether the values of a column that nothing needs stay as they are in the file. Those of the other formats are
/// checked for nothing.
fn not_converted(read: &mut Read, place: usize) -> bool {
    let index = read.wanted[place];
    let field = &mut read.fields[index];
    let is_left = match read.format {
        Format::Csv(_) | Format::Json { .. } => true,
        Format::Text { .. } | Format::Parquet | Format::Arrow => false,
    };
    if is_left {
        field.ty = Type::Text;
        field.basis = Basis::Unused;
    }
    is_left
}

/// A table has at least one column: the first one stays where none is needed.
fn at_least_one(needed: &mut [bool]) {
    if !needed.contains(&true)
        && let Some(first) = needed.first_mut()
    {
        *first = true;
    }
}

/// Which columns of its input an op needs when `after` are needed of its output.
fn needed_before(op: &mut Op<Plan>, after: &[bool]) -> Vec<bool> {
    let width = |exprs: &[&Expr], base: Vec<bool>| {
        let mut needed = base;
        for column in exprs.iter().flat_map(|expr| expr.columns()) {
            if column >= needed.len() {
                needed.resize(column + 1, false);
            }
            needed[column] = true;
        }
        needed
    };
    match op {
        Op::Project(named) => {
            let exprs: Vec<&Expr> =
                named.iter().zip(after).filter(|(_, needed)| **needed).map(|(named, _)| &named.expr).collect();
            width(&exprs, Vec::new())
        }
        Op::Aggregate { keys, aggs } => {
            let exprs = keys.iter().map(|key| &key.expr);
            let aggs = aggs.iter().zip(&after[keys.len()..]).filter(|(_, needed)| **needed);
            let exprs: Vec<&Expr> = exprs.chain(aggs.filter_map(|(agg, _)| agg.arg.as_ref())).collect();
            width(&exprs, Vec::new())
        }
        Op::Explode(named) => {
            let needed = named.iter().zip(after).enumerate().filter(|(i, (_, needed))| *i == 0 || **needed);
            let exprs: Vec<&Expr> = needed.map(|(_, (named, _))| &named.expr).collect();
            width(&exprs, Vec::new())
        }
        Op::Fold { step, .. } => width(&[&step.expr], Vec::new()),
        Op::Filter(expr) => width(&[expr], after.to_vec()),
        Op::Sort { keys, .. } => width(&keys.iter().map(|key| &key.expr).collect::<Vec<_>>(), after.to_vec()),
        Op::Slice { .. } | Op::Reverse | Op::Sample { .. } => after.to_vec(),
        // It counts whether or not anything uses the rows.
        Op::Tally(counters) => width(&counters.iter().map(|counter| &counter.expr).collect::<Vec<_>>(), after.to_vec()),
        // It shows what a person would see.
        Op::Peek { .. } => vec![true; after.len()],
        Op::Number => after[..after.len() - 1].to_vec(),
        Op::Distinct(None) => vec![true; after.len()],
        Op::Distinct(Some(by)) => width(&by.iter().collect::<Vec<_>>(), after.to_vec()),
        Op::Join { right, on, right_columns, .. } => {
            let left = after.len() - right_columns.len();
            let mut needed = vec![false; right.schema().columns.len()];
            for (index, wanted) in right_columns.iter().zip(&after[left..]) {
                needed[*index] |= *wanted;
            }
            let lefts: Vec<&Expr> = on.iter().map(|(left, _)| left).collect();
            let before = width(&lefts, after[..left].to_vec());
            for column in on.iter().flat_map(|(_, right)| right.columns()) {
                needed[column] = true;
            }
            at_least_one(&mut needed);
            keep(right, &needed);
            let places = places(&needed);
            for (_, right) in on.iter_mut() {
                move_columns(right, &places);
            }
            for index in right_columns.iter_mut() {
                *index = places[*index].unwrap_or(0);
            }
            before
        }
        Op::Concat(_) => after.to_vec(),
        Op::Zip(plans) => {
            let width: usize = plans.iter().map(|plan| plan.schema().columns.len()).sum();
            after[..after.len() - width].to_vec()
        }
        Op::Pairs => vec![true],
    }
}

/// The new place of each column that is kept.
fn places(kept: &[bool]) -> Vec<Option<usize>> {
    let mut next = 0;
    let mut place = |kept: &bool| {
        next += usize::from(*kept);
        kept.then(|| next - 1)
    };
    kept.iter().map(&mut place).collect()
}

fn move_columns(expr: &mut Expr, places: &[Option<usize>]) {
    let moved: Result<(), ()> = expr.rewrite(&mut |expr| {
        if let Node::Column(index) = &mut expr.node {
            match places.get(*index).copied().flatten() {
                Some(place) => *index = place,
                // The expression belongs to a column that is taken out in this same step.
                None => expr.node = Node::Const(Value::Null),
            }
        }
        Ok(())
    });
    moved.expect("moving columns cannot fail");
}

fn retain<T>(items: &mut Vec<T>, kept: &[bool]) {
    let mut index = 0;
    items.retain(|_| {
        index += 1;
        kept[index - 1]
    });
}
