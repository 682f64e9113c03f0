//! Stages that put tables beside or below each other.

use crate::data::{Column, Order, Type};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, ArgumentSyntax, By, StageSyntax};
use crate::plan::{Builder, Named, Op, Plan};

use super::Stage;

pub static CONCAT: Stage = Stage {
    syntax: StageSyntax {
        name: "concat",
        usage: "concat NAME or (pipeline), …",
        shape: ArgumentSyntax::Tables,
        options: &[],
    },
    about: "appends the rows of other tables, which must have the same columns",
    examples: &[("1..3 | concat (7..9)", "it\n1\n2\n7\n8\n"), ("[1, 2] | concat ([0.5] | map it) | sum", "sum\n3.5\n")],
    privileges: lang::Privileges::none,
    bind: concat,
};

fn concat(builder: &mut Builder, stage: &lang::Stage, tables: Vec<Plan>) -> Fallible<()> {
    // The columns that all tables meet in.
    let mut met: Vec<Column> = builder.schema().columns.clone();
    for (table, written) in tables.iter().zip(&stage.tables) {
        let columns = &table.schema().columns;
        let fits = columns.len() == met.len()
            && met.iter().zip(columns).all(|(a, b)| a.name == b.name && a.ty.meet(&b.ty).is_some());
        if !fits {
            let message = format!("`concat` needs the same columns, got {} and {}", builder.schema(), table.schema());
            return Err(
                Diagnostic::at(Kind::Type, written.span, message).hint("`map` chooses, names and converts columns")
            );
        }
        for (column, other) in met.iter_mut().zip(columns) {
            column.ty = column.ty.meet(&other.ty).unwrap_or(Type::Open);
        }
    }
    widen(builder, &met, stage)?;
    let mut plans = Vec::new();
    for table in tables {
        let mut other = Builder::from_plan(builder.scope, table);
        widen(&mut other, &met, stage)?;
        plans.push(other.plan);
    }
    builder.push(Op::Concat(plans), stage.span)
}

/// Brings the columns to the types of `met`.
fn widen(builder: &mut Builder, met: &[Column], stage: &lang::Stage) -> Fallible<()> {
    if builder.schema().columns == met {
        return Ok(());
    }
    let columns = builder.all_columns(stage.span).into_iter().zip(met);
    let widened = columns.map(|(named, column)| Named { expr: named.expr.widened(&column.ty), ..named }).collect();
    builder.push(Op::Project(widened), stage.span)
}

pub static ZIP: Stage = Stage {
    syntax: StageSyntax {
        name: "zip",
        usage: "zip NAME or (pipeline), …",
        shape: ArgumentSyntax::Tables,
        options: &[],
    },
    about: "puts the columns of other tables beside these, row by row; all need the same number of rows",
    examples: &[(r#"1..3 | zip (["a", "b"] | map letter = it)"#, "it,letter\n1,a\n2,b\n")],
    privileges: lang::Privileges::none,
    bind: |builder, stage, tables| {
        builder.needs_order("zip", stage.span);
        if builder.schema().order == Order::Kept && tables.iter().any(|table| table.schema().order != Order::Kept) {
            builder.needs_order_of("zip", stage.span);
        }
        builder.push(Op::Zip(tables), stage.span)
    },
};

pub static PAIRS: Stage = Stage {
    syntax: StageSyntax {
        name: "pairs",
        usage: "pairs",
        shape: ArgumentSyntax::Args { least: 0, most: 0, named: false, directed: false, by: By::No },
        options: &[],
    },
    about: "returns all pairs of different rows of the only column, as `a` and `b`",
    examples: &[("1..4 | pairs", "a,b\n1,2\n1,3\n2,3\n")],
    privileges: lang::Privileges::none,
    bind: pairs,
};

fn pairs(builder: &mut Builder, stage: &lang::Stage, _: Vec<Plan>) -> Fallible<()> {
    builder.needs_order("pairs", stage.span);
    if builder.schema().columns.len() != 1 {
        let message = format!("`pairs` needs one column, but the input has: {}", builder.schema());
        return Err(Diagnostic::at(Kind::Type, stage.span, message).hint("choose one with `map`"));
    }
    builder.push(Op::Pairs, stage.span)
}
