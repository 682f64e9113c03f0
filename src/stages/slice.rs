//! Stages that pass some rows by their place.

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, ArgumentSyntax, By, StageSyntax};
use crate::plan::{Builder, Op, Plan, int};

use super::Stage;

const COUNT: ArgumentSyntax = ArgumentSyntax::Args { least: 1, most: 1, named: false, directed: false, by: By::No };

pub static TAKE: Stage = Stage {
    syntax: StageSyntax { name: "take", usage: "take n", shape: COUNT, options: &[] },
    about: "keeps the first n rows",
    examples: &[("5.. | take 2", "it\n5\n6\n")],
    privileges: lang::Privileges::none,
    bind: |builder, stage, _| {
        builder.needs_order("take", stage.span);
        let length = builder.count(&stage.args[0].expr, "the number of rows")?;
        builder.push(Op::Slice { offset: 0, length: Some(length) }, stage.span)
    },
};

pub static SKIP: Stage = Stage {
    syntax: StageSyntax { name: "skip", usage: "skip n", shape: COUNT, options: &[] },
    about: "drops the first n rows",
    examples: &[("1..5 | skip 2", "it\n3\n4\n"), ("1..5 | skip 1 | take 2", "it\n2\n3\n")],
    privileges: lang::Privileges::none,
    bind: |builder, stage, _| {
        builder.needs_order("skip", stage.span);
        let offset = builder.count(&stage.args[0].expr, "the number of rows")?;
        builder.push(Op::Slice { offset, length: None }, stage.span)
    },
};

pub static SAMPLE: Stage = Stage {
    syntax: StageSyntax { name: "sample", usage: "sample n [seed s]", shape: COUNT, options: &["seed"] },
    about: "takes a random sample of n rows, the same on every engine",
    examples: &[("1..1000 | sample 3 seed 7 | count", "count\n3\n"), ("1..3 | sample 5", "it\n1\n2\n")],
    privileges: lang::Privileges::none,
    bind: sample,
};

fn sample(builder: &mut Builder, stage: &lang::Stage, _: Vec<Plan>) -> Fallible<()> {
    builder.needs_order("sample", stage.span);
    let count = builder.count(&stage.args[0].expr, "the number of rows")?;
    let seed = match &stage.options[..] {
        [] => builder.scope.seed(),
        [(_, seed)] => int(builder.scope, seed, "a seed")?,
        [.., (word, _)] => return Err(Diagnostic::at(Kind::Syntax, word.span, "option `seed` is given twice")),
    };
    builder.push(Op::Sample { count, seed }, stage.span)
}
