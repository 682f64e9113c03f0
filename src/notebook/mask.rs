//! A report as the pattern of what it prints: a mark stands in the place of each measured figure. The marks come from
//! the report alone, never from the text.

use std::collections::HashSet;

use crate::data::{Column, Schema, Table, Type, Value};
use crate::report::{Across, Axis, Block, Field, Figures, Meaning, Measured, Note, Piece, Plot, Report, Timing, Unit};
use crate::show::{self, Format, Style};

use super::sayings::{Sayings, Says, expression};

/// Marks, which no text of a person holds: characters for private use.
pub const MARKS: std::ops::RangeInclusive<char> = '\u{e000}'..='\u{e01f}';

/// At the start of a line whose parts may come and go.
pub const LOOSE: char = '\u{e002}';
/// In the place of the lines of a plot: its title, which is none where each line is drawn alike, then behind [`END`]
/// the words that may stand in it, and each label of its legend.
pub const DRAWN: char = '\u{e003}';
/// In the place of a map: boxes, and a last line that the rest of this one, an expression, says.
pub const MAP: char = '\u{e006}';
/// In the place of a line that the rest of this one, an expression, says; behind [`END`] is one.
pub const LIKE: char = '\u{e001}';
/// The same of a line that the file may leave out.
pub const LIKE_OR_NONE: char = '\u{e009}';
/// At the start of the status line.
pub const STATUS: char = '\u{e004}';
/// In the place of lines that another run may have said.
pub const MORE: char = '\u{e005}';
/// At the start of what may be said in the lines that follow.
pub const SAYS: char = '\u{e008}';
/// Between the parts of a line of those above.
pub const END: char = '\u{e007}';
/// In the place of words that the measurement may say.
pub const SAID: char = '\u{e018}';
/// Behind a word that has an s where there are several of it.
pub const PLURAL: char = '\u{e00a}';
/// In the first head of a table whose rows come and go with what was measured.
pub const VARIES: char = '\u{e00b}';
/// The same where its rows are sorted by what was measured.
pub const SORTED: char = '\u{e00c}';
/// The same where rows are missing in this run, which it says.
pub const FEWER: char = '\u{e00d}';
/// The same where measured figures decide which columns have room. The next line of the pattern begins with it too, and
/// says how many rows there are; nothing where that is measured.
pub const CUT: char = '\u{e00e}';
/// In the place of true or false.
const TRUTH: char = '\u{e019}';
/// In the place of a number.
const NUMBER: char = '\u{e017}';

/// What kind of figure a mark stands for.
fn mark(unit: Unit) -> char {
    match unit {
        Unit::Seconds => '\u{e010}',
        Unit::Bytes => '\u{e011}',
        Unit::Count(_) => '\u{e012}',
        Unit::PerSecond(_) | Unit::BytesPerSecond => '\u{e013}',
        Unit::Share | Unit::Bar => '\u{e014}',
        Unit::Ratio(_) | Unit::Low | Unit::High | Unit::Times => '\u{e015}',
        Unit::Plain | Unit::Calls | Unit::Primitive => NUMBER,
    }
}

/// What stands for any value of a type, with its unit.
fn mark_of(ty: &Type, unit: Unit) -> String {
    match (ty, unit) {
        (Type::Bool, _) => TRUTH.to_string(),
        // Rows of data say anything.
        (ty, Unit::Plain) if !ty.is_number() => '\u{e016}'.to_string(),
        (_, Unit::Count(what)) if !what.is_empty() => match what.strip_suffix('s') {
            Some(one) => format!("{} {one}{PLURAL}", mark(unit)),
            None => format!("{} {what}", mark(unit)),
        },
        _ => mark(unit).to_string(),
    }
}

/// The lines of a report with marks, drawn in this style: what goes to standard output, then what goes to standard
/// error. Where something was measured, it may say more in another run.
pub fn masked(report: &Report, sayings: Sayings, style: &Style) -> String {
    let is_measured = report.blocks.iter().any(holds_measured);
    let notes = report.blocks.iter().any(|block| matches!(block, Block::Notes(_) | Block::Measured(_)));
    let is_found = is_measured
        || notes
        || report.status_line.iter().any(|note| note.pieces.iter().any(|piece| said(piece).is_some()));
    let says = if is_found { Says::new(sayings, &names(report)) } else { Says::default() };
    let mask = Mask { says: &says, style };
    let mut blocks = Vec::new();
    if !says.is_empty() {
        blocks.push(Block::Text(says.written()));
    }
    for (i, block) in report.blocks.iter().enumerate() {
        match block {
            Block::Notes(notes) if is_measured => blocks.push(mask.notes_between_others(notes)),
            _ => blocks.extend(mask.block(block)),
        }
        let is_in_parts = is_table(block) && report.blocks.get(i + 1).is_some_and(is_table);
        if is_measured && !says.is_empty() && !is_in_parts {
            blocks.push(Block::Text(MORE.to_string()));
        }
    }
    let parts: Vec<Note> =
        report.status_line.iter().filter(|note| !note.is_optional).map(|note| mask.note(note)).collect();
    let show::Drawn { mut out, err } = show::report(&Report { blocks, status_line: Vec::new() }, style);
    // Whether floats are rounded belongs to the status line, and hangs on what was measured.
    out.push_str(err.strip_suffix(&format!("{}\n", show::ROUNDED)).unwrap_or(&err));
    if !parts.is_empty() {
        let line = parts.iter().map(show::note).collect::<Vec<_>>().join(" · ");
        out.push_str(&format!("{STATUS}{line}\n"));
    }
    out
}

/// What a report says because of what was measured, and no form allows.
pub fn unknown(report: &Report, sayings: Sayings) -> Vec<String> {
    let says = Says::new(sayings, &names(report));
    let mut found = Vec::new();
    let words = |text: &str| text.is_empty() || says.allows_words(&line(text)) || says.allows_words(text);
    let mut notes: Vec<&Note> = report.status_line.iter().filter(|note| !note.is_optional).collect();
    for block in &report.blocks {
        match block {
            Block::Notes(more) => notes.extend(more),
            Block::Timing(timing) => notes.extend(&timing.notes),
            Block::Figures(Figures { table, meanings, .. }) | Block::Aside(Figures { table, meanings, .. }) => {
                let columns = table.schema().columns.iter().zip(meanings).enumerate();
                for (i, _) in columns.filter(|(_, (column, meaning))| is_said(&column.ty, **meaning)) {
                    let cells = table.values(i, 0, table.height());
                    let cells =
                        cells.iter().filter_map(|cell| if let Value::Text(text) = cell { Some(text) } else { None });
                    found.extend(cells.filter(|text| !words(text)).map(|text| text.to_string()));
                }
            }
            _ => {}
        }
    }
    for note in notes {
        match note.is_optional {
            true => found.extend(Some(show::note(note)).filter(|said| !says.allows_line(&line(said)))),
            false => found.extend(note.pieces.iter().filter_map(said).filter(|said| !words(said)).map(str::to_string)),
        }
    }
    found
}

fn is_table(block: &Block) -> bool {
    matches!(block, Block::Table { .. } | Block::Whole { .. } | Block::Figures(_) | Block::Aside(_))
}

/// What the rows of a measurement, and the series of its plots, are called.
fn names(report: &Report) -> Vec<String> {
    let mut names = HashSet::new();
    for block in &report.blocks {
        match block {
            Block::Figures(Figures { table, meanings, .. })
            | Block::Data(Figures { table, meanings, .. })
            | Block::Aside(Figures { table, meanings, .. }) => {
                for (i, (column, meaning)) in table.schema().columns.iter().zip(meanings).enumerate() {
                    names.insert(column.name.clone());
                    if column.ty == Type::Text && !meaning.measured {
                        names.extend(table.values(i, 0, table.height()).iter().filter_map(|value| match value {
                            Value::Text(text) => Some(text.to_string()),
                            _ => None,
                        }));
                    }
                }
            }
            Block::Plot(plot) => names.extend(plot.series.iter().map(|series| series.label.clone())),
            _ => {}
        }
    }
    let mut names: Vec<String> = names.into_iter().map(|name| line(&name)).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    names
}

/// A text as it is compared: in one line, with single spaces.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The words of a piece that depend on what was measured.
fn said(piece: &Piece) -> Option<&str> {
    match piece {
        Piece::Figure(Field { value: Value::Text(text), measured: true, .. }) => Some(text),
        Piece::Figure(_) | Piece::Text(_) => None,
    }
}

/// Whether a column has words that depend on what was measured.
fn is_said(ty: &Type, meaning: Meaning) -> bool {
    meaning.measured && meaning.unit == Unit::Plain && *ty == Type::Text
}

fn holds_measured(block: &Block) -> bool {
    match block {
        Block::Table { measured, .. } | Block::Whole { measured, .. } => measured.is_anything(),
        Block::Value { measured, .. } => *measured,
        Block::Text(_) | Block::Told { .. } | Block::Printed(_) | Block::Flow(_) => false,
        Block::Measured(_) | Block::Timing(_) => true,
        Block::Figures(figures) | Block::Data(figures) | Block::Aside(figures) => {
            figures.meanings.iter().any(|meaning| meaning.measured)
        }
        Block::Notes(notes) => notes.iter().any(|note| note.is_optional),
        Block::Plot(plot) => is_plot_measured(plot),
        Block::Map(_) => true,
    }
}

fn is_plot_measured(plot: &Plot) -> bool {
    let axis = |axis: &Axis| axis.measured;
    axis(&plot.y) || matches!(&plot.x, Across::Numbers(x) if axis(x))
}

/// How one report is masked.
struct Mask<'a> {
    says: &'a Says,
    style: &'a Style,
}

impl Mask<'_> {
    fn block(&self, block: &Block) -> Vec<Block> {
        match block {
            Block::Table { table, measured } if self.style.format == Format::Table && measured.is_anything() => {
                self.with_all_columns(table, measured)
            }
            Block::Table { table, measured } => {
                let table = self.table(table, measured, false).into();
                vec![Block::Table { table, measured: measured.clone() }]
            }
            Block::Whole { table, measured } => {
                let table = self.table(table, measured, false).into();
                vec![Block::Whole { table, measured: measured.clone() }]
            }
            Block::Value { ty, measured: true, .. } => vec![Block::Text(mark_of(ty, Unit::Plain))],
            Block::Value { .. } | Block::Text(_) | Block::Told { .. } | Block::Flow(_) | Block::Printed(_) => {
                vec![block.clone()]
            }
            Block::Measured(fields) => {
                let masked = Block::Measured(fields.iter().map(|field| self.field(field)).collect());
                let drawn = show::report(&Report { blocks: vec![masked], status_line: Vec::new() }, self.style);
                let lines = drawn.out.lines().chain(drawn.err.lines()).map(|line| format!("{LOOSE}{line}"));
                vec![Block::Text(lines.collect::<Vec<_>>().join("\n"))]
            }
            Block::Figures(found) => vec![Block::Figures(self.figures(found))],
            Block::Data(_) => Vec::new(),
            Block::Aside(found) => vec![Block::Aside(self.figures(found))],
            Block::Notes(notes) => vec![Block::Notes(self.notes(notes))],
            Block::Timing(timing) => self.timing(timing),
            Block::Map(map) => {
                let root = show::node_name(&map.profile, map.root);
                let caption = format!("{} = {{weight}} of {{name}}; {{share}} of all", show::map_measure(map));
                vec![Block::Text(format!("{MAP}{}", expression(&caption, &[line(&root)])))]
            }
            Block::Plot(plot) if is_plot_measured(plot) => {
                vec![Block::Text(format!("{DRAWN}{}{END}{}{}", plot.title, plot_words(plot), plot_labels(plot)))]
            }
            Block::Plot(plot) => vec![Block::Plot(Plot { in_table: false, ..plot.clone() })],
        }
    }

    /// The lines that say how samples lie, and what is to be known about them.
    fn timing(&self, timing: &Timing) -> Vec<Block> {
        let mut blocks = Vec::new();
        if matches!(self.style.format, Format::Csv | Format::Json) {
            // Programs are told each sample, in rows of these columns.
            blocks.push(Block::Text(format!("{DRAWN}{END}sample calls seconds")));
        }
        let calls = timing.fields.iter().find(|field| field.name == "calls" && !field.measured);
        let calls = calls.map_or("{count}".to_string(), |_| show::grouped(timing.samples.calls));
        let total = format!("[ · {{time}} for {calls} call[s]]");
        let first =
            format!("{{time}}[ median · IQR {{time}} · best {{time}}] · {{count}} sample[s] × {calls} call[s]{total}");
        let speed = "<{time} {bars} {time}|{count} outlier[s] kept|{throughput}>";
        let second = format!("{speed}[ · {speed}]*");
        let has = |name: &str| timing.fields.iter().any(|field| field.name == name);
        let heap =
            if has("allocations") { " · {count} allocations, {bytes} per call[ · {bytes} peak heap]" } else { "" };
        let peak = if has("allocations") { "" } else { "[ · {bytes} peak memory]" };
        let clock = if timing.is_clock_sure { timing.clock } else { CLOCKS };
        let third = format!("{clock}[ · {{time}} CPU of all threads]{heap}{peak}");
        let own = show::report(
            &Report {
                blocks: vec![Block::Timing(Timing { notes: Vec::new(), ..timing.clone() })],
                ..Report::default()
            },
            &Style { format: Format::Table, ..*self.style },
        );
        let own = |last: bool| if last { own.out.lines().last() } else { own.out.lines().next() }.unwrap_or_default();
        let like = |mark: char, form: &str| format!("{mark}{}", expression(form, &[]));
        let lines = [
            format!("{}{END}{}", like(LIKE, &first), own(false)),
            like(LIKE_OR_NONE, &second),
            format!("{}{END}{}", like(LIKE, &third), own(true)),
        ];
        blocks.extend(lines.map(Block::Text));
        blocks.push(self.notes_between_others(&timing.notes));
        blocks
    }

    /// Without those that another run may not say: they are among what may be said.
    fn notes(&self, notes: &[Note]) -> Vec<Note> {
        let is_among = |note: &&Note| note.is_optional && self.says.allows_line(&line(&show::note(note)));
        notes.iter().filter(|note| !is_among(note)).map(|note| self.note(note)).collect()
    }

    /// The same, between which another run may say more.
    fn notes_between_others(&self, notes: &[Note]) -> Block {
        let notes = self.notes(notes).into_iter();
        Block::Notes(notes.flat_map(|note| [MORE.to_string().into(), note]).collect())
    }

    fn note(&self, note: &Note) -> Note {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => Piece::Text(text.clone()),
            Piece::Figure(field) => Piece::Figure(self.field(field)),
        };
        Note { pieces: note.pieces.iter().map(piece).collect(), ..note.clone() }
    }

    fn field(&self, field: &Field) -> Field {
        let masked = match &field.value {
            _ if !field.measured => return field.clone(),
            Value::Null => return field.clone(),
            Value::Text(text) => self.words(text),
            Value::Bool(_) => TRUTH.to_string(),
            _ => mark_of(&Type::Float, field.unit),
        };
        Field { value: Value::text(&masked), ..field.clone() }
    }

    /// What no form allows stands for itself.
    fn words(&self, text: &str) -> String {
        if text.is_empty() || self.says.allows_words(&line(text)) || self.says.allows_words(text) {
            SAID.to_string()
        } else {
            text.to_string()
        }
    }

    /// A measured column is one of marks; where a ratio lies is drawn with the ratio.
    fn figures(&self, found: &Figures) -> Figures {
        let Figures { table, meanings, .. } = found;
        let height = table.height();
        let (mut columns, mut values, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        for (i, (column, meaning)) in table.schema().columns.iter().zip(meanings).enumerate() {
            if !meaning.measured {
                columns.push(column.clone());
                values.push(table.values(i, 0, height));
                kept.push(*meaning);
            } else if !matches!(meaning.unit, Unit::Low | Unit::High) {
                columns.push(Column { name: column.name.clone(), ty: Type::Text });
                let cell = |value: Value| match value {
                    Value::Text(text) => Value::text(&self.words(&text)),
                    // Another run may have found something.
                    _ if is_said(&column.ty, *meaning) => Value::text(&SAID.to_string()),
                    _ => Value::text(&mark_of(&column.ty, meaning.unit)),
                };
                values.push(table.values(i, 0, height).into_iter().map(cell).collect());
                kept.push(Unit::Plain.measured());
            }
        }
        // Which rows are missing, this run says.
        let signs: &[(char, bool)] = &[(FEWER, found.rows.count), (SORTED, found.rows.order)];
        self.sign(&mut columns, signs);
        let table = Table::from_columns(Schema::new(columns, table.schema().order), height, &values);
        Figures { table, meanings: kept, ..found.clone() }
    }

    /// A table whose columns have room or not, as wide as what was measured.
    fn with_all_columns(&self, table: &Table, measured: &Measured) -> Vec<Block> {
        const ALL: usize = 1 << 16;
        let height = table.height();
        let first = table.part(0, show::shown(height));
        let block = Block::counted(self.table(&first, measured, true).into());
        let report = Report { blocks: vec![block], ..Report::default() };
        let drawn = show::report(&report, &Style { width: ALL, ..*self.style }).out;
        let rows = if measured.rows.count { String::new() } else { height.to_string() };
        vec![Block::Text(format!("{drawn}{CUT}{rows}"))]
    }

    /// A table of which this is measured. `is_cut` says whether columns may have no room.
    fn table(&self, table: &Table, measured: &Measured, is_cut: bool) -> Table {
        let height = table.height();
        let schema = table.schema();
        let (mut columns, mut values) = (Vec::new(), Vec::new());
        for (i, column) in schema.columns.iter().enumerate() {
            // Where rows come and go, so does what stands in them.
            if measured.rows.count || measured.columns.get(i) == Some(&true) {
                columns.push(Column { name: column.name.clone(), ty: Type::Text });
                values.push(vec![Value::text(&mark_of(&column.ty, Unit::Plain)); height]);
            } else {
                columns.push(column.clone());
                values.push(table.values(i, 0, height));
            }
        }
        let signs = [(VARIES, measured.rows.count), (SORTED, measured.rows.order), (CUT, is_cut)];
        self.sign(&mut columns, &signs);
        Table::from_columns(Schema::new(columns, schema.order), height, &values)
    }

    /// Puts marks behind the name of the first column; in other formats a table is lines.
    fn sign(&self, columns: &mut [Column], signs: &[(char, bool)]) {
        if let (Format::Table, Some(first)) = (self.style.format, columns.first_mut()) {
            first.name.extend(signs.iter().filter(|(_, is)| *is).map(|(sign, _)| sign));
        }
    }
}

/// Those that a time may be told by.
const CLOCKS: &str = "<wall time|CPU time of the thread>";

/// What the legend of a plot names, each behind a mark.
fn plot_labels(plot: &Plot) -> String {
    let labels = plot.series.iter().map(|series| series.label.as_str()).chain(["several series"]);
    labels.map(|label| format!("{END}{}", line(label))).collect()
}

/// The words that a plot is drawn with; all else are values.
fn plot_words(plot: &Plot) -> String {
    let unit = |axis: &Axis| match axis.unit {
        Unit::Count(what) | Unit::PerSecond(what) => what,
        _ => "",
    };
    let across: Vec<&str> = match &plot.x {
        Across::Numbers(axis) => vec![&axis.label, unit(axis)],
        Across::Names { label, names } => [label].into_iter().chain(names).map(String::as_str).collect(),
    };
    // What is said of points without a place.
    let left_out = "several series no points to draw point is are of not drawn finite above on a log axis without name \
                    the x more names";
    let labels = plot.series.iter().map(|series| series.label.as_str());
    let axes = [plot.y.label.as_str(), unit(&plot.y), left_out];
    let all = across.into_iter().chain(labels).chain(axes);
    line(&all.collect::<Vec<_>>().join(" "))
}
