//! A notebook in other forms: a page, a notebook of Jupyter, data; and what comes back from Jupyter.

use std::sync::atomic::{AtomicUsize, Ordering};

use pulldown_cmark::{Options, Parser, html};
use serde_json::{Value as Json, json};

use crate::report::{Block, Report};
use crate::show::{self, Format, Style};

use super::compare::{Element, elements};
use super::mime::{bundles, language_info};
use super::write::{cell_text, fence_of, printed, prose, style};
use super::{KERNEL, Notebook, WIDTH};

/// What a cell printed: the text, and the reports where it was run.
#[derive(Default)]
pub struct Output {
    pub text: String,
    pub reports: Vec<Report>,
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
        Form::Md => markdown(notebook, outputs),
    }
}

/// The parts of a notebook in their order.
enum Part<'a> {
    Prose(String),
    Cell(&'a str, &'a Output),
}

fn parts<'a>(notebook: &'a Notebook, outputs: &'a [Option<Output>]) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    let mut outputs = outputs.iter();
    for (i, fence) in notebook.fences.iter().enumerate() {
        parts.push(Part::Prose(prose(notebook, i)));
        for (cell, output) in fence.cells.iter().zip(outputs.by_ref()) {
            if let Some(output) = output.as_ref().filter(|_| !fence.directives.hidden) {
                parts.push(Part::Cell(&cell.input, output));
            }
        }
    }
    parts.push(Part::Prose(prose(notebook, notebook.fences.len())));
    parts.retain(|part| !matches!(part, Part::Prose(text) if text.trim().is_empty()));
    parts
}

/// The first heading.
fn title(notebook: &Notebook) -> String {
    let heading = notebook.text.lines().find_map(|line| line.strip_prefix("# "));
    heading.unwrap_or("timelab notebook").trim().to_string()
}

/// The same notebook with these outputs, as text.
fn markdown(notebook: &Notebook, outputs: &[Option<Output>]) -> String {
    let mut text = String::new();
    let mut cells: Vec<(String, String)> = Vec::new();
    let end = |text: &mut String, cells: &mut Vec<(String, String)>| {
        if !cells.is_empty() {
            text.push_str(&fence_of(WIDTH, cells));
            cells.clear();
        }
    };
    for part in parts(notebook, outputs) {
        match part {
            Part::Prose(prose) => {
                end(&mut text, &mut cells);
                text.push_str(&prose);
            }
            Part::Cell(input, output) => cells.push((input.to_string(), output.text.clone())),
        }
    }
    end(&mut text, &mut cells);
    text
}

fn data(notebook: &Notebook, outputs: &[Option<Output>]) -> String {
    let cells = parts(notebook, outputs).into_iter().map(|part| match part {
        Part::Prose(text) => json!({ "prose": text.trim_matches('\n') }),
        Part::Cell(input, output) => json!({
            "input": input,
            "output": output.text,
            "tables": output.reports.iter().flat_map(tables).collect::<Vec<_>>(),
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

/// One file without a network: what it shows is in it.
fn page(notebook: &Notebook, outputs: &[Option<Output>]) -> String {
    let mut body = String::new();
    let mut number = 0;
    for part in parts(notebook, outputs) {
        match part {
            Part::Prose(text) => html::push_html(&mut body, Parser::new_ext(&text, options())),
            Part::Cell(input, output) => {
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
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

fn options() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_FOOTNOTES
}

/// Tables as tables and plots as drawings, where the cell was run; else its text.
fn output_html(output: &Output) -> String {
    if output.reports.is_empty() {
        return pre(&output.text);
    }
    let mut out = String::new();
    for report in &output.reports {
        for block in &report.blocks {
            out.push_str(&block_html(block));
        }
        let line = report.status_line.iter().map(show::note).collect::<Vec<_>>().join(" · ");
        if !line.is_empty() {
            out.push_str(&format!("<p class=\"status\">{}</p>\n", escape(&line)));
        }
    }
    // An error and warnings are no part of a report.
    let shown: String = output.reports.iter().map(|report| printed(report, &style(WIDTH))).collect();
    if let Some(rest) = rest(&output.text, &shown) {
        out.push_str(&format!("<pre class=\"error\">{}</pre>\n", escape(rest.trim_end())));
    }
    out
}

/// What a cell printed besides its reports.
fn rest<'a>(text: &'a str, shown: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(shown).or_else(|| text.strip_suffix(shown))?;
    (!rest.trim().is_empty()).then_some(rest)
}

pub(super) fn block_html(block: &Block) -> String {
    let alone = |block: Block| Report { blocks: vec![block], ..Report::default() };
    match block {
        Block::Table { .. } | Block::Whole { .. } | Block::Figures(_) | Block::Aside(_) => {
            // So wide that no part of it stands below another.
            let wide = Style { width: 10_000, ..style(WIDTH) };
            elements(&show::report(&alone(block.clone()), &wide).out).iter().map(element_html).collect()
        }
        Block::Plot(plot) => format!("<figure>{}</figure>\n", show::svg(plot)),
        Block::Flow(flow) => format!("<figure>{}</figure>\n", show::flow_svg(flow)),
        Block::Map(map) => {
            static NUMBER: AtomicUsize = AtomicUsize::new(0);
            show::map_html(map, &format!("map-{}", NUMBER.fetch_add(1, Ordering::Relaxed)))
        }
        Block::Data(_) => String::new(),
        Block::Value { .. }
        | Block::Printed(_)
        | Block::Text(_)
        | Block::Told { .. }
        | Block::Measured(_)
        | Block::Notes(_)
        | Block::Timing(_) => pre(&printed(&alone(block.clone()), &style(WIDTH))),
    }
}

pub(super) fn element_html(element: &Element) -> String {
    let grid = match element {
        Element::Line(line) => return format!("<p class=\"status\">{}</p>\n", escape(line)),
        Element::Table(grid) => grid,
    };
    let heads: String = grid.heads.iter().map(|head| format!("<th scope=\"col\">{}</th>", escape(head))).collect();
    let cell = |cell: &String| {
        let is_number = cell.starts_with(|c: char| c.is_ascii_digit() || c == '-');
        let class = if is_number { " class=\"number\"" } else { "" };
        format!("<td{class}>{}</td>", escape(cell))
    };
    let row = |row: &Vec<String>| format!("<tr>{}</tr>\n", row.iter().map(cell).collect::<String>());
    let rows: String = grid.rows.iter().map(row).collect();
    format!(
        "<div class=\"wide\" tabindex=\"0\"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n\
         </table></div>\n"
    )
}

fn pre(text: &str) -> String {
    if text.trim().is_empty() { String::new() } else { format!("<pre>{}</pre>\n", escape(text.trim_end())) }
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn jupyter(notebook: &Notebook, outputs: &[Option<Output>]) -> String {
    let mut count = 0;
    let cells = parts(notebook, outputs).into_iter().enumerate().map(|(i, part)| match part {
        Part::Prose(text) => json!({
            "cell_type": "markdown",
            "id": format!("cell-{}", i + 1),
            "metadata": {},
            "source": source(text.trim_matches('\n')),
        }),
        Part::Cell(input, output) => {
            count += 1;
            json!({
                "cell_type": "code",
                "execution_count": count,
                "id": format!("cell-{}", i + 1),
                "metadata": {},
                "outputs": shown(output),
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

/// A text as Jupyter writes it: lines with their ends.
fn source(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// The outputs of a cell as those of the kernel; where it was not run, its text.
fn shown(output: &Output) -> Vec<Json> {
    let texts: String = output.reports.iter().map(|report| printed(report, &style(WIDTH))).collect();
    // An error and warnings are no part of a report.
    let rest = if output.reports.is_empty() { Some(output.text.as_str()) } else { rest(&output.text, &texts) };
    let all = output.reports.iter().flat_map(bundles).map(|bundle| bundle.data);
    let all = all.chain(rest.filter(|text| !text.trim().is_empty()).map(|text| json!({ "text/plain": text })));
    let display = |mut data: Json| {
        for (name, form) in data.as_object_mut().into_iter().flatten() {
            // Texts are lists of lines, data is not.
            if let Some(text) = form.as_str().filter(|_| !name.ends_with("json")) {
                *form = json!(source(text));
            }
        }
        json!({ "output_type": "display_data", "data": data, "metadata": {} })
    };
    all.map(display).collect()
}

/// A notebook from one of Jupyter: cells of our kernel become fences, other code stays code, text becomes prose.
///
/// # Errors
/// In words, where it is none.
pub fn import(text: &str) -> Result<String, String> {
    let all: Json = serde_json::from_str(text).map_err(|error| format!("it is not json: {error}"))?;
    if all["nbformat"].as_i64() != Some(4) {
        return Err("it is not a notebook of Jupyter, of nbformat 4".to_string());
    }
    let cells = all["cells"].as_array().ok_or("it has no cells")?;
    let spec = &all["metadata"]["kernelspec"];
    let is_ours = spec["name"].as_str() == Some(KERNEL);
    let language = spec["language"].as_str().or(all["metadata"]["language_info"]["name"].as_str()).unwrap_or("");
    let mut out = String::new();
    let mut ours: Vec<(String, String)> = Vec::new();
    for cell in cells {
        let source = joined(&cell["source"]);
        let is_code = cell["cell_type"].as_str() == Some("code");
        if is_code && is_ours {
            let outputs = cell["outputs"].as_array().map(Vec::as_slice).unwrap_or_default();
            let plain = |output: &Json| match output["output_type"].as_str() {
                Some("stream") => joined(&output["text"]),
                Some("error") => without_colours(&traceback(&output["traceback"])),
                _ => joined(&output["data"]["text/plain"]),
            };
            ours.push((source, outputs.iter().map(plain).collect()));
            continue;
        }
        if !ours.is_empty() {
            apart(&mut out, &fence_of(WIDTH, &ours));
            ours.clear();
        }
        if is_code {
            let longest = source.split(|c| c != '`').map(str::len).max().unwrap_or(0);
            let fence = "`".repeat(longest.max(2) + 1);
            apart(&mut out, &format!("{fence}{language}\n{}\n{fence}\n", source.trim_end()));
        } else {
            apart(&mut out, &format!("{}\n", source.trim_end()));
        }
    }
    if !ours.is_empty() {
        apart(&mut out, &fence_of(WIDTH, &ours));
    }
    Ok(out)
}

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
