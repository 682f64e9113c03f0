use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::lang::{self, ArgumentSyntax, By, StageSyntax};
use crate::plan::{AggFunc, Builder, Expr, Node, Plan};

use super::{Stage, agg};

pub static REDUCE: Stage = Stage {
    syntax: StageSyntax {
        name: "reduce",
        usage: "reduce e",
        shape: ArgumentSyntax::Args { least: 1, most: 1, named: false, directed: false, by: By::No },
        options: &[],
    },
    about: "merges all rows into one with an associative expression over `acc` and `it`",
    examples: &[
        ("1..6 | reduce acc * it", "it\n120\n"),
        ("[3, 9, 4] | reduce if acc > it then acc else it", "it\n9\n"),
    ],
    privileges: lang::Privileges::none,
    bind,
};

fn bind(builder: &mut Builder, stage: &lang::Stage, _: Vec<Plan>) -> Fallible<()> {
    let index = match builder.schema().index("it") {
        Some(index) => index,
        None if builder.schema().columns.len() == 1 => 0,
        None => {
            let message = format!("`reduce` needs one column, but the input has: {}", builder.schema());
            return Err(Diagnostic::at(Kind::Type, stage.span, message).hint("choose one with `map`"));
        }
    };
    let column = builder.schema().columns[index].clone();
    let ty = column.ty.closed();
    let step = associative_step(builder, index, &stage.args[0].expr, stage.span)?;
    let arg = builder.column_expr(index, stage.span).widened(&ty);
    let reduce = agg::gathered(&column.name, AggFunc::Reduce(Box::new(step)), arg, ty);
    builder.aggregate(Vec::new(), vec![reduce], stage.span)
}

/// An expression that makes one value of `acc` and the value of a column; in it, this value is the only column.
///
/// # Errors
/// It uses other columns, has another type, or is not associative as far as fixed values show.
pub(super) fn associative_step(
    builder: &mut Builder,
    index: usize,
    written: &lang::Expr,
    span: Span,
) -> Fallible<Expr> {
    let ty = builder.schema().columns[index].ty.closed();
    let mut step = builder.expr_with_acc(written, &ty)?;
    if let Some(other) = step.columns().into_iter().find(|used| *used != index) {
        let message = format!("`reduce` can use only `acc` and `it`, not `{}`", builder.schema().columns[other].name);
        return Err(Diagnostic::at(Kind::Name, step.span, message).hint("choose one column with `map`"));
    }
    let moved: Result<(), ()> = step.rewrite(&mut |expr| {
        if let Node::Column(index) = &mut expr.node {
            *index = 0;
        }
        Ok(())
    });
    moved.expect("nothing in it can fail");
    of_two_values("reduce", builder, step, &ty, span)
}

/// The same of an expression that has its types, over a table whose only column has the values.
///
/// # Errors
/// It has another type, or is not associative as far as fixed values show.
pub(super) fn of_two_values(what: &str, builder: &Builder, step: Expr, ty: &Type, span: Span) -> Fallible<Expr> {
    if step.ty != *ty && step.ty != Type::Open {
        let message = format!("`{what}` must combine two {ty} into one, got {}", step.ty);
        let hint = if what == "reduce" { "`fold` can change the type" } else { "combine = acc + it" };
        return Err(Diagnostic::at(Kind::Type, step.span, message).hint(hint));
    }
    let step = step.widened(ty);
    associative(what, builder, &step, ty, span)?;
    Ok(step)
}

/// Tries `(a ∘ b) ∘ c == a ∘ (b ∘ c)` on fixed values; where one of them has no value, that triple says nothing.
fn associative(what: &str, builder: &Builder, step: &Expr, ty: &Type, span: Span) -> Fallible<()> {
    let evaluator = builder.scope.evaluator(&builder.plan.functions, step)?;
    let apply = |a: &Value, b: &Value| evaluator(Some(a), Some(b)).ok().map(|(value, _)| value);
    let values = values_to_try(ty);
    for a in &values {
        for b in &values {
            for c in &values {
                let left = apply(a, b).and_then(|ab| apply(&ab, c));
                let right = apply(b, c).and_then(|bc| apply(a, &bc));
                let (Some(left), Some(right)) = (left, right) else { continue };
                if !nearly(&left, &right) {
                    let message = format!(
                        "`{what}` needs an associative expression, but with {a}, {b}, {c} the order of the steps \
                         matters: {left} or {right}"
                    );
                    return Err(Diagnostic::at(Kind::Type, span, message)
                        .hint("`fold` goes through the rows in order, whatever the expression"));
                }
            }
        }
    }
    Ok(())
}

fn values_to_try(ty: &Type) -> Vec<Value> {
    match ty {
        Type::Int => [-7, 0, 1, 2, 5].map(Value::Int).to_vec(),
        Type::Float => [-2.5, 0.0, 1.0, 3.25].map(Value::Float).to_vec(),
        Type::Bool => [false, true].map(Value::Bool).to_vec(),
        Type::Text | Type::Open | Type::Never => ["", "a", "b", "cd"].map(Value::text).to_vec(),
        Type::List(of) => {
            let items = values_to_try(of);
            vec![Value::List(items[..1].into()), Value::List(items[1..].into()), Value::List([].into())]
        }
    }
}

fn nearly(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0),
        _ => a == b,
    }
}
