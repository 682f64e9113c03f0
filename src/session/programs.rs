//! Commands that are run again and again: their text, how they are run, and what came of each run.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use crate::commands::{self, Compared, Failure, Filled, Gathered, Outermost, Output, ProcessRun, Program, Starter};
use crate::data::{Order, Sameness, Schema, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span, nearest};
use crate::engines::{self, Choice};
use crate::lang::{Pipeline, Source, SourceNode, Statement, Word};
use crate::measure::{Clock, Clocks, Cost, Missed, Overhead, Readings, Samples, System, Workload};
use crate::plan::{Binding, BoundOp};
use crate::profiles::Profile;
use crate::run_context::{RunContext, Stop};
use crate::rust::without_ours;
use crate::service::THIS_PROGRAM;
use crate::temporary::{Folder, NamedFile};

use super::Session;
use super::bind::{Bound, Ready};
use super::run::{run_on, write_once};

/// What a magic was told about the commands that it measures.
#[derive(Debug, Clone)]
pub struct Told {
    /// Standard input; else it is empty.
    pub input: Option<PathBuf>,
    /// Exit statuses that are no failure.
    pub ok: Vec<i32>,
    /// Before each sample, and once at the end.
    pub prepare: Option<Step>,
    pub cleanup: Option<Step>,
    /// Runs that are not counted.
    pub warmup: u64,
    /// Exactly so many samples.
    pub runs: Option<u64>,
    pub form: Form,
    /// Whether also what needs no shell is run by one.
    pub shell: bool,
}

impl Default for Told {
    fn default() -> Told {
        Told {
            input: None,
            ok: vec![0],
            prepare: None,
            cleanup: None,
            warmup: 1,
            runs: None,
            form: Form::Text,
            shell: false,
        }
    }
}

/// What is done beside a command.
#[derive(Debug, Clone)]
pub enum Step {
    Cell(Vec<Statement>),
    Command(Word),
}

/// What samples a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SamplerKind {
    /// The kernel.
    Perf,
    /// A library in the program.
    Preload,
}

/// How outputs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    Csv,
    Json,
    Lines,
}

impl Form {
    pub const ALL: [(&'static str, Form); 4] =
        [("text", Form::Text), ("csv", Form::Csv), ("json", Form::Json), ("lines", Form::Lines)];
}

/// What a session has for commands.
pub struct Programs {
    starter: Rc<Starter>,
    /// Of the magic that runs.
    pub told: Told,
    /// What went wrong at the end of a command.
    complaints: Rc<RefCell<Vec<String>>>,
}

impl Default for Programs {
    fn default() -> Programs {
        Programs::new(Path::new(THIS_PROGRAM))
    }
}

impl Programs {
    /// Commands that are started by `program`, which is this one, but in tests.
    pub fn new(program: &Path) -> Programs {
        let starter = Rc::new(Starter::new(program, without_ours));
        Programs { starter, told: Told::default(), complaints: Rc::default() }
    }

    /// The memory that each command has at least, in bytes.
    pub fn floor(&self) -> u64 {
        self.starter.floor()
    }

    /// What went wrong at the end of commands since the last call.
    pub fn take_complaints(&self) -> Vec<String> {
        self.complaints.take()
    }
}

/// The command that a pipeline is, if it is one.
pub fn lone_command(pipeline: &Pipeline) -> Option<&Word> {
    match &pipeline.source.node {
        SourceNode::Command(word) => Some(word),
        _ => None,
    }
}

type Action = Box<dyn Fn(&RunContext) -> Fallible<()>>;

/// A command that can be run any number of times.
pub struct Command {
    starter: Rc<Starter>,
    program: Program,
    /// As it is run, its values put in.
    pub text: String,
    told: Told,
    prepare: Option<Action>,
    cleanup: Option<Action>,
    complaints: Rc<RefCell<Vec<String>>>,
    /// What it printed the first time.
    first: RefCell<Option<Rc<Output>>>,
    /// Whether it printed something else later.
    changes: Cell<bool>,
    /// The first run, where that counts as a sample too.
    waiting: Cell<Option<ProcessRun>>,
    samples: RefCell<Vec<ProcessRun>>,
    starts: RefCell<Option<Starts>>,
    /// What the last run cost, whatever it was for.
    last: Cell<Option<ProcessRun>>,
    has_run: Cell<bool>,
    /// For the cleanup.
    context: RunContext,
}

/// What it takes to start something that does nothing, in nanoseconds.
struct Starts {
    wall: Samples,
    /// What of the wall is neither on a processor nor waiting for one.
    idle: Samples,
}

impl Session {
    /// A command with the values of its names.
    pub(super) fn command(&mut self, word: &Word) -> Fallible<Command> {
        let told = self.programs.told.clone();
        let (text, direct) = self.program(word)?;
        for name in self.with_values(&word.text).left {
            self.warn_of_braces(&name, word.span);
        }
        let program = if told.shell { commands::through_shell(&text) } else { direct };
        let prepare = told.prepare.as_ref().map(|step| self.action(step, None)).transpose()?;
        let cleanup = told.cleanup.as_ref().map(|step| self.action(step, Some(CLEANUP))).transpose()?;
        Ok(Command {
            starter: self.programs.starter.clone(),
            program,
            text,
            told,
            prepare,
            cleanup,
            complaints: self.programs.complaints.clone(),
            first: RefCell::default(),
            changes: Cell::new(false),
            waiting: Cell::new(None),
            samples: RefCell::default(),
            starts: RefCell::default(),
            last: Cell::new(None),
            has_run: Cell::new(false),
            context: self.context(),
        })
    }

    /// Whether a shell has to run a command.
    pub fn needs_shell(&self, word: &Word) -> bool {
        self.program(word).is_ok_and(|(_, program)| program.is_shell)
    }

    /// What is started for a command.
    fn program(&self, word: &Word) -> Fallible<(String, Program)> {
        let Filled { text, twice, .. } = self.with_values(&word.text);
        if let Some(name) = twice.first() {
            let message = format!("`{{{name}}}` stands in quotes, but its text is inserted as a quoted word");
            return Err(Diagnostic::at(Kind::Syntax, word.span, message)
                .hint(format!("write {{{name}}} without quotes around it")));
        }
        if text.contains('\0') {
            return Err(Diagnostic::at(Kind::Syntax, word.span, "a command cannot contain the character U+0000"));
        }
        let mut clean = std::process::Command::new("sh");
        without_ours(&mut clean);
        let own =
            clean.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, path)| path.map(|p| p.to_os_string()));
        let path = own.or_else(|| std::env::var_os("PATH"));
        let program = commands::resolve(&text, path.as_deref()).map_err(|name| {
            match name.contains('/') && Path::new(&name).is_file() {
                true => Diagnostic::at(Kind::System, word.span, format!("`{name}` is not executable"))
                    .hint(format!("chmod +x {name}, or name its interpreter: python3 {name}")),
                false => Diagnostic::at(Kind::System, word.span, format!("there is no program `{name}`"))
                    .hint("write a path, or a program in a folder of PATH"),
            }
        })?;
        Ok((text, program))
    }

    /// Says that a name in braces stays as it is, where it looks as if its value was meant.
    fn warn_of_braces(&mut self, name: &str, span: Span) {
        let message = match self.lookup(name) {
            Some(_) => format!("`{{{name}}}` stays as it is, because `{name}` is not a number, a text or a bool"),
            // A letter alone is more likely code of another language.
            None if name.chars().count() == 1 => return,
            None => match nearest(name, self.names().map(|(known, _)| known.as_str())) {
                Some(known) => format!("`{{{name}}}` stays as it is: did you mean `{{{known}}}`?"),
                None => return,
            },
        };
        self.warn(span, message);
    }

    /// A command's text with the values of the names in braces.
    pub fn with_values(&self, text: &str) -> Filled {
        commands::braces(text, |name| match self.lookup(name)? {
            Binding::Value(Value::Text(text), ..) => Some(commands::quoted(&text)),
            Binding::Value(value @ (Value::Int(_) | Value::Float(_) | Value::Bool(_)), ..) => Some(value.to_string()),
            Binding::Value(..) | Binding::Table(_) | Binding::Result { .. } => None,
        })
    }

    /// What is done beside a command, so that it can be done again and again.
    fn action(&mut self, step: &Step, limit: Option<Duration>) -> Fallible<Action> {
        match step {
            Step::Command(word) => {
                let (_, program) = self.program(word)?;
                let (starter, span) = (self.programs.starter.clone(), word.span);
                Ok(Box::new(move |context| {
                    let mut listener = Gathered::default();
                    let ran = starter.run(&program, None, false, &mut listener, &context.stop, limit);
                    let ran = ran.map_err(|failure| refused(failure, "the command"))?;
                    match ran.status.success() {
                        true => Ok(()),
                        false => Err(failed(&ran, &listener.0).or_at(span)),
                    }
                }))
            }
            Step::Cell(statements) => {
                let actions = statements.iter().map(|statement| self.statement_action(statement));
                let actions = actions.collect::<Fallible<Vec<Action>>>()?;
                Ok(Box::new(move |context| actions.iter().try_for_each(|action| action(context))))
            }
        }
    }

    fn statement_action(&mut self, statement: &Statement) -> Fallible<Action> {
        let Statement::Pipeline(pipeline) = statement else {
            return Err(Diagnostic::new(Kind::Syntax, "what is run before each sample cannot define names")
                .hint("--setup (let x = …) runs once, before all samples"));
        };
        let choice = self.engine(pipeline.on.as_ref())?;
        match self.ready(pipeline)? {
            Ready::Expr(evaluator, _) => Ok(Box::new(move |_| evaluator(None, None).map(drop))),
            Ready::Bound(Bound::Value(..)) => Ok(Box::new(|_| Ok(()))),
            Ready::Bound(Bound::Table(plan)) => {
                let context = self.context();
                let (plan, end) = plan.split_end();
                let plan = self.prepared(plan, choice, &context)?;
                let (engine, _) = self.engine_for(&plan, choice)?;
                if engine.is_compiled() {
                    return Err(Diagnostic::at(
                        Kind::Objection,
                        pipeline.span,
                        format!("the engine `{}` cannot run beside a command", engine.name()),
                    )
                    .hint(format!("leave `on {}` out", engine.name())));
                }
                Ok(match end {
                    Some(step) => match step.op {
                        BoundOp::Write(write) => {
                            Box::new(move |context| write_once(&plan, engine, &write, step.span, context))
                        }
                        _ => {
                            let message = "`tee` cannot run beside a command";
                            return Err(Diagnostic::at(Kind::Syntax, step.span, message));
                        }
                    },
                    None => Box::new(move |context| run_on(&plan, engine, context).map(drop)),
                })
            }
        }
    }

    /// What a program printed, read as a table.
    fn output_table(&mut self, output: &Output, form: Form, context: &RunContext) -> Fallible<Table> {
        let (name, extension) = match form {
            Form::Text | Form::Lines => return lines(output),
            Form::Csv => ("csv", ".csv"),
            Form::Json => ("json", ".json"),
        };
        let mut builder = tempfile::Builder::new();
        let file = NamedFile::new_in(builder.suffix(extension), &tempfile::env::temp_dir());
        let mut file = file.map_err(not_kept)?;
        file.write_all(&output.kept).and_then(|()| file.flush()).map_err(not_kept)?;
        let path = file.path().to_string_lossy().into_owned();
        let span = Default::default();
        let word = |text: &str| Word { text: text.to_string(), span };
        let node = SourceNode::Read {
            path: word(&path),
            format: Some(word(name)),
            columns: None,
            types: Vec::new(),
            nulls: None,
            options: Vec::new(),
        };
        let pipeline = Pipeline { source: Source { node, span }, stages: Vec::new(), on: None, span };
        let read = match self.bind(&pipeline) {
            Ok(Bound::Table(plan)) => self.run(plan, Choice::only(engines::DEFAULT), context),
            Ok(Bound::Value(..)) => unreachable!("a file is a table"),
            Err(error) => Err(error),
        };
        read.map(|ran| (*ran.table).clone()).map_err(|mut error| {
            // The place is in a text that nobody has written.
            error.span = None;
            error.message = error.message.replace(&path, "the output");
            error
        })
    }

    /// How what two variants gave differs, where at least one of them is a command.
    pub fn same_outputs(&mut self, [here, there]: [&VariantOutput; 2], context: &RunContext) -> Fallible<Sameness> {
        let form = self.programs.told.form;
        if form == Form::Text {
            let [here, there] = [here, there].map(as_output);
            return Ok(here.difference(&there).map_or(Sameness::Same, Sameness::Different));
        }
        let mut read = |given: &VariantOutput| match given {
            VariantOutput::Table(table) if form == Form::Lines => {
                lines(&as_output(&VariantOutput::Table(table.clone())))
            }
            VariantOutput::Table(table) => Ok(table.clone()),
            VariantOutput::Output(output) if !output.is_whole() => Err(Diagnostic::new(
                Kind::System,
                format!("over {} MiB of output are not read as a table", commands::KEPT >> 20),
            )),
            VariantOutput::Output(output) => self.output_table(output, form, context),
        };
        match (read(here), read(there)) {
            (Ok(here), Ok(there)) => Ok(here.same(&there)),
            (Err(error), _) | (_, Err(error)) if error.kind == Kind::Stopped => Err(error),
            (Err(error), _) => Ok(Sameness::CannotTell(format!("the first output is not a table: {}", error.message))),
            (_, Err(error)) => Ok(Sameness::CannotTell(format!("an output is not a table: {}", error.message))),
        }
    }
}

/// What a variant gave.
#[derive(Clone)]
pub enum VariantOutput {
    Table(Table),
    Output(Rc<Output>),
}

/// What was given as the text that a program would print: a line for each row, tabs between columns.
fn as_output(given: &VariantOutput) -> Rc<Output> {
    match given {
        VariantOutput::Output(output) => output.clone(),
        VariantOutput::Table(table) => {
            use commands::Listener;
            let mut gathered = Gathered::default();
            let width = table.schema().columns.len();
            let columns: Vec<Vec<Value>> = (0..width).map(|at| table.values(at, 0, table.height())).collect();
            let text = |value: &Value| match value {
                Value::Text(text) => text.to_string(),
                Value::Null => String::new(),
                value => value.to_string(),
            };
            for row in 0..table.height() {
                let values: Vec<String> = columns.iter().map(|column| text(&column[row])).collect();
                gathered.out(values.join("\t").as_bytes());
                gathered.out(b"\n");
            }
            Rc::new(gathered.0)
        }
    }
}

pub(super) fn lines(output: &Output) -> Fallible<Table> {
    let text = std::str::from_utf8(&output.kept)
        .map_err(|error| Diagnostic::new(Kind::System, format!("not UTF-8 text at offset {}", error.valid_up_to())))?;
    let lines: Vec<Value> = text.lines().map(Value::text).collect();
    let schema = Schema { order: Order::Kept, ..Schema::one("line", Type::Text) };
    Ok(Table::from_columns(schema, lines.len(), &[lines]))
}

fn not_kept(error: std::io::Error) -> Box<Diagnostic> {
    Diagnostic::new(Kind::System, format!("the output cannot be kept in a temporary file: {error}"))
}

fn refused(failure: Failure, name: &str) -> Box<Diagnostic> {
    match failure {
        Failure::Stopped => Diagnostic::new(Kind::Stopped, "stopped"),
        Failure::NotSampled(error) => not_sampled(&error, ""),
        Failure::Refused(error) => Diagnostic::new(Kind::System, format!("{name} cannot be started: {error}")),
        Failure::Broken(error) => Diagnostic::new(Kind::System, error.to_string()),
    }
}

/// Why a program cannot be sampled, and what allows it.
pub(super) fn not_sampled(error: &std::io::Error, more: &str) -> Box<Diagnostic> {
    let level = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    let level = match level.trim() {
        "" => "the kernel has no perf events".to_string(),
        level => format!("kernel.perf_event_paranoid is {level}"),
    };
    let message = format!(
        "the program was not run, because the system refuses to sample it: perf_event_open: {error} ({level}); tried \
         the software clock in user space{more}"
    );
    Diagnostic::new(Kind::System, message)
        .hint("sudo sysctl kernel.perf_event_paranoid=2, or %prof view FILE of a profiler")
}

fn failed(ran: &ProcessRun, output: &Output) -> Box<Diagnostic> {
    let errors = output.last_errors().map_or(String::new(), |said| format!("; its standard error ends: {said}"));
    Diagnostic::new(Kind::System, format!("{}{errors}", ran.ending()))
}

/// How long a command that cleans up may take.
const CLEANUP: Duration = Duration::from_secs(10);
/// A command that takes longer is not run again only to choose its clock.
const LONG: Duration = Duration::from_millis(50);
/// Starts of something that does nothing, for the cost of a start.
const STARTS: usize = 15;

impl Command {
    /// Runs it once, for what it prints, and warms up as often as was asked for.
    pub fn first(&self, context: &RunContext) -> Fallible<(Rc<Output>, ProcessRun)> {
        let (ran, output) = self.run_and_keep(context)?;
        let output = Rc::new(output);
        *self.first.borrow_mut() = Some(output.clone());
        match self.told.warmup {
            0 => self.waiting.set(Some(ran)),
            more => (1..more).try_for_each(|_| self.run_once(context).map(drop))?,
        }
        Ok((output, ran))
    }

    /// Whether it printed something else in a later run.
    pub fn changes(&self) -> bool {
        self.changes.get()
    }

    pub fn is_shell(&self) -> bool {
        self.program.is_shell
    }

    /// How its last run ended.
    pub fn status(&self) -> Option<i32> {
        self.last.get()?.status.code()
    }

    /// All that was sampled, in its order.
    pub fn samples(&self) -> Vec<ProcessRun> {
        self.samples.borrow().clone()
    }

    /// What it printed the first time.
    pub fn output(&self) -> Option<Rc<Output>> {
        self.first.borrow().clone()
    }

    /// The seconds of the wall that the shell takes to start that runs it.
    pub fn shell_start(&self) -> Option<f64> {
        self.start(&self.context).ok().filter(|_| self.is_shell())
    }

    /// The seconds of the wall that it takes to start something that does nothing, through a shell where this is.
    pub fn start(&self, context: &RunContext) -> Fallible<f64> {
        self.with_starts(context, |starts| starts.wall.median() / 1e9)
    }

    fn run_and_keep(&self, context: &RunContext) -> Fallible<(ProcessRun, Output)> {
        self.has_run.set(true);
        self.prepare.iter().try_for_each(|prepare| prepare(context))?;
        let mut listener = Gathered::default();
        let ran = self.ask(&mut listener, context)?;
        self.judge(ran, &listener.0).map(|ran| (ran, listener.0))
    }

    /// Runs it once more; what it prints is compared with the first time.
    fn run_once(&self, context: &RunContext) -> Fallible<ProcessRun> {
        let Some(first) = self.output() else { return self.run_and_keep(context).map(|(ran, _)| ran) };
        self.prepare.iter().try_for_each(|prepare| prepare(context))?;
        let mut listener = Compared::with(&first);
        let ran = self.ask(&mut listener, context)?;
        self.changes.set(self.changes.get() || listener.differs());
        let number = self.samples.borrow().len() + 1;
        self.judge(ran, &Output::of_errors(std::mem::take(&mut listener.errors))).map_err(|mut error| {
            error.message = format!("in sample {number}: {}", error.message);
            error
        })
    }

    fn ask(&self, listener: &mut dyn commands::Listener, context: &RunContext) -> Fallible<ProcessRun> {
        self.ask_and_count(false, listener, context)
    }

    fn ask_and_count(
        &self,
        counts: bool,
        listener: &mut dyn commands::Listener,
        context: &RunContext,
    ) -> Fallible<ProcessRun> {
        let (program, input) = (&self.program, self.told.input.as_deref());
        let name = program.words.first().map_or(String::new(), |name| format!("`{}`", name.to_string_lossy()));
        let ran = self.starter.run(program, input, counts, listener, &context.stop, None);
        ran.map_err(|failure| refused(failure, &name))
    }

    fn judge(&self, ran: ProcessRun, output: &Output) -> Fallible<ProcessRun> {
        self.last.set(Some(ran));
        let is_good = ran.status.code().is_some_and(|code| self.told.ok.contains(&code));
        if is_good { Ok(ran) } else { Err(failed(&ran, output)) }
    }

    /// Runs it once, whatever its exit status; whether that was accepted.
    pub fn once(&self, context: &RunContext) -> Fallible<(ProcessRun, bool)> {
        self.has_run.set(true);
        self.prepare.iter().try_for_each(|prepare| prepare(context))?;
        let mut listener = Gathered::default();
        let ran = self.ask(&mut listener, context)?;
        let is_good = self.judge(ran, &listener.0).is_ok();
        *self.first.borrow_mut() = Some(Rc::new(listener.0));
        Ok((ran, is_good))
    }

    /// Runs it once, whatever its exit status, and samples it; whether that was accepted.
    pub fn sampled(&self, kind: Option<SamplerKind>, context: &RunContext) -> Fallible<(ProcessRun, bool, Profile)> {
        self.has_run.set(true);
        self.prepare.iter().try_for_each(|prepare| prepare(context))?;
        let mut listener = Gathered::default();
        let (program, input) = (&self.program, self.told.input.as_deref());
        let name = program.words.first().map_or(String::new(), |name| format!("`{}`", name.to_string_lossy()));
        let sampled = match kind {
            Some(SamplerKind::Preload) => None,
            _ => Some(self.starter.sample(program, input, &mut listener, &context.stop)),
        };
        let refusal = match sampled {
            Some(Ok((ran, sampler))) => {
                let is_good = self.judge(ran, &listener.0).is_ok();
                *self.first.borrow_mut() = Some(Rc::new(listener.0));
                return Ok((ran, is_good, sampler.profile(Outermost::Program)));
            }
            Some(Err(Failure::NotSampled(error))) => Some(error),
            Some(Err(failure)) => return Err(refused(failure, &name)),
            None => None,
        };
        if let (Some(error), Some(SamplerKind::Perf)) = (&refusal, kind) {
            return Err(not_sampled(error, ""));
        }
        self.preloaded(context).map_err(|error| match (&refusal, error.kind) {
            (_, Kind::Stopped) | (None, _) => error,
            (Some(refusal), _) => not_sampled(refusal, &format!("; then a preloaded library: {}", error.message)),
        })
    }

    /// The same with a library that is loaded into the program.
    fn preloaded(&self, context: &RunContext) -> Fallible<(ProcessRun, bool, Profile)> {
        // The compiler hears Ctrl-C too, and its error is none.
        let preload = Preload::build().or_else(|error| context.stop.check().and(Err(error)))?;
        let env = commands::resolve("env", std::env::var_os("PATH").as_deref());
        let env = env.map_err(|_| Diagnostic::new(Kind::System, "there is no program `env`"))?;
        let mut words: Vec<std::ffi::OsString> = vec!["env".into()];
        for (name, value) in [("LD_PRELOAD", &preload.library), (commands::SAMPLES, &preload.samples)] {
            let mut word = std::ffi::OsString::from(format!("{name}="));
            word.push(value);
            words.push(word);
        }
        words.push(self.program.path.clone().into());
        words.extend(self.program.words.iter().skip(1).cloned());
        let program = Program { words, ..env };
        let mut listener = Gathered::default();
        let ran = self.starter.run(&program, self.told.input.as_deref(), false, &mut listener, &context.stop, None);
        let ran = ran.map_err(|failure| refused(failure, "the program"))?;
        let is_good = self.judge(ran, &listener.0).is_ok();
        *self.first.borrow_mut() = Some(Rc::new(listener.0));
        Ok((ran, is_good, preload.profile(ran.cpu(), Outermost::Program)?))
    }

    /// The instructions of a run in user space; none where the system does not count them.
    pub fn instructions(&self, context: &RunContext) -> Fallible<Option<u64>> {
        self.has_run.set(true);
        self.prepare.iter().try_for_each(|prepare| prepare(context))?;
        let mut listener = Gathered::default();
        let ran = self.ask_and_count(true, &mut listener, context)?;
        self.judge(ran, &listener.0).map(|ran| ran.instructions)
    }

    /// A run that does not count: the first one, where nobody has asked for its output yet.
    pub fn again(&self, context: &RunContext) -> Fallible<ProcessRun> {
        if self.output().is_some() {
            return self.run_once(context);
        }
        let (ran, output) = self.run_and_keep(context)?;
        *self.first.borrow_mut() = Some(Rc::new(output));
        Ok(ran)
    }

    /// A run that counts.
    pub fn sample(&self, context: &RunContext) -> Fallible<ProcessRun> {
        let ran = match self.waiting.take() {
            Some(ran) => ran,
            None => self.run_once(context)?,
        };
        self.samples.borrow_mut().push(ran);
        Ok(ran)
    }

    pub fn workload<'a>(&'a self, context: &'a RunContext) -> Sampled<'a> {
        Sampled { command: self, context }
    }

    /// What the clocks say of a run: a first thread that never waits is all that works, and its CPU time is the
    /// command's.
    fn reading(&self, ran: &ProcessRun, context: &RunContext) -> Fallible<Readings> {
        let idle = self.with_starts(context, |starts| starts.idle.quantile(0.75))?.max(0.0) as u64;
        let cpu = ran.cpu().as_nanos() as u64;
        let (thread, queued) = ran.thread.unzip();
        // A shell starts others, and what each of them waited for is not known.
        let waits = if ran.thread.is_none() || self.is_shell() { 1 } else { ran.waits };
        let system = System { process: cpu, reading: 0, children: 0, queued, waits };
        let wall = (ran.wall.as_nanos() as u64).saturating_sub(idle);
        Ok(Readings { wall, thread: thread.unwrap_or_default(), system })
    }

    /// What CPU time leaves out of its samples, where that is so in a part of them: the first runs of a program need
    /// not be like its later ones.
    pub fn missed(&self, context: &RunContext) -> Option<Missed> {
        const PART: usize = 20;
        let samples = self.samples();
        let missed = samples.iter().filter_map(|ran| self.reading(ran, context).ok()?.missed());
        let missed: Vec<Missed> = missed.collect();
        missed.last().copied().filter(|_| missed.len() * PART > samples.len())
    }

    /// Begins anew with sampling.
    pub fn forget_samples(&self) {
        self.samples.borrow_mut().clear();
    }

    /// The nanoseconds of the wall of each sample.
    pub fn walls(&self) -> Vec<f64> {
        self.samples.borrow().iter().map(|ran| ran.wall.as_nanos() as f64).collect()
    }

    /// What a run of it costs.
    pub fn cost(ran: &ProcessRun) -> Cost {
        Cost {
            wall: ran.wall,
            cpu: ran.cpu(),
            parts: Some((ran.user, ran.system)),
            programs: ran.cpu(),
            preempted: ran.preempted,
            peak: ran.peak,
            ..Cost::default()
        }
    }

    fn with_starts<T>(&self, context: &RunContext, of: impl FnOnce(&Starts) -> T) -> Fallible<T> {
        if self.starts.borrow().is_none() {
            let shell = commands::through_shell(":");
            let nothing = commands::resolve("true", std::env::var_os("PATH").as_deref()).ok();
            let program = if self.program.is_shell { Some(shell) } else { nothing };
            let mut ran = Vec::new();
            for _ in 0..STARTS {
                let Some(program) = &program else { break };
                let mut listener = Gathered::default();
                let one = self.starter.run(program, None, false, &mut listener, &context.stop, None);
                ran.push(one.map_err(|failure| refused(failure, "`true`"))?);
            }
            let of = |figure: fn(&ProcessRun) -> f64| Samples::new(1, ran.iter().map(figure).collect());
            *self.starts.borrow_mut() = Some(Starts {
                wall: of(|ran| ran.wall.as_nanos() as f64),
                idle: of(|ran| {
                    let (on_processor, queued) = ran.thread.unwrap_or_default();
                    ran.wall.as_nanos() as f64 - (on_processor + queued) as f64
                }),
            });
        }
        Ok(of(self.starts.borrow().as_ref().expect("they were just measured")))
    }
}

/// The library that samples the program into which it is loaded, built for one run.
pub(super) struct Preload {
    pub library: PathBuf,
    /// What it writes.
    pub samples: PathBuf,
    _folder: Folder,
}

impl Preload {
    pub fn build() -> Fallible<Preload> {
        let system = |what: &str, error: std::io::Error| Diagnostic::new(Kind::System, format!("{what}: {error}"));
        let folder = Folder::new_in(&tempfile::Builder::new(), &tempfile::env::temp_dir())
            .map_err(|error| system("no temporary folder can be made", error))?;
        let (source, library, samples) =
            (folder.path().join("preload.rs"), folder.path().join("libpreload.so"), folder.path().join("samples"));
        std::fs::write(&source, commands::PRELOAD).map_err(|error| system("the library cannot be written", error))?;
        let mut rustc = std::process::Command::new("rustc");
        rustc.args(["--edition", "2024", "--crate-type", "cdylib", "-O", "-C", "panic=abort", "-o"]);
        let built = rustc.arg(&library).arg(&source).output();
        let built = built.map_err(|error| system("the library needs `rustc`, which does not start", error))?;
        if !built.status.success() {
            let said = String::from_utf8_lossy(&built.stderr).lines().take(3).collect::<Vec<_>>().join(" ");
            return Err(Diagnostic::new(Kind::System, format!("rustc does not build the library: {said}")));
        }
        Ok(Preload { library, samples, _folder: folder })
    }

    /// The profile of a program that has ended, and of its CPU time.
    pub fn profile(&self, cpu: Duration, outermost: Outermost) -> Fallible<Profile> {
        const LARGEST: u64 = 256 << 20;
        let length = std::fs::metadata(&self.samples).map_or(0, |found| found.len());
        if length == 0 {
            let message = "the program did not load it: it is not linked dynamically, or changes its environment";
            return Err(Diagnostic::new(Kind::System, message));
        }
        if length > LARGEST {
            return Err(Diagnostic::new(Kind::System, format!("it wrote over {} MiB of samples", LARGEST >> 20)));
        }
        let bytes = std::fs::read(&self.samples);
        let bytes =
            bytes.map_err(|error| Diagnostic::new(Kind::System, format!("the samples cannot be read: {error}")))?;
        commands::preloaded(&bytes, cpu.as_secs_f64(), outermost).ok_or_else(|| {
            let message = "the program took no sample: it used too little CPU time";
            Diagnostic::new(Kind::Domain, message).hint("profile a longer run of it")
        })
    }
}

impl Drop for Command {
    /// The cleanup, at the end of the variant, however that came.
    fn drop(&mut self) {
        let Some(cleanup) = self.cleanup.take().filter(|_| self.has_run.get()) else { return };
        let mut context = self.context.clone();
        let was_stopped = context.stop.is_raised();
        // The person has stopped the command, not this; another Ctrl-C does.
        context.stop.clear();
        if context.stop.is_raised() {
            context.stop = Stop::default();
        }
        if let Err(error) = cleanup(&context) {
            self.complaints.borrow_mut().push(format!("the cleanup of `{}` failed: {}", self.text, error.message));
        }
        if was_stopped {
            self.context.stop.raise();
        }
    }
}

/// A command as it is timed.
pub struct Sampled<'a> {
    command: &'a Command,
    context: &'a RunContext,
}

impl Workload<Box<Diagnostic>> for Sampled<'_> {
    fn time(&mut self, clock: &dyn Clock, calls: u64) -> Fallible<u64> {
        let mut all = Duration::ZERO;
        for _ in 0..calls {
            let ran = self.command.sample(self.context)?;
            all += if clock.is_cpu() { ran.cpu() } else { ran.wall };
        }
        Ok(all.as_nanos() as u64)
    }

    /// A process begins with cold caches each time: nothing is to be warmed.
    fn time_warm(&mut self, clock: &dyn Clock, calls: u64) -> Fallible<u64> {
        self.time(clock, calls)
    }

    /// Nothing is subtracted. What a shell takes to start changes from moment to moment on a busy machine, by more
    /// than short commands take: with an estimate of it subtracted, 6 of 55 comparisons of a pipe with itself beside
    /// three to eight busy threads said "faster" or "slower".
    fn overhead(&self, _: &dyn Clock) -> Option<Overhead> {
        // The system counts CPU time of a process in microseconds.
        const STEP: f64 = 1000.0;
        Some(Overhead { read: 0.0, call: 0.0, precision: STEP })
    }

    fn readings(&mut self, _: &Clocks, calls: u64) -> Fallible<Readings> {
        let mut all: Option<Readings> = None;
        for _ in 0..calls.max(1) {
            let enough = |ran: &ProcessRun| self.command.told.runs.is_some() || ran.wall >= LONG;
            let ran = match self.command.last.get().filter(enough) {
                Some(ran) => ran,
                None => self.command.run_once(self.context)?,
            };
            let one = self.command.reading(&ran, self.context)?;
            // An empty reading would know nothing of the queue, and then the sum does not either.
            all = Some(all.map_or(one, |all| all.and(one)));
        }
        Ok(all.unwrap_or_default())
    }
}
