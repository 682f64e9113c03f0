//! Plans in words, for `%explain`.

use crate::data::Schema;
use crate::lang::Operator;

use super::{Expr, Iterated, JoinKind, Named, Node, Op, Prepared, Rounds, Source};

/// An expression over columns of `schema`, as it might be typed.
pub fn expr_text(expr: &Expr, schema: &Schema, plan: &Prepared) -> String {
    text(expr, schema, plan, 0)
}

/// What binds how strongly: an inner expression that binds weaker stands in brackets.
fn text(expr: &Expr, schema: &Schema, plan: &Prepared, outer: u8) -> String {
    let list = |items: &[Expr]| items.iter().map(|item| text(item, schema, plan, 0)).collect::<Vec<_>>().join(", ");
    let joined = |items: &[Expr], word: &str, strength: u8| {
        let items: Vec<String> = items.iter().map(|item| text(item, schema, plan, strength + 1)).collect();
        (items.join(word), strength)
    };
    let (said, strength) = match &expr.node {
        Node::Const(value) => (value.to_string(), 9),
        Node::Column(index) => (column_name(schema, *index), 9),
        Node::Parameter(index) => (format!("parameter {index}"), 9),
        Node::Acc => ("acc".to_string(), 9),
        Node::ScalarSubquery(_) => ("(one value)".to_string(), 9),
        Node::List(items) => (format!("[{}]", list(items)), 9),
        Node::Chain(first, links) => {
            let strength =
                |operator: Operator| if matches!(operator, Operator::Add | Operator::Subtract) { 5 } else { 6 };
            let mut said = text(first, schema, plan, strength(links[0].operator));
            let mut so_far = strength(links[0].operator);
            for link in links {
                let this = strength(link.operator);
                if this > so_far {
                    said = format!("({said})");
                }
                said = format!("{said} {} {}", link.operator.sign(), text(&link.operand, schema, plan, this + 1));
                so_far = this;
            }
            (said, so_far)
        }
        Node::Compare(a, sign, b) => {
            (format!("{} {} {}", text(a, schema, plan, 5), sign.sign(), text(b, schema, plan, 5)), 4)
        }
        Node::In(a, b) => (format!("{} in {}", text(a, schema, plan, 5), text(b, schema, plan, 5)), 4),
        Node::And(items) => joined(items, " and ", 2),
        Node::Or(items) => joined(items, " or ", 1),
        Node::Not(a) => (format!("not {}", text(a, schema, plan, 3)), 3),
        Node::Negate(a) => (format!("-{}", text(a, schema, plan, 7)), 7),
        Node::If(arms, otherwise) => {
            let arms: Vec<String> = arms
                .iter()
                .map(|(test, then)| {
                    format!("if {} then {} else ", text(test, schema, plan, 0), text(then, schema, plan, 0))
                })
                .collect();
            (format!("{}{}", arms.concat(), text(otherwise, schema, plan, 0)), 0)
        }
        Node::Index(a, b) => (format!("{}[{}]", text(a, schema, plan, 8), text(b, schema, plan, 0)), 8),
        Node::Call(func, args) => (format!("{}({})", func.name(), list(args)), 9),
        Node::Apply(index, args) => (format!("{}({})", plan.functions[*index].name, list(args)), 9),
        Node::ExternalFunction(_, args) => (format!("rust({})", list(args)), 9),
        Node::Widen(a) => (text(a, schema, plan, outer), 9),
    };
    if strength < outer { format!("({said})") } else { said }
}

fn column_name(schema: &Schema, index: usize) -> String {
    schema.columns.get(index).map_or(format!("column {index}"), |column| column.name.clone())
}

/// An op in one line; `input` is what flows in.
pub fn op_text(op: &Op, input: &Schema, plan: &Prepared) -> String {
    let expr = |expr: &Expr| expr_text(expr, input, plan);
    let named = |named: &[Named]| {
        let each = named.iter().map(|named| {
            let said = expr(&named.expr);
            if said == named.name { said } else { format!("{} = {said}", named.name) }
        });
        each.collect::<Vec<_>>().join(", ")
    };
    match op {
        Op::Project(columns) => format!("project {}", named(columns)),
        Op::Filter(condition) => format!("filter {}", expr(condition)),
        Op::Explode(columns) => match &columns[..] {
            [list] => format!("explode {}", expr(&list.expr)),
            several => format!("explode {}", named(several)),
        },
        Op::Slice { offset: 0, length: Some(length) } => format!("slice, the first {length}"),
        Op::Slice { offset, length: None } => format!("slice, without the first {offset}"),
        Op::Slice { offset, length: Some(length) } => format!("slice, {length} after the first {offset}"),
        Op::Sort { keys, limit } => {
            let keys =
                keys.iter().map(|key| format!("{}{}", expr(&key.expr), if key.descending { " desc" } else { "" }));
            let limit = limit.map_or(String::new(), |limit| format!(", the first {limit}"));
            format!("sort by {}{limit}", keys.collect::<Vec<_>>().join(", "))
        }
        Op::Reverse => "reverse".to_string(),
        Op::Number => "number".to_string(),
        Op::Distinct(None) => "distinct".to_string(),
        Op::Distinct(Some(by)) => format!("distinct by {}", by.iter().map(expr).collect::<Vec<_>>().join(", ")),
        Op::Aggregate { keys, aggs } => {
            let aggs = aggs.iter().map(|agg| {
                let arg = agg.arg.as_ref().map_or(String::new(), expr);
                format!("{} = {}({arg})", agg.name, agg.func.name())
            });
            let by = if keys.is_empty() { String::new() } else { format!(" by {}", named(keys)) };
            format!("aggregate {}{by}", aggs.collect::<Vec<_>>().join(", "))
        }
        Op::Fold { start, step, each } => {
            format!("{} from {start}: {}", if *each { "scan" } else { "fold" }, expr(&step.expr))
        }
        Op::Join { kind, right, on, .. } => {
            let kind = match kind {
                JoinKind::Inner => "inner",
                JoinKind::Left => "left",
                JoinKind::Semi => "semi",
                JoinKind::Anti => "anti",
            };
            let on = on.iter().map(|(a, b)| format!("{} == {}", expr(a), expr_text(b, right.schema(), right)));
            format!("{kind} join on {}, with ({})", on.collect::<Vec<_>>().join(", "), plan_text(right))
        }
        Op::Concat(plans) => format!("concat {}", bracketed(plans)),
        Op::Zip(plans) => format!("zip {}", bracketed(plans)),
        Op::Pairs => "pairs".to_string(),
        Op::Sample { count, seed } => format!("sample {count} seed {seed}"),
        Op::Peek { count, .. } => format!("peek {count}"),
        Op::Tally(counters) => format!("count {}", named(counters)),
    }
}

fn bracketed(plans: &[Prepared]) -> String {
    plans.iter().map(|plan| format!("({})", plan_text(plan))).collect::<Vec<_>>().join(", ")
}

/// A whole plan in one line.
fn plan_text(plan: &Prepared) -> String {
    let steps = plan.steps().map(|(step, input)| op_text(&step.op, input, plan));
    std::iter::once(source_text(&plan.source.op)).chain(steps).collect::<Vec<_>>().join(" | ")
}

/// A source in one line.
pub fn source_text(source: &Source) -> String {
    match source {
        Source::Range { start, end: Some(end) } => format!("range {start}..{end}"),
        Source::Range { start, end: None } => format!("range {start}.. without an end"),
        Source::Values(values) => format!("{} values", values.len()),
        Source::Read(read) => {
            let names: Vec<&str> = read.wanted.iter().map(|i| read.fields[*i].name.as_str()).collect();
            let files = if read.files.len() == 1 { String::new() } else { format!(", {} files", read.files.len()) };
            format!("read {:?}{files}, columns {}", read.shown, names.join(", "))
        }
        Source::Generated { what, count, seed } => format!("{} {count} seed {seed}", what.name),
        Source::Kept(kept) => format!("a kept table of {} rows", kept.table().height()),
        Source::Iterated(iterated) => {
            format!("{} | {}", plan_text(&iterated.input), in_rounds(iterated))
        }
    }
}

/// A block that is run in rounds, in one line.
fn in_rounds(iterated: &Iterated) -> String {
    format!("{} {{ {} }}", rounds_text(iterated), block_text(&iterated.rounds.block))
}

/// The steps of a block. Where it begins with rounds of its own, these come after the steps before them.
fn block_text(block: &Prepared) -> String {
    let before = match &block.source.op {
        Source::Iterated(inner) => vec![block_text(&inner.input), in_rounds(inner)],
        _ => Vec::new(),
    };
    let steps = block.steps().map(|(step, input)| op_text(&step.op, input, block));
    before.into_iter().filter(|text| !text.is_empty()).chain(steps).collect::<Vec<_>>().join(" | ")
}

/// The head of a block that is run in rounds.
pub fn rounds_text(iterated: &Iterated) -> String {
    let Rounds { until, most, .. } = &iterated.rounds;
    match until.as_ref().and_then(|until| Some((until, &until.steps.first()?.op))) {
        Some((until, Op::Filter(Expr { node: Node::If(arms, _), .. }))) => {
            let condition = arms.first().map_or(String::new(), |(done, _)| expr_text(done, until.input(0), until));
            format!("iterate until {condition}, {most} rounds at most,")
        }
        _ => format!("iterate {most}"),
    }
}
