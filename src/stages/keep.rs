//! Stages that keep or show what passes.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::diagnostic::Fallible;
use crate::lang::{self, ArgumentSyntax, Node, StageSyntax};
use crate::plan::{Builder, Op, Plan, Storage};

use super::Stage;

pub static PERSIST: Stage = Stage {
    syntax: StageSyntax {
        name: "persist",
        usage: "persist [compressed] [disk]",
        shape: ArgumentSyntax::Words(&["compressed", "disk"]),
        options: &[],
    },
    about: "computes the pipeline up to here once, on first use, and keeps the table; `%who` shows its bytes",
    examples: &[("1..4 | persist | sum", "sum\n6\n"), ("1..4 | persist compressed disk | sum", "sum\n6\n")],
    privileges: lang::Privileges::none,
    bind: |builder, stage, _| {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let has = |word: &str| stage.args.iter().any(|arg| arg.expr.has_name(word));
        let storage = Storage { compressed: has("compressed"), on_disk: has("disk") };
        builder.persist(NEXT.fetch_add(1, Ordering::Relaxed), storage, stage.span)
    },
};

pub static PEEK: Stage = Stage {
    syntax: StageSyntax { name: "peek", usage: "peek [n] [\"label\"]", shape: ArgumentSyntax::Peek, options: &[] },
    about: "shows the first n rows that pass (10 unless specified), on standard error",
    examples: &[(r#"1..4 | peek 2 "in: " | sum"#, "sum\n6\n")],
    privileges: lang::Privileges::none,
    bind: peek,
};

fn peek(builder: &mut Builder, stage: &lang::Stage, _: Vec<Plan>) -> Fallible<()> {
    let (mut count, mut label) = (10, String::new());
    for arg in &stage.args {
        match &arg.expr.node {
            Node::Text(text) => label = format!("{text} "),
            _ => count = builder.count(&arg.expr, "the number of rows")?,
        }
    }
    builder.push(Op::Peek { count, label }, stage.span)
}
