//! Map, reduce and combine as Rust or as commands: functions of rows, or of lists of many rows, between existing ops.

use std::sync::Arc;

use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::lang::{self, Code, StageCode, Word};
use crate::plan::{AggFunc, Builder, Elsewhere, Expr, Function, Link, Named, Node, Op, SortKey};

use super::super::agg;
/// A command gets so many rows, or keys with all their values, at a time: the same ones on every engine.
const CHUNK: i64 = 16_384;

/// The code that stands in the place of an argument.
pub fn of<'s>(stage: &'s lang::Stage, part: &str) -> Option<&'s StageCode> {
    stage.code.iter().find(|written| written.part.text == part)
}

/// What it is, in words.
pub fn what(written: &StageCode) -> &'static str {
    match written.code {
        Code::Rust(_) => "Rust",
        Code::Command(_) => "a command",
    }
}

/// Pairs, as code gives them: texts.
fn pairs_type() -> Type {
    Type::list(Type::list(Type::Text))
}

/// Adds the ops that make the pairs of each row, or of each chunk of rows.
pub fn map(builder: &mut Builder, stage: &lang::Stage, written: &StageCode, names: &[String; 2]) -> Fallible<()> {
    let span = written.part.span;
    let columns: Vec<usize> = (0..builder.schema().columns.len()).collect();
    let arguments = match written.code {
        Code::Rust(_) => columns.iter().map(|column| closed(builder, *column, span)).collect(),
        Code::Command(_) => chunks(builder, &columns, span)?,
    };
    let types = [said_type(stage, &names[0]).unwrap_or(Type::Text), said_type(stage, &names[1]).unwrap_or(Type::Text)];
    given(builder, written, arguments, stage, names, &types)
}

/// Adds the ops that make fewer pairs of those that there are.
pub fn combine(builder: &mut Builder, stage: &lang::Stage, written: &StageCode, names: &[String; 2]) -> Fallible<()> {
    match written.code {
        Code::Rust(_) => one_value(builder, written, names),
        Code::Command(_) => {
            let types = [0, 1].map(|column| builder.schema().columns[column].ty.closed());
            let arguments = chunks(builder, &[0, 1], written.part.span)?;
            given(builder, written, arguments, stage, names, &types)
        }
    }
}

/// Adds the ops that make one value of those of each key in each chunk of rows, by an expression over the two names.
pub fn combine_by_key(
    builder: &mut Builder,
    written: &lang::Expr,
    ty: &Type,
    names: &[String; 2],
    span: Span,
) -> Fallible<()> {
    let chunk = chunk(builder, span)?;
    let list = agg::gathered(&names[1], AggFunc::Collect, closed(builder, 1, span), Type::list(ty.clone()));
    let key = |builder: &Builder| Named { name: names[0].clone(), expr: builder.column_expr(0, span) };
    let keys = vec![key(builder), chunk];
    builder.push(Op::Aggregate { keys, aggs: vec![list] }, span)?;
    let values = Named { name: names[1].clone(), expr: builder.column_expr(2, span) };
    builder.push(Op::Project(vec![key(builder), values]), span)?;
    let value = builder.expr(written)?;
    if ty.meet(&value.ty).as_ref() != Some(ty) {
        let message = format!("`combine` must make one {ty} of several, got {}", value.ty);
        return Err(Diagnostic::at(Kind::Type, written.span, message));
    }
    let value = Named { name: names[1].clone(), expr: value.widened(ty) };
    builder.push(Op::Project(vec![key(builder), value]), span)
}

/// Adds the ops that make one value, or the pairs of a command, of all values of each key.
pub fn reduce(builder: &mut Builder, stage: &lang::Stage, written: &StageCode, names: &[String; 2]) -> Fallible<()> {
    let span = written.part.span;
    if let Code::Rust(_) = written.code {
        return one_value(builder, written, names);
    }
    let found = [0, 1].map(|column| builder.schema().columns[column].ty.closed());
    collected(builder, names, span)?;
    let key = SortKey { expr: builder.column_expr(0, span), descending: false };
    builder.push(Op::Sort { keys: vec![key], limit: None }, span)?;
    let arguments = chunks(builder, &[0, 1], span)?;
    let types = [said_type(stage, &names[0]), said_type(stage, &names[1])];
    let [key, value] = types;
    let types = [key.unwrap_or(found[0].clone()), value.unwrap_or(found[1].clone())];
    given(builder, written, arguments, stage, names, &types)
}

/// Checks the types that are said of pairs that expressions make; ints are taken for floats.
pub fn check_types(builder: &mut Builder, stage: &lang::Stage, names: &[String; 2]) -> Fallible<()> {
    if stage.types.is_empty() {
        return Ok(());
    }
    let mut columns = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let expr = closed(builder, at, stage.span);
        let said = stage.types.iter().find(|(word, _)| word.text == *name);
        let expr = match said {
            Some((word, ty)) if ty.meet(&expr.ty).as_ref() != Some(ty) => {
                let message = format!("`{name}` is {}, not {ty}", expr.ty);
                return Err(Diagnostic::at(Kind::Type, word.span, message)
                    .hint("leave the type out: it is needed after Rust and commands alone"));
            }
            Some((_, ty)) => expr.widened(ty),
            None => expr,
        };
        columns.push(Named { name: name.clone(), expr });
    }
    builder.push(Op::Project(columns), stage.span)
}

fn said_type(stage: &lang::Stage, name: &str) -> Option<Type> {
    stage.types.iter().find(|(word, _)| word.text == name).map(|(_, ty)| ty.clone())
}

fn closed(builder: &Builder, column: usize, span: Span) -> Expr {
    let expr = builder.column_expr(column, span);
    let ty = expr.ty.closed();
    expr.widened(&ty)
}

/// Adds the op that numbers the rows; the chunk of each.
fn chunk(builder: &mut Builder, span: Span) -> Fallible<Named> {
    let all = builder.schema().columns.len();
    builder.push(Op::Number, span)?;
    let number = builder.column_expr(all, span);
    let link =
        Link { operator: lang::Operator::FloorDivide, operand: Expr::constant(Value::Int(CHUNK), Type::Int), span };
    let chunk = Expr::new(Node::Chain(Box::new(number), vec![link]), Type::Int, span);
    Ok(Named { name: "chunk".to_string(), expr: chunk })
}

/// Adds the ops that make one row of each chunk of rows: the columns as lists.
fn chunks(builder: &mut Builder, columns: &[usize], span: Span) -> Fallible<Vec<Expr>> {
    let chunk = chunk(builder, span)?;
    let lists = columns.iter().map(|column| {
        let expr = closed(builder, *column, span);
        let ty = Type::list(expr.ty.clone());
        agg::gathered(&format!("column {column}"), AggFunc::Collect, expr, ty)
    });
    let lists = lists.collect();
    let keys = vec![chunk];
    // In whichever order the rows come: code must not depend on it.
    builder.push(Op::Aggregate { keys, aggs: lists }, span)?;
    Ok((0..columns.len()).map(|at| builder.column_expr(at + 1, span)).collect())
}

/// Adds the op that gives each key the list of its values.
fn collected(builder: &mut Builder, names: &[String; 2], span: Span) -> Fallible<()> {
    let values = closed(builder, 1, span);
    let ty = Type::list(values.ty.clone());
    let list = agg::gathered(&names[1], AggFunc::Collect, values, ty);
    let key = Named { name: names[0].clone(), expr: builder.column_expr(0, span) };
    builder.push(Op::Aggregate { keys: vec![key], aggs: vec![list] }, span)
}

/// Adds the ops that make one value of all values of a key with a closure of two. Null is no value.
fn one_value(builder: &mut Builder, written: &StageCode, names: &[String; 2]) -> Fallible<()> {
    let span = written.part.span;
    let value = builder.schema().columns[1].ty.closed();
    collected(builder, names, span)?;
    let list = builder.column_expr(1, span);
    let code = builder.scope.stage_code(written, &[Type::list(value.clone())], &value)?;
    let one = call(builder, &code, &written.part, vec![list]);
    let key = Named { name: names[0].clone(), expr: builder.column_expr(0, span) };
    builder.push(Op::Project(vec![key, Named { name: names[1].clone(), expr: one }]), span)
}

/// Adds the ops that call code and make columns of the pairs that it gives.
fn given(
    builder: &mut Builder,
    written: &StageCode,
    arguments: Vec<Expr>,
    stage: &lang::Stage,
    names: &[String; 2],
    types: &[Type; 2],
) -> Fallible<()> {
    let span = written.part.span;
    let takes: Vec<Type> = arguments.iter().map(|argument| argument.ty.clone()).collect();
    let code = builder.scope.stage_code(written, &takes, &pairs_type())?;
    let pairs = call(builder, &code, &written.part, arguments);
    builder.push(Op::Explode(vec![Named { name: "pair".to_string(), expr: pairs }]), span)?;
    let mut columns = Vec::new();
    for (at, (name, ty)) in names.iter().zip(types).enumerate() {
        let said = stage.types.iter().find(|(word, _)| word.text == *name).map_or(span, |(word, _)| word.span);
        let expr = builder.expr(&read_as(ty, at as i64, said)?)?;
        columns.push(Named { name: name.clone(), expr });
    }
    builder.push(Op::Project(columns), span)
}

/// An element of the pair, as a value of its type.
fn read_as(ty: &Type, at: i64, span: Span) -> Fallible<lang::Expr> {
    let expr = |node| lang::Expr { node, span };
    let element =
        lang::Node::Index(Box::new(expr(lang::Node::Name("pair".to_string()))), Box::new(expr(lang::Node::Int(at))));
    let element = expr(element);
    let function = match ty {
        Type::Text | Type::Open | Type::Never => return Ok(element),
        Type::Int => "int",
        Type::Float => "float",
        Type::Bool => {
            let text = expr(lang::Node::Text("true".to_string()));
            let node = lang::Node::Compare(Box::new(element), lang::Comparison::Equal, span, Box::new(text));
            return Ok(expr(node));
        }
        Type::List(_) => {
            return Err(Diagnostic::at(Kind::Type, span, "Rust and commands give pairs of int, float, bool and text")
                .hint("give the list as one text, and split it in a later stage"));
        }
    };
    Ok(expr(lang::Node::Call(Word { text: function.to_string(), span }, vec![element])))
}

/// A call of code as an expression.
fn call(builder: &mut Builder, code: &Arc<Elsewhere>, part: &Word, arguments: Vec<Expr>) -> Expr {
    let parameters: Vec<(String, Type)> =
        code.takes.iter().enumerate().map(|(at, ty)| (format!("timelab_{at}"), ty.clone())).collect();
    let passed = parameters.iter().enumerate();
    let passed = passed.map(|(at, (_, ty))| Expr::new(Node::Parameter(at), ty.clone(), part.span)).collect();
    let result = code.gives.clone();
    let body = Expr::new(Node::ExternalFunction(code.code.clone(), passed), result.clone(), part.span);
    let name = format!("{}_code", part.text);
    builder.plan.functions.push(Function { name, parameters, result: result.clone(), body });
    let index = builder.plan.functions.len() - 1;
    Expr::new(Node::Apply(index, arguments), result, part.span)
}
