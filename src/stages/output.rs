//! Stages that end a cell: what becomes of the table.

use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::files;
use crate::lang::{self, ArgumentSyntax, Expr, Node, Privileges, StageSyntax};
use crate::plan::{BoundOp, Builder, CsvOptions, Format, Plan, Write};

use super::Stage;

pub static TEE: Stage = Stage {
    syntax: StageSyntax {
        name: "tee",
        usage: "tee name: (stages), name: (stages)",
        shape: ArgumentSyntax::Tee,
        options: &[],
    },
    about: "computes several named results of one input, which is read once and held in memory; each may end with \
            `write`; later cells use `_3.name`",
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
        if let Some(here) = target(&plan) {
            let others: Vec<PathBuf> = branches.iter().filter_map(|(_, other)| target(other)).collect();
            if others.contains(&here) {
                return Err(Diagnostic::at(Kind::File, name.span, "two branches write the same file"));
            }
            if others.iter().any(|other| other.starts_with(&here) || here.starts_with(other)) {
                let message = "one branch writes into the folder of another";
                return Err(Diagnostic::at(Kind::File, name.span, message).hint("name another folder"));
            }
        }
        branches.push((name.text.clone(), plan));
    }
    builder.tee(branches, stage.span)
}

pub static WRITE: Stage = Stage {
    syntax: StageSyntax {
        name: "write",
        usage: "write \"path\" [parts n] [as csv|json|parquet|arrow|text]",
        shape: ArgumentSyntax::Write,
        options: &["parts"],
    },
    about: "writes the whole table to a file, or nothing; `parts n`: a folder of n files; returns path, rows, bytes",
    examples: &[(
        "1..4 | write \"/tmp/timelab-example.csv\" | on rows",
        "path,rows,bytes\n/tmp/timelab-example.csv,3,9\n",
    )],
    privileges: |stage| {
        let path = stage.args.first().map(|arg| &arg.expr.node);
        // What is not a plain path is not known.
        // A link with a slash behind it is what it points to.
        let leads_outside = |path: &str| {
            files::leads_outside(path) || files::leads_outside(&files::trimmed(Path::new(path)).to_string_lossy())
        };
        let is_known = matches!(path, Some(Node::Text(path)) if !leads_outside(path));
        Privileges::WRITES_ELSEWHERE.only_if(!is_known)
    },
    bind: write,
};

fn write(builder: &mut Builder, stage: &lang::Stage, _: Vec<Plan>) -> Fallible<()> {
    let path = &stage.args[0].expr;
    let Node::Text(shown) = &path.node else { unreachable!("the parser saw a text") };
    let parts = match &stage.options[..] {
        [] => None,
        [(_, count)] => Some(parts(builder, count)?),
        [.., (word, _)] => return Err(Diagnostic::at(Kind::Syntax, word.span, "option `parts` is given twice")),
    };
    let format = match (parts, &stage.kind) {
        // A folder's name says nothing of the files in it.
        (Some(_), None) => Format::Csv(CsvOptions::separated(None)),
        _ => files::format(shown, stage.kind.as_ref())?,
    };
    let packed = parts.is_none() && files::extension(&PathBuf::from(shown)).1.is_some();
    if packed && matches!(format, Format::Parquet | Format::Arrow) {
        let message = format!("{} files are already compressed inside", format.name());
        return Err(Diagnostic::at(Kind::File, path.span, message).hint("remove `.gz` or `.zst`"));
    }
    if parts.is_none() && shown.ends_with('/') {
        return Err(Diagnostic::at(Kind::File, path.span, "this is the path of a folder")
            .hint(format!("to write a folder of 8 files: write \"{shown}\" parts 8")));
    }
    if shown.is_empty() || shown == "-" {
        return Err(Diagnostic::at(Kind::File, path.span, "`write` needs the path of a file")
            .hint("results go to standard output by themselves: --format csv"));
    }
    files::fits(&format, builder.schema()).map_err(|what| Diagnostic::at(Kind::Type, stage.span, what))?;
    builder.write(Write { path: files::expanded(shown), shown: shown.clone(), format, parts }, stage.span)
}

/// The number of files in a folder.
fn parts(builder: &mut Builder, value: &Expr) -> Fallible<u32> {
    const MOST: u64 = 10_000;
    let count = builder.count(value, "the number of parts")?;
    match count {
        1..=MOST => Ok(count as u32),
        _ => Err(Diagnostic::at(Kind::Type, value.span, format!("a folder has 1 to 10000 parts, got {count}"))),
    }
}
