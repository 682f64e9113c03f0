//! One task: a stage's steps over a part of its source.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::kernel::phase::{self, Batches, Breaker, Inner, OneThread, Pairs, Phase, Right, Spilling, Stream};
use crate::kernel::{self, Batch, Matches, Part, Partial, Parts, Rows, Scope, Segment, from_bytes, to_bytes};
use crate::plan::{Expr, Op, Prepared, Source, Step};
use crate::rowwise::Programs;
use crate::run_context::{ChunkSizes, RunContext};

use super::stage::Stage;

/// A stage with what all of its tasks share in this process.
pub struct OpenStage {
    /// It stays where it is: programs and joins are found by the addresses of plans.
    stage: Box<Stage>,
    programs: Programs,
    programs_in_order: Programs,
    /// The right sides of joins, by the address of their plans.
    joins: HashMap<usize, Arc<Matches>>,
    context: RunContext,
    /// Whether partials of many groups are given in parts.
    in_parts: bool,
    /// Whether a thread may keep the groups of all its tasks.
    holds_groups: bool,
}

/// What a task gives.
pub enum Output<'s> {
    Rows(Vec<Batch>),
    Partial(Box<Breaker<'s>>),
    /// A partial of many groups, for several threads.
    Parts(Parts),
    /// The flat columns of a partial that has rows of several tasks.
    Groups(Batch, Vec<Segment>),
    /// Whoever did the task has kept what came of it, and gives it later.
    Held,
}

/// The groups of several tasks of one thread: most keys come again in task after task, and are looked for only once.
#[derive(Default)]
pub struct Held<'s> {
    groups: Option<Spilling<'s>>,
    /// The tasks, and how many groups there were before each.
    segments: Vec<Segment>,
}

/// With more groups than these a thread gives what it holds away: its table would not stay in the caches.
const MOST_HELD: usize = 1 << 17;

impl OpenStage {
    /// Builds the right sides of joins.
    ///
    /// # Errors
    /// Those of the plans of these.
    pub fn new(stage: Stage, context: &RunContext) -> Fallible<OpenStage> {
        let stage = Box::new(stage);
        let (programs, programs_in_order) = (Programs::new(&stage.tasks), Programs::new(&stage.in_order));
        let mut joins = HashMap::new();
        for step in &stage.tasks.steps {
            if let Op::Join { right, on, right_columns, .. } = &step.op {
                let one = OneThread { programs: &programs, context };
                if let Right::Here(matches) = one.matches(right, on, right_columns, step.span, context)? {
                    joins.insert(address(right), matches);
                }
            }
        }
        Ok(OpenStage {
            stage,
            programs,
            programs_in_order,
            joins,
            context: context.clone(),
            in_parts: false,
            holds_groups: false,
        })
    }

    /// The same, where tasks give partials of many groups in parts.
    ///
    /// # Errors
    /// Those of a task of no rows.
    pub fn giving_parts(self) -> Fallible<OpenStage> {
        let holds_groups = self.stage.has_partials() && {
            let breaker = self.phase(&NO_ROWS)?.into_breaker().and_then(Spilling::into_breaker);
            breaker.is_some_and(|breaker| breaker.merges_in_any_order())
        };
        Ok(OpenStage { in_parts: true, holds_groups, ..self })
    }

    /// Whether tasks may be done with [`OpenStage::run_held`].
    pub fn holds_groups(&self) -> bool {
        self.holds_groups
    }

    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    pub fn context(&self) -> &RunContext {
        &self.context
    }

    /// The first phase of the steps that take the rows of all tasks in their order.
    pub fn in_order<'s>(&'s self, context: &'s RunContext) -> Fallible<Phase<'s>> {
        let (plan, programs) = (&self.stage.in_order, &self.programs_in_order);
        let phases = phase::phases(plan, programs.of(plan), context, &OneThread { programs, context });
        Ok(phases?.pop_front().expect(FIRST_PHASE))
    }

    /// Does a task: all of the stage's steps for the rows of a part of its source. `number` is its place in the order
    /// of tasks.
    ///
    /// # Errors
    /// What the steps run into.
    pub fn run(&self, number: usize, part: &Part) -> Fallible<Output<'_>> {
        let mut phase = self.phase(part)?;
        let mut ready = VecDeque::new();
        self.feed(part, &mut phase, &mut ready, &mut |_| Ok(()))?;
        match phase.into_breaker().and_then(Spilling::into_breaker) {
            Some(mut breaker) => {
                if self.in_parts && breaker.has_many_groups() {
                    let segments = vec![Segment { task: number, start: 0 }];
                    return Ok(Output::Parts(Parts::of(breaker.columns()?, self.stage.keys(), segments)));
                }
                breaker.settle()?;
                Ok(Output::Partial(Box::new(breaker)))
            }
            None => Ok(Output::Rows(ready.into())),
        }
    }

    /// The same for a thread that keeps the groups of its tasks, which come in their order, as long as they are few.
    ///
    /// # Errors
    /// As [`OpenStage::run`].
    pub fn run_held<'s>(&'s self, held: &mut Held<'s>, number: usize, part: &Part) -> Fallible<Output<'s>> {
        let before = held.groups.take();
        let count = |groups: &Option<Spilling>| groups.as_ref().map_or(0, Spilling::groups);
        held.segments.push(Segment { task: number, start: count(&before) });
        let mut phase = self.phase(part)?.going_on_with(before);
        self.feed(part, &mut phase, &mut VecDeque::new(), &mut |_| Ok(()))?;
        held.groups = phase.into_breaker();
        if count(&held.groups) <= MOST_HELD {
            return Ok(Output::Held);
        }
        Ok(self.given(std::mem::take(held))?.unwrap_or(Output::Held))
    }

    /// What is held at last, if there is anything.
    ///
    /// # Errors
    /// More rows than a table may have.
    pub fn given<'s>(&'s self, held: Held<'s>) -> Fallible<Option<Output<'s>>> {
        let Some(breaker) = held.groups.and_then(Spilling::into_breaker) else { return Ok(None) };
        let is_many = breaker.has_many_groups();
        let flat = breaker.columns()?;
        Ok(Some(match is_many {
            true => Output::Parts(Parts::of(flat, self.stage.keys(), held.segments)),
            false => Output::Groups(flat, held.segments),
        }))
    }

    /// The same as [`OpenStage::run`] for a stage whose tasks give rows: each batch goes to `take` as it comes. How
    /// many rows of the source were read.
    ///
    /// # Errors
    /// Also those of `take`.
    pub fn run_into(&self, part: &Part, take: &mut dyn FnMut(Batch) -> Fallible<()>) -> Fallible<u64> {
        let mut phase = self.phase(part)?;
        self.feed(part, &mut phase, &mut VecDeque::new(), &mut |ready| ready.drain(..).try_for_each(&mut *take))
    }

    /// Puts the rows of a part of the source through a phase. After each batch, `done` sees what that has given.
    fn feed<'s>(
        &'s self,
        part: &Part,
        phase: &mut Phase<'s>,
        ready: &mut VecDeque<Batch>,
        done: &mut dyn FnMut(&mut VecDeque<Batch>) -> Fallible<()>,
    ) -> Fallible<u64> {
        let mut source = Rest::of(self, part)?;
        let mut read = 0;
        let most = self.context.chunk_sizes.rows;
        // Of the rows that a `take` leaves, no more are computed at first than it may need.
        let mut rows = phase::first_rows(&self.stage.tasks.steps).map_or(most, |rows| rows.clamp(1, most));
        loop {
            self.context.check()?;
            let Some(batch) = source.next(rows)? else { break };
            read += batch.rows as u64;
            let wants_more = phase.take(batch, ready)?;
            done(ready)?;
            if !wants_more {
                break;
            }
            rows = (2 * rows).min(most);
        }
        while phase.close(ready)? {
            done(ready)?;
        }
        Ok(read)
    }

    /// Puts a batch of its input into the partial of a stage whose only step is a breaker.
    ///
    /// # Errors
    /// Those of the step's expressions.
    pub fn fill(&self, partial: &mut Breaker, batch: &Batch) -> Fallible<()> {
        partial.take(self.scope(batch))
    }

    /// The same, where what does not fit into memory is written.
    ///
    /// # Errors
    /// Also those of the disk.
    pub fn fill_spilling(&self, partial: &mut Spilling, batch: &Batch) -> Fallible<()> {
        partial.take(self.scope(batch))
    }

    /// The steps over batches that take the place of the source.
    ///
    /// # Errors
    /// Those of plans inside steps.
    pub fn over<'s>(&'s self, batches: Box<dyn Batches + 's>) -> Fallible<Stream<'s>> {
        Stream::over(batches, &self.stage.tasks, &self.programs, &self.context)
    }

    /// To which of `parts` parts each row of a batch belongs, by its key.
    ///
    /// # Errors
    /// Those of the key's expressions.
    pub fn places(&self, partial: &Breaker, batch: &Batch, parts: usize) -> Fallible<Vec<usize>> {
        partial.places(self.scope(batch), parts)
    }

    fn scope<'b>(&'b self, batch: &'b Batch) -> Scope<'b> {
        Scope::new(batch, self.programs.of(&self.stage.tasks), &self.context.stop)
    }

    /// What a task of no rows gives, where tasks give partials.
    pub fn no_partial(&self) -> Fallible<Option<Breaker<'_>>> {
        Ok(self.phase(&NO_ROWS)?.into_breaker().and_then(Spilling::into_breaker))
    }

    /// What takes the partials of all tasks, where they give such.
    pub fn merged<'s>(&'s self, context: &'s RunContext) -> Fallible<Option<Spilling<'s>>> {
        Ok(self.phase_of(&NO_ROWS, context)?.into_breaker())
    }

    /// The output that another process has written with [`Output::to_bytes`].
    ///
    /// # Errors
    /// These are not the bytes of an output of this stage.
    pub fn output(&self, bytes: &[u8]) -> Fallible<Output<'_>> {
        let flat = from_bytes(bytes).ok_or_else(|| Diagnostic::new(Kind::System, "a task gave broken data"))?;
        match self.merged(&self.context)?.and_then(Spilling::into_breaker) {
            Some(mut breaker) => {
                breaker.take_columns(flat, &self.context)?;
                Ok(Output::Partial(Box::new(breaker)))
            }
            None => Ok(Output::Rows(vec![flat])),
        }
    }

    fn phase(&self, part: &Part) -> Fallible<Phase<'_>> {
        self.phase_of(part, &self.context)
    }

    fn phase_of<'s>(&'s self, part: &Part, context: &'s RunContext) -> Fallible<Phase<'s>> {
        let tasks = &self.stage.tasks;
        let first_row = if let Part::Rows { start, .. } = part { *start } else { 0 };
        let inner = OfTask { stage: self, first_row };
        let phases = phase::phases(tasks, self.programs.of(tasks), context, &inner);
        Ok(phases?.pop_front().expect(FIRST_PHASE))
    }
}

impl Output<'_> {
    /// As flat columns, for another process.
    ///
    /// # Errors
    /// More rows than a table may have.
    pub fn to_bytes(self, stage: &Stage) -> Fallible<Vec<u8>> {
        Ok(to_bytes(&match self {
            Output::Partial(breaker) => breaker.columns()?,
            Output::Parts(_) | Output::Groups(..) | Output::Held => {
                return Err(Diagnostic::new(Kind::System, "parts stay in their process"));
            }
            Output::Rows(batches) => {
                let mut rows = Rows::of(stage.tasks.schema());
                batches.iter().try_for_each(|batch| rows.push(batch))?;
                rows.finish()
            }
        }))
    }
}

/// The rows of a part that were not taken yet.
enum Rest<'s> {
    Source(kernel::Source<'s>, &'s RunContext),
    Pairs(Pairs<'s>),
}

impl<'s> Rest<'s> {
    fn of(open: &'s OpenStage, part: &Part) -> Fallible<Rest<'s>> {
        let source = &open.stage.tasks.source;
        if !open.stage.pairs {
            return Ok(Rest::Source(kernel::source(source, part.clone(), &open.context)?, &open.context));
        }
        let all = kernel::source(source, Part::Whole, &open.context)?.next(usize::MAX)?;
        let rows = part.rows(u64::MAX);
        let all = all.unwrap_or(Batch { rows: 0, columns: Vec::new() });
        Ok(Rest::Pairs(Pairs::new(all, rows.start as u32, rows.end.min(u64::from(u32::MAX)) as u32, &open.context)))
    }

    fn next(&mut self, most: usize) -> Fallible<Option<Batch>> {
        match self {
            Rest::Source(source, context) => {
                let batch = source.next(most)?;
                context.progress.add_rows(batch.as_ref().map_or(0, |batch| batch.rows as u64));
                Ok(batch)
            }
            Rest::Pairs(pairs) => pairs.next(),
        }
    }
}

/// What the operators of a task are given.
struct OfTask<'s> {
    stage: &'s OpenStage,
    first_row: u64,
}

impl<'s> Inner<'s> for OfTask<'s> {
    fn batches(&self, plan: &'s Prepared) -> Fallible<Box<dyn Batches + 's>> {
        OneThread { programs: &self.stage.programs, context: &self.stage.context }.batches(plan)
    }

    fn matches(
        &self,
        right: &'s Prepared,
        _: &[(Expr, Expr)],
        _: &[usize],
        _: Span,
        _: &RunContext,
    ) -> Fallible<Right> {
        Ok(Right::Here(self.stage.joins.get(&address(right)).expect("all joins of the stage were built").clone()))
    }

    fn first_row(&self) -> u64 {
        self.first_row
    }
}

const NO_ROWS: Part = Part::Rows { start: 0, end: 0 };

const FIRST_PHASE: &str = "a plan has a phase, if one of no steps";

fn address(plan: &Prepared) -> usize {
    std::ptr::from_ref(plan).addr()
}

/// Of files no more tasks, however large they are.
const MOST_OF_FILES: u64 = 4096;
const MOST: u64 = 1 << 16;

/// A small input has work for some threads, too, but no task is so small that most of its work is to begin.
const FEW: u64 = 8;

/// The size of a task, in bytes, where the input has so many.
fn task_size(bytes: u64, context: &RunContext) -> u64 {
    let most = context.chunk_sizes.task as u64;
    (bytes / FEW).clamp(most / 16, most).max(1)
}

/// The parts of a stage's source, a task for each. A range without end has as many as are asked for.
pub fn parts(stage: &Stage, context: &RunContext) -> Box<dyn Iterator<Item = Part> + Send> {
    let Step { op: source, .. } = &stage.tasks.source;
    let row = ChunkSizes::ROW as u64;
    let task_rows = (context.chunk_sizes.task as u64 / row).max(1);
    let rows = |rows: u64| {
        let size = task_size(rows.saturating_mul(row), context).div_ceil(row);
        rows.div_ceil(size).clamp(1, MOST) as usize
    };
    let most = match source {
        // Each row is the first one of fewer pairs than the row before.
        Source::Kept(kept) if stage.pairs => {
            let height = kept.table().height() as u64;
            rows(height.saturating_mul(height) / 2)
        }
        Source::Kept(kept) => rows(kept.table().height() as u64),
        Source::Values(values) => rows(values.len() as u64),
        Source::Generated { count, .. } => rows(*count),
        Source::Range { start, end: Some(end) } => rows(end.saturating_sub(*start).max(0) as u64),
        Source::Iterated(_) => 1,
        Source::Range { start, end: None } => {
            let count = i64::MAX.abs_diff(*start) / task_rows;
            return match count {
                // Near the end of all ints: who reads to the end of the range meets the error.
                ..MOST => Box::new(std::iter::once(Part::Whole)),
                _ => Box::new((0..count).map(move |i| Part::Rows { start: i * task_rows, end: (i + 1) * task_rows })),
            };
        }
        Source::Read(read) => read.bytes().div_ceil(task_size(read.bytes(), context)).clamp(1, MOST_OF_FILES) as usize,
    };
    Box::new(kernel::parts(source, most, context).into_iter())
}
