//! One flow for each op, and a whole plan as a flow.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::data::{Key, Schema, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::plan::{Named, Op, Prepared};
use crate::rowwise::{Compiled, Frame, Programs, check_state, unequal_lists};
use crate::run_context::{LogSink, RunContext, TableSink};

use super::aggregate::Groups;
use super::flow::{Flow, Input, Next, at_row, blocking, key, more};
use super::join::{Join, RightSide};
use super::source::source_flow;
use super::whole::{Pairs, Reverse, Sample, Sort};

/// The result of a plan as columns of values, its height, and the evaluation steps.
pub fn collect(plan: &Prepared, context: &RunContext) -> Fallible<(Vec<Vec<Value>>, usize, u64)> {
    let mut columns: Vec<Vec<Value>> = vec![Vec::new(); plan.schema().columns.len()];
    let mut height: usize = 0;
    let steps = each_row(plan, context, |row| {
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(std::mem::take(value));
        }
        height += 1;
        if height.is_multiple_of(1024) {
            context.check()?;
        }
        Ok(true)
    })?;
    Ok((columns, height, steps))
}

/// The evaluation steps of a plan whose rows go to a sink, and the whole table if that wants it kept.
pub fn stream(plan: &Prepared, sink: &mut dyn TableSink, context: &RunContext) -> Fallible<(Option<Table>, u64)> {
    let mut gathered = Gathered {
        schema: plan.schema(),
        columns: vec![Vec::new(); plan.schema().columns.len()],
        rows: 0,
        most: 1,
        given: Instant::now(),
        kept: sink.keeps().then(Vec::new),
        sink,
    };
    let steps = each_row(plan, context, |row| {
        let wanted = gathered.push(row)?;
        context.check()?;
        Ok(wanted)
    });
    if !context.stop.is_raised() {
        // Also what came before an error.
        gathered.give()?;
    }
    let steps = steps?;
    Ok((gathered.kept.map(|tables| Table::stacked(plan.schema(), tables)), steps))
}

/// Hands the rows of a plan to `take` until it wants no more; the evaluation steps.
fn each_row(
    plan: &Prepared,
    context: &RunContext,
    mut take: impl FnMut(&mut [Value]) -> Fallible<bool>,
) -> Fallible<u64> {
    let programs = Programs::metered(plan, context.meters.calls.as_ref());
    let mut frame = Frame::new(programs.of(plan)).stopping_at(&context.stop);
    let mut flow = build(plan, &programs, context)?;
    while more(flow.next(&mut frame))? {
        frame.steps += 1;
        if !take(&mut frame.row)? {
            break;
        }
    }
    Ok(frame.all_steps())
}

/// How long rows are gathered.
const WAIT: Duration = Duration::from_millis(20);

/// Rows on their way to a sink: each table is twice as long as the one before, and no row waits for long.
struct Gathered<'a> {
    schema: &'a Schema,
    columns: Vec<Vec<Value>>,
    rows: usize,
    most: usize,
    given: Instant,
    /// The tables so far, where the sink wants them kept.
    kept: Option<Vec<Table>>,
    sink: &'a mut dyn TableSink,
}

impl Gathered<'_> {
    fn push(&mut self, row: &mut [Value]) -> Fallible<bool> {
        for (column, value) in self.columns.iter_mut().zip(row) {
            column.push(std::mem::take(value));
        }
        self.rows += 1;
        // Looking at the clock takes as long as a simple row.
        let is_due = self.rows >= self.most || (self.rows.is_multiple_of(16) && self.given.elapsed() >= WAIT);
        if is_due { self.give() } else { Ok(true) }
    }

    fn give(&mut self) -> Fallible<bool> {
        const MOST: usize = 4096;
        if self.rows == 0 {
            return Ok(true);
        }
        let table = Table::from_columns(self.schema.clone(), self.rows, &self.columns);
        self.columns.iter_mut().for_each(Vec::clear);
        self.rows = 0;
        // Rows that are slow to come are given one by one.
        self.most = if self.given.elapsed() < WAIT { (2 * self.most).min(MOST) } else { 1 };
        let wanted = self.sink.take(&table)?;
        if self.sink.keeps()
            && let Some(kept) = &mut self.kept
        {
            kept.push(table);
        } else {
            self.kept = None;
        }
        self.given = Instant::now();
        Ok(wanted)
    }
}

/// The flow of a whole plan.
fn build<'a>(plan: &'a Prepared, programs: &'a Programs, context: &'a RunContext) -> Fallible<Input<'a>> {
    let mut chain = Chain::from(source_flow(&plan.source.op, plan.source.span, context)?);
    for (i, step) in plan.steps.iter().enumerate() {
        chain = chain.then(&step.op, step.span, programs, context)?;
        if i % STEPS_A_STACK == STEPS_A_STACK - 1 {
            chain = Chain::from(Box::new(NewStack { input: Some(chain.flow()) }) as Input);
        }
    }
    Ok(chain.flow())
}

/// A flow, and the row-wise steps that wait to follow it together.
struct Chain<'a> {
    input: Input<'a>,
    waiting: Vec<RowStep>,
}

impl<'a> From<Input<'a>> for Chain<'a> {
    fn from(input: Input<'a>) -> Chain<'a> {
        Chain { input, waiting: Vec::new() }
    }
}

impl<'a> Chain<'a> {
    fn flow(self) -> Input<'a> {
        let Chain { input, waiting } = self;
        if waiting.is_empty() { input } else { Box::new(RowWise { input, steps: waiting }) }
    }

    fn then_row_wise(mut self, what: RowOp) -> Chain<'a> {
        self.waiting.push(RowStep { what, rows: 0 });
        self
    }

    /// The same, and what follows on it.
    fn then(self, op: &'a Op, span: Span, programs: &'a Programs, context: &'a RunContext) -> Fallible<Chain<'a>> {
        let flow: Input = match op {
            Op::Project(named) => {
                let codes: Vec<Compiled> = named.iter().map(|named| Compiled::new(&named.expr)).collect();
                let scratch = vec![Value::Null; codes.len()];
                return Ok(self.then_row_wise(RowOp::Project(codes, scratch)));
            }
            Op::Filter(condition) => return Ok(self.then_row_wise(RowOp::Filter(Compiled::new(condition)))),
            Op::Explode(named) => Box::new(Explode {
                input: self.flow(),
                columns: named.iter().map(|named| Compiled::new(&named.expr)).collect(),
                is_list: named.iter().map(|named| matches!(named.expr.ty, Type::List(_))).collect(),
                values: Vec::new(),
                length: 0,
                at: 0,
                rows: 0,
                span,
                context,
            }),
            Op::Slice { offset, length } => {
                Box::new(Slice { input: self.flow(), skip: *offset, left: length.unwrap_or(u64::MAX) })
            }
            Op::Sort { keys, limit } => {
                let keys = keys.iter().map(|key| (Compiled::new(&key.expr), key.descending)).collect();
                blocking(self.flow(), context, Sort { keys, limit: *limit })
            }
            Op::Reverse => blocking(self.flow(), context, Reverse),
            Op::Number => Box::new(Number { input: self.flow(), row: 0 }),
            Op::Distinct(by) => {
                let by = by.as_ref().map(|by| by.iter().map(Compiled::new).collect());
                Box::new(Distinct { input: self.flow(), by, seen: HashSet::new(), rows: 0 })
            }
            Op::Aggregate { keys, aggs } => blocking(self.flow(), context, Groups::new(keys, aggs)),
            Op::Fold { start, step, each } => Box::new(Fold {
                input: self.flow(),
                acc: start.clone(),
                step: Compiled::new(&step.expr),
                each: *each,
                done: false,
                rows: 0,
                context,
            }),
            Op::Join { kind, right, on, right_columns } => {
                let keys = on.iter().map(|(left, _)| Compiled::new(left)).collect();
                let mut frame = Frame::new(programs.of(right)).stopping_at(&context.stop);
                let right = RightSide::new(build(right, programs, context)?, &mut frame, on, right_columns)?;
                let spent = (frame.steps, frame.bytes);
                Box::new(Join {
                    input: self.flow(),
                    kind: *kind,
                    keys,
                    right,
                    spent,
                    left: Vec::new(),
                    matches: VecDeque::new(),
                    rows: 0,
                })
            }
            Op::Concat(plans) => {
                let rest: Fallible<VecDeque<Part>> =
                    plans.iter().map(|plan| Part::new(plan, programs, context)).collect();
                Box::new(Concat { input: Some(self.flow()), rest: rest? })
            }
            Op::Zip(plans) => {
                let parts: Fallible<Vec<Part>> = plans.iter().map(|plan| Part::new(plan, programs, context)).collect();
                Box::new(Zip { input: self.flow(), parts: parts?, rows: 0, span })
            }
            Op::Pairs => blocking(self.flow(), context, Pairs),
            Op::Sample { count, seed } => blocking(self.flow(), context, Sample { count: *count, seed: *seed }),
            Op::Peek { count, label } => {
                Box::new(Peek { input: self.flow(), left: *count, label, log: context.log.clone() })
            }
            Op::Tally(counters) => {
                let codes = counters.iter().map(|counter| Compiled::new(&counter.expr)).collect();
                Box::new(Tally { input: self.flow(), counters, codes, rows: 0, context })
            }
        };
        Ok(Chain::from(flow))
    }
}

/// Each step asks the one before it on the stack; after so many it may need a new piece.
const STEPS_A_STACK: usize = 200;

struct NewStack<'a> {
    /// Always there until it is dropped.
    input: Option<Input<'a>>,
}

impl Flow for NewStack<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        let input = self.input.as_mut().expect("it is taken only when dropped");
        stacker::maybe_grow(256 << 10, 4 << 20, || input.next(frame))
    }
}

impl Drop for NewStack<'_> {
    fn drop(&mut self) {
        let input = self.input.take();
        stacker::maybe_grow(256 << 10, 4 << 20, || drop(input));
    }
}

/// Steps that take a row and give one or none, together: one call a row for all of them, not one for each.
struct RowWise<'a> {
    input: Input<'a>,
    steps: Vec<RowStep>,
}

struct RowStep {
    what: RowOp,
    rows: u64,
}

enum RowOp {
    /// The columns, and the row before the last one: its place is used again.
    Project(Vec<Compiled>, Vec<Value>),
    Filter(Compiled),
}

impl RowStep {
    /// Whether the row goes on.
    #[inline]
    fn pass(&mut self, frame: &mut Frame) -> Fallible<bool> {
        self.rows += 1;
        frame.steps += 1;
        match &mut self.what {
            RowOp::Project(codes, scratch) => {
                for (code, slot) in codes.iter().zip(scratch.iter_mut()) {
                    code.put(frame, slot).map_err(at_row(self.rows))?;
                }
                std::mem::swap(scratch, &mut frame.row);
                if scratch.len() != codes.len() {
                    scratch.resize(codes.len(), Value::Null);
                }
                Ok(true)
            }
            RowOp::Filter(condition) => condition.holds(frame).map_err(at_row(self.rows)),
        }
    }
}

impl Flow for RowWise<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        'rows: loop {
            self.input.next(frame)?;
            for step in &mut self.steps {
                if !step.pass(frame)? {
                    continue 'rows;
                }
            }
            return Ok(());
        }
    }
}

struct Explode<'a> {
    input: Input<'a>,
    columns: Vec<Compiled>,
    is_list: Vec<bool>,
    /// Of the row that is given.
    values: Vec<Value>,
    length: usize,
    at: usize,
    rows: u64,
    span: Span,
    context: &'a RunContext,
}

impl Explode<'_> {
    /// Takes the lists of the next row, and the values beside them.
    fn take(&mut self, frame: &mut Frame) -> Next {
        self.input.next(frame)?;
        self.rows += 1;
        frame.steps += 1;
        self.at = 0;
        self.values.clear();
        for (column, is_list) in self.columns.iter().zip(&self.is_list) {
            self.values.push(match (column.value(frame).map_err(at_row(self.rows))?, is_list) {
                (Value::Null, true) => Value::List(Arc::from([])),
                (value, _) => value,
            });
        }
        let mut lengths = self.values.iter().zip(&self.is_list).filter_map(|(value, is_list)| match value {
            Value::List(items) if *is_list => Some(items.len()),
            _ => None,
        });
        self.length = lengths.next().unwrap_or(0);
        match lengths.find(|length| *length != self.length) {
            None => Ok(()),
            Some(other) => {
                let error = unequal_lists(self.length, other);
                Err(Some(Box::new(Diagnostic { span: Some(self.span), row: Some(self.rows - 1), ..*error })))
            }
        }
    }
}

impl Flow for Explode<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        while self.at == self.length {
            self.take(frame)?;
        }
        frame.row.clear();
        for (value, is_list) in self.values.iter().zip(&self.is_list) {
            frame.row.push(match value {
                Value::List(items) if *is_list => items[self.at].clone(),
                value => value.clone(),
            });
        }
        self.at += 1;
        if self.at.is_multiple_of(1024) {
            self.context.check()?;
        }
        Ok(())
    }
}

struct Slice<'a> {
    input: Input<'a>,
    skip: u64,
    left: u64,
}

impl Flow for Slice<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        if self.left == 0 {
            return Err(None);
        }
        while self.skip > 0 {
            self.input.next(frame)?;
            frame.steps += 1;
            self.skip -= 1;
        }
        self.left -= 1;
        frame.steps += 1;
        self.input.next(frame)
    }
}

struct Number<'a> {
    input: Input<'a>,
    row: i64,
}

impl Flow for Number<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        self.input.next(frame)?;
        frame.steps += 1;
        frame.row.push(Value::Int(self.row));
        self.row += 1;
        Ok(())
    }
}

struct Distinct<'a> {
    input: Input<'a>,
    by: Option<Vec<Compiled>>,
    seen: HashSet<Key>,
    rows: u64,
}

impl Flow for Distinct<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        while more(self.input.next(frame))? {
            self.rows += 1;
            // The row, and a probe of the hash table.
            frame.steps += 2;
            let key = match &self.by {
                None => frame.row.clone().into(),
                Some(codes) => key(codes, frame).map_err(at_row(self.rows))?,
            };
            if self.seen.insert(key) {
                return Ok(());
            }
        }
        Err(None)
    }
}

struct Fold<'a> {
    input: Input<'a>,
    acc: Value,
    step: Compiled,
    each: bool,
    done: bool,
    rows: u64,
    context: &'a RunContext,
}

impl Fold<'_> {
    /// Takes one more row into `acc`; false at the end.
    fn advance(&mut self, frame: &mut Frame) -> Fallible<bool> {
        if !more(self.input.next(frame))? {
            return Ok(false);
        }
        self.rows += 1;
        frame.steps += 1;
        check_state(self.rows, &self.acc, self.context)?;
        frame.acc = std::mem::take(&mut self.acc);
        self.acc = self.step.value(frame).map_err(at_row(self.rows))?;
        Ok(true)
    }
}

impl Flow for Fold<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        if self.each {
            let more = self.advance(frame)?;
            frame.row.clear();
            frame.row.push(self.acc.clone());
            return if more { Ok(()) } else { Err(None) };
        }
        if self.done {
            return Err(None);
        }
        self.done = true;
        while self.advance(frame)? {}
        frame.row.clear();
        frame.row.push(std::mem::take(&mut self.acc));
        Ok(())
    }
}

/// A plan inside an op: its rows come from a frame of its own.
struct Part<'a> {
    flow: Input<'a>,
    frame: Frame<'a>,
}

impl<'a> Part<'a> {
    fn new(plan: &'a Prepared, programs: &'a Programs, context: &'a RunContext) -> Fallible<Part<'a>> {
        let frame = Frame::new(programs.of(plan)).stopping_at(&context.stop);
        Ok(Part { flow: build(plan, programs, context)?, frame })
    }

    /// Adds the next row's values to the row of `outer`.
    fn next(&mut self, outer: &mut Frame) -> Next {
        let next = self.flow.next(&mut self.frame);
        outer.steps += std::mem::take(&mut self.frame.steps);
        outer.bytes += std::mem::take(&mut self.frame.bytes);
        next?;
        outer.row.extend(self.frame.row.iter_mut().map(std::mem::take));
        Ok(())
    }
}

struct Concat<'a> {
    input: Option<Input<'a>>,
    rest: VecDeque<Part<'a>>,
}

impl Flow for Concat<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        if let Some(input) = &mut self.input {
            if more(input.next(frame))? {
                frame.steps += 1;
                return Ok(());
            }
            self.input = None;
        }
        while let Some(part) = self.rest.front_mut() {
            frame.row.clear();
            if more(part.next(frame))? {
                frame.steps += 1;
                return Ok(());
            }
            self.rest.pop_front();
        }
        Err(None)
    }
}

struct Zip<'a> {
    input: Input<'a>,
    parts: Vec<Part<'a>>,
    rows: usize,
    span: Span,
}

impl Flow for Zip<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        let here = more(self.input.next(frame))?;
        self.rows += usize::from(here);
        frame.steps += 1 + self.parts.len() as u64;
        for part in &mut self.parts {
            let there = more(part.next(frame))?;
            if here != there {
                // One of the two has come to its end: count on to the end of the other.
                let mut rows = (self.rows, self.rows - usize::from(here) + usize::from(there));
                while here && more(self.input.next(frame))? {
                    rows.0 += 1;
                }
                while there && more(part.next(frame))? {
                    rows.1 += 1;
                    frame.row.clear();
                }
                let message = format!("`zip` needs tables of the same length, got {} rows and {} rows", rows.0, rows.1);
                return Err(Some(
                    Diagnostic::at(Kind::Shape, self.span, message).hint("shorten the longer one with `take`"),
                ));
            }
        }
        if here { Ok(()) } else { Err(None) }
    }
}

struct Peek<'a> {
    input: Input<'a>,
    left: u64,
    label: &'a str,
    log: LogSink,
}

impl Flow for Peek<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        self.input.next(frame)?;
        frame.steps += 1;
        if self.left > 0 {
            self.left -= 1;
            let values: Vec<String> = frame.row.iter().map(|value| value.to_string()).collect();
            (self.log)(&format!("{}{}", self.label, values.join("  ")));
        }
        Ok(())
    }
}

struct Tally<'a> {
    input: Input<'a>,
    counters: &'a [Named],
    codes: Vec<Compiled>,
    rows: u64,
    context: &'a RunContext,
}

impl Flow for Tally<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        self.input.next(frame)?;
        self.rows += 1;
        frame.steps += 1;
        for (counter, code) in self.counters.iter().zip(&self.codes) {
            let more = match code.value(frame).map_err(at_row(self.rows))? {
                Value::Int(i) => i128::from(i),
                Value::Bool(b) => i128::from(b),
                Value::Null | Value::Float(_) | Value::Text(_) | Value::List(_) => 0,
            };
            self.context.counters.add(&counter.name, more);
        }
        Ok(())
    }
}
