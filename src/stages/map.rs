use crate::diagnostic::Fallible;
use crate::lang::{self, Arg, ArgumentSyntax, By, StageSyntax};
use crate::plan::{Builder, Named, Op, Plan};

use super::Stage;

const SHAPE: ArgumentSyntax =
    ArgumentSyntax::Args { least: 1, most: usize::MAX, named: true, directed: false, by: By::No };

pub static MAP: Stage = Stage {
    syntax: StageSyntax { name: "map", usage: "map [name =] e, …", shape: SHAPE, options: &[] },
    about: "computes these columns for each row, and drops the others",
    examples: &[
        ("1..4 | map it * it", "it\n1\n4\n9\n"),
        ("1..3 | map n = it, half = it / 2", "n,half\n1,0.5\n2,1.0\n"),
        ("1..6 | map n = counter(\"sum of it\", it) | count", "count\n5\n"),
        ("[3, 0, null] | map if it != 0 then 12 // it else 0", "it\n4\n0\n0\n"),
    ],
    privileges: lang::Privileges::none,
    bind,
};

pub static SELECT: Stage = Stage {
    syntax: StageSyntax { name: "select", usage: "select [name =] e, …", shape: SHAPE, options: &[] },
    about: "another name of map",
    examples: &[("1..3 | enumerate | select row", "row\n0\n1\n")],
    privileges: lang::Privileges::none,
    bind,
};

fn bind(builder: &mut Builder, stage: &lang::Stage, _: Vec<Plan>) -> Fallible<()> {
    let mut later = Vec::new();
    // What counts before the stage is there for all of its arguments.
    let args = counted(builder, stage, &mut later)?;
    let named = args.iter().map(|arg| builder.named(arg)).collect::<Fallible<_>>()?;
    builder.push(Op::Project(named), stage.span)?;
    count(builder, later.into_iter(), stage)
}

/// The arguments of a stage without their counters; `later` is as in [`Builder::counted`].
pub fn counted(builder: &mut Builder, stage: &lang::Stage, later: &mut Vec<(usize, String)>) -> Fallible<Vec<Arg>> {
    stage.args.iter().enumerate().map(|(number, arg)| builder.counted(arg, number, later)).collect()
}

/// Counts columns that are there now, each by its number.
pub fn count(
    builder: &mut Builder,
    counters: impl Iterator<Item = (usize, String)>,
    stage: &lang::Stage,
) -> Fallible<()> {
    let column =
        |(number, label): (usize, String)| Named { name: label, expr: builder.column_expr(number, stage.span) };
    let counters: Vec<Named> = counters.map(column).collect();
    if counters.is_empty() { Ok(()) } else { builder.tally(counters, stage.span) }
}
