//! Reports and diagnostics as text: the only place with widths and colours.

mod beside;
mod diagnostic;
mod figures;
mod flow;
mod map;
mod numbers;
mod plot;
mod printer;
mod table;
mod theme;
mod timing;
mod wrap;

use unicode_width::UnicodeWidthStr;

use crate::console::{MOST_PRINTED, Stream};
use crate::data::{Table, Value, encode};
use crate::escape::escaped;
use crate::report::{Block, Field, Note, Piece, Plot, Report, Unit};

pub use diagnostic::diagnostic;
pub use flow::{flow_svg, flow_text};
pub use map::{Canvas, map_html, map_measure, map_svg, map_text, node_name, path as node_path, weight_text};
pub use numbers::{bytes_text, duration_text, grouped, lone_ratio, percent, ratio, ratio_within};
pub use plot::svg;
pub use printer::{Printed, Printer};
pub use table::{MOST_ROWS, cut, shown, whole};
pub use theme::{Role, Theme};
pub use wrap::{filled, wrapped};

/// How tables are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Drawn, fitted to the width.
    Table,
    Csv,
    /// An array of row objects.
    Json,
    /// Markdown.
    Markdown,
}

impl Format {
    /// With the names that people type.
    pub const ALL: [(&'static str, Format); 4] =
        [("table", Format::Table), ("csv", Format::Csv), ("json", Format::Json), ("md", Format::Markdown)];
}

#[derive(Debug, Clone, Copy)]
pub struct Style {
    pub format: Format,
    /// Colours on what goes to standard output, and on what goes to standard error.
    pub color_out: bool,
    pub color_err: bool,
    pub theme: Theme,
    /// Characters in a line.
    pub width: usize,
    /// Whether long lines of text are broken between words, as on a terminal.
    pub wrap: bool,
    /// Whether plots are drawn in ASCII only.
    pub ascii: bool,
}

impl Style {
    fn paint_out(&self, text: &str, role: Role) -> String {
        if self.color_out { self.theme.style(role).paint(text).to_string() } else { text.to_string() }
    }

    fn paint_err(&self, text: &str, role: Role) -> String {
        if self.color_err { self.theme.style(role).paint(text).to_string() } else { text.to_string() }
    }
}

/// What goes to standard output and what to standard error.
#[derive(Debug, Default, PartialEq)]
pub struct Drawn {
    pub out: String,
    pub err: String,
}

/// Of a table that shows floats with fewer digits than they have, for the status line.
pub const ROUNDED: &str = "floats rounded";

pub fn report(report: &Report, style: &Style) -> Drawn {
    report_of(report, &[], style)
}

/// The report of a cell that names these columns: they come first where a table is too wide.
pub fn report_of(report: &Report, named: &[String], style: &Style) -> Drawn {
    let mut drawn = Drawn::default();
    let mut rounded = false;
    let mut blocks = report.blocks.iter().peekable();
    while let Some(block) = blocks.next() {
        match block {
            Block::Table { table, .. } if style.format == Format::Table => {
                let (text, is_rounded) = table::drawn(table, named, style);
                drawn.out.push_str(&text);
                rounded |= is_rounded;
            }
            Block::Table { table, .. } => drawn.out.push_str(&style.outward(&written(table, style))),
            Block::Whole { table, .. } => {
                let mut text = Vec::new();
                whole(table, style, &|| false, &mut text).expect("memory can be written");
                drawn.out.push_str(&String::from_utf8_lossy(&text));
            }
            Block::Value { value, .. } => match style.format {
                Format::Json => {
                    let mut json = String::new();
                    encode::json_value(&mut json, value);
                    drawn.out.push_str(&style.outward(&json));
                    drawn.out.push('\n');
                }
                Format::Table | Format::Csv | Format::Markdown => {
                    let said = if let Value::Text(text) = value { text.to_string() } else { value.to_string() };
                    drawn.out.push_str(&style.outward(&said));
                    drawn.out.push('\n');
                }
            },
            Block::Printed(printed) => {
                for (stream, text) in &printed.pieces {
                    match stream {
                        Stream::Out => drawn.out.push_str(text),
                        Stream::Err => drawn.err.push_str(text),
                    }
                }
                if printed.left_out > 0 {
                    let (bytes, most) = (bytes_text(printed.left_out as f64), bytes_text(MOST_PRINTED as f64));
                    let note = format!("{bytes} more were printed but not kept: at most {most} per cell are kept\n");
                    drawn.err.push_str(&note);
                }
            }
            Block::Told { table, .. } if style.format == Format::Json => {
                drawn.out.push_str(&style.outward(&table::json(table)));
            }
            Block::Told { text, .. } | Block::Text(text) if style.wrap => {
                drawn.out.push_str(&wrap::wrapped(&escaped(text), style.width));
            }
            Block::Told { text, .. } | Block::Text(text) => {
                drawn.out.push_str(text);
                drawn.out.push('\n');
            }
            Block::Figures(figures) => {
                let table = style.drawn(figures::written(figures, style));
                let plot = blocks.next_if(|next| matches!(next, Block::Plot(plot) if plot.in_table));
                match plot {
                    Some(Block::Plot(plot)) if style.format == Format::Table => {
                        drawn.out.push_str(&with_plot(&table, plot, style));
                    }
                    _ => drawn.out.push_str(&table),
                }
            }
            Block::Data(figures) => {
                if matches!(style.format, Format::Csv | Format::Json) {
                    drawn.out.push_str(&style.drawn(figures::written(figures, style)));
                }
            }
            Block::Aside(figures) => {
                if matches!(style.format, Format::Table | Format::Markdown) {
                    drawn.out.push_str(&style.drawn(figures::written(figures, style)));
                }
            }
            Block::Notes(notes) => {
                // Words about a table do not belong into the table's csv.
                let people = matches!(style.format, Format::Table | Format::Markdown);
                let to = if people { &mut drawn.out } else { &mut drawn.err };
                notes.iter().for_each(|note| to.push_str(&note_lines(note, style)));
            }
            Block::Plot(plot) => {
                if style.format == Format::Table || !plot.in_table {
                    drawn.out.push_str(&style.drawn(plot::written(plot, style)));
                }
            }
            Block::Map(map) if style.format == Format::Table => drawn.out.push_str(&map_text(map, style)),
            // Programs have the table, and a drawing of characters is none in Markdown.
            Block::Map(map) => {
                if style.format == Format::Markdown {
                    let plain = Style { color_out: false, ..*style };
                    drawn.out.push_str(&format!("```\n{}```\n", map_text(map, &plain)));
                }
            }
            Block::Flow(flow) if style.format == Format::Markdown => {
                drawn.out.push_str(&format!("```\n{}```\n", flow_text(flow, style)));
            }
            Block::Flow(flow) => drawn.out.push_str(&flow_text(flow, style)),
            Block::Timing(found) => {
                let (out, err) = timing::timing(found, style);
                drawn.out.push_str(&out);
                drawn.err.push_str(&err);
            }
            Block::Measured(fields) => {
                let text = style.outward(&measured(fields, style));
                // Figures about a table do not belong into the table's csv.
                let to = if style.format == Format::Table { &mut drawn.out } else { &mut drawn.err };
                to.push_str(&text);
                to.push('\n');
            }
        }
    }
    if rounded || !report.status_line.is_empty() {
        let rounded = rounded.then(|| ROUNDED.to_string());
        let parts: Vec<String> = report.status_line.iter().map(note).chain(rounded).collect();
        let line = dotted(parts.iter().map(String::as_str), style);
        drawn.err.push_str(&style.paint_err(&style.outward(&line), Role::Quiet));
        drawn.err.push('\n');
    }
    drawn
}

/// Parts with dots between them, in as many lines as they need: a part is not broken.
fn dotted<'a>(parts: impl IntoIterator<Item = &'a str>, style: &Style) -> String {
    let (mut text, mut used) = (String::new(), 0);
    for part in parts {
        let width = part.width();
        if used > 0 && style.wrap && used + " · ".width() + width > style.width {
            text.push('\n');
            used = 0;
        }
        if used > 0 {
            text.push_str(" · ");
            used += " · ".width();
        }
        text.push_str(part);
        used += width;
    }
    text
}

/// A line that stands over a part.
pub fn heading(line: &str, style: &Style) -> String {
    style.paint_err(line, Role::Heading)
}

/// The width of the terminal that standard output or standard error is; else that of `COLUMNS`, else 100.
pub fn terminal_width() -> usize {
    let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
    // A terminal that nobody has given a size says 0.
    let grid = comfy_table::Table::new().width().map(usize::from).filter(|width| *width > 0);
    grid.or_else(columns).unwrap_or(100)
}

/// A note as text.
pub fn note(note: &Note) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Figure(field) => figure(field),
    };
    note.pieces.iter().map(piece).collect()
}

/// The same as lines that fit.
fn note_lines(of: &Note, style: &Style) -> String {
    let text = style.outward(&note(of));
    if style.wrap { wrap::wrapped(&text, style.width) } else { format!("{text}\n") }
}

/// A table and the plot of it: side by side where the plot can be read in the room that is left.
fn with_plot(table: &str, plot: &Plot, style: &Style) -> String {
    const READABLE: usize = 56;
    let left = style.width.saturating_sub(beside::widest(table) + beside::GAP);
    if left < READABLE {
        return format!("{table}{}", plot::written(plot, style));
    }
    beside::beside(table, &plot::written(plot, &Style { width: left, ..*style }))
}

/// Whether a terminal with these environment variables may show no more than ASCII.
pub fn in_ascii_only(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    // The first that is set decides, as in POSIX; without any, the locale is C.
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_lowercase();
    variable("TERM").is_some_and(|term| term == "dumb") || !(locale.contains("utf-8") || locale.contains("utf8"))
}

fn written(table: &Table, style: &Style) -> String {
    match style.format {
        Format::Table => table::drawn(table, &[], style).0,
        Format::Csv => table::csv(table),
        Format::Json => table::json(table),
        Format::Markdown => table::markdown(table),
    }
}

impl Style {
    /// What comes from data or errors, on its way out: a terminal is shown its control characters with escapes; where
    /// there is none, bytes go as they are.
    fn outward(&self, text: &str) -> String {
        if self.wrap { escaped(text) } else { text.to_string() }
    }

    /// The same for what was drawn in this style: what is drawn for people has colours, and is escaped in its parts.
    fn drawn(&self, text: String) -> String {
        if self.format == Format::Table { text } else { self.outward(&text) }
    }
}

/// Figures in two lines: times, then memory and throughput.
fn measured(fields: &[Field], style: &Style) -> String {
    let known = |name: &str| fields.iter().find(|field| field.name == name && field.value != Value::Null);
    let find = |name: &str| known(name).map(figure);
    // Less is a moment's wait that nobody needs to know of.
    let long =
        |name: &str| known(name).filter(|field| matches!(field.value, Value::Float(time) if time >= 1e-3)).map(figure);
    let named = |name: &str, said: &str| find(name).map(|figure| format!("{figure} {said}"));
    let cpu = find("cpu").map(|cpu| match find("user").zip(find("system")) {
        Some((user, system)) => format!("{cpu} CPU ({user} user, {system} system)"),
        None => format!("{cpu} CPU"),
    });
    let started = long("start").map(|time| format!("started in {time}"));
    let compiled = long("compile").map(|time| format!("compiled in {time}"));
    let times = [named("wall", "wall"), cpu, find("bound"), started, compiled];
    let heap = named("allocated", "in all").zip(find("allocations")).map(|(bytes, count)| format!("{count}, {bytes}"));
    // What runs here has a heap that is counted; of another program the system tells what it had in all.
    let peak = if heap.is_some() { "peak heap" } else { "peak memory" };
    let memory = [named("peak", peak), heap, find("rows_per_second"), find("bytes_per_second"), find("steps")];
    let line = |parts: &[Option<String>]| dotted(parts.iter().flatten().map(String::as_str), style);
    format!("{}\n{}", line(&times), line(&memory))
}

fn figure(field: &Field) -> String {
    let number = match &field.value {
        Value::Int(i) => *i as f64,
        Value::Float(x) => *x,
        other => return if let Value::Text(text) = other { text.to_string() } else { other.to_string() },
    };
    match field.unit {
        Unit::Seconds => duration_text(number),
        Unit::Bytes => bytes_text(number),
        Unit::Count(what) => format!("{} {what}", grouped(number as u64)),
        Unit::PerSecond(what) => format!("{} {what}/s", numbers::metric(number)),
        Unit::BytesPerSecond => format!("{}/s", bytes_text(number)),
        Unit::Ratio(_) | Unit::Times => format!("{}×", numbers::ratio(number)),
        Unit::Low | Unit::High => numbers::ratio(number),
        Unit::Share => numbers::share(number),
        Unit::Bar => format!("{} {}", numbers::share(number), numbers::bar(number)),
        Unit::Plain | Unit::Calls | Unit::Primitive => format!("{number}"),
    }
}
