use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, ArgumentSyntax, StageSyntax};
use crate::plan::{AggFunc, Binding, Builder, JoinKind, Node, Op, Plan};

use super::flat_map::only_text;
use super::{Stage, agg};

pub static JOIN: Stage = Stage {
    syntax: StageSyntax {
        name: "join",
        usage: "join [left|semi|anti] NAME or (pipeline) on key, … — or: join \"text\"",
        shape: ArgumentSyntax::Join,
        options: &[],
    },
    about: "combines rows with equal keys from two tables; with a text: joins the texts of all rows",
    examples: &[
        ("1..4 | join (2..6 | map it, square = it * it) on it | sort by it", "it,square\n2,4\n3,9\n"),
        ("1..3 | join left (2..6 | map n = it, square = it * it) on it == n | sort by it", "it,square\n1,\n2,4\n"),
        ("1..4 | join anti (2..3) on it | sort by it", "it\n1\n3\n"),
        ("1..4 | join semi (2..3) on it", "it\n2\n"),
        (r#"["a", "b", "c"] | join "-""#, "it\na-b-c\n"),
    ],
    privileges: lang::Privileges::none,
    bind,
};

fn bind(builder: &mut Builder, stage: &lang::Stage, tables: Vec<Plan>) -> Fallible<()> {
    match tables.into_iter().next() {
        None => glue(builder, stage),
        Some(right) => join(builder, stage, right),
    }
}

fn glue(builder: &mut Builder, stage: &lang::Stage) -> Fallible<()> {
    let between = separator(builder, &stage.args[0].expr)?;
    let index = only_text(builder, stage.span, "join")?;
    let name = builder.schema().columns[index].name.clone();
    let arg = builder.column_expr(index, stage.span).widened(&Type::Text);
    let glue = agg::gathered(&name, AggFunc::JoinText(between), arg, Type::Text);
    builder.aggregate(Vec::new(), vec![glue], stage.span)
}

/// A text, or a name of the session that stands for one.
fn separator(builder: &Builder, expr: &lang::Expr) -> Fallible<String> {
    match &expr.node {
        lang::Node::Text(text) => return Ok(text.to_string()),
        lang::Node::Name(name) => {
            if let Some(Binding::Value(Value::Text(text), _, measured)) = builder.scope.name(name) {
                if measured {
                    builder.scope.reads_measured();
                }
                return Ok(text.to_string());
            }
        }
        _ => {}
    }
    let message = "`join` needs a separator text, or a table, `on` and a key";
    Err(Diagnostic::at(Kind::Syntax, expr.span, message).hint("join \", \", or join NAME on key"))
}

fn join(builder: &mut Builder, stage: &lang::Stage, right: Plan) -> Fallible<()> {
    let kind = match stage.kind.as_ref().map(|kind| kind.text.as_str()) {
        None | Some("inner") => JoinKind::Inner,
        Some("left") => JoinKind::Left,
        Some("semi") => JoinKind::Semi,
        Some(_) => JoinKind::Anti,
    };
    let mut right_builder = Builder::from_plan(builder.scope, right);
    let mut on = Vec::new();
    for (left_key, right_key) in &stage.on {
        let left = builder.expr(left_key)?;
        let right = right_builder.expr(right_key).map_err(|error| {
            let side = format!("{} (in the joined table)", error.message);
            Box::new(Diagnostic { message: side, ..*error })
        })?;
        let met = left.ty.meet(&right.ty);
        let mixed = left.ty.is_number() && left.ty != right.ty;
        let ty = match met {
            Some(ty) if !mixed => ty,
            _ => {
                let message = format!("keys must have the same type, got {} and {}", left.ty, right.ty);
                let span = left_key.span.to(right_key.span);
                return Err(Diagnostic::at(Kind::Type, span, message).hint("int(x), float(x) and text(x) convert"));
            }
        };
        on.push((left.widened(&ty), right.widened(&ty)));
    }
    let right = right_builder.plan;
    builder.warnings.append(&mut right_builder.warnings);
    let is_key = |index: usize| on.iter().any(|(_, key)| key.node == Node::Column(index));
    let right_columns = match kind {
        JoinKind::Semi | JoinKind::Anti => Vec::new(),
        JoinKind::Inner | JoinKind::Left => (0..right.schema().columns.len()).filter(|index| !is_key(*index)).collect(),
    };
    builder.push(Op::Join { kind, right: Box::new(right), on, right_columns }, stage.span)
}
