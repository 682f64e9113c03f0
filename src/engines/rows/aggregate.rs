//! Groups and their aggregates.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::data::scalar::Spread;
use crate::data::{Key, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::functions;
use crate::plan::aggregates::OfNumbers;
use crate::plan::{Agg, AggFunc, Named};
use crate::rowwise::{Compiled, Frame, RowError};
use crate::run_context::RunContext;

use super::flow::{Flow, Whole, key, more};

/// The groups of an aggregation, in order of their first rows.
pub struct Groups<'a> {
    keys: Vec<Compiled>,
    columns: Vec<Column<'a>>,
    by_key: HashMap<Key, usize>,
    order: Vec<Key>,
    states: Vec<Vec<State>>,
}

struct Column<'a> {
    func: &'a AggFunc,
    arg: Option<Compiled>,
    /// The argument's value for the last row.
    value: Value,
    arg_type: Type,
    span: Span,
    reduce: Option<Compiled>,
}

impl<'a> Groups<'a> {
    pub fn new(keys: &[Named], aggs: &'a [Agg]) -> Groups<'a> {
        let column = |agg: &'a Agg| Column {
            func: &agg.func,
            arg: agg.arg.as_ref().map(Compiled::new),
            value: Value::Null,
            arg_type: agg.arg.as_ref().map_or(Type::Int, |arg| arg.ty.clone()),
            span: agg.arg.as_ref().map_or(Span::default(), |arg| arg.span),
            reduce: if let AggFunc::Reduce(step) = &agg.func { Some(Compiled::new(step)) } else { None },
        };
        Groups {
            keys: keys.iter().map(|key| Compiled::new(&key.expr)).collect(),
            columns: aggs.iter().map(column).collect(),
            by_key: HashMap::new(),
            order: Vec::new(),
            states: Vec::new(),
        }
    }

    fn group(&mut self, key: Key) -> usize {
        if let Some(index) = self.by_key.get(&key) {
            return *index;
        }
        let index = self.states.len();
        self.states.push(self.columns.iter().map(|column| State::new(column.func, &column.arg_type)).collect());
        self.by_key.insert(key.clone(), index);
        self.order.push(key);
        index
    }

    fn take(&mut self, frame: &mut Frame) -> Result<(), Box<RowError>> {
        let group = if self.keys.is_empty() && !self.states.is_empty() {
            0
        } else {
            let key = key(&self.keys, frame)?;
            self.group(key)
        };
        for (column, state) in self.columns.iter_mut().zip(&mut self.states[group]) {
            if let Some(arg) = &column.arg {
                arg.put(frame, &mut column.value)?;
            }
            match (state, &column.reduce) {
                (State::Reduce(acc), Some(step)) => {
                    if column.value.is_null() {
                        continue;
                    }
                    let value = column.value.clone();
                    *acc = match acc.take() {
                        None => Some(value),
                        Some(acc) => {
                            frame.acc = acc;
                            let row = std::mem::replace(&mut frame.row, vec![value]);
                            let result = step.value(frame);
                            frame.row = row;
                            Some(result?)
                        }
                    };
                }
                (state, _) => {
                    frame.bytes += state.copies(&column.value);
                    state.take(&column.value);
                }
            }
        }
        Ok(())
    }
}

impl Whole for Groups<'_> {
    fn run(&mut self, input: &mut dyn Flow, frame: &mut Frame, context: &RunContext) -> Fallible<VecDeque<Vec<Value>>> {
        let mut rows = 0;
        while more(input.next(frame))? {
            rows += 1;
            if rows % 1024 == 0 {
                context.check()?;
            }
            // The row, a probe of the hash table, and each aggregate.
            frame.steps += 1 + u64::from(!self.keys.is_empty()) + self.columns.len() as u64;
            self.take(frame).map_err(|fault| fault.diagnostic(Some(rows - 1)))?;
        }
        context.stop.check()?;
        if self.keys.is_empty() {
            self.group(Box::from([]));
        }
        let mut result = VecDeque::new();
        for (key, states) in self.order.drain(..).zip(self.states.drain(..)) {
            let mut row = key.into_vec();
            for (state, column) in states.into_iter().zip(&self.columns) {
                frame.steps += state.comparisons();
                row.push(state.finish(column)?);
            }
            result.push_back(row);
        }
        Ok(result)
    }
}

enum State {
    Count {
        values: u64,
        nulls_too: bool,
    },
    /// The mean of the ints where `mean`, else their sum.
    Ints {
        sum: i128,
        count: u64,
        mean: bool,
    },
    Floats {
        sum: Compensated,
        count: u64,
        mean: bool,
    },
    Least(Value),
    Largest(Value),
    /// All numbers, and what becomes of them.
    Numbers(Vec<f64>, OfNumbers),
    Spread(Spread),
    First(Option<Value>),
    Last(Value),
    Distinct(HashSet<Value>),
    Collect(Vec<Value>),
    Reduce(Option<Value>),
    JoinText {
        text: String,
        between: String,
        any: bool,
    },
}

impl State {
    fn new(func: &AggFunc, ty: &Type) -> State {
        let sum = |mean| match ty {
            Type::Int | Type::Open => State::Ints { sum: 0, count: 0, mean },
            Type::Float | Type::Bool | Type::Text | Type::List(_) | Type::Never => {
                State::Floats { sum: Compensated::default(), count: 0, mean }
            }
        };
        match func {
            AggFunc::Rows => State::Count { values: 0, nulls_too: true },
            AggFunc::Count => State::Count { values: 0, nulls_too: false },
            AggFunc::Sum => sum(false),
            AggFunc::Mean => sum(true),
            AggFunc::Min => State::Least(Value::Null),
            AggFunc::Max => State::Largest(Value::Null),
            AggFunc::Median => State::Numbers(Vec::new(), OfNumbers::Quantile(0.5)),
            AggFunc::Quantile(q) => State::Numbers(Vec::new(), OfNumbers::Quantile(*q)),
            AggFunc::NumbersToFloat(function) => State::Numbers(Vec::new(), OfNumbers::Function(function)),
            AggFunc::Std => State::Spread(Spread::default()),
            AggFunc::First => State::First(None),
            AggFunc::Last => State::Last(Value::Null),
            AggFunc::Distinct => State::Distinct(HashSet::new()),
            AggFunc::Collect => State::Collect(Vec::new()),
            AggFunc::Reduce(_) => State::Reduce(None),
            AggFunc::JoinText(between) => State::JoinText { text: String::new(), between: between.clone(), any: false },
        }
    }

    fn take(&mut self, value: &Value) {
        match self {
            State::Count { values, nulls_too } => *values += u64::from(*nulls_too || !value.is_null()),
            State::First(first) => {
                if first.is_none() {
                    *first = Some(value.clone());
                }
            }
            State::Last(last) => last.clone_from(value),
            State::Collect(items) => items.push(value.clone()),
            _ if value.is_null() => {}
            State::Ints { sum, count, .. } => {
                let Value::Int(i) = value else { return };
                *sum += i128::from(*i);
                *count += 1;
            }
            State::Floats { sum, count, .. } => {
                sum.add(number(value));
                *count += 1;
            }
            State::Least(least) => {
                if least.is_null() || value.compare(least).is_lt() {
                    *least = value.clone();
                }
            }
            State::Largest(largest) => {
                if largest.is_null() || value.compare(largest).is_gt() {
                    *largest = value.clone();
                }
            }
            State::Numbers(numbers, _) => numbers.push(number(value)),
            State::Spread(spread) => match value {
                Value::Int(i) => spread.add_int(*i),
                value => spread.add(number(value)),
            },
            State::Distinct(seen) => {
                if !seen.contains(value) {
                    seen.insert(value.clone());
                }
            }
            State::JoinText { text, between, any } => {
                let Value::Text(part) = value else { return };
                if *any {
                    text.push_str(between);
                }
                *any = true;
                text.push_str(part);
            }
            State::Reduce(_) => unreachable!("the group runs the expression"),
        }
    }

    /// The bytes that are copied into a text, a list or a table for a value.
    fn copies(&self, value: &Value) -> u64 {
        match (self, value) {
            (State::JoinText { between, .. }, Value::Text(part)) => (between.len() + part.len()) as u64,
            (State::Collect(_) | State::Numbers(..) | State::Distinct(_), _) => size_of::<Value>() as u64,
            _ => 0,
        }
    }

    /// The comparisons of the sort at the end.
    fn comparisons(&self) -> u64 {
        if let State::Numbers(numbers, _) = self { functions::comparisons(numbers.len() as u64) } else { 0 }
    }

    fn finish(self, column: &Column) -> Fallible<Value> {
        Ok(match self {
            State::Count { values, .. } => Value::Int(values as i64),
            State::Ints { count: 0, mean: true, .. } | State::Floats { count: 0, mean: true, .. } => Value::Null,
            State::Ints { sum, count, mean: true } => Value::Float(sum as f64 / count as f64),
            State::Ints { sum, .. } => Value::Int(i64::try_from(sum).map_err(|_| {
                Diagnostic::at(Kind::Overflow, column.span, format!("int overflow: the sum is {sum}"))
                    .hint("sum float(it) has a larger range")
            })?),
            State::Floats { sum, count, mean: true } => Value::Float(sum.total() / count as f64),
            State::Floats { sum, .. } => Value::Float(sum.total()),
            State::Least(value) | State::Largest(value) | State::Last(value) => value,
            State::Numbers(numbers, of) => of.apply(numbers).map_or(Value::Null, Value::Float),
            State::Spread(spread) => spread.deviation().map_or(Value::Null, Value::Float),
            State::First(value) => value.unwrap_or_default(),
            State::Distinct(seen) => Value::Int(seen.len() as i64),
            State::Collect(items) => Value::List(items.into()),
            State::Reduce(acc) => acc.unwrap_or_default(),
            State::JoinText { text, .. } => Value::text(&text),
        })
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Int(i) => *i as f64,
        Value::Float(x) => *x,
        Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) => unreachable!("the stage checked the type"),
    }
}

/// A sum that keeps what rounding loses (Neumaier 1974).
#[derive(Default)]
struct Compensated {
    sum: f64,
    lost: f64,
}

impl Compensated {
    fn add(&mut self, x: f64) {
        let total = self.sum + x;
        let lost = if self.sum.abs() >= x.abs() { (self.sum - total) + x } else { (x - total) + self.sum };
        // An infinity is no rounding error.
        if lost.is_finite() {
            self.lost += lost;
        }
        self.sum = total;
    }

    fn total(&self) -> f64 {
        self.sum + self.lost
    }
}
