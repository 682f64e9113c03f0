//! Stages that make an order.

use crate::data::Type;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Arg, ArgumentSyntax, By, Direction, StageSyntax};
use crate::plan::{Builder, Node, Op, Plan, SortKey};

use super::Stage;

pub static SORT: Stage = Stage {
    syntax: StageSyntax {
        name: "sort",
        usage: "sort [by] e [asc|desc], …",
        shape: ArgumentSyntax::Args { least: 0, most: usize::MAX, named: false, directed: false, by: By::Optional },
        options: &[],
    },
    about: "sorts the rows; ties are broken by the other columns, nulls come last",
    examples: &[
        ("[3, null, 1, 2] | sort by it", "it\n1\n2\n3\n\n"),
        ("[3, null, 1, 2] | sort by it desc", "it\n3\n2\n1\n\n"),
        ("[3, 1, 2] | sort it", "it\n1\n2\n3\n"),
        (r#"["pear", "fig", "apple"] | sort by len(it), it desc"#, "it\nfig\npear\napple\n"),
    ],
    privileges: lang::Privileges::none,
    bind: sort,
};

fn sort(builder: &mut Builder, stage: &lang::Stage, _: Vec<Plan>) -> Fallible<()> {
    let by = match (&stage.args[..], &stage.by[..]) {
        ([], []) => {
            let error = Diagnostic::at(Kind::Syntax, stage.span.after(), "`sort` needs a key");
            return Err(error.hint(format!("for example: sort by {}", builder.schema().columns[0].name)));
        }
        ([arg, ..], [_, ..]) => {
            let message = "`sort` takes all its keys after `by`, or all without it";
            return Err(Diagnostic::at(Kind::Syntax, arg.expr.span, message).hint("put a comma between keys"));
        }
        ([], by) => by,
        (args, []) => args,
    };
    let keys = keys(builder, by, false)?;
    builder.push(Op::Sort { keys, limit: None }, stage.span)
}

pub static TOP: Stage = Stage {
    syntax: StageSyntax {
        name: "top",
        usage: "top n [by e [asc|desc], …]",
        shape: ArgumentSyntax::Args { least: 1, most: 1, named: false, directed: true, by: By::Optional },
        options: &[],
    },
    about: "keeps the n rows with the largest values of the last column or the `by` keys; `asc`: the smallest",
    examples: &[
        ("[3, 1, 2] | top 2", "it\n3\n2\n"),
        ("[3, 1, 2] | top 2 asc", "it\n1\n2\n"),
        (r#"["pear", "fig", "apple"] | top 1 by len(it)"#, "it\napple\n"),
    ],
    privileges: lang::Privileges::none,
    bind: top,
};

fn top(builder: &mut Builder, stage: &lang::Stage, _: Vec<Plan>) -> Fallible<()> {
    let limit = builder.count(&stage.args[0].expr, "the number of rows")?;
    let descending = stage.args[0].direction.or(stage.direction) != Some(Direction::Ascending);
    let keys = if stage.by.is_empty() {
        let last = builder.schema().columns.len() - 1;
        let key = SortKey { expr: builder.column_expr(last, stage.span), descending };
        total(builder, vec![key])
    } else {
        keys(builder, &stage.by, descending)?
    };
    builder.push(Op::Sort { keys, limit: Some(limit) }, stage.span)
}

fn keys(builder: &mut Builder, by: &[Arg], descending: bool) -> Fallible<Vec<SortKey>> {
    let mut keys = Vec::new();
    for arg in by {
        if let Some(name) = &arg.name {
            return Err(
                Diagnostic::at(Kind::Syntax, name.span, "a sort key cannot have a name").hint("`derive` adds a column")
            );
        }
        let expr = builder.expr(&arg.expr)?;
        let descending = arg.direction.map_or(descending, |direction| direction == Direction::Descending);
        keys.push(SortKey { expr: if expr.ty == Type::Open { expr.widened(&Type::Text) } else { expr }, descending });
    }
    Ok(total(builder, keys))
}

/// The keys, then all columns that are not keys by themselves, so that no two different rows are equal.
fn total(builder: &Builder, mut keys: Vec<SortKey>) -> Vec<SortKey> {
    for index in 0..builder.schema().columns.len() {
        if !keys.iter().any(|key| key.expr.node == Node::Column(index)) {
            keys.push(SortKey { expr: builder.column_expr(index, keys[0].expr.span), descending: false });
        }
    }
    keys
}

pub static REVERSE: Stage = Stage {
    syntax: StageSyntax {
        name: "reverse",
        usage: "reverse",
        shape: ArgumentSyntax::Args { least: 0, most: 0, named: false, directed: false, by: By::No },
        options: &[],
    },
    about: "reverses the order of the rows",
    examples: &[("1..4 | reverse", "it\n3\n2\n1\n")],
    privileges: lang::Privileges::none,
    bind: |builder, stage, _| {
        builder.needs_order("reverse", stage.span);
        builder.push(Op::Reverse, stage.span)
    },
};
