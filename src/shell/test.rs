//! `timelab test`: runs notebooks in fresh sessions, and compares what they print with what they say.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::diagnostic::Kind;
use crate::escape;
use crate::files::replace;
use crate::magics::{FileCells, file_cells};
use crate::notebook::{
    Comparison, Fence, INFO, Look, Notebook, NotebookCell, cell_text, compare, is_notebook, updated,
};
use crate::player::{CellOutput, Player};
use crate::run_context::Stop;
use crate::show::{Style, duration_text};

use super::kept;
use super::progress::Watch;

/// What the command line asks for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Outputs that differ are written into the file.
    pub update: bool,
    pub slow: bool,
    pub jobs: usize,
    pub junit: Option<PathBuf>,
    pub trust: bool,
}

/// What became of one file.
#[derive(Default)]
struct Tested {
    path: String,
    good: usize,
    updated: usize,
    /// A line for people for each cell that differs, or for what is wrong with the file.
    wrong: Vec<Wrong>,
    /// Reasons, each with the number of cells.
    skipped: Vec<(String, usize)>,
    /// One for each cell in its order, and one for what is wrong with the file.
    cases: Vec<Case>,
    time: Duration,
    stopped: bool,
}

struct Wrong {
    line: usize,
    cell: usize,
    text: String,
}

/// What a server of tests is told. Its name is the same, whatever becomes of it.
struct Case {
    name: String,
    result: CaseResult,
}

enum CaseResult {
    Good,
    Skipped(String),
    Failed(String),
    /// The file cannot be tested, or was not to its end.
    Broken(String),
}

/// Tests files; the exit status.
pub fn test(files: &[PathBuf], options: &Options, style: &Style) -> u8 {
    let stop = Stop::default();
    super::leave_the_terminal_as_it_was();
    super::stop_on_ctrl_c(stop.clone(), true);
    if let Some(path) = &options.junit
        && let Err(why) = kept::may_replace(path, None, false, |found| found.contains("<testsuites"))
    {
        eprintln!("error: {}", why.replace("\n\n  to replace it: --force", ": it is not a report of tests"));
        return 2;
    }
    if options.jobs > 1 && files.len() > 1 {
        return beside(files, options, &stop);
    }
    let start = Instant::now();
    let home = std::env::current_dir();
    let mut all = Vec::new();
    for path in files {
        let tested = tested(path, options, &stop, style);
        // A cell may have changed the folder.
        if let Ok(home) = &home {
            let _ = std::env::set_current_dir(home);
        }
        print(&told(&tested));
        let stopped = tested.stopped;
        all.push(tested);
        if stopped {
            break;
        }
    }
    if files.len() > 1 {
        print(&summary(&all, files.len(), start.elapsed()));
    }
    let mut status = u8::from(all.iter().any(|tested| !tested.wrong.is_empty()));
    let suites = all.iter().map(suite).collect::<String>();
    if !options.junit.as_ref().is_none_or(|path| is_written(path, &suites)) {
        status = 1;
    }
    if stop.is_raised() { 130 } else { status }
}

/// Writes what servers of tests read; whether that can be done.
fn is_written(path: &Path, suites: &str) -> bool {
    let text = format!("{JUNIT_START}{suites}{JUNIT_END}");
    let written = replace(path, text.as_bytes());
    if let Err(error) = &written {
        eprintln!("error: \"{}\" cannot be written: {error}", escape::file_name(path));
    }
    written.is_ok()
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

fn tested(path: &Path, options: &Options, stop: &Stop, style: &Style) -> Tested {
    let start = Instant::now();
    let mut tested = tested_until(path, options, stop, style);
    tested.time = start.elapsed();
    let broken = tested.wrong.iter().filter(|wrong| wrong.cell == 0);
    let cases = broken.map(|wrong| {
        let place = if wrong.line > 0 { format!("line {}: ", wrong.line) } else { String::new() };
        Case { name: "the file".to_string(), result: CaseResult::Broken(format!("{place}{}", wrong.text)) }
    });
    tested.cases.extend(cases);
    tested
}

fn tested_until(path: &Path, options: &Options, stop: &Stop, style: &Style) -> Tested {
    let mut tested = Tested { path: escape::file_name(path), ..Tested::default() };
    let faulty = |line: usize, text: String| Wrong { line, cell: 0, text };
    let notebook = match read(path) {
        Ok(notebook) => notebook,
        Err((line, text)) => {
            tested.wrong.push(faulty(line, text));
            return tested;
        }
    };
    if notebook.cells().next().is_none() {
        let text = format!("there is nothing to test: it has no cells, which stand in fences ```{INFO}");
        tested.wrong.push(faulty(0, text));
        return tested;
    }
    let mut player = fresh(stop);
    // What can do anything is refused here as everywhere, and nobody is asked.
    let context = player.session.context();
    let confined = match file_cells(&mut player.session, path, options.trust, "timelab test", &context) {
        Ok(FileCells { confined, .. }) => confined,
        Err(error) => {
            let hint = error.hint.as_ref().map(|hint| format!("\n  {hint}")).unwrap_or_default();
            tested.wrong.push(faulty(0, format!("{}{hint}", error.message)));
            return tested;
        }
    };
    player.session.confined = confined;
    let mut outputs: Vec<Option<String>> = Vec::new();
    let mut before: Vec<(&str, Look)> = Vec::new();
    for (place, (fence, cell)) in notebook.cells().enumerate() {
        let name = format!("line {}: {}", cell.line, cell.input.lines().next().unwrap_or_default());
        if let Some(why) = skipped(fence, options) {
            tested.cases.push(Case { name, result: CaseResult::Skipped(why.clone()) });
            match tested.skipped.iter_mut().find(|(known, _)| *known == why) {
                Some((_, count)) => *count += 1,
                None => tested.skipped.push((why, 1)),
            }
            outputs.push(None);
            continue;
        }
        let mut ran = run(&mut player, cell, fence.look, style, &format!("{} · cell {}", tested.path, place + 1));
        let mut found = compare(&cell.output, &ran.printed, &ran.masked);
        if ran.error == Some(Kind::Claim) && !stop.is_raised() {
            // What it reads was measured once: all that came before is measured again.
            player = fresh(stop);
            player.session.confined = confined;
            for (input, look) in &before {
                let context = player.session.context();
                player.cell(input, *look, &context);
            }
            ran = run(&mut player, cell, fence.look, style, "once more");
            found = compare(&cell.output, &ran.printed, &ran.masked);
        }
        if stop.is_raised() {
            tested.stopped = true;
            tested.wrong.push(faulty(cell.line, "stopped".to_string()));
            break;
        }
        before.push((&cell.input, fence.look));
        // A claim that does not hold fails, whatever the file says.
        let claim = ran.error == Some(Kind::Claim);
        let differs = if claim { Some(difference(cell, &Comparison::default(), Some(&ran))) } else { None };
        let differs = differs.or_else(|| found.err().map(|comparison| difference(cell, &comparison, None)));
        let result = match differs {
            None => {
                tested.good += 1;
                outputs.push(None);
                CaseResult::Good
            }
            Some(_) if options.update && !claim => {
                tested.updated += 1;
                outputs.push(Some(ran.printed));
                CaseResult::Good
            }
            Some(text) => {
                outputs.push(None);
                tested.wrong.push(Wrong { line: cell.line, cell: place + 1, text: text.clone() });
                CaseResult::Failed(text)
            }
        };
        tested.cases.push(Case { name, result });
    }
    if tested.updated > 0
        && let Err(error) = replace(path, updated(&notebook, &outputs).as_bytes())
    {
        tested.wrong.push(faulty(0, format!("it cannot be written: {error}")));
    }
    tested
}

fn fresh(stop: &Stop) -> Player {
    let mut player = Player::fresh();
    player.session.stop = stop.clone();
    player
}

fn run(player: &mut Player, cell: &NotebookCell, look: Look, style: &Style, place: &str) -> CellOutput {
    let context = player.session.context();
    context.progress.tell(place.to_string());
    // What the cell tells of itself comes over it.
    let watch = if style.color_err { Watch::start(&context.progress) } else { Watch::none() };
    let ran = player.cell(&cell.input, look, &context);
    watch.end();
    ran
}

/// A file and a line, as messages begin with them; line 0 is the whole file.
pub fn place(path: &Path, line: usize) -> String {
    let path = escape::file_name(path);
    if line == 0 { format!("\"{path}\"") } else { format!("\"{path}\", line {line}") }
}

/// The notebook of a file, or what is wrong in which line.
pub fn read(path: &Path) -> Result<Notebook, (usize, String)> {
    const MOST: u64 = 64 << 20;
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err((0, "there is no such file".to_string()));
        }
        // A device never ends, and a pipe waits for a writer.
        Ok(metadata) if !metadata.is_file() => return Err((0, "it is not a regular file".to_string())),
        Ok(metadata) if metadata.len() > MOST => return Err((0, "it is over 64 MiB".to_string())),
        Ok(_) | Err(_) => {}
    }
    if !is_notebook(path) {
        return Err((0, "it is not a notebook: those are files .md".to_string()));
    }
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| (0, "it is not UTF-8 text".to_string()))?,
        Err(error) => return Err((0, format!("it cannot be read: {error}"))),
    };
    Notebook::parse(&text).map_err(|faulty| (faulty.line, faulty.message))
}

fn skipped(fence: &Fence, options: &Options) -> Option<String> {
    fence.directives.unmet().or_else(|| (fence.directives.slow && !options.slow).then(|| "slow".to_string()))
}

/// What the file says and what was printed, in lines.
fn difference(cell: &NotebookCell, comparison: &Comparison, claim: Option<&CellOutput>) -> String {
    let mut text = String::new();
    cell_text(&cell.input).lines().for_each(|line| _ = writeln!(text, "    {line}"));
    if let Some(ran) = claim {
        ran.printed.lines().for_each(|line| _ = writeln!(text, "    {line}"));
        return text;
    }
    let part = |text: &mut String, head: &str, sign: char, lines: &[String]| {
        let _ = writeln!(text, "  {head}");
        if lines.is_empty() {
            let _ = writeln!(text, "  {sign} (nothing)");
        }
        lines.iter().for_each(|line| _ = writeln!(text, "  {sign} {line}"));
    };
    part(&mut text, "expected", '-', &comparison.expected);
    part(&mut text, "got", '+', &comparison.got);
    text
}

fn told(tested: &Tested) -> String {
    let mut text = String::new();
    for wrong in &tested.wrong {
        let line = if wrong.line > 0 { format!(":{}", wrong.line) } else { String::new() };
        match wrong.cell {
            0 => drop(writeln!(text, "{}{line}: {}", tested.path, wrong.text)),
            cell => drop(write!(text, "{}{line}: cell {cell} differs\n{}", tested.path, wrong.text)),
        }
    }
    let ran = tested.good + tested.wrong.iter().filter(|wrong| wrong.cell > 0).count() + tested.updated;
    let plural = if ran == 1 { "cell" } else { "cells" };
    let mark = if tested.wrong.is_empty() { "✓" } else { "✗" };
    let mut parts = vec![format!("{mark} {}: {ran} {plural}, {} as the file says", tested.path, tested.good)];
    if tested.updated > 0 {
        parts.push(format!("{} written", tested.updated));
    }
    parts.extend(tested.skipped.iter().map(|(why, count)| format!("{count} skipped ({why})")));
    parts.push(duration_text(tested.time.as_secs_f64()));
    let _ = writeln!(text, "{}", parts.join(" · "));
    escape::escaped(&text)
}

fn summary(all: &[Tested], files: usize, time: Duration) -> String {
    let good = all.iter().filter(|tested| tested.wrong.is_empty()).count();
    let cells: usize = all.iter().map(|tested| tested.good).sum();
    let skipped: usize = all.iter().flat_map(|tested| &tested.skipped).map(|(_, count)| count).sum();
    let time = duration_text(time.as_secs_f64());
    format!("{good} of {files} files as they say · {cells} cells · {skipped} skipped · {time}\n")
}

/// Each file in a process of its own: cells may change the folder of the process.
fn beside(files: &[PathBuf], options: &Options, stop: &Stop) -> u8 {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            eprintln!("error: timelab does not find itself: {error}");
            return 1;
        }
    };
    // Each process writes a report of its own; together they are one.
    let reports = match options.junit.as_ref().map(|_| tempfile::tempdir()).transpose() {
        Ok(reports) => reports,
        Err(error) => {
            eprintln!("error: a folder for the reports cannot be made: {error}");
            return 1;
        }
    };
    let report = |i: usize| reports.as_ref().map(|folder| folder.path().join(format!("{i}.xml")));
    let mut flags = Vec::new();
    let all = [(options.update, "--update"), (options.slow, "--slow"), (options.trust, "--trust")];
    flags.extend(all.iter().filter(|(is, _)| *is).map(|(_, flag)| *flag));
    let next = std::sync::atomic::AtomicUsize::new(0);
    let worst = std::sync::atomic::AtomicU8::new(0);
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.min(files.len()) {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(path) = files.get(i) else { return };
                    if stop.is_raised() {
                        return;
                    }
                    let mut command = Command::new(&program);
                    command.arg("test").args(&flags).arg(path).stdin(Stdio::null()).stderr(Stdio::inherit());
                    if let Some(report) = report(i) {
                        command.arg("--junit").arg(report);
                    }
                    let status = match command.output() {
                        Ok(output) => {
                            print(&String::from_utf8_lossy(&output.stdout));
                            output.status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
                        }
                        Err(error) => {
                            eprintln!("error: {}: {error}", escape::file_name(path));
                            1
                        }
                    };
                    worst.fetch_max(status, std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    });
    let mut worst = worst.into_inner();
    if let Some(path) = &options.junit {
        let text = |i: usize| report(i).and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        let inside = |i: usize| {
            let text = text(i);
            text.strip_prefix(JUNIT_START).and_then(|rest| rest.strip_suffix(JUNIT_END)).unwrap_or_default().to_string()
        };
        if !is_written(path, &(0..files.len()).map(inside).collect::<String>()) {
            worst = worst.max(1);
        }
    }
    worst
}

const JUNIT_START: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
const JUNIT_END: &str = "</testsuites>\n";

/// A file in the format that servers of tests read: a case for each cell.
fn suite(tested: &Tested) -> String {
    let escaped = |text: &str| -> String {
        let visible = text.chars().filter(|c| !c.is_control() || *c == '\n');
        let text: String = visible.collect();
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
    };
    let count = |is: fn(&CaseResult) -> bool| tested.cases.iter().filter(|case| is(&case.result)).count();
    let file = escaped(&tested.path);
    let mut out = format!(
        "  <testsuite name=\"{file}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3}\">\n",
        tested.cases.len(),
        count(|result| matches!(result, CaseResult::Failed(_))),
        count(|result| matches!(result, CaseResult::Broken(_))),
        count(|result| matches!(result, CaseResult::Skipped(_))),
        tested.time.as_secs_f64()
    );
    for Case { name, result } in &tested.cases {
        let inside = match result {
            CaseResult::Good => String::new(),
            CaseResult::Skipped(why) => format!("<skipped message=\"{}\"/>", escaped(why)),
            CaseResult::Failed(text) => format!("<failure message=\"it differs\">{}</failure>", escaped(text)),
            CaseResult::Broken(why) => format!("<error message=\"{}\"/>", escaped(why)),
        };
        let _ = writeln!(out, "    <testcase classname=\"{file}\" name=\"{}\">{inside}</testcase>", escaped(name));
    }
    out.push_str("  </testsuite>\n");
    out
}
