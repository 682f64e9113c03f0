//! A notebook in other forms: a page, a notebook of Jupyter, data; and what comes back from Jupyter.

use std::sync::atomic::{AtomicUsize, Ordering};

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, html};
use serde_json::{Value as Json, json};

use crate::lang::split;
use crate::report::{Block, Report};
use crate::show::{self, Format, Style};

use super::compare::{Element, elements};
use super::mime::{bundles, language_info};
use super::write::{cell_text, fence_with, is_same_but_outputs, printed, prose, style, updated};
use super::{Directives, Fence, KERNEL, Look, Notebook, WIDTH, as_prose, without_mark};

/// What a cell printed: the text, and what it showed where it was run.
#[derive(Default)]
pub struct Output {
    pub text: String,
    pub shown: Vec<Shown>,
}

/// What a cell showed, in this order; a cell that runs others shows more than one.
#[derive(Default)]
pub struct Shown {
    /// As lines.
    pub warnings: String,
    pub report: Report,
    pub failure: Option<Failure>,
}

/// The error that ended a cell.
pub struct Failure {
    /// Its kind.
    pub name: String,
    pub message: String,
    /// As lines.
    pub text: String,
}

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Html,
    Ipynb,
    Json,
    Md,
}

impl Form {
    pub const ALL: [(&'static str, Form); 4] =
        [("html", Form::Html), ("ipynb", Form::Ipynb), ("json", Form::Json), ("md", Form::Md)];
}

/// A notebook with these outputs, one for each cell in its order; none for one that is not shown.
pub fn export(notebook: &Notebook, outputs: &[Option<Output>], form: Form) -> String {
    match form {
        Form::Html => page(notebook, outputs),
        Form::Ipynb => jupyter(notebook, outputs),
        Form::Json => data(notebook, outputs),
        // Directives, hidden cells and comments are what makes it run and play as before.
        Form::Md => updated(notebook, &texts(outputs)),
    }
}

/// The parts of a notebook in their order.
enum Part<'a> {
    Prose(String),
    Cell(&'a str, &'a Output, usize),
}

/// A cell has the place of its fence. Hidden cells are left out where nothing runs any more.
fn parts<'a>(notebook: &'a Notebook, outputs: &'a [Option<Output>], with_hidden: bool) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    let mut outputs = outputs.iter();
    for (i, fence) in notebook.fences.iter().enumerate() {
        parts.push(Part::Prose(prose(notebook, i)));
        for (cell, output) in fence.cells.iter().zip(outputs.by_ref()) {
            if let Some(output) = output.as_ref().filter(|_| with_hidden || !fence.directives.hidden) {
                parts.push(Part::Cell(&cell.input, output, i));
            }
        }
    }
    parts.push(Part::Prose(prose(notebook, notebook.fences.len())));
    parts.retain(|part| !matches!(part, Part::Prose(text) if text.trim().is_empty()));
    parts
}

/// The first heading.
fn title(notebook: &Notebook) -> String {
    let heading = without_mark(&notebook.text).lines().find_map(|line| line.strip_prefix("# "));
    heading.unwrap_or("timelab notebook").trim().to_string()
}

fn texts(outputs: &[Option<Output>]) -> Vec<Option<String>> {
    outputs.iter().map(|output| output.as_ref().map(|output| output.text.clone())).collect()
}

fn data(notebook: &Notebook, outputs: &[Option<Output>]) -> String {
    let cells = parts(notebook, outputs, false).into_iter().map(|part| match part {
        Part::Prose(text) => json!({ "prose": text.trim_matches('\n') }),
        Part::Cell(input, output, _) => json!({
            "input": input,
            "output": output.text,
            "tables": output.shown.iter().flat_map(|shown| tables(&shown.report)).collect::<Vec<_>>(),
        }),
    });
    let all = json!({ "title": title(notebook), "parts": cells.collect::<Vec<_>>() });
    serde_json::to_string_pretty(&all).expect("texts are json") + "\n"
}

/// The tables of a report, each as an array of row objects.
pub(super) fn tables(report: &Report) -> Vec<Json> {
    let style = Style { format: Format::Json, ..style(WIDTH) };
    let one = |block: &Block| {
        let holds = matches!(block, Block::Table { .. } | Block::Whole { .. } | Block::Figures(_) | Block::Data(_));
        let report = Report { blocks: vec![block.clone()], ..Report::default() };
        holds.then(|| serde_json::from_str(&show::report(&report, &style).out).ok()).flatten()
    };
    report.blocks.iter().filter_map(one).collect()
}

const STYLE: &str = include_str!("page.css");
/// By which a page is known to be one of ours.
const GENERATOR: &str = "<meta name=\"generator\" content=\"timelab\">";

/// One file without a network: what it shows is in it.
fn page(notebook: &Notebook, outputs: &[Option<Output>]) -> String {
    let mut body = String::new();
    let mut number = 0;
    for part in parts(notebook, outputs, false) {
        match part {
            Part::Prose(text) => html::push_html(&mut body, harmless(Parser::new_ext(&text, options()))),
            Part::Cell(input, output, _) => {
                number += 1;
                let code = escape(cell_text(input).trim_end());
                body.push_str(&format!(
                    "<section class=\"cell\" aria-label=\"Cell {number}\">\n<details open>\
                     <summary>Cell {number}</summary>\n<pre class=\"input\"><code>{code}</code></pre></details>\n"
                ));
                body.push_str(&output_html(output));
                body.push_str("</section>\n");
            }
        }
    }
    let title = escape(&title(notebook));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n{GENERATOR}\n\
         <title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

/// Prose of which nothing runs in the reader's browser, and which loads nothing: tags are shown as they are written,
/// comments are left out, links lead to pages and mail only, and images lie beside the page.
fn harmless<'a>(events: impl Iterator<Item = Event<'a>>) -> impl Iterator<Item = Event<'a>> {
    let mut in_comment = false;
    events.filter_map(move |event| {
        Some(match event {
            Event::Html(text) | Event::InlineHtml(text) => {
                let begins = in_comment || text.trim_start().starts_with("<!--");
                in_comment = begins && !text.contains("-->");
                return (!begins).then_some(Event::Text(text));
            }
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                let is_safe = scheme(&dest_url).is_none_or(|scheme| ["http", "https", "mailto"].contains(&&*scheme));
                let dest_url = if is_safe { dest_url } else { CowStr::Borrowed("") };
                Event::Start(Tag::Link { link_type, dest_url, title, id })
            }
            Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
                let is_near = scheme(&dest_url).is_none() && !dest_url.starts_with("//");
                let dest_url = if is_near { dest_url } else { CowStr::Borrowed("") };
                Event::Start(Tag::Image { link_type, dest_url, title, id })
            }
            other => other,
        })
    })
}

/// The scheme of an address, in small letters and without what browsers ignore in it.
fn scheme(address: &str) -> Option<String> {
    let clean: String = address.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    let (scheme, _) = clean.split_once(':').filter(|(before, _)| !before.contains(['/', '?', '#']))?;
    Some(scheme.to_lowercase())
}

fn options() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_FOOTNOTES
}

/// Tables as tables and plots as drawings, where the cell was run; else its text.
fn output_html(output: &Output) -> String {
    if output.shown.is_empty() {
        return pre(&output.text);
    }
    let mut out = String::new();
    let told = |text: &str| format!("<pre class=\"error\">{}</pre>\n", escape(text.trim_end()));
    for Shown { warnings, report, failure } in &output.shown {
        if !warnings.is_empty() {
            out.push_str(&told(warnings));
        }
        for block in &report.blocks {
            out.push_str(&block_html(block));
        }
        let line = report.status_line.iter().map(show::note).collect::<Vec<_>>().join(" · ");
        if !line.is_empty() {
            out.push_str(&format!("<p class=\"status\">{}</p>\n", escape(&line)));
        }
        out.push_str(&failure.as_ref().map(|failure| told(&failure.text)).unwrap_or_default());
    }
    out
}

pub(super) fn block_html(block: &Block) -> String {
    let alone = |block: Block| Report { blocks: vec![block], ..Report::default() };
    match block {
        Block::Table { .. } | Block::Whole { .. } | Block::Figures(_) | Block::Aside(_) => {
            // So wide that no part of it stands below another.
            let wide = Style { width: 10_000, ..style(WIDTH) };
            let numbers = numbers(block);
            let drawn = elements(&show::report(&alone(block.clone()), &wide).out);
            drawn.iter().map(|element| element_html(element, Some(&numbers))).collect()
        }
        Block::Plot(plot) => format!("<figure class=\"plot\">{}</figure>\n", show::svg(plot)),
        Block::Flow(flow) => format!("<figure class=\"plot\">{}</figure>\n", show::flow_svg(flow)),
        Block::Map(map) => {
            static NUMBER: AtomicUsize = AtomicUsize::new(0);
            show::map_html(map, &format!("map-{}", NUMBER.fetch_add(1, Ordering::Relaxed)))
        }
        Block::Data(_) => String::new(),
        Block::Value { .. } | Block::Printed(_) | Block::Text(_) | Block::Told { .. } => {
            pre(&printed(&alone(block.clone()), &style(WIDTH)))
        }
        // Sentences, not drawings: they are broken where a line ends.
        Block::Measured(_) | Block::Notes(_) | Block::Timing(_) => {
            pre(&printed(&alone(block.clone()), &style(WIDTH))).replacen("<pre>", "<pre class=\"said\">", 1)
        }
    }
}

/// The columns of a table that are numbers.
fn numbers(block: &Block) -> Vec<String> {
    let table = match block {
        Block::Table { table, .. } | Block::Whole { table, .. } => table,
        Block::Figures(figures) | Block::Aside(figures) => &figures.table,
        _ => return Vec::new(),
    };
    let columns = table.schema().columns.iter().filter(|column| column.ty.is_number());
    columns.map(|column| column.name.clone()).collect()
}

/// One of those that an output is made of. Where it has no types, a column is one of numbers if all its cells are.
pub(super) fn element_html(element: &Element, numbers: Option<&[String]>) -> String {
    let grid = match element {
        Element::Line(line) => return format!("<p class=\"status\">{}</p>\n", escape(line)),
        Element::Table(grid) => grid,
    };
    let looks = |cell: &String| cell.starts_with(|c: char| c.is_ascii_digit() || "-·".contains(c));
    let is_number = |(place, head): (usize, &String)| match numbers {
        Some(numbers) => numbers.iter().any(|name| head == name || head.starts_with(&format!("{name} ["))),
        None => grid.rows.iter().filter_map(|row| row.get(place)).all(looks),
    };
    let classes: Vec<&str> = grid.heads.iter().enumerate().map(is_number).map(class).collect();
    let class_of = |place: usize| classes.get(place).copied().unwrap_or_default();
    let head = |(place, head): (usize, &String)| format!("<th scope=\"col\"{}>{}</th>", class_of(place), escape(head));
    let heads: String = grid.heads.iter().enumerate().map(head).collect();
    let cell = |(place, cell): (usize, &String)| format!("<td{}>{}</td>", class_of(place), escape(cell));
    let row = |row: &Vec<String>| format!("<tr>{}</tr>\n", row.iter().enumerate().map(cell).collect::<String>());
    let rows: String = grid.rows.iter().map(row).collect();
    // A box that can be scrolled with keys is read out by its name.
    let name = format!("Table: {}", escape(&grid.heads.join(", ")));
    format!(
        "<div class=\"wide\" role=\"region\" aria-label=\"{name}\" tabindex=\"0\"><table>\n\
         <thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n\
         </table></div>\n"
    )
}

fn class(is_number: bool) -> &'static str {
    if is_number { " class=\"number\"" } else { "" }
}

fn pre(text: &str) -> String {
    if text.trim().is_empty() { String::new() } else { format!("<pre>{}</pre>\n", escape(text.trim_end())) }
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn jupyter(notebook: &Notebook, outputs: &[Option<Output>]) -> String {
    let mut count = 0;
    let cells = parts(notebook, outputs, true).into_iter().enumerate().map(|(i, part)| match part {
        Part::Prose(text) => json!({
            "cell_type": "markdown",
            "id": format!("cell-{}", i + 1),
            "metadata": {},
            "source": source(text.trim_matches('\n')),
        }),
        Part::Cell(input, output, fence) => {
            count += 1;
            json!({
                "cell_type": "code",
                "execution_count": count,
                "id": format!("cell-{}", i + 1),
                "metadata": metadata(&notebook.fences[fence], fence),
                "outputs": outputs_of(output),
                "source": source(input),
            })
        }
    });
    let all = json!({
        "cells": cells.collect::<Vec<_>>(),
        "metadata": {
            "kernelspec": { "display_name": KERNEL, "language": KERNEL, "name": KERNEL },
            "language_info": language_info(),
            "title": title(notebook),
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    });
    serde_json::to_string_pretty(&all).expect("texts are json") + "\n"
}

/// What a fence says, for the way back, and in the words that Jupyter's own tools know.
fn metadata(fence: &Fence, place: usize) -> Json {
    let Fence { directives, look, .. } = fence;
    let mut own = json!({ "fence": place + 1 });
    if *directives != Directives::default() {
        own["directives"] = json!(directives.to_string());
    }
    if *look != Look::default() {
        own["look"] = json!(look.to_string());
    }
    let mut all = json!({ KERNEL: own });
    let tags = [(directives.skip, "skip-execution"), (directives.hidden, "hide-cell")];
    let tags: Vec<&str> = tags.iter().filter(|(is, _)| *is).map(|(_, tag)| *tag).collect();
    if !tags.is_empty() {
        all["tags"] = json!(tags);
    }
    if directives.hidden {
        all["jupyter"] = json!({ "source_hidden": true, "outputs_hidden": true });
    }
    all
}

/// A text as Jupyter writes it: lines with their ends.
fn source(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// The outputs of a cell as those of the kernel; where it was not run, its text.
fn outputs_of(output: &Output) -> Vec<Json> {
    let display = |mut data: Json| {
        for (name, form) in data.as_object_mut().into_iter().flatten() {
            // Texts are lists of lines, data is not.
            if let Some(text) = form.as_str().filter(|_| !name.ends_with("json")) {
                *form = json!(source(text));
            }
        }
        json!({ "output_type": "display_data", "data": data, "metadata": {} })
    };
    let error = |name: &str, message: &str, text: &str| {
        let lines: Vec<&str> = text.lines().collect();
        json!({ "output_type": "error", "ename": name, "evalue": message, "traceback": lines })
    };
    if output.shown.is_empty() {
        const ERROR: &str = "error: ";
        let starts =
            output.text.split_inclusive('\n').scan(0, |at, line| Some((std::mem::replace(at, *at + line.len()), line)));
        let failed = starts.filter(|(_, line)| line.starts_with(ERROR)).map(|(at, _)| at).next();
        let (text, failure) = output.text.split_at(failed.unwrap_or(output.text.len()));
        let message = failure.lines().next().unwrap_or_default().trim_start_matches(ERROR);
        let mut all = Vec::new();
        all.extend((!text.trim().is_empty()).then(|| display(json!({ "text/plain": text }))));
        all.extend((!failure.is_empty()).then(|| error("Error", message, failure)));
        return all;
    }
    let mut all = Vec::new();
    for Shown { warnings, report, failure } in &output.shown {
        if !warnings.is_empty() {
            all.push(json!({ "output_type": "stream", "name": "stderr", "text": source(warnings) }));
        }
        all.extend(bundles(report).into_iter().map(|bundle| display(bundle.data)));
        all.extend(failure.as_ref().map(|failure| error(&failure.name, &failure.message, &failure.text)));
    }
    all
}

/// Whether a file is what an export of a notebook in this form has written before: then nothing of a person is lost
/// with it but outputs.
pub fn is_former(found: &str, new: &str, form: Form) -> bool {
    let title =
        |page: &str| page.split_once("<title>").and_then(|(_, rest)| Some(rest.split_once("</title>")?.0.to_string()));
    let parsed = |text: &str| serde_json::from_str::<Json>(text).ok();
    let each = |all: &Json, list: &str, of: &[&str]| -> Option<Vec<String>> {
        let one = |part: &Json| of.iter().map(|name| joined(&part[*name])).collect();
        Some(all[list].as_array()?.iter().map(one).collect())
    };
    match form {
        Form::Html => found.contains(GENERATOR) && title(found) == title(new),
        Form::Ipynb => match (parsed(found), parsed(new)) {
            (Some(found), Some(new)) => {
                let cells = |all: &Json| each(all, "cells", &["cell_type", "source"]);
                cells(&found).is_some() && cells(&found) == cells(&new)
            }
            _ => false,
        },
        Form::Json => match (parsed(found), parsed(new)) {
            (Some(found), Some(new)) => {
                let parts = |all: &Json| each(all, "parts", &["prose", "input"]);
                parts(&found).is_some() && parts(&found) == parts(&new)
            }
            _ => false,
        },
        Form::Md => is_same_but_outputs(found, new),
    }
}

/// A fence that is put together of cells of Jupyter.
#[derive(Default)]
struct Open {
    /// What its cells say of it.
    own: Json,
    cells: Vec<(String, String)>,
}

impl Open {
    fn end(&mut self, out: &mut String) {
        let Open { own, cells } = std::mem::take(self);
        if cells.is_empty() {
            return;
        }
        let text = |name: &str| own[name].as_str().unwrap_or_default().replace("-->", "");
        // Whoever wrote the file, words that are not known would make a notebook that cannot be read.
        let directives = Directives::parse(&text("directives")).unwrap_or_default();
        let look = Look::parse(text("look").split_whitespace()).unwrap_or_default();
        let comment = match directives == Directives::default() {
            true => String::new(),
            false => format!("<!-- timelab: {directives} -->\n"),
        };
        apart(out, &format!("{comment}{}", fence_with(look, &cells)));
    }
}

/// A notebook from one of Jupyter: cells of our kernel become fences, other code stays code, text becomes prose.
///
/// # Errors
/// In words, where it is none.
pub fn import(text: &str) -> Result<String, String> {
    let all: Json = serde_json::from_str(without_mark(text)).map_err(|error| format!("it is not json: {error}"))?;
    if all["nbformat"].as_i64() != Some(4) {
        return Err("it is not a notebook of Jupyter, of nbformat 4".to_string());
    }
    let cells = all["cells"].as_array().ok_or("it has no cells")?;
    let spec = &all["metadata"]["kernelspec"];
    let is_ours = spec["name"].as_str() == Some(KERNEL);
    let language = spec["language"].as_str().or(all["metadata"]["language_info"]["name"].as_str()).unwrap_or("");
    let mut out = String::new();
    let mut open = Open::default();
    for cell in cells {
        let source = joined(&cell["source"]).replace("\r\n", "\n");
        let is_code = cell["cell_type"].as_str() == Some("code");
        if is_code && is_ours {
            let outputs = cell["outputs"].as_array().map(Vec::as_slice).unwrap_or_default();
            let plain = |output: &Json| match output["output_type"].as_str() {
                Some("stream") => without_colours(&joined(&output["text"])),
                Some("error") => without_colours(&traceback(&output["traceback"])),
                _ => joined(&output["data"]["text/plain"]),
            };
            let mut text = String::new();
            for part in outputs.iter().map(plain) {
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push('\n');
                }
                text.push_str(&part);
            }
            let own = &cell["metadata"][KERNEL];
            if *own != open.own {
                open.end(&mut out);
                open.own = own.clone();
            }
            // One cell of Jupyter may hold several of ours; what they printed stands behind the last.
            let mut inputs = split(&source);
            if let Some(mut last) = inputs.pop() {
                // The end of the cell is that of a body, too, which then has no end of its own.
                if !source.trim_end().ends_with(BODY_END) && last.ends_with(BODY_END) {
                    last.truncate(last.len() - BODY_END.len());
                }
                open.cells.extend(inputs.into_iter().map(|input| (input, String::new())));
                open.cells.push((last, text));
            }
            continue;
        }
        open.end(&mut out);
        if is_code {
            let longest = source.split(|c| c != '`').map(str::len).max().unwrap_or(0);
            let fence = "`".repeat(longest.max(2) + 1);
            let language = if language.eq_ignore_ascii_case(KERNEL) { "text" } else { language };
            apart(&mut out, &format!("{fence}{language}\n{}\n{fence}\n", source.trim_end()));
        } else {
            apart(&mut out, &format!("{}\n", as_prose(&source).trim_end()));
        }
    }
    open.end(&mut out);
    Ok(out)
}

/// The last line of a body.
const BODY_END: &str = "\n%%";

/// Adds a part behind an empty line.
fn apart(out: &mut String, part: &str) {
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(part);
}

/// The lines of an error, which have no ends.
fn traceback(lines: &Json) -> String {
    lines.as_array().into_iter().flatten().filter_map(Json::as_str).map(|line| format!("{line}\n")).collect()
}

/// A text without what colours a terminal.
fn without_colours(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        out.push_str(before);
        rest = after.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest);
    }
    out + rest
}

/// A text that is one, or a list of lines.
fn joined(text: &Json) -> String {
    match text {
        Json::String(text) => text.clone(),
        Json::Array(lines) => lines.iter().filter_map(Json::as_str).collect(),
        _ => String::new(),
    }
}
