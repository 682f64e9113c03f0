//! One flow for each op: a thing that leaves its next row in the frame.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::data::{Key, Value, generate};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::files::{self, Records};
use crate::job::{Job, Say};
use crate::measure;
use crate::plan::{Expr, JoinKind, Op, Plan, Source};
use crate::rowwise::{Code, Fault, Frame};

use super::aggregate::Groups;
use super::collect;

pub trait Flow {
    /// Puts the next row into `frame.row`.
    fn next(&mut self, frame: &mut Frame) -> Next;
}

/// A row; else nothing at the end, or what went wrong. Flat, so that it travels in registers.
pub type Next = Result<(), Option<Box<Diagnostic>>>;

/// Whether there was a row.
pub fn more(next: Next) -> Fallible<bool> {
    match next {
        Ok(()) => Ok(true),
        Err(None) => Ok(false),
        Err(Some(error)) => Err(error),
    }
}

type Input<'a> = Box<dyn Flow + 'a>;

/// The flow of a whole plan.
pub fn build<'a>(plan: &'a Plan, job: &'a Job) -> Fallible<Input<'a>> {
    let mut steps = plan.steps.iter();
    let first = steps.next().expect("a plan has a source");
    let Op::Source(source) = &first.op else { unreachable!("a plan begins with its source") };
    let mut flow = source_flow(source, first.span, job)?;
    for (i, step) in steps.enumerate() {
        flow = op_flow(&step.op, step.span, flow, job)?;
        if i % STEPS_A_STACK == STEPS_A_STACK - 1 {
            flow = Box::new(NewStack { input: Some(flow) });
        }
    }
    Ok(flow)
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

/// An error of a file at the words that named it.
fn placed(mut error: Box<Diagnostic>, span: Span) -> Box<Diagnostic> {
    error.span.get_or_insert(span);
    error
}

fn source_flow<'a>(source: &'a Source, span: Span, job: &'a Job) -> Fallible<Input<'a>> {
    let counted = |make: Box<dyn Fn(u64) -> Option<Value> + 'a>| Box::new(Generated { make, at: 0, job });
    Ok(match source {
        Source::Range { start, end } => {
            Box::new(Range { at: *start, end: end.unwrap_or(i64::MAX), open: end.is_none(), job })
        }
        Source::Values(values) => counted(Box::new(|row| values.get(row as usize).cloned())),
        Source::Letters { count, seed } => counted(Box::new(|row| {
            let letter = |row| Value::text(generate::letter(*seed, row).encode_utf8(&mut [0; 4]));
            (row < *count).then(|| letter(row))
        })),
        Source::Random { count, seed } => {
            counted(Box::new(|row| (row < *count).then(|| Value::Float(generate::unit(*seed, row)))))
        }
        Source::Read(read) => {
            let records = files::open(read, job).map_err(|error| placed(error, span))?;
            Box::new(File { records, rows: 0, span, job })
        }
        Source::Passed => unreachable!("the session puts the table in its place before a run"),
        Source::Kept(kept) => Box::new(Kept { table: &kept.0, at: 0, chunk: Vec::new(), job }),
    })
}

/// Counts a row, and looks at the stop flag now and then.
fn passed(rows: u64, job: &Job) -> Fallible<()> {
    if rows.is_multiple_of(1024) {
        job.progress.add_rows(1024);
        look(job)?;
    }
    Ok(())
}

/// Whether the run may go on: nobody has stopped it, and there is memory left.
pub fn look(job: &Job) -> Fallible<()> {
    job.stop.check()?;
    if measure::live() > job.memory {
        let gib = job.memory as f64 / f64::from(1 << 30);
        return Err(Diagnostic::new(
            Kind::System,
            format!("the run was stopped: it needs more memory than is free ({gib:.1} GiB)"),
        )
        .hint("an aggregate, `top` or `take` keeps fewer rows"));
    }
    Ok(())
}

struct Range<'a> {
    at: i64,
    end: i64,
    open: bool,
    job: &'a Job,
}

impl Flow for Range<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        if self.at >= self.end {
            if self.open {
                return Err(Some(Diagnostic::new(
                    Kind::Overflow,
                    "int overflow: the range has come to the largest int",
                )));
            }
            return Err(None);
        }
        match &mut frame.row[..] {
            [Value::Int(slot)] => *slot = self.at,
            _ => frame.row = vec![Value::Int(self.at)],
        }
        self.at += 1;
        passed(self.at as u64, self.job)?;
        Ok(())
    }
}

struct Generated<'a> {
    make: Box<dyn Fn(u64) -> Option<Value> + 'a>,
    at: u64,
    job: &'a Job,
}

impl Flow for Generated<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        let Some(value) = (self.make)(self.at) else { return Err(None) };
        frame.row.clear();
        frame.row.push(value);
        self.at += 1;
        passed(self.at, self.job)?;
        Ok(())
    }
}

struct File<'a> {
    records: Box<dyn Records + 'a>,
    rows: u64,
    span: Span,
    job: &'a Job,
}

impl Flow for File<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        self.rows += 1;
        passed(self.rows, self.job)?;
        let more = self.records.next(&mut frame.row).map_err(|error| placed(error, self.span))?;
        if more { Ok(()) } else { Err(None) }
    }
}

struct Kept<'a> {
    table: &'a crate::data::Table,
    at: usize,
    /// Columns of the rows that come next, from the end.
    chunk: Vec<Vec<Value>>,
    job: &'a Job,
}

impl Flow for Kept<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        const ROWS: usize = 1024;
        if self.at == self.table.height() {
            return Err(None);
        }
        if self.at.is_multiple_of(ROWS) {
            let columns = 0..self.table.schema().columns.len();
            self.chunk = columns.map(|i| self.table.values(i, self.at, ROWS)).collect();
            self.chunk.iter_mut().for_each(|column| column.reverse());
        }
        self.at += 1;
        passed(self.at as u64, self.job)?;
        frame.row.clear();
        frame.row.extend(self.chunk.iter_mut().map(|column| column.pop().expect("a chunk has all its rows")));
        Ok(())
    }
}

fn op_flow<'a>(op: &'a Op, span: Span, input: Input<'a>, job: &'a Job) -> Fallible<Input<'a>> {
    Ok(match op {
        Op::Source(_) => unreachable!("a plan has one source, at its start"),
        Op::Project(named) => {
            let codes: Vec<Code> = named.iter().map(|named| Code::new(&named.expr)).collect();
            let scratch = vec![Value::Null; codes.len()];
            Box::new(Project { input, codes, scratch, rows: 0 })
        }
        Op::Filter(condition) => Box::new(Filter { input, condition: Code::new(condition), rows: 0 }),
        Op::Explode(list) => {
            Box::new(Explode { input, list: Code::new(&list.expr), items: Arc::from([]), at: 0, rows: 0, job })
        }
        Op::Slice { offset, length } => Box::new(Slice { input, skip: *offset, left: length.unwrap_or(u64::MAX) }),
        Op::Sort { keys, limit } => {
            let keys = keys.iter().map(|key| (Code::new(&key.expr), key.descending)).collect();
            blocking(input, job, Sort { keys, limit: *limit })
        }
        Op::Reverse => blocking(input, job, Reverse),
        Op::Number => Box::new(Number { input, row: 0 }),
        Op::Distinct(by) => {
            let by = by.as_ref().map(|by| by.iter().map(Code::new).collect());
            Box::new(Distinct { input, by, seen: HashSet::new(), rows: 0 })
        }
        Op::Aggregate { keys, aggs } => blocking(input, job, Groups::new(keys, aggs)),
        Op::Fold { start, step, each } => Box::new(Fold {
            input,
            acc: start.clone(),
            step: Code::new(&step.expr),
            each: *each,
            done: false,
            rows: 0,
            job,
        }),
        Op::Join { kind, right, on, right_columns } => {
            let keys = on.iter().map(|(left, _)| Code::new(left)).collect();
            let right = RightSide::new(right, on, right_columns, job)?;
            Box::new(Join { input, kind: *kind, keys, right, left: Vec::new(), matches: VecDeque::new(), rows: 0 })
        }
        Op::Concat(plans) => {
            let rest: Fallible<VecDeque<Part>> = plans.iter().map(|plan| Part::new(plan, job)).collect();
            Box::new(Concat { input: Some(input), rest: rest? })
        }
        Op::Zip(plans) => {
            let parts: Fallible<Vec<Part>> = plans.iter().map(|plan| Part::new(plan, job)).collect();
            Box::new(Zip { input, parts: parts?, rows: 0, span })
        }
        Op::Pairs => blocking(input, job, Pairs),
        Op::Sample { count, seed } => blocking(input, job, Sample { count: *count, seed: *seed }),
        Op::Peek { count, label } => Box::new(Peek { input, left: *count, label, say: job.say.clone() }),
        Op::Persist(_) => unreachable!("the session puts the kept table in its place before a run"),
        Op::Write(_) | Op::Tee(_) => unreachable!("the session takes them off before a run"),
    })
}

/// A fault as a message about row `rows - 1`.
fn at_row(rows: u64) -> impl FnOnce(Box<Fault>) -> Box<Diagnostic> {
    move |fault| fault.diagnostic(Some(rows - 1))
}

struct Project<'a> {
    input: Input<'a>,
    codes: Vec<Code>,
    /// The row before the last one: its place is used again.
    scratch: Vec<Value>,
    rows: u64,
}

impl Flow for Project<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        self.input.next(frame)?;
        self.rows += 1;
        for (code, slot) in self.codes.iter().zip(&mut self.scratch) {
            code.put(frame, slot).map_err(at_row(self.rows))?;
        }
        std::mem::swap(&mut self.scratch, &mut frame.row);
        if self.scratch.len() != self.codes.len() {
            self.scratch.resize(self.codes.len(), Value::Null);
        }
        Ok(())
    }
}

struct Filter<'a> {
    input: Input<'a>,
    condition: Code,
    rows: u64,
}

impl Flow for Filter<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        while more(self.input.next(frame))? {
            self.rows += 1;
            if self.condition.holds(frame).map_err(at_row(self.rows))? {
                return Ok(());
            }
        }
        Err(None)
    }
}

struct Explode<'a> {
    input: Input<'a>,
    list: Code,
    items: Arc<[Value]>,
    at: usize,
    rows: u64,
    job: &'a Job,
}

impl Flow for Explode<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        while self.at == self.items.len() {
            self.input.next(frame)?;
            self.rows += 1;
            self.at = 0;
            self.items = match self.list.value(frame).map_err(at_row(self.rows))? {
                Value::List(items) => items,
                _ => Arc::from([]),
            };
        }
        frame.row.clear();
        frame.row.push(self.items[self.at].clone());
        self.at += 1;
        if self.at.is_multiple_of(1024) {
            look(self.job)?;
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
            self.skip -= 1;
        }
        self.left -= 1;
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
        frame.row.push(Value::Int(self.row));
        self.row += 1;
        Ok(())
    }
}

struct Distinct<'a> {
    input: Input<'a>,
    by: Option<Vec<Code>>,
    seen: HashSet<Key>,
    rows: u64,
}

impl Flow for Distinct<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        while more(self.input.next(frame))? {
            self.rows += 1;
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

pub(super) fn key(codes: &[Code], frame: &mut Frame) -> Result<Key, Box<Fault>> {
    codes.iter().map(|code| code.value(frame)).collect()
}

struct Fold<'a> {
    input: Input<'a>,
    acc: Value,
    step: Code,
    each: bool,
    done: bool,
    rows: u64,
    job: &'a Job,
}

/// Looks every thousand rows, and at each where the state is large: one more step may double it.
fn look_often(rows: u64, acc: &Value, job: &Job) -> Fallible<()> {
    let large = match acc {
        Value::Text(text) => text.len() > 1 << 20,
        Value::List(items) => items.len() > 1 << 16,
        Value::Null | Value::Int(_) | Value::Float(_) | Value::Bool(_) => false,
    };
    if !large {
        return Ok(());
    }
    look(job)?;
    let bytes = match acc {
        Value::Text(text) => text.len() as u64,
        Value::List(items) => size_of_val(&**items) as u64,
        Value::Null | Value::Int(_) | Value::Float(_) | Value::Bool(_) => 0,
    };
    if bytes > job.memory / 4 {
        let message =
            format!("the state has grown to {} MiB after {rows} rows: there is no memory for more", bytes >> 20);
        return Err(Diagnostic::new(Kind::System, message));
    }
    Ok(())
}

impl Fold<'_> {
    /// Takes one more row into `acc`; false at the end.
    fn advance(&mut self, frame: &mut Frame) -> Fallible<bool> {
        if !more(self.input.next(frame))? {
            return Ok(false);
        }
        self.rows += 1;
        look_often(self.rows, &self.acc, self.job)?;
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

/// The right rows of a join by their keys. Null never matches.
struct RightSide {
    rows: Vec<Vec<Value>>,
    by_key: HashMap<Key, Vec<usize>>,
    width: usize,
}

impl RightSide {
    fn new(plan: &Plan, on: &[(Expr, Expr)], wanted: &[usize], job: &Job) -> Fallible<RightSide> {
        let codes: Vec<Code> = on.iter().map(|(_, right)| Code::new(right)).collect();
        let program = crate::rowwise::Program::new(&plan.functions);
        let mut frame = Frame::new(&program).stopping_at(&job.stop);
        let mut flow = build(plan, job)?;
        let mut side = RightSide { rows: Vec::new(), by_key: HashMap::new(), width: wanted.len() };
        let mut rows = 0;
        while more(flow.next(&mut frame))? {
            rows += 1;
            let key = key(&codes, &mut frame).map_err(at_row(rows))?;
            if key.iter().any(Value::is_null) {
                continue;
            }
            side.by_key.entry(key).or_default().push(side.rows.len());
            side.rows.push(wanted.iter().map(|index| frame.row[*index].clone()).collect());
        }
        Ok(side)
    }
}

struct Join<'a> {
    input: Input<'a>,
    kind: JoinKind,
    keys: Vec<Code>,
    right: RightSide,
    /// The left row whose matches are given out.
    left: Vec<Value>,
    matches: VecDeque<usize>,
    rows: u64,
}

impl Flow for Join<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        loop {
            if let Some(index) = self.matches.pop_front() {
                frame.row.clear();
                frame.row.extend_from_slice(&self.left);
                frame.row.extend_from_slice(&self.right.rows[index]);
                return Ok(());
            }
            self.input.next(frame)?;
            self.rows += 1;
            let key = key(&self.keys, frame).map_err(at_row(self.rows))?;
            let found = if key.iter().any(Value::is_null) { None } else { self.right.by_key.get(&key) };
            match (self.kind, found) {
                (JoinKind::Semi, Some(_)) | (JoinKind::Anti, None) => return Ok(()),
                (JoinKind::Semi, None) | (JoinKind::Anti, Some(_)) | (JoinKind::Inner, None) => {}
                (JoinKind::Left, None) => {
                    frame.row.resize(frame.row.len() + self.right.width, Value::Null);
                    return Ok(());
                }
                (JoinKind::Inner | JoinKind::Left, Some(matches)) => {
                    self.matches.extend(matches);
                    self.left.clone_from(&frame.row);
                }
            }
        }
    }
}

/// A plan inside an op, computed when its turn comes.
struct Part<'a> {
    plan: &'a Plan,
    job: &'a Job,
    columns: Option<(Vec<VecDeque<Value>>, usize)>,
}

impl<'a> Part<'a> {
    fn new(plan: &'a Plan, job: &'a Job) -> Fallible<Part<'a>> {
        Ok(Part { plan, job, columns: None })
    }

    fn columns(&mut self) -> Fallible<&mut (Vec<VecDeque<Value>>, usize)> {
        if self.columns.is_none() {
            let (columns, height, _) = collect(self.plan, self.job)?;
            self.columns = Some((columns.into_iter().map(VecDeque::from).collect(), height));
        }
        Ok(self.columns.as_mut().expect("it was just computed"))
    }

    /// Adds the next row's values to `row`; false at the end.
    fn next(&mut self, row: &mut Vec<Value>) -> Fallible<bool> {
        let (columns, left) = self.columns()?;
        if *left == 0 {
            return Ok(false);
        }
        *left -= 1;
        row.extend(columns.iter_mut().filter_map(VecDeque::pop_front));
        Ok(true)
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
                return Ok(());
            }
            self.input = None;
        }
        while let Some(part) = self.rest.front_mut() {
            frame.row.clear();
            if part.next(&mut frame.row)? {
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
        let row = more(self.input.next(frame))?;
        self.rows += usize::from(row);
        for part in &mut self.parts {
            let (_, left) = part.columns()?;
            if (*left > 0) != row {
                // One of the two has come to its end: count on to the end of the other.
                let there = self.rows - usize::from(row) + *left;
                while more(self.input.next(frame))? {
                    self.rows += 1;
                }
                let message = format!("`zip` wants tables of one length: {} rows and {there} rows", self.rows);
                return Err(Some(Diagnostic::at(Kind::Shape, self.span, message).hint("`take` cuts the longer one")));
            }
            part.next(&mut frame.row)?;
        }
        if row { Ok(()) } else { Err(None) }
    }
}

struct Peek<'a> {
    input: Input<'a>,
    left: u64,
    label: &'a str,
    say: Say,
}

impl Flow for Peek<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        self.input.next(frame)?;
        if self.left > 0 {
            self.left -= 1;
            let values: Vec<String> = frame.row.iter().map(|value| value.to_string()).collect();
            (self.say)(&format!("{}{}", self.label, values.join("  ")));
        }
        Ok(())
    }
}

/// An op that needs all rows before it can give one.
pub(super) trait Whole {
    /// Goes through all of `input` and gives the rows of the result.
    fn run(&mut self, input: &mut dyn Flow, frame: &mut Frame, job: &Job) -> Fallible<VecDeque<Vec<Value>>>;
}

struct Blocking<'a, W> {
    input: Input<'a>,
    whole: W,
    rows: Option<VecDeque<Vec<Value>>>,
    job: &'a Job,
}

fn blocking<'a, W: Whole + 'a>(input: Input<'a>, job: &'a Job, whole: W) -> Input<'a> {
    Box::new(Blocking { input, whole, rows: None, job })
}

impl<W: Whole> Flow for Blocking<'_, W> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        if self.rows.is_none() {
            self.rows = Some(self.whole.run(&mut *self.input, frame, self.job)?);
        }
        let rows = self.rows.as_mut().expect("they were just computed");
        match rows.pop_front() {
            Some(row) => {
                frame.row = row;
                Ok(())
            }
            None => Err(None),
        }
    }
}

fn all_rows(input: &mut dyn Flow, frame: &mut Frame) -> Fallible<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    while more(input.next(frame))? {
        rows.push(std::mem::take(&mut frame.row));
    }
    Ok(rows)
}

struct Sort {
    keys: Vec<(Code, bool)>,
    limit: Option<u64>,
}

impl Whole for Sort {
    fn run(&mut self, input: &mut dyn Flow, frame: &mut Frame, job: &Job) -> Fallible<VecDeque<Vec<Value>>> {
        let mut rows: Vec<(Vec<Value>, Vec<Value>)> = Vec::new();
        let mut seen = 0;
        let limit = self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        while more(input.next(frame))? {
            seen += 1;
            let key: Result<Vec<Value>, _> = self.keys.iter().map(|(code, _)| code.value(frame)).collect();
            rows.push((key.map_err(at_row(seen))?, std::mem::take(&mut frame.row)));
            // With a limit no more than twice its rows are kept.
            if rows.len() >= limit.saturating_mul(2).max(1024) {
                self.cut(&mut rows, limit);
            }
        }
        job.stop.check()?;
        self.cut(&mut rows, limit);
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }
}

impl Sort {
    fn cut(&self, rows: &mut Vec<(Vec<Value>, Vec<Value>)>, limit: usize) {
        if limit == usize::MAX && rows.len() < 2 {
            return;
        }
        rows.sort_by(|(a, _), (b, _)| {
            let pairs = a.iter().zip(b).zip(&self.keys);
            let orders = pairs.map(|((a, b), (_, descending))| {
                // Nulls stay last in both directions.
                if *descending && !a.is_null() && !b.is_null() { b.compare(a) } else { a.compare(b) }
            });
            orders.into_iter().find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        });
        rows.truncate(limit);
    }
}

struct Reverse;

impl Whole for Reverse {
    fn run(&mut self, input: &mut dyn Flow, frame: &mut Frame, _: &Job) -> Fallible<VecDeque<Vec<Value>>> {
        Ok(all_rows(input, frame)?.into_iter().rev().collect())
    }
}

struct Pairs;

impl Whole for Pairs {
    fn run(&mut self, input: &mut dyn Flow, frame: &mut Frame, job: &Job) -> Fallible<VecDeque<Vec<Value>>> {
        let rows = all_rows(input, frame)?;
        let mut pairs = VecDeque::new();
        for (i, a) in rows.iter().enumerate() {
            look(job)?;
            pairs.extend(rows[i + 1..].iter().map(|b| vec![a[0].clone(), b[0].clone()]));
        }
        Ok(pairs)
    }
}

struct Sample {
    count: u64,
    seed: i64,
}

impl Whole for Sample {
    fn run(&mut self, input: &mut dyn Flow, frame: &mut Frame, _: &Job) -> Fallible<VecDeque<Vec<Value>>> {
        let rows = all_rows(input, frame)?;
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|row| (generate::mix(self.seed, *row as u64), *row));
        let mut chosen = vec![false; rows.len()];
        for row in order.into_iter().take(usize::try_from(self.count).unwrap_or(usize::MAX)) {
            chosen[row] = true;
        }
        Ok(rows.into_iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(row, _)| row).collect())
    }
}
