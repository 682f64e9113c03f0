use crate::data::Type;
use crate::diagnostic::Fallible;
use crate::lang::{self, ArgumentSyntax, By, StageSyntax};
use crate::plan::{AggFunc, Builder, Node, Plan};

use super::{Stage, agg};

pub static GROUP: Stage = Stage {
    syntax: StageSyntax {
        name: "group",
        usage: "group by [name =] e, …",
        shape: ArgumentSyntax::Args { least: 0, most: 0, named: false, directed: false, by: By::Required },
        options: &[],
    },
    about: "makes one row per key; the other columns become lists, in input order",
    examples: &[
        (
            r#"["tea", "ate", "ten"] | group by key = sorted(it) | sort by key"#,
            "key,it\naet,\"[\"\"tea\"\", \"\"ate\"\"]\"\nent,\"[\"\"ten\"\"]\"\n",
        ),
        ("1..6 | derive odd = it % 2 | group by odd | sort by odd", "odd,it\n0,\"[2, 4]\"\n1,\"[1, 3, 5]\"\n"),
    ],
    privileges: lang::Privileges::none,
    bind,
};

fn bind(builder: &mut Builder, stage: &lang::Stage, _: Vec<Plan>) -> Fallible<()> {
    let mut keys = builder.keys(&stage.by)?;
    let plain = |index: usize, keys: &[crate::plan::Named]| keys.iter().any(|key| key.expr.node == Node::Column(index));
    let lists: Vec<usize> = (0..builder.schema().columns.len()).filter(|index| !plain(*index, &keys)).collect();
    let mut aggs = Vec::new();
    for index in lists {
        let column = builder.schema().columns[index].clone();
        for (key, arg) in keys.iter_mut().zip(&stage.by) {
            if arg.name.is_none() && key.name == column.name {
                key.name = "key".to_string();
            }
        }
        let arg = builder.column_expr(index, stage.span);
        aggs.push(agg::gathered(&column.name, AggFunc::Collect, arg, Type::list(column.ty)));
    }
    builder.aggregate(keys, aggs, stage.span)
}
