//! Cells and outputs as they stand in a notebook.

use std::ops::Range;

use crate::report::{Block, Report};
use crate::show::{self, Drawn, Format, Style, Theme};

use super::{Fence, INFO, Look, Notebook, NotebookCell, without_mark};

/// The lines of a cell.
pub fn cell_text(input: &str) -> String {
    let mut text = String::new();
    for (i, line) in input.trim_end().split('\n').enumerate() {
        let mark = if i == 0 { '›' } else { '…' };
        text.push_str(format!("{mark} {line}").trim_end());
        text.push('\n');
    }
    text
}

/// The lines of an output: what would be taken for a cell or the end of the fence has a `\` before it. Empty lines at
/// the end are left out.
pub fn output_text(output: &str) -> String {
    let mut text = String::new();
    for line in output.trim_end_matches('\n').split('\n').filter(|_| !output.trim_end_matches('\n').is_empty()) {
        let line = line.trim_end_matches('\r');
        let is_mark = line.starts_with(['›', '…', '\\']) || line.trim_start().starts_with("```");
        if is_mark {
            text.push('\\');
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// A fence of cells, each with its output.
pub fn fence_of(width: usize, cells: &[(String, String)]) -> String {
    fence_with(Look { width, ..Look::default() }, cells)
}

/// The same with another look.
pub fn fence_with(look: Look, cells: &[(String, String)]) -> String {
    let more = look.to_string();
    let more = if more.is_empty() { more } else { format!(" {more}") };
    let body: String = cells.iter().map(|(input, output)| cell_text(input) + &output_text(output)).collect();
    format!("```{INFO}{more}\n{body}```\n")
}

/// Whether two notebooks have the same texts and cells, whatever the outputs say.
pub fn is_same_but_outputs(one: &str, other: &str) -> bool {
    let bare = |text: &str| {
        let notebook = Notebook::parse(&text.replace("\r\n", "\n")).ok()?;
        let none: Vec<Option<String>> = notebook.cells().map(|_| Some(String::new())).collect();
        Some(updated(&notebook, &none))
    };
    bare(one).is_some_and(|one| Some(one) == bare(other))
}

/// The notebook with other outputs: for each cell in its order, a new one or none. All else stays byte for byte.
pub fn updated(notebook: &Notebook, outputs: &[Option<String>]) -> String {
    let all = notebook.cells().zip(outputs);
    let is_crlf = notebook.has_crlf();
    let changes = all.filter_map(|((fence, cell), output)| Some((fence, cell, output.as_ref()?)));
    replaced(&notebook.text, changes.map(|(fence, cell, output)| new_output(notebook, fence, cell, output, is_crlf)))
}

/// Where the output of a cell stands in a notebook, and the text of another one.
pub fn new_output(
    notebook: &Notebook,
    fence: &Fence,
    cell: &NotebookCell,
    output: &str,
    is_crlf: bool,
) -> (Range<usize>, String) {
    let range = cell.output_range.clone();
    // Empty lines behind an output set the next cell apart.
    let old = &notebook.text[range.clone()];
    let blank = old.split_inclusive('\n').rev().take_while(|line| line.trim().is_empty());
    let blank: usize = blank.map(str::len).sum();
    let indent = " ".repeat(fence.indent);
    let new = output_text(output).split_inclusive('\n').map(|line| format!("{indent}{line}")).collect::<String>();
    let new = if is_crlf { new.replace('\n', "\r\n") } else { new };
    (range.start..range.end - blank, new)
}

/// A text with these places replaced, which come in their order.
pub fn replaced(text: &str, changes: impl IntoIterator<Item = (Range<usize>, String)>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (range, new) in changes {
        out.push_str(&text[at..range.start]);
        out.push_str(&new);
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}

impl Look {
    pub fn style(self) -> Style {
        Style { format: self.format, ..style(self.width) }
    }
}

/// How a notebook's output looks: as at a terminal without colours, and long lines are not broken.
pub fn style(width: usize) -> Style {
    Style {
        format: Format::Table,
        color_out: false,
        color_err: false,
        theme: Theme::Dark,
        width,
        wrap: false,
        ascii: false,
    }
}

/// A report as lines: what goes to standard output, then what goes to standard error.
pub fn printed(report: &Report, style: &Style) -> String {
    let Drawn { out, err } = drawn(report, style);
    out + &err
}

/// The same apart. A plot stands below its table.
pub fn drawn(report: &Report, style: &Style) -> Drawn {
    let mut report = report.clone();
    for block in &mut report.blocks {
        if let Block::Plot(plot) = block {
            plot.in_table = false;
        }
    }
    show::report(&report, style)
}

/// The text before a fence, or behind the last, without what is for timelab alone.
pub fn prose(notebook: &Notebook, fence: usize) -> String {
    let start = fence.checked_sub(1).map_or(0, |before| notebook.fences[before].range.end);
    let end = notebook.fences.get(fence).map_or(notebook.text.len(), |fence| fence.range.start);
    without_comments(without_mark(&notebook.text[start..end]))
}

fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!--") {
        out.push_str(before);
        rest = after.split_once("-->").map_or("", |(_, rest)| rest);
    }
    out + rest
}
