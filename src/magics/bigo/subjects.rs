//! One subject at all its sizes: walked up once for its costs, once for its steps, then sampled in rounds.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::data::Table;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::engines::{self, Choice};
use crate::harness::{Harness, Input};
use crate::lang::{Variants, Word};
use crate::magics::compare::{Asker, Variant, What, table_of};
use crate::magics::timing::{self, Time};
use crate::measure::growth::{
    self, Answer, Budget, Class, End, Point, Question, Sampled, Times, Verdict, Walk, Worked, answer_timed, rounds,
    usual, walk,
};
use crate::measure::{Clock, Clocks, Cost, Overhead, ThreadCpu, Wall, second_cache};
use crate::plan::Plan;
use crate::run_context::RunContext;
use crate::rust::{Counted, Uncounted, block_program};
use crate::session::{self, Replicas, Session, kept_plan, lone_block, lone_command};
use crate::show::duration_text;

use super::Asked;
use super::deadline::Deadline;
use super::work::Work;

/// What goes into the subjects at each size.
pub struct Inputs<'a> {
    family: &'a Option<Asker>,
    variants: &'a Variants,
    sizes: Option<Vec<i64>>,
    case: super::Case,
    /// The inputs of a family that pipelines continue, by size, where they were made.
    tables: Vec<(i64, OnceCell<Arc<Table>>)>,
}

impl<'a> Inputs<'a> {
    pub fn new(
        family: &'a Option<Asker>,
        case: super::Case,
        variants: &'a Variants,
        sizes: Option<Vec<i64>>,
        chosen: &[Variant],
    ) -> Inputs<'a> {
        let inputs = Inputs { family, variants, sizes, case, tables: Vec::new() };
        let continuing = chosen.iter().filter(|variant| family.is_some() && variant.continues());
        let mut all: Vec<i64> = continuing.flat_map(|variant| inputs.sizes(variant)).collect();
        all.sort_unstable();
        all.dedup();
        Inputs { tables: all.into_iter().map(|size| (size, OnceCell::new())).collect(), ..inputs }
    }

    /// The sizes of a subject: those asked for, up to its largest.
    fn sizes(&self, variant: &Variant) -> Vec<i64> {
        let most = if let What::Algorithm(claims) = &variant.what { claims.most as i64 } else { i64::MAX };
        match &self.sizes {
            Some(sizes) => sizes.iter().copied().filter(|size| *size <= most).collect(),
            None if self.family.is_some() => usual(most.min(self.largest())),
            None => usual(growth::LARGEST),
        }
    }

    /// The largest size of any variant of the family: its inputs are made up to that.
    fn largest(&self) -> i64 {
        let all = self.family.iter().flat_map(|family| family.family.variants());
        all.map(|claims| claims.most as i64).max().unwrap_or(growth::LARGEST)
    }

    /// The family's input of a size, as pipelines take it.
    fn table(&self, session: &Session, size: i64, context: &RunContext) -> Fallible<Option<&Arc<Table>>> {
        let Some(family) = self.family else { return Ok(None) };
        let Some((_, place)) = self.tables.iter().find(|(of, _)| *of == size) else { return Ok(None) };
        if place.get().is_none() {
            let maker = family.maker(size)?;
            // A large one takes seconds, and its maker knows no stop flag.
            let table = match session.detached() {
                Some(detached) => detached.run("the input", context, move |_| maker())?,
                None => maker()?,
            };
            // Nobody else can have filled it meanwhile.
            let _ = place.set(Arc::new(table));
        }
        Ok(place.get())
    }

    /// What a variant that begins with a stage goes on from, where there is one.
    fn plan(
        &self,
        session: &mut Session,
        variant: &Variant,
        size: i64,
        context: &RunContext,
    ) -> Fallible<Option<Plan>> {
        if !variant.continues() {
            return Ok(None);
        }
        if let Some(table) = self.table(session, size, context)? {
            let span = variant.pipeline().map(|pipeline| pipeline.span).unwrap_or_default();
            return Ok(Some(kept_plan(table.clone(), span)));
        }
        let Some(shared) = &self.variants.shared else { return Ok(None) };
        let plan = table_of(session, shared)?;
        let choice = session.engine(None)?;
        let table = session.run(plan, choice, context)?.table;
        Ok(Some(kept_plan(table, shared.span)))
    }
}

/// One variant whose growth is asked for.
pub struct Candidate<'a> {
    pub variant: &'a Variant<'a>,
    pub name: &'a Word,
    pub inputs: &'a Inputs<'a>,
    /// What runs algorithms of a family.
    pub harness: &'a Harness,
}

/// What one size cost.
#[derive(Debug, Clone, Default)]
pub struct Row {
    pub n: i64,
    pub times: Times,
    pub steps: Option<f64>,
    pub space: Option<f64>,
    pub allocs: Option<f64>,
    /// What it works on, where that is known.
    bytes: Option<f64>,
    /// Nanoseconds of a run, roughly.
    wall: f64,
}

/// All that was measured of one subject.
pub struct Measured {
    pub name: String,
    pub rows: Vec<Row>,
    /// Sizes that the time did not allow.
    pub left_out: Vec<i64>,
    /// Why the walk ended before the sizes did, where that was not the time.
    pub cut: Option<Cut>,
    /// What it took to compile it with counters.
    pub compiled: Duration,
    /// Why no steps were counted, where they were asked for.
    pub uncounted: Option<String>,
    /// The clock of the times.
    pub time: Time,
    /// What ran it.
    pub engine: String,
    /// Whether its steps are counters of Rust.
    pub is_rust: bool,
    /// Whether it is an algorithm of a family.
    pub is_family: bool,
    /// Whether its steps are the same in each run.
    pub repeats: bool,
    /// Whether it is a program of the system.
    pub is_command: bool,
    /// Steps that were counted though nobody asked for them: where the time alone seems constant.
    pub beside: Vec<Point>,
}

pub enum Cut {
    /// The person stopped it.
    Stopped,
    /// One size failed.
    Failed(i64, Box<Diagnostic>),
    /// One size did not end within the time.
    Endless(i64, Duration),
}

impl Measured {
    /// A subject of which already the least size failed.
    pub fn failed(name: &str, size: i64, error: Box<Diagnostic>) -> Measured {
        Measured { cut: Some(Cut::Failed(size, error)), ..Measured::new(name) }
    }

    fn new(name: &str) -> Measured {
        Measured {
            name: name.to_string(),
            rows: Vec::new(),
            left_out: Vec::new(),
            cut: None,
            compiled: Duration::ZERO,
            uncounted: None,
            time: Time::Cpu,
            engine: String::new(),
            is_rust: false,
            is_family: false,
            repeats: true,
            is_command: false,
            beside: Vec::new(),
        }
    }

    /// Whether it ended in a way after which nothing is claimed.
    pub fn is_cut(&self) -> bool {
        self.cut.is_some()
    }

    /// Whether its steps are known, asked for or not.
    pub fn has_steps(&self) -> bool {
        !self.beside.is_empty() || self.rows.iter().any(|row| row.steps.is_some())
    }

    /// Whether the time says that nothing grows. It would also say so of a growth that a constant hides.
    fn seems_constant(&self) -> bool {
        self.answer(Question::Time).is_some_and(|answer| answer.verdict == Verdict::Class(Class::Constant))
    }

    /// What the costs say; none where they were not measured.
    pub fn answer(&self, question: Question) -> Option<Answer> {
        let of = |cost: fn(&Row) -> Option<f64>| {
            let points = self.points(cost);
            (!points.is_empty()).then(|| growth::answer(question, &points))
        };
        match question {
            Question::Time => {
                let worked = |row: &Row| {
                    let point = Point { n: row.n as f64, cost: row.times.least()? };
                    Some(Worked { point, bytes: row.bytes })
                };
                let sizes: Vec<Worked> = self.rows.iter().filter(|row| row.n > 0).filter_map(worked).collect();
                (!sizes.is_empty()).then(|| answer_timed(&sizes, second_cache()))
            }
            Question::Steps => of(|row| row.steps),
            Question::Space => of(|row| row.space),
            Question::Allocs => of(|row| row.allocs),
        }
    }

    fn points(&self, cost: fn(&Row) -> Option<f64>) -> Vec<Point> {
        // Nothing at all is no more than one: a cost of 0 has no logarithm.
        let point = |row: &Row| Some(Point { n: row.n as f64, cost: cost(row)?.max(1.0) });
        self.rows.iter().filter_map(point).collect()
    }
}

/// The shares of the time: to walk up, to count steps; what is left is for samples.
const WALK: f64 = 0.3;
const COUNT: f64 = 0.3;
/// On a busy machine each may take so much longer, by the wall.
const LONGER: f64 = 1.5;
/// The last run of a share ends a little after it.
const END: f64 = 0.95;
/// What is left for each where the others took longer.
const LEAST: f64 = 0.1;
/// A first run that takes longer is not repeated: what is made only once is then a small part of it.
const SLOW: Duration = Duration::from_millis(20);
/// A run that takes so many times the whole time of the subject will not end.
const ENDLESS: u32 = 2;

impl Candidate<'_> {
    /// The least size that was asked for.
    pub fn least(&self) -> i64 {
        self.inputs.sizes(self.variant).first().copied().unwrap_or_default()
    }

    pub fn measure(
        &self,
        session: &mut Session,
        asked: &Asked,
        deadline: &Deadline,
        context: &RunContext,
        live: &dyn Fn(&dyn Fn() -> String),
    ) -> Fallible<Measured> {
        let sizes = self.inputs.sizes(self.variant);
        let is = |question| asked.questions.contains(&question);
        let runs = is(Question::Time) || is(Question::Space) || is(Question::Allocs);
        let is_family = matches!(self.variant.what, What::Algorithm(_));
        let mut measured = Measured { is_family, ..Measured::new(&self.variant.name) };
        let patience = asked.limit * ENDLESS;
        let mut opened: Vec<Work> = Vec::new();
        let compiling = Instant::now();
        let ahead = if runs { self.compiled(session, &sizes, context, live) } else { Ok(HashMap::new()) };
        let ahead = match ahead {
            Err(error) if error.kind == Kind::Stopped => {
                measured.cut = Some(Cut::Stopped);
                return Ok(measured);
            }
            ahead => RefCell::new(ahead?),
        };
        if !ahead.borrow().is_empty() {
            measured.compiled = compiling.elapsed();
        }
        let start = Instant::now();
        let share = |share: f64| asked.limit.mul_f64(share).as_nanos() as u64;
        // Until so much of the time is over.
        let until = |share: f64| asked.limit.mul_f64(share).saturating_sub(start.elapsed()).as_nanos() as u64;
        if runs {
            deadline.set(patience);
            let walk = match (is(Question::Time), is(Question::Steps)) {
                (true, _) => WALK,
                (false, true) => 1.0 - COUNT,
                (false, false) => 1.0,
            };
            let longest = (walk * LONGER).min(1.0);
            let walked = self.walk_up(
                session,
                &sizes,
                Budget { limit: share(walk), wall: Some((&Wall, share(longest))) },
                &mut measured,
                context,
                live,
                &ahead,
                &mut opened,
            );
            deadline.clear();
            self.end(walked, &sizes, deadline, patience, &mut measured)?;
        }
        if is(Question::Steps) && measured.cut.is_none() {
            let count = if runs { COUNT } else { 1.0 };
            let end = if is(Question::Time) { (WALK + COUNT) * LONGER } else { 1.0 };
            let budget = Budget { limit: share(count), wall: Some((&Wall, until(end).max(share(LEAST)))) };
            self.count(session, &sizes, budget, deadline, patience, &mut measured, context, live)?;
        }
        if is(Question::Time) && !context.stop.is_raised() {
            deadline.set(patience);
            let failed = sample(
                &session.clocks.clone(),
                &opened,
                until(END).clamp(share(LEAST), share(1.0 - WALK - COUNT)),
                &mut measured,
                context,
                live,
            );
            deadline.clear();
            // What was sampled until then is enough.
            let late = deadline.was_reached();
            if let Some(error) = failed.filter(|error| error.kind != Kind::Stopped && !late) {
                return Err(error);
            }
        }
        if !is(Question::Steps) && measured.cut.is_none() && measured.seems_constant() {
            let sizes: Vec<i64> = measured.rows.iter().map(|row| row.n).collect();
            let mut beside = Measured::new(&self.variant.name);
            let budget = Budget { limit: share(COUNT), wall: Some((&Wall, until(END).max(share(LEAST)))) };
            let counted = self.count(session, &sizes, budget, deadline, patience, &mut beside, context, live);
            // Where they cannot be counted, nothing is known of them.
            if counted.is_ok() && !beside.is_cut() {
                measured.beside = beside.points(|row| row.steps);
            }
            measured.compiled += beside.compiled;
        }
        // It may have been raised after the last run had ended.
        deadline.was_reached();
        if context.stop.is_raised() {
            measured.cut = Some(Cut::Stopped);
        }
        Ok(measured)
    }

    /// Runs each size once or twice, and keeps it ready to be sampled.
    #[allow(clippy::too_many_arguments)]
    fn walk_up<'c>(
        &'c self,
        session: &mut Session,
        sizes: &[i64],
        budget: Budget,
        measured: &mut Measured,
        context: &RunContext,
        live: &dyn Fn(&dyn Fn() -> String),
        ahead: &RefCell<HashMap<i64, session::Subject<'static>>>,
        opened: &mut Vec<Work<'c>>,
    ) -> Walk<Box<Diagnostic>> {
        walk(&Wall, sizes, budget, |at| {
            let n = sizes[at];
            live(&|| format!("{} = {n}", self.name.text));
            let work = match ahead.borrow_mut().remove(&n) {
                Some(work) => Work::Subject(work),
                None => self.ready(session, n, context)?,
            };
            let held = self.held(&work, n, context)?;
            let (cost, spent) = first_cost(&work, context)?;
            context.stop.check()?;
            let (space, allocs) = (cost.peak as f64, cost.allocated as f64);
            measured.is_command = work.command().is_some();
            measured.rows.push(Row {
                n,
                space: Some(space),
                // What a process allocates is not known, and its memory is not what it works on.
                allocs: (!measured.is_command).then_some(allocs),
                bytes: (!measured.is_command).then_some(held + space),
                wall: cost.wall.as_nanos() as f64,
                ..Row::default()
            });
            if work.is_parallel() {
                measured.time = Time::Wall;
            }
            measured.engine = work.runs_on().to_string();
            opened.push(work);
            Ok(spent)
        })
    }

    /// The subject at all sizes, where an engine compiles each: in one library, before the time begins.
    fn compiled(
        &self,
        session: &mut Session,
        sizes: &[i64],
        context: &RunContext,
        live: &dyn Fn(&dyn Fn() -> String),
    ) -> Fallible<HashMap<i64, session::Subject<'static>>> {
        let What::Pipeline { pipeline, choice, .. } = &self.variant.what else { return Ok(HashMap::new()) };
        if !choice.engine.is_compiled() || lone_block(pipeline).is_some() {
            return Ok(HashMap::new());
        }
        live(&|| format!("compiling {} sizes", sizes.len()));
        let mut drafts = Vec::new();
        for n in sizes {
            session.give_point(self.name, *n);
            let input = self.inputs.plan(session, self.variant, *n, context)?;
            drafts.extend(self.variant.draft(session, input.as_ref())?);
        }
        let subjects = session.subjects(drafts, Replicas::NONE, false, context)?;
        sizes.iter().zip(subjects).map(|(n, subject)| Ok((*n, subject?))).collect()
    }

    /// The bytes that its input holds.
    fn held(&self, work: &Work, n: i64, context: &RunContext) -> Fallible<f64> {
        if let Work::Algorithm(algorithm) = work {
            return Ok(algorithm.held(context)? as f64);
        }
        let known = self.inputs.tables.iter().find(|(size, _)| self.variant.continues() && *size == n);
        Ok(known.and_then(|(_, table)| table.get()).map_or(0.0, |table| table.data_bytes() as f64))
    }

    fn ready(&self, session: &mut Session, n: i64, context: &RunContext) -> Fallible<Work<'_>> {
        session.give_point(self.name, n);
        if let (What::Algorithm(claims), Some(family)) = (&self.variant.what, self.inputs.family) {
            let (name, shape) = (family.family.facts().name.to_string(), self.inputs.case.shape(family, claims));
            let input = Input { family: name, shape: shape.to_string(), size: n, seed: family.seed };
            return Ok(Work::Algorithm(self.harness.algorithm(input, claims.name, claims.threaded)));
        }
        let input = self.inputs.plan(session, self.variant, n, context)?;
        let draft =
            self.variant.draft(session, input.as_ref())?.expect("a subject that is not an algorithm is a pipeline");
        session.subjects(vec![draft], Replicas::NONE, false, context)?.remove(0).map(Work::Subject)
    }

    /// How a walk ended.
    ///
    /// # Errors
    /// Where already the least size failed.
    fn end(
        &self,
        walked: Walk<Box<Diagnostic>>,
        sizes: &[i64],
        deadline: &Deadline,
        patience: Duration,
        measured: &mut Measured,
    ) -> Fallible<()> {
        let late = deadline.was_reached();
        match walked.end {
            None => {}
            Some(End::Time) => measured.left_out = sizes[walked.done..].to_vec(),
            Some(End::Failed(error)) if error.kind == Kind::Stopped && late => {
                if walked.done == 0 {
                    let message =
                        format!("even n = {} did not end within {}", sizes[0], duration_text(patience.as_secs_f64()));
                    return Err(Diagnostic::new(Kind::Domain, message).hint("allow more time with --for 1min"));
                }
                measured.cut = Some(Cut::Endless(sizes[walked.done], patience));
            }
            Some(End::Failed(error)) if walked.done == 0 => return Err(error),
            Some(End::Failed(error)) if error.kind == Kind::Stopped => measured.cut = Some(Cut::Stopped),
            Some(End::Failed(error)) => measured.cut = Some(Cut::Failed(sizes[walked.done], error)),
        }
        Ok(())
    }

    /// Counts the steps of each size, of a pipeline or an expression on `rows`.
    #[allow(clippy::too_many_arguments)]
    fn count(
        &self,
        session: &mut Session,
        sizes: &[i64],
        budget: Budget,
        deadline: &Deadline,
        patience: Duration,
        measured: &mut Measured,
        context: &RunContext,
        live: &dyn Fn(&dyn Fn() -> String),
    ) -> Fallible<()> {
        if self.variant.pipeline().and_then(lone_command).is_some() {
            (measured.is_command, measured.repeats) = (true, false);
            deadline.set(patience);
            let counted = self.count_instructions(session, sizes, budget, measured, context, live);
            deadline.clear();
            return match counted.end {
                Some(End::Time) if !measured.rows.is_empty() => Ok(()),
                _ => self.end(counted, sizes, deadline, patience, measured),
            };
        }
        let start = Instant::now();
        live(&|| "compiling with counters".to_string());
        let program = self.program(context);
        if program.is_some() {
            measured.compiled += start.elapsed();
            measured.is_rust = true;
            let family = self.inputs.family.as_ref();
            measured.repeats = family.is_some_and(|family| !family.family.facts().may_draw_seeds());
        }
        let mut program = match program {
            None => None,
            Some(Ok(program)) => Some(program),
            Some(Err(Uncounted::Because(why))) => {
                measured.uncounted = Some(why);
                return Ok(());
            }
            Some(Err(Uncounted::Stopped(_))) => {
                measured.cut = Some(Cut::Stopped);
                return Ok(());
            }
        };
        let had_runs = !measured.rows.is_empty();
        if program.is_some() {
            // Counts of the program are exact, and those of its runs here are another measure.
            measured.rows.iter_mut().for_each(|row| (row.space, row.allocs) = (None, None));
        }
        let clock = Counting::default();
        // A program counts in a process of its own: an algorithm has its CPU time on a busy machine, too.
        let budget = if program.is_some() { Budget::from(budget.limit) } else { budget };
        let walked = walk(&clock, sizes, budget, |at| {
            let n = sizes[at];
            live(&|| format!("{} = {n} · counting steps", self.name.text));
            deadline.set(patience);
            let counted = match &mut program {
                None => {
                    let before = ThreadCpu.now();
                    let steps = self.steps(session, n, context)?;
                    (Row { n, steps: Some(steps), ..Row::default() }, ThreadCpu.now() - before)
                }
                Some(program) => {
                    let counts = program.count(&self.line(n), context)?;
                    let (space, allocs) = (Some(counts.space()), Some(counts.allocated));
                    (Row { n, steps: Some(counts.steps()), space, allocs, ..Row::default() }, counts.spent as u64)
                }
            };
            let (row, spent) = counted;
            clock.pass(spent);
            match measured.rows.iter_mut().find(|row| row.n == n) {
                Some(known) if program.is_some() => {
                    (known.steps, known.space, known.allocs) = (row.steps, row.space, row.allocs);
                }
                Some(known) => known.steps = row.steps,
                None => measured.rows.push(row),
            }
            Ok(spent)
        });
        deadline.clear();
        if !had_runs || !matches!(walked.end, Some(End::Time)) {
            return self.end(walked, sizes, deadline, patience, measured);
        }
        measured.left_out.retain(|size| measured.rows.iter().all(|row| row.n != *size));
        Ok(())
    }
}

impl Candidate<'_> {
    /// The instructions of a command at each size, where the system counts them.
    fn count_instructions(
        &self,
        session: &mut Session,
        sizes: &[i64],
        budget: Budget,
        measured: &mut Measured,
        context: &RunContext,
        live: &dyn Fn(&dyn Fn() -> String),
    ) -> Walk<Box<Diagnostic>> {
        walk(&Wall, sizes, budget, |at| {
            let n = sizes[at];
            if measured.uncounted.is_some() {
                return Ok(0);
            }
            live(&|| format!("{} = {n} · counting instructions", self.name.text));
            let work = self.ready(session, n, context)?;
            let start = Instant::now();
            let command = work.command().expect("it is one");
            match command.instructions(context)? {
                Some(count) => {
                    let steps = Some(count as f64);
                    match measured.rows.iter_mut().find(|row| row.n == n) {
                        Some(row) => row.steps = steps,
                        None => measured.rows.push(Row { n, steps, ..Row::default() }),
                    }
                }
                None => {
                    let why = "the system counts no instructions of a process here, as in many virtual machines";
                    measured.uncounted = Some(why.to_string());
                }
            }
            Ok(start.elapsed().as_nanos() as u64)
        })
    }

    /// The program that counts what Rust does; none for a pipeline, which `rows` counts.
    fn program(&self, context: &RunContext) -> Option<Result<Counted, Uncounted>> {
        let because = |why: &str| Some(Err(Uncounted::Because(why.to_string())));
        match (&self.variant.what, self.variant.pipeline().and_then(lone_block)) {
            (What::Algorithm(_), _) => {
                let text = self.inputs.family.as_ref().and_then(|family| family.family.counted())?;
                Some(Counted::start(&text, context))
            }
            (What::Pipeline { .. }, Some(block)) => {
                let name = &self.name.text;
                if block.with.iter().any(|word| word.text != *name) {
                    return because(&format!(
                        "the Rust uses other names than `{name}`, and only `{name}` can be passed to the program that \
                         counts"
                    ));
                }
                Some(Counted::start(&block_program(name, &block.body.text), context))
            }
            (What::Pipeline { .. }, None) => None,
        }
    }

    /// The work of a size, as the program takes it.
    fn line(&self, n: i64) -> String {
        match (&self.variant.what, self.inputs.family) {
            (What::Algorithm(claims), Some(family)) => {
                let shape = self.inputs.case.shape(family, claims);
                format!("{} {shape} {n} {}", claims.name, family.seed)
            }
            _ => n.to_string(),
        }
    }

    /// The steps of one size on the engine that counts them.
    fn steps(&self, session: &mut Session, n: i64, context: &RunContext) -> Fallible<f64> {
        session.give_point(self.name, n);
        let input = self.inputs.plan(session, self.variant, n, context)?;
        let choice = Choice::only(engines::REFERENCE);
        let pipeline = self.variant.pipeline().expect("only pipelines are counted so");
        let draft = match input {
            Some(input) => session.draft_on(input, &pipeline.stages, choice)?,
            None => session.draft(pipeline, choice)?,
        };
        let subject = session.subjects(vec![draft], Replicas::NONE, false, context)?.remove(0)?;
        Ok(subject.steps(context)? as f64)
    }
}

/// The CPU time of counting: on a busy machine as many sizes are counted as on an idle one, if that does not take too
/// long by the wall.
struct Counting {
    spent: Cell<u64>,
    start: Instant,
}

impl Default for Counting {
    fn default() -> Counting {
        Counting { spent: Cell::new(0), start: Instant::now() }
    }
}

impl Counting {
    /// So much longer, at most, by the wall.
    const LONGER: u64 = 3;

    fn pass(&self, spent: u64) {
        self.spent.set(self.spent.get() + spent);
    }
}

impl Clock for Counting {
    fn now(&self) -> u64 {
        self.spent.get().max(self.start.elapsed().as_nanos() as u64 / Counting::LONGER)
    }
}

/// Samples all sizes that were opened.
fn sample(
    clocks: &Clocks,
    opened: &[Work],
    limit: u64,
    measured: &mut Measured,
    context: &RunContext,
    live: &dyn Fn(&dyn Fn() -> String),
) -> Option<Box<Diagnostic>> {
    // CPU time of this thread says nothing of work that others do. A size that runs for a moment is enough to see it.
    const MOMENT: f64 = 20e6;
    let short = measured.rows.iter().zip(opened).rev().find(|(row, _)| row.wall <= MOMENT);
    if let (Some((row, work)), Time::Cpu) = (short, measured.time) {
        match timing::missed(clocks, &mut *work.workload(context), row.wall) {
            Ok(None) => {}
            Ok(Some(_)) => measured.time = Time::Wall,
            Err(error) => return Some(error),
        }
    }
    take_turns(&measured.rows, opened);
    let clock: &dyn Clock = measured.time.clock(clocks);
    let here = Overhead::measure(clock);
    let mut sizes: Vec<Sampled<Box<Diagnostic>>> = Vec::new();
    for work in opened {
        let subject = work.workload(context);
        let overhead = subject.overhead(clock).unwrap_or(here);
        sizes.push(Sampled { subject, overhead });
    }
    let mut taken = 0usize;
    let go_on = || {
        taken += 1;
        live(&|| format!("{taken} samples of {} sizes", opened.len()));
        !context.stop.is_raised()
    };
    let (times, failed) = rounds(&*clocks.wall, clock, &mut sizes, limit, &mut fastrand::Rng::new(), go_on);
    measured.rows.iter_mut().zip(times).for_each(|(row, times)| row.times = times);
    let misses = |work: &Work| work.command().is_some_and(|command| command.missed(context).is_some());
    if measured.time == Time::Cpu && opened.iter().any(misses) {
        // Some size, or a later run of it, does not compute on one thread alone as the first did.
        measured.time = Time::Wall;
        for (row, command) in measured.rows.iter_mut().zip(opened.iter().map(Work::command)) {
            row.times.each = command.map_or_else(Vec::new, |command| command.walls());
        }
    }
    failed
}

/// Lets an algorithm run on several inputs of a size in turn, as many as fit into the cache. A processor learns the
/// branches of a short run by heart: sorting the same 500 numbers again takes a third of the time of sorting others,
/// and where that ends, a sort looked quadratic. Where one input alone fits, and a run of it is still short, as a
/// search in a long list is, it would be learned there and not below: then all sizes have one input.
fn take_turns(rows: &[Row], opened: &[Work]) {
    const ROOM: f64 = 128.0 * 1024.0;
    const MOST: f64 = 256.0;
    // An input that holds less is a number, and no other seed makes another one.
    const LEAST: f64 = 512.0;
    // Nanoseconds: a run that takes longer has more branches than can be learned.
    const LEARNED: f64 = 50_000.0;
    let turns = |row: &Row| row.bytes.filter(|bytes| *bytes >= LEAST).map_or(1.0, |bytes| ROOM / bytes).min(MOST);
    let is_learned = |row: &Row| turns(row) < 2.0 && row.bytes.is_some_and(|bytes| bytes > LEAST) && row.wall < LEARNED;
    if rows.iter().any(is_learned) {
        return;
    }
    for (row, work) in rows.iter().zip(opened) {
        if let Work::Algorithm(algorithm) = work {
            algorithm.take_turns((turns(row) as usize).max(1));
        }
    }
}

/// What a run costs, and the nanoseconds that went into finding out. The first run also pays for what is made only
/// once.
fn first_cost(work: &Work, context: &RunContext) -> Fallible<(Cost, u64)> {
    let spent = |cost: &Cost| {
        let wall = cost.wall.as_nanos() as u64;
        // On a busy machine it may have waited for its turn.
        if work.is_parallel() { wall } else { wall.min(cost.cpu().as_nanos() as u64) }
    };
    let first = work.cost(context)?;
    if first.wall >= SLOW {
        let spent = spent(&first);
        return Ok((first, spent));
    }
    let second = work.cost(context)?;
    // Twice the shorter one: what disturbs a short run is no sign of what the next size takes.
    let spent = 2 * spent(&first).min(spent(&second));
    Ok((second, spent))
}
