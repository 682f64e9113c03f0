//! The compiler's thread: it owns evcxr's context, which turns texts into loaded libraries and knows items and
//! variables.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use evcxr::{CommandContext, CompilationError, Error, EvalContext, EvalContextOutputs};

use super::broker::{Broker, CompileError, Event, Known, Ticket};
use super::prepared;
use super::runner::{FOLDER, SHELL};
use super::text::Text;
use super::writing::{kept_at, taken_at};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};

/// What cells are linked with; what generated code is written over stands behind it.
const CELL: &str = include_str!("cell.rs");
const CELL_NAME: &str = "timelab-cell";
const CELL_MANIFEST: &str = "[package]\nname = \"timelab-cell\"\nversion = \"1.0.0\"\nedition = \"2024\"\n";

/// Before a text whose stacks and lines are to be seen in samples. Only these flags change, so that types stay the
/// same.
pub const FOR_SAMPLES: &str = ":build_env RUSTFLAGS=-Cprefer-dynamic -Cforce-frame-pointers=yes -Cdebuginfo=1 \
                               -Cstrip=none\n";
/// The flags of all other texts, which are those that the compiler's library sets.
const AS_EVER: &str = ":build_env RUSTFLAGS=-Cprefer-dynamic";

/// What is asked for.
pub enum Request {
    Compiler(Question),
    /// To forget all items and variables, and to begin anew where there is no compiler.
    Reset(Sender<Fallible<()>>),
}

/// What the compiler is asked.
pub enum Question {
    /// To compile a text, which is then loaded for this ticket.
    Compile { text: Text, ticket: Ticket },
    /// To add a package to what cells may use.
    Depend { name: String, spec: String, done: Sender<Fallible<()>> },
    /// What may stand at a byte of a text.
    Complete { text: String, at: usize, done: Sender<Vec<(String, &'static str)>> },
}

/// Starts the compiler and answers requests until nobody can ask any more.
pub fn serve(broker: &Arc<Broker>, program: &Path, requests: &Receiver<Request>) {
    let mut started = start(broker, program);
    // Whether the next one had to wait for that.
    let mut news = true;
    for request in requests {
        match (request, &mut started) {
            (Request::Compiler(question), Ok(context)) => answer(broker, context, question, std::mem::take(&mut news)),
            (Request::Compiler(question), Err(trouble)) => refuse(question, trouble),
            (Request::Reset(done), before) => {
                if !before.as_mut().is_ok_and(|context| cleared(broker, context).is_ok()) {
                    // What it needs on the disk or its child is gone, or it could not start. The old child goes first.
                    drop(std::mem::replace(&mut started, Err(super::pending::gone())));
                    started = start(broker, program);
                }
                broker.take_lost();
                *broker.known() = Known::default();
                let _ = done.send(started.as_ref().map(|context| note(context, broker)).map_err(Clone::clone));
            }
        }
    }
}

fn answer(broker: &Arc<Broker>, context: &mut CommandContext, question: Question, news: bool) {
    if broker.take_lost() {
        // The first text after the child is gone has evcxr start a new one.
        let _ = quietly(|| context.execute("();"));
        let _ = install(broker, context);
    }
    match question {
        Question::Compile { ticket, .. } if ticket.is_cancelled() => {}
        Question::Compile { text, ticket } => {
            ticket.tell(Event::Begins(news));
            // A text that was written before a loss takes variables that are gone.
            let result = match ticket.losses == broker.losses() {
                true => compile(broker, context, &text, &ticket),
                false => Err(CompileError::lost()),
            };
            let has_other_flags = text.as_str().starts_with(FOR_SAMPLES) && result.is_ok();
            note(context, broker);
            ticket.tell(Event::Compiled(result));
            if has_other_flags {
                broker.expect_ours();
                let _ = quietly(|| context.execute(AS_EVER));
            }
        }
        Question::Depend { name, spec, done } => {
            broker.expect_ours();
            let result = quietly(|| context.execute(&format!(":dep {name} = {spec}")));
            if result.is_ok() {
                broker.known().packages.insert(name.clone(), spec);
            }
            let _ = done.send(result.map(drop).map_err(|error| depend_trouble(&name, error)));
        }
        Question::Complete { text, at, done } => {
            let found = crate::panics::caught(|| context.completions(&text, at));
            let found = found.ok().and_then(Result::ok).map(|found| found.completions).unwrap_or_default();
            let _ = done.send(found.into_iter().map(|one| (one.code, one.kind)).collect());
        }
    }
}

fn refuse(question: Question, trouble: &Diagnostic) {
    let trouble = Box::new(trouble.clone());
    match question {
        Question::Compile { ticket, .. } => ticket.tell(Event::Compiled(Err(trouble.into()))),
        Question::Depend { done, .. } => _ = done.send(Err(trouble)),
        Question::Complete { done, .. } => _ = done.send(Vec::new()),
    }
}

/// Makes the context and the crate that cells are linked with.
fn start(broker: &Arc<Broker>, program: &Path) -> Fallible<CommandContext> {
    let library = super::toolchain::library_folder()?;
    let system = |error: String| Diagnostic::new(Kind::System, format!("Rust cells cannot start: {error}"));
    if !prepared::may_start(program) {
        return Err(system("this program was not prepared for them".to_string()));
    }
    let folder = broker.open().map_err(|error| system(error.to_string()))?;
    let cell = folder.join("cell");
    std::fs::create_dir_all(cell.join("src"))
        .and_then(|()| std::fs::write(cell.join("Cargo.toml"), CELL_MANIFEST))
        .and_then(|()| std::fs::write(cell.join("src/lib.rs"), format!("{CELL}\n{}", crate::native::prelude())))
        .map_err(|error| system(error.to_string()))?;
    // rust-analyzer would install the sources of the standard library where they are not: it gets an empty folder
    // instead.
    if !super::toolchain::has_sources() {
        std::fs::create_dir_all(prepared::no_sources().join("core")).map_err(|error| system(error.to_string()))?;
    }
    // evcxr makes its own folder where temporary ones are made.
    let _ = tempfile::env::override_temp_dir(&folder);
    let mut command = Command::new(program);
    command.env(FOLDER, &folder).env(SHELL, std::process::id().to_string()).env("LD_LIBRARY_PATH", library);
    broker.expect_ours();
    let made = quietly(|| EvalContext::with_subprocess_command(command));
    let (mut context, outputs) = made.map_err(|error| system(error.to_string()))?;
    forward(outputs, broker);
    let mut state = context.state();
    // In one unit nothing is called that could be inlined; to split so little code gains no time.
    let profile =
        [("OPT_LEVEL", "3"), ("CODEGEN_UNITS", "1"), ("OVERFLOW_CHECKS", "false"), ("DEBUG_ASSERTIONS", "false")];
    for (key, value) in profile {
        state.set_build_env(&format!("CARGO_PROFILE_DEV_{key}"), value);
    }
    state.set_preserve_vars_on_panic(false);
    broker.expect_ours();
    let ready =
        state.add_dep(CELL_NAME, &cell_spec(broker)).and_then(|()| context.eval_with_state(INSTALL, state).map(drop));
    ready.map_err(|error| system(error.to_string()))?;
    Ok(CommandContext::with_eval_context(context))
}

/// Forgets all items and variables.
fn cleared(broker: &Arc<Broker>, context: &mut CommandContext) -> Result<(), Error> {
    quietly(|| context.execute(":clear"))?;
    broker.expect_ours();
    quietly(|| context.execute(&format!(":dep {CELL_NAME} = {}", cell_spec(broker))))?;
    install(broker, context)
}

/// Where the crate is that cells are linked with.
fn cell_spec(broker: &Broker) -> String {
    let path = broker.folder().map(|folder| folder.join("cell").display().to_string()).unwrap_or_default();
    format!("{{ path = {} }}", serde_json::Value::String(path))
}

const INSTALL: &str = "timelab_cell::install();";

/// Has a new child take over what panics tell.
fn install(broker: &Arc<Broker>, context: &mut CommandContext) -> Result<(), Error> {
    broker.expect_ours();
    quietly(|| context.execute(INSTALL)).map(drop)
}

/// Passes on what cells print.
fn forward(outputs: EvalContextOutputs, broker: &Arc<Broker>) {
    let EvalContextOutputs { stdout, stderr } = outputs;
    let (for_out, for_err) = (broker.clone(), broker.clone());
    std::thread::spawn(move || for_out.printers.out.print_lines(stdout.iter()));
    std::thread::spawn(move || for_err.printers.err.print_lines(stderr.iter()));
}

/// Compiles a text, which the runner then loads for this ticket.
fn compile(
    broker: &Arc<Broker>,
    context: &mut CommandContext,
    text: &Text,
    ticket: &Ticket,
) -> Result<(), CompileError> {
    broker.expect(ticket.clone());
    let supervisor = broker.came();
    match quietly(|| context.execute(text.as_str())) {
        Ok(_) => Ok(()),
        Err(Error::CompilationErrors(errors)) => {
            let (keeps, takes) = (keeps(&errors, text), takes(&errors, text));
            Err(CompileError { error: first_error(&errors, text, broker), keeps, takes, lost: false })
        }
        Err(Error::SubprocessTerminated(_)) if ticket.was_loaded() => Err(super::pending::killed().into()),
        Err(Error::SubprocessTerminated(_)) => {
            // It may have been gone before, and nobody had noticed yet.
            broker.note_loss(supervisor);
            Err(CompileError::lost())
        }
        // The runner made evcxr take the cell back: why, it has told the shell.
        Err(_) if ticket.was_loaded() => Ok(()),
        Err(error) => Err(Diagnostic::new(Kind::Type, error.to_string()).into()),
    }
}

/// The variable that cannot be kept, where that is what the first error is about.
fn keeps(errors: &[CompilationError], text: &Text) -> Option<String> {
    let error = errors.iter().find(|error| error.level() == "error")?;
    let spans = error.spanned_messages().iter().filter_map(|message| message.span);
    let mut names = spans.filter_map(|span| kept_at(text, text.byte(span.start_line, span.start_column)));
    names.next()
}

/// The variable of an earlier cell whose type cannot be written as it is, where errors are about that.
fn takes(errors: &[CompilationError], text: &Text) -> Option<String> {
    // A module that is private, or a path or type that is not there; any other error at that place is the cell's own.
    const UNWRITABLE: [&str; 4] = ["E0603", "E0433", "E0412", "E0425"];
    let unwritable = |error: &CompilationError| error.code().is_some_and(|code| UNWRITABLE.contains(&code));
    let errors = errors.iter().filter(|error| error.level() == "error" && unwritable(error));
    let spans = errors.flat_map(|error| error.spanned_messages().iter().filter_map(|message| message.span));
    let mut names = spans.filter_map(|span| taken_at(text, text.byte(span.start_line, span.start_column)));
    names.next()
}

/// A panic of the compiler's library is an error.
fn quietly<T>(run: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    crate::panics::caught(run).unwrap_or_else(|panic| Err(Error::Message(panic)))
}

fn depend_trouble(name: &str, error: Error) -> Box<Diagnostic> {
    let message = match error {
        Error::CompilationErrors(errors) => errors.iter().map(CompilationError::message).collect::<Vec<_>>().join("\n"),
        other => other.to_string(),
    };
    // What cargo does before is no news.
    let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let first = lines.iter().position(|line| line.starts_with("error")).unwrap_or(0);
    let said = lines[first..].join("; ");
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    Diagnostic::new(Kind::Name, format!("cannot use the package `{name}`: {said}"))
}

/// The first of the compiler's errors, at its place in the cell.
fn first_error(errors: &[CompilationError], text: &Text, broker: &Broker) -> Box<Diagnostic> {
    let real = |error: &&CompilationError| error.level() == "error";
    let Some(error) = errors.iter().find(real).or(errors.first()) else {
        return Diagnostic::new(Kind::Type, "the compiler rejects this without a message");
    };
    // Each place with what is said about it, the primary one first. Where that is ours, one in the cell tells more.
    let messages = error.primary_spanned_message().into_iter().chain(error.spanned_messages());
    let places: Vec<(Option<Span>, String)> = messages
        .map(|message| {
            let place = message.span.and_then(|span| {
                let (start, end) =
                    (text.byte(span.start_line, span.start_column), text.byte(span.end_line, span.end_column));
                text.span(start, end)
            });
            (place, message.label.clone())
        })
        .collect();
    let inside = places.iter().find(|(place, _)| place.is_some()).or(places.first());
    let (place, label) = inside.cloned().unwrap_or_default();
    if error.message().starts_with("attributes on expressions") {
        let mut diagnostic = Diagnostic::new(Kind::Syntax, "an attribute must be followed by an item");
        diagnostic.span = place;
        return diagnostic.hint("put the struct, enum or function into the same cell");
    }
    let mut message = error.message();
    let said = label.trim_start_matches("error: ").trim_start_matches("not found ");
    if !said.is_empty() && !message.contains(said) {
        message = format!("{message}: {label}");
    }
    if let Some(code) = error.code() {
        message = format!("{message} [{code}]");
    }
    let returns = message.contains("Result<(), Box<dyn Error>>");
    let mut diagnostic = Diagnostic::new(Kind::Type, message);
    diagnostic.span = place;
    let help = |help: &String| match help.split_once("cargo add ").and_then(|(_, rest)| rest.split_once('`')) {
        Some((package, _)) => format!("%rust dep {package} lets cells use a package of that name"),
        None => help.split_whitespace().collect::<Vec<_>>().join(" "),
    };
    let mut hints: Vec<String> = error.help().iter().map(help).collect();
    if error.code() == Some("E0525") || error.code() == Some("E0507") {
        hints.insert(0, "a Rust expression may run many times: borrow or clone the values that it takes".to_string());
    }
    if returns {
        hints.insert(0, "the value of a cell is its last expression; `return` cannot be used".to_string());
    }
    if error.code() == Some("E0425")
        && let Some(name) = error.message().split('`').nth(1)
        && let Some(why) = broker.known().gone.get(name)
    {
        hints.insert(0, format!("`{name}` {why}"));
    }
    let others = errors.iter().filter(real).count().saturating_sub(1);
    if others > 0 {
        hints.push(format!("{others} more errors of the compiler"));
    }
    if hints.is_empty() { diagnostic } else { diagnostic.hint(hints.join("; ")) }
}

/// Writes down which items there are.
fn note(context: &CommandContext, broker: &Broker) {
    let mut known = broker.known();
    known.items = context.defined_item_names().map(str::to_string).collect();
    known.items.sort();
}
