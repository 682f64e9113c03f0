//! Stages that add, replace, drop and rename columns.

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, ArgumentSyntax, By, Node, StageSyntax, Word};
use crate::plan::{Builder, Named, Op, Plan};

use super::Stage;
use super::map::{count, counted};

const ARGS: ArgumentSyntax =
    ArgumentSyntax::Args { least: 1, most: usize::MAX, named: true, directed: false, by: By::No };

pub static DERIVE: Stage = Stage {
    syntax: StageSyntax { name: "derive", usage: "derive name = e, …", shape: ARGS, options: &[] },
    about: "adds columns at the end, or replaces those with the same name",
    examples: &[
        ("1..3 | derive square = it * it", "it,square\n1,1\n2,4\n"),
        ("1..3 | derive it = it * 10, twice = it + it", "it,twice\n10,2\n20,4\n"),
    ],
    privileges: lang::Privileges::none,
    bind: derive,
};

fn derive(builder: &mut Builder, stage: &lang::Stage, _: Vec<Plan>) -> Fallible<()> {
    let mut later = Vec::new();
    let args = counted(builder, stage, &mut later)?;
    let mut columns = builder.all_columns(stage.span);
    let mut places = Vec::new();
    for arg in &args {
        let named = builder.named(arg)?;
        let place = columns.iter().position(|column| column.name == named.name);
        match place {
            Some(place) => columns[place] = named,
            None => columns.push(named),
        }
        places.push(place.unwrap_or(columns.len() - 1));
    }
    builder.push(Op::Project(columns), stage.span)?;
    count(builder, later.into_iter().map(|(number, label)| (places[number], label)), stage)
}

pub static ENUMERATE: Stage = Stage {
    syntax: StageSyntax {
        name: "enumerate",
        usage: "enumerate",
        shape: ArgumentSyntax::Args { least: 0, most: 0, named: false, directed: false, by: By::No },
        options: &[],
    },
    about: "adds the column `row`: 0, 1, 2, …",
    examples: &[(r#"["a", "b"] | enumerate"#, "it,row\na,0\nb,1\n")],
    privileges: lang::Privileges::none,
    bind: |builder, stage, _| {
        builder.needs_order("enumerate", stage.span);
        builder.push(Op::Number, stage.span)
    },
};

pub static DROP: Stage = Stage {
    syntax: StageSyntax {
        name: "drop",
        usage: "drop a, b",
        shape: ArgumentSyntax::Args { least: 1, most: usize::MAX, named: false, directed: false, by: By::No },
        options: &[],
    },
    about: "removes these columns",
    examples: &[("1..3 | derive b = it * 2, c = 0 | drop it, c", "b\n2\n4\n")],
    privileges: lang::Privileges::none,
    bind: drop_columns,
};

fn drop_columns(builder: &mut Builder, stage: &lang::Stage, _: Vec<Plan>) -> Fallible<()> {
    let mut dropped = Vec::new();
    for arg in &stage.args {
        dropped.push(builder.column(&column_word(&arg.expr, "drop")?)?);
    }
    let mut index = 0;
    let mut columns = builder.all_columns(stage.span);
    columns.retain(|_| {
        index += 1;
        !dropped.contains(&(index - 1))
    });
    if columns.is_empty() {
        return Err(Diagnostic::at(Kind::Type, stage.span, "a table must keep at least one column")
            .hint("`count` counts the rows"));
    }
    builder.push(Op::Project(columns), stage.span)
}

pub static RENAME: Stage = Stage {
    syntax: StageSyntax { name: "rename", usage: "rename a as b, …", shape: ArgumentSyntax::Renames, options: &[] },
    about: "renames columns",
    examples: &[("1..3 | rename it as n", "n\n1\n2\n")],
    privileges: lang::Privileges::none,
    bind: rename,
};

fn rename(builder: &mut Builder, stage: &lang::Stage, _: Vec<Plan>) -> Fallible<()> {
    let mut columns: Vec<Named> = builder.all_columns(stage.span);
    let mut renamed = Vec::new();
    for arg in &stage.args {
        let index = builder.column(&column_word(&arg.expr, "rename")?)?;
        if renamed.contains(&index) {
            return Err(Diagnostic::at(Kind::Name, arg.expr.span, "this column is renamed twice"));
        }
        renamed.push(index);
        if let Some(name) = &arg.name {
            columns[index].name = name.text.clone();
        }
    }
    builder.push(Op::Project(columns), stage.span)
}

/// The name of a column, where an expression would make no sense.
fn column_word(expr: &lang::Expr, stage: &str) -> Fallible<Word> {
    match &expr.node {
        Node::Name(name) => Ok(Word { text: name.clone(), span: expr.span }),
        _ => Err(Diagnostic::at(Kind::Syntax, expr.span, format!("`{stage}` expects names of columns"))
            .hint("`map` and `derive` compute")),
    }
}
