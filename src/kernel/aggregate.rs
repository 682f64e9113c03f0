//! Groups and their aggregates, by column: the state of an aggregate is a vector with an entry for each group.

use crate::data::scalar::Spread;
use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::plan::aggregates::OfNumbers;
use crate::plan::{Agg, AggFunc, Named};
use crate::rowwise::{self, Frame, Program};
use crate::run_context::RunContext;

use super::column::{Batch, Column, Data};
use super::expr::{Compiled, Compiler};
use super::flat::Flat;
use super::groups::{Groups, Packed};
use super::loops;
use super::partial::{CHECKED_ROWS, Partial, spread};
use super::rows::{Rows, value_size};
use super::scope::Scope;
use super::slots::{Nulls, Slots};
use super::summary::{self, Figure, FloatSum, Summary, larger, smaller};

/// The groups of an aggregation, in order of their first rows.
pub struct Aggregates<'a> {
    keys: Vec<Compiled>,
    columns: Vec<Aggregate>,
    /// What several of these share.
    summaries: Vec<Summary>,
    program: &'a Program,
    groups: Groups,
    /// The keys as they were in the first row of each group.
    first: Rows,
    /// The group of each row of the last batch.
    ids: Vec<u32>,
}

struct Aggregate {
    shape: Shape,
    /// Of what it takes, and of what it gives.
    value_ty: Type,
    ty: Type,
    span: Span,
    state: State,
}

/// What goes into a state.
struct Shape {
    arg: Option<Compiled>,
    /// The expression of `reduce`.
    reduce: Option<rowwise::Compiled>,
}

impl Shape {
    /// Takes the rows of a batch into a state of `count` groups.
    fn take(&self, state: &mut State, scope: Scope, count: usize, ids: Ids, program: &Program) -> Fallible<()> {
        if let State::Shared(..) = state {
            return Ok(());
        }
        let fault = |fault: Box<rowwise::RowError>| fault.diagnostic(None);
        state.grow(count);
        let value = match &self.arg {
            Some(arg) => arg.value(scope).map_err(fault)?,
            None => Column::constant(&Value::Int(0), &Type::Int),
        };
        match (state, &self.reduce) {
            (State::Reduce(accs), Some(step)) => {
                let mut frame = Frame::new(program).stopping_at(scope.stop);
                for row in 0..ids.rows() {
                    reduce_one(&mut accs[ids.at(row)], value.value(row), step, &mut frame).map_err(fault)?;
                }
            }
            (State::Distinct(seen), _) => seen.take(&value, ids)?,
            (state, _) => state.take(&value, ids),
        }
        Ok(())
    }
}

impl<'a> Aggregates<'a> {
    pub fn new(keys: &[Named], aggs: &[Agg], compiler: &Compiler, program: &'a Program) -> Aggregates<'a> {
        let (summaries, figures) = match keys {
            // There are faster loops for each.
            [] => (Vec::new(), vec![None; aggs.len()]),
            _ => summary::shared(aggs),
        };
        let column = |(agg, figure): (&Agg, Option<(usize, Figure)>)| Aggregate {
            shape: Shape {
                arg: agg.arg.as_ref().map(|arg| compiler.compile(arg)),
                reduce: if let AggFunc::Reduce(step) = &agg.func { Some(rowwise::Compiled::new(step)) } else { None },
            },
            value_ty: agg.arg.as_ref().map_or(Type::Int, |arg| arg.ty.clone()),
            ty: agg.ty.clone(),
            span: agg.arg.as_ref().map_or(Span::default(), |arg| arg.span),
            state: match figure {
                Some((place, figure)) => State::Shared(place, figure),
                None => State::new(&agg.func, agg.arg.as_ref().map_or(&Type::Int, |arg| &arg.ty)),
            },
        };
        Aggregates {
            keys: keys.iter().map(|key| compiler.compile(&key.expr)).collect(),
            columns: aggs.iter().zip(figures).map(column).collect(),
            summaries,
            program,
            groups: Groups::default(),
            first: Rows::new(keys.iter().map(|key| &key.expr.ty)),
            ids: Vec::new(),
        }
    }

    /// How many groups it has by keys.
    pub fn keyed_groups(&self) -> usize {
        self.groups.len()
    }

    /// Whether partials may be merged in any order of the input: only the order of groups is that of their rows.
    pub fn merges_in_any_order(&self) -> bool {
        let is_exact = |column: &Aggregate| match &column.state {
            State::Count(..) | State::Ints(..) | State::IntEnd(..) => true,
            // Sums of floats depend on it, and so does which of two zeros is the least.
            State::Floats(..) | State::FloatEnd(..) | State::Numbers(..) | State::Spread(_) | State::Shared(..) => {
                false
            }
            State::First(_) | State::Last(_) | State::Collect(_) | State::Reduce(_) | State::JoinText(..) => false,
            // Their flat columns cost more than a few more merges.
            State::ValueEnd(..) | State::Distinct(_) => false,
        };
        !self.keys.is_empty() && self.columns.iter().all(is_exact)
    }

    /// To which of `parts` parts each row of a batch belongs, by its key: as in [`Partial::split`].
    pub fn places(&self, scope: Scope, parts: usize) -> Fallible<Vec<usize>> {
        if self.keys.is_empty() {
            return Ok(vec![0; scope.rows()]);
        }
        let keys: Result<Vec<Column>, _> = self.keys.iter().map(|key| key.value(scope)).collect();
        let keys = keys.map_err(|fault| fault.diagnostic(None))?;
        Ok(Packed::new(&keys, scope.rows()).places(parts))
    }

    fn count(&self) -> usize {
        if self.keys.is_empty() { 1 } else { self.groups.len() }
    }

    /// As [`Partial::split`], with the flat columns of one more aggregate at the end: the least place of each group,
    /// if the groups are at places from `first` on. Also how many groups there are.
    pub fn split_numbered(self, parts: usize, first: i64) -> Fallible<(Vec<Batch>, usize)> {
        let places = self.groups.parts(parts);
        let mut flat = self.columns()?;
        flat.columns.push(Column::ints((first..).take(flat.rows).collect(), None));
        flat.columns.push(Column::constant(&Value::Bool(true), &Type::Bool));
        let count = flat.rows;
        Ok((spread(&flat, places, parts), count))
    }

    /// The groups here of those of a later part, by their keys and the keys of their first rows; and which are new.
    fn take_groups(&mut self, keys: &Packed, first: &Batch, context: &RunContext) -> Fallible<(Vec<u32>, Vec<u32>)> {
        if self.keys.is_empty() {
            return Ok((vec![0], Vec::new()));
        }
        let (mut all, mut all_fresh, mut some) = (Vec::with_capacity(keys.len()), Vec::new(), Vec::new());
        for start in (0..keys.len()).step_by(CHECKED_ROWS) {
            context.check()?;
            let count = CHECKED_ROWS.min(keys.len() - start);
            let fresh = self.groups.take(&keys.part(start, count), &mut some);
            self.first.push_rows(&first.part(start, count), &fresh)?;
            all.extend_from_slice(&some);
            all_fresh.extend(fresh.iter().map(|row| start as u32 + row));
        }
        Ok((all, all_fresh))
    }

    /// Flat columns with a group for each row of a batch, as if no two rows had the same key: so cheap are rows that go
    /// elsewhere before equal keys are looked for.
    pub fn singles(&self, scope: Scope) -> Fallible<Batch> {
        let rows = scope.rows();
        let keys: Result<Vec<Column>, _> = self.keys.iter().map(|key| key.value(scope)).collect();
        let mut columns = keys.map_err(|fault| fault.diagnostic(None))?;
        let ids: Vec<u32> = (0..rows as u32).collect();
        for summary in &self.summaries {
            let mut summary = summary.empty();
            summary.grow(rows);
            summary.take(&scope.batch.columns[summary.column], &ids);
            columns.extend(summary.columns());
        }
        for column in &self.columns {
            let mut state = column.state.empty(&column.value_ty);
            column.shape.take(&mut state, scope, rows, Ids::Each(&ids), self.program)?;
            // As before another batch: who was in this one has a value, unless it is flagged.
            state.grow(rows);
            columns.extend(state.columns(&column.value_ty));
        }
        Ok(Batch { rows, columns })
    }

    /// Takes the states of a later part, whose group `i` is `ids[i]` here.
    fn take_states(
        &mut self,
        ids: &[u32],
        summaries: &[Summary],
        states: Vec<State>,
        context: &RunContext,
    ) -> Fallible<()> {
        let count = self.count();
        for (summary, later) in self.summaries.iter_mut().zip(summaries) {
            context.check()?;
            summary.grow(count);
            summary.merge(later, ids);
        }
        for (column, later) in self.columns.iter_mut().zip(states) {
            context.check()?;
            column.state.grow(count);
            match (&mut column.state, later, &column.shape.reduce) {
                (State::Reduce(accs), State::Reduce(later), Some(step)) => {
                    let mut frame = Frame::new(self.program).stopping_at(&context.stop);
                    each(ids, later, context, |id, value| {
                        reduce_one(&mut accs[id], value.unwrap_or_default(), step, &mut frame)
                            .map_err(|fault| fault.diagnostic(None))
                    })?;
                }
                (State::Distinct(seen), State::Distinct(later), _) => seen.merge(*later, ids, context)?,
                (state, later, _) => state.merge(later, ids, context)?,
            }
        }
        Ok(())
    }
}

impl Partial for Aggregates<'_> {
    type Whole = Batch;

    fn take(&mut self, scope: Scope) -> Fallible<()> {
        let fault = |fault: Box<rowwise::RowError>| fault.diagnostic(None);
        if !self.keys.is_empty() {
            let keys: Result<Vec<Column>, _> = self.keys.iter().map(|key| key.value(scope)).collect();
            let keys = Batch { rows: scope.rows(), columns: keys.map_err(fault)? };
            let fresh = self.groups.take(&Packed::new(&keys.columns, keys.rows), &mut self.ids);
            self.first.push_rows(&keys, &fresh)?;
        }
        let count = self.count();
        let ids = if self.keys.is_empty() { Ids::One(scope.rows()) } else { Ids::Each(&self.ids) };
        for summary in &mut self.summaries {
            summary.grow(count);
            summary.take(&scope.batch.columns[summary.column], &self.ids);
        }
        for column in &mut self.columns {
            column.shape.take(&mut column.state, scope, count, ids, self.program)?;
        }
        Ok(())
    }

    fn merge(&mut self, later: Self, context: &RunContext) -> Fallible<()> {
        let (ids, _) = self.take_groups(&later.groups.packed(), &later.first.finish(), context)?;
        let states = later.columns.into_iter().map(|column| column.state).collect();
        self.take_states(&ids, &later.summaries, states, context)
    }

    fn size(&self) -> usize {
        let states = self.columns.iter().map(|column| column.state.size());
        let summaries = self.summaries.iter().map(Summary::size);
        self.groups.size() + self.first.size() + states.chain(summaries).sum::<usize>()
    }

    fn columns(mut self) -> Fallible<Batch> {
        let count = self.count();
        let Batch { mut columns, .. } = self.first.finish();
        for mut summary in self.summaries {
            summary.grow(count);
            columns.extend(summary.columns());
        }
        for column in &mut self.columns {
            column.state.grow(count);
            let state = std::mem::replace(&mut column.state, State::Count(Vec::new(), false));
            columns.extend(state.columns(&column.value_ty));
        }
        Ok(Batch { rows: count, columns })
    }

    fn take_columns(&mut self, flat: Batch, context: &RunContext) -> Fallible<Vec<u32>> {
        let mut flat = Flat::new(flat);
        let first = Batch { rows: flat.rows, columns: flat.columns(self.keys.len()) };
        let summaries: Vec<Summary> = self.summaries.iter().map(|summary| summary.of_columns(&mut flat)).collect();
        let states = self.columns.iter().map(|column| column.state.of_columns(&mut flat, &column.value_ty));
        let states = states.collect::<Fallible<Vec<State>>>()?;
        let (ids, fresh) = self.take_groups(&Packed::new(&first.columns, first.rows), &first, context)?;
        self.take_states(&ids, &summaries, states, context)?;
        Ok(fresh)
    }

    fn split(self, parts: usize) -> Fallible<Vec<Batch>> {
        if self.keys.is_empty() {
            return Ok(vec![self.columns()?]);
        }
        let places = self.groups.parts(parts);
        Ok(spread(&self.columns()?, places, parts))
    }

    fn finish(mut self) -> Fallible<Batch> {
        let count = self.count();
        let Batch { mut columns, .. } = self.first.finish();
        for column in &mut self.columns {
            if let State::Shared(place, figure) = column.state {
                columns.push(self.summaries[place].finish(figure));
                continue;
            }
            column.state.grow(count);
            let state = std::mem::replace(&mut column.state, State::Count(Vec::new(), false));
            columns.push(state.finish(&column.ty, column.span)?);
        }
        Ok(Batch { rows: count, columns })
    }
}

/// Hands what each group of a later part has to `take`, with the group's number here.
fn each<T>(
    ids: &[u32],
    later: Vec<T>,
    context: &RunContext,
    mut take: impl FnMut(usize, T) -> Fallible<()>,
) -> Fallible<()> {
    let mut later = later.into_iter();
    for ids in ids.chunks(CHECKED_ROWS) {
        context.check()?;
        ids.iter().zip(later.by_ref()).try_for_each(|(id, value)| take(*id as usize, value))?;
    }
    Ok(())
}

/// Takes one more value into what a `reduce` has so far.
fn reduce_one(
    acc: &mut Option<Value>,
    value: Value,
    step: &rowwise::Compiled,
    frame: &mut Frame,
) -> Result<(), Box<rowwise::RowError>> {
    if value.is_null() {
        return Ok(());
    }
    *acc = Some(match acc.take() {
        None => value,
        Some(acc) => {
            frame.acc = acc;
            frame.row.clear();
            frame.row.push(value);
            step.value(frame)?
        }
    });
    Ok(())
}

/// The group of each row.
#[derive(Clone, Copy)]
enum Ids<'a> {
    /// All so many rows are in the first.
    One(usize),
    Each(&'a [u32]),
}

impl Ids<'_> {
    #[inline(always)]
    fn at(self, row: usize) -> usize {
        match self {
            Ids::One(_) => 0,
            Ids::Each(ids) => ids[row] as usize,
        }
    }

    fn rows(self) -> usize {
        match self {
            Ids::One(rows) => rows,
            Ids::Each(ids) => ids.len(),
        }
    }
}

enum State {
    /// How many rows, or where the flag is up, values that are not null.
    Count(Vec<i64>, bool),
    /// The mean where the flag is up, else the sum.
    Ints(Vec<(i128, u64)>, bool),
    Floats(Vec<FloatSum>, bool),
    /// The largest where the flag is up, else the least.
    IntEnd(Ends<i64>, bool),
    FloatEnd(Ends<f64>, bool),
    ValueEnd(Vec<Value>, bool),
    /// All numbers, and what becomes of them.
    Numbers(Vec<Vec<f64>>, OfNumbers),
    Spread(Vec<Spread>),
    First(Vec<Option<Value>>),
    Last(Vec<Option<Value>>),
    Distinct(Box<Seen>),
    Collect(Vec<Vec<Value>>),
    Reduce(Vec<Option<Value>>),
    JoinText(Vec<Option<String>>, String),
    /// A figure of one of the summaries.
    Shared(usize, Figure),
}

/// The least or largest value of each group, and whether it has one.
struct Ends<T> {
    values: Vec<T>,
    /// Only as far as there were nulls: each group after these has one.
    seen: Vec<bool>,
    /// How many groups there were before the last batch, in which each new one has a row.
    before: usize,
    /// What every value is further than, or as far as.
    start: T,
}

/// The values that each group has had.
struct Seen {
    /// Groups of a group and a value.
    pairs: Groups,
    /// The group and the value of each pair.
    owners: Vec<u32>,
    values: Rows,
    /// Values that are not null, by group.
    counts: Vec<i64>,
}

impl State {
    fn new(func: &AggFunc, ty: &Type) -> State {
        let is_int = matches!(ty, Type::Int | Type::Open);
        let end = |largest| match ty {
            Type::Int => State::IntEnd(Ends::new(if largest { i64::MIN } else { i64::MAX }), largest),
            // NaN is above all.
            Type::Float => State::FloatEnd(Ends::new(if largest { f64::NEG_INFINITY } else { f64::NAN }), largest),
            Type::Bool | Type::Text | Type::List(_) | Type::Open | Type::Never => State::ValueEnd(Vec::new(), largest),
        };
        match func {
            AggFunc::Rows => State::Count(Vec::new(), false),
            AggFunc::Count => State::Count(Vec::new(), true),
            AggFunc::Sum if is_int => State::Ints(Vec::new(), false),
            AggFunc::Mean if is_int => State::Ints(Vec::new(), true),
            AggFunc::Sum => State::Floats(Vec::new(), false),
            AggFunc::Mean => State::Floats(Vec::new(), true),
            AggFunc::Min => end(false),
            AggFunc::Max => end(true),
            AggFunc::Median => State::Numbers(Vec::new(), OfNumbers::Quantile(0.5)),
            AggFunc::Quantile(q) => State::Numbers(Vec::new(), OfNumbers::Quantile(*q)),
            AggFunc::NumbersToFloat(function) => State::Numbers(Vec::new(), OfNumbers::Function(function)),
            AggFunc::Std => State::Spread(Vec::new()),
            AggFunc::First => State::First(Vec::new()),
            AggFunc::Last => State::Last(Vec::new()),
            AggFunc::Distinct => State::Distinct(Box::new(Seen::new(ty))),
            AggFunc::Collect => State::Collect(Vec::new()),
            AggFunc::Reduce(_) => State::Reduce(Vec::new()),
            AggFunc::JoinText(between) => State::JoinText(Vec::new(), between.clone()),
        }
    }

    /// One of the same kind that has no group yet. `ty` is the type of what it takes.
    fn empty(&self, ty: &Type) -> State {
        match self {
            State::Count(_, only_values) => State::Count(Vec::new(), *only_values),
            State::Ints(_, mean) => State::Ints(Vec::new(), *mean),
            State::Floats(_, mean) => State::Floats(Vec::new(), *mean),
            State::IntEnd(ends, largest) => State::IntEnd(Ends::new(ends.start), *largest),
            State::FloatEnd(ends, largest) => State::FloatEnd(Ends::new(ends.start), *largest),
            State::ValueEnd(_, largest) => State::ValueEnd(Vec::new(), *largest),
            State::Numbers(_, of) => State::Numbers(Vec::new(), *of),
            State::Spread(_) => State::Spread(Vec::new()),
            State::First(_) => State::First(Vec::new()),
            State::Last(_) => State::Last(Vec::new()),
            State::Distinct(_) => State::Distinct(Box::new(Seen::new(ty))),
            State::Collect(_) => State::Collect(Vec::new()),
            State::Reduce(_) => State::Reduce(Vec::new()),
            State::JoinText(_, between) => State::JoinText(Vec::new(), between.clone()),
            State::Shared(place, figure) => State::Shared(*place, *figure),
        }
    }

    /// An entry for each of `count` groups.
    fn grow(&mut self, count: usize) {
        match self {
            State::Count(counts, _) => counts.resize(count, 0),
            State::Ints(sums, _) => sums.resize(count, (0, 0)),
            State::Floats(sums, _) => sums.resize(count, FloatSum::default()),
            State::IntEnd(ends, _) => ends.grow(count),
            State::FloatEnd(ends, _) => ends.grow(count),
            State::ValueEnd(ends, _) => ends.resize(count, Value::Null),
            State::Numbers(numbers, _) => numbers.resize(count, Vec::new()),
            State::Spread(spreads) => spreads.resize(count, Spread::default()),
            State::First(values) | State::Last(values) | State::Reduce(values) => values.resize(count, None),
            State::Distinct(seen) => seen.counts.resize(count, 0),
            State::Collect(lists) => lists.resize(count, Vec::new()),
            State::JoinText(texts, _) => texts.resize(count, None),
            State::Shared(..) => {}
        }
    }

    fn take(&mut self, column: &Column, ids: Ids) {
        // Of nulls only these are told.
        let counts_nulls =
            matches!(self, State::Count(_, false) | State::First(_) | State::Last(_) | State::Collect(_));
        if matches!(column.nulls, Nulls::All) && !counts_nulls {
            return self.take_none();
        }
        let rows = ids.rows();
        let nulls = &column.nulls;
        let present = |row: &usize| !nulls.at(*row);
        match (self, &column.data) {
            (State::Count(counts, only_values), _) => match (ids, nulls) {
                (Ids::One(rows), Nulls::None) => counts[0] += rows as i64,
                (Ids::Each(ids), nulls) if !*only_values || matches!(nulls, Nulls::None) => {
                    ids.iter().for_each(|id| counts[*id as usize] += 1);
                }
                _ => (0..rows).filter(|row| !*only_values || present(row)).for_each(|row| counts[ids.at(row)] += 1),
            },
            (State::Ints(sums, _), Data::Int(ints)) => match (ids, &ints.slots, nulls) {
                (Ids::One(rows), Slots::Each(values), Nulls::None) => {
                    let small = |bound: i64| bound.unsigned_abs() < 1 << 40;
                    let is_small = ints.bounds.is_some_and(|(least, largest)| small(least) && small(largest));
                    // A million times 2^40 is still an int.
                    let fits = is_small && rows < 1 << 20;
                    let sum = if fits { i128::from(loops::sum(values)) } else { wide_sum(values) };
                    sums[0] = (sums[0].0 + sum, sums[0].1 + rows as u64);
                }
                (Ids::Each(ids), Slots::Each(values), Nulls::None) => {
                    for (id, value) in ids.iter().zip(values.iter()) {
                        let sum = &mut sums[*id as usize];
                        *sum = (sum.0 + i128::from(*value), sum.1 + 1);
                    }
                }
                (ids, slots, _) => (0..rows).filter(present).for_each(|row| {
                    let sum = &mut sums[ids.at(row)];
                    *sum = (sum.0 + i128::from(*slots.at(row)), sum.1 + 1);
                }),
            },
            (State::Floats(sums, _), Data::Float(slots)) => match (ids, slots, nulls) {
                (Ids::One(rows), Slots::Each(values), Nulls::None) => {
                    let (mut lanes, mut lost) = ([0.0; 8], [0.0; 8]);
                    loops::compensated(values, &mut lanes, &mut lost);
                    lanes.iter().for_each(|lane| sums[0].add_part(*lane));
                    sums[0].lost += lost.iter().sum::<f64>();
                    sums[0].count += rows as u64;
                }
                (ids, slots, _) => (0..rows).filter(present).for_each(|row| sums[ids.at(row)].add(*slots.at(row))),
            },
            (State::IntEnd(ends, largest), Data::Int(ints)) => match (ids, &ints.slots, nulls) {
                (Ids::One(_), Slots::Each(values), Nulls::None) if !values.is_empty() => {
                    let (least, most) = loops::bounds(values);
                    ends.take_all(&[0], &[if *largest { most } else { least }], int_end(*largest));
                }
                (Ids::Each(ids), Slots::Each(values), Nulls::None) if *largest => ends.take_all(ids, values, i64::max),
                (Ids::Each(ids), Slots::Each(values), Nulls::None) => ends.take_all(ids, values, i64::min),
                (ids, slots, nulls) => ends.take_some(ids, nulls, slots, int_end(*largest)),
            },
            (State::FloatEnd(ends, largest), Data::Float(slots)) => match (ids, slots, nulls) {
                (Ids::Each(ids), Slots::Each(values), Nulls::None) if *largest => ends.take_all(ids, values, larger),
                (Ids::Each(ids), Slots::Each(values), Nulls::None) => ends.take_all(ids, values, smaller),
                (ids, slots, nulls) => ends.take_some(ids, nulls, slots, float_end(*largest)),
            },
            (State::ValueEnd(ends, largest), Data::Text(texts)) => {
                for row in (0..rows).filter(present) {
                    let (end, text) = (&mut ends[ids.at(row)], texts.at(row));
                    let further = match end {
                        Value::Text(end) => {
                            let order = text.as_bytes().cmp(end.as_bytes());
                            if *largest { order.is_gt() } else { order.is_lt() }
                        }
                        _ => true,
                    };
                    if further {
                        *end = Value::text(text);
                    }
                }
            }
            (State::ValueEnd(ends, largest), _) => {
                let largest = *largest;
                (0..rows).filter(present).for_each(|row| value_end(&mut ends[ids.at(row)], column.value(row), largest));
            }
            (State::Numbers(numbers, _), _) => {
                (0..rows).filter(present).for_each(|row| numbers[ids.at(row)].push(number(column, row)));
            }
            (State::Spread(spreads), Data::Int(ints)) => {
                (0..rows).filter(present).for_each(|row| spreads[ids.at(row)].add_int(*ints.slots.at(row)));
            }
            (State::Spread(spreads), Data::Float(slots)) => {
                (0..rows).filter(present).for_each(|row| spreads[ids.at(row)].add(*slots.at(row)));
            }
            (State::First(values), _) => (0..rows).for_each(|row| {
                values[ids.at(row)].get_or_insert_with(|| column.value(row));
            }),
            (State::Last(values), _) => (0..rows).for_each(|row| values[ids.at(row)] = Some(column.value(row))),
            (State::Collect(lists), _) => (0..rows).for_each(|row| lists[ids.at(row)].push(column.value(row))),
            (State::JoinText(glued, between), Data::Text(texts)) => {
                for row in (0..rows).filter(present) {
                    glue(&mut glued[ids.at(row)], texts.at(row), between);
                }
            }
            (State::Reduce(_) | State::Distinct(_) | State::Shared(..), _) => {
                unreachable!("the partial takes these itself")
            }
            _ => unreachable!("the plan's types hold"),
        }
    }

    /// Takes rows that are all null.
    fn take_none(&mut self) {
        match self {
            State::IntEnd(ends, _) => ends.flag(),
            State::FloatEnd(ends, _) => ends.flag(),
            _ => {}
        }
    }

    /// Takes the state of a later part, whose group `i` is `ids[i]` here.
    fn merge(&mut self, later: State, ids: &[u32], context: &RunContext) -> Fallible<()> {
        fn each<T>(ids: &[u32], later: Vec<T>, context: &RunContext, mut take: impl FnMut(usize, T)) -> Fallible<()> {
            self::each(ids, later, context, |id, value| {
                take(id, value);
                Ok(())
            })
        }
        match (self, later) {
            (State::Count(counts, _), State::Count(later, _)) => {
                each(ids, later, context, |id, count| counts[id] += count)?
            }
            (State::Ints(sums, _), State::Ints(later, _)) => {
                each(ids, later, context, |id, (sum, count)| sums[id] = (sums[id].0 + sum, sums[id].1 + count))?;
            }
            (State::Floats(sums, _), State::Floats(later, _)) => {
                each(ids, later, context, |id, later| sums[id].merge(&later))?
            }
            (State::IntEnd(ends, largest), State::IntEnd(later, _)) => {
                ends.merge(later, ids, int_end(*largest), context)?
            }
            (State::FloatEnd(ends, largest), State::FloatEnd(later, _)) => {
                ends.merge(later, ids, float_end(*largest), context)?
            }
            (State::ValueEnd(ends, largest), State::ValueEnd(later, _)) => each(ids, later, context, |id, end| {
                if !end.is_null() {
                    value_end(&mut ends[id], end, *largest);
                }
            })?,
            (State::Numbers(numbers, _), State::Numbers(later, _)) => {
                each(ids, later, context, |id, more| numbers[id].extend(more))?;
            }
            (State::Spread(spreads), State::Spread(later)) => {
                each(ids, later, context, |id, more| spreads[id].merge(&more))?
            }
            (State::First(values), State::First(later)) => each(ids, later, context, |id, value| {
                if values[id].is_none() {
                    values[id] = value;
                }
            })?,
            (State::Last(values), State::Last(later)) => each(ids, later, context, |id, value| {
                if value.is_some() {
                    values[id] = value;
                }
            })?,
            (State::Collect(lists), State::Collect(later)) => {
                each(ids, later, context, |id, more| lists[id].extend(more))?
            }
            (State::JoinText(texts, between), State::JoinText(later, _)) => each(ids, later, context, |id, text| {
                if let Some(text) = text {
                    glue(&mut texts[id], &text, between);
                }
            })?,
            (State::Shared(..), _) => {}
            _ => unreachable!("both are of one aggregate"),
        }
        Ok(())
    }

    /// The flat columns; `ty` is the type of the values.
    fn columns(self, ty: &Type) -> Vec<Column> {
        let of_values = |values: Vec<Value>| Column::from_values(values, ty);
        let lists = |lists: Vec<Value>| Column::from_values(lists, &Type::list(ty.clone()));
        match self {
            State::Count(counts, _) => vec![Column::ints(counts, None)],
            State::Ints(sums, _) => {
                let ints = |part: fn(&(i128, u64)) -> i64| Column::ints(sums.iter().map(part).collect(), None);
                // A sum has 128 bits.
                vec![
                    ints(|(sum, _)| *sum as i64),
                    ints(|(sum, _)| (sum >> 64) as i64),
                    ints(|(_, count)| *count as i64),
                ]
            }
            State::Floats(sums, _) => {
                let floats = |part: fn(&FloatSum) -> f64| Column::floats(sums.iter().map(part).collect());
                let counts = Column::ints(sums.iter().map(|sum| sum.count as i64).collect(), None);
                vec![floats(|sum| sum.sum), floats(|sum| sum.lost), counts]
            }
            State::IntEnd(mut ends, _) => {
                ends.flag();
                vec![Column::ints(ends.values, None), Column::bools(ends.seen)]
            }
            State::FloatEnd(mut ends, _) => {
                ends.flag();
                vec![Column::floats(ends.values), Column::bools(ends.seen)]
            }
            State::ValueEnd(ends, _) => vec![of_values(ends)],
            State::Numbers(numbers, _) => {
                let list = |numbers: Vec<f64>| Value::List(numbers.into_iter().map(Value::Float).collect());
                vec![Column::from_values(numbers.into_iter().map(list).collect(), &Type::list(Type::Float))]
            }
            State::Spread(spreads) => {
                let parts: Vec<_> = spreads.iter().map(Spread::parts).collect();
                let counts = Column::ints(parts.iter().map(|(count, ..)| *count as i64).collect(), None);
                let sums = (0..6).map(|i| Column::floats(parts.iter().map(|(_, sums, _)| sums[i]).collect()));
                let flags = (0..2).map(|i| Column::bools(parts.iter().map(|(.., flags)| flags[i]).collect()));
                std::iter::once(counts).chain(sums).chain(flags).collect()
            }
            State::First(values) | State::Last(values) | State::Reduce(values) => {
                let has = Column::bools(values.iter().map(Option::is_some).collect());
                vec![has, of_values(values.into_iter().map(Option::unwrap_or_default).collect())]
            }
            State::Distinct(seen) => {
                vec![lists(seen.lists().into_iter().map(|items| Value::List(items.into())).collect())]
            }
            State::Collect(all) => vec![lists(all.into_iter().map(|items| Value::List(items.into())).collect())],
            State::JoinText(texts, _) => {
                let text = |text: Option<String>| text.map_or(Value::Null, |text| Value::text(&text));
                vec![Column::from_values(texts.into_iter().map(text).collect(), &Type::Text)]
            }
            State::Shared(..) => Vec::new(),
        }
    }

    /// The state of the same aggregate that such columns have.
    fn of_columns(&self, flat: &mut Flat, ty: &Type) -> Fallible<State> {
        fn optional(flat: &mut Flat) -> Vec<Option<Value>> {
            let has = flat.bools();
            has.into_iter().zip(flat.values()).map(|(has, value)| has.then_some(value)).collect()
        }
        Ok(match self {
            State::Count(_, only_values) => State::Count(flat.ints(), *only_values),
            State::Ints(_, mean) => {
                let (low, high, counts) = (flat.ints(), flat.ints(), flat.ints());
                let sum = |group: usize| i128::from(high[group]) << 64 | i128::from(low[group] as u64);
                State::Ints((0..flat.rows).map(|group| (sum(group), counts[group] as u64)).collect(), *mean)
            }
            State::Floats(_, mean) => {
                let (sums, lost, counts) = (flat.floats(), flat.floats(), flat.ints());
                let sum = |group: usize| FloatSum { sum: sums[group], lost: lost[group], count: counts[group] as u64 };
                State::Floats((0..flat.rows).map(sum).collect(), *mean)
            }
            State::IntEnd(ends, largest) => State::IntEnd(ends.of(flat.ints(), flat.bools()), *largest),
            State::FloatEnd(ends, largest) => State::FloatEnd(ends.of(flat.floats(), flat.bools()), *largest),
            State::ValueEnd(_, largest) => State::ValueEnd(flat.values(), *largest),
            State::Numbers(_, q) => {
                let float = |value| if let Value::Float(x) = value { x } else { f64::NAN };
                let lists = flat.lists().into_iter();
                State::Numbers(lists.map(|items| items.into_iter().map(float).collect()).collect(), *q)
            }
            State::Spread(_) => {
                let counts = flat.ints();
                let sums: Vec<Vec<f64>> = (0..6).map(|_| flat.floats()).collect();
                let flags: Vec<Vec<bool>> = (0..2).map(|_| flat.bools()).collect();
                let spread = |group: usize| {
                    let sums = std::array::from_fn(|i| sums[i][group]);
                    Spread::of_parts(counts[group] as u64, sums, std::array::from_fn(|i| flags[i][group]))
                };
                State::Spread((0..flat.rows).map(spread).collect())
            }
            State::First(_) => State::First(optional(flat)),
            State::Last(_) => State::Last(optional(flat)),
            State::Reduce(_) => State::Reduce(optional(flat)),
            State::Distinct(_) => State::Distinct(Box::new(Seen::of(flat.lists(), ty)?)),
            State::Collect(_) => State::Collect(flat.lists()),
            State::JoinText(_, between) => {
                let text = |value| if let Value::Text(text) = value { Some(text.to_string()) } else { None };
                State::JoinText(flat.values().into_iter().map(text).collect(), between.clone())
            }
            State::Shared(place, figure) => State::Shared(*place, *figure),
        })
    }

    /// The bytes that it holds. It walks over values and lists.
    fn size(&self) -> usize {
        let values = |values: &[Option<Value>]| values.iter().flatten().map(value_size).sum();
        match self {
            State::Count(counts, _) => size_of_val(&counts[..]),
            State::Ints(sums, _) => size_of_val(&sums[..]),
            State::Floats(sums, _) => size_of_val(&sums[..]),
            State::IntEnd(ends, _) => ends.size(),
            State::FloatEnd(ends, _) => ends.size(),
            State::ValueEnd(ends, _) => ends.iter().map(value_size).sum(),
            State::Numbers(numbers, _) => numbers.iter().map(|of| size_of_val(of) + size_of_val(&of[..])).sum(),
            State::Spread(spreads) => size_of_val(&spreads[..]),
            State::First(all) | State::Last(all) | State::Reduce(all) => values(all),
            State::Distinct(seen) => {
                let owners = size_of_val(&seen.owners[..]) + size_of_val(&seen.counts[..]);
                seen.pairs.size() + seen.values.size() + owners
            }
            State::Collect(lists) => lists.iter().flatten().map(value_size).sum::<usize>() + size_of_val(&lists[..]),
            State::JoinText(texts, _) => {
                texts.iter().flatten().map(String::len).sum::<usize>() + size_of_val(&texts[..])
            }
            State::Shared(..) => 0,
        }
    }

    fn finish(self, ty: &Type, span: Span) -> Fallible<Column> {
        fn optional<T: Copy + Default>(values: Vec<Option<T>>, make: impl Fn(Vec<T>) -> Column) -> Column {
            let nulls = Nulls::of(values.iter().map(Option::is_none).collect());
            make(values.into_iter().map(Option::unwrap_or_default).collect()).with_nulls(nulls)
        }
        let of_values = |values: Vec<Value>| Column::from_values(values, ty);
        Ok(match self {
            State::Count(counts, _) => Column::ints(counts, None),
            State::Distinct(seen) => Column::ints(seen.counts, None),
            State::Ints(sums, true) => optional(
                sums.into_iter().map(|(sum, count)| (count > 0).then(|| sum as f64 / count as f64)).collect(),
                Column::floats,
            ),
            State::Ints(sums, false) => {
                let int = |(sum, _): (i128, u64)| {
                    i64::try_from(sum).map_err(|_| {
                        Diagnostic::at(Kind::Overflow, span, format!("int overflow: the sum is {sum}"))
                            .hint("sum float(it) has a larger range")
                    })
                };
                Column::ints(sums.into_iter().map(int).collect::<Fallible<_>>()?, None)
            }
            State::Floats(sums, true) => optional(
                sums.iter().map(|sum| (sum.count > 0).then(|| sum.total() / sum.count as f64)).collect(),
                Column::floats,
            ),
            State::Floats(sums, false) => Column::floats(sums.iter().map(FloatSum::total).collect()),
            State::IntEnd(mut ends, _) => {
                let nulls = ends.nulls();
                Column::ints(ends.values, None).with_nulls(nulls)
            }
            State::FloatEnd(mut ends, _) => {
                let nulls = ends.nulls();
                Column::floats(ends.values).with_nulls(nulls)
            }
            State::ValueEnd(ends, _) => of_values(ends),
            State::Numbers(numbers, of) => {
                optional(numbers.into_iter().map(|numbers| of.apply(numbers)).collect(), Column::floats)
            }
            State::Spread(spreads) => optional(spreads.iter().map(Spread::deviation).collect(), Column::floats),
            State::First(values) | State::Last(values) | State::Reduce(values) => {
                of_values(values.into_iter().map(Option::unwrap_or_default).collect())
            }
            State::Collect(lists) => of_values(lists.into_iter().map(|items| Value::List(items.into())).collect()),
            State::Shared(..) => unreachable!("the summary gives it"),
            State::JoinText(texts, _) => {
                of_values(texts.into_iter().map(|text| Value::text(&text.unwrap_or_default())).collect())
            }
        })
    }
}

impl Seen {
    fn new(ty: &Type) -> Seen {
        Seen { pairs: Groups::default(), owners: Vec::new(), values: Rows::new([ty]), counts: Vec::new() }
    }

    /// That of the values of each group.
    fn of(lists: Vec<Vec<Value>>, ty: &Type) -> Fallible<Seen> {
        let mut seen = Seen::new(ty);
        seen.counts.resize(lists.len(), 0);
        let owners: Vec<u32> =
            lists.iter().enumerate().flat_map(|(group, items)| vec![group as u32; items.len()]).collect();
        let values = Column::from_values(lists.into_iter().flatten().collect(), ty);
        seen.take(&values, Ids::Each(&owners))?;
        Ok(seen)
    }

    /// The values of each group.
    fn lists(self) -> Vec<Vec<Value>> {
        let mut lists = vec![Vec::new(); self.counts.len()];
        let values = self.values.finish();
        for (row, owner) in self.owners.iter().enumerate() {
            lists[*owner as usize].push(values.columns[0].value(row));
        }
        lists
    }

    /// Takes the values of a later part, whose group `i` is `ids[i]` here.
    fn merge(&mut self, later: Seen, ids: &[u32], context: &RunContext) -> Fallible<()> {
        let owners: Vec<u32> = later.owners.iter().map(|owner| ids[*owner as usize]).collect();
        let Batch { columns, .. } = later.values.finish();
        for (part, owners) in owners.chunks(CHECKED_ROWS).enumerate() {
            context.check()?;
            self.take(&columns[0].part(part * CHECKED_ROWS, owners.len()), Ids::Each(owners))?;
        }
        Ok(())
    }

    fn take(&mut self, column: &Column, ids: Ids) -> Fallible<()> {
        let rows = ids.rows();
        let groups = Column::ints((0..rows).map(|row| ids.at(row) as i64).collect(), None);
        let both = [groups, column.clone()];
        let mut pairs = Vec::new();
        let fresh = self.pairs.take(&Packed::new(&both, rows), &mut pairs);
        for row in &fresh {
            let row = *row as usize;
            self.owners.push(ids.at(row) as u32);
            self.counts[ids.at(row)] += i64::from(!column.nulls.at(row));
        }
        let [_, column] = both;
        self.values.push_rows(&Batch { rows, columns: vec![column] }, &fresh)
    }
}

/// A sum of ints of any size.
fn wide_sum(values: &[i64]) -> i128 {
    values.chunks(1 << 20).map(loops::wide_sum).sum()
}

impl<T: Copy> Ends<T> {
    fn new(start: T) -> Ends<T> {
        Ends { values: Vec::new(), seen: Vec::new(), before: 0, start }
    }

    fn grow(&mut self, count: usize) {
        self.before = self.values.len();
        self.values.resize(count, self.start);
    }

    /// From here on a flag tells of each group whether it has a value; the new ones have none yet.
    fn flag(&mut self) {
        if self.seen.len() < self.before {
            self.seen.resize(self.before, true);
        }
        self.seen.resize(self.values.len(), false);
    }

    #[inline(always)]
    fn take(&mut self, group: usize, value: T, further: fn(T, T) -> T) {
        self.values[group] = further(self.values[group], value);
        self.seen[group] = true;
    }

    fn take_some(&mut self, ids: Ids, nulls: &Nulls, slots: &Slots<T>, further: fn(T, T) -> T) {
        self.flag();
        (0..ids.rows()).filter(|row| !nulls.at(*row)).for_each(|row| self.take(ids.at(row), *slots.at(row), further));
    }

    #[inline(always)]
    fn take_all(&mut self, ids: &[u32], values: &[T], further: impl Fn(T, T) -> T) {
        let ends = &mut self.values[..];
        for (id, value) in ids.iter().zip(values) {
            let end = &mut ends[*id as usize];
            *end = further(*end, *value);
        }
        if !self.seen.is_empty() {
            self.flag();
            ids.iter().for_each(|id| self.seen[*id as usize] = true);
        }
    }

    fn merge(&mut self, mut later: Ends<T>, ids: &[u32], further: fn(T, T) -> T, context: &RunContext) -> Fallible<()> {
        self.flag();
        later.grow(later.values.len());
        later.flag();
        let both: Vec<(T, bool)> = later.values.into_iter().zip(later.seen).collect();
        each(ids, both, context, |id, (value, seen)| {
            if seen {
                self.take(id, value, further);
            }
            Ok(())
        })
    }

    /// Those of a later part: its values, and which groups have one.
    fn of(&self, values: Vec<T>, seen: Vec<bool>) -> Ends<T> {
        Ends { before: values.len(), values, seen, start: self.start }
    }

    fn size(&self) -> usize {
        size_of_val(&self.values[..]) + self.seen.len()
    }

    /// Which groups have no value.
    fn nulls(&mut self) -> Nulls {
        self.flag();
        Nulls::of(self.seen.iter().map(|seen| !seen).collect())
    }
}

fn int_end(largest: bool) -> fn(i64, i64) -> i64 {
    if largest { i64::max } else { i64::min }
}

fn float_end(largest: bool) -> fn(f64, f64) -> f64 {
    if largest { larger } else { smaller }
}

fn value_end(end: &mut Value, value: Value, largest: bool) {
    let order = value.compare(end);
    if end.is_null() || (if largest { order.is_gt() } else { order.is_lt() }) {
        *end = value;
    }
}

fn glue(glued: &mut Option<String>, text: &str, between: &str) {
    match glued {
        None => *glued = Some(text.to_string()),
        Some(glued) => {
            glued.push_str(between);
            glued.push_str(text);
        }
    }
}

fn number(column: &Column, row: usize) -> f64 {
    match &column.data {
        Data::Int(ints) => *ints.slots.at(row) as f64,
        Data::Float(slots) => *slots.at(row),
        Data::Bool(_) | Data::Text(_) | Data::List(_) => unreachable!("the stage checked the type"),
    }
}
