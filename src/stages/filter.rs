use crate::lang::{self, ArgumentSyntax, By, StageSyntax};
use crate::plan::Op;

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
        (r#"["a", "b"] | filter it not in ["b"]"#, "it\na\n"),
    ],
    privileges: lang::Privileges::none,
    bind: |builder, stage, _| {
        let condition = builder.filter_condition(&stage.args[0].expr)?;
        builder.push(Op::Filter(condition), stage.span)
    },
};
