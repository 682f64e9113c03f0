//! What is not written, and why.

use crate::data::Value;
use crate::diagnostic::Span;
use crate::files;
use crate::functions::Func;
use crate::plan::{Expr, Format, Node, Op, Prepared, Read, Source, Step};

/// A tuple of more has no hash in std.
const MOST_KEYS: usize = 12;

/// The compiler takes what is nested deeper, but not gladly.
const DEEPEST: usize = 100;
const MOST_STEPS: usize = 300;

/// From so many rows on they are not all put into memory for a `take` that may want few.
const MANY_ROWS: i64 = 10_000_000;

/// Why a pruned plan is not written, if it is not, and at which step.
pub fn objection(plan: &Prepared) -> Option<(&'static str, Span)> {
    let span = plan.source.span;
    if plan.steps.len() >= MOST_STEPS {
        return Some(("a pipeline of so many steps takes the compiler too long", span));
    }
    if let Some(reason) = plan.functions.iter().find_map(|function| of_expr(&function.body)) {
        return Some((reason, span));
    }
    if let Source::Read(read) = &plan.source.op
        && let Some(reason) = of_read(read)
    {
        return Some((reason, span));
    }
    if let Source::Iterated(_) = &plan.source.op {
        return Some(("each round is a plan of its own, and only one plan is compiled: leave `iterate` out", span));
    }
    for (i, step) in plan.steps.iter().enumerate() {
        if let Op::Join { right, on, .. } = &step.op
            && let Some(reason) = on.iter().find_map(|(_, right)| of_expr(right))
        {
            return Some((reason, right.source.span));
        }
        let inside = step.op.exprs().into_iter().find_map(of_expr);
        if let Some(reason) = of_op(&step.op).or(inside).or(of_rest(plan, i)) {
            return Some((reason, step.span));
        }
        let inner = step.op.plans().into_iter().find_map(objection);
        if inner.is_some() {
            return inner;
        }
    }
    None
}

fn of_op(op: &Op) -> Option<&'static str> {
    match op {
        Op::Aggregate { keys, .. } if keys.len() > MOST_KEYS => Some("std has no hash of more than 12 keys"),
        Op::Distinct(Some(by)) if by.len() > MOST_KEYS => Some("std has no hash of more than 12 keys"),
        Op::Join { on, .. } if on.len() > MOST_KEYS => Some("std has no hash of more than 12 keys"),
        Op::Explode(named) if named.len() > 1 => Some("compiled code makes rows of one list alone"),
        Op::Tally(_) => Some("compiled code counts nothing: leave `counter` out"),
        Op::Peek { .. } => Some("compiled code has nowhere to show what passes: leave `peek` out"),
        Op::Project(_)
        | Op::Filter(_)
        | Op::Explode(_)
        | Op::Slice { .. }
        | Op::Sort { .. }
        | Op::Reverse
        | Op::Number
        | Op::Distinct(_)
        | Op::Aggregate { .. }
        | Op::Fold { .. }
        | Op::Join { .. }
        | Op::Concat(_)
        | Op::Zip(_)
        | Op::Pairs
        | Op::Sample { .. } => None,
    }
}

fn of_read(read: &Read) -> Option<&'static str> {
    match read.format {
        Format::Text { lossy: false } => {}
        Format::Text { lossy: true } => return Some("compiled code reads only UTF-8 text: `persist` the table first"),
        Format::Csv(_) | Format::Json { .. } | Format::Parquet | Format::Arrow => {
            return Some("compiled code reads only lines of text: `persist` the table first");
        }
    }
    let cannot = |file: &crate::plan::File| {
        let is_packed = files::extension(&file.path).1.is_some();
        files::is_standard_input(file) || is_packed || file.path.to_str().is_none()
    };
    read.files
        .iter()
        .any(cannot)
        .then_some("compiled code reads only plain, uncompressed files: `persist` the table first")
}

/// What step `at` has to do with those around it.
fn of_rest(plan: &Prepared, at: usize) -> Option<&'static str> {
    let step = &plan.steps[at];
    if let Op::Distinct(None) = step.op
        && step.schema.columns.len() > MOST_KEYS
    {
        return Some("the standard library of Rust cannot hash more than 12 keys");
    }
    let (Op::Concat(plans) | Op::Zip(plans)) = &step.op else { return None };
    let takes = plan.steps[at..].iter().any(|step| matches!(step.op, Op::Slice { length: Some(_), .. }));
    let is_large =
        is_large(&plan.source.op, &plan.steps[..at]) || plans.iter().any(|plan| is_large(&plan.source.op, &plan.steps));
    (takes && is_large).then_some("a `take` after `concat` or `zip` of so many rows would compute them all")
}

/// Whether so many rows come out that only a part of them should ever be computed.
fn is_large(source: &Source, steps: &[Step]) -> bool {
    let cut = |step: &Step| matches!(step.op, Op::Slice { length: Some(_), .. });
    let range = match source {
        Source::Range { start, end } => end.unwrap_or(i64::MAX).saturating_sub(*start),
        _ => 0,
    };
    range > MANY_ROWS && !steps.iter().any(cut)
}

fn of_expr(expr: &Expr) -> Option<&'static str> {
    let mut reason = None;
    let mut size = 0;
    expr.walk(&mut |part| {
        size += 1;
        match &part.node {
            Node::Call(Func::Matches, _) => {
                reason = Some("`matches` needs the regex crate, which compiled code does not have")
            }
            Node::ExternalFunction(code, _) if code.0.place().is_command() => {
                reason = Some("a command is not Rust that could be compiled in")
            }
            Node::ExternalFunction(code, _) if code.0.source().is_none() => {
                reason = Some(
                    "a function in Rust cannot be compiled in if it uses variables, names of the session, or \
                     functions with names of the generated code",
                )
            }
            Node::Const(value) => size += constants(value) / 10,
            _ => {}
        }
    });
    if reason.is_none() && (size > 2000 || depth(expr) > DEEPEST) {
        reason = Some("an expression of this size takes too long to compile");
    }
    reason
}

fn constants(value: &Value) -> usize {
    match value {
        Value::List(items) => 1 + items.iter().map(constants).sum::<usize>(),
        Value::Null | Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Text(_) => 1,
    }
}

/// How deep the text of an expression is nested: each operator of a chain stands around those before it.
fn depth(expr: &Expr) -> usize {
    let own = match &expr.node {
        Node::Chain(_, links) => links.len(),
        Node::And(items) | Node::Or(items) => items.len(),
        Node::If(arms, _) => arms.len(),
        _ => 1,
    };
    own + expr.parts().into_iter().map(depth).max().unwrap_or(0)
}
