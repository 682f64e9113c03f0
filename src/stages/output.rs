//! Stages that end a cell: what becomes of the table.

use std::path::PathBuf;

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::files;
use crate::lang::{self, ArgumentSyntax, Node, Privileges, StageSyntax};
use crate::plan::{BoundOp, Builder, Format, Plan, Write};

use super::Stage;

pub static TEE: Stage = Stage {
    syntax: StageSyntax {
        name: "tee",
        usage: "tee name: (stages), name: (stages)",
        shape: ArgumentSyntax::Tee,
        options: &[],
    },
    about: "computes several named results in one pass; each may end with `write`; later cells use `_3.name`",
    examples: &[("1..6 | tee total: (sum), big: (filter it > 3)", "total\nsum\n15\nbig\nit\n4\n5\n")],
    privileges: Privileges::none,
    bind: tee,
};

fn tee(builder: &mut Builder, stage: &lang::Stage, tables: Vec<Plan>) -> Fallible<()> {
    let mut branches: Vec<(String, Plan)> = Vec::new();
    for ((name, _), plan) in stage.branches.iter().zip(tables) {
        if branches.iter().any(|(other, _)| *other == name.text) {
            return Err(Diagnostic::at(Kind::Name, name.span, format!("two branches are called `{}`", name.text)));
        }
        if plan.steps.iter().any(|step| matches!(step.op, BoundOp::Tee(_))) {
            return Err(Diagnostic::at(Kind::Syntax, name.span, "a branch of a `tee` holds no other `tee`"));
        }
        let target = |plan: &Plan| match plan.steps.last().map(|step| &step.op) {
            Some(BoundOp::Write(write)) => Some(files::same_place(&write.path)),
            _ => None,
        };
        if target(&plan).is_some() && branches.iter().any(|(_, other)| target(other) == target(&plan)) {
            return Err(Diagnostic::at(Kind::File, name.span, "two branches write the same file"));
        }
        branches.push((name.text.clone(), plan));
    }
    builder.tee(branches, stage.span)
}

pub static WRITE: Stage = Stage {
    syntax: StageSyntax {
        name: "write",
        usage: "write \"path\" [as csv|json|parquet|arrow|text]",
        shape: ArgumentSyntax::Write,
        options: &[],
    },
    about: "writes the whole table to a file, or nothing; `.gz` and `.zst` compress it; returns path, rows, bytes",
    examples: &[(
        "1..4 | write \"/tmp/timelab-example.csv\" | on rows",
        "path,rows,bytes\n/tmp/timelab-example.csv,3,9\n",
    )],
    privileges: |stage| {
        let path = stage.args.first().map(|arg| &arg.expr.node);
        // What is not a plain path is not known.
        let is_known = matches!(path, Some(Node::Text(path)) if !files::leads_outside(path));
        Privileges::WRITES_ELSEWHERE.only_if(!is_known)
    },
    bind: write,
};

fn write(builder: &mut Builder, stage: &lang::Stage, _: Vec<Plan>) -> Fallible<()> {
    let path = &stage.args[0].expr;
    let Node::Text(shown) = &path.node else { unreachable!("the parser saw a text") };
    let format = files::format(shown, stage.kind.as_ref())?;
    let packed = files::extension(&PathBuf::from(shown)).1.is_some();
    if packed && matches!(format, Format::Parquet | Format::Arrow) {
        let message = format!("{} files are already compressed inside", format.name());
        return Err(Diagnostic::at(Kind::File, path.span, message).hint("remove `.gz` or `.zst`"));
    }
    if shown.is_empty() || shown == "-" {
        return Err(Diagnostic::at(Kind::File, path.span, "`write` needs the path of a file")
            .hint("results go to standard output by themselves: --format csv"));
    }
    files::fits(&format, builder.schema()).map_err(|what| Diagnostic::at(Kind::Type, stage.span, what))?;
    builder.write(Write { path: files::expanded(shown), shown: shown.clone(), format }, stage.span)
}
