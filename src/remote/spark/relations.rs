//! A prepared plan as a tree of Spark's relations, kept to what Spark and Sail both do as the language means it. All
//! else is an objection.
//!
//! Columns are called `c0`, `c1`, … there. The order of rows is never left to the server: where it matters it stands in
//! columns `o0`, `o1`, …, by which the rows are sorted in the end.

use prost::Message;

use crate::data::{Order, Schema, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::plan::{AggFunc, JoinKind, Op, Prepared, Source, Step};
use crate::run_context::RunContext;

use super::super::arrow;
use super::super::translate::{MOST_SENT, NOT_RUN, Refusal, TOO_LARGE, Translated, value_bytes};
use super::aggregates::{aggregate, needs_order};
use super::build::*;
use super::expressions::{Bounds, Exprs, bounds_of, one_form};
use super::files;
use super::messages::*;
use super::sql as query;

/// Larger plans are not sent, besides their rows.
const MOST_BYTES: usize = 4 << 20;

/// The relation whose rows are those of the plan. A server that is not on this machine reads no files of it.
///
/// # Errors
/// An objection; what reading files here runs into.
pub fn relation(plan: &Prepared, reads_files: bool, context: &RunContext) -> Fallible<Relation> {
    let mut lowerer = Lowerer { sent: 0, run: Some(Run { reads_files, writes_rows: false, context }), failure: None };
    let made = lowerer.whole(plan);
    match (lowerer.failure, made) {
        (Some(failure), _) => Err(failure),
        (None, made) => made.map_err(|refusal| Diagnostic::at(Kind::Objection, refusal.span, refusal.reason)),
    }
}

/// The plan as a query in the SQL of Spark.
///
/// # Errors
/// An objection, also to rows that are only here and too many to be written out; what reading files runs into.
pub fn sql(plan: &Prepared, context: &RunContext) -> Fallible<String> {
    let run = Run { reads_files: true, writes_rows: true, context };
    let mut lowerer = Lowerer { sent: 0, run: Some(run), failure: None };
    let made = lowerer.whole(plan);
    if let Some(failure) = lowerer.failure {
        return Err(failure);
    }
    let made = made.map_err(|refusal| Diagnostic::at(Kind::Objection, refusal.span, refusal.reason))?;
    let names: Vec<String> = plan.schema().columns.iter().map(|column| column.name.clone()).collect();
    Ok(query::query(&made, &names))
}

/// Why a plan cannot run there, where it cannot.
pub fn objection(plan: &Prepared) -> Option<Refusal> {
    Lowerer { sent: 0, run: None, failure: None }.whole(plan).err()
}

/// A run, for which files are looked at and rows are made; otherwise it is only found out whether there is an
/// objection.
struct Run<'a> {
    reads_files: bool,
    /// As text, for a plan that is printed.
    writes_rows: bool,
    context: &'a RunContext,
}

/// A relation, and what is known of it.
struct Flow {
    relation: Relation,
    bounds: Vec<Bounds>,
    /// None where it is not known, or not asked for.
    order: Option<OrderBy>,
}

/// What the columns `o0`, … sort the rows by.
#[derive(Debug, Clone)]
struct OrderBy {
    /// For each whether downwards; nulls stand last in both directions.
    descending: Vec<bool>,
    /// There is one, which numbers the rows from 0 without gaps.
    is_number: bool,
    /// No two rows have the same: where they do, they are equal, and whatever makes several rows of each must not mix
    /// them.
    is_strict: bool,
}

impl OrderBy {
    fn number() -> OrderBy {
        OrderBy { descending: vec![false], is_number: true, is_strict: true }
    }

    fn columns(&self) -> impl Iterator<Item = Expression> {
        (0..self.descending.len()).map(|i| attribute(format!("o{i}")))
    }

    fn keys(&self) -> Vec<SortOrder> {
        self.columns().zip(&self.descending).map(|(column, descending)| sort_order(column, *descending)).collect()
    }

    /// The same after rows were left out or doubled.
    fn with_gaps(self) -> OrderBy {
        OrderBy { is_number: false, ..self }
    }
}

struct Lowerer<'a> {
    /// Bytes of rows that go with the plan.
    sent: usize,
    run: Option<Run<'a>>,
    /// What reading a file here ran into.
    failure: Option<Box<Diagnostic>>,
}

const ORDER_UNKNOWN: &str = "the order of the rows is not known there: put `sort` before it";

/// Whether a step needs the order of what flows in, if that of what flows out is wanted or not.
fn needs(op: &Op, wanted: bool) -> bool {
    match op {
        Op::Project(_) | Op::Filter(_) | Op::Explode(_) | Op::Reverse | Op::Concat(_) => wanted,
        Op::Slice { .. } | Op::Number | Op::Distinct(Some(_)) | Op::Zip(_) | Op::Pairs => true,
        Op::Aggregate { aggs, .. } => aggs.iter().any(needs_order),
        Op::Sort { .. } | Op::Distinct(None) | Op::Join { .. } => false,
        Op::Fold { .. } | Op::Sample { .. } | Op::Peek { .. } | Op::Tally(_) => false,
    }
}

impl Lowerer<'_> {
    fn whole(&mut self, plan: &Prepared) -> Translated<Relation> {
        let schema = plan.schema();
        let last = plan.span();
        if schema.columns.is_empty() {
            return Err(Refusal { reason: "a table without columns is made here only", span: last });
        }
        let is_ordered = schema.order == Order::Kept;
        let flow = self.plan(plan, is_ordered)?;
        let input = match (is_ordered, flow.order) {
            (true, None) => return Err(Refusal { reason: ORDER_UNKNOWN, span: last }),
            (true, Some(order)) if !order.descending.is_empty() => sorted(flow.relation, order.keys()),
            _ => flow.relation,
        };
        let columns = (0..schema.columns.len()).map(column).collect();
        Ok(project(input, columns))
    }

    fn plan(&mut self, plan: &Prepared, wanted: bool) -> Translated<Flow> {
        let mut wants = vec![wanted];
        for step in plan.steps.iter().rev() {
            wants.push(needs(&step.op, wants[wants.len() - 1]));
        }
        let mut wants = wants.into_iter().rev();
        let mut flow = self.source(plan, wants.next().unwrap_or(wanted))?;
        for ((step, input), wanted) in plan.steps().zip(wants) {
            flow = self.step(plan, step, input, flow, wanted)?;
            if !wanted {
                flow.order = None;
            }
            if flow.relation.encoded_len().saturating_sub(self.sent) > MOST_BYTES {
                return Err(Refusal { reason: "this plan has more parts than are sent", span: step.span });
            }
        }
        Ok(flow)
    }

    fn step(&mut self, plan: &Prepared, step: &Step, input: &Schema, flow: Flow, wanted: bool) -> Translated<Flow> {
        let refuse = |reason| Err(Refusal { reason, span: step.span });
        let Flow { relation, bounds, order } = flow;
        let mut exprs = Exprs::new(plan, &bounds, 'c');
        let width = input.columns.len();
        let columns = || (0..width).map(column);
        let known = |order: Option<OrderBy>| order.ok_or(Refusal { reason: ORDER_UNKNOWN, span: step.span });
        Ok(match &step.op {
            Op::Project(named) => {
                let mut made = exprs.named(named)?;
                let bounds = named.iter().map(|named| bounds_of(&named.expr, &bounds)).collect();
                made.extend(order.iter().flat_map(OrderBy::columns));
                if made.is_empty() {
                    made.push(alias(long(0), "o"));
                }
                Flow { relation: project(relation, made), bounds, order }
            }
            Op::Filter(condition) => {
                let condition = exprs.expr(condition)?;
                Flow { relation: filter(relation, condition), bounds, order: order.map(OrderBy::with_gaps) }
            }
            Op::Explode(named) => {
                let lists = named.iter().filter(|named| matches!(named.expr.ty, Type::List(_))).count();
                if lists != 1 || !matches!(named[0].expr.ty, Type::List(_)) {
                    return refuse("rows are made of one list at a time there");
                }
                let exploded = exprs.expr(&named[0].expr)?;
                // The other columns take their new places: an exploded one stands alone.
                let others = named.iter().enumerate().skip(1);
                let others: Vec<Expression> = others
                    .map(|(i, named)| Ok(alias(exprs.expr(&named.expr)?, format!("c{i}"))))
                    .collect::<Translated<_>>()?;
                let (relation, order) = match order {
                    Some(order) if !order.is_strict => (numbered(relation, width, &order), Some(OrderBy::number())),
                    order => (relation, order),
                };
                let before = order.iter().flat_map(OrderBy::columns);
                let (made, order) = match &order {
                    Some(before) => {
                        let place = format!("o{}", before.descending.len());
                        let pair =
                            Alias { expr: Some(call("posexplode", vec![exploded])), name: vec![place, "c0".into()] };
                        let mut order = before.clone().with_gaps();
                        order.descending.push(false);
                        (expression(ExprType::Alias(Box::new(pair))), Some(order))
                    }
                    None => (alias(call("explode", vec![exploded]), "c0"), None),
                };
                let mut columns = vec![made];
                columns.extend(others);
                columns.extend(before);
                let bounds = vec![None; named.len()];
                Flow { relation: project(relation, columns), bounds, order }
            }
            Op::Slice { offset, length } => {
                let order = known(order)?;
                let input = sorted(relation, order.keys());
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
                let is_number = order.is_number && *offset == 0;
                Flow { relation, bounds, order: Some(OrderBy { is_number, ..order }) }
            }
            Op::Sort { keys, limit } => {
                if !wanted && limit.is_none() {
                    return Ok(Flow { relation, bounds, order: None });
                }
                let mut columns: Vec<Expression> = columns().collect();
                let mut descending = Vec::new();
                for (i, key) in keys.iter().enumerate() {
                    let (key, down) = exprs.sort_key(key)?;
                    columns.push(alias(key, format!("o{i}")));
                    descending.push(down);
                }
                let order = OrderBy { descending, is_number: false, is_strict: false };
                let input = project(relation, columns);
                let relation = match limit.map(int32) {
                    None => input,
                    Some(Some(limit)) => {
                        let input = Some(sorted(input, order.keys()));
                        rel(RelType::Limit(Box::new(Limit { input, limit })))
                    }
                    Some(None) => return refuse("rows are counted in 31 bits there"),
                };
                Flow { relation, bounds, order: Some(order) }
            }
            Op::Reverse => match order {
                Some(order) => {
                    let relation = numbered(relation, width, &order);
                    let order = OrderBy { descending: vec![true], is_number: false, is_strict: true };
                    Flow { relation, bounds, order: Some(order) }
                }
                None if wanted => return refuse(ORDER_UNKNOWN),
                None => Flow { relation, bounds, order: None },
            },
            Op::Number => {
                let relation = numbered(relation, width, &known(order)?);
                let number = attribute("o0");
                let made = columns().chain([alias(number.clone(), format!("c{width}")), number]).collect();
                let mut bounds = bounds;
                // Nobody counts further.
                bounds.push(Some((0, 1 << 53)));
                Flow { relation: project(relation, made), bounds, order: Some(OrderBy::number()) }
            }
            Op::Distinct(None) => {
                let columns = input.columns.iter().enumerate();
                let columns = columns.map(|(i, c)| alias(one_form(column(i), &c.ty), format!("c{i}"))).collect();
                let input = Some(project(relation, columns));
                let all_columns_as_keys = Some(true);
                let relation = rel(RelType::Deduplicate(Box::new(Deduplicate { input, all_columns_as_keys })));
                Flow { relation, bounds, order: None }
            }
            Op::Distinct(Some(keys)) => {
                let order = known(order)?;
                let mut first: Vec<Expression> = columns().chain(order.columns()).collect();
                for (i, key) in keys.iter().enumerate() {
                    first.push(alias(one_form(exprs.expr(key)?, &key.ty), format!("k{i}")));
                }
                let keys = (0..keys.len()).map(|i| attribute(format!("k{i}"))).collect();
                let place = alias(row_number(keys, order.keys()), "p");
                let places = project(project(relation, first), columns().chain([place]).collect());
                let firsts = filter(places, equal(attribute("p"), small(1)));
                Flow { relation: project(firsts, columns().collect()), bounds, order: None }
            }
            Op::Aggregate { keys, aggs } => {
                let mut grouping = Vec::new();
                let mut first = Vec::new();
                for (i, key) in keys.iter().enumerate() {
                    first.push(alias(one_form(exprs.expr(&key.expr)?, &key.expr.ty), format!("c{i}")));
                    grouping.push(column(i));
                }
                for (i, agg) in aggs.iter().enumerate() {
                    if let Some(arg) = &agg.arg {
                        first.push(alias(exprs.expr(arg)?, format!("a{i}")));
                    }
                }
                let mut relation = relation;
                if aggs.iter().any(needs_order) {
                    relation = numbered(relation, width, &known(order)?);
                    first.push(alias(attribute("o0"), "n"));
                }
                if first.is_empty() {
                    first.push(alias(long(1), "a0"));
                }
                // Keys are among the columns of the result by themselves.
                let mut aggregates = Vec::new();
                let mut after: Vec<Expression> = (0..keys.len()).map(column).collect();
                for (i, agg) in aggs.iter().enumerate() {
                    let (made, then) = aggregate(plan, agg, i, step.span)?;
                    aggregates.push(alias(made, format!("a{i}")));
                    after.push(alias(then(attribute(format!("a{i}"))), format!("c{}", keys.len() + i)));
                }
                const GROUP_BY: i32 = 1;
                let input = Some(project(relation, first));
                let grouped = Aggregate { input, group_type: GROUP_BY, grouping, aggregates };
                let mut bounds: Vec<Bounds> = keys.iter().map(|key| bounds_of(&key.expr, &bounds)).collect();
                bounds.extend(aggs.iter().map(|agg| match agg.func {
                    AggFunc::Rows | AggFunc::Count | AggFunc::Distinct => Some((0, 1 << 53)),
                    _ => None,
                }));
                let relation = rel(RelType::Aggregate(Box::new(grouped)));
                if !keys.is_empty() {
                    return Ok(Flow { relation: project(relation, after), bounds, order: None });
                }
                // One row is in order.
                after.push(alias(long(0), "o0"));
                Flow { relation: project(relation, after), bounds, order: Some(OrderBy::number()) }
            }
            Op::Join { kind, right, on, right_columns } => {
                let other = self.plan(right, false)?;
                let renamed = (0..right.schema().columns.len()).map(|i| alias(column(i), format!("r{i}"))).collect();
                let mut condition: Option<Expression> = None;
                for (left, right_key) in on {
                    let mut of_right = Exprs::new(right, &other.bounds, 'r');
                    let left_key = one_form(exprs.expr(left)?, &left.ty);
                    let same = equal(left_key, one_form(of_right.expr(right_key)?, &left.ty));
                    condition = Some(match condition {
                        None => same,
                        Some(before) => and(before, same),
                    });
                }
                let join_type = match kind {
                    JoinKind::Inner => 1,
                    JoinKind::Left => 3,
                    JoinKind::Anti => 5,
                    JoinKind::Semi => 6,
                };
                let joined = Join {
                    left: Some(project(relation, columns().collect())),
                    right: Some(project(other.relation, renamed)),
                    condition,
                    join_type,
                };
                let mut columns: Vec<Expression> = columns().collect();
                let mut bounds = bounds;
                for (i, place) in right_columns.iter().enumerate() {
                    columns.push(alias(attribute(format!("r{place}")), format!("c{}", width + i)));
                    bounds.push(other.bounds[*place]);
                }
                Flow { relation: project(rel(RelType::Join(Box::new(joined))), columns), bounds, order: None }
            }
            Op::Concat(plans) => {
                let part = |number: usize, relation: Relation, order: Option<OrderBy>| -> Translated<Relation> {
                    if !wanted {
                        return Ok(project(relation, columns().collect()));
                    }
                    let rows = numbered(relation, width, &known(order)?);
                    let place = [alias(long(number as i64), "o0"), alias(attribute("o0"), "o1")];
                    Ok(project(rows, columns().chain(place).collect()))
                };
                let mut relation = part(0, relation, order)?;
                let mut bounds = bounds;
                for (i, plan) in plans.iter().enumerate() {
                    let other = self.plan(plan, wanted)?;
                    let union = SetOperation {
                        left: Some(relation),
                        right: Some(part(i + 1, other.relation, other.order)?),
                        set_op_type: 2,
                        is_all: Some(true),
                    };
                    relation = rel(RelType::SetOp(Box::new(union)));
                    for (bounds, more) in bounds.iter_mut().zip(other.bounds) {
                        *bounds = bounds.zip(more).map(|(a, b)| (a.0.min(b.0), a.1.max(b.1)));
                    }
                }
                let order = wanted.then(|| OrderBy { descending: vec![false; 2], is_number: false, is_strict: true });
                Flow { relation, bounds, order }
            }
            Op::Zip(plans) => {
                let mut relation = numbered(relation, width, &known(order)?);
                let (mut bounds, mut wide) = (bounds, width);
                for plan in plans {
                    let more = plan.schema().columns.len();
                    let other = self.plan(plan, true)?;
                    let right = numbered(other.relation, more, &known(other.order)?);
                    let mut renamed: Vec<Expression> =
                        (0..more).map(|i| alias(column(i), format!("c{}", wide + i))).collect();
                    renamed.push(alias(attribute("o0"), "r"));
                    const FULL: i32 = 2;
                    let joined = Join {
                        left: Some(relation),
                        right: Some(project(right, renamed)),
                        condition: Some(equal(attribute("o0"), attribute("r"))),
                        join_type: FULL,
                    };
                    let alone = call("or", vec![is_null(attribute("o0")), is_null(attribute("r"))]);
                    let unequal = raise("shape", "`zip`: the tables have different numbers of rows", &Type::Int);
                    let number = when(vec![alone, unequal, attribute("o0")]);
                    wide += more;
                    let columns = (0..wide).map(column).chain([alias(number, "o0")]).collect();
                    relation = project(rel(RelType::Join(Box::new(joined))), columns);
                    bounds.extend(other.bounds);
                }
                // A row that stands alone must be found out before any that follows leaves it out.
                relation = filter(relation, call(">=", vec![attribute("o0"), long(0)]));
                Flow { relation, bounds, order: Some(OrderBy::number()) }
            }
            Op::Pairs => {
                let rows = numbered(relation, width, &known(order)?);
                let side = |name: &str, number: &str| {
                    project(rows.clone(), vec![alias(column(0), name), alias(attribute("o0"), number)])
                };
                let joined = Join {
                    left: Some(side("c0", "o0")),
                    right: Some(side("c1", "o1")),
                    condition: Some(call("<", vec![attribute("o0"), attribute("o1")])),
                    join_type: 1,
                };
                let bounds = vec![bounds[0]; 2];
                let order = OrderBy { descending: vec![false; 2], is_number: false, is_strict: true };
                Flow { relation: rel(RelType::Join(Box::new(joined))), bounds, order: Some(order) }
            }
            Op::Fold { .. } => {
                return refuse("a fold is sequential: each row needs the result of the one before");
            }
            Op::Sample { .. } => return refuse("`sample` picks rows by a hash that is only here"),
            Op::Tally(_) => return refuse("counters are counted in the process of the shell"),
            Op::Peek { .. } => return refuse("`peek` shows rows here, and these pass elsewhere"),
        })
    }

    fn source(&mut self, plan: &Prepared, wanted: bool) -> Translated<Flow> {
        let (schema, span) = (&plan.source.schema, plan.source.span);
        let refuse = |reason| Err(Refusal { reason, span });
        match &plan.source.op {
            Source::Range { end: None, .. } => refuse("a range without an end does not run on several machines"),
            Source::Range { start, end: Some(end) } => {
                let end = *end.max(start);
                if end.checked_sub(*start).is_none() {
                    return refuse("a range has fewer than 2^63 rows there");
                }
                let range = rel(RelType::Range(Range { start: Some(*start), end, step: 1 }));
                let id = || attribute("id");
                let number = call("-", vec![id(), long(*start)]);
                let columns = vec![alias(id(), "c0"), alias(number, "o0")];
                let bounds = vec![Some((i128::from(*start), i128::from(end)))];
                Ok(Flow { relation: project(range, columns), bounds, order: Some(OrderBy::number()) })
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
            Source::Iterated(_) if self.run.is_some() => refuse(NOT_RUN),
            Source::Iterated(_) => self.rows(schema, span, || Table::stacked(schema, [])),
            Source::Read(read) => {
                let is_direct = files::may_be_direct(read) && !wanted;
                let bounds = vec![None; schema.columns.len()];
                let Some(Run { reads_files, context, .. }) = &self.run else {
                    if !is_direct {
                        files::may_be_sent(read, span)?;
                    }
                    let order = wanted.then(OrderBy::number);
                    return Ok(Flow { relation: rel(RelType::Range(Range::default())), bounds, order });
                };
                let context = *context;
                let direct = if is_direct && *reads_files { files::direct(read, context) } else { Ok(None) };
                let failed = match direct {
                    Ok(Some(direct)) => {
                        return Ok(Flow { relation: files::relation(read, &direct), bounds, order: None });
                    }
                    Ok(None) => match files::table(read, schema, span, context) {
                        Ok(table) => {
                            self.send(table.data_bytes(), span)?;
                            return self.rows(schema, span, || table);
                        }
                        Err(error) => error,
                    },
                    Err(error) => error.or_at(span),
                };
                self.failure = Some(failed);
                refuse("a file cannot be read")
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
        if schema.columns.is_empty() {
            return Err(Refusal { reason: "a table without columns cannot be sent", span });
        }
        let columns = schema.columns.iter().enumerate();
        let mut ddl: Vec<String> = columns.map(|(i, column)| format!("c{i} {}", type_text(&column.ty))).collect();
        ddl.push("o0 BIGINT".to_string());
        if self.run.as_ref().is_some_and(|run| run.writes_rows) {
            let table = table();
            if table.height() > query::MOST_ROWS {
                return Err(Refusal { reason: "more than 1,000 rows that are only here are not written out", span });
            }
            let relation = rel(RelType::Sql(Sql { query: query::rows(&table) }));
            return Ok(Flow { relation, bounds: vec![None; schema.columns.len()], order: Some(OrderBy::number()) });
        }
        let data = if self.run.is_some() { arrow::numbered(&table()) } else { Vec::new() };
        let local = LocalRelation { data: Some(data), schema: Some(ddl.join(", ")) };
        let relation = rel(RelType::LocalRelation(local));
        Ok(Flow { relation, bounds: vec![None; schema.columns.len()], order: Some(OrderBy::number()) })
    }
}

/// The rows with a column `o0` that numbers them from 0.
fn numbered(relation: Relation, width: usize, order: &OrderBy) -> Relation {
    if order.is_number {
        return project(relation, (0..width).map(column).chain([attribute("o0")]).collect());
    }
    let number = call("-", vec![cast(row_number(Vec::new(), order.keys()), "BIGINT"), long(1)]);
    project(relation, (0..width).map(column).chain([alias(number, "o0")]).collect())
}

fn int32(count: u64) -> Option<i32> {
    i32::try_from(count).ok()
}
