//! The steps of a plan as one lazy frame.

use std::sync::{Arc, Mutex};

use polars::prelude::*;

use crate::data::{self, Type, Value, generate};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::plan::{self, JoinKind, Op, Prepared, SortKey, Source, Step};
use crate::run_context::{RunContext, Stop};

use super::aggregate;
use super::bounds::{self, Bounds};
use super::exprs::{self, Columns, Shared, column, name};
use super::flow::{Flow, Lowerer, Notes, Peeked, Sums, key_of};
use super::kernels;
use super::source;

/// A plan for polars.
pub struct Lowered {
    pub flow: Flow,
    pub notes: Notes,
}

/// The lazy frame of a plan. Without a context it is only to be looked at.
pub fn lower(plan: &Prepared, context: Option<&RunContext>) -> Fallible<Lowered> {
    let mut notes = Notes::default();
    let flow = flow(plan, context, &mut notes)?;
    Ok(Lowered { flow, notes })
}

fn flow(plan: &Prepared, context: Option<&RunContext>, notes: &mut Notes) -> Fallible<Flow> {
    let stop = context.map_or_else(Stop::default, |context| context.stop.clone());
    let shared = Shared::new(&plan.functions, stop);
    let (first, source, rest) = (&plan.source, &plan.source.op, &plan.steps);
    let types: Vec<Type> = first.schema.columns.iter().map(|column| column.ty.clone()).collect();
    let placed = |error: Box<Diagnostic>| Box::new(Diagnostic { span: error.span.or(Some(first.span)), ..*error });
    let mut flow = bound_range(source, rest)
        .and_then(|source| source::flow(&source, &types, taken(rest), context))
        .map_err(placed)?;
    if source::scanned(source) && !uses_columns(rest, types.len()) {
        flow.frame = source::checked(flow.frame);
    }
    for (i, (step, input)) in plan.steps().enumerate() {
        let mut lowerer = Lowerer { plan, input, shared: &shared, context, notes };
        flow = lowerer.step(flow, step, &rest[i + 1..])?;
    }
    Ok(flow)
}

/// A range without an end as one that ends where nothing is taken any more, if steps before a `take` keep each row.
fn bound_range(source: &Source, steps: &[Step]) -> Fallible<Source> {
    let Source::Range { start, end: None } = source else { return Ok(source.clone()) };
    let rows = taken(steps).expect("a range without an end was objected to where nothing ends it");
    let end = i64::try_from(i128::from(*start) + i128::from(rows));
    let end =
        end.map_err(|_| Diagnostic::new(Kind::Overflow, "int overflow: the range has reached the largest int"))?;
    Ok(Source::Range { start: *start, end: Some(end) })
}

/// Whether steps look at the columns of the source, of which there are so many, and not only at how many rows it has.
fn uses_columns(steps: &[Step], width: usize) -> bool {
    for step in steps {
        // Columns that are added stand behind these.
        let uses = |expr: &&plan::Expr| expr.columns().iter().any(|column| *column < width);
        if step.op.input_exprs().iter().any(uses) {
            return true;
        }
        match &step.op {
            // What flows on has other columns.
            Op::Project(_) | Op::Explode(_) | Op::Aggregate { .. } | Op::Fold { .. } => return false,
            Op::Filter(_)
            | Op::Slice { .. }
            | Op::Sort { .. }
            | Op::Reverse
            | Op::Number
            | Op::Distinct(_)
            | Op::Join { .. }
            | Op::Concat(_)
            | Op::Zip(_)
            | Op::Pairs
            | Op::Sample { .. }
            | Op::Peek { .. }
            | Op::Tally(_) => {}
        }
    }
    true
}

/// How many rows of the source steps take at most, if they say so before they need all.
pub fn taken(steps: &[Step]) -> Option<u64> {
    let mut skipped = 0u64;
    for step in steps {
        match &step.op {
            Op::Slice { offset, length: Some(length) } => {
                return Some(skipped.saturating_add(*offset).saturating_add(*length));
            }
            Op::Slice { offset, length: None } => skipped = skipped.saturating_add(*offset),
            Op::Project(_) | Op::Number => {}
            Op::Filter(_)
            | Op::Explode(_)
            | Op::Sort { .. }
            | Op::Reverse
            | Op::Distinct(_)
            | Op::Aggregate { .. }
            | Op::Fold { .. }
            | Op::Join { .. }
            | Op::Concat(_)
            | Op::Zip(_)
            | Op::Pairs
            | Op::Sample { .. }
            | Op::Peek { .. }
            | Op::Tally(_) => return None,
        }
    }
    None
}

impl Lowerer<'_> {
    /// `after` are the steps that follow.
    fn step(&mut self, flow: Flow, step: &Step, after: &[Step]) -> Fallible<Flow> {
        Ok(match &step.op {
            Op::Project(named) => {
                let exprs: Vec<&plan::Expr> = named.iter().map(|named| &named.expr).collect();
                self.project(flow, &exprs)
            }
            Op::Filter(condition) => self.filter(flow, condition),
            Op::Explode(named) => {
                let exprs: Vec<&plan::Expr> = named.iter().map(|named| &named.expr).collect();
                let flow = self.project(flow, &exprs);
                let is_list = |named: &&plan::Named| matches!(named.expr.ty, Type::List(_));
                let lists: Vec<PlSmallStr> =
                    (0..named.len()).filter(|at| is_list(&&named[*at])).map(|at| name("c", at)).collect();
                let element = |(ty, bounds): (Type, Bounds)| match ty {
                    Type::List(of) => ((*of).clone(), bounds::ANY),
                    ty => (ty, bounds),
                };
                // An empty list has no rows, nor has null.
                let options = ExplodeOptions { empty_as_null: false, keep_nulls: false };
                let frame = flow.frame.explode(by_name(lists, true, false), options);
                let columns = flow.columns.into_iter().map(element).collect();
                Flow { frame, columns, rows: None, large: flow.large }
            }
            Op::Slice { offset: 0, length: None } => flow,
            Op::Slice { offset, length } => {
                self.notes.skips |= *offset > 0;
                let many = length.is_some_and(|length| length > MOST_SORTED);
                let before = if many && self.notes.sorts {
                    whole(flow.frame, types(&flow.columns), "SORTED", Ok)
                } else {
                    flow.frame
                };
                let short = |rows: u64| IdxSize::try_from(rows).unwrap_or(IdxSize::MAX);
                let start = i64::try_from(*offset).unwrap_or(i64::MAX);
                let frame = before.slice(start, length.map_or(IdxSize::MAX, short));
                let left = flow.rows.map(|rows| rows.saturating_sub(*offset));
                let rows = match (left, length) {
                    (Some(left), Some(length)) => Some(left.min(*length)),
                    (left, length) => left.or(*length),
                };
                Flow { frame, rows, ..flow }
            }
            Op::Sort { keys, limit } => self.sort(flow, keys, *limit),
            Op::Reverse if flow.columns.iter().any(|(ty, _)| matches!(ty, Type::List(_))) => {
                // Its own forgets what lists hold where all of them are null.
                let frame = whole(flow.frame, types(&flow.columns), "REVERSE", |frame| {
                    let order: Vec<IdxSize> = (0..frame.height() as IdxSize).rev().collect();
                    frame.take(&IdxCa::from_vec(PlSmallStr::EMPTY, order))
                });
                Flow { frame, ..flow }
            }
            Op::Reverse => Flow { frame: flow.frame.reverse(), ..flow },
            Op::Number => {
                let width = flow.columns.len();
                let numbered = flow.frame.with_row_index("row", None);
                let mut select: Vec<Expr> = (0..width).map(column).collect();
                select.push(col("row").cast(DataType::Int64).alias(name("c", width)));
                let mut columns = flow.columns;
                columns.push((Type::Int, Bounds::new(0, u32::MAX)));
                Flow { frame: numbered.select(select), columns, ..flow }
            }
            Op::Distinct(by) => self.distinct(flow, by.as_deref()),
            Op::Aggregate { keys, aggs } => {
                self.notes.ordered |= aggs.iter().any(|agg| agg.func.needs_order());
                self.notes.fallible |= aggs.iter().any(|agg| matches!(agg.func, plan::AggFunc::Sum));
                self.notes.skips |=
                    aggs.iter().any(|agg| matches!(agg.func, plan::AggFunc::First | plan::AggFunc::Last));
                aggregate::aggregate(flow, keys, aggs, self)
            }
            Op::Fold { .. } => unreachable!("it was objected to"),
            Op::Join { kind, right, on, right_columns } => self.join(flow, *kind, right, on, right_columns)?,
            Op::Concat(plans) => {
                let mut flows = vec![flow];
                for plan in plans {
                    flows.push(self::flow(plan, self.context, self.notes)?);
                }
                self.notes.concatenates = true;
                concatenate(flows)
            }
            Op::Zip(plans) => {
                let mut flows = vec![flow];
                for plan in plans {
                    flows.push(self::flow(plan, self.context, self.notes)?);
                }
                self.notes.zipped = Some(step.span);
                self.notes.fallible = true;
                zip(flows)
            }
            Op::Pairs if any_order(after) => crossed(flow),
            Op::Pairs => {
                self.notes.ordered = true;
                let both = flow.columns[0].clone();
                let stop = self.shared.stop.clone();
                let types = vec![both.0.clone(), both.0.clone()];
                let frame = whole(flow.frame, types, "PAIRS", move |frame| pairs(&frame, &stop));
                let rows = flow.rows.map(|rows| rows.saturating_mul(rows));
                Flow { frame, columns: vec![both.clone(), both], rows, large: flow.large }
            }
            Op::Sample { count, seed } => {
                let (count, seed) = (*count, *seed);
                let frame = whole(flow.frame, types(&flow.columns), "SAMPLE", move |frame| sample(frame, count, seed));
                Flow { frame, rows: flow.rows.map(|rows| rows.min(count)), ..flow }
            }
            Op::Peek { count, label } => self.peek(flow, *count, label),
            Op::Tally(counters) => self.tally(flow, counters),
        })
    }

    fn lower(&mut self, expr: &plan::Expr, columns: &Columns) -> exprs::Lowered {
        let mut slow = Vec::new();
        let lowered = exprs::lower(expr, columns, self.shared, &mut slow);
        self.notes.fallible |= lowered.fallible;
        self.notes.slow.extend(slow.iter().map(|expr| plan::expr_text(expr, self.input, self.plan)));
        lowered
    }

    /// These expressions as the only columns.
    pub fn project(&mut self, flow: Flow, exprs: &[&plan::Expr]) -> Flow {
        let lowered: Vec<exprs::Lowered> = exprs.iter().map(|expr| self.lower(expr, &flow.columns)).collect();
        let columns = exprs.iter().zip(&lowered).map(|(expr, lowered)| (expr.ty.clone(), lowered.bounds)).collect();
        let constants = lowered.iter().any(|lowered| !lowered.varies);
        let letter = if constants { "n" } else { "c" };
        let named = lowered.into_iter().enumerate().map(|(i, lowered)| lowered.expr.alias(name(letter, i)));
        let named: Vec<Expr> = named.collect();
        let frame = if constants {
            // A selection of constants alone would be one row: they are put beside the rows first.
            let places = 0..named.len();
            let select: Vec<Expr> = places.map(|i| col(name("n", i)).alias(name("c", i))).collect();
            flow.frame.with_columns(named).select(select)
        } else {
            flow.frame.select(named)
        };
        Flow { frame, columns, ..flow }
    }

    /// The flow with more columns, called by `letter`.
    fn add_columns(&mut self, flow: Flow, exprs: &[&plan::Expr], letter: &str, key: bool) -> Flow {
        let named = exprs.iter().enumerate().map(|(i, expr)| {
            let lowered = self.lower(expr, &flow.columns).expr;
            let value = if key { key_of(lowered, &expr.ty) } else { lowered };
            value.alias(name(letter, i))
        });
        let named: Vec<Expr> = named.collect();
        Flow { frame: flow.frame.with_columns(named), ..flow }
    }

    fn filter(&mut self, flow: Flow, condition: &plan::Expr) -> Flow {
        let lowered = self.lower(condition, &flow.columns);
        if lowered.varies {
            return Flow { frame: flow.frame.filter(lowered.expr), ..flow };
        }
        let kept = flow.frame.with_columns([lowered.expr.alias("m0")]).filter(col("m0"));
        Flow { frame: kept.select(all(flow.columns.len())), ..flow }
    }

    fn sort(&mut self, flow: Flow, keys: &[SortKey], limit: Option<u64>) -> Flow {
        self.notes.sorts = true;
        let width = flow.columns.len();
        let exprs: Vec<&plan::Expr> = keys.iter().map(|key| &key.expr).collect();
        let descending: Vec<bool> = keys.iter().map(|key| key.descending).collect();
        let listed = keys.iter().any(|key| matches!(key.expr.ty, Type::List(_)));
        let flow = self.add_columns(flow, &exprs, "s", false);
        let frame = if listed {
            let types: Vec<Type> = keys.iter().map(|key| key.expr.ty.clone()).collect();
            let schema: Vec<(PlSmallStr, Type)> = (0..width)
                .map(|i| (name("c", i), flow.columns[i].0.clone()))
                .chain(types.iter().enumerate().map(|(i, ty)| (name("s", i), ty.clone())))
                .collect();
            opaque(flow.frame, schema, "SORT", move |frame| sort_with_lists(frame, width, &types, &descending))
        } else {
            let by: Vec<Expr> = (0..keys.len()).map(|i| col(name("s", i))).collect();
            let options = SortMultipleOptions::default().with_order_descending_multi(descending).with_nulls_last(true);
            flow.frame.sort_by_exprs(by, options)
        };
        let frame = frame.select(all(width));
        match limit {
            None => Flow { frame, ..flow },
            // What is sorted must be computed all the same; polars would not.
            Some(0) => {
                let frame = whole(frame, types(&flow.columns), "TOP", |frame| Ok(frame.head(Some(0))));
                Flow { frame, rows: Some(0), ..flow }
            }
            Some(limit) => {
                let frame = if limit > MOST_SORTED { whole(frame, types(&flow.columns), "SORTED", Ok) } else { frame };
                let frame = frame.limit(IdxSize::try_from(limit).unwrap_or(IdxSize::MAX));
                Flow { frame, rows: Some(flow.rows.map_or(limit, |rows| rows.min(limit))), ..flow }
            }
        }
    }

    fn distinct(&mut self, flow: Flow, by: Option<&[plan::Expr]>) -> Flow {
        let width = flow.columns.len();
        let (flow, count, keep) = match by {
            None => {
                let keys =
                    flow.columns.iter().enumerate().map(|(i, (ty, _))| key_of(column(i), ty).alias(name("k", i)));
                let keys: Vec<Expr> = keys.collect();
                (Flow { frame: flow.frame.with_columns(keys), ..flow }, width, UniqueKeepStrategy::Any)
            }
            Some(by) => {
                self.notes.ordered = true;
                let exprs: Vec<&plan::Expr> = by.iter().collect();
                (self.add_columns(flow, &exprs, "k", true), by.len(), UniqueKeepStrategy::First)
            }
        };
        let subset = by_name((0..count).map(|i| name("k", i)), true, false);
        // What is small comes in the order of the first rows, which is pleasant but not promised.
        let unique = match flow.large {
            true => flow.frame.unique(Some(subset), keep),
            false => flow.frame.unique_stable(Some(subset), UniqueKeepStrategy::First),
        };
        let frame = unique.select(all(width));
        Flow { frame, ..flow }
    }

    fn join(
        &mut self,
        left: Flow,
        kind: JoinKind,
        right: &Prepared,
        on: &[(plan::Expr, plan::Expr)],
        right_columns: &[usize],
    ) -> Fallible<Flow> {
        let width = left.columns.len();
        let (lefts, rights): (Vec<&plan::Expr>, Vec<&plan::Expr>) =
            on.iter().map(|(left, right)| (left, right)).unzip();
        let left = self.add_columns(left, &lefts, "k", true);
        let other = self::flow(right, self.context, self.notes)?;
        let shared = Shared::new(&right.functions, self.shared.stop.clone());
        let mut lowerer = Lowerer {
            plan: right,
            input: right.schema(),
            shared: &shared,
            context: self.context,
            notes: &mut *self.notes,
        };
        let other = lowerer.add_columns(other, &rights, "k", true);
        let wanted = right_columns.iter().enumerate().map(|(i, index)| column(*index).alias(name("c", width + i)));
        let keys = (0..on.len()).map(|i| col(name("k", i)).alias(name("r", i)));
        let matched = other.frame.select(wanted.chain(keys).collect::<Vec<_>>());
        let how = match kind {
            JoinKind::Inner => JoinType::Inner,
            JoinKind::Left => JoinType::Left,
            JoinKind::Semi => JoinType::Semi,
            JoinKind::Anti => JoinType::Anti,
        };
        let rows = match kind {
            JoinKind::Semi | JoinKind::Anti => left.rows,
            JoinKind::Inner | JoinKind::Left => {
                left.rows.zip(other.rows).map(|(left, right)| left.saturating_mul(right.max(1)))
            }
        };
        let large = left.large || other.large || explodes(rows);
        let order = if large { MaintainOrderJoin::None } else { MaintainOrderJoin::LeftRight };
        let builder =
            left.frame.join_builder().maintain_order(order).with(matched).how(how).coalesce(JoinCoalesce::KeepColumns);
        let by = |letter: &str| (0..on.len()).map(|i| col(name(letter, i))).collect::<Vec<_>>();
        let frame = builder.left_on(by("k")).right_on(by("r")).finish();
        let mut columns = left.columns;
        columns.extend(right_columns.iter().map(|index| other.columns[*index].clone()));
        let frame = frame.select(all(columns.len()));
        Ok(Flow { frame, columns, rows, large })
    }

    fn tally(&mut self, flow: Flow, counters: &[plan::Named]) -> Flow {
        let sums: Sums = Arc::default();
        self.notes.tallied.push((counters.iter().map(|counter| counter.name.clone()).collect(), sums.clone()));
        let exprs: Vec<&plan::Expr> = counters.iter().map(|counter| &counter.expr).collect();
        let (width, columns) = (flow.columns.len(), types(&flow.columns));
        let counted: Vec<Type> = exprs.iter().map(|expr| expr.ty.clone()).collect();
        let flow = self.add_columns(flow, &exprs, "t", false);
        let all_columns = columns.into_iter().enumerate().map(|(i, ty)| (name("c", i), ty));
        let with_counted = counted.iter().enumerate().map(|(i, ty)| (name("t", i), ty.clone()));
        let schema = all_columns.chain(with_counted).collect();
        let frame = opaque(flow.frame, schema, "COUNT", move |frame| {
            let counted: Vec<i128> = (0..counted.len())
                .map(|i| {
                    let values = data::values(frame.columns()[width + i].as_materialized_series(), &counted[i]);
                    values
                        .iter()
                        .map(|value| match value {
                            Value::Int(i) => i128::from(*i),
                            Value::Bool(b) => i128::from(*b),
                            Value::Null | Value::Float(_) | Value::Text(_) | Value::List(_) => 0,
                        })
                        .sum()
                })
                .collect();
            *sums.lock().expect("nothing panics while it holds this") = Some(counted);
            Ok(frame)
        });
        Flow { frame: frame.select(all(width)), ..flow }
    }

    fn peek(&mut self, flow: Flow, count: u64, label: &str) -> Flow {
        let seen: Arc<Mutex<Option<Peeked>>> = Arc::default();
        self.notes.peeked.push(seen.clone());
        let (types, label) = (types(&flow.columns), label.to_string());
        let look = types.clone();
        let frame = whole(flow.frame, types, "PEEK", move |frame| {
            let first = frame.head(Some(usize::try_from(count).unwrap_or(usize::MAX)));
            let columns: Vec<Vec<Value>> = values(&first, &look);
            let rows =
                (0..first.height()).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect();
            let mut seen = seen.lock().expect("nothing panics while it holds this");
            *seen = Some(Peeked { label: label.clone(), rows });
            Ok(frame)
        });
        Flow { frame, ..flow }
    }
}

fn types(columns: &Columns) -> Vec<Type> {
    columns.iter().map(|(ty, _)| ty.clone()).collect()
}

fn all(width: usize) -> Vec<Expr> {
    (0..width).map(column).collect()
}

fn values(frame: &DataFrame, types: &[Type]) -> Vec<Vec<Value>> {
    let columns = frame.columns().iter().zip(types);
    columns.map(|(column, ty)| data::values(column.as_materialized_series(), ty)).collect()
}

fn concatenate(flows: Vec<Flow>) -> Flow {
    let args = UnionArgs { maintain_order: true, ..UnionArgs::default() };
    let columns = (0..flows[0].columns.len()).map(|i| {
        let bounds = flows.iter().map(|flow| flow.columns[i].1).reduce(Bounds::with);
        (flows[0].columns[i].0.clone(), bounds.unwrap_or(bounds::ANY))
    });
    let columns: Columns = columns.collect();
    let rows = flows.iter().map(|flow| flow.rows).sum::<Option<u64>>();
    let large = flows.iter().any(|flow| flow.large);
    // A column that nothing uses may have another type in another table.
    let fitted = |flow: Flow| {
        let pairs = || flow.columns.iter().zip(&columns).enumerate();
        let misfits = pairs().filter(|(_, ((have, _), (want, _)))| data::dtype(have) != data::dtype(want));
        let nulls: Vec<Expr> =
            misfits.map(|(i, (_, (want, _)))| exprs::constant(&Value::Null, want).expr.alias(name("c", i))).collect();
        if nulls.is_empty() { flow.frame } else { flow.frame.with_columns(nulls) }
    };
    let frames: Vec<LazyFrame> = flows.into_iter().map(fitted).collect();
    let frame = concat(frames, args).expect("there is at least one");
    Flow { frame, columns, rows, large }
}

fn zip(flows: Vec<Flow>) -> Flow {
    let large = flows.iter().any(|flow| flow.large);
    let rows = flows.iter().filter_map(|flow| flow.rows).min();
    let mut columns = Columns::new();
    let mut frames = Vec::new();
    for flow in flows {
        let names = flow.columns.iter().enumerate().map(|(i, _)| column(i).alias(name("c", columns.len() + i)));
        frames.push(flow.frame.select(names.collect::<Vec<_>>()));
        columns.extend(flow.columns);
    }
    let options = HConcatOptions { strict: true, ..HConcatOptions::default() };
    let frame = concat_lf_horizontal(frames, options).expect("there is at least one");
    Flow { frame, columns, rows, large }
}

/// A function of ours over the whole frame, which gives columns `c…` of these types.
fn whole<F>(frame: LazyFrame, types: Vec<Type>, what: &'static str, function: F) -> LazyFrame
where
    F: Fn(DataFrame) -> PolarsResult<DataFrame> + Send + Sync + 'static,
{
    let schema = types.into_iter().enumerate().map(|(i, ty)| (name("c", i), ty)).collect();
    opaque(frame, schema, what, function)
}

fn opaque<F>(frame: LazyFrame, schema: Vec<(PlSmallStr, Type)>, what: &'static str, function: F) -> LazyFrame
where
    F: Fn(DataFrame) -> PolarsResult<DataFrame> + Send + Sync + 'static,
{
    let fields = schema.into_iter().map(|(name, ty)| Field::new(name, data::dtype(&ty)));
    let schema: SchemaRef = Arc::new(fields.collect::<Schema>());
    let schema: Arc<dyn UdfSchema> = Arc::new(move |_: &Schema| Ok(schema.clone()));
    frame.map(function, AllowedOptimizations::empty(), Some(schema), Some(what))
}

/// Sorted by columns after the first `width`, where some are lists, which polars does not order.
fn sort_with_lists(frame: DataFrame, width: usize, types: &[Type], descending: &[bool]) -> PolarsResult<DataFrame> {
    let keys: Vec<Vec<Value>> = frame.columns()[width..]
        .iter()
        .zip(types)
        .map(|(column, ty)| data::values(column.as_materialized_series(), ty))
        .collect();
    let mut order: Vec<IdxSize> = (0..frame.height() as IdxSize).collect();
    order.sort_by(|a, b| {
        let orders = keys.iter().zip(descending).map(|(key, descending)| {
            let (a, b) = (&key[*a as usize], &key[*b as usize]);
            a.compare_directed(b, *descending)
        });
        orders.into_iter().find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    });
    frame.take(&IdxCa::from_vec(PlSmallStr::EMPTY, order))
}

/// Whether what follows makes the same of any order of the rows.
fn any_order(after: &[Step]) -> bool {
    let next = after.iter().find(|step| !matches!(step.op, Op::Project(_) | Op::Filter(_) | Op::Explode(_)));
    match next.map(|step| &step.op) {
        Some(Op::Aggregate { aggs, .. }) => !aggs.iter().any(|agg| agg.func.needs_order()),
        Some(Op::Distinct(None) | Op::Sort { .. }) => true,
        _ => false,
    }
}

/// Each row with each row after it, in any order: pairs are passed on, not kept. (In order it does not stream: the
/// pieces of a cross join have no numbers of their own, so what is distributed after it comes together in another
/// order.)
fn crossed(flow: Flow) -> Flow {
    let numbered =
        |letter: &str, number: &str| flow.frame.clone().select([column(0).alias(letter)]).with_row_index(number, None);
    let crossed = numbered("a", "i").cross_join(numbered("b", "j"), None);
    let select = [col("a").alias(name("c", 0)), col("b").alias(name("c", 1))];
    let frame = crossed.filter(col("i").lt(col("j"))).select(select);
    let both = flow.columns[0].clone();
    let rows = flow.rows.map(|rows| rows.saturating_mul(rows));
    Flow { frame, columns: vec![both.clone(), both], rows, large: explodes(rows) || flow.large }
}

/// Each row with each row after it, in order.
fn pairs(frame: &DataFrame, stop: &Stop) -> PolarsResult<DataFrame> {
    let rows = frame.height();
    let count = rows.saturating_mul(rows.saturating_sub(1)) / 2;
    if count >= IdxSize::MAX as usize {
        let message = format!("polars counts rows in 32 bits: {rows} rows have too many pairs");
        return Err(kernels::failed(Kind::System, Span::default(), &message));
    }
    let (mut firsts, mut seconds) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for i in 0..rows {
        if stop.is_raised() {
            return Err(kernels::failed(Kind::Stopped, Span::default(), "stopped"));
        }
        firsts.extend(std::iter::repeat_n(i as IdxSize, rows - i - 1));
        seconds.extend(i as IdxSize + 1..rows as IdxSize);
    }
    let only = &frame.columns()[0];
    let taken = |places: Vec<IdxSize>, name: &str| {
        only.take(&IdxCa::from_vec(PlSmallStr::EMPTY, places)).map(|column| column.with_name(name.into()))
    };
    DataFrame::new(count, vec![taken(firsts, "c0")?, taken(seconds, "c1")?])
}

/// Of sorted rows polars takes up to these by a heap, for which it makes room at once.
const MOST_SORTED: u64 = 1 << 20;

/// Whether so many rows may come of a step that they are better passed on than kept.
fn explodes(rows: Option<u64>) -> bool {
    const MANY: u64 = 1_000_000;
    rows.is_none_or(|rows| rows > MANY)
}

fn sample(frame: DataFrame, count: u64, seed: i64) -> PolarsResult<DataFrame> {
    let rows = frame.height();
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count >= rows {
        return Ok(frame);
    }
    let mut order: Vec<IdxSize> = (0..rows as IdxSize).collect();
    if count > 0 {
        order.select_nth_unstable_by_key(count - 1, |row| (generate::mix(seed, u64::from(*row)), *row));
    }
    order.truncate(count);
    order.sort_unstable();
    frame.take(&IdxCa::from_vec(PlSmallStr::EMPTY, order))
}
