mod show;
mod split;

use std::time::{Duration, Instant};

use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::engines::mapreduce::{MOST_CHAOS, MOST_TASKS, MOST_TRIES};
use crate::engines::{self, Choice, LEAST_MEMORY, MOST_WORKERS};
use crate::interleave::barrier::cores;
use crate::lang::{
    self, Argument, Cell, MagicSyntax, Node, Pipeline, SourceNode, Statement, Takes, Word, whole_number,
};
use crate::measure;
use crate::plan::{Binding, Plan};
use crate::report::{Block, Field, Figures, Note, Report, Unit};
use crate::run_context::RunContext;
use crate::schedule::{Attempt, Bad, BadRow, JobFolder, JobLog, JobOptions, KeyRecord, StepKind, StepRecord, TRIES};
use crate::session::{Bound, JobName, RunResult, Session};

use super::compare::Grid;
use super::timing::asked_count;
use super::{Answer, Magic, Offers, counters, figures_plan, passed, run_notes, status_line, table_block, table_result};

pub static MAPREDUCE: Magic = Magic {
    syntax: MagicSyntax {
        name: "mapreduce",
        usage: "%mapreduce [explain|show] [--workers N|auto] [--on threads|workers] [--tasks N] [--partitions N] \
                [--combine on|off] [--merge tree|flat] [--via memory|disk] [--memory SIZE] [--retries N] \
                [--bad fail|skip|keep] [--split hot] [--chaos P] [--job NAME] PIPELINE, or %mapreduce resume NAME",
        takes: Takes::Statement,
        options: &[
            ("explain", false),
            ("show", false),
            ("resume", true),
            ("--workers", true),
            ("--on", true),
            ("--tasks", true),
            ("--partitions", true),
            ("--combine", true),
            ("--merge", true),
            ("--via", true),
            ("--memory", true),
            ("--retries", true),
            ("--bad", true),
            ("--split", true),
            ("--chaos", true),
            ("--job", true),
        ],
    },
    about: "runs a pipeline as a map/reduce job, and shows each step: records, bytes, time, skew\n\n\
            Steps\n  \
            load     opens the source, and computes the tables that are joined\n  \
            slice    cuts the input into parts, a map task for each\n  \
            map      does the steps that need one row at a time\n  \
            combine  makes one pair of all pairs of a key in a task, before anything is handed over; not where the\n  \
            \x20        groups are lists of all values, as for a reduce over the names without combine\n  \
            shuffle  divides the pairs of each task among the partitions, by the hash of the key\n  \
            merge    makes one of what adjacent tasks have of a partition, where more than 16 have something\n  \
            reduce   merges what all tasks have of each partition, a task for each, and does the steps that take\n  \
            \x20        its groups one by one\n  \
            output   puts the rows together\n  \
            A pipeline with several aggregates, sorts or the like has several rounds.\n\n\
            Options\n  \
            --workers N       tasks at a time: those of %set workers unless specified. auto starts one more while\n  \
            \x20                 tasks wait, up to the cores\n  \
            --on workers      tasks run in worker processes; threads of the shell unless specified\n  \
            --tasks N         map tasks: one for each 8 MiB unless specified, two at least\n  \
            --partitions N    reduce tasks: as many as workers unless specified, 8 at least\n  \
            --combine off     hands all pairs over: shows what the combiner saves\n  \
            --merge flat      each reduce task merges all that it gets; tree, the default, has merge tasks\n  \
            --via disk        what tasks hand over goes through files, as in the first such systems\n  \
            --retries N       how often a task is tried whose worker process dies, or whose own code fails: 3\n  \
            --bad skip        leaves out rows with an error in them; keep also lists them in _.bad: file, line,\n  \
            \x20                 reason, text. Not in compressed files, parquet, arrow and arrays of json. A group\n  \
            \x20                 that is an error in a step behind it is a row without file and line\n  \
            --split hot       runs without and with a first phase, in which several tasks reduce what goes to a\n  \
            \x20                 partition with a hot key; compares the tables, and shows both times\n  \
            --chaos P         the chance that the worker of a task is killed (on threads: that its attempt is\n  \
            \x20                 lost), from 0 to 0.9; it is done again, and the result is the same\n  \
            --memory SIZE     the most heap of the job: 64MB. A map task that holds too much hands over what it\n  \
            \x20                 has; all that is handed over goes through files, into 64 partitions by default. A\n  \
            \x20                 reduce task writes groups that do not fit. The values of one key must fit into\n  \
            \x20                 1/(4 × workers) of it, and the rows of a round into all of it: into half of both\n  \
            \x20                 with --on workers, which needs at least 4 MB for each process\n  \
            --job NAME        keeps what finished tasks gave in a folder, until the job is done. After a crash,\n  \
            \x20                 resume NAME goes on: the pipeline and its input must be the same\n\n\
            In any cell\n  \
            | on mapreduce workers 2 combine off via disk runs a job without the tables. It takes the same options\n  \
            but split, job and bad keep, which show or keep more than the result\n\n\
            explain and show\n  \
            explain says which part of the pipeline becomes which step. show draws the records of a small input as\n  \
            they move through the steps; a name called show goes after --\n\n\
            Columns\n  \
            time              that of map, combine and shuffle, parts of the same tasks, is divided by what each\n  \
            \x20                 took, which is measured at each batch; so is cpu in _.stages\n  \
            skew              the largest task, or partition, by the median one, in records; ! marks 2 or more\n\n\
            Tables for later cells\n  \
            _ is the result; _.stages has all columns of the steps, _.keys the keys with the most records, _.tasks\n  \
            each attempt at a task, _.bad the rows that --bad keep has left out.\n\n\
            Hot keys\n  \
            A key with more than twice the records that a partition has on average, and 1,000 at least, makes its\n  \
            reduce task the last one to end. More partitions do not help: all records of a key go to one. The\n  \
            combiner does.",
    examples: &[
        "%mapreduce read \"samples/kjv.txt\" | words | count by lower(word) | top 3",
        "%mapreduce --combine off --tasks 4 read \"samples/kjv.txt\" | words | count by lower(word) | top 3",
        "%mapreduce --chaos 0.5 1..100k | count by last = it % 10 | sort by last | take 3",
        "%mapreduce explain read \"samples/kjv.txt\" | words | count by lower(word) | top 3",
    ],
    offers: Offers::Nothing,
    privileges: lang::Privileges::none,
    run,
};

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let start = Instant::now();
    if let Some(word) = magic.option("resume").flatten() {
        return resumed(session, magic, word, context);
    }
    let pipeline = pipeline(magic)?;
    let options = options(session, magic)?;
    let plan = bound(session, pipeline).map_err(|error| match verb_alone(pipeline) {
        Some(verb) if error.kind == Kind::Name => needs_pipeline(&format!("%mapreduce {verb}"), pipeline.span),
        _ => error,
    })?;
    if magic.option("explain").is_some() {
        return explained(session, plan, context);
    }
    if magic.option("show").is_some() {
        return show::shown(session, plan, context);
    }
    let name = magic.option("--job").flatten().map(|word| JobName {
        name: word.text.clone(),
        pipeline: session.written(&plan).unwrap_or_default().to_string(),
        span: word.span,
    });
    if let (true, Some(name)) = (options.split_hot, &name) {
        let message = "`--split hot` runs the pipeline several times, and `--job` keeps one run";
        return Err(Diagnostic::at(Kind::Syntax, name.span, message).hint("remove one of them"));
    }
    let workers = match options.grows {
        true => cores().len().max(2),
        false => at_most(magic, "--workers", MOST_WORKERS)?.unwrap_or(context.workers),
    };
    let memory = options.memory.map_or(context.memory, |bytes| bytes.saturating_add(measure::live()));
    let context = &RunContext { workers, memory: memory.min(context.memory), ..context.clone() };
    if options.split_hot {
        return split::compared(session, plan, &options, start, context);
    }
    let before = session.written(&plan).and_then(|text| session.wall_of(text));
    let (ran, log) = session.run_job(plan, &options, name.as_ref(), context)?;
    Ok(finished(answer(&ran, &log, &options, before, Vec::new()), &ran, start))
}

/// The answer with its status line.
fn finished(mut answer: Answer, ran: &RunResult, start: Instant) -> Answer {
    answer.report.status_line = status_line(ran, ran.table.height() as u64);
    answer.report.status_line.push(passed(start.elapsed()));
    answer
}

fn bound(session: &mut Session, pipeline: &Pipeline) -> Fallible<Plan> {
    match session.bind(pipeline)? {
        Bound::Table(plan) if !plan.is_final() => Ok(plan),
        Bound::Table(_) | Bound::Value(..) => {
            let message = "`%mapreduce` needs a pipeline that returns one table";
            Err(Diagnostic::at(Kind::Type, pipeline.span, message)
                .hint("leave out what follows the last stage, or use: | on mapreduce"))
        }
    }
}

/// Goes on with a job that an earlier run has not finished.
fn resumed(session: &mut Session, magic: &lang::Magic, word: &Word, context: &RunContext) -> Fallible<Answer> {
    let start = Instant::now();
    if magic.options.len() > 1 || magic.subject != Argument::Nothing {
        let message = "`%mapreduce resume` takes the name of a job alone";
        return Err(Diagnostic::at(Kind::Syntax, magic.span, message)
            .hint(format!("%mapreduce resume {}: its pipeline and options are kept with it", word.text)));
    }
    let names = JobFolder::names();
    let job = match names.contains(&word.text) {
        true => JobFolder::open(&word.text)?.job()?,
        false => None,
    };
    let Some(job) = job else {
        let error = Diagnostic::at(Kind::Name, word.span, format!("there is no unfinished job `{}`", word.text));
        let error = error.near(&word.text, names.iter().map(String::as_str));
        return Err(match (&error.hint, &names[..]) {
            (None, []) => error.hint("no job is kept; --job NAME keeps one until it is done"),
            (None, names) => error.hint(format!("jobs that are kept: {}", names.join(", "))),
            _ => error,
        });
    };
    let cell = session.remember(&job.pipeline);
    let pipeline = match lang::parse(cell, &job.pipeline, &super::Tables)? {
        Cell::Statements(mut statements) if statements.len() == 1 => match statements.remove(0) {
            Statement::Pipeline(pipeline) => Some(pipeline),
            _ => None,
        },
        _ => None,
    };
    let pipeline = match pipeline {
        Some(pipeline) => pipeline,
        None => return Err(Diagnostic::at(Kind::File, word.span, "the kept job has no pipeline")),
    };
    let plan = bound(session, &pipeline)?;
    let name = JobName { name: word.text.clone(), pipeline: job.pipeline.clone(), span: word.span };
    let memory = job.options.memory.map_or(context.memory, |bytes| bytes.saturating_add(measure::live()));
    let context = &RunContext { memory: memory.min(context.memory), ..context.clone() };
    let (ran, log) = session.run_job(plan, &job.options, Some(&name), context)?;
    Ok(finished(answer(&ran, &log, &job.options, None, Vec::new()), &ran, start))
}

fn pipeline(magic: &lang::Magic) -> Fallible<&Pipeline> {
    let statement = if let Argument::Statement(statement) = &magic.subject { Some(&**statement) } else { None };
    let Some(Statement::Pipeline(pipeline)) = statement else {
        return Err(needs_pipeline("%mapreduce", magic.span));
    };
    match &pipeline.on {
        None => Ok(pipeline),
        Some(on) => Err(Diagnostic::at(Kind::Syntax, on.engine.span, "`%mapreduce` chooses the engine itself")
            .hint("leave out `| on …`; the options stand before the pipeline")),
    }
}

fn needs_pipeline(what: &str, span: Span) -> Box<Diagnostic> {
    Diagnostic::at(Kind::Syntax, span, format!("`{what}` needs a pipeline"))
        .hint(format!("for example: {what} read \"samples/kjv.txt\" | words | count by word"))
}

/// `show` or the like, behind which nothing follows: then it may be a name.
fn verb_alone(pipeline: &Pipeline) -> Option<&str> {
    let SourceNode::Expr(lang::Expr { node: Node::Name(name), .. }) = &pipeline.source.node else { return None };
    Some(&**name).filter(|name| pipeline.stages.is_empty() && ["explain", "show"].contains(name))
}

fn options(session: &Session, magic: &lang::Magic) -> Fallible<JobOptions> {
    Ok(JobOptions {
        tasks: at_most(magic, "--tasks", MOST_TASKS)?,
        partitions: at_most(magic, "--partitions", MOST_WORKERS)?,
        combine: one_of(magic, "--combine", ["on", "off"])?,
        on_disk: !one_of(magic, "--via", ["memory", "disk"])?,
        memory: asked_memory(magic)?,
        on_workers: !one_of(magic, "--on", ["threads", "workers"])?,
        grows: magic.option("--workers").flatten().is_some_and(|word| word.text == "auto"),
        tries: at_most(magic, "--retries", MOST_TRIES)?.unwrap_or(TRIES),
        tree: one_of(magic, "--merge", ["tree", "flat"])?,
        split_hot: match magic.option("--split").flatten() {
            None => false,
            Some(word) if word.text == "hot" => true,
            Some(word) => {
                let message = format!("`--split` must be hot, got `{}`", word.text);
                return Err(Diagnostic::at(Kind::Type, word.span, message).hint("--split hot"));
            }
        },
        bad: asked_bad(magic)?,
        chaos: asked_chance(magic)?,
        seed: session.settings.seed,
        counts_keys: true,
    })
}

fn explained(session: &Session, plan: Plan, context: &RunContext) -> Fallible<Answer> {
    let engine = engines::MAPREDUCE;
    let plan = session.prepared(plan, Choice::only(engine), context)?;
    match engines::objection(engine, &plan) {
        None => Ok(Answer::text(engine.explain(&plan).join("\n"))),
        Some(objection) => {
            let message = format!("the engine `{}` cannot run this: {}", engine.name(), objection.reason);
            Err(Diagnostic::at(Kind::Objection, objection.span, message).hint("| on rows runs everything"))
        }
    }
}

/// What a job gave and did; `before` is how long the default engine took, `aside` is shown after the tables of steps.
fn answer(ran: &RunResult, log: &JobLog, options: &JobOptions, before: Option<Duration>, aside: Vec<Block>) -> Answer {
    let stages = all_columns(log);
    let keys = keys(log);
    let tasks = tasks(log);
    let mut blocks = vec![table_block(ran)];
    blocks.extend(counters(ran).map(Block::Aside));
    blocks.extend(run_notes(ran));
    blocks.push(Block::Aside(shown(log)));
    if !log.keys.is_empty() {
        blocks.push(Block::Aside(keys.clone()));
    }
    blocks.extend(aside);
    blocks.push(Block::Notes(notes(log, options, before)));
    let table = |figures: &Figures| figures_plan(figures, Default::default());
    let bad = bad(log);
    let mut tables = vec![("stages", &stages), ("keys", &keys), ("tasks", &tasks)];
    tables.extend((options.bad == Bad::Keep).then_some(("bad", &bad)));
    let tables = tables.into_iter().map(|(name, figures)| (name.to_string(), table(figures))).collect();
    let skew = log.steps.iter().filter_map(StepRecord::skew).max_by(f64::total_cmp);
    let lost = log.attempts.iter().filter(|attempt| attempt.lost).count();
    let left_out: u64 = log.steps.iter().map(|step| step.bad).sum();
    let fields = vec![
        Field::measured("wall", Value::Float(log.wall.as_secs_f64()), Unit::Seconds),
        Field::measured("cpu", Value::Float(all_cpu(log).as_secs_f64()), Unit::Seconds),
        Field::counted("skew", skew.map_or(Value::Null, Value::Float), Unit::Times),
        Field::counted("lost", Value::Int(lost as i64), Unit::Count("attempts")),
        Field::counted("resumed", Value::Int(log.resumed as i64), Unit::Count("tasks")),
        Field::counted("left_out", Value::Int(left_out as i64), Unit::Count("rows")),
    ];
    let result = match table_result(ran, fields) {
        Binding::Result { table, fields, tables: counted } => {
            Binding::Result { table, fields, tables: [tables, counted].concat() }
        }
        other => other,
    };
    Answer { report: Report { blocks, ..Report::default() }, result: Some(result), ..Answer::default() }
}

fn all_cpu(log: &JobLog) -> Duration {
    log.attempts.iter().map(|attempt| attempt.cpu).sum()
}

fn count(number: Option<u64>) -> Value {
    number.map_or(Value::Null, |number| Value::Int(i64::try_from(number).unwrap_or(i64::MAX)))
}

fn times(number: Option<f64>) -> Value {
    number.map_or(Value::Null, Value::Float)
}

/// The steps as people see them: the columns that tell most.
fn shown(log: &JobLog) -> Figures {
    let mut grid = Grid::default();
    let several = log.steps.iter().any(|step| step.round > 1);
    let any = |count: &dyn Fn(&StepRecord) -> u64| log.steps.iter().any(|step| count(step) > 0);
    let (spills, lost, bad) = (any(&|step| step.spill), any(&|step| step.retries as u64), any(&|step| step.bad));
    for step in &log.steps {
        if several {
            grid.put("round", Type::Int, Unit::Plain.counted(), Value::Int(step.round as i64));
        }
        grid.put("stage", Type::Text, Unit::Plain.counted(), Value::text(step.kind.name()));
        grid.put("tasks", Type::Int, Unit::Plain.counted(), Value::Int(step.tasks as i64));
        grid.put("in", Type::Int, Unit::Count("").counted(), count(step.records_in));
        grid.put("out", Type::Int, Unit::Count("").counted(), count(step.records_out));
        grid.put("bytes", Type::Int, Unit::Bytes.counted(), count(step.bytes_out.or(step.bytes_in)));
        grid.put("time", Type::Float, Unit::Seconds.measured(), Value::Float(step.wall.as_secs_f64()));
        let skew = step.skew().map(|skew| {
            let mark = if skew >= MARKED { " !" } else { "" };
            Value::text(&format!("{skew:.1}{mark}"))
        });
        grid.put("skew", Type::Text, Unit::Plain.counted(), skew.unwrap_or(Value::Null));
        if spills {
            grid.put("spill", Type::Int, Unit::Bytes.counted(), count(Some(step.spill)));
        }
        if lost {
            grid.put("lost", Type::Int, Unit::Plain.counted(), Value::Int(step.retries as i64));
        }
        if bad {
            grid.put("bad", Type::Int, Unit::Plain.counted(), count(Some(step.bad)));
        }
    }
    grid.figures()
}

/// From this skew on a step is marked.
const MARKED: f64 = 2.0;

/// The steps with all that is known of them.
fn all_columns(log: &JobLog) -> Figures {
    let mut grid = Grid::default();
    let all: f64 = log.steps.iter().map(|step| step.wall.as_secs_f64()).sum::<f64>().max(1e-12);
    for step in &log.steps {
        let records = step.records_in.unwrap_or(0);
        let per_record = (records > 0 && !step.cpu.is_zero()).then(|| step.cpu.as_nanos() as f64 / records as f64);
        let spread = step.spread();
        let mut int = |name, unit: Unit, value| grid.put(name, Type::Int, unit.counted(), value);
        int("round", Unit::Plain, Value::Int(step.round as i64));
        grid.put("stage", Type::Text, Unit::Plain.counted(), Value::text(step.kind.name()));
        let mut int = |name, unit: Unit, value| grid.put(name, Type::Int, unit.counted(), value);
        int("tasks", Unit::Plain, Value::Int(step.tasks as i64));
        int("records_in", Unit::Plain, count(step.records_in));
        int("bytes_in", Unit::Bytes, count(step.bytes_in));
        int("records_out", Unit::Plain, count(step.records_out));
        int("bytes_out", Unit::Bytes, count(step.bytes_out));
        let mut seconds = |name, time: Duration| {
            grid.put(name, Type::Float, Unit::Seconds.measured(), Value::Float(time.as_secs_f64()))
        };
        seconds("cpu", step.cpu);
        seconds("wall", step.wall);
        grid.put("share", Type::Float, Unit::Share.measured(), Value::Float(step.wall.as_secs_f64() / all));
        grid.put("ns_per_record", Type::Float, Unit::Plain.measured(), times(per_record));
        let mut int = |name, value| grid.put(name, Type::Int, Unit::Plain.counted(), value);
        int("min", count(spread.map(|(least, ..)| least)));
        int("median", count(spread.map(|(_, median, _)| median)));
        int("max", count(spread.map(|(.., most)| most)));
        grid.put("skew", Type::Float, Unit::Times.counted(), times(step.skew()));
        grid.put("spill", Type::Int, Unit::Bytes.counted(), count(Some(step.spill)));
        grid.put("retries", Type::Int, Unit::Plain.counted(), Value::Int(step.retries as i64));
        grid.put("bad", Type::Int, Unit::Plain.counted(), count(Some(step.bad)));
    }
    grid.figures()
}

/// Rows that were left out.
fn bad(log: &JobLog) -> Figures {
    let row = |(file, line, row): &(Option<String>, Option<u64>, BadRow)| {
        let file = file.as_ref().map_or(Value::Null, |file| Value::text(file));
        vec![file, count(*line), Value::text(&row.reason), Value::text(&row.text)]
    };
    Figures::of_rows(
        &[
            ("file", Type::Text, Unit::Plain.counted()),
            ("line", Type::Int, Unit::Plain.counted()),
            ("reason", Type::Text, Unit::Plain.counted()),
            ("text", Type::Text, Unit::Plain.counted()),
        ],
        &log.bad.iter().map(row).collect::<Vec<_>>(),
    )
}

/// The keys with the most records.
fn keys(log: &JobLog) -> Figures {
    let some_hot = log.keys.iter().any(|key| key.is_hot);
    let row = |key: &KeyRecord| {
        let name = if let Value::Text(text) = &key.key { text.to_string() } else { key.key.to_string() };
        let mut row = vec![
            Value::text(&name),
            count(Some(key.records)),
            Value::Float(key.share),
            Value::Int(key.partition as i64),
        ];
        row.extend(some_hot.then_some(Value::Bool(key.is_hot)));
        row
    };
    let mut heads = vec![
        ("key", Type::Text, Unit::Plain.counted()),
        ("records", Type::Int, Unit::Count("").counted()),
        ("share", Type::Float, Unit::Share.counted()),
        ("partition", Type::Int, Unit::Plain.counted()),
    ];
    heads.extend(some_hot.then_some(("hot", Type::Bool, Unit::Plain.counted())));
    Figures::of_rows(&heads, &log.keys.iter().map(row).collect::<Vec<_>>())
}

/// The tasks on the workers over time.
pub const SAYS: &[&str] = &[
    "workers over time: m map tasks, r reduce tasks, x lost, · waiting",
    "worker {which} {tasks}",
    "and {count} more workers",
];

/// Each attempt at a task.
fn tasks(log: &JobLog) -> Figures {
    let row = |attempt: &Attempt| {
        let seconds = |time: Duration| Value::Float(time.as_secs_f64());
        vec![
            Value::Int(attempt.round as i64),
            Value::text(attempt.kind.name()),
            Value::Int(attempt.task as i64),
            Value::Int(attempt.attempt as i64),
            Value::Int(attempt.worker as i64),
            seconds(attempt.start),
            seconds(attempt.end),
            seconds(attempt.cpu),
            Value::Bool(attempt.lost),
        ]
    };
    Figures::of_rows(
        &[
            ("round", Type::Int, Unit::Plain.counted()),
            ("stage", Type::Text, Unit::Plain.counted()),
            ("task", Type::Int, Unit::Plain.counted()),
            ("attempt", Type::Int, Unit::Plain.counted()),
            ("worker", Type::Int, Unit::Plain.measured()),
            ("start", Type::Float, Unit::Seconds.measured()),
            ("end", Type::Float, Unit::Seconds.measured()),
            ("cpu", Type::Float, Unit::Seconds.measured()),
            ("lost", Type::Bool, Unit::Plain.counted()),
        ],
        &log.attempts.iter().map(row).collect::<Vec<_>>(),
    )
}

fn notes(log: &JobLog, options: &JobOptions, before: Option<Duration>) -> Vec<Note> {
    let mut notes: Vec<Note> = pictures(log).into_iter().map(|line| Note::default().found(line).optional()).collect();
    let wall = log.wall.as_secs_f64();
    let mut total =
        Note::from("total ").seconds(wall).text(" · CPU time of the tasks ").seconds(all_cpu(log).as_secs_f64());
    if let Some(bytes) = log.steps.first().and_then(|load| load.bytes_in).filter(|bytes| *bytes > 0) {
        total = total.text(" · ").measured(bytes as f64 / wall.max(1e-9), Unit::BytesPerSecond);
    }
    if let Some(before) = before.map(|before| before.as_secs_f64()) {
        let ratio = before / wall.max(1e-9);
        let words =
            if ratio >= 1.0 { "× as fast as batch, which took " } else { "× the speed of batch, which took " };
        total = total.text(" · ").measured(ratio, Unit::Times).text(words).seconds(before).text(" in an earlier cell");
    }
    notes.push(total);
    if log.resumed > 0 {
        notes.push(format!("{} tasks were done by an earlier run of the job, and not again", log.resumed).into());
    }
    let left_out: u64 = log.steps.iter().map(|step| step.bad).sum();
    if left_out > 0 {
        let listed = if options.bad == Bad::Keep { ": _.bad lists them" } else { ": --bad keep lists them" };
        let rows = if left_out == 1 { "1 row was".to_string() } else { format!("{left_out} rows were") };
        notes.push(format!("{rows} left out because of an error{listed}").into());
    }
    let lost = log.attempts.iter().filter(|attempt| attempt.lost).count();
    if options.chaos > 0.0 {
        let tasks = log.attempts.len() - lost;
        let text = match options.on_workers {
            true => format!(
                "--chaos: {lost} workers were killed, and their tasks done again; {tasks} tasks, each counted once"
            ),
            false => format!("--chaos: {lost} attempts were lost and done again; {tasks} tasks, each counted once"),
        };
        notes.push(text.into());
    }
    for key in log.keys.iter().filter(|key| key.is_hot) {
        let partitions = log.steps.iter().find(|step| step.kind == StepKind::Reduce).map_or(1, |step| step.tasks);
        let text = format!(
            "hot key {}: {:.1} % of all records, where a partition of {partitions} has {:.1} % on average; all of \
             them go to partition {}",
            key.key,
            100.0 * key.share,
            100.0 / partitions as f64,
            key.partition
        );
        notes.push(text.into());
    }
    if !log.steps.iter().any(|step| step.kind == StepKind::Reduce) {
        notes.push("no step needs a shuffle: `| on threads` and `| on workers` do the same with less".into());
    }
    notes
}

/// How many places the time of a job has in a picture.
const PLACES: usize = 60;
/// So many workers are drawn.
const DRAWN: usize = 16;

/// The tasks on the workers over time, a line for each worker.
fn pictures(log: &JobLog) -> Vec<String> {
    let workers = log.attempts.iter().map(|attempt| attempt.worker + 1).max().unwrap_or(0);
    let wall = log.wall.as_secs_f64().max(1e-9);
    let place = |time: Duration| ((time.as_secs_f64() / wall * PLACES as f64) as usize).min(PLACES - 1);
    let mut lines: Vec<Vec<char>> = vec![vec!['·'; PLACES]; workers.min(DRAWN)];
    for attempt in &log.attempts {
        let Some(line) = lines.get_mut(attempt.worker) else { continue };
        let sign = match (attempt.lost, attempt.kind) {
            (true, _) => 'x',
            (false, StepKind::Reduce) => 'r',
            (false, _) => 'm',
        };
        line[place(attempt.start)..=place(attempt.end)].fill(sign);
    }
    let mut drawn: Vec<String> = Vec::new();
    if !lines.is_empty() {
        drawn.push("workers over time: m map tasks, r reduce tasks, x lost, · waiting".to_string());
    }
    drawn.extend(lines.into_iter().enumerate().map(|(worker, line)| {
        let signs: String = line.into_iter().collect();
        format!("worker {worker:<3} {signs}")
    }));
    if workers > DRAWN {
        drawn.push(format!("and {} more workers", workers - DRAWN));
    }
    drawn
}

/// The value of an option that is a number of things, but not more than so many.
fn at_most(magic: &lang::Magic, option: &str, most: usize) -> Fallible<Option<usize>> {
    let Some(number) = asked_count(magic, option)? else { return Ok(None) };
    match usize::try_from(number).ok().filter(|number| *number <= most) {
        Some(number) => Ok(Some(number)),
        None => {
            let span = magic.option(option).flatten().map_or(magic.span, |word| word.span);
            Err(Diagnostic::at(Kind::Type, span, format!("`{option}` must be from 1 to {most}, got {number}")))
        }
    }
}

/// Whether an option that is one of two words is the first, which it is unless specified.
fn one_of(magic: &lang::Magic, option: &str, [first, second]: [&str; 2]) -> Fallible<bool> {
    let Some(word) = magic.option(option).flatten() else { return Ok(true) };
    match &word.text {
        text if text == first => Ok(true),
        text if text == second => Ok(false),
        text => {
            let message = format!("`{option}` must be {first} or {second}, got `{text}`");
            Err(Diagnostic::at(Kind::Type, word.span, message).near(text, [first, second]))
        }
    }
}

fn asked_chance(magic: &lang::Magic) -> Fallible<f64> {
    let Some(word) = magic.option("--chaos").flatten() else { return Ok(0.0) };
    word.text.parse().ok().filter(|chance| (0.0..=MOST_CHAOS).contains(chance)).ok_or_else(|| {
        let message = format!("`--chaos` must be a chance from 0 to {MOST_CHAOS}, got `{}`", word.text);
        Diagnostic::at(Kind::Type, word.span, message).hint("--chaos 0.2")
    })
}

fn asked_bad(magic: &lang::Magic) -> Fallible<Bad> {
    let Some(word) = magic.option("--bad").flatten() else { return Ok(Bad::Fail) };
    match word.text.as_str() {
        "fail" => Ok(Bad::Fail),
        "skip" => Ok(Bad::Skip),
        "keep" => Ok(Bad::Keep),
        text => {
            let message = format!("`--bad` must be fail, skip or keep, got `{text}`");
            Err(Diagnostic::at(Kind::Type, word.span, message).near(text, ["fail", "skip", "keep"]))
        }
    }
}

fn asked_memory(magic: &lang::Magic) -> Fallible<Option<u64>> {
    let Some(word) = magic.option("--memory").flatten() else { return Ok(None) };
    whole_number(&word.text).filter(|bytes| *bytes >= LEAST_MEMORY).map(Some).ok_or_else(|| {
        let message = format!("`--memory` must be at least 8MB, got `{}`", word.text);
        Diagnostic::at(Kind::Type, word.span, message).hint("--memory 64MB")
    })
}
