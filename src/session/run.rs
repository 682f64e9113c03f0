//! Running what was bound: values that must be known first, kept tables, the engine.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::data::{Column, Order, Schema, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::engines::{self, Choice, Engine, Run};
use crate::files;
use crate::job::Job;
use crate::lang::Word;
use crate::plan::{self, AggFunc, Expr, Function, Node, Op, Plan, Shared, Source, Step, Write, prune};
use crate::rowwise::{Code, Frame, Program};

use super::Session;

/// A table and how it came about.
#[derive(Debug, Clone)]
pub struct Ran {
    pub table: Arc<Table>,
    pub engine: &'static str,
    /// Why it was not the default engine, where nobody chose one.
    pub instead: Option<&'static str>,
    /// Evaluation steps, where the engine counts them.
    pub steps: Option<u64>,
    pub wall: Duration,
    /// Rows and bytes that came out of sources, where known.
    pub rows_read: Option<u64>,
    pub bytes_read: u64,
}

impl Session {
    /// Runs a plan on an engine.
    ///
    /// # Errors
    /// Also an objection of the engine. An error whose row the engine does not know is looked for again on `rows`.
    pub fn run(&mut self, mut plan: Plan, choice: Choice, job: &Job) -> Fallible<Ran> {
        if let Some(Step { op: Op::Write(write), span, .. }) = plan.steps.last().cloned() {
            plan.steps.pop();
            return self.run_and_write(plan, &write, span, choice, job);
        }
        let start = Instant::now();
        let (rows_read, bytes_read) = self.reads(&plan);
        let plan = self.prepared(plan, choice, job)?;
        let (run, engine, instead) = run_once(&plan, choice, job)?;
        Ok(Ran {
            table: Arc::new(run.table),
            engine: engine.name(),
            instead,
            steps: run.steps,
            wall: start.elapsed(),
            rows_read,
            bytes_read,
        })
    }

    /// Runs a plan and writes its table; gives path, rows and bytes.
    fn run_and_write(&mut self, plan: Plan, write: &Write, span: Span, choice: Choice, job: &Job) -> Fallible<Ran> {
        let start = Instant::now();
        let at_span = |error: Box<Diagnostic>| Box::new(Diagnostic { span: error.span.or(Some(span)), ..*error });
        if let Some(source) = source_at(&plan, &write.path) {
            return Err(at_span(Diagnostic::new(
                Kind::File,
                format!("\"{}\" is read by the same pipeline", source.shown),
            ))
            .hint("write another file, then rename it"));
        }
        let ran = self.run(plan, choice, job)?;
        let bytes = files::write(&ran.table, write, job).map_err(at_span)?;
        let rows = ran.table.height() as i64;
        let columns = [Value::text(&write.shown), Value::Int(rows), Value::Int(bytes as i64)].map(|value| vec![value]);
        let named = [("path", Type::Text), ("rows", Type::Int), ("bytes", Type::Int)];
        let columns_of = named.map(|(name, ty)| Column { name: name.to_string(), ty });
        let table = Table::from_columns(Schema::new(columns_of.to_vec(), Order::Kept), 1, &columns);
        Ok(Ran { table: Arc::new(table), wall: start.elapsed(), ..ran })
    }

    /// Runs a plan that ends with `tee`: its input once, then each branch on that table.
    pub fn run_branches(
        &mut self,
        mut plan: Plan,
        branches: Vec<(String, Plan)>,
        choice: Choice,
        job: &Job,
    ) -> Fallible<Vec<(String, Ran)>> {
        plan.steps.pop();
        let sources = plan.clone();
        let input = self.run(plan, choice, job)?;
        let mut results = Vec::new();
        for (name, mut branch) in branches {
            if let Some(Step { op: Op::Write(write), span, .. }) = branch.steps.last()
                && let Some(source) = source_at(&sources, &write.path)
            {
                let message = format!("\"{}\" is read by the same pipeline", source.shown);
                return Err(Diagnostic::at(Kind::File, *span, message).hint("write another file, then rename it"));
            }
            branch.steps[0].op = Op::Source(Source::Kept(Shared(input.table.clone())));
            let ran = self.run(branch, choice, job)?;
            results.push((name, Ran { rows_read: input.rows_read, bytes_read: input.bytes_read, ..ran }));
        }
        Ok(results)
    }

    /// The rows that the source of a plan has, where that is known without reading, and the bytes of the files that it
    /// will read. What `persist` has kept already is not read again.
    fn reads(&self, plan: &Plan) -> (Option<u64>, u64) {
        let early = |step: &Step| matches!(step.op, Op::Slice { length: Some(_), .. });
        if plan.steps.iter().any(early) {
            // It may stop before the end.
            return (None, 0);
        }
        let kept = |step: &Step| if let Op::Persist(id) = step.op { self.kept.get(&id) } else { None };
        let mut bytes = 0;
        for step in plan.steps.iter().rev() {
            if let Some(table) = kept(step) {
                return (Some(table.height() as u64), bytes);
            }
            bytes += match &step.op {
                Op::Source(Source::Read(read)) => read.bytes(),
                Op::Join { right, .. } => self.reads(right).1,
                Op::Concat(plans) | Op::Zip(plans) => plans.iter().map(|plan| self.reads(plan).1).sum(),
                _ => 0,
            };
        }
        (plan.steps.first().and_then(|step| known_rows(&step.op)), bytes)
    }

    /// A plan as engines take it: pruned, with kept tables and values in their places.
    pub fn prepared(&mut self, mut plan: Plan, choice: Choice, job: &Job) -> Fallible<Plan> {
        let open = plan.schema().columns.iter().any(|column| column.ty.is_open());
        if open {
            close(&mut plan);
        }
        prune(&mut plan);
        self.keep_persisted(&mut plan, choice, job)?;
        self.fill(&mut plan, choice, job)?;
        Ok(plan)
    }

    /// Puts kept tables in the place of what stands before a `persist`, computing those that are not there yet.
    fn keep_persisted(&mut self, plan: &mut Plan, choice: Choice, job: &Job) -> Fallible<()> {
        let last = plan.steps.iter().rposition(|step| matches!(step.op, Op::Persist(_)));
        if let Some(at) = last {
            let Op::Persist(id) = plan.steps[at].op else { unreachable!("it was just found") };
            let table = match self.kept.get(&id) {
                Some(table) => table.clone(),
                None => {
                    let before = Plan { steps: plan.steps[..at].to_vec(), functions: plan.functions.clone() };
                    let before = self.prepared(before, choice, job)?;
                    let table = Arc::new(run_once(&before, choice, job)?.0.table);
                    self.kept.insert(id, table.clone());
                    table
                }
            };
            let Step { schema, span, .. } = plan.steps[at].clone();
            plan.steps.drain(..at);
            plan.steps[0] = Step { op: Op::Source(Source::Kept(Shared(table))), schema, span };
        }
        for step in &mut plan.steps {
            for inner in step.op.plans_mut() {
                self.keep_persisted(inner, choice, job)?;
            }
        }
        Ok(())
    }

    /// Puts values in the place of one-value tables.
    fn fill(&mut self, plan: &mut Plan, choice: Choice, job: &Job) -> Fallible<()> {
        for step in &mut plan.steps {
            for inner in step.op.plans_mut() {
                self.fill(inner, choice, job)?;
            }
            let mut exprs = step.op.exprs_mut();
            for expr in &mut exprs {
                self.fill_expr(expr, choice, job)?;
            }
            match &mut step.op {
                Op::Join { on, .. } => {
                    for (_, right) in on {
                        self.fill_expr(right, choice, job)?;
                    }
                }
                Op::Aggregate { aggs, .. } => {
                    for agg in aggs {
                        if let AggFunc::Reduce(step) = &mut agg.func {
                            self.fill_expr(step, choice, job)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn fill_expr(&mut self, expr: &mut Expr, choice: Choice, job: &Job) -> Fallible<()> {
        expr.rewrite(&mut |expr| {
            let Node::Only(plan) = &expr.node else { return Ok(()) };
            let ran = self.run((**plan).clone(), choice, job)?;
            let value =
                only_value(&ran.table).map_err(|error| Box::new(Diagnostic { span: Some(expr.span), ..*error }))?;
            expr.node = Node::Const(value);
            Ok(())
        })
    }

    /// The value of an expression that sees no columns, without an engine; only a table that stands for its value is
    /// run, on `rows`.
    pub fn evaluate(
        &self,
        functions: &[Function],
        expr: &Expr,
        acc: Option<&Value>,
        it: Option<&Value>,
    ) -> Fallible<Value> {
        let mut expr = expr.clone();
        let rows = Choice::only(engines::reference());
        let job = self.job();
        expr.rewrite(&mut |part| {
            let Node::Only(plan) = &part.node else { return Ok(()) };
            // A session of its own: binding must not change this one.
            let mut aside = Session::new(rows.engine.name(), self.say.clone());
            aside.kept = self.kept.clone();
            let ran = aside.run((**plan).clone(), rows, &job)?;
            let value =
                only_value(&ran.table).map_err(|error| Box::new(Diagnostic { span: Some(part.span), ..*error }))?;
            part.node = Node::Const(value);
            Ok::<(), Box<Diagnostic>>(())
        })?;
        let program = Program::new(functions);
        let mut frame = Frame::new(&program).stopping_at(&job.stop);
        frame.acc = acc.cloned().unwrap_or_default();
        frame.row.extend(it.cloned());
        Code::new(&expr).value(&mut frame).map_err(|fault| fault.diagnostic(None))
    }
}

/// Gives the open columns of a result their type: what stays open is text.
fn close(plan: &mut Plan) {
    for step in &mut plan.steps {
        for column in &mut step.schema.columns {
            column.ty = column.ty.closed();
        }
    }
}

/// The run, the engine that ran it, and why it is not the default one.
fn run_once(plan: &Plan, choice: Choice, job: &Job) -> Fallible<(Run, &'static dyn Engine, Option<&'static str>)> {
    let engine = choice.engine;
    match engine.objection(plan) {
        None => run_on(plan, engine, job).map(|run| (run, engine, None)),
        Some(objection) if choice.chosen => {
            let message = format!("the engine `{}` cannot run this: {}", engine.name(), objection.reason);
            Err(Diagnostic::at(Kind::Objection, objection.span, message).hint("| on rows runs everything"))
        }
        Some(objection) => {
            let rows = engines::reference();
            run_on(plan, rows, job).map(|run| (run, rows, Some(objection.reason)))
        }
    }
}

fn run_on(plan: &Plan, engine: &'static dyn Engine, job: &Job) -> Fallible<Run> {
    let error = match engine.run(plan, job) {
        Ok(run) => return Ok(run),
        Err(error) => error,
    };
    let data_error = matches!(
        error.kind,
        Kind::Overflow | Kind::ZeroDivision | Kind::Domain | Kind::Depth | Kind::Shape | Kind::File
    );
    let rows = engines::reference();
    if data_error && error.row.is_none() && engine.name() != rows.name() {
        // The reference stops at the first failing row and knows its number.
        rows.run(plan, job)?;
    }
    Err(error)
}

/// A file that the plan reads and that `path` would replace.
fn source_at<'p>(plan: &'p Plan, path: &Path) -> Option<&'p plan::File> {
    let real = std::fs::canonicalize(path).ok()?;
    plan.steps.iter().find_map(|step| match &step.op {
        Op::Source(Source::Read(read)) => {
            read.files.iter().find(|file| std::fs::canonicalize(&file.path).is_ok_and(|path| path == real))
        }
        Op::Join { right, .. } => source_at(right, path),
        Op::Concat(plans) | Op::Zip(plans) => plans.iter().find_map(|plan| source_at(plan, path)),
        _ => None,
    })
}

/// The only value of a one-column table; null where it has no row.
fn only_value(table: &Table) -> Fallible<Value> {
    match table.height() {
        0 => Ok(Value::Null),
        1 => Ok(table.values(0, 0, 1).pop().unwrap_or_default()),
        rows => Err(Diagnostic::new(Kind::Shape, format!("this table stands for one value, but it has {rows} rows"))
            .hint("`take 1` or an aggregate makes one row")),
    }
}

/// How many rows a source has, where that is known without reading.
fn known_rows(op: &Op) -> Option<u64> {
    match op {
        Op::Source(Source::Range { start, end: Some(end) }) => Some(end.saturating_sub(*start).max(0) as u64),
        Op::Source(Source::Values(values)) => Some(values.len() as u64),
        Op::Source(Source::Letters { count, .. } | Source::Random { count, .. }) => Some(*count),
        Op::Source(Source::Kept(kept)) => Some(kept.0.height() as u64),
        _ => None,
    }
}

/// What a command writes, as a table of `line`.
pub fn command_lines(command: &Word) -> Fallible<Table> {
    let failed = |message: String| Diagnostic::at(Kind::System, command.span, message);
    let output = Command::new("sh")
        .arg("-c")
        .arg(&command.text)
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| failed(format!("the command cannot be run: {error}")))?;
    if std::os::unix::process::ExitStatusExt::signal(&output.status) == Some(libc::SIGINT) {
        return Err(Diagnostic::new(Kind::Stopped, "stopped"));
    }
    if !output.status.success() {
        return Err(failed(format!("the command failed: {}", output.status)));
    }
    let text = String::from_utf8(output.stdout).map_err(|error| {
        failed(format!("the command's output is not UTF-8 text: offset {}", error.utf8_error().valid_up_to()))
    })?;
    let lines: Vec<Value> = text.lines().map(Value::text).collect();
    Ok(Table::from_columns(Schema::one("line", Type::Text), lines.len(), &[lines]))
}
