//! One operator for each op.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::data::{Schema, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::kernel::{Batch, Column, Compiled, Compiler, Distinct, Matches, Scope};
use crate::plan::{JoinKind, Op, Prepared, Step};
use crate::rowwise::{self, Frame, Program};
use crate::run_context::{LogSink, RunContext};

use super::explode::Explode;
use super::operator::{Batches, Inner, Operator, Sink};

/// The operator of a step; none for a pipeline breaker. `inner` makes the batches of the plans inside it.
pub fn operator<'a>(
    step: &'a Step,
    compiler: &Compiler,
    program: &'a Program,
    context: &'a RunContext,
    inner: &dyn Inner<'a>,
) -> Fallible<Option<Box<dyn Operator + 'a>>> {
    let compile = |expr| compiler.compile(expr);
    let means = Means { program, context };
    Ok(Some(match &step.op {
        Op::Project(named) => {
            Box::new(Project { codes: named.iter().map(|named| compile(&named.expr)).collect(), means })
        }
        Op::Filter(condition) => Box::new(Filter { condition: compile(condition), means }),
        Op::Explode(list) => Box::new(Explode::new(&list.expr, compiler, program, context)),
        Op::Slice { offset, length } => Box::new(Slice { skip: *offset, left: length.unwrap_or(u64::MAX) }),
        Op::Number => Box::new(Number { row: inner.first_row() as i64 }),
        Op::Distinct(by) => {
            let types = step.schema.columns.iter().map(|column| &column.ty);
            Box::new(Streamed { distinct: Distinct::new(by.as_deref(), types, compiler), means })
        }
        Op::Fold { start, step: each_step, each } => Box::new(Fold {
            acc: start.clone(),
            step: rowwise::Compiled::new(&each_step.expr),
            each: *each,
            schema: &step.schema,
            rows: 0,
            means,
        }),
        Op::Join { kind, right, on, right_columns } => {
            let keys = on.iter().map(|(left, _)| compile(left)).collect();
            let right = inner.matches(right, on, right_columns, context)?;
            Box::new(Join { kind: *kind, keys, right, means })
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

/// Gives each row out as soon as it is known to be the first of its key.
struct Streamed<'a> {
    distinct: Distinct,
    means: Means<'a>,
}

impl Operator for Streamed<'_> {
    fn push(&mut self, batch: Batch, next: &mut Sink) -> Fallible<bool> {
        let fresh = self.distinct.fresh(self.means.scope(&batch))?;
        if fresh.rows == 0 { Ok(true) } else { next(fresh) }
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

    fn finish(&mut self, next: &mut Sink) -> Fallible<()> {
        if !self.each {
            let acc = std::mem::take(&mut self.acc);
            self.give(vec![acc], next)?;
        }
        Ok(())
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

    fn finish(&mut self, next: &mut Sink) -> Fallible<()> {
        while self.wanted
            && let Some(part) = self.parts.front_mut()
        {
            match part.next()? {
                Some(batch) => self.wanted = next(batch)?,
                None => drop(self.parts.pop_front()),
            }
        }
        Ok(())
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

    fn finish(&mut self, _: &mut Sink) -> Fallible<()> {
        // Unequal lengths are an error only where all rows were wanted: a `take` behind it never sees the end.
        for part in &mut self.parts {
            if self.wanted && part.next(1)?.is_some() {
                return Err(self.unequal());
            }
        }
        Ok(())
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
