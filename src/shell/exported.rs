//! `timelab export` and `timelab import`.

use std::io::{self, IsTerminal, Write as _};
use std::path::{Path, PathBuf};

use crate::diagnostic::Kind;
use crate::escape::{escaped, file_name};
use crate::files::replace;
use crate::magics::{FileCells, file_cells};
use crate::notebook::{self, Form, Output, is_notebook};
use crate::player::Player;
use crate::run_context::Stop;
use crate::show::{self, Style};

use super::progress::Watch;
use super::{kept, test};

/// What the command line asks for.
pub struct Options {
    pub form: Form,
    pub out: Option<PathBuf>,
    /// Whether the cells run; else the texts of the file are taken.
    pub runs: bool,
    pub trust: bool,
    /// Whether any file is replaced.
    pub force: bool,
}

/// Writes a notebook in another form; the exit status.
pub fn export(path: &Path, options: &Options, style: &Style) -> u8 {
    if !is_notebook(path) {
        eprintln!(
            "error: `export` needs a notebook, a file .md; `timelab run FILE --save OUT.md` makes one of a script"
        );
        return 1;
    }
    let notebook = match test::read(path) {
        Ok(notebook) => notebook,
        Err((line, why)) => {
            eprintln!("error: {}: {why}", test::place(path, line));
            return 1;
        }
    };
    let stop = Stop::default();
    super::leave_the_terminal_as_it_was();
    super::stop_on_ctrl_c(stop.clone(), true);
    let texts: Vec<Option<Output>> =
        notebook.cells().map(|(_, cell)| Some(Output { text: cell.output.clone(), ..Output::default() })).collect();
    if let Some(out) = &options.out {
        // Before anything runs: the texts and cells of it are known now.
        let form = options.form;
        let is_former = |found: &str| notebook::is_former(found, &notebook::export(&notebook, &texts, form), form);
        if let Err(why) = kept::may_replace(out, None, options.force, is_former) {
            eprintln!("error: {why}");
            return 1;
        }
    }
    let outputs = if options.runs {
        match ran(path, &notebook, options, &stop, style) {
            Ok(outputs) => outputs,
            Err(status) => return status,
        }
    } else {
        texts
    };
    let written = notebook::export(&notebook, &outputs, options.form);
    let done = match &options.out {
        Some(out) => replace(out, written.as_bytes()).map_err(|error| format!("\"{}\": {error}", file_name(out))),
        None => print(&written).map_err(|error| error.to_string()),
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("error: the export cannot be written: {error}");
            1
        }
    }
}

/// What each cell prints now; a cell that cannot run here has its text of the file.
fn ran(
    path: &Path,
    notebook: &notebook::Notebook,
    options: &Options,
    stop: &Stop,
    style: &Style,
) -> Result<Vec<Option<Output>>, u8> {
    let mut player = Player::fresh();
    player.session.stop = stop.clone();
    let context = player.session.context();
    let form = Form::ALL.iter().find(|(_, form)| *form == options.form).map_or("html", |(name, _)| *name);
    let said = format!("timelab export --to {form}");
    match file_cells(&mut player.session, path, options.trust, &said, &context) {
        Ok(FileCells { confined, skipped, .. }) => {
            player.session.confined = confined;
            skipped.iter().for_each(|line| eprintln!("{line}"));
        }
        Err(error) => {
            eprint!("{}", show::diagnostic(&error, None, style));
            return Err(1);
        }
    }
    let mut outputs = Vec::new();
    for (fence, cell) in notebook.cells() {
        if fence.directives.unmet().is_some() {
            outputs.push(Some(Output { text: cell.output.clone(), ..Output::default() }));
            continue;
        }
        let context = player.session.context();
        let watch = if style.color_err { Watch::start(&context.progress) } else { Watch::none() };
        let ran = player.cell(&cell.input, fence.look, &context);
        watch.end();
        if stop.is_raised() || ran.error == Some(Kind::Stopped) {
            return Err(130);
        }
        outputs.push(Some(Output { text: ran.printed, shown: ran.shown }));
    }
    Ok(outputs)
}

/// Makes a notebook of one of Jupyter; the exit status.
pub fn import(path: &Path, out: Option<&Path>, force: bool) -> u8 {
    let text = std::fs::read_to_string(path).map_err(|error| format!("it cannot be read: {error}"));
    let made = text.and_then(|text| notebook::import(&text));
    let made = made.and_then(|text| match out {
        Some(out) => {
            kept::may_replace(out, None, force, |found| notebook::is_same_but_outputs(found, &text)).map(|()| text)
        }
        None => Ok(text),
    });
    let done = made.and_then(|text| match out {
        Some(out) => replace(out, text.as_bytes()).map_err(|error| format!("\"{}\": {error}", file_name(out))),
        None => print(&text).map_err(|error| error.to_string()),
    });
    match done {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("error: \"{}\": {error}", file_name(path));
            1
        }
    }
}

/// A terminal gets what would move its cursor with escapes.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    match out.is_terminal() {
        true => out.write_all(escaped(text).as_bytes()),
        false => out.write_all(text.as_bytes()),
    }
}
