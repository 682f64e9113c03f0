//! Sum, least and largest of a column of floats at once, for several aggregates of it: each row is looked at once, and
//! what is kept of a group stands together.

use crate::data::Type;
use crate::plan::{Agg, AggFunc, Node};

use super::column::{Column, Data};
use super::flat::Flat;
use super::loops;
use super::simd::simd;
use super::slots::{Nulls, Slots};

/// What an aggregate takes from a summary.
#[derive(Clone, Copy, PartialEq)]
pub enum Figure {
    Sum,
    Mean,
    Least,
    Largest,
}

/// Summaries of the columns of which several aggregates want a figure; and for each aggregate, where it wants one of
/// these, the place of the summary and the figure.
pub fn shared(aggs: &[Agg]) -> (Vec<Summary>, Vec<Option<(usize, Figure)>>) {
    let wanted: Vec<Option<(usize, Figure)>> = aggs.iter().map(figure).collect();
    let mut summaries: Vec<Summary> = Vec::new();
    for (column, _) in wanted.iter().flatten() {
        let is_known = summaries.iter().any(|summary| summary.column == *column);
        if !is_known && wanted.iter().flatten().filter(|(other, _)| other == column).count() > 1 {
            summaries.push(Summary { column: *column, groups: Vec::new() });
        }
    }
    let place = |column| summaries.iter().position(|summary| summary.column == column);
    let figures = wanted.iter().map(|wanted| wanted.and_then(|(column, figure)| Some((place(column)?, figure))));
    let figures = figures.collect();
    (summaries, figures)
}

/// The column of floats that an aggregate looks at, and what it wants of it.
fn figure(agg: &Agg) -> Option<(usize, Figure)> {
    let arg = agg.arg.as_ref()?;
    let (Node::Column(column), Type::Float) = (&arg.node, &arg.ty) else { return None };
    let figure = match agg.func {
        AggFunc::Sum => Figure::Sum,
        AggFunc::Mean => Figure::Mean,
        AggFunc::Min => Figure::Least,
        AggFunc::Max => Figure::Largest,
        AggFunc::Rows
        | AggFunc::Count
        | AggFunc::Median
        | AggFunc::Quantile(_)
        | AggFunc::Std
        | AggFunc::NumbersToFloat(_)
        | AggFunc::First
        | AggFunc::Last
        | AggFunc::Distinct
        | AggFunc::Collect
        | AggFunc::Reduce(_)
        | AggFunc::JoinText(_) => return None,
    };
    Some((*column, figure))
}

/// The figures of each group of one column.
pub struct Summary {
    /// Its place in the table that flows in.
    pub column: usize,
    groups: Vec<Figures>,
}

#[derive(Clone, Copy)]
struct Figures {
    sum: FloatSum,
    least: f64,
    largest: f64,
}

impl Summary {
    /// One of the same column that has no group yet.
    pub fn empty(&self) -> Summary {
        Summary { column: self.column, groups: Vec::new() }
    }

    /// An entry for each of `count` groups.
    pub fn grow(&mut self, count: usize) {
        // NaN is above all.
        let none = Figures { sum: FloatSum::default(), least: f64::NAN, largest: f64::NEG_INFINITY };
        self.groups.resize(count, none);
    }

    /// Takes the rows of a column of floats, whose groups are `ids`.
    pub fn take(&mut self, column: &Column, ids: &[u32]) {
        match (&column.data, &column.nulls) {
            (_, Nulls::All) => {}
            (Data::Float(Slots::Each(values)), Nulls::None) => add_all(&mut self.groups, values, ids),
            (Data::Float(slots), nulls) => {
                let rows = ids.iter().enumerate().filter(|(row, _)| !nulls.at(*row));
                rows.for_each(|(row, id)| self.groups[*id as usize].add(*slots.at(row)));
            }
            (Data::Int(_) | Data::Bool(_) | Data::Text(_) | Data::List(_), _) => unreachable!("the plan's types hold"),
        }
    }

    /// Takes those of a later part, whose group `i` is `ids[i]` here.
    pub fn merge(&mut self, later: &Summary, ids: &[u32]) {
        for (id, later) in ids.iter().zip(&later.groups).filter(|(_, later)| later.sum.count > 0) {
            let figures = &mut self.groups[*id as usize];
            figures.sum.merge(&later.sum);
            figures.least = smaller(figures.least, later.least);
            figures.largest = larger(figures.largest, later.largest);
        }
    }

    /// Sum, what rounding lost of it, count, least and largest of each group, as flat columns.
    pub fn columns(self) -> Vec<Column> {
        let floats = |figure: fn(&Figures) -> f64| Column::floats(self.groups.iter().map(figure).collect());
        vec![
            floats(|figures| figures.sum.sum),
            floats(|figures| figures.sum.lost),
            Column::ints(self.groups.iter().map(|figures| figures.sum.count as i64).collect(), None),
            floats(|figures| figures.least),
            floats(|figures| figures.largest),
        ]
    }

    /// The summary of the same column that such columns have.
    pub fn of_columns(&self, flat: &mut Flat) -> Summary {
        let [sums, lost] = [flat.floats(), flat.floats()];
        let counts = flat.ints();
        let [least, largest] = [flat.floats(), flat.floats()];
        let figures = |group: usize| {
            let sum = FloatSum { sum: sums[group], lost: lost[group], count: counts[group] as u64 };
            Figures { sum, least: least[group], largest: largest[group] }
        };
        Summary { column: self.column, groups: (0..flat.rows).map(figures).collect() }
    }

    /// The bytes that it holds.
    pub fn size(&self) -> usize {
        size_of_val(&self.groups[..])
    }

    /// One of the figures, of each group.
    pub fn finish(&self, figure: Figure) -> Column {
        let value = |figures: &Figures| match figure {
            Figure::Sum => figures.sum.total(),
            Figure::Mean => figures.sum.total() / figures.sum.count as f64,
            Figure::Least => figures.least,
            Figure::Largest => figures.largest,
        };
        let is_null = |figures: &Figures| figures.sum.count == 0 && figure != Figure::Sum;
        let nulls = Nulls::of(self.groups.iter().map(is_null).collect());
        Column::floats(self.groups.iter().map(value).collect()).with_nulls(nulls)
    }
}

impl Figures {
    #[inline(always)]
    fn add(&mut self, x: f64) {
        self.sum.add(x);
        self.least = smaller(self.least, x);
        self.largest = larger(self.largest, x);
    }
}

simd! {
    fn add_all(groups: &mut [Figures], values: &[f64], ids: &[u32]) {
        for (id, x) in ids.iter().zip(values) {
            groups[*id as usize].add(*x);
        }
    }
}

/// A sum that keeps what rounding loses.
#[derive(Clone, Copy, Default)]
pub struct FloatSum {
    pub sum: f64,
    pub lost: f64,
    pub count: u64,
}

impl FloatSum {
    #[inline(always)]
    pub fn add(&mut self, x: f64) {
        self.add_part(x);
        self.count += 1;
    }

    /// Adds a sum of some values.
    #[inline(always)]
    pub fn add_part(&mut self, x: f64) {
        let (sum, lost) = loops::two_sum(self.sum, x);
        self.sum = sum;
        self.lost += lost;
    }

    pub fn merge(&mut self, later: &FloatSum) {
        self.add_part(later.sum);
        self.lost += later.lost;
        self.count += later.count;
    }

    pub fn total(&self) -> f64 {
        if self.lost.is_finite() { self.sum + self.lost } else { self.sum }
    }
}

/// The larger of two floats: NaN is above all.
#[inline(always)]
pub fn larger(end: f64, x: f64) -> f64 {
    if (x > end) | x.is_nan() { x } else { end }
}

#[inline(always)]
pub fn smaller(end: f64, x: f64) -> f64 {
    if (x < end) | end.is_nan() { x } else { end }
}
