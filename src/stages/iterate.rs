//! A block of stages that is run again and again on the table that it gave.

use crate::data::{Column, Schema, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::lang::{self, ArgumentSyntax, Expr, StageSyntax};
use crate::plan::{self, BoundOp, Builder, Named, Node, Op, Plan, Rounds};

use super::Stage;

pub static ITERATE: Stage = Stage {
    syntax: StageSyntax {
        name: "iterate",
        usage: "iterate n { stages }, iterate until e { stages } [max 1000]",
        shape: ArgumentSyntax::Iterate,
        options: &["max"],
    },
    about: "runs the stages in rounds, each on the table of the last; `until`: ends when e is true in every row",
    examples: &[
        ("[1, 10] | iterate 3 { map it * 2 }", "it\n8\n80\n"),
        ("[1, 10] | iterate until it >= 100 { map it * 2 }", "it\n128\n1280\n"),
        ("[100] | iterate until it < 10 { map it // 2 } max 3", "it\n12\n"),
        ("[3] | iterate 2 { iterate 2 { map it + 1 } | map it * 10 }", "it\n520\n"),
    ],
    privileges: lang::Privileges::none,
    bind,
};

/// Where `until` states no other number of rounds.
const MOST_ROUNDS: u64 = 1000;

fn bind(builder: &mut Builder, stage: &lang::Stage, mut plans: Vec<Plan>) -> Fallible<()> {
    let block = plans.remove(0);
    let condition = &stage.args[0].expr;
    let most = match (&stage.kind, &stage.options[..]) {
        (None, []) => builder.count(condition, "the number of rounds")?,
        (None, [(word, _), ..]) => {
            let message = "`max` belongs to `iterate until`";
            return Err(Diagnostic::at(Kind::Syntax, word.span, message).hint("iterate until e { stages } max 100"));
        }
        (Some(_), []) => MOST_ROUNDS,
        (Some(_), [(_, most)]) => builder.count(most, "the most rounds")?,
        (Some(_), [.., (word, _)]) => {
            return Err(Diagnostic::at(Kind::Syntax, word.span, "option `max` is given twice"));
        }
    };
    let passed = block.steps[0].schema.clone();
    let block = same_columns(builder, block, &passed, stage.span)?;
    widen_input(builder, &passed, stage.span)?;
    let until = stage.kind.is_some().then(|| not_yet(builder, condition, &block)).transpose()?;
    builder.iterate(Rounds { block, until, most }, stage.span)
}

/// The block, whose columns are brought to the order and the types of those that it is handed.
fn same_columns(builder: &mut Builder, block: Plan, passed: &Schema, span: Span) -> Fallible<Plan> {
    if let Some(end) = block.steps.iter().find(|step| matches!(step.op, BoundOp::Write(_) | BoundOp::Tee(_))) {
        let message = "the block of `iterate` gives a table: it cannot contain `write` or `tee`";
        return Err(Diagnostic::at(Kind::Syntax, end.span, message).hint("put it behind the block: } | write …"));
    }
    if let Some(persist) = block.steps.iter().find(|step| matches!(step.op, BoundOp::Persist(..))) {
        let message = "the table changes from round to round, so the block cannot keep it";
        return Err(Diagnostic::at(Kind::Syntax, persist.span, message).hint("put it behind the block: } | persist"));
    }
    let given = block.schema().clone();
    let place = |name: &str| given.index(name);
    let fits = passed.columns.len() == given.columns.len()
        && passed
            .columns
            .iter()
            .all(|column| place(&column.name).is_some_and(|index| column.ty.meet(&given.columns[index].ty).is_some()));
    if !fits {
        let end = block.steps.last().expect("a plan has a source").span;
        let message =
            format!("the block of `iterate` must give the columns that it gets: it gets {passed}, gives {given}");
        return Err(
            Diagnostic::at(Kind::Type, end, message).hint("end the block with `map`, which chooses and names columns")
        );
    }
    if given.columns == passed.columns {
        return Ok(block);
    }
    let mut inner = Builder::from_plan(builder.scope, block);
    let all = inner.all_columns(span);
    let column = |column: &Column| {
        let index = place(&column.name).expect("all columns were found");
        let ty = column.ty.meet(&given.columns[index].ty).unwrap_or_else(|| column.ty.clone());
        Named { name: column.name.clone(), expr: all[index].expr.clone().widened(&ty) }
    };
    inner.push(Op::Project(passed.columns.iter().map(column).collect()), span)?;
    Ok(inner.plan)
}

/// Brings what flows in to the types that the block is handed.
fn widen_input(builder: &mut Builder, passed: &Schema, span: Span) -> Fallible<()> {
    if builder.schema().columns == passed.columns {
        return Ok(());
    }
    let columns = builder.all_columns(span).into_iter().zip(&passed.columns);
    let widened = columns.map(|(named, column)| Named { expr: named.expr.widened(&column.ty), ..named }).collect();
    builder.push(Op::Project(widened), span)
}

/// The stages that leave a row as long as the condition is not true in each.
fn not_yet(builder: &mut Builder, condition: &Expr, block: &Plan) -> Fallible<Plan> {
    let source = block.steps[0].clone();
    let mut check = Builder::from_plan(builder.scope, Plan::of(vec![source]));
    let typed = check.expr(condition)?;
    if !matches!(typed.ty, Type::Bool | Type::Open) {
        let message = format!("`until` needs a bool, got {}", typed.ty);
        return Err(Diagnostic::at(Kind::Type, typed.span, message).hint("compare it: iterate until it > 100 { … }"));
    }
    let (done, bool) = (typed.widened(&Type::Bool), Type::Bool);
    let answer = |value: bool| plan::Expr::constant(Value::Bool(value), Type::Bool);
    let span = condition.span;
    let open = plan::Expr::new(Node::If(vec![(done, answer(false))], Box::new(answer(true))), bool, span);
    check.push(Op::Filter(open), span)?;
    check.push(Op::Slice { offset: 0, length: Some(1) }, span)?;
    builder.warnings.append(&mut check.warnings);
    Ok(check.plan)
}
