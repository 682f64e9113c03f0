//! A prepared plan as a tree of Spark's relations, kept to what Spark and Sail both do as the language means it: ints
//! are checked by exact decimals where they may overflow, floats are compared after `-0.0` and NaN have one form,
//! separators and patterns mean the same to both. All else is an objection.
//!
//! Columns are called `c0`, `c1`, … there, and `o0`, … where they keep the order of rows.

use crate::data::{Order, Schema, Table, Type, Value};
use crate::diagnostic::Span;
use crate::functions::Func;
use crate::lang::{Comparison, Operator};
use crate::plan::{Agg, AggFunc, Expr, Format, JoinKind, Named, Node, Op, Prepared, SortKey, Source, Step};

use super::super::arrow;
use super::super::pattern::{Dialect, UNCOMMON, in_common};
use super::super::translate::{MOST_SENT, NOT_RUN, Refusal, TOO_LARGE, Translated, value_bytes};
use super::messages::*;

/// Expressions with more parts than this are not sent.
const MOST_PARTS: usize = 2_000;

const WHITE: &str = "\t\n\u{b}\u{c}\r \u{85}\u{a0}\u{1680}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\u{2006}\
                     \u{2007}\u{2008}\u{2009}\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}";

/// Characters whose case all versions of Unicode agree on, as a class of what is not among them.
const UNKNOWN_CASE: &str = "[^\u{0}-\u{17f}\u{370}-\u{377}\u{37a}-\u{37f}\u{384}-\u{3ff}\u{400}-\u{52f}\u{5d0}-\u{64a}\
                            \u{2000}-\u{206f}\u{20a0}-\u{20bf}\u{2190}-\u{21ff}\u{2500}-\u{25ff}\u{3000}-\u{9fff}\
                            \u{ac00}-\u{d7a3}\u{1f300}-\u{1f64f}]";

/// The relation whose rows are those of the plan.
///
/// # Errors
/// An objection.
pub fn relation(plan: &Prepared) -> Translated<Relation> {
    Lowerer { sent: 0, with_rows: true }.whole(plan)
}

/// Why a plan cannot run there, where it cannot.
pub fn objection(plan: &Prepared) -> Option<Refusal> {
    Lowerer { sent: 0, with_rows: false }.whole(plan).err()
}

/// The least and the largest value of an int, where they are known.
type Bounds = Option<(i128, i128)>;

/// A relation, and what is known of it.
struct Flow {
    relation: Relation,
    bounds: Vec<Bounds>,
    /// The columns that the order of its rows can be had from.
    order: OrderBy,
}

enum OrderBy {
    /// These, ascending.
    Columns(usize),
    /// It was just sorted.
    Sorted,
    Unknown,
}

struct Lowerer {
    sent: usize,
    with_rows: bool,
}

fn rel(rel_type: RelType) -> Relation {
    Relation { rel_type: Some(rel_type) }
}

fn expression(expr_type: ExprType) -> Expression {
    Expression { expr_type: Some(expr_type) }
}

fn attribute(name: String) -> Expression {
    expression(ExprType::Attribute(Attribute { name }))
}

fn column(index: usize) -> Expression {
    attribute(format!("c{index}"))
}

fn call(name: &str, arguments: Vec<Expression>) -> Expression {
    expression(ExprType::Function(Function { name: name.to_string(), arguments, is_distinct: false }))
}

fn literal(value: LiteralType) -> Expression {
    expression(ExprType::Literal(Literal { literal_type: Some(value) }))
}

fn text(value: &str) -> Expression {
    literal(LiteralType::Text(value.to_string()))
}

fn cast(expr: Expression, to: &str) -> Expression {
    expression(ExprType::Cast(Box::new(Cast { expr: Some(expr), type_text: Some(to.to_string()) })))
}

fn alias(expr: Expression, name: String) -> Expression {
    expression(ExprType::Alias(Box::new(Alias { expr: Some(expr), name: vec![name] })))
}

fn order_columns(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|i| format!("o{i}"))
}

fn project(input: Relation, expressions: Vec<Expression>) -> Relation {
    rel(RelType::Project(Box::new(Project { input: Some(input), expressions })))
}

fn sort_order(child: Expression, descending: bool) -> SortOrder {
    const NULLS_LAST: i32 = 2;
    SortOrder { child: Some(child), direction: if descending { 2 } else { 1 }, null_ordering: NULLS_LAST }
}

fn sorted(input: Relation, order: Vec<SortOrder>) -> Relation {
    rel(RelType::Sort(Box::new(Sort { input: Some(input), order, is_global: Some(true) })))
}

/// A type of columns there.
fn type_text(ty: &Type) -> Option<&'static str> {
    match ty {
        Type::Int => Some("BIGINT"),
        Type::Float => Some("DOUBLE"),
        Type::Bool => Some("BOOLEAN"),
        Type::Text | Type::Open | Type::Never => Some("STRING"),
        Type::List(_) => None,
    }
}

const NO_LISTS: &str =
    "columns of lists stay here: only `words` and `split` make lists there, and `flat_map` rows of them";

impl Lowerer {
    fn whole(mut self, plan: &Prepared) -> Translated<Relation> {
        let flow = self.plan(plan)?;
        let schema = plan.schema();
        let last = plan.span();
        columns_only(schema, last)?;
        if schema.columns.is_empty() {
            return Err(Refusal { reason: "a table without columns is made here only", span: last });
        }
        let input = match (schema.order, flow.order) {
            (Order::Kept, OrderBy::Unknown) => {
                let reason = "the order of the rows is not known there: end with `sort`, or with an aggregate";
                return Err(Refusal { reason, span: last });
            }
            (Order::Kept, OrderBy::Columns(count)) if count > 0 => in_order(flow.relation, count),
            _ => flow.relation,
        };
        let columns = (0..schema.columns.len()).map(column).collect();
        Ok(project(input, columns))
    }

    fn plan(&mut self, plan: &Prepared) -> Translated<Flow> {
        let mut flow = self.source(plan)?;
        for (step, input) in plan.steps() {
            flow = self.step(plan, step, input, flow)?;
        }
        Ok(flow)
    }

    fn step(&mut self, plan: &Prepared, step: &Step, input: &Schema, flow: Flow) -> Translated<Flow> {
        let refuse = |reason| Err(Refusal { reason, span: step.span });
        let Flow { relation, bounds, order } = flow;
        let mut exprs =
            Exprs { plan, bounds: &bounds, prefix: 'c', parts: 0, parameters: Vec::new(), open: Vec::new() };
        Ok(match &step.op {
            Op::Project(named) => {
                let mut columns = exprs.named(named)?;
                let bounds = named.iter().map(|named| bounds_of(&named.expr, &bounds)).collect();
                if let OrderBy::Columns(count) = order {
                    columns.extend(order_columns(count).map(attribute));
                }
                Flow { relation: project(relation, columns), bounds, order }
            }
            Op::Filter(condition) => {
                let condition = Some(exprs.expr(condition)?);
                let filter = Filter { input: Some(relation), condition };
                Flow { relation: rel(RelType::Filter(Box::new(filter))), bounds, order }
            }
            Op::Explode(named) => {
                let lists = named.iter().filter(|named| matches!(named.expr.ty, Type::List(_))).count();
                if lists != 1 || !matches!(named[0].expr.ty, Type::List(_)) {
                    return refuse("rows are made of one list at a time there");
                }
                let exploded = exprs.list(&named[0].expr)?;
                let mut rest = exprs.named(&named[1..])?.into_iter().enumerate();
                // The other columns first take their new places: an exploded one stands alone.
                let others: Vec<Expression> = rest.by_ref().map(|(_, expr)| renumbered(expr, 1)).collect();
                let (order, made) = match order {
                    OrderBy::Columns(count) => {
                        let place = format!("o{count}");
                        let pair = Alias {
                            expr: Some(call("posexplode", vec![exploded])),
                            name: vec![place, "c0".to_string()],
                        };
                        (OrderBy::Columns(count + 1), (count, expression(ExprType::Alias(Box::new(pair)))))
                    }
                    OrderBy::Sorted | OrderBy::Unknown => {
                        (OrderBy::Unknown, (0, alias(call("explode", vec![exploded]), "c0".to_string())))
                    }
                };
                let (count, made) = made;
                let mut columns = vec![made];
                columns.extend(others);
                columns.extend(order_columns(count).map(attribute));
                let bounds = vec![None; named.len()];
                Flow { relation: project(relation, columns), bounds, order }
            }
            Op::Slice { offset, length } => {
                let input = match order {
                    OrderBy::Unknown => {
                        return refuse("the order of the rows is not known there: put `sort` before it");
                    }
                    OrderBy::Columns(count) => in_order(relation, count),
                    OrderBy::Sorted => relation,
                };
                let input = match int32(*offset) {
                    Some(0) => input,
                    Some(offset) => rel(RelType::Offset(Box::new(Offset { input: Some(input), offset }))),
                    None => return refuse("rows are counted in 31 bits there"),
                };
                let relation = match length.map(int32) {
                    None => input,
                    Some(Some(limit)) => rel(RelType::Limit(Box::new(Limit { input: Some(input), limit }))),
                    Some(None) => return refuse("rows are counted in 31 bits there"),
                };
                Flow { relation, bounds, order }
            }
            Op::Sort { keys, limit } => {
                let order = keys.iter().map(|key| exprs.sort_key(key)).collect::<Translated<_>>()?;
                let input = sorted(relation, order);
                let relation = match limit.map(int32) {
                    None => input,
                    Some(Some(limit)) => rel(RelType::Limit(Box::new(Limit { input: Some(input), limit }))),
                    Some(None) => return refuse("rows are counted in 31 bits there"),
                };
                Flow { relation, bounds, order: OrderBy::Sorted }
            }
            Op::Distinct(None) => {
                let columns = input.columns.iter().enumerate();
                let columns = columns.map(|(i, c)| alias(one_form(column(i), &c.ty), format!("c{i}"))).collect();
                columns_only(input, step.span)?;
                let input = Some(project(relation, columns));
                let relation =
                    rel(RelType::Deduplicate(Box::new(Deduplicate { input, all_columns_as_keys: Some(true) })));
                Flow { relation, bounds, order: OrderBy::Unknown }
            }
            Op::Aggregate { keys, aggs } => {
                let mut grouping = Vec::new();
                let mut first = Vec::new();
                for (i, key) in keys.iter().enumerate() {
                    columns_of_type(&key.expr)?;
                    first.push(alias(one_form(exprs.expr(&key.expr)?, &key.expr.ty), format!("c{i}")));
                    grouping.push(column(i));
                }
                for (i, agg) in aggs.iter().enumerate() {
                    if let Some(arg) = &agg.arg {
                        columns_of_type(arg)?;
                        first.push(alias(exprs.expr(arg)?, format!("a{i}")));
                    }
                }
                if first.is_empty() {
                    first.push(alias(literal(LiteralType::Long(1)), "a0".to_string()));
                }
                // Keys are among the columns of the result by themselves.
                let mut aggregates = Vec::new();
                let mut after: Vec<Expression> = (0..keys.len()).map(column).collect();
                for (i, agg) in aggs.iter().enumerate() {
                    let (made, then) = aggregate(agg, i, step.span)?;
                    aggregates.push(alias(made, format!("a{i}")));
                    after.push(alias(then(attribute(format!("a{i}"))), format!("c{}", keys.len() + i)));
                }
                const GROUP_BY: i32 = 1;
                let input = Some(project(relation, first));
                let grouped = Aggregate { input, group_type: GROUP_BY, grouping, aggregates };
                let mut bounds: Vec<Bounds> = keys.iter().map(|key| bounds_of(&key.expr, &bounds)).collect();
                bounds.extend(aggs.iter().map(|agg| match agg.func {
                    // Nobody counts further.
                    AggFunc::Rows | AggFunc::Count | AggFunc::Distinct => Some((0, 1 << 53)),
                    _ => None,
                }));
                let relation = project(rel(RelType::Aggregate(Box::new(grouped))), after);
                // One row is in order.
                let order = if keys.is_empty() { OrderBy::Sorted } else { OrderBy::Unknown };
                Flow { relation, bounds, order }
            }
            Op::Join { kind, right, on, right_columns } => {
                let other = self.plan(right)?;
                columns_only(right.schema(), step.span)?;
                let width = right.schema().columns.len();
                let renamed = (0..width).map(|i| alias(column(i), format!("r{i}"))).collect();
                let left_columns = (0..input.columns.len()).map(column).collect();
                let mut condition: Option<Expression> = None;
                for (left, right_key) in on {
                    if !matches!(left.ty, Type::Int | Type::Text | Type::Bool) {
                        return refuse("keys of a join are ints, texts or bools there");
                    }
                    let mut of_right = Exprs {
                        plan: right,
                        bounds: &other.bounds,
                        prefix: 'r',
                        parts: 0,
                        parameters: Vec::new(),
                        open: Vec::new(),
                    };
                    let equal = call("==", vec![exprs.expr(left)?, of_right.expr(right_key)?]);
                    condition = Some(match condition {
                        None => equal,
                        Some(before) => call("and", vec![before, equal]),
                    });
                }
                let join_type = match kind {
                    JoinKind::Inner => 1,
                    JoinKind::Left => 3,
                    JoinKind::Anti => 5,
                    JoinKind::Semi => 6,
                };
                let joined = Join {
                    left: Some(project(relation, left_columns)),
                    right: Some(project(other.relation, renamed)),
                    condition,
                    join_type,
                };
                let mut columns: Vec<Expression> = (0..input.columns.len()).map(column).collect();
                let mut bounds = bounds;
                for (i, place) in right_columns.iter().enumerate() {
                    columns.push(alias(attribute(format!("r{place}")), format!("c{}", input.columns.len() + i)));
                    bounds.push(other.bounds[*place]);
                }
                let relation = project(rel(RelType::Join(Box::new(joined))), columns);
                Flow { relation, bounds, order: OrderBy::Unknown }
            }
            Op::Concat(plans) => {
                columns_only(input, step.span)?;
                let width = input.columns.len();
                let plain = |relation| project(relation, (0..width).map(column).collect());
                let mut relation = plain(relation);
                let mut bounds = bounds;
                for plan in plans {
                    let other = self.plan(plan)?;
                    let union = SetOperation {
                        left: Some(relation),
                        right: Some(plain(other.relation)),
                        set_op_type: 2,
                        is_all: Some(true),
                    };
                    relation = rel(RelType::SetOp(Box::new(union)));
                    for (bounds, more) in bounds.iter_mut().zip(other.bounds) {
                        *bounds = bounds.zip(more).map(|(a, b)| (a.0.min(b.0), a.1.max(b.1)));
                    }
                }
                Flow { relation, bounds, order: OrderBy::Unknown }
            }
            Op::Distinct(Some(_)) => return refuse("which row of a key is the first is not known there"),
            Op::Reverse | Op::Number | Op::Zip(_) | Op::Pairs => {
                return refuse("this needs the rows in their order, each with its number, which is only here");
            }
            Op::Fold { .. } => {
                return refuse("a fold is sequential: each row needs the result of the one before");
            }
            Op::Sample { .. } => return refuse("`sample` picks rows by a hash that is only here"),
            Op::Tally(_) => return refuse("counters are counted in the process of the shell"),
            Op::Peek { .. } => return refuse("`peek` shows rows here, and these pass elsewhere"),
        })
    }

    fn source(&mut self, plan: &Prepared) -> Translated<Flow> {
        let (schema, span) = (&plan.source.schema, plan.source.span);
        let refuse = |reason| Err(Refusal { reason, span });
        match &plan.source.op {
            Source::Range { end: None, .. } => refuse("a range without an end does not run on several machines"),
            Source::Range { start, end: Some(end) } => {
                let end = *end.max(start);
                let range = rel(RelType::Range(Range { start: Some(*start), end, step: 1 }));
                let id = || attribute("id".to_string());
                let columns = vec![alias(id(), "c0".to_string()), alias(id(), "o0".to_string())];
                let bounds = vec![Some((i128::from(*start), i128::from(end)))];
                Ok(Flow { relation: project(range, columns), bounds, order: OrderBy::Columns(1) })
            }
            Source::Values(values) => {
                self.send(values.iter().map(value_bytes).sum(), span)?;
                self.rows(schema, span, || Table::from_columns(schema.clone(), values.len(), &[values.to_vec()]))
            }
            Source::Generated { what, count, seed } => {
                const EACH: u64 = 24;
                self.send(usize::try_from(count.saturating_mul(EACH)).unwrap_or(usize::MAX), span)?;
                self.rows(schema, span, || {
                    let values: Vec<Value> = (0..*count).map(|row| what.value.value(*seed, row)).collect();
                    Table::from_columns(schema.clone(), values.len(), &[values])
                })
            }
            Source::Kept(kept) => {
                self.send(kept.table().data_bytes(), span)?;
                self.rows(schema, span, || kept.table().as_ref().clone())
            }
            // The session runs the rounds first.
            Source::Iterated(_) if self.with_rows => refuse(NOT_RUN),
            Source::Iterated(_) => self.rows(schema, span, || Table::stacked(schema, [])),
            Source::Read(read) => {
                if !matches!(read.format, Format::Text { lossy: false }) {
                    return refuse("this file is read here only: `persist` after `read` sends what it holds");
                }
                let mut paths = Vec::new();
                for file in &read.files {
                    if crate::files::is_standard_input(file) || crate::files::packing(file).is_some() {
                        return refuse("the engine reads files that are not compressed, and not standard input");
                    }
                    match std::path::absolute(&file.path).ok().as_deref().and_then(|path| path.to_str()) {
                        // A pattern of its own would be one there.
                        Some(path) if !path.contains(['*', '?', '[', ']', '{', '}', '\\', '%', ',', ':']) => {
                            paths.push(format!("file://{path}"));
                        }
                        _ => return refuse("the path of this file has characters that mean something else there"),
                    }
                }
                let options = [("lineSep".to_string(), "\n".to_string())].into_iter().collect();
                let source = DataSource { format: Some("text".to_string()), schema: None, options, paths };
                let read = rel(RelType::Read(Read { data_source: Some(source) }));
                let value = || attribute("value".to_string());
                let ends = call("endswith", vec![value(), text("\r")]);
                let shorter = call(
                    "substring",
                    vec![
                        value(),
                        literal(LiteralType::Integer(1)),
                        call("-", vec![call("length", vec![value()]), literal(LiteralType::Integer(1))]),
                    ],
                );
                let line = call("when", vec![ends, shorter, value()]);
                let relation = project(read, vec![alias(line, "c0".to_string())]);
                Ok(Flow { relation, bounds: vec![None], order: OrderBy::Unknown })
            }
        }
    }

    /// Counts rows that go with the plan.
    fn send(&mut self, bytes: usize, span: Span) -> Translated<()> {
        self.sent = self.sent.saturating_add(bytes);
        if self.sent > MOST_SENT { Err(Refusal { reason: TOO_LARGE, span }) } else { Ok(()) }
    }

    /// Rows that are here.
    fn rows(&self, schema: &Schema, span: Span, table: impl FnOnce() -> Table) -> Translated<Flow> {
        columns_only(schema, span)?;
        if schema.columns.is_empty() {
            return Err(Refusal { reason: "a table without columns cannot be sent", span });
        }
        let mut ddl: Vec<String> = Vec::new();
        for (i, column) in schema.columns.iter().enumerate() {
            ddl.push(format!("c{i} {}", type_text(&column.ty).unwrap_or("STRING")));
        }
        ddl.push("o0 BIGINT".to_string());
        let data = if self.with_rows { arrow::numbered(&table()) } else { Vec::new() };
        let local = LocalRelation { data: Some(data), schema: Some(ddl.join(", ")) };
        let relation = rel(RelType::LocalRelation(local));
        Ok(Flow { relation, bounds: vec![None; schema.columns.len()], order: OrderBy::Columns(1) })
    }
}

fn in_order(relation: Relation, count: usize) -> Relation {
    sorted(relation, order_columns(count).map(|name| sort_order(attribute(name), false)).collect())
}

fn int32(count: u64) -> Option<i32> {
    i32::try_from(count).ok()
}

fn columns_only(schema: &Schema, span: Span) -> Translated<()> {
    match schema.columns.iter().any(|column| type_text(&column.ty).is_none()) {
        true => Err(Refusal { reason: NO_LISTS, span }),
        false => Ok(()),
    }
}

fn columns_of_type(expr: &Expr) -> Translated<()> {
    match type_text(&expr.ty) {
        Some(_) => Ok(()),
        None => Err(Refusal { reason: NO_LISTS, span: expr.span }),
    }
}

/// A float in the one form that it is grouped, sorted and compared in.
fn one_form(expr: Expression, ty: &Type) -> Expression {
    if *ty != Type::Float {
        return expr;
    }
    let zero = literal(LiteralType::Double(0.0));
    let plain = call("+", vec![expr.clone(), zero]);
    call("when", vec![call("isnan", vec![expr]), literal(LiteralType::Double(f64::NAN)), plain])
}

/// The columns of an expression stay those of the input; only its name is of a later place.
fn renumbered(expr: Expression, by: usize) -> Expression {
    match expr.expr_type {
        Some(ExprType::Alias(mut named)) => {
            let place: usize = named.name[0][1..].parse().expect("it was numbered");
            named.name = vec![format!("c{}", place + by)];
            expression(ExprType::Alias(named))
        }
        other => Expression { expr_type: other },
    }
}

type After = Box<dyn Fn(Expression) -> Expression>;

/// An aggregate of the column `a…`, and what is made of its result.
fn aggregate(agg: &Agg, number: usize, span: Span) -> Translated<(Expression, After)> {
    let refuse = |reason| Err(Refusal { reason, span });
    let arg = || attribute(format!("a{number}"));
    let ty = agg.arg.as_ref().map(|arg| &arg.ty);
    let is_float = ty == Some(&Type::Float);
    let as_int = |expr| cast(expr, "BIGINT");
    Ok(match &agg.func {
        AggFunc::Rows => (call("count", vec![literal(LiteralType::Integer(1))]), Box::new(as_int)),
        AggFunc::Count => (call("count", vec![arg()]), Box::new(as_int)),
        AggFunc::Distinct => {
            let of = one_form(arg(), ty.unwrap_or(&Type::Int));
            let count = Function { name: "count".to_string(), arguments: vec![of], is_distinct: true };
            (expression(ExprType::Function(count)), Box::new(as_int))
        }
        AggFunc::Sum if is_float => {
            let or_zero = |sum| call("coalesce", vec![sum, literal(LiteralType::Double(0.0))]);
            (call("sum", vec![arg()]), Box::new(or_zero))
        }
        AggFunc::Sum => {
            // Exact; the cast of a sum that is not an int is an error.
            let exact = cast(cast(arg(), "BIGINT"), "DECIMAL(19,0)");
            let or_zero = |sum| call("coalesce", vec![cast(sum, "BIGINT"), literal(LiteralType::Long(0))]);
            (call("sum", vec![exact]), Box::new(or_zero))
        }
        AggFunc::Mean => (call("avg", vec![cast(arg(), "DOUBLE")]), Box::new(|mean| mean)),
        AggFunc::Min | AggFunc::Max => {
            let name = if agg.func == AggFunc::Min { "min" } else { "max" };
            (call(name, vec![one_form(arg(), ty.unwrap_or(&Type::Int))]), Box::new(|found| found))
        }
        AggFunc::Median | AggFunc::Quantile(_) | AggFunc::Std | AggFunc::NumbersToFloat(_) => {
            return refuse(
                "this aggregate is computed differently there: count, sum, mean, min, max and n_distinct are not",
            );
        }
        AggFunc::First | AggFunc::Last | AggFunc::Collect | AggFunc::JoinText(_) => {
            return refuse("this aggregate needs the rows in their order, which is only here");
        }
        AggFunc::Reduce(_) => return refuse("there is no reduce with an expression there"),
    })
}

/// What an int may be: an overflow that cannot happen needs no check.
fn bounds_of(expr: &Expr, columns: &[Bounds]) -> Bounds {
    if expr.ty != Type::Int {
        return None;
    }
    match &expr.node {
        Node::Const(Value::Int(i)) => Some((i128::from(*i), i128::from(*i))),
        Node::Column(index) => columns.get(*index).copied().flatten(),
        Node::Chain(first, links) => {
            let mut bounds = bounds_of(first, columns)?;
            for link in links {
                bounds = chained(bounds, link.operator, bounds_of(&link.operand, columns)?)?;
            }
            Some(bounds)
        }
        Node::Call(Func::LenText, _) => Some((0, 1 << 40)),
        _ => None,
    }
}

fn chained((a, b): (i128, i128), operator: Operator, (c, d): (i128, i128)) -> Bounds {
    let found = match operator {
        Operator::Add => (a + c, b + d),
        Operator::Subtract => (a - d, b - c),
        Operator::Multiply => {
            let corners = [a * c, a * d, b * c, b * d];
            (corners.into_iter().min()?, corners.into_iter().max()?)
        }
        Operator::Remainder if c == d && c > 0 => (0, c - 1),
        Operator::FloorDivide if c == d && c > 0 => (a.div_euclid(c), b.div_euclid(c)),
        Operator::Remainder | Operator::FloorDivide | Operator::Divide => return None,
    };
    is_int(found).then_some(found)
}

fn is_int((least, most): (i128, i128)) -> bool {
    least >= i128::from(i64::MIN) && most <= i128::from(i64::MAX)
}

/// Expressions of one plan.
struct Exprs<'a> {
    plan: &'a Prepared,
    bounds: &'a [Bounds],
    /// What its columns are called.
    prefix: char,
    parts: usize,
    /// The arguments of the calls of functions that are being written, with what they may be.
    parameters: Vec<Vec<(Expression, Bounds)>>,
    open: Vec<usize>,
}

impl Exprs<'_> {
    fn named(&mut self, named: &[Named]) -> Translated<Vec<Expression>> {
        let each = named.iter().enumerate();
        each.map(|(i, named)| {
            columns_of_type(&named.expr)?;
            Ok(alias(self.expr(&named.expr)?, format!("c{i}")))
        })
        .collect()
    }

    fn sort_key(&mut self, key: &SortKey) -> Translated<SortOrder> {
        columns_of_type(&key.expr)?;
        if matches!(key.expr.node, Node::Const(_)) {
            return Err(Refusal {
                reason: "a constant key of a sort is the number of a column there",
                span: key.expr.span,
            });
        }
        let child = one_form(self.expr(&key.expr)?, &key.expr.ty);
        Ok(sort_order(child, key.descending))
    }

    /// What an int may be here, where columns have other names and parameters have values.
    fn known(&self, expr: &Expr) -> Bounds {
        match &expr.node {
            Node::Parameter(index) => {
                self.parameters.last().and_then(|given| given.get(*index)).and_then(|given| given.1)
            }
            _ if self.parameters.is_empty() => bounds_of(expr, self.bounds),
            Node::Const(_) => bounds_of(expr, &[]),
            _ => None,
        }
    }

    fn expr(&mut self, expr: &Expr) -> Translated<Expression> {
        let refuse = |reason| Err(Refusal { reason, span: expr.span });
        self.parts += 1;
        if self.parts > MOST_PARTS {
            return refuse("this expression has more parts than are sent");
        }
        Ok(match &expr.node {
            Node::Const(value) => match (value, type_text(&expr.ty)) {
                (_, None) => return refuse(NO_LISTS),
                (Value::Null, Some(ty)) => {
                    let null = LiteralType::Null(DataType { null: Some(Empty {}) });
                    cast(literal(null), ty)
                }
                (Value::Int(i), _) if expr.ty == Type::Float => literal(LiteralType::Double(*i as f64)),
                (Value::Int(i), _) => literal(LiteralType::Long(*i)),
                (Value::Float(x), _) => literal(LiteralType::Double(*x)),
                (Value::Bool(b), _) => literal(LiteralType::Boolean(*b)),
                (Value::Text(value), _) => text(value),
                (Value::List(_), _) => return refuse(NO_LISTS),
            },
            Node::Column(index) => attribute(format!("{}{index}", self.prefix)),
            Node::Parameter(index) => {
                let given = self.parameters.last().and_then(|given| given.get(*index)).cloned();
                given.expect("a body is written with its arguments").0
            }
            Node::Acc | Node::ScalarSubquery(_) | Node::ExternalFunction(..) => {
                return refuse("this is computed in the process of the shell only");
            }
            Node::List(_) | Node::Index(..) => return refuse(NO_LISTS),
            Node::Chain(first, links) => {
                let mut left = self.expr(first)?;
                let mut bounds = self.known(first);
                for link in links {
                    let right = self.expr(&link.operand)?;
                    let other = self.known(&link.operand);
                    let after = bounds.zip(other).and_then(|(a, b)| chained(a, link.operator, b));
                    left = match expr.ty {
                        Type::Int => int_link(left, link.operator, right, after, other).or_else(refuse)?,
                        Type::Float => float_link(left, link.operator, right, &link.operand).or_else(refuse)?,
                        Type::Text => call("concat", vec![left, right]),
                        _ => return refuse(NO_LISTS),
                    };
                    bounds = after;
                }
                left
            }
            Node::Compare(left, comparison, right) => {
                columns_of_type(left)?;
                let (a, b) = (one_form(self.expr(left)?, &left.ty), one_form(self.expr(right)?, &right.ty));
                match comparison {
                    Comparison::NotEqual => call("not", vec![call("==", vec![a, b])]),
                    _ => call(comparison.sign(), vec![a, b]),
                }
            }
            Node::In(item, list) => {
                let Node::Const(Value::List(items)) = &list.node else {
                    return refuse("`in` takes only a list of constants there");
                };
                columns_of_type(item)?;
                let of = if let Type::List(of) = &list.ty { (**of).clone() } else { Type::Text };
                let found = one_form(self.expr(item)?, &item.ty);
                let mut any: Option<Expression> = None;
                for value in items.iter().filter(|value| !value.is_null()) {
                    let value = self.expr(&Expr::constant(value.clone(), of.clone()))?;
                    let equal = call("==", vec![found.clone(), one_form(value, &of)]);
                    any = Some(match any {
                        None => equal,
                        Some(before) => call("or", vec![before, equal]),
                    });
                    self.parts += 4;
                }
                let no = || literal(LiteralType::Boolean(false));
                let any = any.unwrap_or_else(no);
                let null = cast(literal(LiteralType::Null(DataType { null: Some(Empty {}) })), "BOOLEAN");
                call("when", vec![call("isnull", vec![found]), null, any])
            }
            Node::And(items) => self.folded("and", items)?,
            Node::Or(items) => self.folded("or", items)?,
            Node::Not(inner) => call("not", vec![self.expr(inner)?]),
            Node::Negate(inner) => {
                let value = self.expr(inner)?;
                match expr.ty {
                    Type::Float => call("negative", vec![value]),
                    // Zero less it, checked.
                    _ => {
                        let zero = literal(LiteralType::Long(0));
                        let after = self.known(inner).and_then(|bounds| chained((0, 0), Operator::Subtract, bounds));
                        int_link(zero, Operator::Subtract, value, after, self.known(inner)).or_else(refuse)?
                    }
                }
            }
            Node::If(arms, otherwise) => {
                columns_of_type(expr)?;
                let mut all = Vec::new();
                for (test, then) in arms {
                    all.push(self.expr(test)?);
                    all.push(self.expr(then)?);
                }
                all.push(self.expr(otherwise)?);
                call("when", all)
            }
            Node::Widen(inner) => match (&inner.ty, type_text(&expr.ty)) {
                (_, None) => return refuse(NO_LISTS),
                (_, Some(ty)) => cast(self.expr(inner)?, ty),
            },
            Node::Call(func, args) => self.call(*func, args, expr.span)?,
            Node::Apply(index, args) => {
                if self.open.contains(index) {
                    return refuse("a function that calls itself runs here only");
                }
                let given = args.iter().map(|arg| Ok((self.expr(arg)?, self.known(arg)))).collect::<Translated<_>>()?;
                let body = self.plan.functions[*index].body.clone();
                self.open.push(*index);
                self.parameters.push(given);
                let made = self.expr(&body);
                self.parameters.pop();
                self.open.pop();
                made?
            }
        })
    }

    fn folded(&mut self, name: &str, items: &[Expr]) -> Translated<Expression> {
        let mut made: Option<Expression> = None;
        for item in items {
            let item = self.expr(item)?;
            made = Some(match made {
                None => item,
                Some(before) => call(name, vec![before, item]),
            });
        }
        Ok(made.unwrap_or_else(|| literal(LiteralType::Boolean(name == "and"))))
    }

    fn call(&mut self, func: Func, args: &[Expr], span: Span) -> Translated<Expression> {
        let refuse = |reason| Err(Refusal { reason, span });
        let differs = "this function differs there, or is only here";
        match func {
            Func::Lower | Func::Upper => {
                let value = self.expr(&args[0])?;
                let known = call("rlike", vec![value.clone(), text(UNKNOWN_CASE)]);
                let says = "timelab:objection:the text has characters whose case versions of Unicode disagree on";
                let fails = cast(call("raise_error", vec![text(says)]), "STRING");
                let name = if func == Func::Lower { "lower" } else { "upper" };
                Ok(call("when", vec![known, fails, call(name, vec![value])]))
            }
            Func::LenText => Ok(cast(call("length", vec![self.expr(&args[0])?]), "BIGINT")),
            Func::Trim => Ok(call("btrim", vec![self.expr(&args[0])?, text(WHITE)])),
            Func::ReverseText => Ok(call("reverse", vec![self.expr(&args[0])?])),
            Func::ContainsText | Func::StartsWith | Func::EndsWith => {
                let name = match func {
                    Func::ContainsText => "contains",
                    Func::StartsWith => "startswith",
                    _ => "endswith",
                };
                Ok(call(name, vec![self.expr(&args[0])?, self.expr(&args[1])?]))
            }
            Func::Replace => match &args[1].node {
                Node::Const(Value::Text(part)) if !part.is_empty() => {
                    Ok(call("replace", vec![self.expr(&args[0])?, text(part), self.expr(&args[2])?]))
                }
                _ => refuse("`replace` takes only a constant text to look for there"),
            },
            Func::Matches => {
                let pattern = if let Node::Const(Value::Text(pattern)) = &args[1].node { Some(pattern) } else { None };
                match pattern.and_then(|pattern| in_common(pattern, Dialect::Java)) {
                    Some(pattern) => Ok(call("rlike", vec![self.expr(&args[0])?, text(&pattern)])),
                    None => refuse(UNCOMMON),
                }
            }
            Func::AbsInt => {
                let value = self.expr(&args[0])?;
                Ok(cast(call("abs", vec![cast(value, "DECIMAL(19,0)")]), "BIGINT"))
            }
            Func::AbsFloat => Ok(call("abs", vec![self.expr(&args[0])?])),
            Func::Sqrt => Ok(call("sqrt", vec![self.expr(&args[0])?])),
            Func::FloatToFloat(function) if matches!(function.name, "exp" | "sin" | "cos") => {
                Ok(call(function.name, vec![self.expr(&args[0])?]))
            }
            Func::Same => self.expr(&args[0]),
            Func::IntFromBool => Ok(cast(self.expr(&args[0])?, "BIGINT")),
            Func::FloatFromInt => Ok(cast(self.expr(&args[0])?, "DOUBLE")),
            Func::TextFrom if matches!(args[0].ty, Type::Int | Type::Bool | Type::Text) => {
                Ok(cast(self.expr(&args[0])?, "STRING"))
            }
            Func::BoolFromInt => {
                let zero = literal(LiteralType::Long(0));
                Ok(call("not", vec![call("==", vec![self.expr(&args[0])?, zero])]))
            }
            Func::IsNull => Ok(call("isnull", vec![self.expr(&args[0])?])),
            Func::Coalesce => {
                let all = args.iter().map(|arg| self.expr(arg)).collect::<Translated<_>>()?;
                Ok(call("coalesce", all))
            }
            Func::LenList
            | Func::Split
            | Func::Words
            | Func::Chars
            | Func::ContainsList
            | Func::SliceList
            | Func::ReverseList
            | Func::SortedList
            | Func::JoinList
            | Func::SumInts
            | Func::SumFloats
            | Func::MinList
            | Func::MaxList
            | Func::Range => refuse(NO_LISTS),
            Func::SliceText
            | Func::SortedText
            | Func::Round
            | Func::RoundInt
            | Func::RoundFloat
            | Func::FloatToFloat(_)
            | Func::PowInt
            | Func::PowFloat
            | Func::IntFromFloat
            | Func::IntFromText
            | Func::FloatFromText
            | Func::TextFrom
            | Func::BoolFromText
            | Func::Format
            | Func::Get => refuse(differs),
        }
    }

    /// A list that becomes rows at once.
    fn list(&mut self, expr: &Expr) -> Translated<Expression> {
        match &expr.node {
            Node::Call(Func::Words, args) => {
                let parts = call("split", vec![self.expr(&args[0])?, text(&format!("[{WHITE}]+"))]);
                let word = Variable { name: vec!["w".to_string()] };
                let is_empty = call("==", vec![expression(ExprType::Variable(word.clone())), text("")]);
                let function = Some(call("not", vec![is_empty]));
                let lambda = Lambda { function, arguments: vec![word] };
                Ok(call("filter", vec![parts, expression(ExprType::Lambda(Box::new(lambda)))]))
            }
            Node::Call(Func::Split, args) => match &args[1].node {
                Node::Const(Value::Text(separator)) if !separator.is_empty() => {
                    let escape = |c: char| if c.is_ascii_punctuation() { format!("\\{c}") } else { c.to_string() };
                    let pattern: String = separator.chars().map(escape).collect();
                    Ok(call("split", vec![self.expr(&args[0])?, text(&pattern)]))
                }
                _ => Err(Refusal { reason: "`split` takes only a constant separator there", span: expr.span }),
            },
            _ => Err(Refusal { reason: NO_LISTS, span: expr.span }),
        }
    }
}

/// An operator on ints. Where the result may not fit, it is computed in decimals, whose cast to an int is checked.
fn int_link(
    left: Expression,
    operator: Operator,
    right: Expression,
    after: Bounds,
    divisor: Bounds,
) -> Result<Expression, &'static str> {
    match operator {
        Operator::Add | Operator::Subtract | Operator::Multiply => {
            let sign = operator.sign();
            if after.is_some() {
                return Ok(call(sign, vec![left, right]));
            }
            let exact = |expr| cast(expr, "DECIMAL(19,0)");
            Ok(cast(call(sign, vec![exact(left), exact(right)]), "BIGINT"))
        }
        Operator::FloorDivide | Operator::Remainder => {
            const LARGEST: i128 = 1 << 62;
            if !divisor.is_some_and(|(least, most)| least == most && least > 0 && least < LARGEST) {
                return Err("`//` and `%` take only a constant divisor above zero there");
            }
            let rest = call("pmod", vec![left.clone(), right.clone()]);
            if operator == Operator::Remainder {
                return Ok(rest);
            }
            let whole = call("-", vec![left, rest]);
            Ok(call("div", vec![whole, right]))
        }
        Operator::Divide => Err("`/` gives a float"),
    }
}

/// An operator on floats.
fn float_link(
    left: Expression,
    operator: Operator,
    right: Expression,
    divisor: &Expr,
) -> Result<Expression, &'static str> {
    match operator {
        Operator::Add | Operator::Subtract | Operator::Multiply => Ok(call(operator.sign(), vec![left, right])),
        Operator::Divide => match &divisor.node {
            Node::Const(Value::Float(x)) if *x != 0.0 => Ok(call("/", vec![left, right])),
            Node::Const(Value::Int(i)) if *i != 0 => Ok(call("/", vec![left, right])),
            // Zero made of an int has no sign.
            Node::Widen(_) => {
                let zero = || literal(LiteralType::Double(0.0));
                let infinite = call("*", vec![left.clone(), literal(LiteralType::Double(f64::INFINITY))]);
                let is_zero = call("==", vec![right.clone(), zero()]);
                Ok(call("when", vec![is_zero, infinite, call("/", vec![left, right])]))
            }
            _ => Err("a float divided by a float that may be zero is an error there"),
        },
        Operator::FloorDivide | Operator::Remainder => Err("`//` and `%` of floats differ there"),
    }
}
