//! Names, results and settings. It binds what a cell says, runs it, and forgets a failed cell.

mod bind;
mod command;
mod detached;
mod jobs;
mod kept;
mod persisted;
pub mod programs;
mod reading;
mod rounds;
mod run;
mod rust;
mod sampled;
pub mod settings;
mod spent;
mod stores;
mod subject;
mod values;
mod workers;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::baselines::{Baseline, Baselines};
use crate::console::Console;
use crate::dashboard::{Server, board};
use crate::data::{Schema, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span, listed};
use crate::engines::{self, Choice, LimitValue};
use crate::escape::escaped;
use crate::files;
use crate::history::History;
use crate::lang::{self, Statement, Word};
use crate::measure::{self, Clocks, Noise, Programs};
use crate::meters::Meters;
use crate::monitor::{Gauges, Monitor};
use crate::plan::{self, Binding, BoundOp, Definition, Kept, Op, Plan, Source, Step};
use crate::profiles::Profile;
use crate::remote::servers;
use crate::report::Report;
use crate::run_context::{ChunkSizes, Counters, Largest, MEMORY_HINT, Progress, ReadNotes, RunContext, Spill, Stop};
use crate::rust::{Built, Cost, Rust};
use crate::schedule;
use crate::service::THIS_PROGRAM;
use crate::show::{MOST_ROWS, Printer, bytes_text, cut};

pub use bind::{Bound, rows_of as value_plan};
pub use command::{run as run_process, run_command, shell_command};
pub use detached::Detached;
pub use jobs::{Job, JobState};
pub use kept::{Entered, MOST_BYTES, Outcome};
pub use persisted::Persisted;
pub use programs::{VariantOutput, lone_command};
pub use run::{JobName, RunPrinted, RunResult};
pub use rust::{Block as RustBound, lone_block};
pub use settings::{Settings, processors};
pub use subject::{Draft, RUST, Replicas, Subject, only_table, value_table};
pub use workers::{Screened, Workers};

/// One session: what cells share.
pub struct Session {
    names: BTreeMap<String, Binding>,
    functions: Option<Arc<Definition>>,
    /// Cell n at place n - 1.
    entered: Vec<Entered>,
    /// Tables that `persist` computed, by its number.
    kept: RefCell<HashMap<u64, Rc<Persisted>>>,
    /// The texts of all cells, by the number that spans carry.
    texts: Vec<Arc<str>>,
    /// How long pipelines took on the default engine, by their texts; the last ones.
    walls: RefCell<Vec<(String, Duration)>>,
    pub settings: Settings,
    pub stop: Stop,
    /// Where cells print and ask.
    pub console: Console,
    /// What prints the rows of the next result while they come; without one it is printed by who has it.
    pub printer: Option<Rc<RefCell<Printer>>>,
    warnings: Vec<Diagnostic>,
    /// Whether `read "-"` may read standard input; not where cells come from it.
    pub reads_stdin: bool,
    /// Whether somebody types at a terminal.
    pub interactive: bool,
    /// Whether somebody waits for each cell, there or at a front end: a run that does not stop is left behind.
    pub attended: bool,
    /// The cells of all sessions.
    pub history: History,
    /// Measurements that the person keeps.
    pub baselines: Baselines,
    /// What cells measured, by their numbers.
    measured: BTreeMap<usize, Baseline>,
    /// The last cell that was to measure something and has not.
    unmeasured: Option<usize>,
    left: detached::Left,
    /// What everything is measured by.
    pub clocks: Clocks,
    /// How quiet the machine is, once it was measured.
    pub noise: Option<Noise>,
    /// Whether a panic in a cell is an error of that cell; in tests it is loud.
    pub survives: bool,
    /// Whether the cells that run come from a file that nobody trusts: they write only in the current folder.
    pub confined: bool,
    /// Files, and those of their cells that can do anything, which the person has seen and lets run.
    pub trusts: Vec<(PathBuf, Vec<String>)>,
    /// The last race program, without mistakes.
    pub race: Option<String>,
    /// The compiler of Rust and the process that runs it.
    pub rust: Rust,
    blocks: rust::Blocks,
    stores: stores::Stores,
    jobs: jobs::Jobs,
    /// Jobs are watched from their start, cells as long as there is a page that shows them.
    monitor: Arc<Monitor>,
    dashboard: Option<Server>,
    /// Servers of engines that were started here.
    servers: Vec<servers::Server>,
    /// The last profiles, by the numbers of their cells.
    profiles: BTreeMap<usize, Arc<Profile>>,
    /// What starts the commands that are measured.
    pub programs: programs::Programs,
    /// What other processes cost that worked for the cell that runs, each with its name.
    spent: RefCell<Vec<(&'static str, measure::Cost)>>,
}

/// What a statement gave.
#[derive(Debug, Clone)]
pub enum CellValue {
    /// A name was given.
    Nothing,
    /// The last says whether it was measured, or computed from what was.
    Value(Value, Type, bool),
    Table(RunResult),
    /// A table whose rows were printed as they came.
    Printed(RunPrinted),
    /// The named tables of a `tee`.
    Tables(Vec<(String, RunResult)>),
    /// What a block of Rust gave, what compiling and running it cost, and whether it was given what was measured.
    Rust(crate::rust::BlockValue, Cost, bool),
}

/// What a failed cell must not change.
#[derive(Clone)]
pub struct Snapshot {
    names: BTreeMap<String, Binding>,
    functions: Option<Arc<Definition>>,
    settings: Settings,
}

impl Session {
    /// A session whose cells run on `engine` unless they say another; without one, on the default engine.
    pub fn new(engine: impl Into<Option<&'static str>>, console: Console) -> Session {
        Session {
            names: BTreeMap::new(),
            functions: None,
            entered: Vec::new(),
            kept: RefCell::new(HashMap::new()),
            texts: Vec::new(),
            walls: RefCell::default(),
            settings: Settings::new(engine.into()),
            stop: Stop::default(),
            warnings: Vec::new(),
            reads_stdin: false,
            interactive: false,
            attended: false,
            history: History::default(),
            baselines: Baselines::default(),
            measured: BTreeMap::new(),
            unmeasured: None,
            left: detached::Left::default(),
            clocks: Clocks::default(),
            noise: None,
            race: None,
            survives: false,
            confined: false,
            trusts: Vec::new(),
            rust: Rust::new(Path::new(THIS_PROGRAM), console.clone()),
            blocks: rust::Blocks::default(),
            stores: stores::Stores::default(),
            jobs: jobs::Jobs::default(),
            monitor: Arc::default(),
            dashboard: None,
            servers: Vec::new(),
            programs: programs::Programs::default(),
            profiles: BTreeMap::new(),
            spent: RefCell::default(),
            printer: None,
            console,
        }
    }

    /// Standard input as a file.
    fn standard_input(&self) -> Fallible<plan::File> {
        if !self.reads_stdin {
            return Err(Diagnostic::new(
                Kind::File,
                "the cells come from standard input, so `read \"-\"` cannot read it",
            )
            .hint("timelab -c 'read \"-\" | …' < FILE"));
        }
        files::standard_input(&self.stop)
    }

    /// Keeps the text of a cell; its number for spans.
    pub fn remember(&mut self, text: &str) -> u32 {
        self.texts.push(Arc::from(text));
        (self.texts.len() - 1) as u32
    }

    /// A plan as it was written.
    pub fn written(&self, plan: &Plan) -> Option<&str> {
        let (first, last) = (plan.steps.first()?.span, plan.steps.last()?.span);
        let text = self.text(first.cell).filter(|_| first.cell == last.cell)?;
        text.get(first.start as usize..last.end as usize).map(str::trim)
    }

    /// How long the default engine took for a pipeline of this text, where it ran in this session.
    pub fn wall_of(&self, text: &str) -> Option<Duration> {
        self.walls.borrow().iter().rev().find(|(known, _)| known == text).map(|(_, wall)| *wall)
    }

    fn note_wall(&self, text: Option<String>, wall: Duration) {
        const MOST: usize = 32;
        let mut walls = self.walls.borrow_mut();
        walls.extend(text.map(|text| (text, wall)));
        let more = walls.len().saturating_sub(MOST);
        walls.drain(..more);
    }

    /// The text that a span points into.
    pub fn text(&self, cell: u32) -> Option<&str> {
        self.texts.get(cell as usize).map(|text| &**text)
    }

    /// The text of the newest cell, which may not have run yet.
    pub(super) fn last_text(&self) -> Option<&str> {
        self.texts.last().map(|text| &**text)
    }

    /// The words that a span covers.
    pub fn words(&self, span: Span) -> &str {
        self.text(span.cell).and_then(|text| text.get(span.start as usize..span.end as usize)).unwrap_or_default()
    }

    /// Holds the profile that the cell that runs has made. Old ones are dropped.
    pub fn hold_profile(&mut self, profile: Arc<Profile>) {
        const MOST: usize = 20;
        self.profiles.insert(self.next_cell(), profile);
        if self.profiles.len() > MOST {
            self.profiles.pop_first();
        }
    }

    /// The last profiles, by the numbers of their cells.
    pub fn profiles(&self) -> &BTreeMap<usize, Arc<Profile>> {
        &self.profiles
    }

    /// Holds what the cell that runs has measured, until the session ends.
    pub fn hold_measured(&mut self, baseline: Baseline) {
        self.measured.insert(self.next_cell(), baseline);
        self.unmeasured = None;
    }

    /// Notes that the cell that runs was to measure something and has failed, or was stopped.
    pub fn note_unmeasured(&mut self) {
        let cell = self.next_cell();
        // What it measured before it failed is not what was asked for.
        self.measured.remove(&cell);
        self.unmeasured = Some(cell);
    }

    /// The last cell that was to measure something, where that has nothing to keep.
    pub fn unmeasured(&self) -> Option<usize> {
        self.unmeasured
    }

    /// What cells measured, by their numbers.
    pub fn measured(&self) -> &BTreeMap<usize, Baseline> {
        &self.measured
    }

    /// The number that the next cell will have.
    pub fn next_cell(&self) -> usize {
        self.entered.len() + 1
    }

    /// The cells that were run, cell n at place n - 1.
    pub fn entered(&self) -> &[Entered] {
        &self.entered
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot { names: self.names.clone(), functions: self.functions.clone(), settings: self.settings.clone() }
    }

    pub fn restore(&mut self, snapshot: Snapshot) {
        self.names = snapshot.names;
        self.functions = snapshot.functions;
        self.settings = snapshot.settings;
    }

    /// Ends a cell: its result becomes `_` and `_n`, and what it showed stays with it. Kept tables and stores
    /// that nothing can reach are dropped, and results and reports that do not fit any more, oldest first.
    ///
    /// A table of `dropped` bytes was too large to become one.
    pub fn end_cell(
        &mut self,
        text: &str,
        failed: bool,
        result: Option<Binding>,
        dropped: Option<u64>,
        report: Report,
    ) {
        let mut entered = Entered::new(text, failed, result, report);
        if let Some(bytes) = dropped {
            entered.forget_table(bytes);
        }
        self.entered.push(entered);
        self.spent.get_mut().clear();
        kept::make_room(&mut self.entered);
        let mut reachable = Vec::new();
        let plans = self.names.values().filter_map(|binding| match binding {
            Binding::Table(plan) => Some(plan),
            Binding::Value(..) | Binding::Result { .. } => None,
        });
        plans.for_each(|plan| {
            plan.walk(&mut |step| {
                if let BoundOp::Persist(id, _) = step.op {
                    reachable.push(id);
                }
            });
        });
        self.kept.get_mut().retain(|id, _| reachable.contains(id));
        self.end_stores();
        self.end_jobs();
    }

    /// Tells something that is no error.
    pub fn warn(&mut self, span: Span, message: String) {
        self.warnings.push(*Diagnostic::at(Kind::Warning, span, message));
    }

    /// Warnings since the last call, each once.
    pub fn take_warnings(&mut self) -> Vec<Diagnostic> {
        let mut warnings = std::mem::take(&mut self.warnings);
        let mut said = Vec::new();
        warnings.retain(|warning| {
            let new = !said.contains(&warning.message);
            said.push(warning.message.clone());
            new
        });
        warnings
    }

    pub fn context(&self) -> RunContext {
        let (err, is_terminal) = (self.console.err.clone(), self.console.err_is_terminal);
        RunContext {
            chunk_sizes: ChunkSizes::default(),
            memory: self.settings.memory.map_or_else(free_memory, |bytes| bytes.saturating_add(measure::live())),
            spill: self.settings.memory.map(|bytes| Spill::new(bytes, self.settings.scratch_folder())),
            scratch: self.settings.scratch_folder(),
            workers: self.settings.workers.unwrap_or_else(processors),
            stop: self.stop.clone(),
            progress: Progress::default(),
            read_notes: ReadNotes::default(),
            counters: Counters::default(),
            log: Arc::new(move |line| match is_terminal {
                true => err.write_line(&escaped(line)),
                false => err.write_line(line),
            }),
            confined: self.confined,
            meters: Meters::default(),
            largest: Largest::default(),
            memory_hint: MEMORY_HINT,
            is_job: false,
            monitor: None,
        }
    }

    /// Starts the page that shows what runs, if it is not there; its address.
    ///
    /// # Errors
    /// Where the system gives no port.
    pub fn start_dashboard(&mut self) -> std::io::Result<String> {
        let server = match self.dashboard.take() {
            Some(server) => server,
            None => Server::start(self.monitor.clone())?,
        };
        Ok(self.dashboard.insert(server).url())
    }

    /// Ends the page; false where there was none.
    pub fn stop_dashboard(&mut self) -> bool {
        self.dashboard.take().is_some()
    }

    /// Keeps a server of an engine, which from now on is the one that is used.
    pub fn keep_server(&mut self, server: servers::Server) {
        let engine = server.service.engine;
        self.settings.addresses.insert(engine, server.address.clone());
        self.settings.pythons.insert(engine, server.python.to_string_lossy().into_owned());
        self.servers.push(server);
    }

    /// The servers that were started here and still run: names and addresses.
    pub fn running_servers(&mut self) -> Vec<(&'static str, String)> {
        let ended = |server: &mut servers::Server| (!server.lives()).then_some(server.service.name);
        let ended: Vec<&str> = self.servers.iter_mut().filter_map(ended).collect();
        ended.into_iter().for_each(|name| _ = self.stop_servers(Some(name)));
        self.servers.iter().map(|server| (server.service.name, server.address.clone())).collect()
    }

    /// Ends a server of this name, or all; the names of those that have ended.
    pub fn stop_servers(&mut self, name: Option<&str>) -> Vec<&'static str> {
        let is_meant = |server: &servers::Server| name.is_none_or(|name| server.service.name == name);
        let (ending, left) = std::mem::take(&mut self.servers).into_iter().partition(|server| is_meant(server));
        self.servers = left;
        let ending: Vec<servers::Server> = ending;
        for server in &ending {
            let engine = server.service.engine;
            if self.settings.addresses.get(engine) == Some(&server.address) {
                self.settings.addresses.remove(engine);
                self.settings.pythons.remove(engine);
            }
        }
        ending.iter().map(|server| server.service.name).collect()
    }

    pub fn monitor(&self) -> &Arc<Monitor> {
        &self.monitor
    }

    /// The means of a cell, which is watched as long as there is a page that shows it.
    pub fn watched_cell(&self, text: &str, context: &RunContext) -> RunContext {
        if self.dashboard.is_none() {
            return context.clone();
        }
        let monitor = self.monitor.clone();
        context.progress.show_board(move || board(&monitor));
        self.watched(text, context)
    }

    /// The means of a run that is watched under a name.
    fn watched(&self, name: &str, context: &RunContext) -> RunContext {
        const LONGEST: usize = 80;
        let progress = context.progress.clone();
        let gauges = move || {
            let (bytes, all_bytes) = progress.bytes();
            Gauges { rows: progress.rows(), bytes, all_bytes }
        };
        let line = name.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let watch = self.monitor.begin(&escaped(&cut(line, LONGEST)), gauges);
        let (log, mine) = (context.log.clone(), watch.clone());
        let log = Arc::new(move |line: &str| {
            mine.log(line);
            log(line);
        });
        RunContext { log, monitor: Some(watch), ..context.clone() }
    }

    /// How long compiling and starting processes took so far. No meter and no stopwatch counts it.
    pub fn built(&self) -> Built {
        let built = self.rust.built();
        Built { start: built.start + schedule::workers::started(), ..built }
    }

    /// The engine for a statement that says `on`, or not.
    pub fn engine(&self, on: Option<&crate::lang::On>) -> Fallible<Choice> {
        let Some(name) = on.map(|on| on.engine.text.as_str()).or(self.settings.engine) else {
            return Ok(Choice { chosen: false, ..Choice::only(engines::DEFAULT) });
        };
        let engine =
            engines::find(name).ok_or_else(|| Diagnostic::new(Kind::Name, format!("unknown engine `{name}`")))?;
        let mut choice = Choice::only(engine);
        let address = on.and_then(|on| on.address.as_ref()).map(|word| (word.text.as_str(), word.span));
        if let (Some((_, span)), None) = (address, engine.elsewhere()) {
            let message = format!("the engine `{name}` runs here and takes no address");
            return Err(Diagnostic::at(Kind::Type, span, message).hint(format!("| on {name}")));
        }
        choice.limits.place = settings::place(&self.settings, engine, address)?;
        for (word, value) in on.map(|on| &on.options[..]).unwrap_or_default() {
            set_limit(&mut choice, word, value)?;
        }
        choice.limits.job.seed = self.settings.seed;
        Ok(choice)
    }

    /// Runs one statement.
    pub fn statement(&mut self, statement: &Statement, context: &RunContext) -> Fallible<CellValue> {
        context.counters.clear();
        match statement {
            Statement::Let(name, pipeline) => {
                if let lang::SourceNode::Wait(job) = &pipeline.source.node {
                    self.wait_for(job, context)?;
                }
                let (bound, measured) = self.bind_marked(pipeline)?;
                if let Bound::Table(plan) = &bound
                    && plan.is_final()
                {
                    let span = plan.steps.last().expect("a plan has a source").span;
                    return Err(Diagnostic::at(
                        Kind::Syntax,
                        span,
                        "`let` names a table, so it cannot contain `write` or `tee`",
                    )
                    .hint("put `write` or `tee` at the end of a cell"));
                }
                let binding = match bound {
                    Bound::Value(value, ty) => Binding::Value(value, ty.closed(), measured),
                    Bound::Table(plan) => Binding::Table(Arc::new(plan)),
                };
                self.give(name, binding);
                Ok(CellValue::Nothing)
            }
            Statement::LetCommand(name, command) => {
                let programs = Programs::start();
                let table = command::command_lines(command, &self.console, context);
                self.add_spent(&[("command", programs.stop())]);
                let table = table?;
                self.give(name, Binding::Table(Arc::new(kept_plan(Arc::new(table), name.span))));
                Ok(CellValue::Nothing)
            }
            Statement::LetStore(name, options) => {
                self.start_store(name, options, context)?;
                Ok(CellValue::Nothing)
            }
            Statement::Spawn(name, pipeline) => {
                self.spawn(name, pipeline, context)?;
                Ok(CellValue::Nothing)
            }
            Statement::Function(function) => {
                let name = &function.name;
                if crate::functions::find(&name.text).is_some() {
                    let message = format!("`{}` now hides the built-in function", name.text);
                    self.warn(name.span, message);
                }
                let before = self.functions.take();
                self.functions = Some(Arc::new(Definition { function: function.clone(), elsewhere: None, before }));
                Ok(CellValue::Nothing)
            }
            Statement::RustFunction(written) => {
                let elsewhere = Some(self.rust_function(&bind::View::of(self), written, context)?);
                let parameters = written.parameters.iter().map(|(word, _)| word.clone()).collect();
                let body = lang::Expr { node: lang::Node::Null, span: written.body.body.span };
                let function = lang::Function { name: written.name.clone(), parameters, body };
                let before = self.functions.take();
                self.functions = Some(Arc::new(Definition { function, elsewhere, before }));
                Ok(CellValue::Nothing)
            }
            Statement::Pipeline(pipeline) if lone_block(pipeline).is_some() => {
                let block = lone_block(pipeline).expect("it was just seen");
                let view = bind::View::of(self);
                let block = self.compile_blocks(&view, &[block], context)?.remove(0);
                let (given, cost) = self.run_block(&block, context)?;
                Ok(CellValue::Rust(given, cost, view.has_read_measured()))
            }
            Statement::Pipeline(pipeline) => {
                let engine = self.engine(pipeline.on.as_ref())?;
                match self.bind_marked(pipeline)? {
                    (Bound::Value(value, ty), measured) => Ok(CellValue::Value(value, ty, measured)),
                    (Bound::Table(plan), _) => self.table(plan, engine, context),
                }
            }
        }
    }

    /// Runs a plan and prints its rows as they come.
    fn print(
        &self,
        plan: Plan,
        choice: Choice,
        printer: &RefCell<Printer>,
        context: &RunContext,
    ) -> Fallible<CellValue> {
        let schema = plan.schema().clone();
        let printed = self.run_into(plan, choice, &mut *printer.borrow_mut(), context)?;
        printer.borrow_mut().finish(&schema)?;
        Ok(CellValue::Printed(printed))
    }

    /// The table of a plan, or the tables of its `tee`.
    fn table(&mut self, plan: Plan, choice: Choice, context: &RunContext) -> Fallible<CellValue> {
        match plan.steps.last().map(|step| step.op.clone()) {
            Some(BoundOp::Tee(branches)) => Ok(CellValue::Tables(self.run_branches(plan, branches, choice, context)?)),
            // A drawn table has its number of rows below it.
            _ if plan.is_endless() && !plan.is_final() && self.draws() => {
                let note = format!("the rows have no end; these are the first {MOST_ROWS}: `| take n` shows more");
                context.read_notes.add_note(note);
                let (op, schema) = (Op::Slice { offset: 0, length: Some(MOST_ROWS as u64) }, plan.schema().clone());
                let span = plan.steps[0].span;
                let steps = [plan.steps, vec![Step { op: op.into(), schema, span }]].concat();
                self.table(Plan { steps, ..plan }, choice, context)
            }
            _ => match self.printer.take() {
                Some(printer) if !plan.is_final() => self.print(plan, choice, &printer, context),
                _ => Ok(CellValue::Table(self.run(plan, choice, context)?)),
            },
        }
    }

    /// Whether the result of the cell is drawn, not written row by row.
    fn draws(&self) -> bool {
        self.printer.as_ref().is_none_or(|printer| printer.borrow().draws())
    }

    fn give(&mut self, name: &Word, binding: Binding) {
        if matches!(name.text.as_str(), "exit" | "quit") {
            self.warn(name.span, format!("`{}` now shows this value: Ctrl-D leaves the shell", name.text));
        }
        self.names.insert(name.text.clone(), binding);
    }

    /// What a name stands for.
    pub fn lookup(&self, name: &str) -> Option<Binding> {
        if let Some(digits) = name.strip_prefix('_')
            && digits.chars().all(|c| c.is_ascii_digit())
        {
            return self.cell_of(digits)?.outcome.binding();
        }
        self.names.get(name).cloned()
    }

    /// The latest result that has fields or tables.
    pub fn latest_result(&self) -> Option<Binding> {
        let mut bindings = self.entered.iter().rev().filter_map(|entered| entered.outcome.binding());
        bindings.find(|binding| matches!(binding, Binding::Result { .. }))
    }

    /// The latest result that has a field or a table of this name.
    pub fn latest_with(&self, field: &str) -> Option<Binding> {
        let has = |binding: &Binding| match binding {
            Binding::Result { fields, tables, table: _ } => {
                fields.iter().any(|known| known.name == field) || tables.iter().any(|(name, _)| name == field)
            }
            Binding::Value(..) | Binding::Table(_) => false,
        };
        self.entered.iter().rev().filter_map(|entered| entered.outcome.binding()).find(has)
    }

    /// Cell `digits`; without digits the last cell that gave anything.
    fn cell_of(&self, digits: &str) -> Option<&Entered> {
        if digits.is_empty() {
            return self.entered.iter().rev().find(|entered| !matches!(entered.outcome, Outcome::Nothing));
        }
        let number: usize = digits.parse().ok()?;
        self.entered.get(number.checked_sub(1)?)
    }

    /// Why the table of `_3` is not there any more, if it was dropped.
    pub fn dropped(&self, name: &str, span: Span) -> Option<Box<Diagnostic>> {
        let cell = self.cell_of(name.strip_prefix('_')?)?;
        let Outcome::Dropped(fields) = &cell.outcome else { return None };
        let (held, most) = (bytes_text(cell.bytes as f64), bytes_text(kept::MOST_BYTES as f64));
        let message =
            format!("the result `{name}` was dropped: it takes {held}, and results are kept up to {most} in total");
        let figures: Vec<String> = fields.iter().map(|field| format!("{name}.{}", field.name)).collect();
        let hint = "`let name = … | persist` keeps a table".to_string();
        Some(Diagnostic::at(Kind::Name, span, message).hint(match &figures[..] {
            [] => hint,
            figures => format!("{hint}; {} are still available", figures.join(", ")),
        }))
    }

    /// Gives a table a name, as `let` does.
    pub fn give_table(&mut self, name: &str, table: Arc<Table>) {
        self.names.insert(name.to_string(), Binding::Table(Arc::new(kept_plan(table, Span::default()))));
    }

    /// All names with what they stand for, in order.
    pub fn names(&self) -> impl Iterator<Item = (&String, &Binding)> {
        self.names.iter()
    }

    /// Forgets a name or a function; false where there is none.
    pub fn forget(&mut self, name: &str) -> bool {
        if self.names.remove(name).is_some() {
            return true;
        }
        let mut kept = Vec::new();
        let mut here = self.functions.clone();
        let mut found = false;
        while let Some(definition) = here {
            if definition.function.name.text == name {
                found = true;
            } else {
                kept.push((definition.function.clone(), definition.elsewhere.clone()));
            }
            here = definition.before.clone();
        }
        if found {
            let chain = |before, (function, elsewhere)| Some(Arc::new(Definition { function, elsewhere, before }));
            self.functions = kept.into_iter().rev().fold(None, chain);
        }
        found
    }

    /// Forgets the cells so far, not what they named: the next one is the first.
    pub fn forget_cells(&mut self) {
        self.entered.clear();
        self.measured.clear();
    }

    /// Forgets this cell and those behind it, not what they named: the next one has its number.
    pub fn forget_cells_from(&mut self, number: usize) {
        self.entered.truncate(number.saturating_sub(1));
        self.measured.retain(|cell, _| *cell < number);
    }

    /// Forgets all names, functions, results and kept tables.
    pub fn reset(&mut self) {
        self.names.clear();
        self.functions = None;
        self.entered.iter_mut().for_each(Entered::forget_result);
        self.kept.get_mut().clear();
        self.measured.clear();
    }

    /// The table of a plan that ends in a `persist` and was computed.
    pub fn kept_table(&self, plan: &Plan) -> Option<Rc<Persisted>> {
        match plan.steps.last()?.op {
            BoundOp::Persist(id, _) => self.kept.borrow().get(&id).cloned(),
            _ => None,
        }
    }

    /// The newest of the person's functions.
    pub fn newest_function(&self) -> Option<Arc<Definition>> {
        self.functions.clone()
    }
}

/// What a run may have of the machine's memory: nine tenths of what is free now, and what the process has already.
fn free_memory() -> u64 {
    let kib = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?.trim().to_string();
        line.trim_end_matches(" kB").parse::<u64>().ok()
    };
    let number = |path: &str| std::fs::read_to_string(path).ok()?.split_whitespace().next()?.parse::<u64>().ok();
    let available = std::fs::read_to_string("/proc/meminfo").ok().and_then(kib).map(|kib| kib * 1024);
    // What a container may have, and what this process may map.
    let group = |file: &str| number(&format!("/sys/fs/cgroup/{file}"));
    let in_group = group("memory.max").zip(group("memory.current")).map(|(most, used)| most.saturating_sub(used));
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the system fills the structure.
    let is_known = unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) } == 0;
    let mapped = || number("/proc/self/statm").unwrap_or(0) * 4096;
    let in_process =
        (is_known && limit.rlim_cur != libc::RLIM_INFINITY).then(|| limit.rlim_cur.saturating_sub(mapped()));
    // Where the system does not tell, there is no limit. A tenth stays for what is not counted.
    let free = [available, in_group, in_process].into_iter().flatten().min();
    free.map_or(u64::MAX, |free| free / 10 * 9 + measure::live())
}

/// A plan that starts from a table that is there.
pub fn kept_plan(table: Arc<Table>, span: Span) -> Plan {
    let schema: Schema = table.schema().clone();
    let op = BoundOp::Source(Source::Kept(Kept::new(table)));
    Plan::of(vec![Step { op, schema, span }])
}

/// An option of `on`.
fn set_limit(choice: &mut Choice, word: &Word, value: &lang::Expr) -> Fallible<()> {
    let known = choice.engine.limits();
    let Some(limit) = known.iter().find(|limit| limit.name == word.text) else {
        let name = choice.engine.name();
        let names: Vec<&str> = known.iter().map(|limit| limit.name).collect();
        let message = match &names[..] {
            [] => format!("the engine `{name}` has no option `{}`", word.text),
            _ => format!("the engine `{name}` has no option `{}`; options are {}", word.text, listed(&names)),
        };
        let error = Diagnostic::at(Kind::Name, word.span, message).near(&word.text, names);
        return Err(match (&error.hint, word.text.as_str()) {
            (None, option @ ("split" | "job")) if name == engines::MAPREDUCE.name() => {
                error.hint(format!("%mapreduce --{option} has it: it shows or keeps more than the result"))
            }
            _ => error,
        });
    };
    let given = match &value.node {
        lang::Node::Int(number) => u64::try_from(*number).ok().map(LimitValue::Int),
        lang::Node::Float(number) => Some(LimitValue::Float(*number)),
        lang::Node::Name(word) => Some(LimitValue::Word(word)),
        _ => None,
    };
    if given.is_some_and(|given| (limit.set)(&mut choice.limits, given)) {
        return Ok(());
    }
    Err(Diagnostic::at(Kind::Type, value.span, format!("`{}` must be {}", limit.name, limit.values)))
}
