//! What a cell shows as front ends of Jupyter take it: by MIME type, so that each takes the best form that it knows.

use serde_json::{Value as Json, json};

use crate::data::{Table, Type};
use crate::report::{Block, Report};
use crate::show::{self, Format, Style};

use super::compare::{Element, elements};
use super::export::{block_html, element_html, escape, tables};
use super::write::{printed, style};
use super::{KERNEL, WIDTH};

/// The forms of one output.
#[derive(Debug, Clone)]
pub struct Bundle {
    pub data: Json,
}

/// Tables as rows with their types. `application/json` would be the plain name, but JupyterLab prefers that to HTML,
/// and would show a tree in the place of each table.
const ROWS: &str = "application/vnd.dataresource+json";
/// Larger tables are no part of what is kept with a notebook.
const MOST_ROWS: usize = 1000;

/// What a cell shows, in its order: one bundle for what stands together as text, one for each drawing. Their plain
/// texts together are what a terminal shows.
pub fn bundles(report: &Report) -> Vec<Bundle> {
    let alone = |blocks: &[Block]| Report { blocks: blocks.to_vec(), ..Report::default() };
    let mut all: Vec<(Bundle, bool)> = Vec::new();
    let mut aside = String::new();
    let is_drawing = |block: &Block| matches!(block, Block::Plot(_) | Block::Map(_) | Block::Flow(_));
    for part in report.blocks.chunk_by(|one, next| !is_drawing(one) && !is_drawing(next)) {
        let mut part = part.to_vec();
        if let [Block::Plot(plot)] = &mut part[..] {
            // It stands by itself here.
            plot.in_table = false;
        }
        let drawn = show::report(&alone(&part), &style(WIDTH));
        aside.push_str(&drawn.err);
        let mut data = json!({ "text/plain": drawn.out });
        match &part[..] {
            [Block::Plot(plot)] => data["image/svg+xml"] = json!(show::svg(plot)),
            [Block::Map(map)] => data["image/svg+xml"] = json!(show::map_svg(map)),
            [Block::Flow(flow)] => data["image/svg+xml"] = json!(show::flow_svg(flow)),
            blocks => {
                if blocks.iter().any(is_table) {
                    data["text/html"] = json!(blocks.iter().map(block_html).collect::<String>());
                }
                if let [rows] = &blocks.iter().filter_map(rows).collect::<Vec<_>>()[..] {
                    data[ROWS] = rows.clone();
                }
            }
        }
        if !(drawn.out.is_empty() && data.get("image/svg+xml").is_none()) {
            all.push((Bundle { data }, is_drawing(&part[0])));
        }
    }
    let status = Report { status_line: report.status_line.clone(), ..Report::default() };
    let below = aside + &show::report(&status, &style(WIDTH)).err;
    if !below.is_empty() {
        match all.last_mut().filter(|(_, is_drawing)| !is_drawing) {
            Some((last, _)) => last.add_below(&below),
            None => all.push((text_bundle(&below), false)),
        }
    }
    all.into_iter().map(|(bundle, _)| bundle).collect()
}

impl Bundle {
    /// Adds lines that are less than a result.
    fn add_below(&mut self, text: &str) {
        let plain = self.data["text/plain"].as_str().unwrap_or_default();
        let html = self.data.get("text/html").and_then(Json::as_str);
        let html = html.map_or_else(|| pre(plain), str::to_string) + &quiet(text);
        self.data["text/plain"] = json!(format!("{plain}{text}"));
        self.data["text/html"] = json!(html);
    }
}

/// Lines that are drawn as a terminal has them: tables become tables.
pub fn text_bundle(text: &str) -> Bundle {
    let elements = elements(text);
    let mut data = json!({ "text/plain": text });
    if elements.iter().any(|element| matches!(element, Element::Table(_))) {
        data["text/html"] = json!(elements.iter().map(|element| element_html(element, None)).collect::<String>());
    }
    Bundle { data }
}

/// A result for programs.
pub fn data_bundle(report: &Report) -> Bundle {
    let mut data = json!({ "text/plain": printed(report, &style(WIDTH)) });
    let json = |block: &Block| match block {
        Block::Value { .. } => {
            let alone = Report { blocks: vec![block.clone()], ..Report::default() };
            let drawn = show::report(&alone, &Style { format: Format::Json, ..style(WIDTH) });
            serde_json::from_str(&drawn.out).ok()
        }
        _ => None,
    };
    let found: Vec<Json> = report.blocks.iter().filter_map(json).chain(tables(report)).collect();
    if let [one] = &found[..] {
        data["application/json"] = one.clone();
    }
    Bundle { data }
}

/// What the kernel says of the language, and a notebook too.
pub fn language_info() -> Json {
    json!({
        "name": KERNEL,
        "version": env!("CARGO_PKG_VERSION"),
        "mimetype": "text/x-timelab",
        "file_extension": ".txt",
        "pygments_lexer": "text",
    })
}

fn is_table(block: &Block) -> bool {
    matches!(block, Block::Table { .. } | Block::Whole { .. } | Block::Figures(_) | Block::Aside(_))
}

/// A table as a resource of <https://datapackage.org/profiles/2.0/tabledialect.json>: fields, then rows.
fn rows(block: &Block) -> Option<Json> {
    let table: &Table = match block {
        Block::Table { table, .. } | Block::Whole { table, .. } => table,
        Block::Figures(figures) | Block::Data(figures) => &figures.table,
        _ => return None,
    };
    if table.height() > MOST_ROWS {
        return None;
    }
    let name = |ty: &Type| match ty {
        Type::Int => "integer",
        Type::Float => "number",
        Type::Bool => "boolean",
        Type::Text => "string",
        Type::List(_) => "array",
        Type::Open | Type::Never => "any",
    };
    let fields = table.schema().columns.iter().map(|column| json!({ "name": column.name, "type": name(&column.ty) }));
    let fields: Vec<Json> = fields.collect();
    let alone = Report { blocks: vec![block.clone()], ..Report::default() };
    Some(json!({ "schema": { "fields": fields }, "data": tables(&alone).into_iter().next()? }))
}

fn pre(text: &str) -> String {
    if text.trim().is_empty() { String::new() } else { format!("<pre>{}</pre>\n", escape(text.trim_end())) }
}

/// A front end has no style sheet of ours.
fn quiet(text: &str) -> String {
    let lines: Vec<String> = text.trim_end().lines().map(escape).collect();
    format!("<div style=\"opacity:0.75\">{}</div>\n", lines.join("<br>"))
}
