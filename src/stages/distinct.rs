use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, ArgumentSyntax, By, StageSyntax};
use crate::plan::{Builder, Op, Plan};

use super::Stage;

pub static DISTINCT: Stage = Stage {
    syntax: StageSyntax {
        name: "distinct",
        usage: "distinct [by e, …]",
        shape: ArgumentSyntax::Args { least: 0, most: usize::MAX, named: false, directed: false, by: By::Optional },
        options: &[],
    },
    about: "keeps each row once; with `by` the first row of each key",
    examples: &[
        ("[2, 1, 2, null, null] | distinct | sort by it", "it\n1\n2\n\n"),
        (r#"["ab", "cd", "e"] | distinct by len(it) | sort by it"#, "it\nab\ne\n"),
    ],
    privileges: lang::Privileges::none,
    bind,
};

fn bind(builder: &mut Builder, stage: &lang::Stage, _: Vec<Plan>) -> Fallible<()> {
    if let Some(arg) = stage.args.first() {
        let key = if let lang::Node::Name(name) = &arg.expr.node { name } else { "e" };
        return Err(Diagnostic::at(Kind::Syntax, arg.expr.span, "`distinct` takes keys only after `by`").hint(
            format!("`map {key} | distinct` keeps its different values, `distinct by {key}` the first row of each"),
        ));
    }
    let keys = builder.keys(&stage.by)?;
    if keys.is_empty() {
        return builder.push(Op::Distinct(None), stage.span);
    }
    builder.needs_order("distinct by", stage.span);
    builder.push(Op::Distinct(Some(keys.into_iter().map(|key| key.expr).collect())), stage.span)
}
