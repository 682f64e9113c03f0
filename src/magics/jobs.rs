use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, listed};
use crate::lang::{self, Argument, MagicSyntax, Takes, Word};
use crate::plan::Binding;
use crate::report::{Block, Figures, Report, Unit};
use crate::run_context::RunContext;
use crate::session::{Job, JobState, Session};

use super::{Answer, Magic, Offers, figures_plan};

pub static JOBS: Magic = Magic {
    syntax: MagicSyntax { name: "jobs", usage: "%jobs [stop NAME]", takes: Takes::Words, options: &[] },
    about: "lists the jobs that `let NAME = spawn …` started; `stop` ends one\n\
            \n\
            Start and wait\n  \
            let f = spawn read \"samples/kjv.txt\" | words | count by word\n  \
            The pipeline runs while you enter other cells; it may end with `| on ENGINE` or `| write …`.\n  \
            wait f, or any other use of f, waits for its table or its error. Ctrl-C ends the waiting, not the job.\n\n\
            End\n  \
            A shell or a script that ends stops its jobs and names them. So does a name that is given away.\n\n\
            Limits\n  \
            A job computes what `persist` has not kept yet by itself. It cannot run on native or call Rust functions.",
    examples: &["%jobs"],
    offers: Offers::Jobs,
    privileges: lang::Privileges::none,
    run,
};

/// How far a job is.
pub const SAYS: &[&str] = &["~<running|done|failed|stopped>", "~{number} %", "~{count} rows"];

fn run(session: &mut Session, magic: &lang::Magic, _: &RunContext) -> Fallible<Answer> {
    let words = if let Argument::Words(words) = &magic.subject { &words[..] } else { &[] };
    match words {
        [] => Ok(table(session)),
        [stop, name] if stop.text == "stop" => stop_job(session, name),
        [stop] if stop.text == "stop" => {
            Err(Diagnostic::at(Kind::Syntax, stop.span, "`%jobs stop` needs the name of a job")
                .hint("%jobs lists them"))
        }
        [word, ..] => {
            let error = Diagnostic::at(Kind::Name, word.span, format!("unexpected `{}`", word.text));
            Err(error.hint(format!("usage: {}", JOBS.syntax.usage)))
        }
    }
}

fn table(session: &Session) -> Answer {
    let jobs = session.jobs();
    if jobs.is_empty() {
        return Answer::text("no jobs: let f = spawn … starts one".to_string());
    }
    let row = |job: &Job| {
        let rows = job.rows().map_or(Value::Null, |rows| Value::Int(rows as i64));
        vec![
            Value::text(&job.name),
            Value::text(job.state().name()),
            Value::text(&job.said_progress()),
            Value::Float(job.elapsed().as_secs_f64()),
            rows,
            Value::text(job.engine),
        ]
    };
    let figures = Figures::of_rows(
        &[
            ("name", Type::Text, Unit::Plain.counted()),
            ("state", Type::Text, Unit::Plain.measured()),
            ("progress", Type::Text, Unit::Plain.measured()),
            ("elapsed", Type::Float, Unit::Seconds.measured()),
            ("rows", Type::Int, Unit::Count("").measured()),
            ("engine", Type::Text, Unit::Plain.counted()),
        ],
        &jobs.iter().map(|job| row(job)).collect::<Vec<_>>(),
    );
    let result = Binding::Table(figures_plan(&figures, Default::default()));
    let report = Report { blocks: vec![Block::Figures(figures)], ..Report::default() };
    Answer { report, result: Some(result), ..Answer::default() }
}

fn stop_job(session: &Session, name: &Word) -> Fallible<Answer> {
    let jobs = session.jobs();
    // The newest of that name: it is the one that the name means.
    let Some(job) = jobs.iter().rev().find(|job| job.name == name.text) else {
        let error = Diagnostic::at(Kind::Name, name.span, format!("there is no job `{}`", name.text));
        return Err(error.near(&name.text, jobs.iter().map(|job| job.name.as_str())));
    };
    let said = match job.state() {
        JobState::Running => {
            job.stop();
            format!("the job {} is being stopped", job.name)
        }
        state => format!("the job {} has ended already: {}", job.name, state.name()),
    };
    Ok(Answer::text(said))
}

/// Magics that measure: what runs beside them disturbs them.
const MEASURING: [&str; 11] = [
    "time",
    "timeit",
    "compare",
    "bigo",
    "prof",
    "structures",
    "latency",
    "speedup",
    "amdahl",
    "concurrency",
    "contention",
];

/// Warns where something is to be measured while jobs run.
pub fn warn_of_running(session: &mut Session, magic: &lang::Magic) {
    if !MEASURING.contains(&magic.name.text.as_str()) {
        return;
    }
    let running = session.running_jobs();
    if !running.is_empty() {
        let names: Vec<&str> = running.iter().map(String::as_str).collect();
        let (jobs, run) = if names.len() == 1 { ("the job", "runs") } else { ("the jobs", "run") };
        let message = format!(
            "{jobs} {} {run} beside this and disturbs what is measured: wait {}, or %jobs stop {1}",
            listed(&names),
            names[0]
        );
        session.warn(magic.name.span, message);
    }
}
