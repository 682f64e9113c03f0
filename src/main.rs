//! The command line: what to run, and how to write it.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};

use timelab::diagnostic::nearest;
use timelab::engines;
use timelab::escape::file_name;
use timelab::jupyter;
use timelab::measure::{self, Counting};
use timelab::notebook::Form;
use timelab::session::Settings;
use timelab::shell::{Shell, config, exported, saved, stdin_is_terminal, test};
use timelab::show::{self, Style, Theme};
use timelab::temporary;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// An interactive shell for exploring performance.
///
/// Without -c and FILE, it starts the shell on a terminal, and otherwise reads cells from standard input.
#[derive(Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  timelab\n  timelab -c '1..10 | sum'\n  timelab scripts/first-steps.txt\n  \
                  timelab --format csv -c 'read \"samples/kjv.txt\" | words | count by lower(word) | top 3'\n\n\
                  Exit status: 0; 1 when a cell or a variant failed; 2 for a bad command line; \
                  3 when `%compare` or `%same` found different results; 130 after Ctrl-C."
)]
struct Arguments {
    /// Run this cell; can be given several times
    #[arg(short = 'c', value_name = "CELL", allow_hyphen_values = true)]
    cells: Vec<String>,
    /// Run the cells of this file
    #[arg(value_name = "FILE", value_parser = script, conflicts_with = "cells", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Run FILE even if its cells contain Rust or system commands, which can do anything; otherwise such cells are
    /// shown for approval on a terminal, and refused elsewhere
    #[arg(long, requires = "file", conflicts_with = "cells")]
    trust: bool,
    /// Continue after a cell that failed
    #[arg(long)]
    keep_going: bool,
    /// Set the format of tables
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Set the engine of cells that do not choose one with `on`
    #[arg(long, value_name = "ENGINE", value_parser = PossibleValuesParser::new(engine_names()))]
    engine: Option<String>,
    /// Set when to use colours; `auto`: on a terminal, and never if NO_COLOR is set
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    color: When,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the cells of a script or a notebook; a file with the name of a command is ./test
    Run {
        #[arg(value_parser = file, value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Write a notebook with what the cells print, after each cell while that is cheap, and at the end
        #[arg(long, value_name = "OUT.md", value_hint = ValueHint::FilePath)]
        save: Option<PathBuf>,
        /// Run cells that contain Rust or system commands, which can do anything
        #[arg(long)]
        trust: bool,
        /// Continue after a cell that failed
        #[arg(long)]
        keep_going: bool,
        /// Replace OUT.md whatever it is; otherwise only FILE itself or what this command has written before
        #[arg(long, requires = "save")]
        force: bool,
    },
    /// Play a notebook at a terminal, cell by cell; the session stays open at its end
    Play {
        #[arg(value_parser = file, value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Run cells that contain Rust or system commands, which can do anything
        #[arg(long)]
        trust: bool,
    },
    /// Run a notebook and write it as a page, for Jupyter, or as data
    Export {
        #[arg(value_parser = file, value_hint = ValueHint::FilePath)]
        file: PathBuf,
        #[arg(long, value_parser = PossibleValuesParser::new(Form::ALL.map(|(name, _)| name)))]
        to: String,
        /// Write into this file; standard output unless specified
        #[arg(short = 'o', long = "output", value_name = "OUT", value_hint = ValueHint::FilePath)]
        out: Option<PathBuf>,
        /// Take the outputs of the file and run nothing
        #[arg(long)]
        no_run: bool,
        /// Run cells that contain Rust or system commands, which can do anything
        #[arg(long)]
        trust: bool,
        /// Replace OUT whatever it is; otherwise only an earlier export of the same notebook
        #[arg(long, requires = "out")]
        force: bool,
    },
    /// Convert a Jupyter notebook (.ipynb)
    Import {
        #[arg(value_parser = file, value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Write into this file; standard output unless specified
        #[arg(short = 'o', long = "output", value_name = "OUT.md", value_hint = ValueHint::FilePath)]
        out: Option<PathBuf>,
        /// Replace OUT.md whatever it is; otherwise only an earlier import of the same notebook
        #[arg(long, requires = "out")]
        force: bool,
    },
    /// Run notebooks in new sessions and compare their outputs; measured figures may differ
    #[command(after_help = "Exit status: 0 all equal; 1 a difference, a failed claim or a faulty file; \
                            2 for a bad command line.")]
    Test {
        #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
        /// Write the outputs that differ into the files
        #[arg(long)]
        update: bool,
        /// Run slow cells too
        #[arg(long)]
        slow: bool,
        /// Test so many files at once; they disturb each other's times
        #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=64))]
        jobs: u16,
        /// Write the results as JUnit XML
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        junit: Option<PathBuf>,
        /// Run cells that contain Rust or system commands, which can do anything
        #[arg(long)]
        trust: bool,
    },
    /// Check the configuration file, and print its path
    Config {
        /// Create the file if there is none, with every setting as a comment
        #[arg(long)]
        write: bool,
    },
    /// The kernel for Jupyter: JupyterLab and other front ends run cells with it
    Kernel {
        #[command(subcommand)]
        command: KernelCommand,
    },
    /// Print completions of this command line for a shell; bash: source <(timelab completions bash)
    Completions { shell: clap_complete::Shell },
}

#[derive(Subcommand)]
enum KernelCommand {
    /// Tell Jupyter of this program: in your home, or in the installation at DIR
    Install {
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        prefix: Option<PathBuf>,
    },
    /// Take that back
    Uninstall {
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        prefix: Option<PathBuf>,
    },
    /// Run the kernel; Jupyter does this
    Run {
        #[arg(value_name = "CONNECTION_FILE", value_parser = file, value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Csv,
    Json,
    Md,
}

#[derive(Clone, Copy, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

fn engine_names() -> Vec<&'static str> {
    engines::here().map(|engine| engine.name()).collect()
}

/// A file that is there; what else somebody may have meant stands in the error.
fn script(path: &str) -> Result<PathBuf, String> {
    file(path).map_err(|error| {
        let commands: Vec<String> =
            Arguments::command().get_subcommands().map(|it| it.get_name().to_string()).collect();
        let near = nearest(path, commands.iter().map(String::as_str).chain(["help"]));
        let command = near.map_or(String::new(), |near| format!("; did you mean the command `{near}`?"));
        format!("{error}{command}\n\n  to run it as a cell: timelab -c '{path}'")
    })
}

/// A file that is there.
fn file(path: &str) -> Result<PathBuf, String> {
    if std::path::Path::new(path).exists() { Ok(PathBuf::from(path)) } else { Err("there is no such file".to_string()) }
}

/// Where `ulimit -s` leaves the main thread too little, another thread takes its place.
fn main() -> ExitCode {
    timelab::commands::hook();
    const STACK: usize = 8 << 20;
    if measure::stack_is_small()
        && let Ok(thread) = std::thread::Builder::new().name("main".to_string()).stack_size(STACK).spawn(run)
    {
        return ended(thread.join().unwrap_or(ExitCode::FAILURE));
    }
    ended(run())
}

/// Jobs that run beside the cells end with the process, and leave nothing.
fn ended(status: ExitCode) -> ExitCode {
    temporary::remove_all();
    status
}

// Its frame must not be part of that of `main`.
#[inline(never)]
fn run() -> ExitCode {
    let own = [&timelab::schedule::workers::PROGRAM, &timelab::harness::PROGRAM];
    timelab::service::hook(&[&timelab::concurrency::PROGRAMS[..], &own].concat());
    timelab::rust::prepare();
    measure::prepare_for_limit();
    let arguments = Arguments::parse();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let color = |terminal: bool| match arguments.color {
        When::Always => true,
        When::Never => false,
        When::Auto => terminal && !no_color,
    };
    let style = Style {
        theme: Theme::Dark,
        format: match arguments.format {
            Format::Table => show::Format::Table,
            Format::Csv => show::Format::Csv,
            Format::Json => show::Format::Json,
            Format::Md => show::Format::Markdown,
        },
        color_out: color(std::io::stdout().is_terminal()),
        color_err: color(std::io::stderr().is_terminal()),
        width: show::terminal_width(),
        wrap: std::io::stdout().is_terminal(),
        ascii: show::in_ascii_only(|name| std::env::var(name).ok()),
    };
    match arguments.command {
        Some(Command::Config { write: true }) => return written_config(),
        Some(Command::Config { write: false }) => return looked_at_config(&style),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "timelab", &mut script);
            let written = std::io::stdout().write_all(&script);
            return if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Some(Command::Run { file, save: Some(out), trust, keep_going, force }) => {
            let options = saved::Options { out: &out, trust, keep_going, force };
            return ExitCode::from(saved::run(&file, &options, &style).status());
        }
        Some(Command::Run { file, save: None, trust, keep_going, .. }) => {
            return ExitCode::from(Shell::new(None, style, keep_going).file(&file, trust).status());
        }
        Some(Command::Play { file, trust }) => {
            return ExitCode::from(Shell::new(None, style, false).tutorial(&file, trust).status());
        }
        Some(Command::Export { file, to, out, no_run, trust, force }) => {
            let known = Form::ALL.iter().find(|(name, _)| *name == to).map(|(_, form)| *form);
            let form = known.expect("clap knows the same forms");
            let options = exported::Options { form, out, runs: !no_run, trust, force };
            return ExitCode::from(exported::export(&file, &options, &style));
        }
        Some(Command::Import { file, out, force }) => {
            return ExitCode::from(exported::import(&file, out.as_deref(), force));
        }
        Some(Command::Kernel { command }) => {
            return told(match command {
                KernelCommand::Install { prefix } => jupyter::install(prefix.as_deref()).map(Some),
                KernelCommand::Uninstall { prefix } => jupyter::uninstall(prefix.as_deref()).map(Some),
                KernelCommand::Run { file } => jupyter::run(&file).map(|()| None),
            });
        }
        Some(Command::Test { files, update, slow, jobs, junit, trust }) => {
            let options = test::Options { update, slow, jobs: jobs.into(), junit, trust };
            return ExitCode::from(test::test(&files, &options, &style));
        }
        None => {}
    }
    let engine = arguments.engine.as_deref().and_then(engines::find).map(|engine| engine.name());
    let shell = Shell::new(engine, style, arguments.keep_going);
    let ending = if !arguments.cells.is_empty() {
        shell.texts(&arguments.cells)
    } else if let Some(path) = &arguments.file {
        shell.file(path, arguments.trust)
    } else if stdin_is_terminal() {
        shell.interactive()
    } else {
        shell.stdin()
    };
    ExitCode::from(ending.status())
}

fn written_config() -> ExitCode {
    told(config::write().map(|path| Some(path.display().to_string())))
}

/// What a command says in the end, if anything.
fn told(done: Result<Option<String>, String>) -> ExitCode {
    match done {
        Ok(said) => {
            said.into_iter().for_each(|said| println!("{said}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn looked_at_config(style: &Style) -> ExitCode {
    let Some(path) = config::path() else {
        eprintln!("error: HOME is not set, so there is no folder for a configuration file");
        return ExitCode::FAILURE;
    };
    match config::text(&path) {
        Ok(text) => match config::read(&text, &mut Settings::new(None)) {
            Ok(()) => println!("{}: no errors", file_name(&path)),
            Err(error) => {
                eprint!("in {}:\n{}", file_name(&path), show::diagnostic(&error, Some(&text), style));
                return ExitCode::FAILURE;
            }
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("{}: not found; `timelab config --write` creates it", file_name(&path));
        }
        Err(error) => {
            eprintln!("error: \"{}\" cannot be read: {error}", file_name(&path));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
