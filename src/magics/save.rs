use std::io::Write;
use std::path::Path;

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::files;
use crate::lang::{self, MagicSyntax, Privileges, Takes};
use crate::notebook::{
    Form, Notebook, NotebookCell, Output, Shown, WIDTH, export, fence_of, is_notebook, printed, style,
};
use crate::run_context::RunContext;
use crate::session::{Entered, Session};

use super::{Answer, Magic, Offers, ranges};

pub static SAVE: Magic = Magic {
    syntax: MagicSyntax {
        name: "save",
        usage: "%save FILE [CELLS] [--force] [--failed]",
        takes: Takes::Words,
        options: &[("--force", false), ("--failed", false)],
    },
    about: "writes cells into a file for %run; FILE.md becomes a notebook with the outputs that are kept, FILE.ipynb \
            one for Jupyter; without numbers all that did not fail; --force replaces a file, --failed takes what \
            failed too",
    examples: &["%save /tmp/cells.txt --force", "%save /tmp/cells.md --force"],
    offers: Offers::Files,
    privileges: |magic| {
        let path = ranges::words(magic).first();
        Privileges::WRITES_ELSEWHERE.only_if(path.is_some_and(|path| files::leads_outside(&path.text)))
    },
    run,
};

/// Without numbers, these are left out: what they did stands in other cells.
const ABOUT_CELLS: [&str; 4] = ["%save", "%run", "%edit", "%history"];

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let [path, ranges @ ..] = ranges::words(magic) else {
        return Err(Diagnostic::at(Kind::Syntax, magic.span, "`%save` needs a file").hint(SAVE.syntax.usage));
    };
    let with_failed = magic.option("--failed").is_some();
    let cells: Vec<&Entered> = if ranges.is_empty() {
        let lasting = |entered: &&Entered| {
            let first = entered.text.split_whitespace().next().unwrap_or_default();
            (!entered.failed || with_failed) && !ABOUT_CELLS.contains(&first)
        };
        session.entered().iter().filter(lasting).collect()
    } else {
        ranges::picked(session, ranges)?.into_iter().map(|(_, entered)| entered).collect()
    };
    let failed = |error: std::io::Error| {
        let diagnostic = |message| Diagnostic::at(Kind::File, path.span, message);
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            return diagnostic(format!("the file \"{}\" already exists", path.text))
                .hint("%save FILE --force replaces it");
        }
        diagnostic(format!("\"{}\" cannot be written: {error}", path.text))
    };
    let force = magic.option("--force").is_some();
    let shown = files::expanded(&path.text);
    let text = match shown.extension().map(|ending| ending.to_string_lossy().to_lowercase()) {
        _ if is_notebook(&shown) => notebook_of(&cells),
        Some(ending) if ending == "ipynb" => jupyter_of(&cells),
        _ => script_of(&cells),
    };
    let target = match files::target(&shown, &path.text, context.confined) {
        // Without the option no file is replaced, whatever it is.
        Err(_) if !force && shown.is_file() => shown,
        target => target.map_err(|error| error.or_at(path.span))?,
    };
    write(&target, &text, force).map_err(failed)?;
    let plural = if cells.len() == 1 { "cell" } else { "cells" };
    Ok(Answer::text(format!("{} {plural} in \"{}\"", cells.len(), path.text)))
}

fn script_of(cells: &[&Entered]) -> String {
    cells.iter().map(|cell| alone(&cell.text) + "\n").collect()
}

/// One fence of cells, each with what it showed, as far as that is kept.
fn notebook_of(cells: &[&Entered]) -> String {
    let output = |cell: &Entered| cell.report.as_ref().map(|report| printed(report, &style(WIDTH))).unwrap_or_default();
    let all: Vec<(String, String)> = cells.iter().map(|cell| (alone(&cell.text), output(cell))).collect();
    fence_of(WIDTH, &all)
}

/// The same for Jupyter.
fn jupyter_of(cells: &[&Entered]) -> String {
    let notebook = Notebook::parse(&notebook_of(cells)).expect("what we write can be read");
    let shown = |cell: &Entered| {
        // What failed has its error in the text.
        let report = cell.report.clone().filter(|_| !cell.failed);
        report.map(|report| Shown { report, ..Shown::default() }).into_iter().collect()
    };
    let output = |((_, found), cell): ((_, &NotebookCell), &&Entered)| {
        Some(Output { text: found.output.clone(), shown: shown(cell) })
    };
    let outputs: Vec<Option<Output>> = notebook.cells().zip(cells).map(output).collect();
    export(&notebook, &outputs, Form::Ipynb)
}

/// Writes a file whole or not at all.
fn write(path: &Path, text: &str, force: bool) -> std::io::Result<()> {
    if force {
        return files::replace(path, text.as_bytes());
    }
    let folder = files::folder_of(path)?;
    let mut file = tempfile::Builder::new().permissions(permissions()).tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist_noclobber(path)?;
    Ok(())
}

/// A file for everybody, as far as the person's mask lets it be.
fn permissions() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}

/// The cell as it stands in a file, where a bar at its start would join it to the cell before.
fn alone(cell: &str) -> String {
    let cell = cell.trim();
    if cell.starts_with('|') { format!("_ {cell}") } else { cell.to_string() }
}
