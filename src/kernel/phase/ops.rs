//! One operator for each op.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::data::{Schema, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::kernel::external::{ExternalJoin, Keyed, KeysAt, Merge};
use crate::kernel::{Batch, Column, Compiled, Compiler, Data, Distinct, Matches, Partial, RightSide, Scope};
use crate::measure;
use crate::plan::{Expr, Function, JoinKind, Named, Op, Prepared, Step};
use crate::rowwise::{self, Frame, Program};
use crate::run_context::{LogSink, RunContext};

use super::explode::Explode;
use super::operator::{Batches, Inner, Operator, Right, Sink};
use super::spilling::InOrder;

/// The operator of a step; none for a pipeline breaker. `inner` makes the batches of the plans inside it.
pub fn operator<'a>(
    step: &'a Step,
    input: &'a Schema,
    plan: &'a Prepared,
    compiler: &Compiler,
    program: &'a Program,
    context: &'a RunContext,
    inner: &dyn Inner<'a>,
) -> Fallible<Option<Box<dyn Operator + 'a>>> {
    let compile = |expr| compiler.compile(expr);
    let functions = &plan.functions[..];
    let means = Means { program, context };
    Ok(Some(match &step.op {
        Op::Project(named) => {
            Box::new(Project { codes: named.iter().map(|named| compile(&named.expr)).collect(), means })
        }
        Op::Filter(condition) => Box::new(Filter { condition: compile(condition), means }),
        Op::Explode(named) => Box::new(Explode::new(named, compiler, program, context)),
        Op::Slice { offset, length } => Box::new(Slice { skip: *offset, left: length.unwrap_or(u64::MAX) }),
        Op::Number => Box::new(Number { row: inner.first_row() as i64 }),
        Op::Distinct(by) => {
            let of = OfDistinct { by: by.as_deref(), schema: &step.schema, functions };
            let distinct = of.distinct();
            let live = measure::live();
            Box::new(Streamed { distinct, keyed: None, left: None, of, batches: 0, live, span: step.span, means })
        }
        Op::Fold { start, step: each_step, each } => Box::new(Fold {
            acc: start.clone(),
            step: rowwise::Compiled::new(&each_step.expr),
            each: *each,
            schema: &step.schema,
            rows: 0,
            means,
        }),
        Op::Join { kind, right: right_plan, on, right_columns } => {
            let keys = on.iter().map(|(left, _)| compile(left)).collect();
            match inner.matches(right_plan, on, right_columns, step.span, context)? {
                Right::Here(right) => Box::new(Join { kind: *kind, keys, right, means }),
                Right::External(external) => {
                    let columns = |schema: &Schema| schema.columns.iter().map(|column| column.ty.clone()).collect();
                    let mut types: Vec<Type> = columns(input);
                    types.extend(on.iter().map(|(left, _)| left.ty.clone()));
                    let join = Some(ExternalJoin::new(external, *kind, types));
                    let right: Vec<Type> = columns(right_plan.schema());
                    let side = RightOf { on, wanted: right_columns, types: right, functions: &right_plan.functions };
                    Box::new(JoinedLater { join, left: None, keys, side, types: columns(&step.schema), means })
                }
            }
        }
        Op::Concat(plans) => {
            let parts: Fallible<VecDeque<_>> = plans.iter().map(|plan| inner.batches(plan)).collect();
            Box::new(Concat { parts: parts?, wanted: true })
        }
        Op::Zip(plans) => {
            let part = |plan: &'a Prepared| Ok(Part { batches: inner.batches(plan)?, held: None });
            let parts: Fallible<Vec<Part>> = plans.iter().map(part).collect();
            Box::new(Zip { parts: parts?, wanted: true, span: step.span })
        }
        Op::Peek { count, label } => Box::new(Peek { left: *count, label, log: context.log.clone() }),
        Op::Tally(counters) => {
            let codes = counters.iter().map(|counter| compile(&counter.expr)).collect();
            Box::new(Tally { counters, codes, means })
        }
        Op::Sort { .. } | Op::Reverse | Op::Aggregate { .. } | Op::Pairs | Op::Sample { .. } => return Ok(None),
    }))
}

/// What expressions are evaluated with.
#[derive(Clone, Copy)]
struct Means<'a> {
    program: &'a Program,
    context: &'a RunContext,
}

impl<'a> Means<'a> {
    fn scope<'b>(self, batch: &'b Batch) -> Scope<'b>
    where
        'a: 'b,
    {
        Scope::new(batch, self.program, &self.context.stop)
    }

    fn columns(self, codes: &[Compiled], batch: &Batch) -> Fallible<Vec<Column>> {
        let columns: Result<Vec<Column>, _> = codes.iter().map(|code| code.value(self.scope(batch))).collect();
        columns.map_err(|fault| fault.diagnostic(None))
    }
}

struct Project<'a> {
    codes: Vec<Compiled>,
    means: Means<'a>,
}

impl Operator for Project<'_> {
    fn push(&mut self, batch: Batch, next: &mut Sink) -> Fallible<bool> {
        let columns = self.means.columns(&self.codes, &batch)?;
        next(Batch { rows: batch.rows, columns })
    }
}

struct Filter<'a> {
    condition: Compiled,
    means: Means<'a>,
}

impl Operator for Filter<'_> {
    fn push(&mut self, batch: Batch, next: &mut Sink) -> Fallible<bool> {
        let holds = self.condition.holds(self.means.scope(&batch)).map_err(|fault| fault.diagnostic(None))?;
        match holds {
            None => next(batch),
            Some(rows) if rows.is_empty() => Ok(true),
            Some(rows) => next(batch.gathered(&rows)),
        }
    }
}

struct Slice {
    skip: u64,
    left: u64,
}

impl Operator for Slice {
    fn push(&mut self, batch: Batch, next: &mut Sink) -> Fallible<bool> {
        if self.left == 0 {
            return Ok(false);
        }
        let skipped = self.skip.min(batch.rows as u64);
        self.skip -= skipped;
        let rows = self.left.min(batch.rows as u64 - skipped);
        self.left -= rows;
        // The answer is no with the last row, not at the next batch: nothing more is read for it.
        let wants = rows == 0 || next(batch.part(skipped as usize, rows as usize))?;
        Ok(wants && self.left > 0)
    }
}

struct Number {
    row: i64,
}

impl Operator for Number {
    fn push(&mut self, mut batch: Batch, next: &mut Sink) -> Fallible<bool> {
        // The bounds are known, so that arithmetic on row numbers needs no test for overflow.
        let end = self.row + batch.rows as i64;
        batch.columns.push(Column::ints((self.row..end).collect(), Some((self.row, end - 1))));
        self.row = end;
        next(batch)
    }
}

/// Gives each row out as soon as it is known to be the first of its key. When its keys do not fit into memory any more,
/// it goes on in a scratch file, and gives the rest when it has all.
struct Streamed<'a> {
    distinct: Distinct,
    keyed: Option<Keyed>,
    /// What was not given yet, once it has all.
    left: Option<InOrder<'a>>,
    of: OfDistinct<'a>,
    /// Since its size was looked at, and the bytes of the heap at that time.
    batches: usize,
    live: u64,
    span: Span,
    means: Means<'a>,
}

/// What an empty one is made of.
#[derive(Clone, Copy)]
struct OfDistinct<'a> {
    by: Option<&'a [Expr]>,
    schema: &'a Schema,
    functions: &'a [Function],
}

impl OfDistinct<'_> {
    fn distinct(&self) -> Distinct {
        let types = self.schema.columns.iter().map(|column| &column.ty);
        Distinct::new(self.by, types, &Compiler::new(self.functions))
    }

    fn keys(&self) -> KeysAt {
        self.by.map_or(KeysAt::All, |by| KeysAt::End(by.len()))
    }
}

/// Its size is looked at after so many batches, or when the heap has grown by an eighth of what the run may use.
const LOOKED_BATCHES: usize = 8;

impl Operator for Streamed<'_> {
    fn push(&mut self, batch: Batch, next: &mut Sink) -> Fallible<bool> {
        let scope = self.means.scope(&batch);
        let Some(spill) = &self.means.context.spill else {
            let fresh = self.distinct.fresh(scope)?;
            return if fresh.rows == 0 { Ok(true) } else { next(fresh) };
        };
        let fresh = self.distinct.kept(scope)?;
        self.batches += 1;
        let grown = measure::live().saturating_sub(self.live);
        if self.batches >= LOOKED_BATCHES || grown >= spill.budget / 8 {
            (self.batches, self.live) = (0, measure::live());
            if self.distinct.size() > spill.limit() {
                let full = std::mem::replace(&mut self.distinct, self.of.distinct()).columns()?;
                match &mut self.keyed {
                    Some(keyed) => keyed.push(full)?,
                    None => {
                        let mut keyed = Keyed::new(spill, self.of.keys(), self.span)?;
                        keyed.push_given(full)?;
                        self.keyed = Some(keyed);
                        // These were the last rows that are given out at once.
                        return if fresh.rows == 0 { Ok(true) } else { next(fresh) };
                    }
                }
            }
        }
        if self.keyed.is_some() || fresh.rows == 0 { Ok(true) } else { next(fresh) }
    }

    fn give_kept(&mut self, next: &mut Sink) -> Fallible<bool> {
        if let Some(mut keyed) = self.keyed.take() {
            keyed.push(std::mem::replace(&mut self.distinct, self.of.distinct()).columns()?)?;
            let types: Vec<Type> = self.of.schema.columns.iter().map(|column| column.ty.clone()).collect();
            let left_out = types.len();
            let context = self.means.context;
            let rows = keyed.finish(&|| self.of.distinct(), types, context)?;
            self.left = Some(InOrder { rows, left_out, context });
        }
        let Some(left) = &mut self.left else { return Ok(false) };
        left.next()?.map_or(Ok(false), next)
    }
}

struct Fold<'a> {
    acc: Value,
    step: rowwise::Compiled,
    each: bool,
    schema: &'a Schema,
    rows: u64,
    means: Means<'a>,
}

impl Fold<'_> {
    fn give(&self, values: Vec<Value>, next: &mut Sink) -> Fallible<bool> {
        let rows = values.len();
        next(Batch { rows, columns: vec![Column::from_values(values, &self.schema.columns[0].ty)] })
    }
}

impl Operator for Fold<'_> {
    fn push(&mut self, batch: Batch, next: &mut Sink) -> Fallible<bool> {
        let mut frame = Frame::new(self.means.program).stopping_at(&self.means.context.stop);
        let mut steps = Vec::new();
        for row in 0..batch.rows {
            self.rows += 1;
            rowwise::check_state(self.rows, &self.acc, self.means.context)?;
            frame.row.clear();
            frame.row.extend(batch.columns.iter().map(|column| column.value(row)));
            frame.acc = std::mem::take(&mut self.acc);
            self.acc = self.step.value(&mut frame).map_err(|fault| fault.diagnostic(None))?;
            if self.each {
                steps.push(self.acc.clone());
            }
        }
        if self.each { self.give(steps, next) } else { Ok(true) }
    }

    fn give_kept(&mut self, next: &mut Sink) -> Fallible<bool> {
        if !self.each {
            let acc = std::mem::take(&mut self.acc);
            self.give(vec![acc], next)?;
        }
        Ok(false)
    }
}

struct Join<'a> {
    kind: JoinKind,
    keys: Vec<Compiled>,
    right: Arc<Matches>,
    means: Means<'a>,
}

impl Operator for Join<'_> {
    fn push(&mut self, batch: Batch, next: &mut Sink) -> Fallible<bool> {
        let keys = self.means.columns(&self.keys, &batch)?;
        let context = self.means.context;
        self.right.join(self.kind, &keys, &batch, context.chunk_sizes.rows, &mut |batch| {
            context.check()?;
            if batch.rows == 0 { Ok(true) } else { next(batch) }
        })
    }

    fn multiplies(&self) -> bool {
        true
    }
}

/// A join of which one side does not fit into memory: it gives its rows when it has all.
struct JoinedLater<'a> {
    join: Option<ExternalJoin>,
    /// What was not given yet, once it has all, and the column that only orders it.
    left: Option<(Merge, usize)>,
    keys: Vec<Compiled>,
    side: RightOf<'a>,
    /// Of the result.
    types: Vec<Type>,
    means: Means<'a>,
}

/// What an empty right side is made of.
struct RightOf<'a> {
    on: &'a [(Expr, Expr)],
    wanted: &'a [usize],
    types: Vec<Type>,
    functions: &'a [Function],
}

impl Operator for JoinedLater<'_> {
    fn push(&mut self, batch: Batch, _: &mut Sink) -> Fallible<bool> {
        let keys = self.means.columns(&self.keys, &batch)?;
        self.join.as_mut().expect("it takes rows before it gives any").take(&batch, keys)?;
        Ok(true)
    }

    fn give_kept(&mut self, next: &mut Sink) -> Fallible<bool> {
        let context = self.means.context;
        if let Some(join) = self.join.take() {
            let RightOf { on, wanted, types, functions } = &self.side;
            let make = || RightSide::new(on, wanted, types, &Compiler::new(functions));
            let width = join.width();
            self.left = Some((join.finish(&make, std::mem::take(&mut self.types), context)?, width));
        }
        let Some((merge, number)) = &mut self.left else { return Ok(false) };
        let Some(mut batch) = merge.next(context.chunk_sizes.rows, context)? else { return Ok(false) };
        batch.columns.remove(*number);
        next(batch)
    }
}

struct Concat<'a> {
    parts: VecDeque<Box<dyn Batches + 'a>>,
    wanted: bool,
}

impl Operator for Concat<'_> {
    fn push(&mut self, batch: Batch, next: &mut Sink) -> Fallible<bool> {
        self.wanted = next(batch)?;
        Ok(self.wanted)
    }

    fn give_kept(&mut self, next: &mut Sink) -> Fallible<bool> {
        let Some(part) = self.parts.front_mut().filter(|_| self.wanted) else { return Ok(false) };
        match part.next()? {
            Some(batch) => self.wanted = next(batch)?,
            None => drop(self.parts.pop_front()),
        }
        Ok(self.wanted)
    }
}

struct Zip<'a> {
    parts: Vec<Part<'a>>,
    wanted: bool,
    span: Span,
}

/// Batches, and what was not taken yet of the last one.
struct Part<'a> {
    batches: Box<dyn Batches + 'a>,
    held: Option<(Batch, usize)>,
}

impl Part<'_> {
    /// The next rows, at most so many; none at the end.
    fn next(&mut self, most: usize) -> Fallible<Option<Batch>> {
        if self.held.is_none() {
            self.held = self.batches.next()?.map(|batch| (batch, 0));
        }
        let Some((batch, start)) = self.held.take() else { return Ok(None) };
        let rows = most.min(batch.rows - start);
        let part = batch.part(start, rows);
        if start + rows < batch.rows {
            self.held = Some((batch, start + rows));
        }
        Ok(Some(part))
    }
}

impl Zip<'_> {
    fn unequal(&self) -> Box<Diagnostic> {
        Diagnostic::at(Kind::Shape, self.span, "`zip` needs tables of the same length")
            .hint("shorten the longer one with `take`")
    }
}

impl Operator for Zip<'_> {
    fn push(&mut self, batch: Batch, next: &mut Sink) -> Fallible<bool> {
        let mut start = 0;
        while start < batch.rows {
            // As many rows as all have at hand.
            let mut rows = batch.rows - start;
            for part in &mut self.parts {
                if part.held.is_none() {
                    part.held = part.batches.next()?.map(|batch| (batch, 0));
                }
                match &part.held {
                    Some((batch, start)) => rows = rows.min(batch.rows - start),
                    None => return Err(self.unequal()),
                }
            }
            let mut zipped = batch.part(start, rows);
            for part in &mut self.parts {
                let here = part.next(rows)?;
                zipped.columns.extend(here.into_iter().flat_map(|batch| batch.columns));
            }
            start += rows;
            self.wanted = next(zipped)?;
            if !self.wanted {
                break;
            }
        }
        Ok(self.wanted)
    }

    fn give_kept(&mut self, _: &mut Sink) -> Fallible<bool> {
        // Unequal lengths are an error only where all rows were wanted: a `take` behind it never sees the end.
        for part in &mut self.parts {
            if self.wanted && part.next(1)?.is_some() {
                return Err(self.unequal());
            }
        }
        Ok(false)
    }
}

struct Peek<'a> {
    left: u64,
    label: &'a str,
    log: LogSink,
}

impl Operator for Peek<'_> {
    fn push(&mut self, batch: Batch, next: &mut Sink) -> Fallible<bool> {
        let rows = self.left.min(batch.rows as u64);
        self.left -= rows;
        for row in 0..rows as usize {
            let values: Vec<String> = batch.columns.iter().map(|column| column.value(row).to_string()).collect();
            (self.log)(&format!("{}{}", self.label, values.join("  ")));
        }
        next(batch)
    }
}

struct Tally<'a> {
    counters: &'a [Named],
    codes: Vec<Compiled>,
    means: Means<'a>,
}

impl Operator for Tally<'_> {
    fn push(&mut self, batch: Batch, next: &mut Sink) -> Fallible<bool> {
        let columns = self.means.columns(&self.codes, &batch)?;
        for (counter, column) in self.counters.iter().zip(&columns) {
            let value = |row: usize| if column.nulls.at(row) { 0 } else { counted(column, row) };
            self.means.context.counters.add(&counter.name, (0..batch.rows).map(value).sum());
        }
        next(batch)
    }
}

/// What a row counts.
fn counted(column: &Column, row: usize) -> i128 {
    match &column.data {
        Data::Int(ints) => i128::from(*ints.slots.at(row)),
        Data::Bool(bools) => i128::from(*bools.at(row)),
        Data::Float(_) | Data::Text(_) | Data::List(_) => 0,
    }
}
