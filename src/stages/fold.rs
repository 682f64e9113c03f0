//! Stages that go through the rows in order with a state.

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, ArgumentSyntax, StageSyntax};
use crate::plan::{Builder, DEEPEST_TYPE, Named, Op};

use super::Stage;

pub static FOLD: Stage = Stage {
    syntax: StageSyntax { name: "fold", usage: "fold start e", shape: ArgumentSyntax::Fold, options: &[] },
    about: "goes through the rows in order: `acc` begins as start and is set to e after each row",
    examples: &[
        ("1..5 | fold 0 acc * 10 + it", "it\n1234\n"),
        (r#"["a", "b"] | fold "" acc + it"#, "it\nab\n"),
        ("[1, 2] | fold [] [it] + acc", "it\n\"[2, 1]\"\n"),
    ],
    privileges: lang::Privileges::none,
    bind: |builder, stage, _| bind(builder, stage, false),
};

pub static SCAN: Stage = Stage {
    syntax: StageSyntax { name: "scan", usage: "scan start e", shape: ArgumentSyntax::Fold, options: &[] },
    about: "works like fold, but returns `acc` after every row",
    examples: &[("1..5 | scan 0 acc + it", "it\n1\n3\n6\n10\n")],
    privileges: lang::Privileges::none,
    bind: |builder, stage, _| bind(builder, stage, true),
};

fn bind(builder: &mut Builder, stage: &lang::Stage, each: bool) -> Fallible<()> {
    builder.needs_order(&stage.name.text, stage.span);
    let (start, mut ty) = builder.value(&stage.args[0].expr)?;
    // `acc` has the least type that holds the start and what every step makes of it.
    let step = loop {
        let step = builder.expr_with_acc(&stage.args[1].expr, &ty)?;
        match ty.meet(&step.ty) {
            Some(met) if met == ty => break step.widened(&ty),
            Some(met) if met.depth() > DEEPEST_TYPE => {
                let message = "the type of `acc` grows with every row: lists are nested without end";
                return Err(
                    Diagnostic::at(Kind::Type, stage.args[1].expr.span, message).hint("acc + [it] adds an element")
                );
            }
            Some(met) => ty = met,
            None => {
                let message = format!("`acc` begins as {ty}, got {}", step.ty);
                return Err(Diagnostic::at(Kind::Type, stage.args[1].expr.span, message)
                    .hint("start and expression must have the same type"));
            }
        }
    };
    let name = builder.natural_name(&step);
    let op = Op::Fold { start: start.widen(&ty), step: Named { name, expr: step }, each };
    builder.push(op, stage.span)
}
