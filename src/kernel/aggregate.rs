//! Groups and their aggregates, by column: the state of an aggregate is a vector with an entry for each group.

use crate::data::scalar::{self, Spread};
use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::plan::{Agg, AggFunc, Named};
use crate::rowwise::{self, Frame, Program};

use super::column::{Batch, Column, Data};
use super::expr::{Compiled, Compiler};
use super::groups::{Groups, Packed};
use super::loops;
use super::partial::Partial;
use super::rows::Rows;
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
    arg: Option<Compiled>,
    ty: Type,
    span: Span,
    /// The expression of `reduce`.
    reduce: Option<rowwise::Compiled>,
    state: State,
}

impl<'a> Aggregates<'a> {
    pub fn new(keys: &[Named], aggs: &[Agg], compiler: &Compiler, program: &'a Program) -> Aggregates<'a> {
        let (summaries, figures) = match keys {
            // There are faster loops for each.
            [] => (Vec::new(), vec![None; aggs.len()]),
            _ => summary::shared(aggs),
        };
        let column = |(agg, figure): (&Agg, Option<(usize, Figure)>)| Aggregate {
            arg: agg.arg.as_ref().map(|arg| compiler.compile(arg)),
            ty: agg.ty.clone(),
            span: agg.arg.as_ref().map_or(Span::default(), |arg| arg.span),
            reduce: if let AggFunc::Reduce(step) = &agg.func { Some(rowwise::Compiled::new(step)) } else { None },
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

    fn count(&self) -> usize {
        if self.keys.is_empty() { 1 } else { self.groups.len() }
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
            if let State::Shared(..) = column.state {
                continue;
            }
            column.state.grow(count);
            let value = match &column.arg {
                Some(arg) => arg.value(scope).map_err(fault)?,
                None => Column::constant(&Value::Int(0), &Type::Int),
            };
            match (&mut column.state, &column.reduce) {
                (State::Reduce(accs), Some(step)) => {
                    let mut frame = Frame::new(self.program).stopping_at(scope.stop);
                    for row in 0..ids.rows() {
                        reduce_one(&mut accs[ids.at(row)], value.value(row), step, &mut frame).map_err(fault)?;
                    }
                }
                (State::Distinct(seen), _) => seen.take(&value, ids)?,
                (state, _) => state.take(&value, ids),
            }
        }
        Ok(())
    }

    fn merge(&mut self, later: Self) -> Fallible<()> {
        let mut ids = vec![0];
        if !self.keys.is_empty() {
            let fresh = self.groups.take(&later.groups.packed(), &mut ids);
            self.first.push_rows(&later.first.finish(), &fresh)?;
        }
        let count = self.count();
        for (summary, later) in self.summaries.iter_mut().zip(&later.summaries) {
            summary.grow(count);
            summary.merge(later, &ids);
        }
        for (column, later) in self.columns.iter_mut().zip(later.columns) {
            column.state.grow(count);
            match (&mut column.state, later.state, &column.reduce) {
                (State::Reduce(accs), State::Reduce(later), Some(step)) => {
                    let mut frame = Frame::new(self.program);
                    for (id, value) in ids.iter().zip(later) {
                        reduce_one(&mut accs[*id as usize], value.unwrap_or_default(), step, &mut frame)
                            .map_err(|fault| fault.diagnostic(None))?;
                    }
                }
                (State::Distinct(seen), State::Distinct(later), _) => seen.merge(*later, &ids)?,
                (state, later, _) => state.merge(later, &ids),
            }
        }
        Ok(())
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
    /// Of numbers, for the quantile.
    Numbers(Vec<Vec<f64>>, f64),
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
            AggFunc::Median => State::Numbers(Vec::new(), 0.5),
            AggFunc::Quantile(q) => State::Numbers(Vec::new(), *q),
            AggFunc::Std => State::Spread(Vec::new()),
            AggFunc::First => State::First(Vec::new()),
            AggFunc::Last => State::Last(Vec::new()),
            AggFunc::Distinct => State::Distinct(Box::new(Seen {
                pairs: Groups::default(),
                owners: Vec::new(),
                values: Rows::new([ty]),
                counts: Vec::new(),
            })),
            AggFunc::Collect => State::Collect(Vec::new()),
            AggFunc::Reduce(_) => State::Reduce(Vec::new()),
            AggFunc::JoinText(between) => State::JoinText(Vec::new(), between.clone()),
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
    fn merge(&mut self, later: State, ids: &[u32]) {
        fn each<T>(ids: &[u32], later: Vec<T>, mut take: impl FnMut(usize, T)) {
            ids.iter().zip(later).for_each(|(id, value)| take(*id as usize, value));
        }
        match (self, later) {
            (State::Count(counts, _), State::Count(later, _)) => each(ids, later, |id, count| counts[id] += count),
            (State::Ints(sums, _), State::Ints(later, _)) => {
                each(ids, later, |id, (sum, count)| sums[id] = (sums[id].0 + sum, sums[id].1 + count));
            }
            (State::Floats(sums, _), State::Floats(later, _)) => each(ids, later, |id, later| sums[id].merge(&later)),
            (State::IntEnd(ends, largest), State::IntEnd(later, _)) => ends.merge(later, ids, int_end(*largest)),
            (State::FloatEnd(ends, largest), State::FloatEnd(later, _)) => ends.merge(later, ids, float_end(*largest)),
            (State::ValueEnd(ends, largest), State::ValueEnd(later, _)) => each(ids, later, |id, end| {
                if !end.is_null() {
                    value_end(&mut ends[id], end, *largest);
                }
            }),
            (State::Numbers(numbers, _), State::Numbers(later, _)) => {
                each(ids, later, |id, more| numbers[id].extend(more));
            }
            (State::Spread(spreads), State::Spread(later)) => each(ids, later, |id, more| spreads[id].merge(&more)),
            (State::First(values), State::First(later)) => each(ids, later, |id, value| {
                if values[id].is_none() {
                    values[id] = value;
                }
            }),
            (State::Last(values), State::Last(later)) => each(ids, later, |id, value| {
                if value.is_some() {
                    values[id] = value;
                }
            }),
            (State::Collect(lists), State::Collect(later)) => each(ids, later, |id, more| lists[id].extend(more)),
            (State::JoinText(texts, between), State::JoinText(later, _)) => each(ids, later, |id, text| {
                if let Some(text) = text {
                    glue(&mut texts[id], &text, between);
                }
            }),
            (State::Shared(..), _) => {}
            _ => unreachable!("both are of one aggregate"),
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
            State::Numbers(numbers, q) => {
                optional(numbers.into_iter().map(|numbers| scalar::quantile(numbers, q)).collect(), Column::floats)
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
    /// Takes the values of a later part, whose group `i` is `ids[i]` here.
    fn merge(&mut self, later: Seen, ids: &[u32]) -> Fallible<()> {
        let owners: Vec<u32> = later.owners.iter().map(|owner| ids[*owner as usize]).collect();
        match &later.values.finish().columns[..] {
            [values] => self.take(values, Ids::Each(&owners)),
            _ => Ok(()),
        }
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

    fn merge(&mut self, mut later: Ends<T>, ids: &[u32], further: fn(T, T) -> T) {
        self.flag();
        later.grow(later.values.len());
        later.flag();
        for ((id, value), _) in ids.iter().zip(later.values).zip(later.seen).filter(|(_, seen)| *seen) {
            self.take(*id as usize, value, further);
        }
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
