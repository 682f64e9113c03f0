//! Stages that make several rows of one.

use crate::data::Type;
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::functions::Func;
use crate::lang::{self, ArgumentSyntax, By, StageSyntax};
use crate::plan::{Builder, Expr, Named, Node, Op, Plan};

use super::Stage;

pub static FLAT_MAP: Stage = Stage {
    syntax: StageSyntax {
        name: "flat_map",
        usage: "flat_map [name =] e",
        shape: ArgumentSyntax::Args { least: 1, most: 1, named: true, directed: false, by: By::No },
        options: &[],
    },
    about: "makes one row per element of a list, and drops the other columns",
    examples: &[
        ("[[1, 2], [], null, [3]] | flat_map it", "it\n1\n2\n3\n"),
        (r#"["a-b", "c"] | flat_map part = split(it, "-")"#, "part\na\nb\nc\n"),
    ],
    privileges: lang::Privileges::none,
    bind: flat_map,
};

fn flat_map(builder: &mut Builder, stage: &lang::Stage, _: Vec<Plan>) -> Fallible<()> {
    let list = builder.named(&stage.args[0])?;
    match list.expr.ty {
        Type::List(_) => builder.push(Op::Explode(vec![list]), stage.span),
        Type::Open => {
            let expr = list.expr.widened(&Type::list(Type::Open));
            builder.push(Op::Explode(vec![Named { expr, ..list }]), stage.span)
        }
        Type::Int | Type::Float | Type::Bool | Type::Text | Type::Never => {
            let message = format!("`flat_map` needs a list, got {}", list.expr.ty);
            let error = Diagnostic::at(Kind::Type, list.expr.span, message);
            Err(if list.expr.ty == Type::Text {
                error.hint("words(x), chars(x) and split(x, \",\") return lists")
            } else {
                error
            })
        }
    }
}

const NONE: ArgumentSyntax = ArgumentSyntax::Args { least: 0, most: 0, named: false, directed: false, by: By::No };

pub static WORDS: Stage = Stage {
    syntax: StageSyntax { name: "words", usage: "words", shape: NONE, options: &[] },
    about: "makes one row per word of the only text column; words are separated by white space",
    examples: &[(r#"["to be  or", ""] | words"#, "word\nto\nbe\nor\n")],
    privileges: lang::Privileges::none,
    bind: |builder, stage, _| parts(builder, stage.span, "words", Func::Words, "word"),
};

pub static CHARS: Stage = Stage {
    syntax: StageSyntax { name: "chars", usage: "chars", shape: NONE, options: &[] },
    about: "makes one row per character of the only text column",
    examples: &[(r#"["née"] | chars"#, "char\nn\né\ne\n")],
    privileges: lang::Privileges::none,
    bind: |builder, stage, _| parts(builder, stage.span, "chars", Func::Chars, "char"),
};

fn parts(builder: &mut Builder, span: Span, stage: &str, func: Func, name: &str) -> Fallible<()> {
    let index = only_text(builder, span, stage)?;
    let text = builder.column_expr(index, span).widened(&Type::Text);
    let expr = Expr::new(Node::Call(func, vec![text]), Type::list(Type::Text), span);
    builder.push(Op::Explode(vec![Named { name: name.to_string(), expr }]), span)
}

/// The only text column that flows here.
pub fn only_text(builder: &Builder, span: Span, stage: &str) -> Fallible<usize> {
    let columns = builder.schema().columns.iter().enumerate();
    let texts: Vec<usize> =
        columns.filter(|(_, column)| matches!(column.ty, Type::Text | Type::Open)).map(|(i, _)| i).collect();
    match texts[..] {
        [only] => Ok(only),
        [] => Err(Diagnostic::at(
            Kind::Type,
            span,
            format!("`{stage}` needs a text column, but the input has: {}", builder.schema()),
        )
        .hint("text(x) converts to text")),
        _ => Err(Diagnostic::at(
            Kind::Type,
            span,
            format!("`{stage}` needs one text column, but the input has: {}", builder.schema()),
        )
        .hint("choose one with `map`")),
    }
}
