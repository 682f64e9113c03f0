//! A prepared plan in the words of the drivers: nodes that name their inputs by number, typed expressions, functions in
//! the order of their calls. What cannot be said there is an objection, never something else.

use std::collections::HashMap;

use serde_json::{Value as Json, json};

use crate::data::{Schema, Table, Type, Value};
use crate::diagnostic::Span;
use crate::files;
use crate::functions::{Func, Shown, next_place};
use crate::lang::{Comparison, Operator};
use crate::plan::{Agg, AggFunc, Basis, Expr, Format, JoinKind, Named, Node, Op, Prepared, Read, SortKey, Source};

use super::pattern::{Dialect, in_common};

/// Why a plan cannot be said in other words, and which part of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Refusal {
    pub reason: &'static str,
    pub span: Span,
}

pub type Translated<T> = Result<T, Refusal>;

/// So many bytes of rows that are here go to an engine with a plan.
pub const MOST_SENT: usize = 64 << 20;
pub const TOO_LARGE: &str = "tables and generated rows are sent to the engine up to 64 MiB, and these are more";

pub const NOT_RUN: &str = "the rounds of this `iterate` were not run";

/// Readers of nested brackets have their limits.
const DEEPEST: usize = 40;

/// The plan, with the rows that it starts from.
///
/// # Errors
/// An objection.
pub fn translate(plan: &Prepared) -> Translated<Json> {
    Translator { nodes: Vec::new(), sent: 0, with_rows: true }.whole(plan)
}

/// Why a plan cannot be translated, where it cannot.
pub fn objection(plan: &Prepared) -> Option<Refusal> {
    Translator { nodes: Vec::new(), sent: 0, with_rows: false }.whole(plan).err()
}

struct Translator {
    nodes: Vec<Json>,
    /// Bytes of rows so far.
    sent: usize,
    /// Otherwise it is only found out whether there is an objection.
    with_rows: bool,
}

impl Translator {
    fn whole(mut self, plan: &Prepared) -> Translated<Json> {
        let mut functions = Functions::default();
        let out = self.plan(plan, &mut functions)?;
        let schema: Vec<Json> =
            plan.schema().columns.iter().map(|column| json!([column.name, type_json(&column.ty)])).collect();
        Ok(json!({ "schema": schema, "functions": functions.made, "out": out, "nodes": self.nodes }))
    }

    fn add(&mut self, node: Json) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// The number of the node that gives the rows of a plan.
    fn plan(&mut self, plan: &Prepared, functions: &mut Functions) -> Translated<usize> {
        let mut places = Places { plan, functions, numbers: HashMap::new(), open: Vec::new() };
        let mut at = self.source(&plan.source.op, &plan.source.schema, plan.source.span)?;
        for (step, _) in plan.steps() {
            let refuse = |reason| Refusal { reason, span: step.span };
            let node = match &step.op {
                Op::Project(named) => json!({ "op": "project", "cols": places.named(named)? }),
                Op::Filter(condition) => json!({ "op": "filter", "pred": places.expr(condition, 0)? }),
                Op::Explode(named) => {
                    let lists: Vec<bool> = named.iter().map(|n| matches!(n.expr.ty, Type::List(_))).collect();
                    json!({ "op": "explode", "cols": places.named(named)?, "lists": lists })
                }
                Op::Slice { offset, length } => json!({ "op": "slice", "offset": offset, "length": length }),
                Op::Sort { keys, limit } => {
                    let keys: Vec<Json> = keys.iter().map(|key| places.sort_key(key)).collect::<Translated<_>>()?;
                    json!({ "op": "sort", "keys": keys, "limit": limit })
                }
                Op::Reverse => json!({ "op": "reverse" }),
                Op::Number => json!({ "op": "number" }),
                Op::Pairs => json!({ "op": "pairs" }),
                Op::Distinct(None) => {
                    let types: Vec<Json> = step.schema.columns.iter().map(|column| type_json(&column.ty)).collect();
                    json!({ "op": "distinct", "by": null, "types": types })
                }
                Op::Distinct(Some(by)) => {
                    json!({ "op": "distinct", "by": places.exprs(by)?, "types": types_of(by) })
                }
                Op::Aggregate { keys, aggs } => {
                    let types: Vec<Json> = keys.iter().map(|key| type_json(&key.expr.ty)).collect();
                    let aggs: Vec<Json> =
                        aggs.iter().map(|agg| places.aggregate(agg, step.span)).collect::<Translated<_>>()?;
                    json!({ "op": "aggregate", "keys": places.named(keys)?, "types": types, "aggs": aggs })
                }
                Op::Join { kind, right, on, right_columns } => {
                    let left: Vec<Json> = on.iter().map(|(left, _)| places.expr(left, 0)).collect::<Translated<_>>()?;
                    let right_plan = self.plan(right, places.functions)?;
                    let mut of_right = Places {
                        plan: right,
                        functions: &mut *places.functions,
                        numbers: HashMap::new(),
                        open: Vec::new(),
                    };
                    let right_on: Vec<Json> =
                        on.iter().map(|(_, right)| of_right.expr(right, 0)).collect::<Translated<_>>()?;
                    let types: Vec<Json> = on.iter().map(|(left, _)| type_json(&left.ty)).collect();
                    json!({
                        "op": "join", "with": [right_plan], "kind": join_name(*kind), "left_on": left,
                        "right_on": right_on, "types": types, "right_columns": right_columns,
                    })
                }
                Op::Concat(plans) => {
                    let with: Vec<usize> =
                        plans.iter().map(|plan| self.plan(plan, places.functions)).collect::<Translated<_>>()?;
                    json!({ "op": "concat", "with": with })
                }
                Op::Zip(plans) => {
                    let with: Vec<usize> =
                        plans.iter().map(|plan| self.plan(plan, places.functions)).collect::<Translated<_>>()?;
                    json!({ "op": "zip", "with": with })
                }
                Op::Fold { .. } => {
                    return Err(refuse("a fold is sequential: each row needs the result of the one before"));
                }
                Op::Sample { .. } => return Err(refuse("`sample` picks rows by a hash that is only here")),
                Op::Tally(_) => return Err(refuse("counters are counted in the process of the shell")),
                Op::Peek { .. } => return Err(refuse("`peek` shows rows here, and these pass elsewhere")),
            };
            let mut node = node;
            node["in"] = json!(at);
            at = self.add(node);
        }
        Ok(at)
    }

    /// Counts rows that go with the plan.
    fn send(&mut self, bytes: usize, span: Span) -> Translated<()> {
        self.sent = self.sent.saturating_add(bytes);
        if self.sent > MOST_SENT { Err(Refusal { reason: TOO_LARGE, span }) } else { Ok(()) }
    }

    fn source(&mut self, source: &Source, schema: &Schema, span: Span) -> Translated<usize> {
        let refuse = |reason| Err(Refusal { reason, span });
        let node = match source {
            Source::Range { end: None, .. } => {
                return refuse("a range without an end does not run on several machines");
            }
            Source::Range { start, end: Some(end) } => json!({ "op": "range", "start": start, "end": end }),
            Source::Values(values) => {
                self.send(values.iter().map(value_bytes).sum(), span)?;
                self.rows(schema, || vec![values.to_vec()])
            }
            Source::Generated { what, count, seed } => {
                const EACH: u64 = 24;
                self.send(usize::try_from(count.saturating_mul(EACH)).unwrap_or(usize::MAX), span)?;
                let make = || vec![(0..*count).map(|row| what.value.value(*seed, row)).collect()];
                self.rows(schema, make)
            }
            Source::Kept(kept) => {
                let table = kept.table();
                self.send(table.data_bytes(), span)?;
                if schema.columns.is_empty() {
                    return refuse("a table without columns cannot be sent");
                }
                self.rows(schema, || columns_of(table))
            }
            // The session runs the rounds first.
            Source::Iterated(_) if self.with_rows => return refuse(NOT_RUN),
            Source::Iterated(_) => self.rows(schema, Vec::new),
            Source::Read(read) => read_node(read, span)?,
        };
        Ok(self.add(node))
    }

    fn rows(&self, schema: &Schema, columns: impl FnOnce() -> Vec<Vec<Value>>) -> Json {
        let named: Vec<Json> = schema.columns.iter().map(|column| type_json(&column.ty)).collect();
        if !self.with_rows {
            return json!({ "op": "values", "types": named, "data": [] });
        }
        let data: Vec<Json> = columns().iter().map(|column| column.iter().map(value_json).collect()).collect();
        json!({ "op": "values", "types": named, "data": data })
    }
}

fn columns_of(table: &Table) -> Vec<Vec<Value>> {
    (0..table.schema().columns.len()).map(|column| table.values(column, 0, table.height())).collect()
}

/// About what a value takes as text.
pub fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len() + 3,
        Value::List(items) => 2 + items.iter().map(value_bytes).sum::<usize>(),
        Value::Null | Value::Int(_) | Value::Float(_) | Value::Bool(_) => 8,
    }
}

/// Files that an engine reads itself.
fn read_node(read: &Read, span: Span) -> Translated<Json> {
    let refuse = |reason| Err(Refusal { reason, span });
    let mut found = Vec::new();
    for file in &read.files {
        if files::is_standard_input(file) {
            return refuse("standard input is only in the process of the shell");
        }
        if files::packing(file).is_some() {
            return refuse("the engine reads files that are not compressed");
        }
        let absolute = std::path::absolute(&file.path).ok();
        let Some(path) = absolute.as_deref().and_then(|path| path.to_str()) else {
            return refuse("the path of a file is not UTF-8 text");
        };
        found.push(json!({ "path": path, "bytes": file.seen.0 }));
    }
    match &read.format {
        Format::Text { lossy } => {
            // There is one column. Where only the number of rows is wanted it stays all the same.
            Ok(json!({ "op": "text", "files": found, "lossy": lossy }))
        }
        Format::Csv(options) => {
            let field = |field: &crate::plan::Field| {
                let ty = match (&field.basis, &field.ty) {
                    (Basis::Unused, _) => json!("text"),
                    (_, Type::Open) => json!("open"),
                    (_, ty) => type_json(ty),
                };
                json!({ "name": field.name, "ty": ty, "stated": field.is_stated() })
            };
            let fields: Vec<Json> = read.fields.iter().map(field).collect();
            let byte = |byte: u8| char::from(byte).to_string();
            let options = json!({
                "separator": byte(options.separator), "header": options.header, "names": options.names,
                "nulls": options.nulls, "comment": options.comment.map(byte), "ragged": options.ragged,
                "lossy": options.lossy,
            });
            Ok(json!({
                "op": "csv", "files": found, "options": options, "fields": fields, "wanted": read.wanted,
            }))
        }
        Format::Json { .. } => refuse("json files are read here only: `persist` after `read` sends what they hold"),
        Format::Parquet | Format::Arrow => {
            refuse("parquet and arrow files are read here only: `persist` after `read` sends what they hold")
        }
    }
}

/// The functions of the user that are called, each after those that it calls.
#[derive(Default)]
struct Functions {
    made: Vec<Json>,
}

/// Expressions of one plan.
struct Places<'a, 'f> {
    plan: &'a Prepared,
    functions: &'f mut Functions,
    /// The numbers of its functions among those that were made.
    numbers: HashMap<usize, usize>,
    /// Those whose bodies are being written.
    open: Vec<usize>,
}

impl Places<'_, '_> {
    fn named(&mut self, named: &[Named]) -> Translated<Vec<Json>> {
        named.iter().map(|named| self.expr(&named.expr, 0)).collect()
    }

    fn exprs(&mut self, exprs: &[Expr]) -> Translated<Vec<Json>> {
        exprs.iter().map(|expr| self.expr(expr, 0)).collect()
    }

    fn sort_key(&mut self, key: &SortKey) -> Translated<Json> {
        Ok(json!([self.expr(&key.expr, 0)?, key.descending, type_json(&key.expr.ty)]))
    }

    fn aggregate(&mut self, agg: &Agg, span: Span) -> Translated<Json> {
        let (name, extra) = match &agg.func {
            AggFunc::Rows => ("Rows", Json::Null),
            AggFunc::Count => ("Count", Json::Null),
            AggFunc::Sum => ("Sum", Json::Null),
            AggFunc::Mean => ("Mean", Json::Null),
            AggFunc::Min => ("Min", Json::Null),
            AggFunc::Max => ("Max", Json::Null),
            AggFunc::Median => ("Median", Json::Null),
            AggFunc::Quantile(q) => ("Quantile", json!(q)),
            AggFunc::Std => ("Std", Json::Null),
            AggFunc::NumbersToFloat(function) if function.name == "iqr" => ("NumbersToFloat", Json::Null),
            AggFunc::NumbersToFloat(_) => return Err(Refusal { reason: "this aggregate is only here", span }),
            AggFunc::First => ("First", Json::Null),
            AggFunc::Last => ("Last", Json::Null),
            AggFunc::Distinct => ("Distinct", Json::Null),
            AggFunc::Collect => ("Collect", Json::Null),
            AggFunc::Reduce(step) => ("Reduce", self.expr(step, 0)?),
            AggFunc::JoinText(between) => ("JoinText", json!(between)),
        };
        let arg = agg.arg.as_ref().map(|arg| self.expr(arg, 0)).transpose()?;
        let ty = match agg.arg.as_ref().map(|arg| &arg.ty) {
            // What sums nothing but nulls sums ints.
            None | Some(Type::Open) => json!("int"),
            Some(ty) => type_json(ty),
        };
        Ok(json!({ "func": name, "arg": arg, "ty": ty, "extra": extra }))
    }

    fn expr(&mut self, expr: &Expr, depth: usize) -> Translated<Json> {
        let refuse = |reason| Refusal { reason, span: expr.span };
        if depth > DEEPEST {
            return Err(refuse("this expression is nested deeper than the engine reads it"));
        }
        let deeper = depth + 1;
        Ok(match &expr.node {
            Node::Const(value) => json!(["const", value_json(value), type_json(&expr.ty)]),
            Node::Column(index) => json!(["col", index]),
            Node::Parameter(index) => json!(["param", index]),
            Node::Acc => json!(["acc"]),
            Node::ScalarSubquery(_) => return Err(refuse("a value of another table is not known yet")),
            Node::List(items) => json!(["list", self.all(items, deeper)?]),
            Node::Chain(first, links) => {
                if links.len() > DEEPEST {
                    return Err(refuse("this chain of operators is longer than the engine reads it"));
                }
                let first = self.expr(first, deeper + links.len())?;
                let links: Vec<Json> = links
                    .iter()
                    .map(|link| Ok(json!([operator_sign(link.operator), self.expr(&link.operand, deeper)?])))
                    .collect::<Translated<_>>()?;
                json!(["chain", type_json(&expr.ty), first, links])
            }
            Node::Compare(left, comparison, right) => json!([
                "cmp",
                type_json(&left.ty),
                comparison_sign(*comparison),
                self.expr(left, deeper)?,
                self.expr(right, deeper)?
            ]),
            Node::In(item, list) => {
                json!(["in", type_json(&item.ty), self.expr(item, deeper)?, self.expr(list, deeper)?])
            }
            Node::And(items) => json!(["and", self.all(items, deeper)?]),
            Node::Or(items) => json!(["or", self.all(items, deeper)?]),
            Node::Not(inner) => json!(["not", self.expr(inner, deeper)?]),
            Node::Negate(inner) => json!(["neg", type_json(&expr.ty), self.expr(inner, deeper)?]),
            Node::If(arms, otherwise) => {
                if arms.len() > DEEPEST {
                    return Err(refuse("this chain of choices is longer than the engine reads it"));
                }
                let arms: Vec<Json> = arms
                    .iter()
                    .map(|(test, then)| Ok(json!([self.expr(test, deeper)?, self.expr(then, deeper)?])))
                    .collect::<Translated<_>>()?;
                json!(["if", arms, self.expr(otherwise, deeper)?])
            }
            Node::Index(list, index) => json!(["index", self.expr(list, deeper)?, self.expr(index, deeper)?]),
            Node::Widen(inner) => {
                json!(["widen", type_json(&inner.ty), type_json(&expr.ty), self.expr(inner, deeper)?])
            }
            Node::Call(func, args) => self.call(*func, args, expr.span, deeper)?,
            Node::Apply(index, args) => {
                let number = self.function(*index, expr.span)?;
                json!(["apply", number, self.all(args, deeper)?])
            }
            Node::ExternalFunction(..) => {
                return Err(refuse("a function in Rust is only in the process of the shell"));
            }
        })
    }

    fn all(&mut self, exprs: &[Expr], depth: usize) -> Translated<Vec<Json>> {
        exprs.iter().map(|expr| self.expr(expr, depth)).collect()
    }

    /// The number of a function of the user.
    fn function(&mut self, index: usize, span: Span) -> Translated<usize> {
        if let Some(number) = self.numbers.get(&index) {
            return Ok(*number);
        }
        if self.open.contains(&index) {
            return Err(Refusal { reason: "a function that calls itself runs here only", span });
        }
        self.open.push(index);
        let function = self.plan.functions[index].clone();
        let body = self.expr(&function.body, 0)?;
        self.open.pop();
        self.functions.made.push(json!({ "params": function.parameters.len(), "body": body }));
        let number = self.functions.made.len() - 1;
        self.numbers.insert(index, number);
        Ok(number)
    }

    fn call(&mut self, func: Func, args: &[Expr], span: Span, depth: usize) -> Translated<Json> {
        let refuse = |reason| Refusal { reason, span };
        let element = |list: &Expr| if let Type::List(of) = &list.ty { type_json(of) } else { json!("text") };
        let (name, used, extra) = match func {
            Func::Get => return Err(refuse("a store is only reached from the process of the shell")),
            Func::Matches => {
                let pattern = constant_text(&args[1]).and_then(|pattern| in_common(pattern, Dialect::Python));
                let pattern = pattern.ok_or(refuse(super::pattern::UNCOMMON))?;
                ("Matches".to_string(), &args[..1], json!(pattern))
            }
            Func::Format => {
                let pattern = constant_text(&args[0]).ok_or(refuse("the pattern of `format` is not a constant"))?;
                if args[1..].iter().any(|arg| matches!(arg.ty, Type::List(_))) {
                    return Err(refuse("a list as text is written here only"));
                }
                ("Format".to_string(), &args[1..], Json::Array(places_of(pattern, args.len() - 1)))
            }
            Func::TextFrom if matches!(args[0].ty, Type::List(_)) => {
                return Err(refuse("a list as text is written here only"));
            }
            Func::ContainsList => ("ContainsList".to_string(), args, type_json(&args[1].ty)),
            Func::MinList | Func::MaxList | Func::SortedList => (format!("{func:?}"), args, element(&args[0])),
            Func::FloatToFloat(function) => {
                const KNOWN: [&str; 8] = ["floor", "ceil", "exp", "ln", "log2", "sin", "cos", "tan"];
                if !KNOWN.contains(&function.name) {
                    return Err(refuse("this function is only here"));
                }
                ("FloatToFloat".to_string(), args, json!(function.name))
            }
            Func::Lower
            | Func::Upper
            | Func::Trim
            | Func::LenText
            | Func::LenList
            | Func::Split
            | Func::Words
            | Func::Chars
            | Func::ContainsText
            | Func::StartsWith
            | Func::EndsWith
            | Func::Replace
            | Func::SliceText
            | Func::SliceList
            | Func::ReverseText
            | Func::ReverseList
            | Func::SortedText
            | Func::JoinList
            | Func::SumInts
            | Func::SumFloats
            | Func::Range
            | Func::AbsInt
            | Func::AbsFloat
            | Func::Round
            | Func::RoundInt
            | Func::RoundFloat
            | Func::Sqrt
            | Func::PowInt
            | Func::PowFloat
            | Func::Same
            | Func::IntFromFloat
            | Func::IntFromText
            | Func::IntFromBool
            | Func::FloatFromInt
            | Func::FloatFromText
            | Func::TextFrom
            | Func::BoolFromInt
            | Func::BoolFromText
            | Func::IsNull
            | Func::Coalesce => (format!("{func:?}"), args, Json::Null),
        };
        Ok(json!(["call", name, self.all(used, depth)?, extra]))
    }
}

fn constant_text(expr: &Expr) -> Option<&str> {
    if let Node::Const(Value::Text(text)) = &expr.node { Some(text) } else { None }
}

/// The texts of a pattern of `format`, with the decimal places of each value in between.
fn places_of(pattern: &str, values: usize) -> Vec<Json> {
    let mut rest = pattern;
    let mut places = Vec::new();
    for _ in 0..values {
        let Some((before, shown, after)) = next_place(rest) else { break };
        places.push(json!(before));
        places.push(if let Shown::Places(count) = shown { json!(count) } else { Json::Null });
        rest = after;
    }
    places.push(json!(rest));
    places
}

fn types_of(exprs: &[Expr]) -> Vec<Json> {
    exprs.iter().map(|expr| type_json(&expr.ty)).collect()
}

/// A type as the drivers name it: what is open is text.
pub fn type_json(ty: &Type) -> Json {
    match ty {
        Type::Int => json!("int"),
        Type::Float => json!("float"),
        Type::Bool => json!("bool"),
        Type::Text | Type::Open | Type::Never => json!("text"),
        Type::List(of) => json!(["list", type_json(of)]),
    }
}

/// A value: floats that are no numbers of JSON are texts, which Python reads as floats.
fn value_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Int(i) => json!(i),
        Value::Float(x) if x.is_finite() => json!(x),
        Value::Float(x) => json!(x.to_string()),
        Value::Bool(b) => json!(b),
        Value::Text(text) => json!(&**text),
        Value::List(items) => items.iter().map(value_json).collect(),
    }
}

fn join_name(kind: JoinKind) -> &'static str {
    match kind {
        JoinKind::Inner => "Inner",
        JoinKind::Left => "Left",
        JoinKind::Semi => "Semi",
        JoinKind::Anti => "Anti",
    }
}

fn operator_sign(operator: Operator) -> &'static str {
    operator.sign()
}

fn comparison_sign(comparison: Comparison) -> &'static str {
    comparison.sign()
}
