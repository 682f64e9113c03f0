//! What the engines cost beside a loop by hand and plain polars: CPU time on one thread, all in one run.
//!
//! `cargo bench --locked -- --scale full --json FILE word sort` runs the rows whose names hold one of the words. Each
//! row runs in a process of its own (resident memory: each way), in which polars has one thread.

mod by_hand;
mod contest;
mod inputs;
mod plain;
mod rows;
mod table;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::Parser;

use timelab::measure::Counting;

use contest::{Measurement, ways};
use inputs::Scale;
use rows::{Row, Unit};

// As the program has it.
#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Parser)]
#[command(name = "cargo bench --locked --")]
struct Arguments {
    /// Only rows whose names hold one of these
    words: Vec<String>,
    /// The size of the inputs
    #[arg(long, value_enum, default_value = "small")]
    scale: Scale,
    /// How often each way is run; the least time counts
    #[arg(long, default_value_t = 5, value_name = "N")]
    rounds: u32,
    /// Where the figures are written, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Cargo says this
    #[arg(long, hide = true)]
    bench: bool,
    /// The row of this process, which tells what it found as json
    #[arg(long, hide = true)]
    row: Option<String>,
    /// The way whose memory is measured
    #[arg(long, hide = true)]
    way: Option<String>,
}

fn main() -> ExitCode {
    timelab::rust::prepare();
    let arguments = Arguments::parse();
    let row = arguments.row.as_ref().and_then(|name| rows::ALL.iter().find(|row| row.name == name));
    let done = match row {
        Some(row) => child(row, &arguments),
        None => parent(&arguments),
    };
    done.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::FAILURE
    })
}

fn child(row: &Row, arguments: &Arguments) -> Result<ExitCode, String> {
    let found = match &arguments.way {
        None => contest::times(row, arguments.scale, arguments.rounds),
        Some(way) => contest::peak(row, arguments.scale, way),
    };
    println!("{}", serde_json::to_string(&found?).map_err(|error| error.to_string())?);
    Ok(ExitCode::SUCCESS)
}

fn parent(arguments: &Arguments) -> Result<ExitCode, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let wanted = |row: &&Row| arguments.words.is_empty() || arguments.words.iter().any(|word| row.name.contains(word));
    let mut lines = Vec::new();
    let mut failed = false;
    for row in rows::ALL.iter().filter(wanted) {
        eprintln!("{}", row.name);
        match measured(row, arguments, folder.path()) {
            Ok(found) => lines.push((row, found)),
            Err(error) => {
                eprintln!("{}: {error}", row.name);
                failed = true;
            }
        }
    }
    print!("{}", table::drawn(&lines));
    if let Some(path) = &arguments.json {
        let text = format!("{:#}\n", table::json(&lines, arguments.scale, arguments.rounds));
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn measured(row: &Row, arguments: &Arguments, folder: &Path) -> Result<Measurement, String> {
    match row.unit {
        Unit::Seconds => in_child(row, None, arguments, folder),
        Unit::Bytes => {
            let mut all = Measurement { cell: String::new(), costs: Vec::new() };
            for way in ways() {
                let found = in_child(row, Some(way), arguments, folder)?;
                all.cell = found.cell;
                all.costs.extend(found.costs);
            }
            Ok(all)
        }
    }
}

fn in_child(row: &Row, way: Option<&str>, arguments: &Arguments, folder: &Path) -> Result<Measurement, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let scale = arguments.scale.name();
    let mut command = Command::new(program);
    command.args(["--row", row.name, "--scale", scale, "--rounds", &arguments.rounds.to_string()]);
    if let Some(way) = way {
        command.args(["--way", way]);
    }
    let output = command
        .env("POLARS_MAX_THREADS", "1")
        .current_dir(folder)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("its process ended with {}", output.status));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}
