use crate::lang::{self, ArgumentSyntax, By, StageSyntax};
use crate::plan::{Named, Op};

use super::Stage;

pub static FILTER: Stage = Stage {
    syntax: StageSyntax {
        name: "filter",
        usage: "filter e",
        shape: ArgumentSyntax::Args { least: 1, most: 1, named: false, directed: false, by: By::No },
        options: &[],
    },
    about: "keeps the rows for which the condition is true; null counts as false",
    examples: &[
        ("1..10 | filter it % 4 == 1", "it\n1\n5\n9\n"),
        ("[1, null, 3] | filter it > 1 or it == 1", "it\n1\n3\n"),
        ("1..10 | filter counter(\"kept\", it > 7)", "it\n8\n9\n"),
        (r#"["a", "b"] | filter it not in ["b"]"#, "it\na\n"),
    ],
    privileges: lang::Privileges::none,
    bind: |builder, stage, _| {
        let mut whole = Vec::new();
        let arg = builder.counted(&stage.args[0], 0, &mut whole)?;
        let condition = builder.filter_condition(&arg.expr)?;
        let counters = whole.into_iter().map(|(_, name)| Named { name, expr: condition.clone() }).collect::<Vec<_>>();
        if !counters.is_empty() {
            builder.tally(counters, stage.span)?;
        }
        builder.push(Op::Filter(condition), stage.span)
    },
};
